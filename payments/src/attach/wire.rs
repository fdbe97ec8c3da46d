//! How two processes talk: lines of JSON over a stream, one connection for a question or a call.
//!
//! ```text
//! client                                  server
//! {"hello":{"token":"…"}}
//! {"ask":{"balance":{"room":"!a:hs"}}}    {"answer":{…}} or {"refused":{…}}, end
//!
//! {"hello":{"token":"…"}}
//! {"reserve":{…}}                         "free", {"declined":{…}}, or "reserved", then
//! "answered"                              {"happened":{"warn":…}}, {"charged":412000}, …
//! {"ended":{…}}                           {"closed":412000}, end
//! ```
//!
//! A connection that breaks in a call ends the call for the module as a desk that died does, and cuts it for the desk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::ask::{Answer, Ask, Refused};
use crate::charge::{Ended, Happened, Means};
use crate::{ChargeRequest, Msat};

/// No line is longer. A statement of a thousand lines is a tenth of it.
const LONGEST: u64 = 1 << 20;
/// A peer that says nothing for so long where it should is gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the module serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket: who may open the file may ask.
    Unix(PathBuf),
    /// A port on this machine: who knows the token may ask.
    Loopback(SocketAddr),
}

/// Why words are no address to serve at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither a file nor an address with port.
    #[error("{0:?} is no place to serve at; write unix:FILE, or a loopback address as in 127.0.0.1:9081")]
    Neither(String),
    /// Others could reach it.
    #[error(
        "{0} can be reached from other machines, and what goes over it is not encrypted; take a loopback address or unix:FILE"
    )]
    NotLoopback(SocketAddr),
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(file) = text.strip_prefix("unix:").filter(|file| !file.is_empty()) {
            return Ok(Self::Unix(file.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            Ok(address) => Err(AddressError::NotLoopback(address)),
            Err(_) => Err(AddressError::Neither(text.chars().take(100).collect())),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(file) => write!(f, "unix:{}", file.display()),
            Self::Loopback(address) => write!(f, "{address}"),
        }
    }
}

/// What the client says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// First of all.
    Hello { token: String },
    /// A question.
    Ask(Ask),
    /// A call is to be paid for.
    Reserve(ChargeRequest),
    /// It was answered.
    Answered,
    /// It has ended.
    Ended(Box<Ended>),
}

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Replied {
    Answer(Box<Answer>),
    Refused(Refused),
    /// Nobody charges for the call.
    Free,
    Reserved,
    Declined {
        means: Means,
        text: String,
    },
    Happened(Happened),
    Charged(Msat),
    Closed(Msat),
}

/// Why a conversation ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the other side says what is not understood: {0}; do both run the same version?")]
    Json(#[from] serde_json::Error),
    #[error("a line has more than {LONGEST} bytes")]
    TooLong,
    #[error("the other side has not answered for {} s", PATIENCE.as_secs())]
    Slow,
}

/// One line, as it comes; `None`: the other side has ended. May be dropped half way only if the connection is then given up.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<T>, WireError> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if line.len() as u64 >= LONGEST => Err(WireError::TooLong),
        // It broke off within a line: as if it had not been said.
        Some(_) => Ok(None),
    }
}

/// The same within [`PATIENCE`].
pub(super) async fn read_soon<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<T>, WireError> {
    tokio::time::timeout(PATIENCE, read(from)).await.map_err(|_| WireError::Slow)?
}

/// Writes one line.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> Result<(), WireError> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    let written = async {
        to.write_all(&line).await?;
        to.flush().await
    };
    tokio::time::timeout(PATIENCE, written).await.map_err(|_| WireError::Slow)??;
    Ok(())
}

/// Whether the token is the right one. By their hashes: how long it takes says nothing about where they differ.
pub(super) fn is_right(token: Option<&SecretString>, said: &str) -> bool {
    token.is_none_or(|token| Sha256::digest(token.expose_secret().as_bytes()) == Sha256::digest(said.as_bytes()))
}

/// A connection, whichever it is.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_others_could_reach_is_refused() {
        assert_eq!("unix:/run/roomtone/payments.sock".parse(), Ok(Address::Unix("/run/roomtone/payments.sock".into())));
        assert!(matches!("[::1]:9081".parse(), Ok(Address::Loopback(_))));
        assert!(matches!("0.0.0.0:9081".parse::<Address>(), Err(AddressError::NotLoopback(_))));
        for neither in ["", "unix:", "localhost", "example.com:80", "127.0.0.1"] {
            assert!(matches!(neither.parse::<Address>(), Err(AddressError::Neither(_))), "{neither}");
        }
    }

    #[test]
    fn without_a_token_anybody_is_right_and_with_one_only_who_knows_it() {
        let token = SecretString::from("sesame");
        assert!(is_right(None, "anything") && is_right(Some(&token), "sesame"));
        assert!(!is_right(Some(&token), "") && !is_right(Some(&token), "sesame "));
    }

    #[tokio::test]
    async fn a_line_that_broke_off_was_not_said_and_a_long_one_is_refused() {
        let mut broken: &[u8] = b"\"answered\"\n\"ans";
        assert!(matches!(read(&mut broken).await, Ok(Some(Said::Answered))));
        assert!(matches!(read::<Said>(&mut broken).await, Ok(None)));
        let long = vec![b' '; 2 << 20];
        assert!(matches!(read::<Said>(&mut &long[..]).await, Err(WireError::TooLong)));
        assert!(matches!(read::<Said>(&mut &b"{}\n"[..]).await, Err(WireError::Json(_))));
    }
}
