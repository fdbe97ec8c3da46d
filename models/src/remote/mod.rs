//! Requests to a server of the operator's choice (a language model, a recogniser): bounded in time, size and number, tried
//! again only where that can help.
//!
//! What is sent and answered holds words of a call, or its sound. So errors tell who, which status and what to do, never
//! what was in a body; no redirect is followed, since people agreed to one host; buffers of ours are wiped. Those of
//! the HTTP and TLS libraries are not in our hands.

mod dialect;
mod retry;

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

pub(crate) use dialect::Dialect;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Bounds of one request with all its tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the first byte sent to the last one received, each try.
    pub(crate) each: Duration,
    /// All tries together, with the waits between them and the wait for one's turn.
    pub(crate) all: Duration,
    /// At most this many tries.
    pub(crate) tries: u32,
    /// Also where the server says that it failed (500). Other passing failures always count as such.
    pub(crate) again_after_500: bool,
    /// A longer answer is refused.
    pub(crate) answer_bytes: usize,
}

/// Why there is no answer. No message holds words of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RemoteError {
    /// What was configured cannot be a server.
    #[error("{0}")]
    BadConfig(String),
    /// No connection.
    #[error("{host} cannot be reached: {what}; check its url and that the server runs")]
    Unreachable { host: String, what: String },
    /// Too slow, also when tried again.
    #[error("{host} gave no answer within {seconds} s")]
    TimedOut { host: String, seconds: u64 },
    /// 401 or 403.
    #[error("{host} refused the API key ({status}); check api_key_file")]
    Unauthorised { host: String, status: u16 },
    /// Any other status that is not a success. `code`: the name that the server gives it, if it gives one; `retry_after`:
    /// how long it asked to be left alone.
    #[error("{host} answered {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused { host: String, status: u16, code: Option<String>, retry_after: Option<Duration> },
    /// Longer than allowed.
    #[error("{host} answered more than {limit} bytes")]
    TooLong { host: String, limit: usize },
    /// The answer or the connection ended too early.
    #[error("{host} broke off: {what}")]
    Broken { host: String, what: String },
}

impl RemoteError {
    /// The status with which the server refused the request itself.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Unauthorised { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// One server. May be used from any thread, also one that runs async tasks (which it then blocks).
pub(crate) struct Remote {
    client: Client,
    /// `None` only while dropped. One thread: it waits, it does not work.
    runtime: Option<Runtime>,
    host: String,
    turns: Turns,
}

impl Remote {
    /// For the server of `url`. At most `at_once` requests are under way at a time; others wait for their turn.
    pub(crate) fn new(url: &Url, api_key: Option<&SecretString>, at_once: usize) -> Result<Self, RemoteError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret().trim()))
                .map_err(|_| RemoteError::BadConfig("the API key has characters that no header carries".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut client = Client::builder()
            .user_agent(concat!("roomtone/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(url) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| RemoteError::BadConfig(root_cause(&error)))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("remote")
            .enable_all()
            .build()
            .map_err(|error| RemoteError::BadConfig(format!("cannot start a thread for requests: {error}")))?;
        Ok(Self { client, runtime: Some(runtime), host: host(url), turns: Turns::new(at_once) })
    }

    /// Host and port, as people are told who sees their words.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Posts a body and waits for the answer.
    pub(crate) fn post(
        &self,
        url: &Url,
        content_type: &str,
        body: Zeroizing<Vec<u8>>,
        limits: Limits,
    ) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
        let request = self.client.request(Method::POST, url.clone()).header(CONTENT_TYPE, content_type);
        self.run(request.body(Bytes::from_owner(body)), limits)
    }

    /// Gets what lies at `url`.
    pub(crate) fn get(&self, url: &Url, limits: Limits) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
        self.run(self.client.request(Method::GET, url.clone()), limits)
    }

    fn run(&self, request: reqwest::RequestBuilder, limits: Limits) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
        let until = Instant::now() + limits.all;
        let timed_out = || RemoteError::TimedOut { host: self.host.clone(), seconds: limits.all.as_secs() };
        let _turn = self.turns.take(until).ok_or_else(timed_out)?;
        let runtime = self.runtime.as_ref().ok_or_else(timed_out)?;
        let (answer, wait) = std::sync::mpsc::sync_channel(1);
        let host = self.host.clone();
        runtime.spawn(async move {
            // Nobody waits any more only if this process ends.
            let _ = answer.send(tries(&request, &host, limits, until).await);
        });
        let lost = |_| RemoteError::Broken { host: self.host.clone(), what: "the request was lost".to_owned() };
        wait.recv().map_err(lost)?
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // A runtime must not be dropped where async tasks run; in the background it may.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("host", &self.host).finish_non_exhaustive()
    }
}

