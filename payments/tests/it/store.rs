//! What the ledger promises of its databases.

use payments::UnixMillis;
use payments::ledger::{Applied, LedgerError, Movement, Period, Purpose, Refusal, Resolution, Transfer};

use crate::support::{
    Database, Hands, Kind, account, assert_balanced, available, id, msat, post, reserve, settle, top_up, void,
};

on_both! {
    what_was_answered_is_there_after_a_restart
    a_request_that_comes_twice_is_done_once_and_one_that_differs_is_refused
    a_refusal_for_the_balance_is_remembered
    linked_transfers_are_done_together_or_not_at_all
    a_reservation_ends_once
    reservations_settle_in_part_and_expire_when_their_time_comes
    balances_and_statements_tell_any_past_time
    a_clock_that_goes_back_does_not_mix_up_an_accounts_past
    a_correction_is_a_transfer_of_its_own
    a_frozen_account_does_nothing_new
}

async fn what_was_answered_is_there_after_a_restart(kind: Kind) {
    let database = Database::new(kind).await;
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
    let database = Database::new(kind).await;
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
    let database = Database::new(kind).await;
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
    let database = Database::new(kind).await;
    let time = Hands::at(1_000);
    let ledger = database.ledger_at(time.clock()).await;
    top_up(&ledger, 1000).await;
    for (name, expires) in [("a", Some(5_000)), ("b", Some(6_000)), ("c", None)] {
        ledger.apply(vec![reserve(name, 100, expires)]).await.unwrap();
    }
    ledger.apply(vec![settle("pay a", "a", 40)]).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 1000 - 40 - 200);
    assert_eq!(ledger.expire_due().await.unwrap(), 0);
    time.set(7_000);
    assert_eq!(ledger.expire_due().await.unwrap(), 1, "a has ended, c has no end");
    assert_eq!(ledger.reservation(id("b")).await.unwrap().unwrap().resolved, Some(Resolution::Expired));
    assert!(ledger.reservation(id("c")).await.unwrap().unwrap().resolved.is_none());
    let late = ledger.apply(vec![settle("pay b", "b", 1)]).await;
    assert!(matches!(late, Err(LedgerError::Refused { refusal: Refusal::Resolved { .. }, .. })), "{late:?}");
    assert_eq!(available(&ledger, "ada").await, 1000 - 40 - 100);
}

async fn balances_and_statements_tell_any_past_time(kind: Kind) {
    let database = Database::new(kind).await;
    let time = Hands::at(1_000);
    let ledger = database.ledger_at(time.clock()).await;
    top_up(&ledger, 1000).await;
    for (at, name) in [(2_000, "one"), (3_000, "two"), (3_000, "three")] {
        time.set(at);
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
    let had: Vec<_> = lines.iter().map(|l| l.sides.unwrap().sums_of(account("ada")).unwrap().balance()).collect();
    assert_eq!(had, [1000, 900, 800], "each line tells what was left behind it");
    let last = ledger.latest(account("ada"), 2).await.unwrap();
    assert_eq!(last.iter().map(|l| l.transfer.id).collect::<Vec<_>>(), [id("three"), id("two")]);
    assert_eq!(ledger.latest(account("revenue"), 9).await.unwrap().len(), 3);
}

async fn a_clock_that_goes_back_does_not_mix_up_an_accounts_past(kind: Kind) {
    let database = Database::new(kind).await;
    let (one, two) = (Hands::at(5_000), Hands::at(1_000));
    let (here, there) = (database.ledger_at(one.clock()).await, database.ledger_at(two.clock()).await);
    top_up(&here, 1000).await;
    there.apply(vec![post("by a slow clock", "ada", "revenue", 100)]).await.unwrap();
    assert_eq!(there.record(id("by a slow clock")).await.unwrap().unwrap().at, UnixMillis(5_000));
    assert_eq!(here.sums_at(account("ada"), UnixMillis(4_999)).await.unwrap().balance(), 0);
    assert_eq!(here.sums_at(account("ada"), UnixMillis(5_000)).await.unwrap().balance(), 900);
}

async fn a_correction_is_a_transfer_of_its_own(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![post("wrong", "ada", "revenue", 700)]).await.unwrap();
    let back = Movement::Post { debit: account("revenue"), credit: account("ada"), amount: msat(200) };
    let correction = Transfer { id: id("correction of wrong"), purpose: Purpose::Correction, movement: back };
    ledger.apply(vec![correction]).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 500);
    let last = ledger.latest(account("ada"), 2).await.unwrap();
    assert_eq!(last.iter().map(|l| l.transfer.purpose).collect::<Vec<_>>(), [Purpose::Correction, Purpose::Call]);
    assert_balanced(&ledger).await;
}

async fn a_frozen_account_does_nothing_new(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![reserve("r", 500, None)]).await.unwrap();
    assert!(ledger.freeze(account("ada"), true).await.unwrap());
    assert!(!ledger.freeze(account("nobody"), true).await.unwrap());
    let refused = ledger.apply(vec![post("out", "ada", "revenue", 1)]).await;
    assert!(matches!(refused, Err(LedgerError::Refused { refusal: Refusal::Frozen { .. }, .. })), "{refused:?}");
    ledger.apply(vec![settle("s", "r", 100)]).await.unwrap();
    ledger.freeze(account("ada"), false).await.unwrap();
    ledger.apply(vec![post("out now", "ada", "revenue", 1)]).await.unwrap();
    assert_balanced(&ledger).await;
}

async fn linked_transfers_are_done_together_or_not_at_all(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![reserve("r", 300, None)]).await.unwrap();
    // The end of one reservation pays for the next, in one step.
    let list = vec![settle("s", "r", 100), reserve("r2", 900, None)];
    assert_eq!(ledger.apply(list.clone()).await.unwrap(), Applied::New);
    assert_eq!(ledger.apply(list).await.unwrap(), Applied::Exists);
    assert_eq!(available(&ledger, "ada").await, 0);
    let refused = ledger.apply(vec![post("in", "node", "ada", 1), post("out", "ada", "revenue", 2)]).await;
    assert!(matches!(refused, Err(LedgerError::Refused { place: 1, .. })), "{refused:?}");
    assert!(ledger.record(id("in")).await.unwrap().is_none());
    // Made and ended by one list: the row is written as it ended.
    ledger.apply(vec![post("more", "node", "ada", 50), reserve("r3", 50, None), void("v", "r3")]).await.unwrap();
    assert_eq!(ledger.reservation(id("r3")).await.unwrap().unwrap().resolved, Some(Resolution::Voided));
    assert_balanced(&ledger).await;
}

async fn a_reservation_ends_once(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![reserve("r", 300, None)]).await.unwrap();
    let ends: Vec<_> = (0..20)
        .map(|n| {
            let (ledger, name) = (ledger.clone(), format!("end {n}"));
            let end = if n % 2 == 0 { settle(&name, "r", 300) } else { void(&name, "r") };
            tokio::spawn(async move { ledger.apply(vec![end]).await })
        })
        .collect();
    let mut ended = 0;
    for end in ends {
        match end.await.unwrap() {
            Ok(_) => ended += 1,
            Err(LedgerError::Refused { refusal: Refusal::Resolved { .. }, .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(ended, 1);
    assert!([1000, 700].contains(&available(&ledger, "ada").await));
    assert_balanced(&ledger).await;
}
