//! A download over HTTPS that goes on where it broke off.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

/// How long a server may take to accept a connection, or be silent within one.
const PATIENCE: Duration = Duration::from_secs(15);
/// The model hub where `HF_ENDPOINT` names no other.
const HUB: &str = "https://huggingface.co";

/// Why a download did not come to its end.
pub(super) struct Failure {
    pub(super) cause: String,
    /// Nobody answered at all: asking for another file is no use now.
    pub(super) unreachable: bool,
}

impl From<String> for Failure {
    fn from(cause: String) -> Self {
        Self { cause, unreachable: false }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        error.to_string().into()
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self { cause: chain(&error), unreachable: error.is_connect() }
    }
}

/// The address of a file of the model hub.
pub(super) fn hub_address(repository: &str, path: &str) -> String {
    let hub = std::env::var("HF_ENDPOINT").ok().filter(|h| !h.is_empty()).unwrap_or_else(|| HUB.to_owned());
    format!("{}/{repository}/resolve/main/{path}", hub.trim_end_matches('/'))
}

/// Downloads into `part`, behind what is in it already. `expected`: the whole file's size, if known; without it a
/// download starts anew, as nothing tells whether the rest fits.
pub(super) async fn resume(
    url: &str,
    part: &Path,
    expected: Option<u64>,
    limit: u64,
    told: impl Fn(u64),
) -> Result<(), Failure> {
    let client = reqwest::Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build()?;
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(part)?;
    let have = file.metadata().map(|m| m.len()).unwrap_or(0);
    let have = if expected.is_some_and(|expected| have < expected) { have } else { 0 };
    told(have);
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(reqwest::header::RANGE, format!("bytes={have}-"));
    }
    let mut response = request.send().await?.error_for_status()?;
    let mut done = if response.status() == reqwest::StatusCode::PARTIAL_CONTENT { have } else { 0 };
    let announced = response.content_length().map(|rest| done + rest);
    file.set_len(done)?;
    file.seek(SeekFrom::Start(done))?;
    while let Some(chunk) = response.chunk().await? {
        done += chunk.len() as u64;
        if done > limit {
            let _ = std::fs::remove_file(part);
            return Err(format!("more than {limit} bytes came").into());
        }
        file.write_all(&chunk)?;
        told(done);
    }
    match expected.or(announced) {
        Some(whole) if done < whole => {
            let rest = if expected.is_some() { "; the next try goes on from there" } else { "" };
            Err(format!("{done} of {whole} bytes came{rest}").into())
        }
        _ => Ok(()),
    }
}

/// An error with its causes, without the address (it may hold a token).
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() { "cannot connect".to_owned() } else { "the download broke off".to_owned() };
    if let Some(status) = error.status() {
        text = format!("answered {status}");
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
