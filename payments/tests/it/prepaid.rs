//! The door between the desk and credit control, on real databases.

use std::sync::Arc;
use std::time::Duration;

use payments::cdr::{Direction, Ending, Leg};
use payments::charge::{CallCharging, CallCredit, Declined, Length, Prepaid, Quota, Service, Tariffs};
use payments::guard::{Guarded, Rules};
use payments::ledger::{AccountId, Ledger, Movement, Purpose, Transfer, TransferId};
use payments::tariff::routing::{Quality, Trunk, Wanted};
use payments::tariff::{Deck, DeckId, DeckKind, Decks, NoRate, read_csv};
use payments::{ChargeRequest, NoCharge, UnixMillis};

use crate::charge::all_records;
use crate::support::{Database, Kind, account, assert_balanced, msat};

on_both! {
    a_room_calls_over_the_cheapest_trunk_that_never_loses_and_both_legs_are_recorded
    a_call_that_may_not_be_is_declined_by_name_and_holds_nothing
    the_fraud_guard_remembers_over_a_restart_and_cuts_in_mid_call
}

const ROOM: &str = "!room:hs";

fn deck(decks: &mut Decks, kind: DeckKind, name: &str, csv: &str) {
    let id = DeckId { kind, name: name.into(), version: 1 };
    decks.add(Arc::new(Deck::new(id, UnixMillis(0), read_csv(csv.as_bytes()).unwrap()).unwrap()));
}

fn tariffs() -> Tariffs {
    let mut decks = Decks::default();
    deck(&mut decks, DeckKind::CustomerPrice, "retail", "prefix,rate_sat,increments\n44,10,1/1\n49,1,1/1\n");
    deck(&mut decks, DeckKind::TrunkCost, "dear", "prefix,rate_sat,increments\n44,9,1/1\n");
    deck(&mut decks, DeckKind::TrunkCost, "cheap", "prefix,rate_sat,increments\n44,4,1/1\n49,2,1/1\n");
    let trunk = |name: &str| Trunk { name: name.into(), deck: name.into(), weight: 0, quality: Quality::default() };
    Tariffs { decks, price: "retail".into(), trunks: vec![trunk("dear"), trunk("cheap")], wanted: Wanted::default() }
}

fn to(dialled: &str, call: &str) -> ChargeRequest {
    ChargeRequest {
        call: call.into(),
        leg: "1".into(),
        dialled: dialled.into(),
        caller: "anonymous".into(),
        room: ROOM.into(),
        direction: Direction::Outbound,
        ..ChargeRequest::default()
    }
}

async fn prepaid(ledger: &Ledger, rules: Rules, balance: u64) -> Prepaid {
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let prepaid = Prepaid::new(service, tariffs(), rules, "here").await.unwrap();
    let room = prepaid.open(ROOM).await.unwrap();
    let movement = Movement::Post { debit: account("node"), credit: room, amount: msat(balance) };
    let id = TransferId::named(&["for the room"]);
    ledger.apply(vec![Transfer { id, purpose: Purpose::TopUp, movement }]).await.unwrap();
    prepaid
}

async fn available(ledger: &Ledger) -> u64 {
    ledger.account(Prepaid::account(ROOM)).await.unwrap().unwrap().sums.available().msat()
}

async fn settle(credit: CallCredit, seconds: u64) -> u64 {
    let length = Length::Of(Duration::from_secs(seconds));
    credit.settle(length, Ending::default(), Duration::from_secs(10)).await.msat()
}

async fn a_room_calls_over_the_cheapest_trunk_that_never_loses_and_both_legs_are_recorded(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    let prepaid = prepaid(&ledger, Rules::default(), 100_000).await;
    let credit = prepaid.reserve(&to("+442071838750", "call")).await.unwrap().unwrap();
    assert_eq!(settle(credit, 60).await, 10_000);
    prepaid.service().close().await;
    let records = all_records(&ledger).await;
    let legs: Vec<_> = records.iter().map(|cdr| (cdr.call.as_str(), cdr.leg, cdr.cost.msat())).collect();
    assert_eq!(legs, [("call 1", Leg::Customer, 10_000), ("call 1", Leg::Carrier, 4_000)]);
    assert_eq!(records[1].account, AccountId::named(&["trunk", "cheap"]));
    assert_eq!(records[0].about.caller, None, "no number is as if it were withheld");
    assert_balanced(&ledger).await;
}

async fn a_call_that_may_not_be_is_declined_by_name_and_holds_nothing(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    let rules = Rules { denied: vec!["4479".parse().unwrap()], concurrent: 2, ..Rules::default() };
    let prepaid = prepaid(&ledger, rules, 100_000).await;
    let declined = async |request: ChargeRequest| match prepaid.reserve(&request).await {
        Err(declined) => declined,
        Ok(_) => panic!("{request:?} was let through"),
    };
    assert!(matches!(declined(to("0800 call me", "a")).await, Declined::Number(_)));
    assert!(matches!(declined(to("+33142685300", "b")).await, Declined::NoRate(NoRate::NoPrefix { .. })));
    let lossy = declined(to("+493012345678", "c")).await;
    assert!(matches!(&lossy, Declined::NoRoute(why) if why.contains("cheap") && why.contains("dear")), "{lossy}");
    assert!(matches!(declined(to("+447911123456", "d")).await, Declined::Guarded(Guarded::Prefix { .. })));
    let stranger = ChargeRequest { room: "!other:hs".into(), ..to("+442071838750", "e") };
    assert_eq!(declined(stranger).await, Declined::NoAccount);
    ledger.freeze(Prepaid::account(ROOM), true).await.unwrap();
    for call in ["f", "g", "h"] {
        // A third time: what was declined does not count as a call under way.
        assert_eq!(declined(to("+442071838750", call)).await, Declined::Frozen);
    }
    ledger.freeze(Prepaid::account(ROOM), false).await.unwrap();
    assert_eq!(available(&ledger).await, 100_000);
    assert!(NoCharge.reserve(&to("+442071838750", "i")).await.unwrap().is_none());
    prepaid.service().close().await;
    assert_eq!(all_records(&ledger).await, []);
}

async fn the_fraud_guard_remembers_over_a_restart_and_cuts_in_mid_call(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    let rules = Rules { concurrent: 1, hour: Some(msat(30_000)), ..Rules::default() };
    let before = prepaid(&ledger, rules.clone(), 1_000_000).await;
    let credit = before.reserve(&to("+442071838750", "first")).await.unwrap().unwrap();
    assert_eq!(settle(credit, 100).await, 16_667);
    before.service().close().await;
    let after = prepaid(&ledger, rules, 1_000_000).await;
    // 13 333 msat are left of the hour: 79 s, whatever the balance.
    let credit = after.reserve(&to("+442071838750", "second")).await.unwrap().unwrap();
    assert_eq!(available(&ledger).await, 1_000_000 - 16_667 - 13_167);
    let busy = after.reserve(&to("+442071838750", "third")).await;
    assert!(matches!(busy, Err(Declined::Guarded(Guarded::Concurrent { most: 1 }))), "{busy:?}");
    assert_eq!(settle(credit, 1_000).await, 13_167);
    let spent = after.reserve(&to("+442071838750", "fourth")).await;
    // 166 msat are left, less than a second.
    assert!(matches!(spent, Err(Declined::NotEnough)), "{spent:?}");
    after.service().close().await;
    assert_balanced(&ledger).await;
}
