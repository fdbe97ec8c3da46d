//! What the ledger promises of its databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use payments::UnixMillis;
use payments::ledger::{Applied, Ledger, LedgerError, Period, Refusal, Resolution};

use crate::child;
use crate::support::{Database, Kind, account, available, id, msat, post, reserve, settle, top_up};

macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(super::Kind::Sqlite).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(super::Kind::Postgres).await; })* }
    };
}

on_both! {
    what_was_answered_is_there_after_a_restart
    a_request_that_comes_twice_is_done_once_and_one_that_differs_is_refused
    a_refusal_for_the_balance_is_remembered
    reservations_settle_in_part_and_expire_when_their_time_comes
    balances_and_statements_tell_any_past_time
    two_hundred_debits_from_two_processes_take_exactly_what_is_there
    the_same_id_from_two_processes_is_done_once
    a_kill_loses_nothing_that_was_answered_and_makes_no_money
    what_is_written_cannot_be_changed
}

async fn what_was_answered_is_there_after_a_restart(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![reserve("r", 300, None)]).await.unwrap();
    drop(ledger);
    let ledger = database.ledger().await;
    assert_eq!(available(&ledger, "ada").await, 700);
    assert_eq!(ledger.reservation(id("r")).await.unwrap().unwrap().amount, msat(300));
    assert_eq!(ledger.apply(vec![reserve("r", 300, None)]).await.unwrap(), Applied::Exists);
    assert_eq!(ledger.total().await.unwrap(), 0);
}

async fn a_request_that_comes_twice_is_done_once_and_one_that_differs_is_refused(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    let again: Vec<_> = (0..20)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.apply(vec![post("fee", "ada", "revenue", 10)]).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for answer in again {
        new += u32::from(answer.await.unwrap() == Applied::New);
    }
    assert_eq!((new, available(&ledger, "ada").await), (1, 990));
    let other = ledger.apply(vec![post("fee", "ada", "revenue", 11)]).await;
    let refusal = Refusal::OtherBody { id: id("fee"), field: "amount" };
    assert!(matches!(other, Err(LedgerError::Refused { place: 0, refusal: r }) if r == refusal), "{other:?}");
}

async fn a_refusal_for_the_balance_is_remembered(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    top_up(&ledger, 5).await;
    let refused = Refusal::NotEnough { account: account("ada"), available: msat(5) };
    let linked = vec![post("gift", "node", "ada", 1), post("big", "ada", "revenue", 50)];
    for _ in 0..2 {
        let answer = ledger.apply(linked.clone()).await;
        let six = Refusal::NotEnough { account: account("ada"), available: msat(6) };
        assert!(matches!(answer, Err(LedgerError::Refused { place: 1, refusal }) if refusal == six), "{answer:?}");
    }
    assert_eq!(available(&ledger, "ada").await, 5, "the linked gift was not made either");
    let answer = ledger.apply(vec![reserve("r", 6, None)]).await;
    assert!(matches!(answer, Err(LedgerError::Refused { refusal, .. }) if refusal == refused), "{answer:?}");
    drop(ledger);
    let ledger = database.ledger().await;
    ledger.apply(vec![post("more", "node", "ada", 100)]).await.unwrap();
    let late = ledger.apply(vec![reserve("r", 6, None)]).await;
    assert!(matches!(late, Err(LedgerError::Refused { refusal, .. }) if refusal == refused), "{late:?}");
}

async fn reservations_settle_in_part_and_expire_when_their_time_comes(kind: Kind) {
    let database = Database::new(kind);
    let time = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&time);
    let ledger = database.ledger_at(Arc::new(move || UnixMillis(clock.load(Ordering::Relaxed)))).await;
    top_up(&ledger, 1000).await;
    for (name, expires) in [("a", Some(5_000)), ("b", Some(6_000)), ("c", None)] {
        ledger.apply(vec![reserve(name, 100, expires)]).await.unwrap();
    }
    ledger.apply(vec![settle("pay a", "a", 40)]).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 1000 - 40 - 200);
    assert_eq!(ledger.expire_due().await.unwrap(), 0);
    time.store(7_000, Ordering::Relaxed);
    assert_eq!(ledger.expire_due().await.unwrap(), 1, "a has ended, c has no end");
    assert_eq!(ledger.reservation(id("b")).await.unwrap().unwrap().resolved, Some(Resolution::Expired));
    assert!(ledger.reservation(id("c")).await.unwrap().unwrap().resolved.is_none());
    let late = ledger.apply(vec![settle("pay b", "b", 1)]).await;
    assert!(matches!(late, Err(LedgerError::Refused { refusal: Refusal::Resolved { .. }, .. })), "{late:?}");
    assert_eq!(available(&ledger, "ada").await, 1000 - 40 - 100);
}

