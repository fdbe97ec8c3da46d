//! Plans, their quota, and vouchers, on real databases.

use std::time::Duration;

use payments::UnixMillis;
use payments::ledger::{AccountKind, Ledger, LedgerError};
use payments::plan::{Allowance, Code, Plan, PlanError, Plans, Prices, Renewed, VoucherError, Vouchers};

use crate::support::{Database, Hands, Kind, account, assert_balanced, available, msat, post, top_up};

on_both! {
    a_plan_is_paid_a_month_ahead_and_ends_where_the_next_cannot_be_paid
    a_plan_that_cannot_be_paid_is_not_had_and_one_that_is_left_ends_with_its_month
    the_quota_of_transcription_counts_each_call_once_and_begins_anew_with_the_month
    a_month_that_several_processes_find_due_is_paid_once
    a_voucher_is_worth_its_sum_once_whoever_asks
    a_voucher_that_cannot_be_redeemed_now_is_not_lost
}

/// 2026-11-30 12:00 UTC, in milliseconds.
const START: u64 = 1_796_040_000_000;
const DAY: u64 = 24 * 3600 * 1000;

fn plans(ledger: &Ledger) -> Plans {
    Plans::new(ledger.clone(), Prices { pro: msat(10_000), team: msat(40_000) }, account("revenue"))
}

async fn a_plan_is_paid_a_month_ahead_and_ends_where_the_next_cannot_be_paid(kind: Kind) {
    let database = Database::new(kind).await;
    let time = Hands::at(START);
    let ledger = database.ledger_at(time.clock()).await;
    top_up(&ledger, 25_000).await;
    let (plans, ada) = (plans(&ledger), account("ada"));
    assert_eq!(plans.plan(ada).await.unwrap(), Plan::Free);
    let has = plans.choose(ada, Plan::Pro).await.unwrap().unwrap();
    assert_eq!((plans.plan(ada).await.unwrap(), available(&ledger, "ada").await), (Plan::Pro, 15_000));
    assert_eq!(has.until, UnixMillis(START + 30 * DAY));
    plans.choose(ada, Plan::Pro).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 15_000, "it has it already");
    assert_eq!(plans.renew().await.unwrap(), []);
    time.set(START + 30 * DAY);
    let renewed = plans.renew().await.unwrap();
    assert!(matches!(renewed[..], [Renewed::Paid(has)] if has.until == UnixMillis(START + 61 * DAY)), "{renewed:?}");
    assert_eq!(plans.renew().await.unwrap(), []);
    time.set(START + 61 * DAY);
    assert_eq!(plans.plan(ada).await.unwrap(), Plan::Free, "also before somebody looks");
    assert!(matches!(plans.renew().await.unwrap()[..], [Renewed::Ended(_)]));
    assert_eq!((plans.renew().await.unwrap().len(), available(&ledger, "ada").await), (0, 5_000));
    // With new money it begins anew.
    ledger.apply(vec![post("more", "node", "ada", 10_000)]).await.unwrap();
    plans.choose(ada, Plan::Pro).await.unwrap();
    assert_eq!((plans.plan(ada).await.unwrap(), available(&ledger, "ada").await), (Plan::Pro, 5_000));
    assert_balanced(&ledger).await;
}

async fn a_plan_that_cannot_be_paid_is_not_had_and_one_that_is_left_ends_with_its_month(kind: Kind) {
    let database = Database::new(kind).await;
    let time = Hands::at(START);
    let ledger = database.ledger_at(time.clock()).await;
    top_up(&ledger, 30_000).await;
    let (plans, ada) = (plans(&ledger), account("ada"));
    let refused = plans.choose(ada, Plan::Team).await;
    assert!(matches!(refused, Err(PlanError::Ledger(LedgerError::Refused { .. }))), "{refused:?}");
    assert_eq!((plans.plan(ada).await.unwrap(), available(&ledger, "ada").await), (Plan::Free, 30_000));
    assert_eq!(plans.choose(ada, Plan::Free).await.unwrap(), None);
    plans.choose(ada, Plan::Pro).await.unwrap();
    let left = plans.choose(ada, Plan::Free).await.unwrap().unwrap();
    assert!(!left.renews);
    assert_eq!(plans.plan(ada).await.unwrap(), Plan::Pro, "the month is paid");
    time.set(START + 30 * DAY);
    assert!(matches!(plans.renew().await.unwrap()[..], [Renewed::Ended(_)]));
    assert_eq!(available(&ledger, "ada").await, 20_000);
    plans.choose(ada, Plan::Pro).await.unwrap();
    time.set(START + 100 * DAY);
    assert!(matches!(plans.renew().await.unwrap()[..], [Renewed::Ended(_)]));
    assert_eq!(available(&ledger, "ada").await, 10_000, "months without us cost nothing");
}

