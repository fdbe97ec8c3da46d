//! What Stellar RPC answers, read into types. Numbers come as numbers or as strings, by method and version: both are read.

use serde::{Deserialize, Deserializer};
use stellar_xdr as xdr;

use super::super::TxHash;
use super::super::read::read_base64;
use super::RpcError;

/// An account as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    /// The number of its last transaction; the next has one more.
    pub sequence: i64,
    /// Whether it asks for a memo (SEP-29): a payment without one would be lost.
    pub memo_required: bool,
    /// The ledger at which this was so.
    pub ledger: u32,
}

/// The last closed ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub ledger: u32,
}

/// What others paid lately, in stroops an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeStats {
    /// Half paid less.
    pub p50: u32,
    /// Nine of ten paid less.
    pub p90: u32,
    /// 99 of 100 paid less.
    pub p99: u32,
}

/// The ledgers of which a server knows, when it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    /// The last closed one.
    pub latest: u32,
    /// When that was closed, in seconds since 1970.
    pub latest_close: u64,
    /// The oldest that it still has.
    pub oldest: u32,
    /// When that was closed.
    pub oldest_close: u64,
}

/// What a server says of an envelope handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStatus {
    /// Taken into the queue; not applied.
    Pending,
    /// It is in the queue already.
    Duplicate,
    /// Not taken now: the account has another in the queue, or the queue is full. The same bytes may be sent again.
    TryAgainLater,
    /// Refused by the node. May be because it was applied before: ask what became of it before anything else.
    Error(Option<xdr::TransactionResultCode>),
}

/// An envelope was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// What the server says.
    pub status: SendStatus,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Applied: in a closed ledger, with all its operations.
    Success {
        /// Which.
        ledger: u32,
    },
    /// In a closed ledger, its fee paid and its sequence number used, but none of its operations done.
    Failed {
        /// Which.
        ledger: u32,
        /// Why, in words of the XDR.
        why: String,
    },
    /// Not among the ledgers of which the server knows.
    NotFound(Ranges),
}

/// A transaction of a closed ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// Its name.
    pub hash: TxHash,
    /// In which ledger.
    pub ledger: u32,
    /// When that was closed, in seconds since 1970.
    pub closed: u64,
    /// What was signed.
    pub envelope: xdr::TransactionEnvelope,
    /// What came of it.
    pub result: xdr::TransactionResult,
}

/// Some transactions in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the order in which they were applied.
    pub transactions: Vec<Transaction>,
    /// Those that we cannot read, of a newer protocol perhaps: one of them must not stop us for ever, and must not be passed
    /// over in silence.
    pub unreadable: Vec<TxHash>,
    /// Where to go on.
    pub cursor: String,
    /// What the server has.
    pub ranges: Ranges,
}

/// A number, or a string of one.
fn number<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Words(String),
    }
    let number = match Either::deserialize(from)? {
        Either::Number(number) => number,
        Either::Words(words) if !words.is_empty() && words.bytes().all(|b| b.is_ascii_digit()) => {
            words.parse().map_err(serde::de::Error::custom)?
        }
        Either::Words(_) => return Err(serde::de::Error::custom("a word where a number belongs")),
    };
    T::try_from(number).map_err(|_| serde::de::Error::custom(format!("{number} is too large")))
}

fn hash(text: &str, method: &'static str) -> Result<TxHash, RpcError> {
    let mut bytes = [0; 32];
    let odd = |error: hex::FromHexError| RpcError::Answer { method, error: format!("a hash: {error}") };
    hex::decode_to_slice(text, &mut bytes).map_err(odd)?;
    Ok(TxHash::from_bytes(bytes))
}

#[derive(Deserialize)]
pub(super) struct NetworkAnswer {
    pub(super) passphrase: String,
}

