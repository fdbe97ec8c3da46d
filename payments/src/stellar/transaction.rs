//! Transactions: built from typed parts, hashed, signed, and wrapped in a fee bump where the network asks for more.

use std::fmt;

use stellar_xdr as xdr;
use stellar_xdr::WriteXdr as _;

use super::{Address, Asset, Destination, Network, SigningKey, Stroops};

/// Operations in one transaction, at most (the network's limit).
const MAX_OPERATIONS: usize = 100;
/// What the network asks for an operation when nobody else wants in, in stroops.
const LEAST_FEE: u32 = 100;

/// A transaction's name on one network: SHA-256 of network and content, signatures left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxHash([u8; 32]);

impl TxHash {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TxHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TxHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Stroops offered for an operation: at least 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeeRate(u32);

impl FeeRate {
    /// What is enough when nobody else wants in.
    pub const LEAST: Self = Self(LEAST_FEE);

    /// So many stroops an operation; `None` below the network's least.
    #[must_use]
    pub const fn new(stroops: u32) -> Option<Self> {
        if stroops >= LEAST_FEE { Some(Self(stroops)) } else { None }
    }

    /// Stroops for an operation.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What a transaction carries for its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memo {
    /// Nothing.
    None,
    /// A number: what Roomtone uses, because nobody can misspell it.
    Id(u64),
    /// Up to 28 bytes.
    Text(String),
    /// A hash.
    Hash([u8; 32]),
    /// The hash of a transaction that is paid back.
    Return([u8; 32]),
}

/// When a transaction may be applied, in seconds since 1970 by the ledger's clock: not before, and not after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBounds {
    /// The first second.
    pub min: u64,
    /// The last. Never zero, which the network reads as "for ever".
    pub max: u64,
}

/// A plain payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pay {
    /// To whom.
    pub destination: Destination,
    /// In what.
    pub asset: Asset,
    /// How much arrives.
    pub amount: Stroops,
}

/// A payment in another asset than the payer's: exactly so much arrives, at most so much is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPay {
    /// What arrives.
    pub pay: Pay,
    /// What is sent.
    pub send_asset: Asset,
    /// The most that is sent, from a quote.
    pub send_max: Stroops,
    /// What it is changed into on the way, at most five.
    pub path: Vec<Asset>,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    Pay(Pay),
    PathPay(PathPay),
}

/// A transaction that is not signed yet.
#[derive(Debug, Clone)]
pub struct Draft {
    source: Address,
    sequence: i64,
    fee: FeeRate,
    memo: Memo,
    bounds: TimeBounds,
    operations: Vec<Operation>,
}

/// Why nothing was built. Nothing was signed either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Nothing in it.
    #[error("a transaction without an operation cannot be built")]
    Empty,
    /// More than the network takes.
    #[error("{0} operations are more than a transaction holds (100)")]
    TooMany(usize),
    /// Nothing to pay.
    #[error("a payment of nothing cannot be built")]
    Nothing,
    /// More than five assets on the way.
    #[error("a path of {0} assets is longer than the network takes (5)")]
    Path(usize),
    /// More than 28 bytes.
    #[error("a memo's text of {0} bytes is longer than 28")]
    Memo(usize),
    /// Bounds that never hold, or for ever.
    #[error("time bounds from {min} to {max} never hold or never end")]
    Bounds {
        /// As asked for.
        min: u64,
        /// As asked for.
        max: u64,
    },
    /// Not above zero.
    #[error("sequence number {0} is not one that an account can have")]
    Sequence(i64),
    /// A memo and a numbered part of an account say two things.
    #[error("a payment to {0} must not carry a memo too: its number stands for it")]
    MemoAndPart(Destination),
    /// Past what XDR holds.
    #[error("the fee is more than a transaction can offer")]
    Fee,
    /// A fee bump that offers less than what it wraps.
    #[error("a fee bump at {offered} stroops an operation is not above the {before} offered before")]
    FeeNotHigher {
        /// Now.
        offered: u32,
        /// Before.
        before: u32,
    },
    /// What is to be wrapped is no signed transaction of the present form.
    #[error("only a signed transaction of the present form can be wrapped in a fee bump")]
    NotWrappable,
    /// XDR refused it.
    #[error("the transaction cannot be written: {0}")]
    Xdr(String),
}

