//! What a recogniser is told of an ear: its language, given or found out, and its terms.

use std::sync::Arc;

use models::{EarOptions, PartyKey, Recognised, TranscriberConfig};

use crate::scripted::Scripted;
use crate::support::{config, load, prompt, say, silence, until_finished};

#[tokio::test]
async fn a_party_is_written_in_the_language_of_its_ear_and_another_in_the_one_that_is_heard() {
    let (backend, mut calls) = Scripted::new(|_| Ok("Bonjour.".to_owned()));
    // Short words of another language do not turn the second party's round.
    let backend = backend.hearing([("fr", 0.95), ("fr", 0.95), ("fr", 0.95), ("nl", 0.6)]);
    let (transcriber, mut results) =
        load(TranscriberConfig { backend: Some(Arc::new(backend)), workers: 1, ..config() }).await;
    let (_, speech) = prompt("vm-options");
    let german =
        EarOptions { language: Some("de".to_owned()), terms: vec!["Roomtone".to_owned()], ..EarOptions::default() };
    let ear = transcriber.open_with(PartyKey(1), german);
    say(&ear, 0, &speech);
    ear.finish();
    until_finished(&mut results, 1).await;
    let mut seen = Vec::new();
    while let Ok(call) = calls.try_recv() {
        assert_eq!(call.prompt, "Glossary: Roomtone.");
        seen.push(call.language);
    }
    assert!(!seen.is_empty() && seen.iter().all(|language| language.as_deref() == Some("de")), "{seen:?}");

    let ear = transcriber.open(PartyKey(2));
    let mut at = 0;
    for _ in 0..5 {
        at = say(&ear, at, &speech);
        at = say(&ear, at, &silence(1000));
    }
    ear.finish();
    let all = until_finished(&mut results, 1).await;
    let languages: Vec<_> = all
        .iter()
        .filter_map(|r| if let Recognised::Utterance(u) = r { Some(u.language.as_deref()) } else { None })
        .collect();
    assert!(languages.len() >= 5 && languages.iter().all(|language| *language == Some("fr")), "{languages:?}");
}

#[tokio::test]
async fn a_language_that_does_not_exist_counts_as_none() {
    let (backend, mut calls) = Scripted::new(|_| Ok("Yes.".to_owned()));
    let (transcriber, mut results) = load(TranscriberConfig { backend: Some(Arc::new(backend)), ..config() }).await;
    let options = EarOptions { language: Some("zz\0".to_owned()), ..EarOptions::default() };
    let ear = transcriber.open_with(PartyKey(1), options);
    say(&ear, 0, &prompt("agent-newlocation").1);
    ear.finish();
    until_finished(&mut results, 1).await;
    assert_eq!(calls.recv().await.expect("a call").language, None);
}
