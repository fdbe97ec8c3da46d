//! Words from a recogniser behind HTTP: against a server that does whatever servers do.

use std::sync::Arc;
use std::time::Duration;

use models::speech::backend::http::{HttpBackend, HttpConfig};
use models::speech::backend::{Backend as _, BackendError, Decoded, Look, Task};
use models::{PartyKey, Recognised};
use serde_json::json;

use crate::double::{Answer, Asked, Double, nobody};
use crate::support::{config, keep_log, load, log, prompt, say, silence, until_finished};

fn text(words: &str) -> Answer {
    Answer::json(200, &json!({"text": words}))
}

fn backend(double: &Double) -> HttpBackend {
    HttpBackend::new(HttpConfig { timeout: Duration::from_secs(60), ..HttpConfig::new(&double.url, "tiny") }).unwrap()
}

fn decode(backend: &HttpBackend) -> Result<Decoded, BackendError> {
    let task = Task { samples: &[0.25; 16_000], look: Look::Quick, language: None, prompt: "Roomtone" };
    backend.worker().unwrap().decode(&task)
}

fn why(result: Result<Decoded, BackendError>) -> BackendError {
    let error = result.err().unwrap();
    assert!(!error.to_string().contains("canary"), "{error}");
    error
}

fn form(asked: &Asked) -> String {
    String::from_utf8_lossy(&asked.body).into_owned()
}

#[test]
fn an_utterance_goes_out_as_a_file_and_comes_back_as_words() {
    let double = Double::new(|_, _| {
        Answer::json(
            200,
            &json!({"text": "We ship.", "language": "english", "words": [{"word": "We", "start": 0.0, "end": 0.2}],
                "segments": [{"avg_logprob": -0.5, "no_speech_prob": 0.25, "tokens": [1, 2]}]}),
        )
    });
    let mut config = HttpConfig::new(format!("{}/v1", double.url), "/models/tiny.gguf");
    config.api_key = Some("sk-canary".to_owned().into());
    let backend = HttpBackend::new(config).unwrap();
    assert_eq!((backend.name(), backend.can_caption(), backend.stays_here()), ("http tiny", false, true));
    let decoded = decode(&backend).unwrap();
    assert_eq!((decoded.text.as_str(), decoded.language.as_deref(), decoded.words.len()), ("We ship.", Some("en"), 1));
    assert!((decoded.mean_logprob + 0.5).abs() < 1e-6 && (decoded.no_speech - 0.25).abs() < 1e-6);
    let asked = &double.asked()[0];
    assert!(asked.head.starts_with("post /v1/audio/transcriptions "), "{}", asked.head);
    assert!(asked.head.contains("authorization: bearer sk-canary"));
    let body = form(asked);
    assert!(body.contains("verbose_json") && body.contains("Roomtone") && !body.contains("name=\"language\""));
    let at = asked.body.windows(4).position(|w| w == b"RIFF").unwrap();
    let wav = hound::WavReader::new(&asked.body[at..]).unwrap();
    assert_eq!((wav.len(), wav.spec().sample_rate), (16_000, 16_000));
    assert!(!format!("{backend:?}").contains("sk-canary"));
}

#[test]
fn a_server_that_knows_only_text_is_asked_for_text_and_then_always_so() {
    let double = Double::new(|_, asked| match form(asked).contains("verbose_json") {
        true => Answer::status(400),
        false => text("We ship."),
    });
    let backend = backend(&double);
    for requests in [3, 4] {
        assert_eq!(decode(&backend).unwrap().text.as_str(), "We ship.");
        assert_eq!(double.asked().len(), requests);
    }
}

#[test]
fn each_failure_says_whether_asking_again_helps() {
    let failed = |double: Double| (why(decode(&backend(&double))), double.asked().len());
    let (error, times) = failed(Double::new(|_, _| Answer::Full(503, "retry-after: 0".to_owned(), b"canary".to_vec())));
    assert!(matches!(error, BackendError::Unavailable { .. }) && times == 2, "{error}");
    let (error, times) = failed(Double::new(|_, _| Answer::Full(429, "retry-after: 99".to_owned(), Vec::new())));
    assert!(
        matches!(error, BackendError::Unavailable { retry_after: Some(after), .. } if after.as_secs() == 99 && times == 1)
    );
    let (error, times) = failed(Double::new(|_, _| Answer::status(403)));
    assert!(matches!(error, BackendError::Refused { .. }) && times == 1, "{error}");
    let (error, times) = failed(Double::new(|_, _| Answer::Half));
    assert!(matches!(error, BackendError::Failed { .. }) && times == 2, "{error}");
    let (error, _) = failed(Double::new(|_, _| Answer::Endless));
    assert!(matches!(error, BackendError::Refused { .. }), "{error}");
    let (error, _) = failed(Double::new(|_, _| Answer::Full(200, String::new(), b"<html>canary</html>".to_vec())));
    assert!(matches!(error, BackendError::Refused { .. }), "{error}");

    let double = Double::new(|_, _| Answer::Silence);
    let short = HttpConfig { timeout: Duration::from_millis(300), ..HttpConfig::new(&double.url, "tiny") };
    let error = why(decode(&HttpBackend::new(short).unwrap()));
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    let gone = HttpBackend::new(HttpConfig::new(nobody(), "tiny")).unwrap();
    assert!(matches!(why(decode(&gone)), BackendError::Unavailable { .. }));
    assert!(gone.check().is_err());
    assert!(backend(&Double::new(|_, _| Answer::status(404))).check().is_ok());
    assert!(HttpBackend::new(HttpConfig::new("not a url", "tiny")).is_err());
}

#[tokio::test]
async fn a_call_is_written_down_by_whoever_was_configured_and_says_so() {
    keep_log();
    let double = Double::new(|_, _| text("Somebody else heard canarywords."));
    let mut config = config();
    config.backend = Some(Arc::new(backend(&double)));
    let (transcriber, mut results) = load(config).await;
    let ear = transcriber.open(PartyKey(5));
    let (_, pcm) = prompt("vm-options");
    let at = say(&ear, 0, &pcm);
    say(&ear, at, &silence(1200));
    ear.finish();
    let heard = until_finished(&mut results, 1).await;
    let utterances: Vec<_> = heard
        .iter()
        .filter_map(|result| match result {
            Recognised::Utterance(utterance) => Some(utterance),
            _ => None,
        })
        .collect();
    assert!(!utterances.is_empty());
    assert!(utterances.iter().all(|u| &*u.recogniser == "http tiny" && u.text.contains("canarywords")));
    assert!(!log().contains("canarywords"));
}