async fn the_quota_of_transcription_counts_each_call_once_and_begins_anew_with_the_month(kind: Kind) {
    let database = Database::new(kind).await;
    let time = Hands::at(START);
    let ledger = database.ledger_at(time.clock()).await;
    top_up(&ledger, 30_000).await;
    let (plans, ada) = (plans(&ledger), account("ada"));
    let minutes = |n: u64| Duration::from_secs(60 * n);
    for (call, in_all) in [("a", 5), ("a", 12), ("a", 12), ("a", 3), ("b", 10)] {
        plans.transcribed(ada, call, minutes(in_all)).await.unwrap();
    }
    assert_eq!(plans.transcription(ada).await.unwrap(), Allowance::Left(minutes(8)));
    plans.transcribed(ada, "c", minutes(50)).await.unwrap();
    assert_eq!(plans.transcription(ada).await.unwrap(), Allowance::Left(Duration::ZERO));
    assert_eq!(plans.transcription(account("revenue")).await.unwrap(), Allowance::Left(minutes(30)));
    time.set(START + DAY);
    assert_eq!(plans.transcription(ada).await.unwrap(), Allowance::Left(minutes(30)), "December");
    plans.choose(ada, Plan::Pro).await.unwrap();
    assert_eq!(plans.transcription(ada).await.unwrap(), Allowance::Unlimited);
}

async fn a_month_that_several_processes_find_due_is_paid_once(kind: Kind) {
    let database = Database::new(kind).await;
    let time = Hands::at(START);
    let ledger = database.ledger_at(time.clock()).await;
    top_up(&ledger, 100_000).await;
    plans(&ledger).choose(account("ada"), Plan::Pro).await.unwrap();
    time.set(START + 31 * DAY);
    let other = database.ledger_at(time.clock()).await;
    let (here, there) = (plans(&ledger), plans(&other));
    let (a, b, c) = tokio::join!(here.renew(), there.renew(), here.renew());
    assert!(a.unwrap().len() + b.unwrap().len() + c.unwrap().len() >= 1);
    assert_eq!(available(&ledger, "ada").await, 80_000);
    assert_eq!(here.subscription(account("ada")).await.unwrap().unwrap().months, 2);
    assert_balanced(&ledger).await;
}

fn code(n: u8) -> Code {
    Code::from_bytes([n; 10])
}

async fn vouchers(ledger: &Ledger) -> Vouchers {
    ledger.open_account(account("gifts"), AccountKind::Gifts).await.unwrap();
    ledger.open_account(account("bob"), AccountKind::Customer).await.unwrap();
    Vouchers::new(ledger.clone(), account("gifts"))
}

async fn a_voucher_is_worth_its_sum_once_whoever_asks(kind: Kind) {
    let database = Database::new(kind).await;
    let (ledger, other) = (database.ledger().await, database.ledger().await);
    let (here, there) = (vouchers(&ledger).await, vouchers(&other).await);
    assert!(matches!(here.issue(&code(1), msat(0), None).await, Err(VoucherError::Nothing)));
    here.issue(&code(1), msat(5_000), None).await.unwrap();
    assert!(matches!(here.redeem(&code(2), account("ada")).await, Err(VoucherError::Unknown)));
    let all: Vec<_> = (0..20)
        .map(|n| {
            let vouchers = if n % 2 == 0 { here.clone() } else { there.clone() };
            let who = if n % 3 == 0 { "ada" } else { "bob" };
            tokio::spawn(async move { vouchers.redeem(&code(1), account(who)).await })
        })
        .collect();
    let mut redeemed = 0;
    for one in all {
        match one.await.unwrap() {
            Ok(amount) => redeemed += amount.msat(),
            Err(VoucherError::Redeemed) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(redeemed, 5_000);
    assert_eq!(available(&ledger, "ada").await + available(&ledger, "bob").await, 5_000);
    assert_balanced(&ledger).await;
}

async fn a_voucher_that_cannot_be_redeemed_now_is_not_lost(kind: Kind) {
    let database = Database::new(kind).await;
    let time = Hands::at(START);
    let ledger = database.ledger_at(time.clock()).await;
    let vouchers = vouchers(&ledger).await;
    vouchers.issue(&code(1), msat(5_000), Some(UnixMillis(START + DAY))).await.unwrap();
    ledger.freeze(account("ada"), true).await.unwrap();
    assert!(matches!(vouchers.redeem(&code(1), account("ada")).await, Err(VoucherError::Account(_))));
    assert!(matches!(vouchers.redeem(&code(1), account("nobody")).await, Err(VoucherError::Account(_))));
    ledger.freeze(account("ada"), false).await.unwrap();
    assert_eq!(vouchers.redeem(&code(1), account("ada")).await.unwrap(), msat(5_000));
    vouchers.issue(&code(2), msat(5_000), Some(UnixMillis(START + DAY))).await.unwrap();
    time.set(START + DAY);
    assert!(matches!(vouchers.redeem(&code(2), account("ada")).await, Err(VoucherError::Expired)));
    assert_eq!(available(&ledger, "ada").await, 5_000);
    // The database knows no code.
    let notes = ledger.notes("voucher/", "", 10).await.unwrap();
    assert!(notes.iter().all(|note| !note.key.contains(&code(1).reveal().replace('-', ""))));
}
