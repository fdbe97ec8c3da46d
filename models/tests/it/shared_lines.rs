//! Several people behind one line: real voices and real networks, through the whole of the live path.

use std::time::Duration;

use models::eval::prompts::SPEAKERS;
use models::eval::{self, word_error_rate};
use models::speakers::{SpeakerConfig, SpeakerModels};
use models::{EarOptions, PartyEar, PartyKey, Recognised, TranscriberConfig, Utterance, Voice};
use tokio::sync::mpsc::Receiver;

use crate::support::{config, load, next, say, until_finished};

/// As [`config`], with what tells voices apart.
pub(crate) fn telling() -> TranscriberConfig {
    let folder = eval::weights_folder();
    let found = SpeakerConfig::in_folder(&folder).unwrap_or_else(|e| panic!("{e} (run `cargo xtask setup` first)"));
    let all_languages = models::weights::named(models::weights::MULTILINGUAL_WHISPER).unwrap();
    let whisper = models::weights::locate(&all_languages, &folder).unwrap();
    TranscriberConfig { whisper, speakers: Some(SpeakerModels::load(&found).unwrap()), workers: 1, ..config() }
}

pub(crate) fn shared() -> EarOptions {
    EarOptions { several_voices: true, ..EarOptions::default() }
}

/// As [`shared`], without a live line's patience, which runs by the clock: on a busy machine words would come without a voice.
/// That they do is `shared_line`'s to test, in virtual time.
fn patient() -> EarOptions {
    EarOptions { recorded: true, ..shared() }
}

