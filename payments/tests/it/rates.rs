//! Prices of a bitcoin from servers on this machine that answer as vendors do, kept in real databases.

mod vendor;

use std::sync::Arc;
use std::time::Duration;

use payments::rates::{
    BitcoinPrice, Fiat, Fixed, MEDIAN, Policy, RateError, RateSource, Rates, RatesConfig, Refused, Settings,
    SourceError,
};
use payments::{Msat, UnixMillis};
use serde_json::json;

use crate::migrations::tamper;
use crate::support::{Database, Hands, Kind};
use vendor::{Answer, Vendor};

on_both! {
    vendors_are_asked_and_what_they_said_is_kept
    a_restart_knows_the_last_price_until_it_is_too_old
    a_jump_is_refused_until_a_person_confirms_it
    a_rate_that_was_used_is_never_changed_or_deleted
}

/// 21 November 2026.
const NOW: u64 = 1_795_219_200_000;

fn config(min_sources: usize, sources: &[serde_json::Value]) -> RatesConfig {
    let section = json!({"currency": "EUR", "min_sources": min_sources, "sources": sources});
    serde_json::from_value(section).unwrap()
}

fn http(name: &str, url: &str, pointer: &str) -> serde_json::Value {
    json!({"type": "http", "name": name, "url": url, "pointer": pointer})
}

async fn rates(database: &Database, hands: &Hands, config: &RatesConfig) -> Rates {
    let ledger = database.ledger_at(hands.clock()).await;
    config.open(&ledger).await.unwrap().unwrap()
}

/// Asks one source of this shape, and gives what it says.
async fn alone(answer: Answer, pointer: &str, keys: &serde_json::Value) -> Result<String, String> {
    let vendor = Vendor::start(answer).await;
    let mut source = http("it", &vendor.url, pointer);
    source.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    said_by(&source).await
}

async fn said_by(source: &serde_json::Value) -> Result<String, String> {
    let database = Database::new(Kind::Sqlite).await;
    let rates = rates(&database, &Hands::at(NOW), &config(1, std::slice::from_ref(source))).await;
    rates.refresh().await.map(|quote| quote.price.to_string()).map_err(|error| error.to_string())
}

fn why(error: &RateError) -> &Refused {
    let RateError::Refused { why, .. } = error else { panic!("{error}") };
    why
}

