//! Against real servers that set-up installs: llama.cpp's with a real model, and faster-whisper behind HTTP. Ignored where
//! cargo alone runs them; `cargo xtask test` says where the servers are.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use models::eval::word_errors;
use models::notes::llm::{LlmConfig, LlmWriter};
use models::notes::{NoteTaker, keep_supported};
use models::speech::backend::http::{HttpBackend, HttpConfig};
use models::{PartyKey, Recognised};

use crate::llm::release_planning;
use crate::support::{config, keep_log, load, log, prompt, say, silence, until_finished};

/// How often it is looked whether a server is up, and how long between.
const LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(500);

/// A server as a process of its own; ended when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Runs `python -m module` with these arguments and a free port, and waits until `is_up`.
    fn start(python: &str, module: &str, arguments: &[&str], is_up: impl Fn(&str) -> bool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = Command::new(variable(python));
        command.args(["-m", module]).args(arguments).args(["--host", "127.0.0.1", "--port", &port]);
        let child = command
            .env("HF_HUB_OFFLINE", "1")
            .env("OMP_NUM_THREADS", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..LOOKS {
            if is_up(&server.url) {
                return server;
            }
            assert!(server.child.try_wait().unwrap().is_none(), "{module} ended before it answered");
            std::thread::sleep(PAUSE);
        }
        panic!("{module} does not answer");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `cargo xtask test` sets it"))
}

#[test]
#[ignore = "needs llama.cpp's server and a language model: `cargo xtask test --only servers` runs it"]
fn a_real_server_with_a_real_model_writes_notes_that_rest_on_what_was_said() {
    keep_log();
    let model = variable("ROOMTONE_GGUF");
    let arguments = ["--model", &model, "--n_ctx", "2048", "--n_threads", "1", "--n_threads_batch", "1"];
    let writer = |url: &str| {
        let mut config = LlmConfig::new(url, &model);
        // Slow: a token may take a second where all cores are at work.
        config.timeout = Duration::from_secs(900);
        config.context_tokens = 2048;
        config.max_tokens = 700;
        LlmWriter::new(config).unwrap()
    };
    let server =
        Server::start("ROOMTONE_LLAMACPP_PYTHON", "llama_cpp.server", &arguments, |url| writer(url).check().is_ok());
    let call = release_planning();
    let writer = Arc::new(writer(&server.url));
    let mut taker = NoteTaker::new(vec![writer], call.started_ms, call.time_zone.clone(), Vec::new());
    for utterance in call.utterances.clone() {
        taker.add(utterance);
    }
    let notes = taker.finish(None);
    assert!(notes.written_by.starts_with("llm qwen2.5"), "{}", notes.written_by);
    assert!(!notes.title.is_empty() && !notes.summary.is_empty());
    let mut again = notes.clone();
    keep_supported(&mut again, &call);
    assert_eq!(again, notes, "an item is not borne by what was said");
    let mut cites: Vec<u64> = notes.summary.iter().chain(&notes.decisions).flat_map(|c| c.cites.clone()).collect();
    cites.extend(notes.actions.iter().flat_map(|a| a.cites.clone()));
    assert!(!cites.is_empty() && cites.iter().all(|id| call.utterances.iter().any(|u| u.id == *id)));
    let sent = notes.actions.iter().find(|a| a.text.contains("mock-ups")).unwrap();
    assert_eq!(sent.owner.as_deref(), Some("Ada Lovelace"));
    assert_eq!(sent.due.as_ref().map(|due| due.date.to_string()).as_deref(), Some("2026-11-26"));
    assert!(!log().contains("mock-ups"));
}

#[tokio::test]
#[ignore = "needs faster-whisper's server and its weights: `cargo xtask test --only servers` runs it"]
async fn a_real_recogniser_behind_http_hears_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("base.en");
    let converter = PathBuf::from(variable("ROOMTONE_GGML2CT2"));
    let converted = Command::new(variable("ROOMTONE_FASTERWHISPER_PYTHON"))
        .arg(converter)
        .args([&config().whisper, &weights])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(converted.success());
    // Slow where all cores are at work.
    let patient = |url: &str| HttpConfig { timeout: Duration::from_secs(600), ..HttpConfig::new(url, "whisper-1") };
    let backend = move |url: &str| HttpBackend::new(patient(url)).unwrap();
    let server = tokio::task::spawn_blocking(move || {
        let weights = weights.to_str().unwrap().to_owned();
        Server::start("ROOMTONE_FASTERWHISPER_PYTHON", "faster_whisper_server", &[&weights], |url| {
            backend(url).check().is_ok()
        })
    })
    .await
    .unwrap();
    let mut config = config();
    config.backend = Some(Arc::new(backend(&server.url)));
    let (transcriber, mut results) = load(config).await;
    let ear = transcriber.open(PartyKey(1));
    let (mut said, mut at) = (String::new(), 0);
    for name in ["agent-newlocation", "vm-torerecord"] {
        let (text, pcm) = prompt(name);
        said.push_str(&text);
        said.push(' ');
        at = say(&ear, at, &pcm);
        at = say(&ear, at, &silence(1200));
    }
    ear.finish();
    let mut heard = String::new();
    for result in until_finished(&mut results, 1).await {
        assert!(!matches!(result, Recognised::FellBehind { .. }), "an utterance was given up");
        if let Recognised::Utterance(utterance) = result {
            assert_eq!(&*utterance.recogniser, "http whisper-1");
            assert!(utterance.confidence > 0.4 && utterance.confidence < 1.0, "{}", utterance.confidence);
            assert_eq!(utterance.language.as_deref(), Some("en"));
            heard.push_str(&utterance.text);
            heard.push(' ');
        }
    }
    let errors = word_errors(&said, &heard);
    assert!(errors.rate() < 0.15, "{errors:?}\n said {said}\nheard {heard}");
}
