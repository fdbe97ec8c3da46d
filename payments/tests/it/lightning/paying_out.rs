//! Payouts: held back first, paid once, and never given back on a guess.

use std::time::Duration;

use payments::lightning::payout::QUIET;
use payments::lightning::{
    Balances, Books, InvoiceError, NodeError, Order, Outgoing, PayoutError, PayoutRules, PayoutState, Reconciler,
    Target,
};
use payments::{Msat, TableError};

use super::fake::{Fake, Fault, Payee, bolt11, hash_of};
use super::topping_up::{ledger, sat};
use super::{Out, balance, balance_of, coming_in, give, going_out, hands, order, payout_id, theirs, top_up_id};
use crate::support::{Database, Hands, Kind, account, assert_balanced, available};

on_both! {
    a_payout_costs_its_amount_and_the_fee_and_is_told_once
    what_the_node_turns_away_or_fails_is_given_back
    no_answer_keeps_the_money_held_until_the_node_knows
    a_payment_is_sent_again_only_when_the_node_never_heard_of_it_and_once_it_is_quiet
    what_the_node_never_got_is_given_back_when_the_invoice_has_expired
    a_hash_is_paid_by_one_payout
    days_have_limits_and_large_sums_wait_for_somebody
    nothing_leaves_while_payouts_are_stopped
    our_own_invoice_is_paid_inside_and_by_nobody_else
    a_node_that_holds_less_than_is_owed_stops_payouts_when_it_is_seen_twice
}

/// Goes on until nothing more can be done at this moment.
async fn settle_down(out: &mut Out) {
    for _ in 0..5 {
        out.paying.round().await.unwrap();
    }
}

async fn state(out: &Out, n: u8) -> PayoutState {
    out.payouts.status(payout_id(n)).await.unwrap().unwrap().state
}

fn later(hands: &Hands, by: Duration) {
    let now = hands.clock()();
    hands.set(now.after(by).0);
}

async fn a_payout_costs_its_amount_and_the_fee_and_is_told_once(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    let order = order(1, "ada", theirs(1, 5_000));
    let asked = out.payouts.request(&order).await.unwrap();
    assert_eq!((asked.state, asked.amount, asked.max_fee), (PayoutState::Ready, sat(5_000), sat(60)));
    assert_eq!(available(&ledger, "ada").await, 4_940_000, "amount and the most that the way may cost are held back");
    settle_down(&mut out).await;
    assert_eq!(state(&out, 1).await, PayoutState::Paid { fee: sat(1), preimage: None });
    assert_eq!(balance(&ledger, "ada").await, 4_999_000);
    assert_eq!(available(&ledger, "ada").await, 4_999_000);
    assert_eq!(balance_of(&ledger, Books::default().lightning).await, -4_999_000);
    assert_eq!(out.told.lock().unwrap().len(), 1);
    assert_eq!(out.payouts.request(&order).await.unwrap().state, PayoutState::Paid { fee: sat(1), preimage: None });
    settle_down(&mut out).await;
    assert_eq!((fake.lock().asked_to_pay.len(), out.told.lock().unwrap().len()), (1, 1));
    let sent = fake.lock().asked_to_pay[0].clone();
    assert_eq!((sent.amount, sent.max_fee), (sat(5_000), sat(60)), "the limit reaches the node");
    let other = Order { account: account("bob"), ..order };
    let refused = out.payouts.request(&other).await;
    assert!(matches!(refused, Err(PayoutError::Table(TableError::Other { field: "account", .. }))), "{refused:?}");
    assert_balanced(&ledger).await;
}

