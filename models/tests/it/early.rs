//! Words before an utterance is over: captions, guesses, and what a withdrawal does to both.

use std::sync::{Arc, Mutex, mpsc as channel};

use models::speech::backend::Look;
use models::{EarOptions, PartyKey, Recognised, TranscriberConfig};

use crate::scripted::{Call, Scripted};
use crate::support::{config, load, next, prompt, say, silence, until_finished};

fn captions() -> EarOptions {
    EarOptions { captions: true, ..EarOptions::default() }
}

/// One word per 300 ms of sound, the last of which is not certain.
fn counted(call: &Call) -> String {
    let count = call.samples / 4800;
    let words = (1..=count).map(|n| if n == count { format!("{n}?") } else { n.to_string() });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn captions_grow_word_by_word_and_the_utterance_takes_their_place() {
    let (backend, _calls) =
        Scripted::new(|call| Ok(if call.look == Look::Caption { counted(call) } else { "done".to_owned() }));
    let (transcriber, mut results) = load(TranscriberConfig { backend: Some(Arc::new(backend)), ..config() }).await;
    let ear = transcriber.open_with(PartyKey(1), captions());
    let (_, speech) = prompt("vm-options");
    let mut at = 0;
    let mut agreed = String::new();
    let mut shown = 0;
    // As it is spoken, but only as fast as captions come.
    for piece in speech.chunks(16_000).take(4) {
        at = say(&ear, at, piece);
        if at < 1200 {
            continue;
        }
        let Recognised::Caption(caption) = next(&mut results).await else { panic!("no caption") };
        assert!(caption.agreed.starts_with(&agreed), "{agreed:?} became {:?}", *caption.agreed);
        agreed.clone_from(&caption.agreed);
        shown += 1;
    }
    assert!(shown >= 2 && !agreed.is_empty(), "{shown} captions, agreed on {agreed:?}");
    say(&ear, at, &silence(1000));
    ear.finish();
    let all = until_finished(&mut results, 1).await;
    let place = all.iter().position(|r| matches!(r, Recognised::Utterance(_))).expect("the utterance");
    assert!(
        all[place..].iter().all(|r| !matches!(r, Recognised::Caption(_))),
        "a caption behind its utterance: {all:?}"
    );
    assert!(transcriber.stats().captions >= shown);
}

#[tokio::test]
async fn who_asked_for_no_captions_gets_none() {
    let (backend, mut calls) = Scripted::new(|call| Ok(counted(call)));
    let (transcriber, mut results) = load(TranscriberConfig { backend: Some(Arc::new(backend)), ..config() }).await;
    let ear = transcriber.open(PartyKey(1));
    let (_, speech) = prompt("vm-options");
    say(&ear, 0, &speech);
    ear.finish();
    let all = until_finished(&mut results, 1).await;
    assert!(all.iter().all(|r| !matches!(r, Recognised::Caption(_))), "{all:?}");
    while let Ok(call) = calls.try_recv() {
        assert_ne!(call.look, Look::Caption);
    }
}

#[tokio::test]
async fn an_utterance_is_decoded_during_its_last_pause_and_given_out_when_the_pause_is_long_enough() {
    let (backend, mut calls) = Scripted::new(|_| Ok("Agent logged in.".to_owned()));
    let (transcriber, mut results) = load(TranscriberConfig { backend: Some(Arc::new(backend)), ..config() }).await;
    let ear = transcriber.open(PartyKey(1));
    let (_, speech) = prompt("agent-newlocation");
    let mut at = say(&ear, 0, &speech);
    // Until the recogniser is asked: that is before the utterance has ended.
    let call = loop {
        at = say(&ear, at, &silence(20));
        tokio::task::yield_now().await;
        if let Ok(call) = tokio::time::timeout(std::time::Duration::from_millis(20), calls.recv()).await {
            break call.expect("a call");
        }
        assert!(at < speech.len() as i64 / 16 + 2000, "nothing was decoded");
    };
    assert_eq!(call.look, Look::Quick);
    assert!(results.try_recv().is_err(), "it has not ended yet");
    say(&ear, at, &silence(1000));
    let Recognised::Utterance(utterance) = next(&mut results).await else { panic!("no words") };
    assert_eq!(utterance.text.as_str(), "Agent logged in.");
    assert!(calls.try_recv().is_err(), "it was decoded twice");
    let stats = transcriber.stats();
    assert_eq!((stats.guesses, stats.guesses_used, stats.utterances), (1, 1, 1));
    ear.finish();
}

#[tokio::test]
async fn a_withdrawal_takes_back_a_caption_and_a_guess_that_a_worker_has_in_hand() {
    let (go, gate) = channel::channel::<()>();
    let gate = Mutex::new(gate);
    let (backend, mut calls) = Scripted::new(move |call| {
        gate.lock().unwrap().recv().expect("the test lets it go");
        Ok(counted(call))
    });
    let (transcriber, mut results) =
        load(TranscriberConfig { backend: Some(Arc::new(backend)), workers: 2, ..config() }).await;
    let ear = transcriber.open_with(PartyKey(1), captions());
    let (_, speech) = prompt("agent-newlocation");
    let mut at = say(&ear, 0, &speech[..24_000]);
    let caption = calls.recv().await.expect("a caption");
    assert_eq!(caption.look, Look::Caption);
    at = say(&ear, at, &speech[24_000..]);
    at = say(&ear, at, &silence(1000));
    let last = calls.recv().await.expect("a guess or a final");
    assert_eq!(last.look, Look::Quick);
    ear.discard();
    go.send(()).unwrap();
    go.send(()).unwrap();
    // What is said afterwards is heard anew, and by then the others have come to nothing.
    for _ in 0..20 {
        go.send(()).unwrap();
    }
    say(&ear, at + 50_000, &speech);
    ear.finish();
    for result in until_finished(&mut results, 1).await {
        match result {
            Recognised::Utterance(utterance) => assert!(utterance.start_ms >= at + 49_000, "{utterance:?}"),
            Recognised::Caption(caption) => assert!(caption.start_ms >= at + 49_000, "{caption:?}"),
            Recognised::Finished { .. } => {}
            Recognised::FellBehind { .. } => panic!("fell behind"),
        }
    }
}

#[tokio::test]
async fn captions_of_what_turns_out_to_be_no_words_are_taken_back() {
    let script = |call: &Call| Ok(if call.look == Look::Caption { counted(call) } else { "[noise]".to_owned() });
    let (backend, _calls) = Scripted::new(script);
    let (transcriber, mut results) = load(TranscriberConfig { backend: Some(Arc::new(backend)), ..config() }).await;
    let ear = transcriber.open_with(PartyKey(1), captions());
    let (_, speech) = prompt("agent-newlocation");
    let at = say(&ear, 0, &speech[..24_000]);
    let Recognised::Caption(caption) = next(&mut results).await else { panic!("no caption") };
    assert!(!caption.tail.is_empty());
    let at = say(&ear, at, &speech[24_000..]);
    say(&ear, at, &silence(1000));
    ear.finish();
    let all = until_finished(&mut results, 1).await;
    let last = all.iter().rev().find_map(|r| if let Recognised::Caption(caption) = r { Some(caption) } else { None });
    assert!(last.is_some_and(|caption| caption.agreed.is_empty() && caption.tail.is_empty()), "{all:?}");
}