async fn tries(
    request: &reqwest::RequestBuilder,
    host: &str,
    limits: Limits,
    until: Instant,
) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
    let mut tried = 0;
    loop {
        tried += 1;
        let left = until.saturating_duration_since(Instant::now());
        let each = limits.each.min(left);
        let error = match tokio::time::timeout(each, once(request, host, limits.answer_bytes)).await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) => error,
            Err(_) => RemoteError::TimedOut { host: host.to_owned(), seconds: each.as_secs() },
        };
        let left = until.saturating_duration_since(Instant::now());
        match retry::wait(&error, tried, limits, left) {
            Some(wait) => {
                tracing::debug!(host, tried, wait_ms = wait.as_millis() as u64, %error, "a request is tried again");
                tokio::time::sleep(wait).await;
            }
            None => return Err(error),
        }
    }
}

async fn once(request: &reqwest::RequestBuilder, host: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
    let again = request.try_clone().ok_or_else(|| RemoteError::Broken {
        host: host.to_owned(),
        what: "the request cannot be sent twice".to_owned(),
    })?;
    let mut response = again.send().await.map_err(|error| failure(&error, host))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| retry::retry_after(value.to_str().ok()?));
    // Growing would leave copies of words behind.
    let expected = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(16 * 1024);
    let mut body = Zeroizing::new(Vec::with_capacity(expected.min(most)));
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error, host))? {
        if body.len() + chunk.len() > most {
            return Err(RemoteError::TooLong { host: host.to_owned(), limit: most });
        }
        body.extend_from_slice(&chunk);
    }
    match status.as_u16() {
        _ if status.is_success() => Ok(body),
        status @ (401 | 403) => Err(RemoteError::Unauthorised { host: host.to_owned(), status }),
        status => Err(RemoteError::Refused { host: host.to_owned(), status, code: error_code(&body), retry_after }),
    }
}

fn failure(error: &reqwest::Error, host: &str) -> RemoteError {
    let (host, what) = (host.to_owned(), root_cause(error));
    if error.is_connect() { RemoteError::Unreachable { host, what } } else { RemoteError::Broken { host, what } }
}

/// The innermost cause: the outer ones repeat the address, which can hold a secret.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The name that OpenAI-compatible servers give an error (`model_not_found`). Their message may quote the request, so only
/// what is a plain identifier is taken.
fn error_code(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error")?;
    let name = ["code", "type"].iter().find_map(|key| error.get(*key)?.as_str())?;
    let is_plain =
        name.len() <= 48 && !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'));
    is_plain.then(|| name.to_owned())
}

/// Where `path` (`chat/completions`) is on the server that an operator named: with or without `/v1`, with or without the
/// path itself.
pub(crate) fn address(configured: &str, path: &str) -> Result<Url, RemoteError> {
    let bad = |what: &str| RemoteError::BadConfig(format!("the url is not usable: {what}"));
    let mut url = Url::parse(configured.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it must begin with http:// or https:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user or a password; put the key into api_key_file"));
    }
    let base = url.path().trim_end_matches('/').to_owned();
    let whole = match base.strip_suffix(path) {
        Some(rest) if rest.ends_with('/') => base.clone(),
        _ if base.is_empty() => format!("/v1/{path}"),
        _ => format!("{base}/{path}"),
    };
    url.set_path(&whole);
    url.set_fragment(None);
    Ok(url)
}