/// What one person says in a turn.
pub(crate) struct Turn {
    pub(crate) who: usize,
    pub(crate) text: String,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// Two people by turns, a second between them and a quarter of one before each fourth: that is one utterance of both.
pub(crate) fn conversation(turns: usize) -> (Vec<i16>, Vec<Turn>) {
    let said: Vec<Vec<(String, Vec<i16>)>> =
        ["Allison (en)", "Carlo (it)"].iter().map(|name| sentences(name, turns)).collect();
    let (mut pcm, mut truth) = (vec![0; 8000], Vec::new());
    for turn in 0..turns {
        let who = turn % 2;
        let (text, sound) = &said[who][turn / 2];
        let start_ms = pcm.len() as i64 / 16;
        pcm.extend(sound);
        truth.push(Turn { who, text: text.clone(), start_ms, end_ms: pcm.len() as i64 / 16 });
        let pause = if turn % 4 == 2 { 4000 } else { 16_000 };
        pcm.extend(std::iter::repeat_n(0, pause));
    }
    (pcm, truth)
}

/// Prompts of 2 to 5 s, without the silence around them.
fn sentences(name: &str, count: usize) -> Vec<(String, Vec<i16>)> {
    let voice = SPEAKERS.iter().find(|s| s.name == name).unwrap();
    let prompts = voice.prompts().unwrap_or_else(|error| panic!("{error}"));
    let sounds = prompts.into_iter().map(|prompt| {
        let mut reader = hound::WavReader::open(&prompt.wav).unwrap();
        let pcm: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
        let from = pcm.iter().position(|s| s.unsigned_abs() > 300).unwrap_or(0);
        let to = pcm.iter().rposition(|s| s.unsigned_abs() > 300).unwrap_or(0);
        (prompt.text, eval::upsample_8k_to_16k(&pcm[from..to.max(from)]))
    });
    sounds.filter(|(_, pcm)| (32_000..80_000).contains(&pcm.len())).take(count).collect()
}

/// Gives sound as a call does, only as fast as it is heard; returns the time behind it.
async fn speak(ear: &PartyEar, at: i64, pcm: &[i16]) -> i64 {
    let mut now = at;
    for second in pcm.chunks(16_000) {
        while ear.queued_ms() > 500 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        now = say(ear, now, second);
    }
    now
}

fn utterances(all: Vec<Recognised>) -> Vec<Utterance> {
    let words = all.into_iter().filter_map(|result| match result {
        Recognised::Utterance(utterance) => Some(utterance),
        Recognised::Caption(_) | Recognised::Finished { .. } => None,
        Recognised::FellBehind { .. } => panic!("fell behind"),
    });
    words.collect()
}

/// How long both are in a stretch of time, in ms.
pub(crate) fn overlap(turn: &Turn, start_ms: i64, end_ms: i64) -> i64 {
    (turn.end_ms.min(end_ms) - turn.start_ms.max(start_ms)).max(0)
}

/// Says of stretches of voices which letter is whose, and how much of what was told stands under the wrong one, in ms; and how
/// much was told in all.
pub(crate) fn judge(truth: &[Turn], told: &[(Option<Voice>, i64, i64)]) -> (i64, i64) {
    let time = |who: usize, voice: Voice| -> i64 {
        let own = told.iter().filter(|(v, ..)| *v == Some(voice));
        own.flat_map(|(_, from, to)| truth.iter().filter(|t| t.who == who).map(|t| overlap(t, *from, *to))).sum()
    };
    let straight = time(0, Voice(0)) + time(1, Voice(1));
    let all: i64 = (0..2).flat_map(|who| (0..8).map(move |v| (who, Voice(v)))).map(|(who, v)| time(who, v)).sum();
    (all - straight, all)
}

#[tokio::test]
async fn each_sentence_stands_under_its_voice_and_their_words_are_whole() {
    let (transcriber, mut results) = load(telling()).await;
    let (pcm, truth) = conversation(10);
    let ear = transcriber.open_with(PartyKey(1), patient());
    speak(&ear, 0, &pcm).await;
    ear.finish();
    let all = until_finished(&mut results, 1).await;
    assert!(matches!(all.last(), Some(Recognised::Finished { .. })));
    let said = utterances(all);
    let told: Vec<_> = said.iter().map(|u| (u.voice, u.start_ms, u.end_ms)).collect();
    // The first sentence is A's.
    let (wrong, time) = judge(&truth, &told);
    assert!(wrong * 10 < time, "{wrong} of {time} ms are under a wrong voice: {told:?}");
    let spoken: i64 = truth.iter().map(|t| t.end_ms - t.start_ms).sum();
    assert!(time * 10 > spoken * 8, "of {spoken} ms only {time} ms have a voice: {told:?}");
    assert!(told.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{told:?}");
    for utterance in &said {
        let words: Vec<&str> = utterance.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, utterance.text.split_whitespace().collect::<Vec<_>>());
        let is_in = |word: &models::Word| word.start_ms >= utterance.start_ms && word.end_ms <= utterance.end_ms;
        assert!(utterance.words.iter().all(is_in), "{utterance:?} {:?}", utterance.words);
    }
    // The English ones are to be read too: those of the first voice alone.
    let english: Vec<&str> = truth.iter().filter(|t| t.who == 0).map(|t| t.text.as_str()).collect();
    let first: Vec<&str> = said.iter().filter(|u| u.voice == Some(Voice(0))).map(|u| u.text.as_str()).collect();
    let rate = word_error_rate(&english.join(" "), &first.join(" "));
    assert!(rate < 0.35, "word error rate {rate}: {first:?} for {english:?}");
    // And the other's in their own language, not translated.
    let italian: Vec<&str> = truth.iter().filter(|t| t.who == 1).map(|t| t.text.as_str()).collect();
    let second: Vec<&str> = said.iter().filter(|u| u.voice == Some(Voice(1))).map(|u| u.text.as_str()).collect();
    let rate = word_error_rate(&italian.join(" "), &second.join(" "));
    assert!(rate < 0.5, "word error rate {rate}: {second:?} for {italian:?}");
    let stats = transcriber.stats();
    assert_eq!((stats.voices_lost_ms, stats.voices_untold, stats.utterances), (0, 0, said.len() as u64));
    voices_are_forgotten(&transcriber).await;
}

async fn voices_are_forgotten(transcriber: &models::Transcriber) {
    while transcriber.stats().shared_lines > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn next_utterance(results: &mut Receiver<Recognised>) -> Utterance {
    loop {
        if let Recognised::Utterance(utterance) = next(results).await {
            return utterance;
        }
    }
}

#[tokio::test]
async fn after_a_withdrawal_nothing_of_before_comes_and_voices_are_counted_anew() {
    let (transcriber, mut results) = load(telling()).await;
    let (pcm, truth) = conversation(6);
    let ear = transcriber.open_with(PartyKey(1), patient());
    let half = truth[3].start_ms as usize * 16 + 16_000;
    speak(&ear, 0, &pcm[..half]).await;
    // Voices are known, and there is sound in every queue.
    assert_eq!(next_utterance(&mut results).await.voice, Some(Voice(0)));
    say(&ear, half as i64 / 16, &pcm[half..half + 32_000]);
    ear.discard();
    while results.try_recv().is_ok() {}
    voices_are_forgotten(&transcriber).await;
    // The second person alone: now the first voice that is heard.
    let later = 600_000;
    let end = truth[5].end_ms as usize * 16 + 8000;
    speak(&ear, later, &pcm[truth[5].start_ms as usize * 16 - 4000..end]).await;
    ear.finish();
    let all = until_finished(&mut results, 1).await;
    assert!(matches!(all.last(), Some(Recognised::Finished { .. })));
    let said = utterances(all);
    assert!(!said.is_empty() && said.iter().all(|u| u.start_ms >= later - 100), "{said:?}");
    let voices: Vec<_> = said.iter().filter_map(|u| u.voice).collect();
    assert!(!voices.is_empty() && voices.iter().all(|v| *v == Voice(0)), "{voices:?}");
    voices_are_forgotten(&transcriber).await;
}

#[tokio::test]
async fn a_finished_line_that_is_discarded_by_its_key_still_says_finished_and_nothing_else() {
    let (transcriber, mut results) = load(telling()).await;
    let (pcm, truth) = conversation(2);
    let ear = transcriber.open_with(PartyKey(4), patient());
    say(&ear, 0, &pcm[..truth[1].end_ms as usize * 16]);
    // The listener is through with it: words are with the worker, or wait for it.
    while transcriber.stats().decoding == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    ear.finish();
    transcriber.discard(PartyKey(4));
    while let Ok(result) = results.try_recv() {
        assert!(!matches!(result, Recognised::Finished { .. }), "it was too quick for this test");
    }
    let all = until_finished(&mut results, 1).await;
    assert_eq!(all.len(), 1, "{all:?}");
    voices_are_forgotten(&transcriber).await;
}

#[tokio::test]
async fn more_sound_than_can_be_told_apart_is_counted_and_its_words_come_without_voices() {
    let (transcriber, mut results) = load(telling()).await;
    let (pcm, _) = conversation(6);
    let ear = transcriber.open_with(PartyKey(1), shared());
    // Longer than what may wait, in one piece: it cannot fit, whoever is quick.
    assert!(pcm.len() > 10 * 16_000);
    ear.push(0, &pcm);
    ear.finish();
    let said = utterances(until_finished(&mut results, 1).await);
    assert!(!said.is_empty() && said.iter().all(|u| u.voice.is_none()), "{said:?}");
    let stats = transcriber.stats();
    assert_eq!(stats.voices_lost_ms, pcm.len() as u64 / 16);
    assert_eq!(stats.voices_untold, said.len() as u64);
}

#[tokio::test]
async fn a_line_of_one_and_a_recogniser_without_the_networks_tell_no_voices() {
    let (transcriber, mut results) = load(TranscriberConfig { workers: 1, ..config() }).await;
    let (pcm, _) = conversation(2);
    let ear = transcriber.open_with(PartyKey(1), EarOptions { captions: true, ..shared() });
    say(&ear, 0, &pcm);
    ear.finish();
    let without = utterances(until_finished(&mut results, 1).await);
    let (transcriber, mut results) = load(telling()).await;
    let ear = transcriber.open(PartyKey(1));
    say(&ear, 0, &pcm);
    ear.finish();
    let alone = utterances(until_finished(&mut results, 1).await);
    assert!(!without.is_empty() && !alone.is_empty());
    assert!(without.iter().chain(&alone).all(|u| u.voice.is_none()));
    assert_eq!(transcriber.stats().shared_lines, 0);
}

#[tokio::test]
async fn two_lines_have_voices_of_their_own() {
    let (transcriber, mut results) = load(telling()).await;
    let (pcm, truth) = conversation(4);
    let ears: Vec<PartyEar> = (0..2).map(|key| transcriber.open_with(PartyKey(key), patient())).collect();
    // One hears the first person first, the other the second.
    say(&ears[0], 0, &pcm);
    say(&ears[1], 0, &pcm[truth[1].start_ms as usize * 16 - 4000..]);
    ears.into_iter().for_each(PartyEar::finish);
    let said = utterances(until_finished(&mut results, 2).await);
    for key in 0..2 {
        let own: Vec<_> = said.iter().filter(|u| u.party == PartyKey(key)).filter_map(|u| u.voice).collect();
        assert_eq!(own.first(), Some(&Voice(0)), "line {key}: {own:?}");
        assert!(own.contains(&Voice(1)), "line {key}: {own:?}");
    }
    voices_are_forgotten(&transcriber).await;
}
