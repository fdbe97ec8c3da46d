//! Rate decks in real databases, and the calls that go by them.

use std::time::Duration;

use payments::cdr::{Direction, Ending, Leg};
use payments::charge::{CallCharging, Declined, Length, Prepaid, Quota, Service};
use payments::guard::Rules;
use payments::ledger::{Ledger, Movement, Purpose, Transfer, TransferId};
use payments::tariff::{DeckError, DeckKind, DeckStore, Import, ImportError, Imported, NoRate, TariffsConfig};
use payments::{ChargeRequest, UnixMillis};

use crate::charge::all_records;
use crate::migrations::tamper;
use crate::support::{Database, Hands, Kind, account, msat};

on_both! {
    a_deck_is_kept_as_it_was_imported_with_who_did_it_and_its_hash
    a_file_with_a_mistake_is_not_taken_at_all
    two_who_import_at_once_get_a_version_each
    only_what_may_still_be_asked_for_is_loaded
    a_deck_that_was_changed_in_the_database_fails_the_load
    a_new_deck_never_reprices_a_call_under_way
}

const NOW: UnixMillis = UnixMillis(1_795_219_200_000);
const DEAR: &str = "prefix,rate_sat,increments\n44,100,1/1\n";
const CHEAP: &str = "prefix,rate_sat,increments\n44,10,1/1\n447,20,1/1\n";

fn import(name: &str, csv: &str) -> Import {
    let by = "@ada:example.org".to_owned();
    Import { kind: DeckKind::CustomerPrice, name: name.into(), valid_from: None, by, file: csv.into() }
}

async fn store(database: &Database) -> DeckStore {
    DeckStore::new(database.ledger().await.database().clone())
}

fn later(ms: u64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

async fn a_deck_is_kept_as_it_was_imported_with_who_did_it_and_its_hash(kind: Kind) {
    let database = Database::new(kind).await;
    let decks = store(&database).await;
    // With a byte order mark and an odd order: it comes back byte for byte.
    let file = "\u{feff}rate_msat;prefix\r\n10000;44\r\n";
    let Imported::New(first) = decks.import(NOW, import("retail", file)).await.unwrap() else { panic!("not new") };
    assert_eq!((first.id.version, first.prefixes, first.valid_from, first.imported_at), (1, 1, NOW, NOW));
    assert_eq!(first.imported_by, "@ada:example.org");
    let again = decks.import(later(5), import("retail", file)).await.unwrap();
    assert_eq!(again, Imported::Exists(first.clone()), "asked again after a lost answer");
    let next = Import { valid_from: Some(later(60_000)), ..import("retail", CHEAP) };
    let Imported::New(second) = decks.import(later(10), next).await.unwrap() else { panic!("not new") };
    let cost = Import { kind: DeckKind::TrunkCost, ..import("retail", CHEAP) };
    let Imported::New(cost) = decks.import(later(10), cost).await.unwrap() else { panic!("not new") };
    assert_eq!((second.id.version, cost.id.version), (2, 1), "costs and prices of one name are two decks");
    let back = Import { valid_from: Some(later(60_001)), ..import("retail", CHEAP) };
    assert!(matches!(decks.import(later(10), back).await.unwrap(), Imported::New(third) if third.id.version == 3));
    assert_eq!(decks.list().await.unwrap()[..3], [cost.clone(), first.clone(), second]);
    assert_eq!(decks.export(&first.id).await.unwrap(), file.as_bytes());
    let none = payments::tariff::DeckId { version: 9, ..first.id };
    assert!(matches!(decks.export(&none).await, Err(DeckError::None(id)) if id.version == 9));
    for statement in ["UPDATE decks SET name = 'x'", "DELETE FROM decks"] {
        assert!(tamper(kind, &database.url, statement).await.is_err(), "{statement}");
    }
}

async fn a_file_with_a_mistake_is_not_taken_at_all(kind: Kind) {
    let database = Database::new(kind).await;
    let decks = store(&database).await;
    let wrong = decks.import(NOW, import("retail", "prefix,rate_sat\n44,1\n4x,-1\n")).await.unwrap_err();
    let DeckError::File(ImportError::Cells { errors, .. }) = &wrong else { panic!("{wrong}") };
    assert_eq!(errors.len(), 2);
    assert!(wrong.to_string().contains("line 3, column prefix"), "{wrong}");
    let past = Import { valid_from: Some(UnixMillis(NOW.0 - 1)), ..import("retail", CHEAP) };
    assert!(matches!(decks.import(NOW, past).await, Err(DeckError::Past)));
    for name in ["", "two\nlines", &"x".repeat(121)] {
        assert!(matches!(decks.import(NOW, import(name, CHEAP)).await, Err(DeckError::Name { .. })), "{name}");
    }
    let nobody = Import { by: String::new(), ..import("retail", CHEAP) };
    assert!(matches!(decks.import(NOW, nobody).await, Err(DeckError::Name { .. })));
    assert_eq!(decks.list().await.unwrap(), []);
}

async fn two_who_import_at_once_get_a_version_each(kind: Kind) {
    let database = Database::new(kind).await;
    let (one, other) = (store(&database).await, store(&database).await);
    let all: Vec<_> = (1..=6_u64)
        .map(|n| {
            let decks = if n % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                let csv = format!("prefix,rate_sat\n44,{n}\n");
                decks.import(NOW, import("retail", &csv)).await.unwrap()
            })
        })
        .collect();
    let mut versions = Vec::new();
    for one in all {
        let Imported::New(info) = one.await.unwrap() else { panic!("not new") };
        versions.push(info.id.version);
    }
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
}

