//! Records of calls in real databases.

use std::time::Duration;

use payments::Msat;
use payments::cdr::store::{CdrError, Wanted, records, rerate, revisions};
use payments::cdr::{Carrier, Cdr, Ending, Leg};
use payments::charge::{Length, Quota, Service};
use payments::ledger::{AccountId, Ledger, LedgerError, Period, Refusal};
use payments::tariff::{Price, Rate, Terms};

use crate::charge::{all_records, terms};
use crate::migrations::tamper;
use crate::support::{Database, Kind, account, assert_balanced, available, msat, post, top_up};

on_both! {
    both_legs_are_recorded_and_a_record_is_never_changed
    what_is_rated_anew_gets_a_new_record_and_a_correcting_transfer_once
    a_correction_that_the_account_cannot_pay_changes_nothing_and_may_be_asked_again
    two_who_rate_anew_at_once_correct_once_each_on_top_of_the_other
    records_are_read_by_period_and_account_page_by_page
}

fn rate(per_minute: u64) -> Rate {
    let price = Price::new(Terms::per_minute(msat(per_minute), "60/60".parse().unwrap())).unwrap();
    Rate { price, ..terms("here").rate }
}

async fn owed_to_the_carrier(ledger: &Ledger) -> i128 {
    let balance = async |id| ledger.account(id).await.unwrap().unwrap().sums.balance();
    let owed = balance(AccountId::named(&["trunk", "home"])).await;
    assert_eq!(balance(Carrier::expenses()).await, -owed, "an expense of ours");
    owed
}

/// Calls of 90 s, 10 sat a minute by the second: 15 000 msat.
async fn calls(ledger: &Ledger, names: &[&str]) {
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    for name in names {
        let carrier = Carrier { trunk: "home".into(), rate: rate(4_000) };
        let mut terms = terms("here");
        terms.about.carrier = Some(carrier);
        let credit = service.begin((*name).into(), terms, drop).await.unwrap();
        credit.settle(Length::Of(Duration::from_secs(90)), Ending::default(), Duration::from_secs(10)).await;
    }
    service.close().await;
}

async fn both_legs_are_recorded_and_a_record_is_never_changed(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100_000).await;
    calls(&ledger, &["call"]).await;
    let records = all_records(&ledger).await;
    let [customer, carrier] = &records[..] else { panic!("{records:?}") };
    assert_eq!((customer.leg, customer.cost, customer.carrier_cost), (Leg::Customer, msat(15_000), Some(msat(8_000))));
    assert_eq!(customer.margin(), Some(7_000));
    assert_eq!((carrier.leg, carrier.cost, carrier.billed_seconds), (Leg::Carrier, msat(8_000), 120));
    assert_eq!((carrier.charged, carrier.unpaid, carrier.transfers.len()), (msat(8_000), Msat::ZERO, 1));
    assert_eq!(owed_to_the_carrier(&ledger).await, 8_000, "until its bill is paid");
    let booked = ledger.record(carrier.transfers[0]).await.unwrap().unwrap();
    let settled = ledger.record(customer.transfers[0]).await.unwrap().unwrap();
    assert_eq!(booked.at, settled.at, "of one commit");
    for statement in ["UPDATE cdrs SET body = ''", "DELETE FROM cdrs"] {
        assert!(tamper(kind, &database.url, statement).await.is_err(), "{statement}");
    }
}

