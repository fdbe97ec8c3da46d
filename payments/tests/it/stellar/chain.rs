//! A Stellar network in memory: it takes envelopes as a node would and applies them ledger by ledger. It knows what we send and
//! what is sent to us (payments, path payments at fixed rates, fee bumps), and holds to the rules: signature, sequence number,
//! time bounds, fee, balance, trust. Not stellar-core: what that does otherwise, no test here can show.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, VerifyingKey};
use payments::stellar::Network;
use stellar_xdr as xdr;
use stellar_xdr::ReadXdr as _;

/// An account's key.
pub(crate) type Key = [u8; 32];

#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) sequence: i64,
    pub(crate) lumens: i64,
    pub(crate) lines: BTreeMap<xdr::Asset, i64>,
    pub(crate) memo_required: bool,
}

/// A transaction in a closed ledger.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    /// Its own hash, and that of what it wraps.
    pub(crate) names: Vec<[u8; 32]>,
    pub(crate) ledger: u32,
    pub(crate) closed: u64,
    pub(crate) envelope: xdr::TransactionEnvelope,
    pub(crate) result: xdr::TransactionResult,
    pub(crate) success: bool,
}

/// What is said to an envelope.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Pending,
    Duplicate,
    TryAgainLater,
    Error(xdr::TransactionResult),
    /// No XDR at all.
    NotXdr,
}

pub(crate) struct Chain {
    pub(crate) network: Network,
    pub(crate) ledger: u32,
    /// Seconds at which it was closed.
    pub(crate) close: u64,
    /// The oldest ledger that is remembered.
    pub(crate) oldest: u32,
    /// Stroops an operation that it takes to be applied now.
    pub(crate) asked_fee: i64,
    pub(crate) accounts: BTreeMap<Key, Account>,
    /// What one of an asset brings of another, as a fraction.
    pub(crate) rates: Vec<(xdr::Asset, xdr::Asset, i64, i64)>,
    queue: Vec<Opened>,
    pub(crate) applied: Vec<Applied>,
}

/// An envelope taken apart.
#[derive(Debug, Clone)]
struct Opened {
    envelope: xdr::TransactionEnvelope,
    tx: xdr::Transaction,
    inner_hash: [u8; 32],
    outer_hash: [u8; 32],
    /// Who pays the fee.
    payer: Key,
    fee: i64,
    /// Stroops an operation.
    rate: i64,
}

pub(crate) fn key_of(muxed: &xdr::MuxedAccount) -> Key {
    match muxed {
        xdr::MuxedAccount::Ed25519(key) => key.0,
        xdr::MuxedAccount::MuxedEd25519(part) => part.ed25519.0,
    }
}

fn issuer(asset: &xdr::Asset) -> Option<Key> {
    let xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(key)) = match asset {
        xdr::Asset::Native => return None,
        xdr::Asset::CreditAlphanum4(a) => &a.issuer,
        xdr::Asset::CreditAlphanum12(a) => &a.issuer,
    };
    Some(key.0)
}

fn refused(code: xdr::TransactionResultResult) -> xdr::TransactionResult {
    xdr::TransactionResult { fee_charged: 0, result: code, ext: xdr::TransactionResultExt::V0 }
}

/// One good signature, of this account, and nothing else.
fn is_signed(hash: [u8; 32], by: Key, signatures: &[xdr::DecoratedSignature]) -> Result<(), xdr::TransactionResult> {
    let [one] = signatures else {
        let code = if signatures.is_empty() {
            xdr::TransactionResultResult::TxBadAuth
        } else {
            xdr::TransactionResultResult::TxBadAuthExtra
        };
        return Err(refused(code));
    };
    let good = one.hint.0 == by[28..]
        && <[u8; 64]>::try_from(one.signature.0.as_slice()).is_ok_and(|bytes| {
            let key = VerifyingKey::from_bytes(&by);
            key.is_ok_and(|key| key.verify_strict(&hash, &Signature::from_bytes(&bytes)).is_ok())
        });
    if good { Ok(()) } else { Err(refused(xdr::TransactionResultResult::TxBadAuth)) }
}

