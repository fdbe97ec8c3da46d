//! The network in memory itself: what it must refuse, it refuses. A double that takes everything proves nothing.

use payments::stellar::{
    Asset, Destination, Draft, FeeRate, Memo, Network, PathPay, Pay, Signed, TimeBounds, fee_bump,
};

use super::chain::code;
use super::double::{Double, word};
use super::{START, address, has, key, network, server, usd, usd_xdr};

fn bounds() -> TimeBounds {
    TimeBounds { min: 0, max: START + 100 }
}

fn draft(sequence: i64, amount: &str) -> Draft {
    let pay = Pay { destination: Destination::account(address(2)), asset: usd(), amount: amount.parse().unwrap() };
    Draft::new(address(1), (1 << 32) + sequence, FeeRate::LEAST, bounds()).memo(Memo::Id(7)).pay(pay)
}

fn signed(draft: &Draft) -> Signed {
    draft.sign(&network(), &key(1)).unwrap()
}

fn submit(double: &Double, envelope: &[u8]) -> &'static str {
    double.chain(|chain| word(&chain.submit(envelope)))
}

/// What became of the last that was applied.
fn last(double: &Double) -> &'static str {
    double.chain(|chain| {
        chain.close(5);
        code(&chain.applied.last().unwrap().result)
    })
}

#[tokio::test]
async fn a_node_takes_only_what_is_signed_by_its_account_for_this_network() {
    let double = server().await;
    let draft = draft(1, "1");
    for wrong in [
        draft.sign(&Network::new(Network::PUBLIC), &key(1)).unwrap(),
        // The hint of another key, and its signature.
        draft.sign(&network(), &key(3)).unwrap(),
    ] {
        assert_eq!(submit(&double, &wrong.envelope), "TxBadAuth");
    }
    let mut changed = signed(&draft).envelope;
    let amount = changed.len() - 4 - 72 - 4 - 1;
    changed[amount] ^= 1;
    assert_ne!(submit(&double, &changed), "PENDING", "another amount under the same signature");
    assert_eq!(submit(&double, &[0; 40]), "no XDR");
    assert_eq!(submit(&double, &signed(&draft).envelope), "PENDING");
    assert_eq!(submit(&double, &signed(&draft).envelope), "DUPLICATE");
    assert_eq!(last(&double), "TxSuccess");
    assert_eq!((has(&double, 1), has(&double, 2)), (4_990_000_000, 5_010_000_000));
    // Applied once: never again.
    assert_eq!(submit(&double, &signed(&draft).envelope), "TxBadSeq");
}

#[tokio::test]
async fn sequence_time_fee_and_balance_are_held_to() {
    let double = server().await;
    assert_eq!(submit(&double, &signed(&draft(2, "1")).envelope), "TxBadSeq", "a gap");
    assert_eq!(submit(&double, &signed(&draft(0, "1")).envelope), "TxBadSeq", "used");
    let pay = Pay { destination: Destination::account(address(2)), asset: usd(), amount: "1".parse().unwrap() };
    let at = |min, max| {
        let bounds = TimeBounds { min, max };
        let draft = Draft::new(address(1), (1 << 32) + 1, FeeRate::LEAST, bounds).pay(pay.clone());
        submit(&double, &signed(&draft).envelope)
    };
    assert_eq!(at(0, START - 1), "TxTooLate");
    assert_eq!(at(START + 1, START + 2), "TxTooEarly");
    assert_eq!(at(START, START), "PENDING");
    double.chain(|chain| chain.close(5));
    assert_eq!(double.chain(|chain| chain.applied.len()), 0, "it was in the queue when its time was over");
    let nobody = Draft::new(address(5), 1, FeeRate::LEAST, bounds()).pay(pay.clone());
    assert_eq!(submit(&double, &nobody.sign(&network(), &key(5)).unwrap().envelope), "TxNoAccount");
    double.chain(|chain| chain.accounts.get_mut(address(1).bytes()).unwrap().lumens = 99);
    assert_eq!(submit(&double, &signed(&draft(1, "1")).envelope), "TxInsufficientBalance");
}

#[tokio::test]
async fn what_cannot_be_paid_fails_in_a_ledger_and_takes_fee_and_sequence_number() {
    let double = server().await;
    double.chain(|chain| chain.rates.push((stellar_xdr::Asset::Native, usd_xdr(), 1, 4)));
    let send = |n: i64, to: u8, asset: Asset, amount: &str| {
        let pay = Pay { destination: Destination::account(address(to)), asset, amount: amount.parse().unwrap() };
        let draft = Draft::new(address(1), (1 << 32) + n, FeeRate::LEAST, bounds()).pay(pay);
        assert_eq!(submit(&double, &signed(&draft).envelope), "PENDING");
        assert_eq!(last(&double), "TxFailed");
    };
    send(1, 2, usd(), "500.0000001");
    send(2, 4, usd(), "1");
    let other = Asset::Issued { code: "USD".parse().unwrap(), issuer: address(2) };
    send(3, 1, other, "1");
    let through = |n: i64, max: &str| {
        let pay = Pay { destination: Destination::account(address(2)), asset: usd(), amount: "10".parse().unwrap() };
        let pay = PathPay { pay, send_asset: Asset::Native, send_max: max.parse().unwrap(), path: vec![] };
        let draft = Draft::new(address(1), (1 << 32) + n, FeeRate::LEAST, bounds()).path_pay(pay);
        assert_eq!(submit(&double, &signed(&draft).envelope), "PENDING");
        last(&double)
    };
    assert_eq!(through(4, "39.9999999"), "TxFailed", "ten cost forty");
    let account = double.chain(|chain| chain.accounts[address(1).bytes()].clone());
    assert_eq!((account.sequence, account.lumens), ((1 << 32) + 4, 10_000_000_000 - 400));
    assert_eq!((has(&double, 1), has(&double, 2)), (5_000_000_000, 5_000_000_000));
    assert_eq!(through(5, "40"), "TxSuccess");
    let lumens = double.chain(|chain| chain.accounts[address(1).bytes()].lumens);
    assert_eq!(lumens, 10_000_000_000 - 500 - 400_000_000);
}

#[tokio::test]
async fn a_fee_bump_replaces_for_ten_times_the_fee_and_is_applied_once() {
    let double = server().await;
    double.chain(|chain| chain.asked_fee = 1_000);
    let inner = signed(&draft(1, "1"));
    assert_eq!(submit(&double, &inner.envelope), "PENDING");
    double.chain(|chain| chain.close(5));
    assert_eq!(double.chain(|chain| chain.applied.len()), 0, "it offers too little");
    let bump = |rate| fee_bump(&inner, FeeRate::new(rate).unwrap(), &network(), &key(2)).unwrap();
    assert_eq!(submit(&double, &bump(999).envelope), "TRY_AGAIN_LATER");
    let good = bump(1_000);
    let mut forged = good.clone();
    *forged.envelope.last_mut().unwrap() ^= 1;
    assert_eq!(submit(&double, &forged.envelope), "TxBadAuth");
    assert_eq!(submit(&double, &good.envelope), "PENDING");
    assert_eq!(last(&double), "TxFeeBumpInnerSuccess");
    assert_eq!(submit(&double, &inner.envelope), "TxBadSeq");
    let [one, two] = [1, 2].map(|n| double.chain(|chain| chain.accounts[address(n).bytes()].lumens));
    assert_eq!((one, two), (10_000_000_000, 10_000_000_000 - 2_000), "who bumps pays");
    let found = double.chain(|chain| [inner.hash, good.hash].map(|hash| chain.find(*hash.bytes()).is_some()));
    assert_eq!(found, [true, true]);
}
