//! What others have paid us: found in closed ledgers, recognised by memo, asset and issuer, counted once.
//!
//! A transaction is looked at whole, envelope and result, because a payment's memo stands in the one and whether it happened
//! in the other. An arrival is named by its transaction's hash and its operation's place: seen twice, it is counted once.
//! [`Inbox`] keeps what was read, [`Watcher`] is the task that reads.

mod inbox;
mod watcher;

use stellar_xdr as xdr;

pub use inbox::{Inbox, Kept, Read, Reading};
pub use watcher::{Expecting, Landing, Progress, WatchError, Watcher};

use super::rpc::{Ranges, Transaction};
use super::{Address, Asset, Destination, Rate, Stroops, TxHash};
use crate::Msat;
use crate::ledger::{AccountId, Movement, Purpose, Transfer, TransferId};

/// Money that came to our account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// In which transaction.
    pub tx: TxHash,
    /// By which of its operations, from nought.
    pub operation: u32,
    /// In which ledger.
    pub ledger: u32,
    /// Who sent it.
    pub from: Address,
    /// In what; `None`: an asset whose code no wallet would show.
    pub asset: Option<Asset>,
    /// How much arrived.
    pub amount: Stroops,
    /// The number by which it is recognised: the part of our account that it was sent to, else the memo. `None`: neither, or a
    /// memo that is no number.
    pub reference: Option<u64>,
}

/// All that a transaction brought to this account. Nothing for one that failed.
#[must_use]
pub fn arrivals(to: Address, tx: &Transaction) -> Vec<Arrival> {
    let Some(results) = done(&tx.result) else { return Vec::new() };
    let Some((source, memo, operations)) = signed(&tx.envelope) else { return Vec::new() };
    let mut arrived = Vec::new();
    for (place, (operation, result)) in operations.iter().zip(results).enumerate() {
        let Some((destination, asset, amount)) = brought(operation, result) else { continue };
        let amount = Stroops::new(amount).filter(|amount| !amount.is_zero());
        let (Some(amount), Ok(place)) = (amount, u32::try_from(place)) else { continue };
        let from = operation.source_account.as_ref().map_or(source, |muxed| Destination::from_muxed(muxed).account);
        // What goes from us to us brings nothing.
        if destination.account != to || from == to {
            continue;
        }
        let memo = if let xdr::Memo::Id(id) = memo { Some(*id) } else { None };
        arrived.push(Arrival {
            tx: tx.hash,
            operation: place,
            ledger: tx.ledger,
            from,
            asset,
            amount,
            reference: destination.part.or(memo),
        });
    }
    arrived
}

/// The operations' results of a transaction that was applied.
fn done(result: &xdr::TransactionResult) -> Option<&[xdr::OperationResult]> {
    match &result.result {
        xdr::TransactionResultResult::TxSuccess(results) => Some(results),
        xdr::TransactionResultResult::TxFeeBumpInnerSuccess(pair) => match &pair.result.result {
            xdr::InnerTransactionResultResult::TxSuccess(results) => Some(results),
            _ => None,
        },
        _ => None,
    }
}

/// Who sent it, with which memo, doing what.
fn signed(envelope: &xdr::TransactionEnvelope) -> Option<(Address, &xdr::Memo, &[xdr::Operation])> {
    let tx = match envelope {
        xdr::TransactionEnvelope::TxV0(v0) => {
            let source = Address::from_bytes(v0.tx.source_account_ed25519.0);
            return Some((source, &v0.tx.memo, &v0.tx.operations));
        }
        xdr::TransactionEnvelope::Tx(v1) => &v1.tx,
        xdr::TransactionEnvelope::TxFeeBump(bump) => {
            let xdr::FeeBumpTransactionInnerTx::Tx(inner) = &bump.tx.inner_tx;
            &inner.tx
        }
    };
    Some((Destination::from_muxed(&tx.source_account).account, &tx.memo, &tx.operations))
}