impl Chain {
    /// A network whose ledger 100 was closed at this second.
    pub(crate) fn new(network: &Network, close: u64) -> Self {
        Self {
            network: network.clone(),
            ledger: 100,
            close,
            oldest: 1,
            asked_fee: 100,
            accounts: BTreeMap::new(),
            rates: Vec::new(),
            queue: Vec::new(),
            applied: Vec::new(),
        }
    }

    fn open(&self, envelope: xdr::TransactionEnvelope) -> Option<Opened> {
        let outer_hash = envelope.hash(self.network.id()).ok()?;
        let (tx, payer, fee, counted) = match &envelope {
            xdr::TransactionEnvelope::TxV0(_) => return None,
            xdr::TransactionEnvelope::Tx(v1) => {
                let fee = i64::from(v1.tx.fee);
                (v1.tx.clone(), key_of(&v1.tx.source_account), fee, v1.tx.operations.len())
            }
            xdr::TransactionEnvelope::TxFeeBump(bump) => {
                let xdr::FeeBumpTransactionInnerTx::Tx(inner) = &bump.tx.inner_tx;
                let counted = inner.tx.operations.len() + 1;
                (inner.tx.clone(), key_of(&bump.tx.fee_source), bump.tx.fee, counted)
            }
        };
        let inner_hash = tx.hash(self.network.id()).ok()?;
        let rate = fee.checked_div(i64::try_from(counted).ok()?)?;
        Some(Opened { envelope, tx, inner_hash, outer_hash, payer, fee, rate })
    }

    /// Takes an envelope, as it came.
    pub(crate) fn submit(&mut self, bytes: &[u8]) -> Said {
        let limits = xdr::Limits { depth: 100, len: 100_000 };
        let Ok(envelope) = xdr::TransactionEnvelope::from_xdr(bytes, limits) else { return Said::NotXdr };
        let Some(opened) = self.open(envelope) else {
            return Said::Error(refused(xdr::TransactionResultResult::TxMissingOperation));
        };
        let there = self.queue.iter().position(|queued| queued.tx.source_account == opened.tx.source_account);
        if there.is_some_and(|place| self.queue[place].outer_hash == opened.outer_hash) {
            return Said::Duplicate;
        }
        if let Err(result) = self.check(&opened) {
            return Said::Error(result);
        }
        match there {
            // A node replaces what it has for ten times the fee.
            Some(place) if self.queue[place].rate.saturating_mul(10) > opened.rate => return Said::TryAgainLater,
            Some(place) => self.queue[place] = opened,
            None => self.queue.push(opened),
        }
        Said::Pending
    }

    fn check(&self, opened: &Opened) -> Result<(), xdr::TransactionResult> {
        use xdr::TransactionResultResult as R;
        self.is_in_time(&opened.tx)?;
        if opened.rate < 100 {
            return Err(refused(R::TxInsufficientFee));
        }
        let source = key_of(&opened.tx.source_account);
        let account = self.accounts.get(&source).ok_or_else(|| refused(R::TxNoAccount))?;
        if opened.tx.seq_num.0 != account.sequence + 1 {
            return Err(refused(R::TxBadSeq));
        }
        let inner = match &opened.envelope {
            xdr::TransactionEnvelope::Tx(v1) => &v1.signatures,
            xdr::TransactionEnvelope::TxFeeBump(bump) => {
                is_signed(opened.outer_hash, opened.payer, &bump.signatures)?;
                let xdr::FeeBumpTransactionInnerTx::Tx(inner) = &bump.tx.inner_tx;
                &inner.signatures
            }
            xdr::TransactionEnvelope::TxV0(_) => return Err(refused(R::TxNotSupported)),
        };
        is_signed(opened.inner_hash, source, inner)?;
        let payer = self.accounts.get(&opened.payer).ok_or_else(|| refused(R::TxNoAccount))?;
        if payer.lumens < opened.fee {
            return Err(refused(R::TxInsufficientBalance));
        }
        Ok(())
    }

