use proptest::prelude::*;

use super::*;
use crate::ledger::{AccountKind, Purpose};

const AT: UnixMillis = UnixMillis(1_000);

fn account(name: &str) -> AccountId {
    AccountId::named(&[name])
}

fn transfer(name: &str, movement: Movement) -> Transfer {
    Transfer { id: TransferId::named(&[name]), purpose: Purpose::Call, movement }
}

fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

fn post(name: &str, debit: &str, credit: &str, amount: u64) -> Transfer {
    transfer(name, Movement::Post { debit: account(debit), credit: account(credit), amount: msat(amount) })
}

fn reserve(name: &str, amount: u64) -> Transfer {
    let (debit, credit) = (account("ada"), account("revenue"));
    transfer(name, Movement::Reserve { debit, credit, amount: msat(amount), expires: Some(UnixMillis(5_000)) })
}

fn settle(name: &str, of: &str, amount: u64) -> Transfer {
    transfer(name, Movement::Settle { reservation: TransferId::named(&[of]), amount: msat(amount) })
}

fn void(name: &str, of: &str) -> Transfer {
    transfer(name, Movement::Void { reservation: TransferId::named(&[of]) })
}

fn expire(name: &str, of: &str) -> Transfer {
    transfer(name, Movement::Expire { reservation: TransferId::named(&[of]) })
}

/// Ada has 1000 msat by a top-up.
fn book() -> Book {
    let mut book = Book::default();
    for (name, kind) in [
        ("ada", AccountKind::Customer),
        ("bob", AccountKind::Customer),
        ("revenue", AccountKind::Revenue),
        ("node", AccountKind::Lightning),
    ] {
        book.open(Account::new(account(name), kind));
    }
    assert_eq!(book.apply(AT, &post("top-up", "node", "ada", 1000)), Ok(Applied::New));
    book
}

fn available(book: &Book, name: &str) -> u64 {
    book.account(account(name)).unwrap().sums.available().msat()
}

#[test]
fn money_goes_from_one_to_another_once() {
    let mut book = book();
    assert_eq!(book.apply(AT, &post("gift", "ada", "bob", 300)), Ok(Applied::New));
    let after = book.clone();
    assert_eq!(book.apply(UnixMillis(9_999), &post("gift", "ada", "bob", 300)), Ok(Applied::Exists));
    assert_eq!(book, after, "asking again changes nothing");
    assert_eq!((available(&book, "ada"), available(&book, "bob")), (700, 300));
}

#[test]
fn the_same_id_with_another_body_is_refused_and_says_what_differs() {
    let mut book = book();
    book.apply(AT, &reserve("r", 100)).unwrap();
    let other = |movement| Transfer { id: TransferId::named(&["r"]), purpose: Purpose::Call, movement };
    let (debit, credit, expires) = (account("ada"), account("revenue"), Some(UnixMillis(5_000)));
    for (movement, field) in [
        (Movement::Reserve { debit, credit, amount: msat(101), expires }, "amount"),
        (Movement::Reserve { debit: account("bob"), credit, amount: msat(100), expires }, "debit account"),
        (Movement::Reserve { debit, credit: account("node"), amount: msat(100), expires }, "credit account"),
        (Movement::Reserve { debit, credit, amount: msat(100), expires: None }, "expiry"),
        (Movement::Post { debit, credit, amount: msat(100) }, "kind"),
    ] {
        let id = TransferId::named(&["r"]);
        assert_eq!(book.apply(AT, &other(movement)), Err(Refusal::OtherBody { id, field }));
    }
}

#[test]
fn a_prepaid_account_never_gives_what_it_has_not_and_reserved_money_is_gone() {
    let mut book = book();
    book.apply(AT, &reserve("r", 800)).unwrap();
    let not_enough = Refusal::NotEnough { account: account("ada"), available: msat(200) };
    assert_eq!(book.apply(AT, &post("gift", "ada", "bob", 201)), Err(not_enough));
    assert_eq!(book.apply(AT, &reserve("r2", 201)), Err(not_enough));
    assert_eq!(book.apply(AT, &post("small gift", "ada", "bob", 200)), Ok(Applied::New));
}

