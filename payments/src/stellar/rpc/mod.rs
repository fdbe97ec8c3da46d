//! A small client of Stellar RPC (JSON-RPC 2.0 over HTTP): what paying and being paid needs, and nothing more.
//!
//! No answer, a broken one and an error are one thing to whoever pays: the outcome is not known ([`RpcError`] never means
//! that a transaction was not applied). Only [`Found::NotFound`] together with its range of ledgers can mean that.

mod answers;

use std::future::Future;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use stellar_xdr as xdr;
use stellar_xdr::WriteXdr as _;

pub use answers::{AccountState, FeeStats, Found, Latest, Page, Ranges, SendStatus, Sent, Transaction};

use super::read::read_base64;
use super::{Address, Network, ReadError, TxHash};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read: a page of transactions has a few megabytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// The data entry by which an account asks for a memo (SEP-29).
const MEMO_REQUIRED: &str = "config.memo_required";

/// Why there is no answer. Says nothing of what became of a transaction.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The server was not reached, or the connection broke.
    #[error("the Stellar RPC server does not answer: {0}")]
    Unreachable(String),
    /// Another status than 200.
    #[error("the Stellar RPC server answers with HTTP status {0}")]
    Http(u16),
    /// More than is read.
    #[error("the Stellar RPC server's answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    /// Not what the method answers.
    #[error("the Stellar RPC server's answer to {method} is not understood: {error}")]
    Answer {
        /// Asked.
        method: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// A JSON-RPC error.
    #[error("the Stellar RPC server refuses {method}: {message} ({code})")]
    Refused {
        /// Asked.
        method: &'static str,
        /// JSON-RPC's number.
        code: i64,
        /// What the server says, cut short.
        message: String,
    },
    /// XDR that cannot be read.
    #[error("the Stellar RPC server's answer: {0}")]
    Xdr(#[from] ReadError),
    /// Another network than ours: nothing is signed for it.
    #[error(
        "the Stellar RPC server is on the network {found:?}, not on {expected:?}; check payments.settlement.rpc and payments.settlement.network"
    )]
    OtherNetwork {
        /// Ours.
        expected: String,
        /// The server's.
        found: String,
    },
    /// The address is none that is used.
    #[error("{0:?} is no address of a Stellar RPC server; it is https://…, or http:// on this machine")]
    Url(String),
}

/// What the payer and the watcher ask of a network. [`RpcClient`] asks a server.
pub trait Rpc: Send + Sync {
    /// Makes sure that the server is on our network: [`RpcError::OtherNetwork`] if it is not.
    fn check(&self, network: &Network) -> impl Future<Output = Result<(), RpcError>> + Send;
    /// An account's sequence number and whether it asks for a memo; `None`: there is no such account.
    fn account(&self, account: Address) -> impl Future<Output = Result<Option<AccountState>, RpcError>> + Send;
    /// The last closed ledger.
    fn latest(&self) -> impl Future<Output = Result<Latest, RpcError>> + Send;
    /// What others pay for being taken.
    fn fee_stats(&self) -> impl Future<Output = Result<FeeStats, RpcError>> + Send;
    /// Hands in a signed envelope. An answer is not an outcome.
    fn send(&self, envelope: &[u8]) -> impl Future<Output = Result<Sent, RpcError>> + Send;
    /// What became of a transaction.
    fn transaction(&self, hash: TxHash) -> impl Future<Output = Result<Found, RpcError>> + Send;
    /// Transactions of all accounts, in order, from a ledger on or behind a cursor.
    fn transactions(&self, from: &From, limit: u32) -> impl Future<Output = Result<Page, RpcError>> + Send;
}

/// Where to go on reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// With the first transaction of this ledger.
    Ledger(u32),
    /// Behind this cursor.
    Cursor(String),
}

/// A client of one server.
pub struct RpcClient {
    http: reqwest::Client,
    /// May hold a key: providers put theirs into the path.
    url: SecretString,
}

impl std::fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RpcClient")
    }
}

#[derive(Deserialize)]
struct Envelope {
    result: Option<Value>,
    error: Option<RefusedBody>,
}

#[derive(Deserialize)]
struct RefusedBody {
    code: i64,
    #[serde(default)]
    message: String,
}