    fn is_in_time(&self, tx: &xdr::Transaction) -> Result<(), xdr::TransactionResult> {
        let xdr::Preconditions::Time(bounds) = &tx.cond else { return Ok(()) };
        if bounds.min_time.0 > self.close {
            return Err(refused(xdr::TransactionResultResult::TxTooEarly));
        }
        if bounds.max_time.0 != 0 && bounds.max_time.0 < self.close {
            return Err(refused(xdr::TransactionResultResult::TxTooLate));
        }
        Ok(())
    }

    /// Closes a ledger, so many seconds behind the last.
    pub(crate) fn close(&mut self, seconds: u64) {
        self.ledger += 1;
        self.close += seconds;
        for opened in std::mem::take(&mut self.queue) {
            if self.check(&opened).is_err() {
                continue;
            }
            if opened.rate < self.asked_fee {
                self.queue.push(opened);
                continue;
            }
            self.apply(opened);
        }
    }

    fn apply(&mut self, opened: Opened) {
        let source = key_of(&opened.tx.source_account);
        self.accounts.get_mut(&opened.payer).unwrap().lumens -= opened.fee;
        self.accounts.get_mut(&source).unwrap().sequence = opened.tx.seq_num.0;
        let before = self.accounts.clone();
        let mut results = Vec::new();
        for operation in opened.tx.operations.iter() {
            results.push(xdr::OperationResult::OpInner(self.operate(source, &operation.body)));
        }
        let success = results.iter().all(is_done);
        if !success {
            self.accounts = before;
        }
        let (result, names) = Self::result(&opened, results, success);
        let (ledger, closed) = (self.ledger, self.close);
        self.applied.push(Applied { names, ledger, closed, envelope: opened.envelope, result, success });
    }

    fn result(
        opened: &Opened,
        results: Vec<xdr::OperationResult>,
        success: bool,
    ) -> (xdr::TransactionResult, Vec<[u8; 32]>) {
        use xdr::{InnerTransactionResultResult as I, TransactionResultResult as R};
        let results: xdr::VecM<_> = results.try_into().unwrap();
        let (code, names) = if let xdr::TransactionEnvelope::TxFeeBump(_) = opened.envelope {
            let inner = xdr::InnerTransactionResultPair {
                transaction_hash: xdr::Hash(opened.inner_hash),
                result: xdr::InnerTransactionResult {
                    fee_charged: 0,
                    result: if success { I::TxSuccess(results) } else { I::TxFailed(results) },
                    ext: xdr::InnerTransactionResultExt::V0,
                },
            };
            let code = if success { R::TxFeeBumpInnerSuccess(inner) } else { R::TxFeeBumpInnerFailed(inner) };
            (code, vec![opened.outer_hash, opened.inner_hash])
        } else {
            (if success { R::TxSuccess(results) } else { R::TxFailed(results) }, vec![opened.outer_hash])
        };
        let result =
            xdr::TransactionResult { fee_charged: opened.fee, result: code, ext: xdr::TransactionResultExt::V0 };
        (result, names)
    }

