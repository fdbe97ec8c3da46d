//! Top-ups: an invoice per request, and a credit per payment.

use payments::Msat;
use payments::TableError;
use payments::ledger::Ledger;
use payments::lightning::{Books, Credited, TopUpError};

use super::fake::{Fake, Fault};
use super::{balance, balance_of, coming_in, hands, top_up_id};
use crate::migrations::tamper;
use crate::support::{Database, Hands, Kind, account, assert_balanced};

on_both! {
    what_is_paid_is_credited_and_told_once
    what_has_arrived_is_credited_not_what_was_asked_for
    the_same_request_gets_the_same_invoice_also_when_the_answer_was_lost
    a_payment_that_comes_late_is_credited_all_the_same
    invoices_of_others_at_the_node_are_left_alone
    what_comes_for_a_frozen_account_lies_in_suspense
    what_could_not_be_told_is_told_later
    a_database_that_was_made_without_lightning_gets_its_tables
}

pub(super) async fn ledger(database: &Database, hands: &Hands) -> Ledger {
    database.ledger_at(hands.clock()).await
}

pub(super) fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

async fn what_is_paid_is_credited_and_told_once(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    let invoice = side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "credit of Ada").await.unwrap();
    assert_eq!((invoice.amount, invoice.bolt11.amount()), (sat(5_000), Some(sat(5_000))));
    assert!(invoice.expires > hands.clock()());
    assert_eq!(side.crediting.step().await.unwrap().credited, 0);
    assert!(fake.receive(invoice.bolt11.hash(), 5_000_000));
    let done = side.crediting.step().await.unwrap();
    assert_eq!((done.arrived, done.credited, done.told), (1, 1, 1));
    assert_eq!(balance(&ledger, "ada").await, 5_000_000);
    for _ in 0..3 {
        assert_eq!(side.crediting.step().await.unwrap(), Default::default());
    }
    let credited = Credited { id: top_up_id(1), account: account("ada"), amount: sat(5_000) };
    assert_eq!(*side.told.lock().unwrap(), [credited]);
    // Another process, and one that has lost its cursor: the node tells everything once more.
    let again = coming_in(&ledger, &fake).await.crediting.step().await.unwrap();
    assert_eq!(again.arrived, 0);
    assert_eq!(balance(&ledger, "ada").await, 5_000_000);
    assert_balanced(&ledger).await;
}

async fn what_has_arrived_is_credited_not_what_was_asked_for(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    let mut paid = 0;
    for (n, msat) in [(1, 4_999_999), (2, 5_000_001), (3, 10_000_000), (4, 1)] {
        let invoice = side.top_ups.request(top_up_id(n), account("ada"), sat(5_000), "").await.unwrap();
        fake.receive(invoice.bolt11.hash(), msat);
        paid += i128::from(msat);
    }
    while side.crediting.step().await.unwrap().arrived > 0 {}
    assert_eq!(balance(&ledger, "ada").await, paid);
    assert_eq!(side.told.lock().unwrap().len(), 4);
}

async fn the_same_request_gets_the_same_invoice_also_when_the_answer_was_lost(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    let request = || side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "");
    for fault in [Fault::Broken, Fault::Unreachable, Fault::Lost] {
        fake.fault("new_invoice", fault);
        assert!(matches!(request().await, Err(TopUpError::Node(_))), "{fault:?}");
    }
    let invoice = request().await.unwrap();
    assert_eq!(request().await.unwrap(), invoice);
    let (a, b) = tokio::join!(request(), request());
    assert_eq!((a.unwrap(), b.unwrap()), (invoice.clone(), invoice.clone()));
    for (who, amount) in [("bob", 5_000), ("ada", 5_001)] {
        let other = side.top_ups.request(top_up_id(1), account(who), sat(amount), "").await;
        assert!(matches!(other, Err(TopUpError::Table(TableError::Other { .. }))), "{other:?}");
    }
    fake.receive(invoice.bolt11.hash(), 5_000_000);
    side.crediting.step().await.unwrap();
    assert_eq!(balance(&ledger, "ada").await, 5_000_000);
}