/// What JSON-RPC can be asked for, without asking.
fn request(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

impl RpcClient {
    /// A client of the server at this address. Plain HTTP only to this machine: the answers decide over money.
    ///
    /// # Errors
    /// [`RpcError::Url`], which does not repeat more than the host.
    pub fn new(url: &str) -> Result<Self, RpcError> {
        let parsed = reqwest::Url::parse(url).map_err(|_| RpcError::Url("(not readable)".to_owned()))?;
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let here = matches!(host.as_str(), "127.0.0.1" | "[::1]" | "localhost");
        if parsed.scheme() != "https" && !(parsed.scheme() == "http" && here) {
            return Err(RpcError::Url(format!("{}://{host}/…", parsed.scheme())));
        }
        // No redirects: they could lead an https address to a plain one.
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| RpcError::Unreachable(error.to_string()))?;
        Ok(Self { http, url: url.to_owned().into() })
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, method: &'static str, params: &Value) -> Result<T, RpcError> {
        // The address may hold a key, and reqwest's errors the address.
        let unreachable = |error: reqwest::Error| RpcError::Unreachable(error.without_url().to_string());
        let sent = self.http.post(self.url.expose_secret()).json(&request(method, params)).send();
        let mut response = sent.await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(RpcError::Http(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(RpcError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        understand(method, &body)
    }
}

/// A whole answer's body to what the method answers.
fn understand<T: serde::de::DeserializeOwned>(method: &'static str, body: &[u8]) -> Result<T, RpcError> {
    let odd = |error: serde_json::Error| RpcError::Answer { method, error: error.to_string() };
    let envelope: Envelope = serde_json::from_slice(body).map_err(odd)?;
    match envelope {
        Envelope { error: Some(RefusedBody { code, message }), .. } => {
            Err(RpcError::Refused { method, code, message: message.chars().take(200).collect() })
        }
        Envelope { result: Some(result), .. } => serde_json::from_value(result).map_err(odd),
        Envelope { .. } => Err(RpcError::Answer { method, error: "neither a result nor an error".to_owned() }),
    }
}

/// Reads an answer's body as every method's, for fuzzing: it is understood or refused.
pub(super) fn read_as_any(body: &[u8]) {
    // Only that they come back matters.
    let _ = understand::<answers::NetworkAnswer>("getNetwork", body).map(|answer| answer.passphrase.len());
    let _ = understand::<answers::LatestAnswer>("getLatestLedger", body).map(|answer| answer.sequence);
    let _ = understand::<answers::FeeStatsAnswer>("getFeeStats", body).map(FeeStats::from);
    let _ = understand::<answers::SendAnswer>("sendTransaction", body).and_then(answers::SendAnswer::read);
    let _ = understand::<answers::TransactionAnswer>("getTransaction", body).and_then(answers::TransactionAnswer::read);
    let _ = understand::<answers::PageAnswer>("getTransactions", body).and_then(answers::PageAnswer::read);
    let entries = understand::<answers::EntriesAnswer>("getLedgerEntries", body).map(|answer| answer.entries);
    for entry in entries.ok().flatten().unwrap_or_default() {
        let _: Result<xdr::LedgerEntryData, _> = read_base64("ledger entry", &entry.xdr);
    }
}

/// The keys under which the ledger holds an account and its wish for a memo.
fn keys(account: Address) -> Result<[String; 2], RpcError> {
    let wrong = |error| ReadError::Xdr { what: "ledger key", error };
    let account_id = account.account_id();
    let name = xdr::String64(MEMO_REQUIRED.try_into().map_err(wrong)?);
    let data = xdr::LedgerKey::Data(xdr::LedgerKeyData { account_id: account_id.clone(), data_name: name });
    let account = xdr::LedgerKey::Account(xdr::LedgerKeyAccount { account_id });
    let text = |key: xdr::LedgerKey| key.to_xdr_base64(xdr::Limits::none()).map_err(wrong);
    Ok([text(account)?, text(data)?])
}

impl Rpc for RpcClient {
    async fn check(&self, network: &Network) -> Result<(), RpcError> {
        let answer: answers::NetworkAnswer = self.ask("getNetwork", &json!({})).await?;
        if answer.passphrase == network.passphrase() {
            return Ok(());
        }
        let found = answer.passphrase.chars().take(80).collect();
        Err(RpcError::OtherNetwork { expected: network.passphrase().to_owned(), found })
    }

    async fn account(&self, account: Address) -> Result<Option<AccountState>, RpcError> {
        let keys = keys(account)?;
        let answer: answers::EntriesAnswer = self.ask("getLedgerEntries", &json!({ "keys": keys })).await?;
        let mut sequence = None;
        let mut memo_required = false;
        for entry in answer.entries.unwrap_or_default() {
            match read_base64("ledger entry", &entry.xdr)? {
                xdr::LedgerEntryData::Account(found) if Address::from_account_id(&found.account_id) == account => {
                    sequence = Some(found.seq_num.0);
                }
                xdr::LedgerEntryData::Data(data) if Address::from_account_id(&data.account_id) == account => {
                    let named = data.data_name.0.as_slice() == MEMO_REQUIRED.as_bytes();
                    memo_required |= named && data.data_value.0.as_slice() == b"1";
                }
                _ => {}
            }
        }
        Ok(sequence.map(|sequence| AccountState { sequence, memo_required, ledger: answer.latest_ledger }))
    }

    async fn latest(&self) -> Result<Latest, RpcError> {
        let answer: answers::LatestAnswer = self.ask("getLatestLedger", &json!({})).await?;
        Ok(Latest { ledger: answer.sequence })
    }

    async fn fee_stats(&self) -> Result<FeeStats, RpcError> {
        let answer: answers::FeeStatsAnswer = self.ask("getFeeStats", &json!({})).await?;
        Ok(answer.into())
    }

    async fn send(&self, envelope: &[u8]) -> Result<Sent, RpcError> {
        let params = json!({ "transaction": BASE64.encode(envelope) });
        let answer: answers::SendAnswer = self.ask("sendTransaction", &params).await?;
        answer.read()
    }

    async fn transaction(&self, hash: TxHash) -> Result<Found, RpcError> {
        let answer: answers::TransactionAnswer =
            self.ask("getTransaction", &json!({ "hash": hash.to_string() })).await?;
        answer.read()
    }

    async fn transactions(&self, from: &From, limit: u32) -> Result<Page, RpcError> {
        let params = match from {
            From::Ledger(ledger) => json!({ "startLedger": ledger, "pagination": { "limit": limit } }),
            From::Cursor(cursor) => json!({ "pagination": { "cursor": cursor, "limit": limit } }),
        };
        let answer: answers::PageAnswer = self.ask("getTransactions", &params).await?;
        answer.read()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fuzz::fuzz_answer;
    use super::*;

    proptest! {
        #[test]
        fn any_body_is_an_answer_or_refused(
            status in "SUCCESS|FAILED|NOT_FOUND|PENDING|ERROR|\\PC{0,8}",
            number in "-?[0-9]{1,21}|\"[0-9]{1,21}\"|null|1e400|\\PC{0,4}",
            xdr in "[A-Za-z0-9+/]{0,80}={0,2}",
            name in "ledger|latestLedger|sequence|oldestLedger|p50|createdAt",
        ) {
            let body = format!(
                r#"{{"result":{{"status":"{status}","latestLedger":{number},"latestLedgerCloseTime":"1","oldestLedger":1,
                "oldestLedgerCloseTime":1,"latestLedgerCloseTimestamp":{number},"oldestLedgerCloseTimestamp":1,"cursor":"1",
                "{name}":{number},"resultXdr":"{xdr}","errorResultXdr":"{xdr}","entries":[{{"xdr":"{xdr}"}}],
                "transactions":[{{"txHash":"{xdr}","ledger":{number},"createdAt":1,"envelopeXdr":"{xdr}","resultXdr":"{xdr}"}}]}}}}"#
            );
            fuzz_answer(body.as_bytes());
            let cut = body.char_indices().nth(body.chars().count() / 2).map_or(0, |(place, _)| place);
            fuzz_answer(&body.as_bytes()[..cut]);
        }

        #[test]
        fn any_bytes_are_an_answer_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzz_answer(&data);
        }
    }

    #[test]
    fn plain_http_is_refused_but_on_this_machine_and_a_key_in_the_path_is_not_told() {
        for url in
            ["https://rpc.example.org/v1/key", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"]
        {
            let client = RpcClient::new(url).unwrap();
            assert_eq!(format!("{client:?}"), "RpcClient");
        }
        for url in
            ["http://rpc.example.org/v1/sesame", "ftp://rpc.example.org/sesame", "http://127.0.0.1.example.org/sesame"]
        {
            let error = RpcClient::new(url).unwrap_err().to_string();
            assert!(error.contains("example.org") && !error.contains("sesame"), "{error}");
        }
        assert!(RpcClient::new("rpc.example.org").is_err());
    }

    #[test]
    fn an_error_no_result_and_nonsense_are_told_apart() {
        let told = |body: &str| understand::<answers::LatestAnswer>("getLatestLedger", body.as_bytes());
        assert_eq!(told(r#"{"jsonrpc":"2.0","id":1,"result":{"sequence":7,"id":"x"}}"#).unwrap().sequence, 7);
        let refused = told(r#"{"id":1,"error":{"code":-32600,"message":"no"}}"#);
        assert!(matches!(refused, Err(RpcError::Refused { code: -32600, .. })));
        for body in [
            "",
            "{}",
            "null",
            "[]",
            "<html>",
            r#"{"result":{}}"#,
            r#"{"result":{"sequence":-1}}"#,
            r#"{"result":{"sequence":1e400}}"#,
        ] {
            assert!(matches!(told(body), Err(RpcError::Answer { .. })), "{body}");
        }
    }
}