async fn balances_and_statements_tell_any_past_time(kind: Kind) {
    let database = Database::new(kind);
    let time = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&time);
    let ledger = database.ledger_at(Arc::new(move || UnixMillis(clock.load(Ordering::Relaxed)))).await;
    top_up(&ledger, 1000).await;
    for (at, name) in [(2_000, "one"), (3_000, "two"), (3_000, "three")] {
        time.store(at, Ordering::Relaxed);
        ledger.apply(vec![post(name, "ada", "revenue", 100)]).await.unwrap();
    }
    let mut seen = Vec::new();
    for at in [0, 999, 1_000, 1_999, 2_000, 2_999, 3_000, u64::MAX] {
        seen.push(ledger.sums_at(account("ada"), UnixMillis(at)).await.unwrap().balance());
    }
    assert_eq!(seen, [0, 0, 1000, 1000, 900, 900, 700, 700]);
    let period = Period { from: UnixMillis(2_000), until: UnixMillis(3_000) };
    let lines = ledger.statement(account("ada"), period, 100).await.unwrap();
    assert_eq!(lines.iter().map(|l| l.transfer.id).collect::<Vec<_>>(), [id("one")]);
    let all = Period { from: UnixMillis(0), until: UnixMillis(u64::MAX) };
    let lines = ledger.statement(account("ada"), all, 3).await.unwrap();
    assert_eq!(lines.iter().map(|l| l.transfer.id).collect::<Vec<_>>(), [id("top-up"), id("one"), id("two")]);
}

async fn two_hundred_debits_from_two_processes_take_exactly_what_is_there(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    // 137 times 10 msat, and a rest.
    top_up(&ledger, 1375).await;
    let mut other = child::start(&database.url, "other", "debit");
    let mine = child::debit(&ledger, "mine", 100).await;
    let theirs: u64 = child::lines(&mut other, "succeeded ").next().unwrap().parse().unwrap();
    assert!(other.wait().unwrap().success());
    assert_eq!(mine + theirs, 137, "{mine} here, {theirs} there");
    assert_eq!(available(&ledger, "ada").await, 5);
    assert_eq!(ledger.total().await.unwrap(), 0);
}

async fn the_same_id_from_two_processes_is_done_once(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    top_up(&ledger, 10_000).await;
    let mut other = child::start(&database.url, "same", "debit");
    let mine = child::debit(&ledger, "same", 100).await;
    let theirs: u64 = child::lines(&mut other, "succeeded ").next().unwrap().parse().unwrap();
    assert!(other.wait().unwrap().success());
    assert_eq!((mine, theirs), (100, 100), "all are answered well");
    assert_eq!(available(&ledger, "ada").await, 10_000 - 100 * 10);
}

async fn a_kill_loses_nothing_that_was_answered_and_makes_no_money(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    let mut child = child::start(&database.url, "killed", "for ever");
    let mut told: Vec<String> = child::lines(&mut child, "done ").take(50).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    told.sort();
    for name in &told {
        assert!(ledger.record(id(name)).await.unwrap().is_some(), "{name} was answered and is not there");
    }
    let got = available(&ledger, "ada").await;
    assert!(got >= 7 * told.len() as u64 && got.is_multiple_of(7), "{got}");
    assert_eq!(ledger.total().await.unwrap(), 0);
    assert_eq!(ledger.apply(vec![post(&told[0], "node", "ada", 7)]).await.unwrap(), Applied::Exists);
}

async fn what_is_written_cannot_be_changed(kind: Kind) {
    let database = Database::new(kind);
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![reserve("r", 10, None)]).await.unwrap();
    ledger.apply(vec![settle("s", "r", 10)]).await.unwrap();
    for statement in [
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "UPDATE balances SET credits_posted = 1",
        "DELETE FROM balances",
        "DELETE FROM reservations",
        "UPDATE reservations SET resolution = 2",
        "UPDATE accounts SET debits_posted = 5000 WHERE kind = 1",
        "UPDATE accounts SET debits_posted = -1",
    ] {
        let done = match kind {
            Kind::Sqlite => {
                let pool = sqlx::SqlitePool::connect(&database.url).await.unwrap();
                sqlx::query(statement).execute(&pool).await.map(drop)
            }
            Kind::Postgres => {
                let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
                sqlx::query(statement).execute(&pool).await.map(drop)
            }
        };
        assert!(done.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn an_address_that_names_no_database_is_refused_without_telling_its_secrets() {
    let error = Ledger::open("mysql://root:secret@host/db", Arc::new(|| UnixMillis(0))).await.unwrap_err().to_string();
    assert!(error.contains("mysql") && !error.contains("secret"), "{error}");
}