impl From<xdr::Error> for DraftError {
    fn from(error: xdr::Error) -> Self {
        Self::Xdr(error.to_string())
    }
}

/// A signed envelope: the only bytes that are ever sent, and the name by which the network knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its name. Of a fee bump: the bump's own.
    pub hash: TxHash,
    /// `TransactionEnvelope` in XDR.
    pub envelope: Vec<u8>,
}

impl Draft {
    /// A transaction of this account. `sequence`: one above the account's own.
    #[must_use]
    pub const fn new(source: Address, sequence: i64, fee: FeeRate, bounds: TimeBounds) -> Self {
        Self { source, sequence, fee, memo: Memo::None, bounds, operations: Vec::new() }
    }

    /// With this memo.
    #[must_use]
    pub fn memo(mut self, memo: Memo) -> Self {
        self.memo = memo;
        self
    }

    /// With this payment.
    #[must_use]
    pub fn pay(mut self, pay: Pay) -> Self {
        self.operations.push(Operation::Pay(pay));
        self
    }

    /// With this payment through other assets.
    #[must_use]
    pub fn path_pay(mut self, pay: PathPay) -> Self {
        self.operations.push(Operation::PathPay(pay));
        self
    }

    /// Builds, hashes and signs it.
    ///
    /// # Errors
    /// [`DraftError`] for what the network would refuse anyway.
    pub fn sign(&self, network: &Network, key: &SigningKey) -> Result<Signed, DraftError> {
        let tx = self.build()?;
        let hash = tx.hash(network.id())?;
        let signatures = xdr::VecM::try_from(vec![key.decorated(&hash)])?;
        let envelope = xdr::TransactionEnvelope::Tx(xdr::TransactionV1Envelope { tx, signatures });
        Ok(Signed { hash: TxHash(hash), envelope: envelope.to_xdr(xdr::Limits::none())? })
    }

    fn build(&self) -> Result<xdr::Transaction, DraftError> {
        self.check()?;
        let count = u32::try_from(self.operations.len()).map_err(|_| DraftError::Fee)?;
        let operations: Vec<_> = self.operations.iter().map(Operation::to_xdr).collect::<Result<_, _>>()?;
        Ok(xdr::Transaction {
            source_account: Destination::account(self.source).muxed(),
            fee: self.fee.0.checked_mul(count).ok_or(DraftError::Fee)?,
            seq_num: xdr::SequenceNumber(self.sequence),
            cond: xdr::Preconditions::Time(xdr::TimeBounds {
                min_time: xdr::TimePoint(self.bounds.min),
                max_time: xdr::TimePoint(self.bounds.max),
            }),
            memo: self.memo.to_xdr()?,
            operations: operations.try_into()?,
            ext: xdr::TransactionExt::V0,
        })
    }

    fn check(&self) -> Result<(), DraftError> {
        match self.operations.len() {
            0 => return Err(DraftError::Empty),
            1..=MAX_OPERATIONS => {}
            more => return Err(DraftError::TooMany(more)),
        }
        let TimeBounds { min, max } = self.bounds;
        if max == 0 || min > max {
            return Err(DraftError::Bounds { min, max });
        }
        if self.sequence <= 0 {
            return Err(DraftError::Sequence(self.sequence));
        }
        for operation in &self.operations {
            let pay = operation.pay();
            if pay.amount.is_zero() {
                return Err(DraftError::Nothing);
            }
            if self.memo != Memo::None && pay.destination.part.is_some() {
                return Err(DraftError::MemoAndPart(pay.destination));
            }
            if let Operation::PathPay(path) = operation {
                if path.send_max.is_zero() {
                    return Err(DraftError::Nothing);
                }
                if path.path.len() > 5 {
                    return Err(DraftError::Path(path.path.len()));
                }
            }
        }
        Ok(())
    }
}