#[derive(Deserialize)]
pub(super) struct LatestAnswer {
    #[serde(deserialize_with = "number")]
    pub(super) sequence: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntriesAnswer {
    /// Null where nothing was found, by some versions.
    pub(super) entries: Option<Vec<Entry>>,
    #[serde(deserialize_with = "number")]
    pub(super) latest_ledger: u32,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) xdr: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeeStatsAnswer {
    inclusion_fee: Percentiles,
}

#[derive(Deserialize)]
struct Percentiles {
    #[serde(deserialize_with = "number")]
    p50: u32,
    #[serde(deserialize_with = "number")]
    p90: u32,
    #[serde(deserialize_with = "number")]
    p99: u32,
}

impl From<FeeStatsAnswer> for FeeStats {
    fn from(answer: FeeStatsAnswer) -> Self {
        let Percentiles { p50, p90, p99 } = answer.inclusion_fee;
        Self { p50, p90, p99 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendAnswer {
    status: String,
    error_result_xdr: Option<String>,
}

impl SendAnswer {
    pub(super) fn read(self) -> Result<Sent, RpcError> {
        let status = match self.status.as_str() {
            "PENDING" => SendStatus::Pending,
            "DUPLICATE" => SendStatus::Duplicate,
            "TRY_AGAIN_LATER" => SendStatus::TryAgainLater,
            "ERROR" => {
                // The code is for people; that it cannot be read changes nothing.
                let result = self.error_result_xdr.as_deref().map(|text| read_base64("transaction result", text));
                let code = result.and_then(Result::ok).map(|r: xdr::TransactionResult| r.result.discriminant());
                SendStatus::Error(code)
            }
            other => return Err(unknown_status("sendTransaction", other)),
        };
        Ok(Sent { status })
    }
}

fn unknown_status(method: &'static str, status: &str) -> RpcError {
    RpcError::Answer { method, error: format!("status {:?}", status.chars().take(40).collect::<String>()) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionAnswer {
    status: String,
    #[serde(deserialize_with = "number")]
    latest_ledger: u32,
    #[serde(deserialize_with = "number")]
    latest_ledger_close_time: u64,
    #[serde(deserialize_with = "number")]
    oldest_ledger: u32,
    #[serde(deserialize_with = "number")]
    oldest_ledger_close_time: u64,
    ledger: Option<u32>,
    result_xdr: Option<String>,
}

impl TransactionAnswer {
    pub(super) fn read(self) -> Result<Found, RpcError> {
        const METHOD: &str = "getTransaction";
        let missing = |what: &str| RpcError::Answer { method: METHOD, error: format!("no {what}") };
        let ranges = Ranges {
            latest: self.latest_ledger,
            latest_close: self.latest_ledger_close_time,
            oldest: self.oldest_ledger,
            oldest_close: self.oldest_ledger_close_time,
        };
        let ledger = || self.ledger.ok_or_else(|| missing("ledger"));
        match self.status.as_str() {
            "NOT_FOUND" => Ok(Found::NotFound(ranges)),
            status @ ("SUCCESS" | "FAILED") => {
                let text = self.result_xdr.as_deref().ok_or_else(|| missing("resultXdr"))?;
                let result: xdr::TransactionResult = read_base64("transaction result", text)?;
                // Two words for one thing: where they differ, neither is believed.
                match (succeeded(&result), status) {
                    (true, "SUCCESS") => Ok(Found::Success { ledger: ledger()? }),
                    (false, "FAILED") => Ok(Found::Failed { ledger: ledger()?, why: why(&result) }),
                    _ => Err(RpcError::Answer {
                        method: METHOD,
                        error: format!("{status}, but its result says otherwise"),
                    }),
                }
            }
            other => Err(unknown_status(METHOD, other)),
        }
    }
}

/// Whether all operations were done.
pub(super) fn succeeded(result: &xdr::TransactionResult) -> bool {
    use xdr::TransactionResultResult as R;
    matches!(result.result, R::TxSuccess(_) | R::TxFeeBumpInnerSuccess(_))
}

/// Why not, as the XDR's names say it: `TxFailed: Payment NoTrust`.
fn why(result: &xdr::TransactionResult) -> String {
    use xdr::{InnerTransactionResultResult as I, TransactionResultResult as R};
    let operations: &[xdr::OperationResult] = match &result.result {
        R::TxFailed(operations) => operations,
        R::TxFeeBumpInnerFailed(inner) => match &inner.result.result {
            I::TxFailed(operations) => operations,
            other => return format!("{} of what a fee bump wraps", other.name()),
        },
        other => return other.name().to_owned(),
    };
    let each: Vec<String> = operations.iter().map(operation).collect();
    format!("TxFailed: {}", each.join(", "))
}

fn operation(result: &xdr::OperationResult) -> String {
    use xdr::{OperationResult as O, OperationResultTr as T};
    match result {
        O::OpInner(T::Payment(result)) => format!("Payment {}", result.name()),
        O::OpInner(T::PathPaymentStrictReceive(result)) => format!("PathPaymentStrictReceive {}", result.name()),
        O::OpInner(other) => other.name().to_owned(),
        other => other.name().to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageAnswer {
    transactions: Vec<TransactionInPage>,
    #[serde(deserialize_with = "number")]
    latest_ledger: u32,
    #[serde(deserialize_with = "number")]
    latest_ledger_close_timestamp: u64,
    #[serde(deserialize_with = "number")]
    oldest_ledger: u32,
    #[serde(deserialize_with = "number")]
    oldest_ledger_close_timestamp: u64,
    cursor: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionInPage {
    tx_hash: String,
    #[serde(deserialize_with = "number")]
    ledger: u32,
    #[serde(deserialize_with = "number")]
    created_at: u64,
    envelope_xdr: String,
    result_xdr: String,
}

impl PageAnswer {
    pub(super) fn read(self) -> Result<Page, RpcError> {
        let mut transactions = Vec::with_capacity(self.transactions.len());
        let mut unreadable = Vec::new();
        for tx in self.transactions {
            let hash = hash(&tx.tx_hash, "getTransactions")?;
            let envelope = read_base64("transaction envelope", &tx.envelope_xdr);
            let result = read_base64("transaction result", &tx.result_xdr);
            match (envelope, result) {
                (Ok(envelope), Ok(result)) => {
                    transactions.push(Transaction { hash, ledger: tx.ledger, closed: tx.created_at, envelope, result });
                }
                _ => unreadable.push(hash),
            }
        }
        Ok(Page {
            transactions,
            unreadable,
            cursor: self.cursor,
            ranges: Ranges {
                latest: self.latest_ledger,
                latest_close: self.latest_ledger_close_timestamp,
                oldest: self.oldest_ledger,
                oldest_close: self.oldest_ledger_close_timestamp,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use stellar_xdr::WriteXdr as _;

    use super::*;

    fn result(result: xdr::TransactionResultResult) -> String {
        let result = xdr::TransactionResult { fee_charged: 100, result, ext: xdr::TransactionResultExt::V0 };
        result.to_xdr_base64(xdr::Limits::none()).unwrap()
    }

    fn got(extra: &Value) -> Result<Found, RpcError> {
        let mut answer = json!({
            "latestLedger": 120, "latestLedgerCloseTime": "1800000000", "oldestLedger": 20, "oldestLedgerCloseTime": "1799999000",
        });
        answer.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value::<TransactionAnswer>(answer).unwrap().read()
    }

    #[test]
    fn an_outcome_is_known_only_when_status_and_result_agree() {
        let good = result(xdr::TransactionResultResult::TxSuccess(xdr::VecM::default()));
        let bad = result(xdr::TransactionResultResult::TxFailed(
            vec![xdr::OperationResult::OpInner(xdr::OperationResultTr::Payment(xdr::PaymentResult::NoTrust))]
                .try_into()
                .unwrap(),
        ));
        let found = got(&json!({ "status": "SUCCESS", "ledger": 100, "resultXdr": good })).unwrap();
        assert_eq!(found, Found::Success { ledger: 100 });
        let found = got(&json!({ "status": "FAILED", "ledger": 100, "resultXdr": bad })).unwrap();
        assert_eq!(found, Found::Failed { ledger: 100, why: "TxFailed: Payment NoTrust".to_owned() });
        for odd in [
            json!({ "status": "SUCCESS", "ledger": 100, "resultXdr": bad }),
            json!({ "status": "FAILED", "ledger": 100, "resultXdr": good }),
            json!({ "status": "SUCCESS", "resultXdr": good }),
            json!({ "status": "FAILED", "ledger": 100 }),
            json!({ "status": "FAILED", "ledger": 100, "resultXdr": "AAAA" }),
            json!({ "status": "LOST" }),
        ] {
            assert!(got(&odd).is_err(), "{odd}");
        }
        let Found::NotFound(ranges) = got(&json!({ "status": "NOT_FOUND" })).unwrap() else { panic!("found") };
        assert_eq!((ranges.oldest, ranges.latest, ranges.latest_close), (20, 120, 1_800_000_000));
    }

    #[test]
    fn what_a_server_says_to_an_envelope_is_told_apart() {
        let sent = |answer: Value| serde_json::from_value::<SendAnswer>(answer).unwrap().read().map(|sent| sent.status);
        assert_eq!(sent(json!({ "status": "PENDING" })).unwrap(), SendStatus::Pending);
        assert_eq!(sent(json!({ "status": "DUPLICATE" })).unwrap(), SendStatus::Duplicate);
        assert_eq!(sent(json!({ "status": "TRY_AGAIN_LATER" })).unwrap(), SendStatus::TryAgainLater);
        let error = json!({ "status": "ERROR", "errorResultXdr": result(xdr::TransactionResultResult::TxBadSeq) });
        assert_eq!(sent(error).unwrap(), SendStatus::Error(Some(xdr::TransactionResultCode::TxBadSeq)));
        assert_eq!(sent(json!({ "status": "ERROR", "errorResultXdr": "?" })).unwrap(), SendStatus::Error(None));
        assert!(sent(json!({ "status": "FINE" })).is_err());
    }
}