/// What an operation brought to whom: by its result where that alone knows the amount.
fn brought(operation: &xdr::Operation, result: &xdr::OperationResult) -> Option<(Destination, Option<Asset>, i64)> {
    use xdr::{OperationBody as B, OperationResultTr as R};
    let xdr::OperationResult::OpInner(result) = result else { return None };
    match (&operation.body, result) {
        (B::Payment(op), R::Payment(xdr::PaymentResult::Success)) => {
            Some((Destination::from_muxed(&op.destination), Asset::from_xdr(&op.asset), op.amount))
        }
        (B::PathPaymentStrictReceive(op), R::PathPaymentStrictReceive(result)) => {
            let xdr::PathPaymentStrictReceiveResult::Success(_) = result else { return None };
            Some((Destination::from_muxed(&op.destination), Asset::from_xdr(&op.dest_asset), op.dest_amount))
        }
        (B::PathPaymentStrictSend(op), R::PathPaymentStrictSend(result)) => {
            let xdr::PathPaymentStrictSendResult::Success(success) = result else { return None };
            Some((Destination::from_muxed(&op.destination), Asset::from_xdr(&op.dest_asset), success.last.amount))
        }
        (B::CreateAccount(op), R::CreateAccount(xdr::CreateAccountResult::Success)) => {
            let account = Destination::account(Address::from_account_id(&op.destination));
            Some((account, Some(Asset::Native), op.starting_balance))
        }
        (B::AccountMerge(to), R::AccountMerge(xdr::AccountMergeResult::Success(balance))) => {
            Some((Destination::from_muxed(to), Some(Asset::Native), *balance))
        }
        _ => None,
    }
}

/// What we take as money: an asset with its issuer, and what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Code and issuer: another issuer's is another asset.
    pub asset: Asset,
    /// Its worth.
    pub rate: Rate,
}

/// A payment that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The number in its memo.
    pub reference: u64,
    /// Whose debt it pays.
    pub account: AccountId,
    /// In what it was agreed to be paid, and at what worth; `None`: what that is worth that is taken from everybody.
    pub agreed: Option<Accepted>,
}

/// Whose an arrival is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Of who was to pay under this number: so much of their debt is paid, whether that is all of it or not.
    Known {
        /// Whose debt.
        account: AccountId,
        /// What it is worth.
        worth: Msat,
    },
    /// In money that we take, and nobody knows whose: kept apart until people find out.
    Unknown {
        /// What it is worth.
        worth: Msat,
    },
    /// Not money that we take, whatever it calls itself, or less than a millisatoshi: no entry, only a line for people.
    Nothing,
}

/// Tells whose an arrival is: by asset, issuer and number, all three.
#[must_use]
pub fn whose(arrival: &Arrival, accepted: &[Accepted], expected: impl Fn(u64) -> Option<Expected>) -> Whose {
    let expected = arrival.reference.and_then(expected);
    // What two have agreed for this debt counts before what holds for everybody today.
    let agreed = expected.and_then(|expected| expected.agreed);
    let money = agreed.iter().chain(accepted).find(|accepted| arrival.asset == Some(accepted.asset));
    let worth = money.and_then(|money| money.rate.worth(arrival.amount)).filter(|worth| !worth.is_zero());
    let Some(worth) = worth else { return Whose::Nothing };
    match expected {
        Some(Expected { account, .. }) => Whose::Known { account, worth },
        None => Whose::Unknown { worth },
    }
}

/// The one transfer that books an arrival. Its id is the arrival's name: asked for again, it is done once.
#[must_use]
pub fn booked(arrival: &Arrival, whose: Whose, stellar: AccountId, suspense: AccountId) -> Option<Transfer> {
    let (credit, amount) = match whose {
        Whose::Known { account, worth } => (account, worth),
        Whose::Unknown { worth } => (suspense, worth),
        Whose::Nothing => return None,
    };
    let id = TransferId::named(&["stellar arrival", &arrival.tx.to_string(), &arrival.operation.to_string()]);
    let movement = Movement::Post { debit: stellar, credit, amount };
    Some(Transfer { id, purpose: Purpose::Settlement, movement })
}

/// The one transfer that moves an arrival out of suspense, once it is known whose it is.
#[must_use]
pub fn claimed(arrival: &Arrival, worth: Msat, suspense: AccountId, account: AccountId) -> Transfer {
    let id = TransferId::named(&["stellar claim", &arrival.tx.to_string(), &arrival.operation.to_string()]);
    Transfer {
        id,
        purpose: Purpose::Correction,
        movement: Movement::Post { debit: suspense, credit: account, amount: worth },
    }
}

/// How well the reader keeps up with what the server remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Up.
    Up,
    /// More than half of what the server remembers lies behind the last ledger read: people should look before it is too late.
    Behind {
        /// Ledgers that are left before something is missed.
        left: u32,
    },
    /// Ledgers were forgotten before they were read. What came in them must be looked up by hand.
    Missed {
        /// The first that was not read.
        from: u32,
        /// The first that the server has.
        to: u32,
    },
}