async fn what_the_node_turns_away_or_fails_is_given_back(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    for (n, payee) in [(1, Payee::Refuses), (2, Payee::Fails)] {
        fake.lock().payee = payee;
        out.payouts.request(&order(n, "ada", theirs(n, 5_000))).await.unwrap();
        settle_down(&mut out).await;
        assert!(matches!(state(&out, n).await, PayoutState::NotPaid { .. }), "{n}");
        assert_eq!(available(&ledger, "ada").await, 10_000_000);
    }
    // Not enough for the amount and its way: 5 000 would be, 9 999 and what its way may cost are not.
    let refused = out.payouts.request(&order(3, "ada", theirs(3, 9_999))).await;
    assert!(
        matches!(refused, Err(PayoutError::NotEnough { available, .. }) if available == sat(10_000)),
        "{refused:?}"
    );
    ledger.freeze(account("ada"), true).await.unwrap();
    let refused = out.payouts.request(&order(4, "ada", theirs(4, 5_000))).await;
    assert!(matches!(refused, Err(PayoutError::Refused(_))), "{refused:?}");
    settle_down(&mut out).await;
    assert_eq!(fake.lock().asked_to_pay.len(), 2);
    assert_balanced(&ledger).await;
}

async fn no_answer_keeps_the_money_held_until_the_node_knows(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    fake.lock().payee = Payee::Holds;
    fake.fault("pay", Fault::Lost);
    let to = theirs(1, 5_000);
    out.payouts.request(&order(1, "ada", to.clone())).await.unwrap();
    for _ in 0..4 {
        fake.fault("outgoing", Fault::Broken);
        fake.fault("outgoing", Fault::Lost);
        settle_down(&mut out).await;
        later(&hands, Duration::from_secs(7_200));
        assert_eq!(state(&out, 1).await, PayoutState::Sent, "also long behind the invoice's end");
        assert_eq!(available(&ledger, "ada").await, 4_940_000);
    }
    fake.ends(to.hash().unwrap(), Outgoing::Succeeded { fee: sat(3), preimage: Some([1; 32]) });
    settle_down(&mut out).await;
    assert_eq!(state(&out, 1).await, PayoutState::Paid { fee: sat(3), preimage: Some([1; 32]) });
    assert_eq!(balance(&ledger, "ada").await, 4_997_000);
    assert_eq!(fake.lock().asked_to_pay.len(), 1);
    assert_balanced(&ledger).await;
}

async fn a_payment_is_sent_again_only_when_the_node_never_heard_of_it_and_once_it_is_quiet(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    fake.fault("pay", Fault::Broken);
    let to = theirs(1, 5_000);
    out.payouts.request(&order(1, "ada", to.clone())).await.unwrap();
    settle_down(&mut out).await;
    later(&hands, QUIET - Duration::from_millis(1));
    settle_down(&mut out).await;
    assert_eq!(fake.lock().asked_to_pay.len(), 0, "what was sent may still be on its way");
    assert_eq!(state(&out, 1).await, PayoutState::Sent);
    later(&hands, Duration::from_millis(1));
    settle_down(&mut out).await;
    assert_eq!(state(&out, 1).await, PayoutState::Paid { fee: sat(1), preimage: None });
    assert_eq!(fake.times_paid(to.hash().unwrap()), 1);
    // Where it is certain that nothing was sent it is tried again at once.
    fake.fault("pay", Fault::Unreachable);
    out.payouts.request(&order(2, "ada", theirs(2, 1_000))).await.unwrap();
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 2).await, PayoutState::Paid { .. }));
    assert_balanced(&ledger).await;
}

async fn what_the_node_never_got_is_given_back_when_the_invoice_has_expired(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    out.payouts.request(&order(1, "ada", theirs(1, 5_000))).await.unwrap();
    fake.fault("pay", Fault::Broken);
    out.paying.round().await.unwrap();
    later(&hands, Duration::from_secs(3_599));
    fake.fault("pay", Fault::Broken);
    out.paying.round().await.unwrap();
    assert_eq!(state(&out, 1).await, PayoutState::Sent, "it was sent again, just before its end");
    later(&hands, Duration::from_secs(2));
    out.paying.round().await.unwrap();
    assert_eq!(state(&out, 1).await, PayoutState::Sent, "expired, and it may be on its way to the node");
    later(&hands, QUIET);
    out.paying.round().await.unwrap();
    assert!(matches!(state(&out, 1).await, PayoutState::NotPaid { .. }));
    assert_eq!(available(&ledger, "ada").await, 10_000_000);
    // One that was never handed over at all needs no proof.
    fake.fault("pay", Fault::Unreachable);
    out.payouts.request(&order(2, "ada", Target::Invoice(bolt11([2; 32], Some(1_000_000), 20_000)))).await.unwrap();
    out.paying.round().await.unwrap();
    later(&hands, Duration::from_secs(30_000));
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 2).await, PayoutState::NotPaid { .. }));
    assert_eq!((available(&ledger, "ada").await, fake.lock().asked_to_pay.len()), (10_000_000, 0));
    assert_balanced(&ledger).await;
}