/// Whether what is sent there stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']') {
        "localhost" => true,
        host => host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// Of a path or a registry's name only what tells the model (`/models/qwen2.5-1.5b-q4.gguf` is `qwen2.5-1.5b-q4`).
pub(crate) fn short_name(model: &str) -> String {
    let last = model.trim().rsplit(['/', '\\']).next().unwrap_or_default();
    let last = last.strip_suffix(".gguf").unwrap_or(last);
    last.chars().filter(|c| !c.is_control()).take(48).collect()
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// So many may be under way at once.
struct Turns {
    free: Mutex<usize>,
    one_is_free: Condvar,
}

struct Turn<'a>(&'a Turns);

impl Turns {
    fn new(at_once: usize) -> Self {
        Self { free: Mutex::new(at_once.max(1)), one_is_free: Condvar::new() }
    }

    /// `None`: it did not come in time.
    fn take(&self, until: Instant) -> Option<Turn<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            let left = until.checked_duration_since(Instant::now())?;
            free = self.one_is_free.wait_timeout(free, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.one_is_free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_named_in_any_of_the_usual_ways() {
        for (configured, whole) in [
            ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1/chat/completions"),
            ("http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1/chat/completions"),
            (" https://llm.example.org/v1/ ", "https://llm.example.org/v1/chat/completions"),
            ("https://llm.example.org/v1/chat/completions", "https://llm.example.org/v1/chat/completions"),
            ("https://gate.example.org/tenant/openai/v1", "https://gate.example.org/tenant/openai/v1/chat/completions"),
        ] {
            assert_eq!(address(configured, "chat/completions").unwrap().as_str(), whole, "{configured}");
        }
        for configured in ["", "localhost:11434", "ftp://a/v1", "https://user:s3cret@a.example.org/v1", "http://"] {
            let error = address(configured, "chat/completions").unwrap_err().to_string();
            assert!(error.contains("url is not usable") && !error.contains("s3cret"), "{configured}: {error}");
        }
    }

    #[test]
    fn only_loopback_stays_on_this_machine() {
        for (url, stays) in [
            ("http://localhost:1/v1", true),
            ("http://127.0.0.9/v1", true),
            ("http://[::1]:8000/v1", true),
            ("http://10.0.0.1/v1", false),
            ("https://localhost.example.org/v1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), stays, "{url}");
        }
        assert_eq!(host(&Url::parse("http://[::1]:8000/v1").unwrap()), "[::1]:8000");
        assert_eq!(host(&Url::parse("https://llm.example.org/v1").unwrap()), "llm.example.org");
    }

    #[test]
    fn the_name_tells_the_model_and_no_path() {
        for (model, name) in [
            ("qwen2.5:7b", "qwen2.5:7b"),
            ("/srv/models/qwen2.5-coder-1.5b.gguf", "qwen2.5-coder-1.5b"),
            ("meta-llama/Llama-3.1-8B-Instruct", "Llama-3.1-8B-Instruct"),
        ] {
            assert_eq!(short_name(model), name);
        }
    }

    #[test]
    fn an_error_is_named_but_not_quoted() {
        let code = |body: &str| error_code(body.as_bytes());
        assert_eq!(code(r#"{"error":{"code":"model_not_found","message":"said"}}"#).unwrap(), "model_not_found");
        assert_eq!(code(r#"{"error":{"code":400,"type":"invalid_request_error"}}"#).unwrap(), "invalid_request_error");
        for body in [r#"{"error":{"code":"Bob owes Ada money"}}"#, r#"{"error":"x"}"#, "[]", "", "<html>"] {
            assert_eq!(code(body), None, "{body}");
        }
    }

    #[test]
    fn a_turn_is_given_back_and_does_not_come_for_ever() {
        let turns = Turns::new(1);
        let soon = || Instant::now() + Duration::from_millis(5);
        let first = turns.take(soon()).unwrap();
        assert!(turns.take(soon()).is_none());
        drop(first);
        assert!(turns.take(soon()).is_some());
    }
}
