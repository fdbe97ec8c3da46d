//! Both sides at one table.

use std::time::Duration;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::super::{Accounts, PayWhen, Window, booked, due, held, not_paid, paid};
use super::*;
use crate::ledger::{Account, AccountId, AccountKind, Applied, Book};
use crate::stellar::{Asset, Network, Rate};
use crate::{Msat, UnixMillis};

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([n; 32]))
}

fn terms() -> Terms {
    let rate = Rate::per_btc(3_000_000_000_000).unwrap();
    Terms::between(key(1).address(), key(2).address(), Asset::Native, rate).unwrap()
}

fn line(call: u8, carrier: Side, amount: u64) -> CallLine {
    CallLine { call: CallName::from_bytes([call; 32]), carrier, seconds: 60, amount: Msat::new(amount).unwrap() }
}

fn window(number: u64) -> Window {
    Window { from: UnixMillis(number * 1_000), until: UnixMillis(number * 1_000 + 1_000) }
}

fn statement(lines: Vec<CallLine>) -> Statement {
    Statement::new(terms(), window(1), StatementHash::NONE, lines).unwrap()
}

/// Ours and theirs, each with its own CDRs.
fn table(ours: Vec<CallLine>, theirs: Vec<CallLine>) -> (Settlement, Settlement) {
    (Settlement::new(statement(ours), &key(1)).unwrap(), Settlement::new(statement(theirs), &key(2)).unwrap())
}

fn agreed(side: &Settlement) -> &Agreement {
    let Standing::Agreed(agreement) = side.standing() else { panic!("not agreed: {:?}", side.standing()) };
    assert!(agreement.is_genuine());
    agreement
}

fn first(side: &Settlement) -> &Proposal {
    side.proposals().next().unwrap()
}

/// Each hears the other, until both have agreed.
fn talk(one: &mut Settlement, other: &mut Settlement) {
    for _ in 0..2 {
        for said in one.proposals().cloned().collect::<Vec<_>>() {
            other.receive(&said, &key(2)).unwrap();
        }
        for said in other.proposals().cloned().collect::<Vec<_>>() {
            one.receive(&said, &key(1)).unwrap();
        }
    }
}

#[test]
fn the_same_calls_are_agreed_in_one_exchange_and_both_hold_the_same_paper() {
    let calls = vec![line(1, Side::A, 700), line(2, Side::B, 300)];
    let (mut one, mut other) = table(calls.clone(), calls);
    talk(&mut one, &mut other);
    assert_eq!(agreed(&one), agreed(&other));
    assert_eq!(agreed(&one).disputes, []);
}

#[test]
fn calls_on_which_they_differ_are_listed_one_by_one_and_the_rest_is_agreed() {
    let ours = vec![line(1, Side::A, 700), line(2, Side::B, 300), line(3, Side::A, 50), line(5, Side::B, 9)];
    let theirs = vec![line(1, Side::A, 700), line(2, Side::B, 400), line(4, Side::A, 60), line(5, Side::A, 9)];
    let (mut one, mut other) = table(ours, theirs);
    talk(&mut one, &mut other);
    let (mine, others) = (agreed(&one), agreed(&other));
    assert_eq!(mine.statement, others.statement);
    assert_eq!(mine.statement.lines(), [line(1, Side::A, 700)]);
    assert_eq!(
        mine.disputes,
        [
            Dispute::Differs { ours: line(2, Side::B, 300), theirs: line(2, Side::B, 400) },
            Dispute::OnlyOurs(line(3, Side::A, 50)),
            Dispute::OnlyTheirs(line(4, Side::A, 60)),
            Dispute::Differs { ours: line(5, Side::B, 9), theirs: line(5, Side::A, 9) },
        ]
    );
    let calls = |agreement: &Agreement| agreement.disputes.iter().map(Dispute::call).collect::<Vec<_>>();
    assert_eq!(calls(mine), calls(others));
}

#[test]
fn a_statement_that_was_changed_on_the_way_is_refused() {
    let (mut one, other) = table(vec![line(1, Side::A, 700)], vec![line(1, Side::A, 700)]);
    let mut said = first(&other).clone();
    said.statement = statement(vec![line(1, Side::A, 7)]);
    let refused = Refused::NotTheirs { partner: key(2).address() };
    assert_eq!(one.receive(&said, &key(1)).unwrap_err(), refused);
    let mut said = first(&other).clone();
    said.signature[7] ^= 1;
    assert_eq!(one.receive(&said, &key(1)).unwrap_err(), refused);
    assert_eq!(*one.standing(), Standing::Proposed, "and nothing has changed");
}

#[test]
fn another_key_and_our_own_echo_are_refused() {
    let (mut one, other) = table(vec![line(1, Side::A, 700)], vec![line(1, Side::A, 700)]);
    let refused = Refused::NotTheirs { partner: key(2).address() };
    let forged = Proposal::sign(first(&other).statement.clone(), &key(3));
    assert_eq!(one.receive(&forged, &key(1)).unwrap_err(), refused);
    let claimed = Proposal { by: key(2).address(), ..forged };
    assert_eq!(one.receive(&claimed, &key(1)).unwrap_err(), refused);
    let echo = first(&one).clone();
    assert_eq!(one.receive(&echo, &key(1)).unwrap_err(), refused);
    assert!(Settlement::new(statement(vec![]), &key(3)).is_none(), "who is neither side has nothing to say");
}