async fn only_what_may_still_be_asked_for_is_loaded(kind: Kind) {
    let database = Database::new(kind).await;
    let decks = store(&database).await;
    decks.import(NOW, import("retail", DEAR)).await.unwrap();
    decks.import(later(1), import("retail", CHEAP)).await.unwrap();
    for (from, rate) in [(100_000, 3), (50_000, 4)] {
        let csv = format!("prefix,rate_sat\n44,{rate}\n");
        let next = Import { valid_from: Some(later(from)), ..import("retail", &csv) };
        decks.import(later(2), next).await.unwrap();
    }
    let versions =
        async |ms| -> Vec<u32> { decks.load(later(ms)).await.unwrap().known().iter().map(|id| id.version).collect() };
    assert_eq!(versions(10).await, [2, 3, 4]);
    assert_eq!(versions(50_000).await, [3, 4]);
    assert_eq!(versions(100_000).await, [3]);
    let loaded = decks.load(later(10)).await.unwrap();
    let rate = |ms| {
        let rate = loaded.rate(DeckKind::CustomerPrice, "retail", "442071838750".parse().unwrap(), later(ms)).unwrap();
        rate.price.terms().per_minute.whole_sat()
    };
    assert_eq!((rate(10), rate(50_000), rate(100_000)), (10, 4, 3));
}

async fn a_deck_that_was_changed_in_the_database_fails_the_load(kind: Kind) {
    let database = Database::new(kind).await;
    let decks = store(&database).await;
    decks.import(NOW, import("retail", DEAR)).await.unwrap();
    let (cheaper, drop) = match kind {
        Kind::Sqlite => {
            ("UPDATE decks SET file = CAST('prefix,rate_sat' || char(10) || '44,1' AS BLOB)", "DROP TRIGGER decks_stay")
        }
        Kind::Postgres => {
            ("UPDATE decks SET file = 'prefix,rate_sat\n44,1'::bytea", "DROP TRIGGER decks_stay ON decks")
        }
    };
    assert!(tamper(kind, &database.url, cheaper).await.is_err());
    tamper(kind, &database.url, drop).await.unwrap();
    tamper(kind, &database.url, cheaper).await.unwrap();
    let changed = decks.load(NOW).await.unwrap_err();
    assert!(matches!(&changed, DeckError::Changed(id) if id.version == 1), "{changed}");
}

const ROOM: &str = "!room:hs";

fn call(name: &str) -> ChargeRequest {
    ChargeRequest {
        call: name.into(),
        leg: String::new(),
        dialled: "+442071838750".into(),
        caller: String::new(),
        room: ROOM.into(),
        direction: Direction::Outbound,
        ..ChargeRequest::default()
    }
}

async fn paid(ledger: &Ledger, prepaid: &Prepaid) {
    let room = prepaid.open(ROOM).await.unwrap();
    let movement = Movement::Post { debit: account("node"), credit: room, amount: msat(10_000_000) };
    ledger.apply(vec![Transfer { id: TransferId::named(&["in"]), purpose: Purpose::TopUp, movement }]).await.unwrap();
}

async fn a_new_deck_never_reprices_a_call_under_way(kind: Kind) {
    let database = Database::new(kind).await;
    let hands = Hands::at(NOW.0);
    let ledger = database.ledger_at(hands.clock()).await;
    let decks = DeckStore::new(ledger.database().clone());
    let config: TariffsConfig = serde_json::from_str(r#"{"trunks":[{"name":"home","cost_deck":"az"}]}"#).unwrap();
    let empty = config.load(&decks, ledger.now()).await.unwrap();
    assert_eq!(empty.missing(NOW).len(), 2, "{:?}", empty.missing(NOW));
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let prepaid = Prepaid::new(service, empty, Rules::default(), "here").await.unwrap();
    paid(&ledger, &prepaid).await;
    let declined = prepaid.reserve(&call("too early")).await;
    assert!(matches!(declined, Err(Declined::NoRate(NoRate::NoDeck { .. }))), "{declined:?}");
    decks.import(NOW, import("retail", CHEAP)).await.unwrap();
    let cost = Import { kind: DeckKind::TrunkCost, ..import("az", "prefix,rate_sat,increments\n44,1,1/1\n") };
    decks.import(NOW, cost).await.unwrap();
    let tariffs = config.load(&decks, ledger.now()).await.unwrap();
    assert_eq!(tariffs.missing(NOW), []);
    let told = tariffs.rates("+44".parse().unwrap(), NOW, 5).unwrap();
    assert_eq!((told.general.unwrap().prefix.to_string().as_str(), told.longer.len()), ("44", 1));
    prepaid.set_tariffs(tariffs);
    let before = prepaid.reserve(&call("before")).await.unwrap().unwrap();
    before.answered().await;
    hands.set(NOW.0 + 1_000);
    decks.import(ledger.now(), import("retail", DEAR)).await.unwrap();
    prepaid.set_tariffs(config.load(&decks, ledger.now()).await.unwrap());
    let after = prepaid.reserve(&call("after")).await.unwrap().unwrap();
    let minute = Length::Of(Duration::from_secs(60));
    for (credit, sat) in [(before, 10), (after, 100)] {
        let cost = credit.settle(minute, Ending::default(), Duration::from_secs(10)).await;
        assert_eq!(cost, payments::Msat::from_sat(sat).unwrap());
    }
    prepaid.service().close().await;
    let records = all_records(&ledger).await;
    let sold = records.iter().filter(|cdr| cdr.leg == Leg::Customer);
    let mut sold: Vec<_> = sold.map(|cdr| (cdr.call.as_str(), cdr.rate.deck.version)).collect();
    sold.sort_unstable();
    assert_eq!(sold, [("after", 2), ("before", 1)]);
}