    fn operate(&mut self, source: Key, body: &xdr::OperationBody) -> xdr::OperationResultTr {
        use xdr::{OperationResultTr as T, PathPaymentStrictReceiveResult as Path, PaymentResult as Pay};
        match body {
            xdr::OperationBody::Payment(op) => {
                let to = key_of(&op.destination);
                T::Payment(match self.transfer(source, to, (&op.asset, op.amount), (&op.asset, op.amount)) {
                    Ok(()) => Pay::Success,
                    Err(Hindrance::NoDestination) => Pay::NoDestination,
                    Err(Hindrance::NoTrust) => Pay::NoTrust,
                    Err(Hindrance::SourceNoTrust) => Pay::SrcNoTrust,
                    Err(Hindrance::Underfunded) => Pay::Underfunded,
                })
            }
            xdr::OperationBody::PathPaymentStrictReceive(op) => {
                T::PathPaymentStrictReceive(match self.costs(&op.send_asset, &op.dest_asset, op.dest_amount) {
                    None => Path::TooFewOffers,
                    Some(cost) if cost > op.send_max => Path::OverSendmax,
                    Some(cost) => {
                        let to = key_of(&op.destination);
                        match self.transfer(source, to, (&op.send_asset, cost), (&op.dest_asset, op.dest_amount)) {
                            Ok(()) => Path::Success(xdr::PathPaymentStrictReceiveResultSuccess {
                                offers: xdr::VecM::default(),
                                last: xdr::SimplePaymentResult {
                                    destination: xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256(to))),
                                    asset: op.dest_asset.clone(),
                                    amount: op.dest_amount,
                                },
                            }),
                            Err(Hindrance::NoDestination) => Path::NoDestination,
                            Err(Hindrance::NoTrust) => Path::NoTrust,
                            Err(Hindrance::SourceNoTrust) => Path::SrcNoTrust,
                            Err(Hindrance::Underfunded) => Path::Underfunded,
                        }
                    }
                })
            }
            other => panic!("this network knows no {}", other.name()),
        }
    }

    fn costs(&self, from: &xdr::Asset, to: &xdr::Asset, amount: i64) -> Option<i64> {
        if from == to {
            return Some(amount);
        }
        let (_, _, of, by) = self.rates.iter().find(|(a, b, ..)| a == from && b == to)?;
        // Rounded up: nobody gives anything away.
        let cost = (i128::from(amount) * i128::from(*by) + i128::from(*of) - 1) / i128::from(*of);
        i64::try_from(cost).ok()
    }

    fn transfer(
        &mut self,
        from: Key,
        to: Key,
        (sent, cost): (&xdr::Asset, i64),
        (got, amount): (&xdr::Asset, i64),
    ) -> Result<(), Hindrance> {
        if !self.accounts.contains_key(&to) {
            return Err(Hindrance::NoDestination);
        }
        let source = self.accounts.get_mut(&from).unwrap();
        if issuer(sent) != Some(from) {
            let balance = match sent {
                xdr::Asset::Native => &mut source.lumens,
                issued => source.lines.get_mut(issued).ok_or(Hindrance::SourceNoTrust)?,
            };
            *balance = balance.checked_sub(cost).filter(|rest| *rest >= 0).ok_or(Hindrance::Underfunded)?;
        }
        let destination = self.accounts.get_mut(&to).unwrap();
        if issuer(got) != Some(to) {
            let balance = match got {
                xdr::Asset::Native => &mut destination.lumens,
                issued => destination.lines.get_mut(issued).ok_or(Hindrance::NoTrust)?,
            };
            *balance = balance.checked_add(amount).unwrap();
        }
        Ok(())
    }

    /// A transaction by its own hash or that of what it wraps, where it is still remembered.
    pub(crate) fn find(&self, hash: [u8; 32]) -> Option<&Applied> {
        self.applied.iter().find(|tx| tx.ledger >= self.oldest && tx.names.contains(&hash))
    }

    /// Payments that were applied: by their inner hash.
    pub(crate) fn payments(&self) -> Vec<[u8; 32]> {
        self.applied.iter().filter(|tx| tx.success).filter_map(|tx| tx.names.last().copied()).collect()
    }
}

enum Hindrance {
    NoDestination,
    NoTrust,
    SourceNoTrust,
    Underfunded,
}

fn is_done(result: &xdr::OperationResult) -> bool {
    use xdr::{OperationResultTr as T, PathPaymentStrictReceiveResult as Path, PaymentResult as Pay};
    matches!(
        result,
        xdr::OperationResult::OpInner(T::Payment(Pay::Success) | T::PathPaymentStrictReceive(Path::Success(_)))
    )
}

pub(crate) fn base64<T: xdr::WriteXdr>(value: &T) -> String {
    value.to_xdr_base64(xdr::Limits::none()).unwrap()
}

/// A transaction's result as bytes: for what is compared.
pub(crate) fn code(result: &xdr::TransactionResult) -> &'static str {
    result.result.name()
}