#[test]
fn a_refusal_for_the_balance_spends_its_id_so_that_no_late_retry_passes() {
    let mut book = book();
    let refused = book.apply(AT, &reserve("r", 1001)).unwrap_err();
    book.apply(AT, &post("more", "node", "ada", 5000)).unwrap();
    assert_eq!(book.apply(AT, &reserve("r", 1001)), Err(refused));
    assert_eq!(book.apply(AT, &reserve("r again", 1001)), Ok(Applied::New));
}

#[test]
fn a_reservation_is_settled_in_part_and_the_rest_comes_back() {
    let mut book = book();
    book.apply(AT, &reserve("r", 800)).unwrap();
    let too_much = Refusal::MoreThanReserved { reservation: TransferId::named(&["r"]), reserved: msat(800) };
    assert_eq!(book.apply(AT, &settle("s0", "r", 801)), Err(too_much));
    book.apply(AT, &settle("s", "r", 250)).unwrap();
    assert_eq!(available(&book, "ada"), 750);
    assert_eq!(available(&book, "revenue"), 250);
    let sums = book.account(account("ada")).unwrap().sums;
    assert_eq!((sums.debits_pending, sums.debits_posted), (Msat::ZERO, msat(250)));
}

#[test]
fn a_reservation_ends_once() {
    type End = (&'static str, fn(&str) -> Transfer);
    let ends: [End; 3] =
        [("settle", |n| settle(n, "r", 10)), ("void", |n| void(n, "r")), ("expire", |n| expire(n, "r"))];
    for (first, end) in ends {
        let mut book = book();
        book.apply(AT, &reserve("r", 800)).unwrap();
        assert_eq!(book.apply(UnixMillis(5_000), &end(first)), Ok(Applied::New));
        let after = available(&book, "ada");
        for (second, again) in ends {
            let refused = book.apply(UnixMillis(9_000), &again(&format!("{second} again")));
            assert!(matches!(refused, Err(Refusal::Resolved { .. })), "{first}, then {second}: {refused:?}");
        }
        assert_eq!(book.apply(UnixMillis(9_000), &end(first)), Ok(Applied::Exists), "the same end is no second end");
        assert_eq!(available(&book, "ada"), after);
    }
}

#[test]
fn a_reservation_expires_at_its_time_and_one_without_time_never() {
    let mut book = book();
    book.apply(AT, &reserve("r", 800)).unwrap();
    let (debit, credit) = (account("ada"), account("node"));
    let payout = Movement::Reserve { debit, credit, amount: msat(100), expires: None };
    book.apply(AT, &transfer("payout", payout)).unwrap();
    assert_eq!(book.due(UnixMillis(4_999)).count(), 0);
    assert!(matches!(book.apply(UnixMillis(4_999), &expire("e0", "r")), Err(Refusal::NotYet { .. })));
    assert!(matches!(book.apply(UnixMillis(u64::MAX), &expire("e1", "payout")), Err(Refusal::NotYet { .. })));
    assert_eq!(book.due(UnixMillis(5_000)).collect::<Vec<_>>(), [TransferId::named(&["r"])]);
    book.apply(UnixMillis(5_000), &expire("e", "r")).unwrap();
    assert_eq!(book.due(UnixMillis(5_000)).count(), 0);
    assert_eq!(available(&book, "ada"), 900);
}

#[test]
fn what_was_reserved_before_its_time_ran_out_can_be_settled_until_somebody_expires_it() {
    let mut book = book();
    book.apply(AT, &reserve("r", 800)).unwrap();
    assert_eq!(book.apply(UnixMillis(60_000), &settle("s", "r", 800)), Ok(Applied::New));
}

#[test]
fn linked_transfers_are_done_together_or_not_at_all() {
    let mut book = book();
    let before = book.account(account("bob")).copied();
    let list = [post("one", "ada", "bob", 600), post("two", "ada", "revenue", 600)];
    let refusal = Refusal::NotEnough { account: account("ada"), available: msat(400) };
    assert_eq!(book.apply_all(AT, &list), Err((1, refusal)));
    assert_eq!(book.account(account("bob")).copied(), before);
    assert!(book.record(list[0].id).is_none());

    let list = [post("three", "ada", "bob", 600), post("four", "bob", "revenue", 600)];
    assert_eq!(book.apply_all(AT, &list), Ok(Applied::New), "the second lives of the first");
    assert_eq!(book.apply_all(AT, &list), Ok(Applied::Exists));
    let mixed = [list[0], post("five", "bob", "revenue", 1)];
    assert_eq!(book.apply_all(AT, &mixed), Err((0, Refusal::OtherList { id: list[0].id })));
    let twice = [post("six", "node", "ada", 1), post("six", "node", "ada", 1)];
    assert_eq!(book.apply_all(AT, &twice), Err((1, Refusal::Twice { id: twice[0].id })));
}

#[test]
fn a_frozen_account_neither_gives_nor_takes_but_what_was_reserved_ends() {
    let mut book = book();
    book.apply(AT, &reserve("r", 500)).unwrap();
    assert!(book.freeze(account("ada"), true));
    let frozen = Err(Refusal::Frozen { account: account("ada") });
    assert_eq!(book.apply(AT, &post("out", "ada", "bob", 1)), frozen);
    assert_eq!(book.apply(AT, &post("in", "node", "ada", 1)), frozen);
    assert_eq!(book.apply(AT, &settle("s", "r", 100)), Ok(Applied::New));
    book.freeze(account("ada"), false);
    assert_eq!(book.apply(AT, &post("out", "ada", "bob", 1)), frozen, "the id is spent");
    assert_eq!(book.apply(AT, &post("out now", "ada", "bob", 1)), Ok(Applied::New));
}

#[test]
fn what_makes_no_sense_is_refused_and_spends_nothing() {
    let mut book = book();
    let nobody = account("nobody");
    for (asked, refusal) in [
        (post("t", "ada", "bob", 0), Refusal::Nothing),
        (post("t", "ada", "ada", 1), Refusal::SameAccount { account: account("ada") }),
        (post("t", "ada", "nobody", 1), Refusal::NoAccount { account: nobody }),
        (post("t", "nobody", "ada", 1), Refusal::NoAccount { account: nobody }),
        (void("t", "top-up"), Refusal::NoReservation { reservation: TransferId::named(&["top-up"]) }),
    ] {
        assert_eq!(book.apply(AT, &asked), Err(refusal));
        assert!(!refusal.spends_the_id());
    }
    assert_eq!(book.apply(AT, &post("t", "ada", "bob", 1)), Ok(Applied::New));
}

#[test]
fn sums_beyond_all_money_are_refused() {
    let mut book = book();
    let rest = Msat::MAX.msat() - 1000;
    assert_eq!(book.apply(AT, &post("all", "node", "ada", rest)), Ok(Applied::New));
    assert!(matches!(book.apply(AT, &post("one more", "node", "ada", 1)), Err(Refusal::Overflow { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Post(u8, u8, u64),
    Reserve(u8, u8, u64, bool),
    Settle(u8, u64),
    Void(u8),
    Expire(u8),
    Freeze(u8, bool),
    Again(u8),
    Linked(u8, u8, u8, u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amount = || prop_oneof![0u64..2000, Just(Msat::MAX.msat())];
    prop::collection::vec(
        prop_oneof![
            (0u8..4, 0u8..4, amount()).prop_map(|(a, b, n)| Step::Post(a, b, n)),
            (0u8..4, 0u8..4, amount(), any::<bool>()).prop_map(|(a, b, n, e)| Step::Reserve(a, b, n, e)),
            (any::<u8>(), amount()).prop_map(|(r, n)| Step::Settle(r, n)),
            any::<u8>().prop_map(Step::Void),
            any::<u8>().prop_map(Step::Expire),
            (0u8..4, any::<bool>()).prop_map(|(a, f)| Step::Freeze(a, f)),
            any::<u8>().prop_map(Step::Again),
            (0u8..4, 0u8..4, 0u8..4, amount(), amount()).prop_map(|(a, b, c, n, m)| Step::Linked(a, b, c, n, m)),
        ],
        0..60,
    )
}

/// A second, simpler book-keeper: adds up what is on record, and knows nothing of checks.
fn audit(book: &Book) {
    let mut sums: HashMap<AccountId, (i128, i128)> = HashMap::new();
    let mut held: HashMap<TransferId, (AccountId, AccountId, Msat)> = HashMap::new();
    let mut ends: HashMap<TransferId, u32> = HashMap::new();
    let mut moves = Vec::new();
    for record in book.records.values().filter(|r| r.refused.is_none()) {
        match record.transfer.movement {
            Movement::Post { debit, credit, amount } => moves.push((debit, credit, amount)),
            Movement::Reserve { debit, credit, amount, .. } => {
                held.insert(record.transfer.id, (debit, credit, amount));
            }
            Movement::Settle { reservation, .. }
            | Movement::Void { reservation }
            | Movement::Expire { reservation } => {
                *ends.entry(reservation).or_default() += 1;
            }
        }
    }
    for record in book.records.values().filter(|r| r.refused.is_none()) {
        if let Movement::Settle { reservation, amount } = record.transfer.movement {
            let (debit, credit, reserved) = held[&reservation];
            assert!(amount <= reserved);
            moves.push((debit, credit, amount));
        }
    }
    assert!(ends.values().all(|n| *n == 1), "a reservation ended twice");
    for (debit, credit, amount) in moves {
        sums.entry(debit).or_default().0 += i128::from(amount.msat());
        sums.entry(credit).or_default().1 += i128::from(amount.msat());
    }
    let mut total = 0;
    for account in book.accounts() {
        let (debits, credits) = sums.get(&account.id).copied().unwrap_or_default();
        assert_eq!(account.sums.balance(), credits - debits, "the books and the records differ");
        total += account.sums.balance();
        let standing = |of: fn(&(AccountId, AccountId, Msat)) -> AccountId| -> u128 {
            held.iter()
                .filter(|(id, h)| !ends.contains_key(*id) && of(h) == account.id)
                .map(|(_, h)| u128::from(h.2.msat()))
                .sum()
        };
        assert_eq!(u128::from(account.sums.debits_pending.msat()), standing(|h| h.0));
        assert_eq!(u128::from(account.sums.credits_pending.msat()), standing(|h| h.1));
        if account.kind.is_prepaid() {
            let taken = i128::from(account.sums.debits_pending.msat());
            assert!(account.sums.balance() >= taken, "a prepaid account is below zero");
        }
    }
    assert_eq!(total, 0, "money was made or lost");
}

proptest! {
    #[test]
    fn whatever_is_asked_in_any_order_money_is_neither_made_nor_lost_and_prepaid_stays_above_zero(steps in steps()) {
        let names = ["ada", "bob", "revenue", "node"];
        let at = |i: u8| account(names[usize::from(i)]);
        let money = |n: u64| Msat::new(n).unwrap();
        let mut book = book();
        let mut asked: Vec<Transfer> = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            let now = UnixMillis(1_000 + 500 * n as u64);
            let name = format!("step {n}");
            let pick = |i: u8| asked.get(usize::from(i) % asked.len().max(1)).map_or(TransferId::named(&["none"]), |t| t.id);
            let movement = match step {
                Step::Post(a, b, n) => Movement::Post { debit: at(a), credit: at(b), amount: money(n) },
                Step::Reserve(a, b, n, expires) => {
                    let expires = expires.then_some(UnixMillis(now.0 + 2_000));
                    Movement::Reserve { debit: at(a), credit: at(b), amount: money(n), expires }
                }
                Step::Settle(r, n) => Movement::Settle { reservation: pick(r), amount: money(n) },
                Step::Void(r) => Movement::Void { reservation: pick(r) },
                Step::Expire(r) => Movement::Expire { reservation: pick(r) },
                Step::Freeze(a, frozen) => {
                    book.freeze(at(a), frozen);
                    continue;
                }
                Step::Again(i) => {
                    let Some(t) = asked.get(usize::from(i) % asked.len().max(1)).copied() else { continue };
                    let before = book.clone();
                    let known = book.record(t.id).is_some();
                    let answer = book.apply(now, &t);
                    prop_assert!(!known || answer != Ok(Applied::New));
                    if known {
                        prop_assert!(book == before);
                    }
                    audit(&book);
                    continue;
                }
                Step::Linked(a, b, c, n, m) => {
                    let list = [
                        transfer(&format!("{name} a"), Movement::Post { debit: at(a), credit: at(b), amount: money(n) }),
                        transfer(&format!("{name} b"), Movement::Reserve { debit: at(b), credit: at(c), amount: money(m), expires: None }),
                    ];
                    let before: Vec<Account> = book.accounts().copied().collect();
                    if book.apply_all(now, &list).is_err() {
                        prop_assert_eq!(before, book.accounts().copied().collect::<Vec<_>>());
                    }
                    asked.extend(list);
                    audit(&book);
                    continue;
                }
            };
            let t = transfer(&name, movement);
            let _ = book.apply(now, &t);
            asked.push(t);
            audit(&book);
        }
    }
}