/// Compares the last ledger that was read with what the server has.
#[must_use]
pub const fn keeping(read: u32, has: Ranges) -> Keeping {
    if read.saturating_add(1) < has.oldest {
        return Keeping::Missed { from: read.saturating_add(1), to: has.oldest };
    }
    let (memory, age) = (has.latest.saturating_sub(has.oldest), has.latest.saturating_sub(read));
    if age > memory / 2 { Keeping::Behind { left: read.saturating_sub(has.oldest) } } else { Keeping::Up }
}

#[cfg(test)]
mod tests {
    use stellar_xdr::WriteXdr as _;

    use super::*;
    use crate::UnixMillis;
    use crate::ledger::{Account, AccountKind, Applied, Book};

    fn key(n: u8) -> Address {
        Address::from_bytes([n; 32])
    }

    const US: u8 = 9;

    fn usd(issuer: u8) -> Asset {
        Asset::Issued { code: "USD".parse().unwrap(), issuer: key(issuer) }
    }

    fn pay(to: Destination, asset: Asset, amount: i64) -> (xdr::OperationBody, xdr::OperationResultTr) {
        let op = xdr::PaymentOp { destination: to.muxed(), asset: asset.to_xdr(), amount };
        (xdr::OperationBody::Payment(op), xdr::OperationResultTr::Payment(xdr::PaymentResult::Success))
    }

    fn us() -> Destination {
        Destination::account(key(US))
    }

    fn transaction(memo: xdr::Memo, operations: Vec<(xdr::OperationBody, xdr::OperationResultTr)>) -> Transaction {
        let (bodies, results): (Vec<_>, Vec<_>) = operations.into_iter().unzip();
        let bodies: Vec<_> = bodies.into_iter().map(|body| xdr::Operation { source_account: None, body }).collect();
        let results: Vec<_> = results.into_iter().map(xdr::OperationResult::OpInner).collect();
        let tx = xdr::Transaction {
            source_account: Destination::account(key(1)).muxed(),
            fee: 100,
            seq_num: xdr::SequenceNumber(1),
            cond: xdr::Preconditions::None,
            memo,
            operations: bodies.try_into().unwrap(),
            ext: xdr::TransactionExt::V0,
        };
        Transaction {
            hash: TxHash::from_bytes([5; 32]),
            ledger: 7,
            closed: 1_800_000_000,
            envelope: tx.into(),
            result: xdr::TransactionResult {
                fee_charged: 100,
                result: xdr::TransactionResultResult::TxSuccess(results.try_into().unwrap()),
                ext: xdr::TransactionResultExt::V0,
            },
        }
    }

    fn last(destination: Address, asset: Asset, amount: i64) -> xdr::SimplePaymentResult {
        xdr::SimplePaymentResult { destination: destination.account_id(), asset: asset.to_xdr(), amount }
    }

