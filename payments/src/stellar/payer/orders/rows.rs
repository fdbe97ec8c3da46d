//! Rows of orders, attempts and fee bumps, the same in both databases.

use super::super::{Attempt, Bump, Order, OrderId, Outcome, Via};
use crate::stellar::{Address, Asset, FeeRate, Pay, Signed, Stroops, TxHash};
use crate::tables::{TableError, array, at, impossible, number, time, words};

const ORDERS: &str = "stellar_orders";
const ATTEMPTS: &str = "stellar_attempts";
const BUMPS: &str = "stellar_bumps";

/// A row of `stellar_orders`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct OrderRow {
    pub(super) id: Vec<u8>,
    pub(super) account: Vec<u8>,
    pub(super) network: Vec<u8>,
    pub(super) destination: String,
    pub(super) asset: String,
    pub(super) amount: i64,
    pub(super) memo: Option<i64>,
    pub(super) send_asset: Option<String>,
    pub(super) send_max: Option<i64>,
    pub(super) path: Option<String>,
    pub(super) version: i64,
    outcome: Option<i64>,
    hash: Option<Vec<u8>>,
    ledger: Option<i64>,
    why: Option<String>,
}

impl OrderRow {
    pub(super) fn new(order: &Order, account: Address, network: [u8; 32]) -> Self {
        let via = order.via.as_ref();
        Self {
            id: order.id.0.to_vec(),
            account: account.bytes().to_vec(),
            network: network.to_vec(),
            destination: order.pay.destination.to_string(),
            asset: order.pay.asset.to_string(),
            amount: order.pay.amount.get(),
            memo: order.memo.map(u64::cast_signed),
            send_asset: via.map(|via| via.asset.to_string()),
            send_max: via.map(|via| via.max.get()),
            path: via.map(|via| via.path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            version: 0,
            outcome: None,
            hash: None,
            ledger: None,
            why: None,
        }
    }

    /// The first field of what was asked for that is not the same.
    pub(super) fn differs(&self, there: &Self) -> Option<&'static str> {
        [
            (self.account == there.account, "paying account"),
            (self.network == there.network, "network"),
            (self.destination == there.destination, "destination"),
            (self.asset == there.asset, "asset"),
            (self.amount == there.amount, "amount"),
            (self.memo == there.memo, "memo"),
            (self.send_asset == there.send_asset, "asset that is sent"),
            (self.send_max == there.send_max, "most that is sent"),
            (self.path == there.path, "path"),
        ]
        .into_iter()
        .find_map(|(same, field)| (!same).then_some(field))
    }

    pub(super) fn order(&self) -> Result<Order, TableError> {
        let stroops = |value| Stroops::new(value).ok_or_else(|| impossible(ORDERS, "amount", value));
        let via = match (&self.send_asset, self.send_max, &self.path) {
            (None, None, None) => None,
            (Some(asset), Some(max), Some(path)) => {
                let path: Vec<Asset> =
                    path.split_whitespace().map(|asset| words(ORDERS, "path", asset)).collect::<Result<_, _>>()?;
                Some(Via { asset: words(ORDERS, "send_asset", asset)?, max: stroops(max)?, path })
            }
            other => return Err(impossible(ORDERS, "path payment", other)),
        };
        Ok(Order {
            id: OrderId(array(ORDERS, "id", &self.id)?),
            pay: Pay {
                destination: words(ORDERS, "destination", &self.destination)?,
                asset: words(ORDERS, "asset", &self.asset)?,
                amount: stroops(self.amount)?,
            },
            memo: self.memo.map(i64::cast_unsigned),
            via,
        })
    }

    pub(super) fn outcome(&self) -> Result<Option<Outcome>, TableError> {
        let hash = self.hash.as_deref().map(|hash| array(ORDERS, "hash", hash).map(TxHash::from_bytes)).transpose()?;
        let ledger = self.ledger.map(|ledger| number(ORDERS, "ledger", ledger)).transpose()?;
        let why = self.why.clone();
        Ok(Some(match (self.outcome, hash, ledger, why) {
            (None, None, None, None) => return Ok(None),
            (Some(1), Some(hash), Some(ledger), None) => Outcome::Paid { hash, ledger },
            (Some(2), Some(hash), Some(ledger), Some(why)) => Outcome::Failed { hash, ledger, why },
            (Some(3), None, None, Some(why)) => Outcome::NotApplied { why },
            other => return Err(impossible(ORDERS, "outcome", other)),
        }))
    }
}

/// An outcome as it is stored: its kind, hash, ledger and words.
pub(super) fn ended(outcome: &Outcome) -> (i64, Option<Vec<u8>>, Option<i64>, Option<String>) {
    let hash = |hash: &TxHash| Some(hash.bytes().to_vec());
    match outcome {
        Outcome::Paid { hash: name, ledger } => (1, hash(name), Some(i64::from(*ledger)), None),
        Outcome::Failed { hash: name, ledger, why } => (2, hash(name), Some(i64::from(*ledger)), Some(why.clone())),
        Outcome::NotApplied { why } => (3, None, None, Some(why.clone())),
    }
}

/// A row of `stellar_attempts`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct AttemptRow {
    pub(super) number: i64,
    pub(super) sequence: i64,
    pub(super) max_time: i64,
    pub(super) since: i64,
    pub(super) rate: i64,
    pub(super) hash: Vec<u8>,
    pub(super) envelope: Vec<u8>,
    pub(super) at: i64,
    pub(super) fate: Option<i64>,
}

fn rate(table: &'static str, value: i64) -> Result<FeeRate, TableError> {
    FeeRate::new(number(table, "rate", value)?).ok_or_else(|| impossible(table, "rate", value))
}

impl AttemptRow {
    pub(super) fn new(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number.into(),
            sequence: attempt.sequence,
            // Seconds by a clock that is right for a long time yet.
            max_time: i64::try_from(attempt.max_time).unwrap_or(i64::MAX),
            since: attempt.since.into(),
            rate: attempt.rate.get().into(),
            hash: attempt.signed.hash.bytes().to_vec(),
            envelope: attempt.signed.envelope.clone(),
            at: time(attempt.at),
            fate: None,
        }
    }

    pub(super) fn number(&self) -> Result<u32, TableError> {
        number(ATTEMPTS, "number", self.number)
    }

    pub(super) fn read(self, bumps: Vec<BumpRow>) -> Result<Attempt, TableError> {
        Ok(Attempt {
            number: self.number()?,
            sequence: self.sequence,
            max_time: number(ATTEMPTS, "max_time", self.max_time)?,
            since: number(ATTEMPTS, "since", self.since)?,
            rate: rate(ATTEMPTS, self.rate)?,
            signed: Signed { hash: TxHash::from_bytes(array(ATTEMPTS, "hash", &self.hash)?), envelope: self.envelope },
            at: at(self.at),
            bumps: bumps.into_iter().map(BumpRow::read).collect::<Result<_, _>>()?,
        })
    }
}

/// A row of `stellar_bumps`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct BumpRow {
    rate: i64,
    hash: Vec<u8>,
    envelope: Vec<u8>,
    at: i64,
}

impl BumpRow {
    fn read(self) -> Result<Bump, TableError> {
        let hash = TxHash::from_bytes(array(BUMPS, "hash", &self.hash)?);
        Ok(Bump { rate: rate(BUMPS, self.rate)?, signed: Signed { hash, envelope: self.envelope }, at: at(self.at) })
    }
}