async fn a_hash_is_paid_by_one_payout(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 20_000).await;
    give(&ledger, "bob", 20_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    let to = theirs(1, 5_000);
    fake.lock().payee = Payee::Fails;
    out.payouts.request(&order(1, "ada", to.clone())).await.unwrap();
    let used = out.payouts.request(&order(2, "bob", to.clone())).await;
    assert!(matches!(used, Err(PayoutError::Used)), "{used:?}");
    settle_down(&mut out).await;
    let used = out.payouts.request(&order(3, "ada", to)).await;
    assert!(matches!(used, Err(PayoutError::Used)), "it was at the node: {used:?}");
    // One that was turned down before it was at the node can be used again.
    let to = theirs(2, 900_000);
    let refused = out.payouts.request(&order(4, "ada", to.clone())).await;
    assert!(matches!(refused, Err(PayoutError::NotEnough { .. })), "{refused:?}");
    give_more(&ledger, "ada", 1_000_000).await;
    out.payouts.request(&order(5, "ada", to)).await.unwrap();
    assert_balanced(&ledger).await;
}

async fn give_more(ledger: &payments::ledger::Ledger, who: &str, sat: u64) {
    use payments::ledger::{Movement, Purpose, Transfer, TransferId};
    let (debit, amount) = (Books::default().lightning, Msat::from_sat(sat).unwrap());
    let movement = Movement::Post { debit, credit: account(who), amount };
    let id = TransferId::named(&["given once more to", who]);
    ledger.apply(vec![Transfer { id, purpose: Purpose::Credit, movement }]).await.unwrap();
}

async fn days_have_limits_and_large_sums_wait_for_somebody(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    for who in ["ada", "bob", "eve"] {
        give(&ledger, who, 100_000).await;
    }
    let rules = PayoutRules {
        most: sat(10_000),
        daily_of_account: sat(15_000),
        daily: sat(20_000),
        approval_from: sat(9_000),
        ..PayoutRules::default()
    };
    let mut out = going_out(&ledger, &fake, rules).await;
    let too_much = out.payouts.request(&order(1, "ada", theirs(1, 10_001))).await;
    assert!(matches!(too_much, Err(PayoutError::TooMuch { .. })), "{too_much:?}");
    let waits = out.payouts.request(&order(2, "ada", theirs(2, 9_000))).await.unwrap();
    assert_eq!(waits.state, PayoutState::WaitsForApproval);
    let over = out.payouts.request(&order(3, "ada", theirs(3, 6_001))).await;
    assert!(matches!(over, Err(PayoutError::Daily { left }) if left == sat(6_000)), "{over:?}");
    out.payouts.request(&order(4, "bob", theirs(4, 8_000))).await.unwrap();
    let over = out.payouts.request(&order(5, "eve", theirs(5, 3_001))).await;
    assert!(matches!(over, Err(PayoutError::Daily { left }) if left == sat(3_000)), "{over:?}");
    settle_down(&mut out).await;
    assert_eq!(fake.lock().asked_to_pay.len(), 1, "only what nobody has to approve");
    assert_eq!(out.payouts.waiting().await.unwrap().len(), 1);
    out.payouts.approve(payout_id(2), "@admin:example.org").await.unwrap();
    assert!(matches!(out.payouts.reject(payout_id(2), "@admin:example.org").await, Err(PayoutError::NotThere)));
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 2).await, PayoutState::Paid { .. }));
    let by = out.payouts.status(payout_id(2)).await.unwrap().unwrap().approved_by;
    assert_eq!(by.as_deref(), Some("@admin:example.org"));
    later(&hands, Duration::from_secs(24 * 3_600));
    let to = Target::Invoice(bolt11([6; 32], Some(9_500_000), 200_000));
    assert_eq!(out.payouts.request(&order(6, "ada", to)).await.unwrap().state, PayoutState::WaitsForApproval);
    out.payouts.reject(payout_id(6), "@admin:example.org").await.unwrap();
    assert!(matches!(out.payouts.approve(payout_id(6), "@admin:example.org").await, Err(PayoutError::NotThere)));
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 6).await, PayoutState::NotPaid { why } if why.contains("@admin")));
    assert_eq!(fake.lock().asked_to_pay.len(), 2);
    assert_eq!(available(&ledger, "ada").await, 100_000_000 - 9_000_000 - 1_000);
    // It expires while it waits.
    let to = Target::Invoice(bolt11([7; 32], Some(9_500_000), 200_000));
    out.payouts.request(&order(7, "ada", to)).await.unwrap();
    later(&hands, Duration::from_secs(200_000));
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 7).await, PayoutState::NotPaid { .. }));
    assert_balanced(&ledger).await;
}