impl Operation {
    const fn pay(&self) -> &Pay {
        match self {
            Self::Pay(pay) | Self::PathPay(PathPay { pay, .. }) => pay,
        }
    }

    fn to_xdr(&self) -> Result<xdr::Operation, DraftError> {
        let pay = self.pay();
        let body = match self {
            Self::Pay(_) => xdr::OperationBody::Payment(xdr::PaymentOp {
                destination: pay.destination.muxed(),
                asset: pay.asset.to_xdr(),
                amount: pay.amount.get(),
            }),
            Self::PathPay(path) => {
                let assets: Vec<_> = path.path.iter().map(|asset| asset.to_xdr()).collect();
                xdr::OperationBody::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveOp {
                    send_asset: path.send_asset.to_xdr(),
                    send_max: path.send_max.get(),
                    destination: pay.destination.muxed(),
                    dest_asset: pay.asset.to_xdr(),
                    dest_amount: pay.amount.get(),
                    path: assets.try_into()?,
                })
            }
        };
        Ok(xdr::Operation { source_account: None, body })
    }
}

impl Memo {
    fn to_xdr(&self) -> Result<xdr::Memo, DraftError> {
        Ok(match self {
            Self::None => xdr::Memo::None,
            Self::Id(id) => xdr::Memo::Id(*id),
            Self::Text(text) => {
                let bytes = text.as_bytes().to_vec();
                xdr::Memo::Text(bytes.try_into().map_err(|_| DraftError::Memo(text.len()))?)
            }
            Self::Hash(hash) => xdr::Memo::Hash(xdr::Hash(*hash)),
            Self::Return(hash) => xdr::Memo::Return(xdr::Hash(*hash)),
        })
    }
}

