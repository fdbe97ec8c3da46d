//! What is said comes out: right words, right party, right time, in order, and nowhere in the log.

use models::eval::{WordErrors, word_errors};
use models::{PartyKey, Recognised, Utterance};

use crate::support::{config, load, log, next, prompt, say, silence, until_finished};

fn utterances(results: Vec<Recognised>, party: PartyKey) -> Vec<Utterance> {
    let of = |result| match result {
        Recognised::Utterance(utterance) if utterance.party == party => Some(utterance),
        _ => None,
    };
    results.into_iter().filter_map(of).collect()
}

fn text(utterances: &[Utterance]) -> String {
    utterances.iter().map(|u| u.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn two_parties_who_speak_at_once_each_get_their_own_words_in_order_and_none_is_logged() {
    let (transcriber, mut results) = load(config()).await;
    let (first, second) = (PartyKey(7), PartyKey(8));
    let (ear_one, ear_two) = (transcriber.open(first), transcriber.open(second));
    let mut said = [String::new(), String::new()];
    let (mut at, mut spoken) = ([1000i64, 1000], Vec::new());
    for (party, ear, names) in [
        (0, &ear_one, ["vm-options", "agent-newlocation", "vm-msginstruct"]),
        (1, &ear_two, ["dir-intro-fn", "conf-adminmenu-menu8", "vm-torerecord"]),
    ] {
        for name in names {
            let (text, pcm) = prompt(name);
            said[party] += &text;
            said[party].push(' ');
            let from = at[party];
            at[party] = say(ear, from, &pcm);
            spoken.push((party, from, at[party]));
            at[party] = say(ear, at[party], &silence(1200));
        }
    }
    ear_one.finish();
    ear_two.finish();
    let all = until_finished(&mut results, 2).await;
    assert!(matches!(all.last(), Some(Recognised::Finished { .. })));
    let mut errors = WordErrors::default();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for result in all {
        match result {
            Recognised::Utterance(u) if u.party == first => one.push(u),
            Recognised::Utterance(u) => two.push(u),
            Recognised::Finished { .. } | Recognised::Caption(_) => {}
            Recognised::FellBehind { .. } => panic!("fell behind"),
        }
    }
    for (party, utterances) in [(0, &one), (1, &two)] {
        let heard = text(utterances);
        let found = word_errors(&said[party], &heard);
        assert!(found.rate() < 0.15, "party {party}: {found:?}\n said {}\nheard {heard}", said[party]);
        errors = errors.plus(found);
        for pair in utterances.windows(2) {
            assert!(pair[0].end_ms <= pair[1].start_ms, "{pair:?}");
        }
        for utterance in utterances {
            let within = spoken
                .iter()
                .any(|(p, from, to)| *p == party && utterance.start_ms >= from - 100 && utterance.end_ms <= to + 200);
            assert!(within, "{utterance:?} is outside of what was said: {spoken:?}");
            assert!(utterance.confidence > 0.5 && utterance.confidence <= 1.0);
        }
    }
    assert!(errors.rate() < 0.1, "{errors:?}");
    let log = log().to_lowercase();
    assert!(log.contains("utterance decoded"), "nothing was logged, so the test shows nothing");
    for word in ["extension", "directory", "keypad", "conference", "undelete", "temporary", "administrator"] {
        assert!(!log.contains(word), "the log has the word {word:?}");
    }
    let stats = transcriber.stats();
    assert_eq!((stats.ears, stats.lost_ms, stats.failed), (0, 0, 0));
}

#[tokio::test]
async fn a_party_that_is_muted_in_mid_sentence_is_written_down_without_waiting_for_it() {
    let (transcriber, mut results) = load(config()).await;
    let ear = transcriber.open(PartyKey(1));
    let (_, pcm) = prompt("vm-options");
    say(&ear, 0, &pcm[..pcm.len() / 2]);
    // No more frames come, and nobody finishes.
    let Recognised::Utterance(before) = next(&mut results).await else { panic!("no words") };
    assert!(before.end_ms <= pcm.len() as i64 / 32 + 100);
    // A minute later it goes on.
    say(&ear, 60_000, &pcm);
    ear.finish();
    let after = utterances(until_finished(&mut results, 1).await, PartyKey(1));
    assert!(!after.is_empty() && after[0].start_ms >= 59_900, "{after:?}");
}

#[tokio::test]
async fn a_voice_as_faint_as_an_echo_is_written_all_the_same() {
    let (transcriber, mut results) = load(config()).await;
    let party = PartyKey(3);
    let ear = transcriber.open(party);
    let (mut said, mut at) = (String::new(), 1000);
    for name in ["vm-options", "agent-newlocation", "dir-intro-fn"] {
        let (words, pcm) = prompt(name);
        said += &format!("{words} ");
        let faint: Vec<i16> = pcm.iter().map(|sample| sample / 16).collect();
        at = say(&ear, at, &faint);
        at = say(&ear, at, &silence(1200));
    }
    ear.finish();
    let heard = text(&utterances(until_finished(&mut results, 1).await, party));
    let found = word_errors(&said, &heard);
    assert!(found.rate() < 0.2, "{found:?}\n said {said}\nheard {heard}");
}