async fn what_is_rated_anew_gets_a_new_record_and_a_correcting_transfer_once(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100_000).await;
    calls(&ledger, &["call"]).await;
    // Two minutes at 6 sat: 3 sat are given back.
    let less = rerate(&ledger, "call", Leg::Customer, rate(6_000), "wrong deck").await.unwrap();
    assert_eq!((less.revision, less.cost, less.charged), (1, msat(12_000), msat(12_000)));
    assert_eq!(available(&ledger, "ada").await, 88_000);
    let again = rerate(&ledger, "call", Leg::Customer, rate(6_000), "wrong deck").await.unwrap();
    assert_eq!(again, less);
    let more = rerate(&ledger, "call", Leg::Customer, rate(20_000), "right deck").await.unwrap();
    assert_eq!((more.revision, more.charged), (2, msat(40_000)));
    assert_eq!(available(&ledger, "ada").await, 60_000);
    assert_eq!(more.transfers.len(), 3, "the call's and two corrections");
    let carrier = rerate(&ledger, "call", Leg::Carrier, rate(5_000), "right deck").await.unwrap();
    assert_eq!((carrier.revision, carrier.cost, carrier.charged), (1, msat(10_000), msat(10_000)));
    assert_eq!(owed_to_the_carrier(&ledger).await, 10_000);
    let again = rerate(&ledger, "call", Leg::Carrier, rate(5_000), "right deck").await.unwrap();
    assert_eq!((again, owed_to_the_carrier(&ledger).await), (carrier, 10_000));
    let less = rerate(&ledger, "call", Leg::Carrier, rate(1_000), "cheaper").await.unwrap();
    assert_eq!((less.transfers.len(), owed_to_the_carrier(&ledger).await), (3, 2_000));
    assert_eq!(available(&ledger, "ada").await, 60_000, "what a carrier takes is not the customer's");
    let all = revisions(ledger.database(), "call", Leg::Customer).await.unwrap();
    assert_eq!(all.iter().map(|cdr| cdr.cost.msat()).collect::<Vec<_>>(), [15_000, 12_000, 40_000]);
    let none = rerate(&ledger, "no call", Leg::Customer, rate(1), "x").await;
    assert!(matches!(none, Err(CdrError::None { .. })), "{none:?}");
    assert_balanced(&ledger).await;
}

async fn a_correction_that_the_account_cannot_pay_changes_nothing_and_may_be_asked_again(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 20_000).await;
    calls(&ledger, &["call"]).await;
    for _ in 0..2 {
        let refused = rerate(&ledger, "call", Leg::Customer, rate(20_000), "dearer").await;
        let Err(CdrError::Ledger { error: LedgerError::Refused { refusal, .. }, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(refusal, Refusal::NotEnough { account: account("ada"), available: msat(5_000) });
    }
    assert_eq!(revisions(ledger.database(), "call", Leg::Customer).await.unwrap().len(), 1);
    ledger.apply(vec![post("more", "node", "ada", 20_000)]).await.unwrap();
    rerate(&ledger, "call", Leg::Customer, rate(20_000), "dearer").await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 0);
    assert_balanced(&ledger).await;
}

async fn two_who_rate_anew_at_once_correct_once_each_on_top_of_the_other(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1_000_000).await;
    calls(&ledger, &["call"]).await;
    let other = database.ledger().await;
    let all: Vec<_> = (0..6_u64)
        .map(|n| {
            let ledger = if n % 2 == 0 { ledger.clone() } else { other.clone() };
            tokio::spawn(async move {
                rerate(&ledger, "call", Leg::Customer, rate(1_000 * (n + 1)), &n.to_string()).await.unwrap()
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    let all = revisions(ledger.database(), "call", Leg::Customer).await.unwrap();
    assert_eq!(all.iter().map(|cdr| cdr.revision).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    let last = all.last().unwrap().charged.msat();
    assert_eq!(available(&ledger, "ada").await, 1_000_000 - last, "what was taken is what the last record says");
    assert_balanced(&ledger).await;
}

async fn records_are_read_by_period_and_account_page_by_page(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1_000_000).await;
    calls(&ledger, &["a", "b", "c"]).await;
    let all = all_records(&ledger).await;
    let (first, last) = (all[0].ended, all[5].ended);
    let get = async |from, until, account, after, limit| -> Vec<Cdr> {
        let wanted = Wanted { period: Period { from, until }, account, after, limit };
        records(ledger.database(), &wanted).await.unwrap().into_iter().map(|written| written.cdr).collect()
    };
    let behind = last.after(Duration::from_millis(1));
    assert_eq!(get(first, behind, None, 0, 100).await, all);
    assert_eq!(get(behind, behind, None, 0, 100).await, []);
    assert_eq!(get(first, behind, Some(account("ada")), 0, 100).await.len(), 3);
    assert_eq!(get(first, behind, Some(account("nobody")), 0, 100).await, []);
    let (mut paged, mut after) = (Vec::new(), 0);
    loop {
        let wanted = Wanted { period: Period { from: first, until: behind }, account: None, after, limit: 2 };
        let page = records(ledger.database(), &wanted).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        paged.extend(page.into_iter().map(|written| written.cdr));
    }
    assert_eq!(paged, all);
}