async fn nothing_leaves_while_payouts_are_stopped(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 100_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    out.payouts.request(&order(1, "ada", theirs(1, 5_000))).await.unwrap();
    // Another process stops them.
    let elsewhere =
        going_out(&crate::lightning::topping_up::ledger(&database, &hands).await, &fake, PayoutRules::default()).await;
    elsewhere.payouts.stop("an admin's hand").await.unwrap();
    settle_down(&mut out).await;
    assert_eq!((state(&out, 1).await, fake.lock().asked_to_pay.len()), (PayoutState::Ready, 0));
    let refused = out.payouts.request(&order(2, "ada", theirs(2, 5_000))).await;
    assert!(matches!(&refused, Err(PayoutError::Stopped(why)) if why == "an admin's hand"), "{refused:?}");
    assert_eq!(out.payouts.stopped().await.unwrap().unwrap().why, "an admin's hand");
    elsewhere.payouts.resume().await.unwrap();
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 1).await, PayoutState::Paid { .. }));
}

async fn our_own_invoice_is_paid_inside_and_by_nobody_else(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut side = coming_in(&ledger, &fake).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    let invoice = side.top_ups.request(top_up_id(1), account("bob"), sat(4_000), "").await.unwrap();
    let to = Target::Invoice(invoice.bolt11.clone());
    let own = out.payouts.request(&order(1, "bob", to.clone())).await;
    assert!(matches!(own, Err(PayoutError::Own)), "{own:?}");
    let asked = out.payouts.request(&order(2, "ada", to)).await.unwrap();
    assert!(asked.is_inside && asked.max_fee.is_zero());
    fake.fault("cancel_invoice", Fault::Lost);
    out.paying.round().await.unwrap();
    assert_eq!(balance(&ledger, "bob").await, 0, "not before it is certain that nobody else can pay it");
    settle_down(&mut out).await;
    assert_eq!(state(&out, 2).await, PayoutState::Paid { fee: Msat::ZERO, preimage: None });
    assert_eq!((balance(&ledger, "ada").await, balance(&ledger, "bob").await), (6_000_000, 4_000_000));
    assert_eq!(available(&ledger, "ada").await, 6_000_000);
    assert!(!fake.receive(invoice.bolt11.hash(), 4_000_000));
    assert_eq!(side.crediting.step().await.unwrap().told, 1, "the payee hears of it");
    assert_eq!(fake.lock().asked_to_pay.len(), 0);
    // Paid over the network first.
    let invoice = side.top_ups.request(top_up_id(2), account("bob"), sat(4_000), "").await.unwrap();
    fake.receive(invoice.bolt11.hash(), 4_000_000);
    out.payouts.request(&order(3, "ada", Target::Invoice(invoice.bolt11))).await.unwrap();
    settle_down(&mut out).await;
    assert!(matches!(state(&out, 3).await, PayoutState::NotPaid { .. }));
    side.crediting.step().await.unwrap();
    assert_eq!((available(&ledger, "ada").await, balance(&ledger, "bob").await), (6_000_000, 8_000_000));
    assert_balanced(&ledger).await;
}

