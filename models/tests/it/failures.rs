//! A recogniser that fails, is away or panics: finals are tried again, and what is given up is told.

use std::sync::Arc;
use std::time::Duration;

use models::speech::backend::BackendError;
use models::{PartyKey, Recognised, Transcriber, TranscriberConfig};
use tokio::sync::mpsc::Receiver;

use crate::scripted::{Call, Scripted};
use crate::support::{config, load, prompt, say, silence, until_finished};

async fn with(
    script: impl Fn(&Call) -> Result<String, BackendError> + Send + Sync + 'static,
) -> (Transcriber, Receiver<Recognised>) {
    let (backend, _) = Scripted::new(script);
    let config = TranscriberConfig { backend: Some(Arc::new(backend)), workers: 1, ..config() };
    load(config).await
}

async fn one_utterance(transcriber: &Transcriber, results: &mut Receiver<Recognised>) -> Vec<Recognised> {
    let ear = transcriber.open(PartyKey(1));
    let at = say(&ear, 0, &prompt("agent-newlocation").1);
    say(&ear, at, &silence(1000));
    ear.finish();
    until_finished(results, 1).await
}

fn away() -> BackendError {
    BackendError::Unavailable { what: "not reachable".to_owned(), retry_after: Some(Duration::from_millis(5)) }
}

#[tokio::test]
async fn an_utterance_that_failed_is_tried_again_and_none_is_lost() {
    let (transcriber, mut results) = with(|call| match call.number {
        0 => Err(away()),
        1 => panic!("as bindings may"),
        _ => Ok("Enter the number.".to_owned()),
    })
    .await;
    let all = one_utterance(&transcriber, &mut results).await;
    let [Recognised::Utterance(utterance), Recognised::Finished { .. }] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((utterance.text.as_str(), &*utterance.recogniser), ("Enter the number.", "scripted"));
    let stats = transcriber.stats();
    assert_eq!((stats.retries, stats.backend_failures, stats.failed, stats.lost_ms), (2, 2, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn an_utterance_that_cannot_be_decoded_is_told_as_lost() {
    let (transcriber, mut results) = with(|_| Err(away())).await;
    let all = one_utterance(&transcriber, &mut results).await;
    let [Recognised::FellBehind { lost_ms, .. }, Recognised::Finished { .. }] = all.as_slice() else {
        panic!("{all:?}")
    };
    let stats = transcriber.stats();
    assert!(*lost_ms > 1000 && stats.lost_ms == *lost_ms, "{stats:?}");
    assert_eq!((stats.failed, stats.retries), (1, 3), "{stats:?}");
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    let (transcriber, mut results) = with(|_| Err(BackendError::Refused { what: "wrong key".to_owned() })).await;
    let all = one_utterance(&transcriber, &mut results).await;
    assert!(matches!(all.as_slice(), [Recognised::FellBehind { .. }, Recognised::Finished { .. }]), "{all:?}");
    assert_eq!(transcriber.stats().backend_failures, 1);
}