async fn a_payment_that_comes_late_is_credited_all_the_same(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    let invoice = side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "").await.unwrap();
    hands.set(invoice.expires.0 + 86_400_000);
    fake.receive(invoice.bolt11.hash(), 5_000_000);
    assert_eq!(side.crediting.step().await.unwrap().credited, 1, "it lies in our node: it is the customer's");
    assert_eq!(balance(&ledger, "ada").await, 5_000_000);
}

async fn invoices_of_others_at_the_node_are_left_alone(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    fake.says_settled(super::fake::hash_of([9; 32]), 7_000_000);
    let done = side.crediting.step().await.unwrap();
    assert_eq!((done.arrived, done.credited, done.suspended), (0, 0, 0));
    let invoice = side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "").await.unwrap();
    fake.receive(invoice.bolt11.hash(), 5_000_000);
    assert_eq!(side.crediting.step().await.unwrap().credited, 1);
    assert_eq!(balance_of(&ledger, Books::default().lightning).await, -5_000_000);
}

async fn what_comes_for_a_frozen_account_lies_in_suspense(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    let invoice = side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "").await.unwrap();
    assert!(ledger.freeze(account("ada"), true).await.unwrap());
    fake.receive(invoice.bolt11.hash(), 5_000_000);
    let done = side.crediting.step().await.unwrap();
    assert_eq!((done.credited, done.suspended, done.told), (0, 1, 0));
    ledger.freeze(account("ada"), false).await.unwrap();
    side.crediting.step().await.unwrap();
    assert_eq!(balance(&ledger, "ada").await, 0, "people move it, nobody else");
    assert_eq!(balance_of(&ledger, Books::default().suspense).await, 5_000_000);
    assert_balanced(&ledger).await;
}

async fn what_could_not_be_told_is_told_later(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let side = coming_in(&ledger, &fake).await;
    let invoice = side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "").await.unwrap();
    fake.receive(invoice.bolt11.hash(), 5_000_000);
    let deaf = |_| Box::pin(std::future::ready(false)) as payments::lightning::Told;
    let mut silent = payments::lightning::Crediting::new(side.top_ups.clone(), std::sync::Arc::new(deaf));
    let done = silent.step().await.unwrap();
    assert_eq!((done.credited, done.told), (1, 0));
    assert_eq!(silent.step().await.unwrap().told, 0);
    let mut side = side;
    assert_eq!(side.crediting.step().await.unwrap().told, 1);
    assert_eq!(side.told.lock().unwrap().len(), 1);
}

async fn a_database_that_was_made_without_lightning_gets_its_tables(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    drop(ledger(&database, &hands).await);
    // As the releases before it have left it: with tables that have later numbers.
    for statement in [
        "DROP TABLE lightning_arrivals",
        "DROP TABLE lightning_top_ups",
        "DROP TABLE lightning_cursors",
        "DROP TABLE lightning_payouts",
        "DROP TABLE lightning_switch",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
    ] {
        tamper(kind, &database.url, statement).await.unwrap();
    }
    let ledger = ledger(&database, &hands).await;
    let side = coming_in(&ledger, &fake).await;
    side.top_ups.request(top_up_id(1), account("ada"), sat(5_000), "").await.unwrap();
}

#[tokio::test]
async fn too_little_too_much_and_too_many_are_refused() {
    let (database, fake, hands) = (Database::new(Kind::Sqlite).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let side = coming_in(&ledger, &fake).await;
    for amount in [Msat::ZERO, sat(99), sat(5_000_001), Msat::MAX] {
        let refused = side.top_ups.request(top_up_id(99), account("ada"), amount, "").await;
        assert!(matches!(refused, Err(TopUpError::Amount { .. })), "{refused:?}");
    }
    for n in 0..20 {
        side.top_ups.request(top_up_id(n), account("ada"), sat(100), "").await.unwrap();
    }
    let refused = side.top_ups.request(top_up_id(20), account("ada"), sat(100), "").await;
    assert!(matches!(refused, Err(TopUpError::TooManyOpen { open: 20 })), "{refused:?}");
    side.top_ups.request(top_up_id(21), account("bob"), sat(100), "").await.unwrap();
    hands.set(hands.clock()().0 + 900_001);
    side.top_ups.request(top_up_id(20), account("ada"), sat(100), "").await.unwrap();
}