/// Wraps a signed transaction so that `payer` pays a higher fee for it (CAP-15). What is inside stays byte for byte as it
/// was, so that it can be applied once, by either envelope.
///
/// # Errors
/// [`DraftError::FeeNotHigher`] where the network would not even look at it.
pub fn fee_bump(inner: &Signed, rate: FeeRate, network: &Network, payer: &SigningKey) -> Result<Signed, DraftError> {
    let envelope = super::read_envelope(&inner.envelope).map_err(|_| DraftError::NotWrappable)?;
    let xdr::TransactionEnvelope::Tx(envelope) = envelope else { return Err(DraftError::NotWrappable) };
    let count = u32::try_from(envelope.tx.operations.len()).unwrap_or(u32::MAX).max(1);
    let before = envelope.tx.fee / count;
    if rate.0 <= before || envelope.signatures.is_empty() {
        return Err(DraftError::FeeNotHigher { offered: rate.0, before });
    }
    let fee = i64::from(rate.0) * (i64::from(count) + 1);
    let tx = xdr::FeeBumpTransaction {
        fee_source: Destination::account(payer.address()).muxed(),
        fee,
        inner_tx: xdr::FeeBumpTransactionInnerTx::Tx(envelope),
        ext: xdr::FeeBumpTransactionExt::V0,
    };
    let hash = tx.hash(network.id())?;
    let signatures = xdr::VecM::try_from(vec![payer.decorated(&hash)])?;
    let bump = xdr::TransactionEnvelope::TxFeeBump(xdr::FeeBumpTransactionEnvelope { tx, signatures });
    Ok(Signed { hash: TxHash(hash), envelope: bump.to_xdr(xdr::Limits::none())? })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use zeroize::Zeroizing;

    use super::*;

    const ENVELOPE: &str = "AAAAAgAAAACKiOPddAnxlf1S2y08ul1yymcJvx2UEhvzdIgBtA9vXAAAAMgAAAABAAAAAQAAAAEAAAAAAAAAAAAAAABrSdIAAAAA\
        AQAAAA5zZXR0bGUtMjAyNi0xMQAAAAAAAgAAAAAAAAABAAAAAIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOUAAAAAAAA\
        AABJlgLSAAAAAAAAAAIAAAAAAAAAASoF8gAAAAAAgTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5QAAAABVVNEAAAAAADt\
        SSjGKNHCxurpAziQWZVhKVknOlxj+TY2wUYUrIc30QAAAAAPMv3AAAAAAQAAAAFFVVIAAAAAAO1JKMYo0cLG6ukDOJBZlWEpWSc6\
        XGP5NjbBRhSshzfRAAAAAAAAAAG0D29cAAAAQAS02BFpd57tjFCblkoZk8Sw7xaIoioG6Y0QWO7rhNDF3Lp1dsRhtJRa9vM+4p2o\
        GXNfyveW1KvTqd275EZfmwA=";
    const BUMP: &str = "AAAABQAAAADKk6wXBRhwcdZ7g8f/Dv6BCOjsRTBXXXcmh5Mz29q+fAAAAAAAAAu4AAAAAgAAAACKiOPddAnxlf1S2y08ul1yymcJ\
        vx2UEhvzdIgBtA9vXAAAAMgAAAABAAAAAQAAAAEAAAAAAAAAAAAAAABrSdIAAAAAAQAAAA5zZXR0bGUtMjAyNi0xMQAAAAAAAgAA\
        AAAAAAABAAAAAIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOUAAAAAAAAAABJlgLSAAAAAAAAAAIAAAAAAAAAASoF8gAA\
        AAAAgTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5QAAAABVVNEAAAAAADtSSjGKNHCxurpAziQWZVhKVknOlxj+TY2wUYU\
        rIc30QAAAAAPMv3AAAAAAQAAAAFFVVIAAAAAAO1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfRAAAAAAAAAAG0D29cAAAA\
        QAS02BFpd57tjFCblkoZk8Sw7xaIoioG6Y0QWO7rhNDF3Lp1dsRhtJRa9vM+4p2oGXNfyveW1KvTqd275EZfmwAAAAAAAAAAAdva\
        vnwAAABAtg93Z7h2XUWCKbWVwiSqe1aCfKmbNlMIFnXPsz0LK+zdukXDljIuRo8Bjxm4fXPqvbGQLCiB8fqTb6GtQL+aBg==";

    fn key(n: u8) -> SigningKey {
        SigningKey::from_seed(&Zeroizing::new([n; 32]))
    }

    fn network() -> Network {
        Network::new("Standalone Network ; February 2017")
    }

    fn usd() -> Asset {
        Asset::Issued { code: "USD".parse().unwrap(), issuer: key(3).address() }
    }

    fn pay(destination: Destination, amount: &str) -> Pay {
        Pay { destination, asset: Asset::Native, amount: amount.parse().unwrap() }
    }

    fn to() -> Destination {
        Destination::account(key(2).address())
    }

    fn draft() -> Draft {
        Draft::new(key(1).address(), 4_294_967_297, FeeRate::LEAST, TimeBounds { min: 0, max: 1_800_000_000 })
    }

    fn reference() -> Draft {
        let eur = Asset::Issued { code: "EUR".parse().unwrap(), issuer: key(3).address() };
        draft().memo(Memo::Text("settle-2026-11".to_owned())).pay(pay(to(), "123.456789")).path_pay(PathPay {
            pay: Pay { destination: to(), asset: usd(), amount: "25.5".parse().unwrap() },
            send_asset: Asset::Native,
            send_max: "500".parse().unwrap(),
            path: vec![eur],
        })
    }

    #[test]
    fn a_transaction_is_byte_for_byte_what_two_other_sdks_make_of_it() {
        // Written down from stellar-sdk 16.1.1 (Python) and @stellar/stellar-sdk 15.1.0 (JavaScript), which agree.
        let signed = reference().sign(&network(), &key(1)).unwrap();
        assert_eq!(signed.hash.to_string(), "d4f2086e67ea7710089129b4c57b1c98d5d19ecfdfe2ce9c84a1873c55961634");
        assert_eq!(BASE64.encode(&signed.envelope), ENVELOPE);
        let bump = fee_bump(&signed, FeeRate::new(1_000).unwrap(), &network(), &key(4)).unwrap();
        assert_eq!(bump.hash.to_string(), "76337570fc34b252b48f481fe5c9b73bca846f7cb2982c4f9bde86f404492614");
        assert_eq!(BASE64.encode(&bump.envelope), BUMP);
    }

    #[test]
    fn the_same_draft_gives_the_same_bytes_and_another_network_another_name() {
        let once = reference().sign(&network(), &key(1)).unwrap();
        assert_eq!(reference().sign(&network(), &key(1)).unwrap(), once);
        let elsewhere = reference().sign(&Network::new(Network::PUBLIC), &key(1)).unwrap();
        assert_ne!(elsewhere.hash, once.hash);
    }

    #[test]
    fn what_the_network_would_refuse_is_not_signed() {
        let refused = |draft: Draft| draft.sign(&network(), &key(1)).unwrap_err();
        assert_eq!(refused(draft()), DraftError::Empty);
        assert_eq!(refused(draft().pay(pay(to(), "0"))), DraftError::Nothing);
        let many = (0..101).fold(draft(), |d, _| d.pay(pay(to(), "1")));
        assert_eq!(refused(many), DraftError::TooMany(101));
        let long = draft().memo(Memo::Text("x".repeat(29))).pay(pay(to(), "1"));
        assert_eq!(refused(long), DraftError::Memo(29));
        for (min, max) in [(0, 0), (5, 4)] {
            let mut never = draft().pay(pay(to(), "1"));
            never.bounds = TimeBounds { min, max };
            assert_eq!(refused(never), DraftError::Bounds { min, max });
        }
        for sequence in [0, -1, i64::MIN] {
            let mut wrong = draft().pay(pay(to(), "1"));
            wrong.sequence = sequence;
            assert_eq!(refused(wrong), DraftError::Sequence(sequence));
        }
        let part = Destination { part: Some(7), ..to() };
        assert_eq!(refused(draft().memo(Memo::Id(1)).pay(pay(part, "1"))), DraftError::MemoAndPart(part));
        let mut dear = draft().pay(pay(to(), "1")).pay(pay(to(), "1"));
        dear.fee = FeeRate::new(u32::MAX).unwrap();
        assert_eq!(refused(dear), DraftError::Fee);
        let path = PathPay { pay: pay(to(), "1"), send_asset: usd(), send_max: Stroops::MAX, path: vec![usd(); 6] };
        assert_eq!(refused(draft().path_pay(path)), DraftError::Path(6));
    }

    #[test]
    fn a_fee_bump_keeps_what_it_wraps_and_must_offer_more() {
        let inner = reference().sign(&network(), &key(1)).unwrap();
        let bump = fee_bump(&inner, FeeRate::new(1_000).unwrap(), &network(), &key(4)).unwrap();
        let xdr::TransactionEnvelope::TxFeeBump(envelope) = super::super::read_envelope(&bump.envelope).unwrap() else {
            panic!("no fee bump");
        };
        assert_eq!(envelope.tx.fee, 3_000, "one more than the operations");
        let xdr::FeeBumpTransactionInnerTx::Tx(kept) = envelope.tx.inner_tx;
        assert_eq!(kept.tx.hash(network().id()).unwrap(), *inner.hash.bytes());
        let same = fee_bump(&inner, FeeRate::LEAST, &network(), &key(4));
        assert_eq!(same, Err(DraftError::FeeNotHigher { offered: 100, before: 100 }));
        let twice = fee_bump(&bump, FeeRate::new(9_000).unwrap(), &network(), &key(4));
        assert_eq!(twice, Err(DraftError::NotWrappable));
    }
}