#[test]
fn a_signature_of_a_statement_is_no_signature_of_its_bare_hash() {
    let statement = statement(vec![line(1, Side::A, 700)]);
    let bare = key(2).sign(&statement.hash().0);
    assert!(!Proposal { statement, by: key(2).address(), signature: bare }.is_genuine());
}

#[test]
fn an_old_statement_sent_again_is_refused_and_a_double_changes_nothing() {
    let calls = vec![line(1, Side::A, 700)];
    let (mut one, mut other) = table(calls.clone(), calls.clone());
    let old = first(&other).clone();
    talk(&mut one, &mut other);
    let before = one.standing().clone();
    assert_eq!(one.receive(&old, &key(1)), Ok(&before), "a double");
    // The next window follows the last statement: the old one is of neither.
    let last = agreed(&one).statement.hash();
    let next = Statement::new(terms(), window(2), last, calls.clone()).unwrap();
    let mut next = Settlement::new(next, &key(1)).unwrap();
    assert_eq!(next.receive(&old, &key(1)).unwrap_err(), Refused::Other("window"));
    let unchained = Statement::new(terms(), window(2), StatementHash::NONE, calls).unwrap();
    let unchained = Proposal::sign(unchained, &key(2));
    assert_eq!(next.receive(&unchained, &key(1)).unwrap_err(), Refused::Other("statement before it"));
    // A second opinion behind the agreement.
    let late = Proposal::sign(statement(vec![line(1, Side::A, 900)]), &key(2));
    assert_eq!(one.receive(&late, &key(1)).unwrap_err(), Refused::Closed);
}

#[test]
fn another_rate_or_asset_is_refused_before_anything_is_signed() {
    let (mut one, _) = table(vec![line(1, Side::A, 700)], vec![]);
    let (a, b) = (key(1).address(), key(2).address());
    let cheap = Terms::between(a, b, Asset::Native, Rate::per_btc(3).unwrap()).unwrap();
    let usd = Asset::Issued { code: "USD".parse().unwrap(), issuer: key(5).address() };
    let other_asset = Terms::between(a, b, usd, terms().rate).unwrap();
    for (terms, what) in [(cheap, "rate"), (other_asset, "asset")] {
        let theirs = Statement::new(terms, window(1), StatementHash::NONE, vec![line(1, Side::A, 700)]).unwrap();
        let said = Proposal::sign(theirs, &key(2));
        assert_eq!(one.receive(&said, &key(1)).unwrap_err(), Refused::Other(what));
    }
}

fn account(name: &str) -> AccountId {
    AccountId::named(&[name])
}

fn books() -> (Book, Accounts) {
    let mut book = Book::default();
    for (name, kind) in [
        ("partner", AccountKind::Partner),
        ("revenue", AccountKind::Revenue),
        ("trunk", AccountKind::TrunkCost),
        ("stellar", AccountKind::Stellar),
    ] {
        book.open(Account::new(account(name), kind));
    }
    let accounts = Accounts {
        partner: account("partner"),
        revenue: account("revenue"),
        carried: account("trunk"),
        stellar: account("stellar"),
    };
    (book, accounts)
}

#[test]
fn what_is_agreed_and_paid_is_booked_once_and_leaves_nothing_owed() {
    let calls = vec![line(1, Side::A, 700), line(2, Side::B, 1_000)];
    let (mut one, mut other) = table(calls.clone(), calls);
    talk(&mut one, &mut other);
    let agreement = agreed(&one);
    let side = terms().side(key(1).address()).unwrap();
    let now = UnixMillis(2_000);
    let at_once = PayWhen { above: Msat::ZERO, after: Duration::from_secs(86_400) };
    let owed = due(std::slice::from_ref(agreement), now, at_once).unwrap();
    assert_eq!((owed.payer, owed.amount), (Side::A, Msat::new(300).unwrap()));
    assert_eq!(owed.stroops.get(), 9_000);
    assert_eq!(owed.reference, agreement.statement.reference());
    let order = owed.order(agreement, 1, key(2).address());
    assert_eq!(order, owed.order(agreement, 1, key(2).address()), "the same order after a crash");
    assert_ne!(order.id, owed.order(agreement, 2, key(2).address()).id, "tried again, it is another");
    let link = owed.link(agreement, &Network::new(Network::PUBLIC)).to_string();
    let receiver = terms().key(Side::B).to_string();
    assert!(link.contains(&receiver) && link.contains("amount=0.0009&"), "{link}");
    assert_eq!(order.memo, Some(owed.reference));
    let (mut book, accounts) = books();
    for expected in [Applied::New, Applied::Exists, Applied::Exists] {
        let payer = owed.payer;
        assert_eq!(book.apply_all(now, &booked(agreement, payer, &accounts)), Ok(expected));
        assert_eq!(book.apply_all(now, &[held(order.id, owed.amount, &accounts)]), Ok(expected));
        assert_eq!(book.apply_all(now, &[paid(order.id, owed.amount, &accounts)]), Ok(expected));
    }
    let balance = |name| book.account(account(name)).unwrap().sums.balance();
    assert_eq!((balance("partner"), balance("revenue"), balance("trunk"), balance("stellar")), (0, 700, -1_000, 300));
    assert!(side == Side::A || side == Side::B);
    let void = book.apply_all(now, &[not_paid(order.id, owed.amount, &accounts)]);
    assert!(void.is_err(), "paid is paid");
}

