use std::time::Duration;

use super::*;
use crate::Msat;
use crate::cdr::{About, Direction, Ending, Party};
use crate::charge::{Carried, Snapshot};
use crate::ledger::{AccountId, TransferId};
use crate::tariff::{DeckId, DeckKind, Price, Terms};

fn rate(kind: DeckKind, name: &str, per_minute: u64) -> Rate {
    let price = Price::new(Terms::per_minute(Msat::new(per_minute).unwrap(), "60/6".parse().unwrap())).unwrap();
    Rate { deck: DeckId { kind, name: name.into(), version: 3 }, prefix: "4420".parse().unwrap(), price }
}

fn call() -> Snapshot {
    let carrier = Carrier { trunk: "home".into(), rate: rate(DeckKind::TrunkCost, "home", 4_000) };
    Snapshot {
        name: "=cmd()".into(),
        payer: AccountId::from_bytes([1; 16]),
        payee: AccountId::from_bytes([2; 16]),
        rate: rate(DeckKind::CustomerPrice, "retail", 10_000),
        about: About {
            tenant: String::new(),
            direction: Direction::Outbound,
            caller: Some("15550100".parse().unwrap()),
            callee: Some("442071838750".parse().unwrap()),
            carrier: Some(carrier),
            setup: UnixMillis(1_700_000_000_000),
            node: "here".into(),
            sip_call_id: None,
            source: None,
            fx_rate: None,
        },
        next_number: 3,
        held: None,
        charged: Msat::new(11_000).unwrap(),
        reserved: Msat::new(20_000).unwrap(),
        moved: vec![TransferId::from_bytes([3; 16]), TransferId::from_bytes([4; 16])],
        answered: Some(UnixMillis(1_700_000_010_000)),
        length: Duration::from_millis(61_500),
        ended: Some(UnixMillis(1_700_000_071_500)),
        unpaid: Msat::ZERO,
        carried: Some(Carried { transfer: TransferId::from_bytes([5; 16]), amount: Msat::new(4_400).unwrap() }),
        ending: Ending { cause: Some(16), side: Some(Party::Callee), mos: Some(410), ..Ending::default() },
    }
}

#[test]
fn both_legs_are_written_with_all_that_is_known() {
    let mut text = Vec::new();
    csv(&Cdr::of(&call()), &mut text).unwrap();
    let mut read = csv::Reader::from_reader(&text[..]);
    assert_eq!(read.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
    let rows: Vec<_> = read.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| {
        let column = COLUMNS.iter().position(|column| *column == name).unwrap();
        rows[row][column].to_owned()
    };
    for (name, customer, carrier) in [
        ("leg", "customer", "carrier"),
        ("call_id", "'=cmd()", "'=cmd()"),
        ("direction", "outbound", "outbound"),
        ("caller", "+15550100", "+15550100"),
        ("prefix", "4420", "4420"),
        ("rate_id", "retail/3/4420", "home/3/4420"),
        ("carrier", "home", "home"),
        ("setup", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.000Z"),
        ("answer", "2023-11-14T22:13:30.000Z", "2023-11-14T22:13:30.000Z"),
        ("end", "2023-11-14T22:14:31.500Z", "2023-11-14T22:14:31.500Z"),
        ("duration_ms", "61500", "61500"),
        ("billed_s", "66", "66"),
        ("increments", "60/6", "60/6"),
        ("rate_per_minute_msat", "10000", "4000"),
        ("cost_msat", "11000", "4400"),
        ("carrier_cost_msat", "4400", ""),
        ("margin_msat", "6600", ""),
        ("hangup_cause", "16", "16"),
        ("sip_code", "", ""),
        ("hangup_side", "callee", "callee"),
        ("mos", "410", "410"),
        ("released_msat", "9000", "0"),
        ("charged_msat", "11000", "4400"),
    ] {
        assert_eq!((cell(0, name), cell(1, name)), (customer.to_owned(), carrier.to_owned()), "{name}");
    }
    assert_eq!(cell(0, "transfers"), format!("{} {}", "03".repeat(16), "04".repeat(16)));
    assert_eq!(cell(1, "transfers"), "05".repeat(16));
    assert_eq!(cell(0, "digest").len(), 64);
}

#[test]
fn what_is_written_as_json_is_read_as_it_was_and_can_be_charged_again() {
    let records = Cdr::of(&call());
    let mut text = Vec::new();
    json(&records, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let read: Vec<Cdr> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, records);
    for record in read {
        assert_eq!(record.rate.price.cost(record.length), record.cost);
    }
}

#[test]
fn a_record_shows_no_whole_number_in_a_log() {
    let shown = format!("{:?}", Cdr::of(&call()));
    assert!(!shown.contains("5550100") && !shown.contains("2071838750"), "{shown}");
}

#[test]
fn a_call_that_nobody_answered_costs_nothing_on_both_legs() {
    let nobody = Snapshot { answered: None, length: Duration::ZERO, charged: Msat::ZERO, ..call() };
    for record in Cdr::of(&nobody) {
        assert_eq!((record.cost, record.billed_seconds), (Msat::ZERO, 0));
    }
}
