//! Two processes at once, and processes that die.

use std::sync::Arc;

use payments::UnixMillis;
use payments::ledger::{Applied, Resolution};

use crate::child;
use crate::support::{Database, Hands, Kind, account, assert_balanced, available, id, post, reserve, settle, top_up};

on_both! {
    two_hundred_debits_from_two_processes_take_exactly_what_is_there
    the_same_id_from_two_processes_is_done_once
    a_kill_at_any_moment_loses_nothing_that_was_answered_and_the_books_balance
    what_a_dead_process_held_frees_itself
}

async fn two_hundred_debits_from_two_processes_take_exactly_what_is_there(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    // 137 times 10 msat, and a rest.
    top_up(&ledger, 1375).await;
    let mut other = child::start(&database.url, "other", "debit");
    let mine = child::debit(&ledger, "mine", 100).await;
    let theirs: u64 = other.says("succeeded ").unwrap().parse().unwrap();
    assert!(other.ends_well());
    assert_eq!(mine + theirs, 137, "{mine} here, {theirs} there");
    assert_eq!(available(&ledger, "ada").await, 5);
    assert_balanced(&ledger).await;
}

async fn the_same_id_from_two_processes_is_done_once(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 10_000).await;
    let mut other = child::start(&database.url, "same", "debit");
    let mine = child::debit(&ledger, "same", 100).await;
    let theirs: u64 = other.says("succeeded ").unwrap().parse().unwrap();
    assert!(other.ends_well());
    assert_eq!((mine, theirs), (100, 100), "all are answered well");
    assert_eq!(available(&ledger, "ada").await, 10_000 - 100 * 10);
    assert_balanced(&ledger).await;
}

async fn a_kill_at_any_moment_loses_nothing_that_was_answered_and_the_books_balance(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1_000_000_000).await;
    for round in 0..8 {
        let mut seed = [0; 1];
        getrandom::fill(&mut seed).unwrap();
        let mut child = child::start(&database.url, &format!("round {round}"), "pairs");
        let mut told: Vec<String> = (0..=seed[0]).map(|_| child.says("done ").unwrap()).collect();
        told.extend(child.kill("done "));
        for name in &told {
            let record = ledger.record(id(name)).await.unwrap();
            assert!(
                record.is_some_and(|r| r.refused.is_none()),
                "{name} was answered and is not there (seed {seed:?})"
            );
        }
        assert_balanced(&ledger).await;
        // What it did not live to hear can be asked again.
        let (hold, pay) =
            (told.iter().rfind(|n| n.contains("hold")).unwrap(), told.iter().rfind(|n| n.contains("pay")));
        assert_eq!(ledger.apply(vec![reserve(hold, 10, None)]).await.unwrap(), Applied::Exists);
        if let Some(pay) = pay {
            let again = settle(pay, &pay.replace("pay", "hold"), 7);
            assert_eq!(ledger.apply(vec![again]).await.unwrap(), Applied::Exists);
        }
        ledger.apply(vec![post(&format!("after {round}"), "ada", "revenue", 1)]).await.unwrap();
    }
}

async fn what_a_dead_process_held_frees_itself(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    let mut desk = child::start(&database.url, "a call", "hold");
    let expires: u64 = desk.says("holds ").unwrap().parse().unwrap();
    desk.kill("");
    assert_eq!(available(&ledger, "ada").await, 600);
    let hands = Hands::at(expires - 1);
    let later = database.ledger_at(hands.clock()).await;
    assert_eq!(later.expire_due().await.unwrap(), 0, "a moment before its time it still holds");
    hands.set(expires);
    assert_eq!(later.expire_due().await.unwrap(), 1);
    assert_eq!(later.expire_due().await.unwrap(), 0);
    assert_eq!(available(&later, "ada").await, 1000);
    assert_eq!(later.reservation(id("a call")).await.unwrap().unwrap().resolved, Some(Resolution::Expired));
    // Two processes that notice at once: one does it, the other is told that it is done.
    ledger.apply(vec![reserve("another", 10, Some(1))]).await.unwrap();
    let clock = Arc::new(move || UnixMillis(expires + 1));
    let third = database.ledger_at(clock).await;
    let (a, b) = tokio::join!(later.expire_due(), third.expire_due());
    assert!(a.unwrap() + b.unwrap() >= 1);
    assert_eq!(ledger.account(account("ada")).await.unwrap().unwrap().sums.debits_pending.msat(), 0);
    assert_balanced(&ledger).await;
}
