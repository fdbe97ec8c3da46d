//! Who withdraws is dropped, also what a worker is decoding at that moment; others are not touched.

use std::time::Duration;

use models::{PartyKey, Recognised};

use crate::support::{config, load, prompt, say, silence, until_finished};

#[tokio::test]
async fn after_a_withdrawal_not_a_word_comes_and_later_speech_is_heard_anew() {
    let mut config = config();
    config.workers = 1;
    let (transcriber, mut results) = load(config).await;
    let (withdrawn, other) = (PartyKey(1), PartyKey(2));
    let (ear, witness) = (transcriber.open(withdrawn), transcriber.open(other));
    let (_, long) = prompt("vm-msginstruct");
    let (_, short) = prompt("agent-newlocation");
    let at = say(&ear, 0, &long);
    say(&ear, at, &silence(1000));
    // A worker has it in hand: what it makes of it must go nowhere.
    while transcriber.stats().decoding == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    ear.discard();
    assert!(results.try_recv().is_err(), "it was too quick for this test");
    let at = say(&witness, 0, &short);
    say(&witness, at, &silence(1000));
    say(&ear, 100_000, &short);
    ear.finish();
    witness.finish();
    let mut seen = [0, 0];
    for result in until_finished(&mut results, 2).await {
        if let Recognised::Utterance(utterance) = result {
            if utterance.party == withdrawn {
                assert!(utterance.start_ms >= 99_900, "a word from before the withdrawal: {utterance:?}");
                seen[0] += 1;
            } else {
                seen[1] += 1;
            }
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[tokio::test]
async fn a_party_whose_ear_is_dropped_or_that_is_discarded_by_key_after_finishing_says_nothing() {
    let (transcriber, mut results) = load(config()).await;
    let (_, pcm) = prompt("agent-newlocation");
    let dropped = transcriber.open(PartyKey(1));
    say(&dropped, 0, &pcm);
    drop(dropped);
    let finished = transcriber.open(PartyKey(2));
    say(&finished, 0, &pcm);
    finished.finish();
    transcriber.discard(PartyKey(2));
    let last = transcriber.open(PartyKey(3));
    say(&last, 0, &pcm);
    last.finish();
    let mut finished = Vec::new();
    for result in until_finished(&mut results, 2).await {
        match result {
            Recognised::Utterance(utterance) => assert_eq!(utterance.party, PartyKey(3)),
            Recognised::Finished { party } => finished.push(party.0),
            Recognised::Caption(_) => {}
            Recognised::FellBehind { .. } => panic!("fell behind"),
        }
    }
    finished.sort_unstable();
    assert_eq!(finished, [2, 3], "a discarded party that finished still says so");
}
