use serde_json::{Value, json};

use super::*;

const G: &str = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";
const OTHER: &str = "GCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYOJR";

fn partner() -> Value {
    json!({
        "name": "ada", "account": G, "asset": format!("USD:{OTHER}"), "per_bitcoin": "68000.5",
        "secret_file": "ada.secret", "trunk": "ada", "since": "2026-12-01",
    })
}

fn section(partners: Value) -> Value {
    let mut section = json!({ "network": "testnet", "rpc": "https://rpc.example/key", "key_file": "stellar.key" });
    section["partners"] = partners;
    section
}

fn with(mut one: Value, key: &str, value: Value) -> Value {
    one[key] = value;
    one
}

fn check(section: Value) -> Result<Agreed, String> {
    let tariffs = json!({ "trunks": [{ "name": "ada" }, { "name": "bob" }] });
    let tariffs: TariffsConfig = serde_json::from_value(tariffs).unwrap();
    let config: SettlementConfig = serde_json::from_value(section).map_err(|error| error.to_string())?;
    config.check(&tariffs).map_err(|error| error.to_string())
}

#[test]
fn what_is_not_written_has_a_default_that_pays_nobody_by_itself() {
    let agreed = check(section(json!([partner()]))).unwrap();
    let [ada] = &agreed.partners[..] else { panic!("{agreed:?}") };
    assert_eq!(agreed.network, Network::new(Network::TESTNET));
    assert_eq!((ada.partner.when, ada.window), (None, DAY * 7));
    assert_eq!(ada.since, UnixMillis(1_796_083_200_000), "midnight in UTC");
    assert_eq!(ada.partner.rate.stroops_per_btc(), 680_005_000_000);
    assert_eq!(agreed.policy.dearest, Policy::default().dearest);
    assert!(!format!("{agreed:?}").contains("rpc.example"), "the address may hold a key");
}

#[test]
fn a_partner_that_is_a_trunk_clears_that_trunks_account() {
    let carried = |trunk: Value| {
        let from = json!(["203.0.113.7"]);
        let one = with(with(with(partner(), "trunk", trunk), "from", from), "price", json!("ada-pays"));
        check(section(json!([one]))).unwrap().partners[0].partner.carried
    };
    assert_eq!(carried(json!("ada")), Carrier::account_of("ada"), "what calls have booked as owed to the trunk");
    assert_ne!(carried(Value::Null), Carrier::account_of("ada"));
}

#[test]
fn payments_by_themselves_are_asked_for() {
    let automatic = with(with(partner(), "pay", json!("automatic")), "threshold", json!("0.001 btc"));
    let when = check(section(json!([automatic]))).unwrap().partners[0].partner.when;
    assert_eq!(when, Some(PayWhen { above: Msat::from_sat(100_000).unwrap(), after: DAY * 30 }));
}

#[test]
fn what_cannot_be_is_refused_by_its_key() {
    let one = |key: &str, value: Value| section(json!([with(partner(), key, value)]));
    let two = |key: &str, value: Value| {
        let bob = with(with(with(partner(), "name", json!("bob")), "account", json!(OTHER)), "trunk", json!("bob"));
        section(json!([partner(), with(bob, key, value)]))
    };
    let handed = |from: Value| with(with(partner(), "from", from), "price", json!("p"));
    for (section, words) in [
        (with(section(json!([partner()])), "network", json!("")), "payments.settlement.network is empty"),
        (with(section(json!([partner()])), "rpc", json!("http://rpc.example")), "payments.settlement.rpc cannot be"),
        (with(section(json!([partner()])), "account", json!("G")), "payments.settlement.account is not understood"),
        (with(section(json!([partner()])), "account", json!(G)), "partners[0].account is ours, or another"),
        (
            with(section(json!([partner()])), "fees", json!({ "most_stroops": 99 })),
            "payments.settlement.fees.most_stroops is 99; the network takes 100 at least",
        ),
        (
            with(section(json!([partner()])), "fees", json!({ "more_after_s": 1 })),
            "payments.settlement.fees.more_after_s is 1",
        ),
        (with(section(json!([partner()])), "colour", json!(1)), "unknown field `colour`"),
        (section(json!([])), "payments.settlement.partners is empty"),
        (one("name", json!("ada byron")), "payments.settlement.partners[0].name is \"ada byron\""),
        (two("name", json!("ada")), "payments.settlement.partners[1].name is \"ada\""),
        (two("account", json!(G)), "payments.settlement.partners[1].account is ours, or another"),
        (one("account", json!(G.replace("VSGZ", "VSGA"))), "partners[0].account is not understood"),
        (one("asset", json!("USD")), "payments.settlement.partners[0].asset is not understood"),
        (one("per_bitcoin", json!("0")), "payments.settlement.partners[0].per_bitcoin is nothing"),
        (one("per_bitcoin", json!("-1")), "payments.settlement.partners[0].per_bitcoin is not understood"),
        (one("per_bitcoin", json!(68_000)), "expected a string"),
        (one("trunk", json!("nobody")), "payments.settlement.partners[0].trunk is \"nobody\""),
        (one("trunk", Value::Null), "payments.settlement.partners[0].trunk is missing, and so is from"),
        (two("trunk", json!("ada")), "payments.settlement.partners[1].trunk is \"ada\", another partner's"),
        (one("from", json!(["203.0.113.7"])), "payments.settlement.partners[0].price and from belong together"),
        (one("price", json!("p")), "payments.settlement.partners[0].price and from belong together"),
        (section(json!([handed(json!(["::ffff:10.0.0.1", "10.0.0.1"]))])), "partners[0].from has 10.0.0.1 twice"),
        (one("window_days", json!(0)), "payments.settlement.partners[0].window_days is 0; it has to be 1 to 31"),
        (one("pay_after_days", json!(0)), "payments.settlement.partners[0].pay_after_days is 0"),
        (one("since", json!("1969-12-31")), "payments.settlement.partners[0].since is 1969-12-31"),
        (one("since", json!("soon")), "failed to parse"),
        (one("threshold", json!("five")), "is no unit of money"),
        (one("pay", json!("sometimes")), "unknown variant"),
    ] {
        let error = check(section).unwrap_err();
        assert!(error.contains(words), "{error}, not {words}");
    }
}
