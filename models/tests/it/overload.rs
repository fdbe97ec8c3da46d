//! Too much sound is dropped, counted and told; nobody who gives sound is ever held up.

use std::time::{Duration, Instant};

use models::{ModelError, PartyKey, Recognised, Transcriber};

use crate::support::{config, load, prompt, say, until_finished};

#[tokio::test]
async fn more_than_the_queues_hold_is_dropped_and_told_without_blocking() {
    let mut config = config();
    config.inbox_ms = 2000;
    let (transcriber, mut results) = load(config).await;
    let ear = transcriber.open(PartyKey(1));
    let (_, pcm) = prompt("vm-options");
    let began = Instant::now();
    // One push larger than the inbox cannot fit, whoever is quick.
    ear.push(0, &[pcm.clone(), pcm.clone(), pcm].concat());
    assert!(began.elapsed() < Duration::from_millis(200), "push took {:?}", began.elapsed());
    ear.finish();
    let told: u64 = until_finished(&mut results, 1)
        .await
        .into_iter()
        .map(|result| if let Recognised::FellBehind { lost_ms, .. } = result { lost_ms } else { 0 })
        .sum();
    assert!(told > 2000);
    assert_eq!(transcriber.stats().lost_ms, told);
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_the_threads_and_hurts_nobody() {
    let (transcriber, results) = load(config()).await;
    let ear = transcriber.open(PartyKey(1));
    drop(results);
    let (_, pcm) = prompt("agent-newlocation");
    say(&ear, 0, &pcm);
    ear.finish();
    transcriber.open(PartyKey(2)).push(0, &[0; 320]);
}

#[test]
fn files_that_are_missing_or_wrong_are_named() {
    let mut missing = config();
    missing.whisper = "/nowhere/ggml-base.en.bin".into();
    let error = Transcriber::load(missing).map(drop).unwrap_err();
    assert!(matches!(error, ModelError::Unreadable { .. }));
    assert!(error.to_string().contains("cargo xtask setup"), "{error}");

    let mut swapped = config();
    std::mem::swap(&mut swapped.whisper, &mut swapped.vad);
    assert!(matches!(Transcriber::load(swapped).map(drop), Err(ModelError::BadVad { .. })));

    let mut wrong = config();
    wrong.whisper = wrong.vad.clone();
    assert!(matches!(Transcriber::load(wrong).map(drop), Err(ModelError::BadWhisper { .. })));
}