async fn vendors_are_asked_and_what_they_said_is_kept(kind: Kind) {
    let database = Database::new(kind).await;
    let kraken = r#"{"error":[],"result":{"XXBTZEUR":{"a":["68130.1"],"c":["68123.40000","0.00021"]}}}"#;
    let kraken = Vendor::start(Answer::Json(kraken.into())).await;
    let coinbase = r#"{"data":{"amount":"68200.5","base":"BTC","currency":"EUR"}}"#;
    let coinbase = Vendor::start(Answer::Json(coinbase.into())).await;
    let mempool = Vendor::start(Answer::Json(r#"{"time":1795219190,"USD":79000,"EUR":68000}"#.into())).await;
    let mut timed = http("mempool", &mempool.url, "/EUR");
    timed["as_of"] = json!("/time");
    let all =
        [http("kraken", &kraken.url, "/result/XXBTZEUR/c/0"), http("coinbase", &coinbase.url, "/data/amount"), timed];
    let hands = Hands::at(NOW);
    let rates = rates(&database, &hands, &config(2, &all)).await;
    assert!(matches!(why(&rates.quote().unwrap_err()), Refused::Never { .. }));
    let quote = rates.refresh().await.unwrap();
    assert_eq!((quote.price.to_string().as_str(), quote.as_of), ("68123.4", UnixMillis(NOW - 10_000)));
    assert_eq!(rates.quote().unwrap(), quote);
    assert_eq!(quote.shown(Msat::from_sat(5000).unwrap()).unwrap(), "3.41 EUR");
    assert_eq!(quote.shown(Msat::new(1).unwrap()).unwrap(), "< 0.01 EUR");
    let ten = Fiat { minor: 1000, currency: quote.currency };
    assert_eq!(quote.msat(ten), Msat::new(14_679_244), "1e11 * 10 / 68123.4 = 14679243.8");
    assert_eq!(quote.msat(Fiat { minor: 1000, currency: "USD".parse().unwrap() }), None);
    for (source, price) in [("kraken", "68123.4"), ("coinbase", "68200.5"), ("mempool", "68000"), (MEDIAN, "68123.4")] {
        let kept = rates.history().list(source, i64::MAX, 10).await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.price.to_string()).collect::<Vec<_>>(), [price], "{source}");
        assert_eq!(kept[0].fetched_at, UnixMillis(NOW));
    }
    // One falls silent, one turns to nonsense: too few are left, and the price before holds until it is too old.
    kraken.answers(Answer::Status(503, &[]));
    coinbase.answers(Answer::Json(r#"{"data":{"amount":"NaN"}}"#.into()));
    let refused = rates.refresh().await.unwrap_err();
    assert!(matches!(why(&refused), Refused::TooFew { fresh: 1, needed: 2, .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("kraken: it answers with HTTP status 503") && told.contains(r#"coinbase: "NaN""#), "{told}");
    assert_eq!(rates.quote().unwrap(), quote);
    hands.set(NOW + 890_001);
    let stale = rates.quote().unwrap_err();
    assert!(matches!(why(&stale), Refused::Stale { why: Some(_), .. }), "{stale}");
    assert!(stale.to_string().contains("900 s are the most") && stale.to_string().contains("503"), "{stale}");
}

async fn a_restart_knows_the_last_price_until_it_is_too_old(kind: Kind) {
    let database = Database::new(kind).await;
    let hands = Hands::at(NOW);
    let fixed = json!({"type": "fixed", "name": "contract", "price": "68000.5"});
    let before = rates(&database, &hands, &config(1, std::slice::from_ref(&fixed))).await.refresh().await.unwrap();
    let again = rates(&database, &hands, &config(1, std::slice::from_ref(&fixed))).await;
    assert_eq!(again.quote().unwrap(), before);
    let mut dollars = config(1, std::slice::from_ref(&fixed));
    dollars.currency = Some("USD".parse().unwrap());
    let dollars = rates(&database, &hands, &dollars).await;
    assert!(matches!(why(&dollars.quote().unwrap_err()), Refused::Never { .. }), "a price in euros is none in dollars");
    hands.set(NOW + 900_001);
    assert!(matches!(why(&again.quote().unwrap_err()), Refused::Stale { .. }));
    let newer = again.refresh().await.unwrap();
    assert!(newer.seq > before.seq);
    assert_eq!(newer.reference(), format!("BTC/EUR 68000.5 ({})", newer.seq));
}

async fn a_jump_is_refused_until_a_person_confirms_it(kind: Kind) {
    let database = Database::new(kind).await;
    let hands = Hands::at(NOW);
    let vendor = Vendor::start(Answer::Json(r#"{"last":68000}"#.into())).await;
    let rates = rates(&database, &hands, &config(1, &[http("a", &vendor.url, "/last")])).await;
    rates.refresh().await.unwrap();
    vendor.answers(Answer::Json(r#"{"last":68000000}"#.into()));
    let refused = rates.refresh().await.unwrap_err();
    assert!(matches!(why(&refused), Refused::Jump { .. }), "{refused}");
    assert_eq!(rates.quote().unwrap().price.to_string(), "68000");
    assert_eq!(rates.confirm().await.unwrap().price.to_string(), "68000000");
    assert_eq!(rates.refresh().await.unwrap().price.to_string(), "68000000");
    let believed = rates.history().list(MEDIAN, i64::MAX, 10).await.unwrap();
    assert_eq!(believed.len(), 3, "what was refused was not believed");
    assert_eq!(rates.history().list("a", i64::MAX, 10).await.unwrap().len(), 4, "but it was said");
}

async fn a_rate_that_was_used_is_never_changed_or_deleted(kind: Kind) {
    let database = Database::new(kind).await;
    let fixed = json!({"type": "fixed", "name": "contract", "price": "68000"});
    let hands = Hands::at(NOW);
    let rates = rates(&database, &hands, &config(1, &[fixed])).await;
    rates.refresh().await.unwrap();
    for statement in
        ["UPDATE fx_rates SET mantissa = 1", "DELETE FROM fx_rates", "DELETE FROM fx_rates WHERE source = 'median'"]
    {
        assert!(tamper(kind, &database.url, statement).await.is_err(), "{statement}");
    }
    // What single sources said is forgotten in time; what was believed is not.
    hands.set(NOW + 91 * 24 * 3_600_000);
    rates.refresh().await.unwrap();
    assert_eq!(rates.history().list("contract", i64::MAX, 10).await.unwrap().len(), 1);
    assert_eq!(rates.history().list(MEDIAN, i64::MAX, 10).await.unwrap().len(), 2);
    tamper(
        kind,
        &database.url,
        "INSERT INTO fx_rates (source, pair, mantissa, exponent, as_of, fetched_at)
        VALUES ('median', 'BTC/EUR', 1, 13, 0, 0)",
    )
    .await
    .unwrap();
    assert!(rates.history().last().await.is_ok());
    tamper(
        kind,
        &database.url,
        "INSERT INTO fx_rates (source, pair, mantissa, exponent, as_of, fetched_at)
        VALUES ('median', 'BTC/EUR', 99999, 13, 0, 0)",
    )
    .await
    .unwrap();
    let odd = rates.history().last().await.unwrap_err().to_string();
    assert!(odd.contains("fx_rates") && odd.contains("99999"), "{odd}");
}

#[tokio::test]
async fn vendors_nonsense_is_refused_by_name() {
    let none = json!({});
    for (body, told) in [
        (r#"{"price":-1}"#, "is negative"),
        (r#"{"price":0}"#, "a price of nothing"),
        (r#"{"price":"0.000"}"#, "a price of nothing"),
        (r#"{"price":NaN}"#, "it is no JSON"),
        (r#"{"price":"NaN"}"#, "is no decimal"),
        (r#"{"price":1e400}"#, "is no price of a bitcoin"),
        (r#"{"price":"٦٨٠٠٠"}"#, "is no decimal"),
        (r#"{"price":"68.000,00"}"#, "is no decimal"),
        (r#"{"price":null}"#, "neither a number nor a text"),
        (r#"{"price":68000,"price":1}"#, "is there twice"),
        (r#"{"cost":68000}"#, r#"there is no "price""#),
        ("<html>Just a moment...</html>", "it is no JSON"),
        ("", "it is no JSON"),
    ] {
        let error = alone(Answer::Json(body.into()), "/price", &none).await.unwrap_err();
        assert!(error.contains(told), "{body}: {error}");
    }
    let wide = alone(Answer::Json(r#"{"price":68123.123456789012}"#.into()), "/price", &none).await;
    assert_eq!(wide.as_deref(), Ok("68123.123456789012"), "a binary fraction would have lost the end");
}

#[tokio::test]
async fn a_server_that_is_slow_long_or_elsewhere_is_refused() {
    let none = json!({});
    let slow = alone(Answer::Silence, "/a", &json!({"timeout_ms": 150})).await.unwrap_err();
    assert!(slow.contains("it has not answered within 150 ms"), "{slow}");
    let (url, server) = vendor::that_drips().await;
    let mut source = http("it", &url, "/a");
    source["timeout_ms"] = json!(150);
    let dripping = said_by(&source).await.unwrap_err();
    assert!(dripping.contains("it has not answered within 150 ms"), "{dripping}");
    server.abort();
    let long = format!(r#"{{"a":68000,"b":"{}"}}"#, "x".repeat(1024 * 1024));
    let long = alone(Answer::Json(long), "/a", &none).await.unwrap_err();
    assert!(long.contains("more than 1048576 bytes"), "{long}");
    let moved = alone(Answer::Status(302, &[("location", "http://127.0.0.1:1/")]), "/a", &none).await.unwrap_err();
    assert!(moved.contains("HTTP status 302"), "{moved}");
    let nobody = said_by(&http("it", "http://127.0.0.1:9/?key=s3cret", "/a")).await.unwrap_err();
    assert!(nobody.contains("cannot be reached") && !nobody.contains("s3cret"), "{nobody}");
    let old = r#"{"a":68000,"t":1795218299}"#;
    let old = alone(Answer::Json(old.into()), "/a", &json!({"as_of": "/t"})).await.unwrap_err();
    assert!(old.contains("its price is 901 s old"), "{old}");
    let rfc = r#"{"a":68000,"t":"2026-11-21T00:00:00.25Z"}"#;
    assert_eq!(alone(Answer::Json(rfc.into()), "/a", &json!({"as_of": "/t"})).await.as_deref(), Ok("68000"));
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_refused() {
    let (url, handshakes) = vendor::with_its_own_certificate(r#"{"a":68000}"#).await;
    let error = said_by(&http("it", &url, "/a")).await.unwrap_err();
    assert!(error.contains("cannot be reached") && error.to_lowercase().contains("certificate"), "{error}");
    assert!(handshakes.await.unwrap().is_err(), "nothing was asked over it");
    let plain = Vendor::start(Answer::Json(r#"{"a":68000}"#.into())).await;
    let error = said_by(&http("it", &plain.url.replace("http:", "https:"), "/a")).await.unwrap_err();
    assert!(error.contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_429_is_left_alone() {
    let database = Database::new(Kind::Sqlite).await;
    let vendor = Vendor::start(Answer::Status(429, &[("retry-after", "3600")])).await;
    let rates = rates(&database, &Hands::at(NOW), &config(1, &[http("a", &vendor.url, "/a")])).await;
    let first = rates.refresh().await.unwrap_err().to_string();
    assert!(first.contains("left alone for 3600 s"), "{first}");
    vendor.answers(Answer::Json(r#"{"a":68000}"#.into()));
    let second = rates.refresh().await.unwrap_err().to_string();
    assert!(second.contains("left alone for 3599 s") || second.contains("left alone for 3600 s"), "{second}");
    assert_eq!(vendor.asked(), 1);
}

#[tokio::test]
async fn a_file_is_read_as_old_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rate");
    let source = json!({"type": "file", "name": "desk", "path": path});
    let at = std::time::UNIX_EPOCH + Duration::from_millis(NOW - 5_000);
    let write = |text: &str, at: std::time::SystemTime| {
        std::fs::write(&path, text).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    };
    let none = said_by(&source).await.unwrap_err();
    assert!(none.contains("its file cannot be read"), "{none}");
    write("68123.45\n", at);
    assert_eq!(said_by(&source).await.as_deref(), Ok("68123.45"));
    write("68123.45\n", at - Duration::from_secs(896));
    let old = said_by(&source).await.unwrap_err();
    assert!(old.contains("its price is 901 s old"), "{old}");
    for (text, told) in
        [("", "is no decimal"), ("68123.45 EUR", "is no decimal"), ("1".repeat(5000).as_str(), "more than 4096 bytes")]
    {
        write(text, at);
        let error = said_by(&source).await.unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    let directory = said_by(&json!({"type": "file", "name": "desk", "path": folder.path()})).await.unwrap_err();
    assert!(directory.contains("is no file"), "{directory}");
}

/// Says its price when it is let.
struct Waits(Arc<tokio::sync::Notify>);

impl RateSource for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    fn fetch(&self, _: payments::rates::Currency) -> payments::rates::Fetching<'_> {
        Box::pin(async {
            self.0.notified().await;
            Err(SourceError::Status(500))
        })
    }
}

/// Breaks.
struct Breaks;

impl RateSource for Breaks {
    fn name(&self) -> &str {
        "breaks"
    }

    fn fetch(&self, _: payments::rates::Currency) -> payments::rates::Fetching<'_> {
        panic!("a bug of a source")
    }
}

#[tokio::test]
async fn a_source_that_breaks_or_waits_takes_nobody_with_it() {
    let database = Database::new(Kind::Sqlite).await;
    let let_go = Arc::new(tokio::sync::Notify::new());
    let fixed = Fixed::new("fixed".into(), BitcoinPrice::read("68000").unwrap());
    let sources: Vec<Arc<dyn RateSource>> =
        vec![Arc::new(Breaks), Arc::new(fixed), Arc::new(Waits(Arc::clone(&let_go)))];
    let policy = Policy { min_sources: 1, ..Policy::default() };
    let settings = Settings { currency: "EUR".parse().unwrap(), policy, spread: 0, every: Duration::from_secs(60) };
    let ledger = database.ledger_at(Hands::at(NOW).clock()).await;
    let rates = Rates::open(ledger.database().clone(), ledger.clock(), settings, sources).await.unwrap();
    let_go.notify_one();
    assert_eq!(rates.refresh().await.unwrap().price.to_string(), "68000");
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    rates.run(stop).await;
}