async fn a_node_that_holds_less_than_is_owed_stops_payouts_when_it_is_seen_twice(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let out = going_out(&ledger, &fake, PayoutRules::default()).await;
    let mut reconciler = Reconciler::new(ledger.clone(), fake.node(), sat(100));
    fake.lock().balance = sat(9_900);
    for _ in 0..3 {
        let found = reconciler.look().await.unwrap();
        assert_eq!((found.owed, found.held, found.missing), (sat(10_000), sat(9_900), Msat::ZERO));
    }
    fake.lock().balance = sat(9_899);
    assert!(!reconciler.look().await.unwrap().has_stopped, "once may be a payment in between");
    fake.lock().balance = sat(20_000);
    assert!(!reconciler.look().await.unwrap().has_stopped);
    fake.lock().balance = sat(9_899);
    assert!(!reconciler.look().await.unwrap().has_stopped);
    assert_eq!(out.payouts.stopped().await.unwrap(), None);
    fake.fault("balances", Fault::Broken);
    assert!(reconciler.look().await.is_err(), "no answer is no balance of nothing");
    assert!(reconciler.look().await.unwrap().has_stopped);
    let refused = out.payouts.request(&order(1, "ada", theirs(1, 1_000))).await;
    assert!(matches!(refused, Err(PayoutError::Stopped(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_on_its_way_counts_as_gone() {
    let (database, fake, hands) = (Database::new(Kind::Sqlite).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    fake.lock().payee = Payee::Holds;
    out.payouts.request(&order(1, "ada", theirs(1, 5_000))).await.unwrap();
    out.paying.round().await.unwrap();
    fake.lock().balance = sat(4_940);
    let mut reconciler = Reconciler::new(ledger.clone(), fake.node(), Msat::ZERO);
    assert_eq!(reconciler.look().await.unwrap().missing, Msat::ZERO);
    fake.lock().balance = sat(4_939);
    assert_eq!(reconciler.look().await.unwrap().missing, sat(1));
}

#[tokio::test]
async fn an_invoice_that_cannot_be_paid_is_refused_before_anything_is_written() {
    let (database, fake, hands) = (Database::new(Kind::Sqlite).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let out = going_out(&ledger, &fake, PayoutRules::default()).await;
    let open = Target::Invoice(bolt11([1; 32], None, 3_600));
    let refused = out.payouts.request(&order(1, "ada", open.clone())).await;
    assert!(matches!(refused, Err(PayoutError::Invoice(InvoiceError::NoAmount))), "{refused:?}");
    hands.set(hands.clock()().0 + 3_700_000);
    let amount = Some(sat(10));
    let refused = out.payouts.request(&Order { amount, ..order(1, "ada", open) }).await;
    assert!(matches!(refused, Err(PayoutError::Invoice(InvoiceError::Expired))), "{refused:?}");
    assert_eq!(out.payouts.status(payout_id(1)).await.unwrap(), None);
    assert_eq!(available(&ledger, "ada").await, 10_000_000);
}

#[tokio::test]
async fn a_receipt_of_another_invoice_is_no_receipt() {
    let (database, fake, hands) = (Database::new(Kind::Sqlite).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 10_000).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    fake.lock().receipt = Some([9; 32]);
    out.payouts.request(&order(1, "ada", theirs(1, 5_000))).await.unwrap();
    settle_down(&mut out).await;
    assert_eq!(state(&out, 1).await, PayoutState::Sent);
    assert_eq!(available(&ledger, "ada").await, 4_940_000);
    // Somebody looks, and decides.
    out.payouts.decide(payout_id(1), "@admin:example.org", None).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 10_000_000);
    assert!(matches!(out.payouts.decide(payout_id(1), "x", None).await, Err(PayoutError::NotThere)));
    assert_eq!(hash_of([1; 32]), theirs(1, 1).hash().unwrap());
}

#[test]
fn an_error_says_whether_anything_can_have_happened() {
    assert!(NodeError::Refused(String::new()).is_certain() && !NodeError::Unsure(String::new()).is_certain());
    let most = Balances { channels: Msat::MAX, on_chain: Msat::MAX, at: payments::UnixMillis(0) };
    assert_eq!(most.total(), Msat::ZERO, "a sum that cannot be is no balance");
}