#[test]
fn a_proposal_is_the_same_after_the_way_and_a_broken_one_is_refused() {
    let sent = Proposal::sign(statement(vec![line(1, Side::A, 700)]), &key(2));
    let bytes = sent.bytes();
    assert_eq!(Proposal::read(&bytes), Ok(sent));
    for length in 0..bytes.len() {
        assert!(Proposal::read(&bytes[..length]).is_err(), "{length}");
    }
    let (mut one, _) = table(vec![line(1, Side::A, 700)], vec![]);
    for place in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[place] ^= 1;
        let Ok(read) = Proposal::read(&broken) else { continue };
        assert!(one.receive(&read, &key(1)).is_err(), "byte {place}");
    }
    assert!(one.receive(&Proposal::read(&bytes).unwrap(), &key(1)).is_ok());
}

#[test]
fn little_waits_for_more_or_for_the_day_to_end() {
    let when = PayWhen { above: Msat::new(500).unwrap(), after: Duration::from_millis(86_400_000) };
    let mut open = Vec::new();
    let mut previous = StatementHash::NONE;
    for number in 1..=3 {
        let calls = vec![line(1, Side::B, 250), line(2, Side::A, 50)];
        let statement = Statement::new(terms(), window(number), previous, calls).unwrap();
        previous = statement.hash();
        let mut one = Settlement::new(statement.clone(), &key(1)).unwrap();
        one.receive(&Proposal::sign(statement, &key(2)), &key(1)).unwrap();
        open.push(agreed(&one).clone());
    }
    let now = UnixMillis(10_000);
    assert_eq!(due(&[], now, when), None);
    assert_eq!(due(&open[..2], now, when), None, "400 is not above 500");
    let three = due(&open, now, when).unwrap();
    assert_eq!((three.amount, three.reference), (Msat::new(600).unwrap(), open[2].statement.reference()));
    let tomorrow = UnixMillis(2_000 + 86_400_000);
    assert_eq!(due(&open[..1], tomorrow, when).unwrap().amount, Msat::new(200).unwrap());
}

proptest! {
    #[test]
    fn any_bytes_are_a_proposal_or_refused(data in proptest::collection::vec(any::<u8>(), 0..400), good in any::<bool>()) {
        let mut bytes = if good { Proposal::sign(statement(vec![line(1, Side::A, 7)]), &key(2)).bytes() } else { HEAD.to_vec() };
        let keep = bytes.len() - usize::from(good) * (data.len() % 90);
        bytes.truncate(keep);
        bytes.extend(&data);
        crate::settlement::fuzz::fuzz_proposal(&bytes);
    }

    #[test]
    fn whatever_is_lost_or_doubled_they_never_agree_on_two_things(
        ours in proptest::collection::btree_map(0_u8..12, (any::<bool>(), 1_u64..4), 0..8),
        theirs in proptest::collection::btree_map(0_u8..12, (any::<bool>(), 1_u64..4), 0..8),
        story in proptest::collection::vec((any::<bool>(), 0_usize..6), 0..20),
    ) {
        let lines = |calls: &std::collections::BTreeMap<u8, (bool, u64)>| {
            calls.iter().map(|(call, (a, amount))| line(*call, if *a { Side::A } else { Side::B }, *amount)).collect::<Vec<_>>()
        };
        let (mut one, mut other) = table(lines(&ours), lines(&theirs));
        let (mut said_by_one, mut said_by_other) = (vec![first(&one).clone()], vec![first(&other).clone()]);
        for (to_one, which) in story {
            // Any message of the past may come at any time.
            if to_one {
                let said = said_by_other[which % said_by_other.len()].clone();
                one.receive(&said, &key(1)).unwrap();
                said_by_one.extend(one.proposals().cloned());
            } else {
                let said = said_by_one[which % said_by_one.len()].clone();
                other.receive(&said, &key(2)).unwrap();
                said_by_other.extend(other.proposals().cloned());
            }
        }
        talk(&mut one, &mut other);
        prop_assert_eq!(&agreed(&one).statement, &agreed(&other).statement);
        for line in agreed(&one).statement.lines() {
            prop_assert!(lines(&ours).contains(line) && lines(&theirs).contains(line), "agreed on what one does not have");
        }
    }
}