    #[test]
    fn every_kind_of_payment_counts_with_what_arrived() {
        let strict_receive = xdr::PathPaymentStrictReceiveOp {
            send_asset: xdr::Asset::Native,
            send_max: 999,
            destination: us().muxed(),
            dest_asset: usd(3).to_xdr(),
            dest_amount: 20,
            path: xdr::VecM::default(),
        };
        let strict_send = xdr::PathPaymentStrictSendOp {
            send_asset: xdr::Asset::Native,
            send_amount: 999,
            destination: us().muxed(),
            dest_asset: usd(3).to_xdr(),
            dest_min: 1,
            path: xdr::VecM::default(),
        };
        let success = xdr::PathPaymentStrictReceiveResultSuccess {
            offers: xdr::VecM::default(),
            last: last(key(US), usd(3), 20),
        };
        let sent =
            xdr::PathPaymentStrictSendResultSuccess { offers: xdr::VecM::default(), last: last(key(US), usd(3), 30) };
        let create = xdr::CreateAccountOp { destination: key(US).account_id(), starting_balance: 40 };
        let operations = vec![
            pay(us(), Asset::Native, 10),
            (
                xdr::OperationBody::PathPaymentStrictReceive(strict_receive),
                xdr::OperationResultTr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(success)),
            ),
            (
                xdr::OperationBody::PathPaymentStrictSend(strict_send),
                xdr::OperationResultTr::PathPaymentStrictSend(xdr::PathPaymentStrictSendResult::Success(sent)),
            ),
            (
                xdr::OperationBody::CreateAccount(create),
                xdr::OperationResultTr::CreateAccount(xdr::CreateAccountResult::Success),
            ),
            (
                xdr::OperationBody::AccountMerge(us().muxed()),
                xdr::OperationResultTr::AccountMerge(xdr::AccountMergeResult::Success(50)),
            ),
        ];
        let seen: Vec<_> = arrivals(key(US), &transaction(xdr::Memo::Id(4), operations))
            .into_iter()
            .map(|a| (a.operation, a.asset.unwrap(), a.amount.get(), a.reference))
            .collect();
        let xlm = Asset::Native;
        assert_eq!(
            seen,
            [
                (0, xlm, 10, Some(4)),
                (1, usd(3), 20, Some(4)),
                (2, usd(3), 30, Some(4)),
                (3, xlm, 40, Some(4)),
                (4, xlm, 50, Some(4))
            ]
        );
    }

    #[test]
    fn what_failed_or_went_elsewhere_brings_nothing() {
        let mut failed = transaction(xdr::Memo::Id(4), vec![pay(us(), Asset::Native, 10)]);
        failed.result.result = xdr::TransactionResultResult::TxFailed(xdr::VecM::default());
        assert_eq!(arrivals(key(US), &failed), []);
        for result in [xdr::TransactionResultResult::TxBadSeq, xdr::TransactionResultResult::TxTooLate] {
            failed.result.result = result;
            assert_eq!(arrivals(key(US), &failed), []);
        }
        let elsewhere = transaction(xdr::Memo::Id(4), vec![pay(Destination::account(key(8)), Asset::Native, 10)]);
        assert_eq!(arrivals(key(US), &elsewhere), []);
        let nothing = transaction(xdr::Memo::Id(4), vec![pay(us(), Asset::Native, 0), pay(us(), Asset::Native, -5)]);
        assert_eq!(arrivals(key(US), &nothing), []);
        let ours = transaction(xdr::Memo::Id(4), vec![pay(Destination::account(key(1)), Asset::Native, 10)]);
        assert_eq!(arrivals(key(1), &ours), [], "from us to us");
    }

    #[test]
    fn a_numbered_part_of_our_account_wins_over_the_memo() {
        let part = Destination { part: Some(77), ..us() };
        let tx = transaction(xdr::Memo::Id(4), vec![pay(part, Asset::Native, 10), pay(us(), Asset::Native, 1)]);
        let seen: Vec<_> = arrivals(key(US), &tx).into_iter().map(|a| a.reference).collect();
        assert_eq!(seen, [Some(77), Some(4)]);
        for memo in [xdr::Memo::None, xdr::Memo::Text("4".try_into().unwrap()), xdr::Memo::Hash(xdr::Hash([4; 32]))] {
            let tx = transaction(memo, vec![pay(us(), Asset::Native, 10)]);
            assert_eq!(arrivals(key(US), &tx)[0].reference, None, "only a number is a number");
        }
    }

    #[test]
    fn inside_a_fee_bump_counts_the_same() {
        let mut tx = transaction(xdr::Memo::Id(4), vec![pay(us(), Asset::Native, 10)]);
        let plain = arrivals(key(US), &tx);
        let xdr::TransactionEnvelope::Tx(inner_tx) = tx.envelope else { unreachable!() };
        tx.envelope = xdr::FeeBumpTransaction {
            fee_source: Destination::account(key(6)).muxed(),
            fee: 2_000,
            inner_tx: xdr::FeeBumpTransactionInnerTx::Tx(inner_tx),
            ext: xdr::FeeBumpTransactionExt::V0,
        }
        .into();
        let xdr::TransactionResultResult::TxSuccess(results) = tx.result.result else { unreachable!() };
        let pair = |result| xdr::InnerTransactionResultPair {
            transaction_hash: xdr::Hash([6; 32]),
            result: xdr::InnerTransactionResult { fee_charged: 0, result, ext: xdr::InnerTransactionResultExt::V0 },
        };
        let success = pair(xdr::InnerTransactionResultResult::TxSuccess(results));
        tx.result.result = xdr::TransactionResultResult::TxFeeBumpInnerSuccess(success);
        assert_eq!(arrivals(key(US), &tx), plain);
        assert!(tx.envelope.to_xdr(xdr::Limits::none()).is_ok());
        let failed = pair(xdr::InnerTransactionResultResult::TxFailed(xdr::VecM::default()));
        tx.result.result = xdr::TransactionResultResult::TxFeeBumpInnerFailed(failed);
        assert_eq!(arrivals(key(US), &tx), []);
    }

    fn account(name: &str) -> AccountId {
        AccountId::named(&[name])
    }

    fn told(asset: Asset, memo: xdr::Memo) -> Whose {
        let accepted = [Accepted { asset: usd(3), rate: Rate::per_btc(1_000_000_000_000).unwrap() }];
        let expected =
            |reference| (reference == 4).then(|| Expected { reference, account: account("partner"), agreed: None });
        let tx = transaction(memo, vec![pay(us(), asset, 1_000)]);
        whose(&arrivals(key(US), &tx)[0], &accepted, expected)
    }

    #[test]
    fn money_is_known_by_code_issuer_and_number_together() {
        let worth = Msat::new(100).unwrap();
        assert_eq!(told(usd(3), xdr::Memo::Id(4)), Whose::Known { account: account("partner"), worth });
        assert_eq!(told(usd(3), xdr::Memo::Id(5)), Whose::Unknown { worth }, "nobody waits for this number");
        assert_eq!(told(usd(3), xdr::Memo::None), Whose::Unknown { worth });
        assert_eq!(told(usd(66), xdr::Memo::Id(4)), Whose::Nothing, "USD of another issuer is not money");
        assert_eq!(told(Asset::Native, xdr::Memo::Id(4)), Whose::Nothing);
    }

    #[test]
    fn what_two_have_agreed_counts_before_what_an_asset_is_worth_today() {
        let today = [Accepted { asset: usd(3), rate: Rate::per_btc(1_000_000_000_000).unwrap() }];
        let agreed = |asset, rate| {
            let agreed = Some(Accepted { asset, rate: Rate::per_btc(rate).unwrap() });
            let expected = |reference| Some(Expected { reference, account: account("partner"), agreed });
            let tx = transaction(xdr::Memo::Id(4), vec![pay(us(), usd(3), 1_000)]);
            whose(&arrivals(key(US), &tx)[0], &today, expected)
        };
        let known = |worth| Whose::Known { account: account("partner"), worth: Msat::new(worth).unwrap() };
        assert_eq!(agreed(usd(3), 2_000_000_000_000), known(50));
        assert_eq!(agreed(usd(66), 2_000_000_000_000), known(100), "in another asset than was agreed, and one we take");
    }

    #[test]
    fn an_arrival_that_is_seen_twice_is_booked_once_and_what_nobody_knows_waits_in_suspense() {
        let mut book = Book::default();
        for (name, kind) in
            [("partner", AccountKind::Partner), ("stellar", AccountKind::Stellar), ("suspense", AccountKind::Suspense)]
        {
            book.open(Account::new(account(name), kind));
        }
        let rate = Rate::per_btc(1_000_000_000_000).unwrap();
        let operations = vec![pay(us(), usd(3), 1_000), pay(us(), usd(3), 500), pay(us(), usd(66), 9_999)];
        let tx = transaction(xdr::Memo::Id(4), operations);
        let expected = |reference| Some(Expected { reference, account: account("partner"), agreed: None });
        for (round, known) in [true, true, false].into_iter().enumerate() {
            for arrival in arrivals(key(US), &tx) {
                let arrival = Arrival { reference: arrival.reference.filter(|_| known), ..arrival };
                // What nobody knows is another transaction here.
                let arrival = Arrival { operation: arrival.operation + if known { 0 } else { 10 }, ..arrival };
                let whose = whose(&arrival, &[Accepted { asset: usd(3), rate }], expected);
                let Some(transfer) = booked(&arrival, whose, account("stellar"), account("suspense")) else { continue };
                let done = book.apply_all(UnixMillis(1), &[transfer]);
                assert_eq!(done, Ok(if round == 1 { Applied::Exists } else { Applied::New }));
            }
        }
        let balance = |name| book.account(account(name)).unwrap().sums.balance();
        assert_eq!((balance("partner"), balance("suspense"), balance("stellar")), (150, 150, -300));
    }

    #[test]
    fn who_falls_behind_hears_of_it_before_anything_is_missed() {
        let has = Ranges { latest: 1_100, oldest: 100, latest_close: 0, oldest_close: 0 };
        assert_eq!(keeping(1_100, has), Keeping::Up);
        assert_eq!(keeping(600, has), Keeping::Up);
        assert_eq!(keeping(599, has), Keeping::Behind { left: 499 });
        assert_eq!(keeping(99, has), Keeping::Behind { left: 0 });
        assert_eq!(keeping(98, has), Keeping::Missed { from: 99, to: 100 });
    }
}
