use proptest::prelude::*;

use super::*;
use crate::tariff::{Deck, DeckId, Increments, Line, Terms};

const AT: UnixMillis = UnixMillis(1_000);

fn terms(rate: u64, increments: &str) -> Terms {
    Terms::per_minute(Msat::new(rate).unwrap(), increments.parse().unwrap())
}

fn price(terms: Terms) -> Price {
    Price::new(terms).unwrap()
}

fn trunk(name: &str) -> Trunk {
    Trunk { name: name.into(), deck: name.into(), weight: 0, quality: Quality::default() }
}

/// Trunks with their cost for `44`.
fn decks(costs: &[(&str, Price)]) -> Decks {
    let mut decks = Decks::default();
    for (name, price) in costs {
        let id = DeckId { kind: DeckKind::TrunkCost, name: (*name).into(), version: 1 };
        let line = Line {
            prefix: "44".parse().unwrap(),
            destination: "".into(),
            price: *price,
            valid_from: None,
            valid_until: None,
        };
        decks.add(Arc::new(Deck::new(id, UnixMillis(0), vec![line]).unwrap()));
    }
    decks
}

fn chosen(decks: &Decks, trunks: &[Trunk], sold: Price, wanted: &Wanted) -> (Vec<String>, Vec<Unfit>) {
    let choice = choose(decks, trunks, "442071838750".parse().unwrap(), AT, &sold, wanted);
    (choice.routes.iter().map(|r| r.trunk.name.to_string()).collect(), choice.unfit)
}

#[test]
fn the_cheapest_goes_first_then_the_heavier_then_the_better() {
    let cost = |rate| price(terms(rate, "60/60"));
    let decks =
        decks(&[("dear", cost(900)), ("cheap", cost(300)), ("a", cost(500)), ("b", cost(500)), ("c", cost(500))]);
    let trunks = [
        Trunk { weight: 99, ..trunk("dear") },
        Trunk { quality: Quality { mos: Some(410), ..Quality::default() }, ..trunk("a") },
        Trunk { quality: Quality { mos: Some(430), ..Quality::default() }, ..trunk("b") },
        Trunk { weight: 1, ..trunk("c") },
        trunk("cheap"),
    ];
    let (routes, unfit) = chosen(&decks, &trunks, cost(1_000), &Wanted::default());
    assert_eq!(routes, ["cheap", "c", "b", "a", "dear"]);
    assert_eq!(unfit, []);
}

#[test]
fn costs_are_compared_at_the_typical_length() {
    let with_fee = price(Terms { connect_fee: Msat::new(1_000).unwrap(), ..terms(100, "1/1") });
    let decks = decks(&[("fee", with_fee), ("minutes", price(terms(600, "1/1")))]);
    let sold = price(Terms { connect_fee: Msat::new(1_000).unwrap(), ..terms(600, "1/1") });
    let trunks = [trunk("fee"), trunk("minutes")];
    let at = |seconds| Wanted { typical: Duration::from_secs(seconds), ..Wanted::default() };
    assert_eq!(chosen(&decks, &trunks, sold, &at(60)).0, ["minutes", "fee"]);
    assert_eq!(chosen(&decks, &trunks, sold, &at(600)).0, ["fee", "minutes"]);
}

#[test]
fn a_trunk_that_would_cost_more_than_it_brings_is_left_out_and_says_when() {
    let decks = decks(&[("home", price(terms(600, "60/60")))]);
    let trunks = [trunk("home")];
    // The same rate, but we are billed by the minute and bill by the second.
    let (routes, unfit) = chosen(&decks, &trunks, price(terms(600, "1/1")), &Wanted::default());
    assert!(routes.is_empty());
    assert_eq!(
        unfit[0].to_string(),
        r#"trunk "home" costs 0.6 sat for a call of 0 s that brings 0.01 sat; correct one of the decks"#
    );
    // A connect fee hides the loss for short calls only.
    let fee = price(Terms { connect_fee: Msat::new(1_000_000).unwrap(), ..terms(599, "60/60") });
    assert!(matches!(chosen(&decks, &trunks, fee, &Wanted::default()).1[..], [Unfit::Loss { .. }]));
    // A grace of ours that the trunk does not give.
    let grace = price(Terms { grace: 5, ..terms(9_000, "60/60") });
    assert!(matches!(chosen(&decks, &trunks, grace, &Wanted::default()).1[..], [Unfit::Loss { seconds: 0, .. }]));
    assert_eq!(chosen(&decks, &trunks, price(terms(600, "60/60")), &Wanted::default()).0, ["home"]);
}

#[test]
fn a_trunk_without_the_number_or_known_to_be_bad_is_left_out() {
    let cost = price(terms(1, "60/60"));
    let decks = decks(&[("good", cost), ("bad", cost), ("new", cost)]);
    let quality = |answered| Quality { answered: Some(answered), ..Quality::default() };
    let trunks = [
        Trunk { quality: quality(399), ..trunk("bad") },
        trunk("none"),
        Trunk { quality: quality(400), ..trunk("good") },
        trunk("new"),
    ];
    let wanted = Wanted { least: quality(400), ..Wanted::default() };
    let (routes, unfit) = chosen(&decks, &trunks, cost, &wanted);
    assert_eq!(routes, ["good", "new"]);
    assert!(matches!(&unfit[..], [Unfit::Quality { is: 399, least: 400, .. }, Unfit::NoRate { .. }]), "{unfit:?}");
}

fn any_price() -> impl Strategy<Value = Price> {
    let increment = || prop_oneof![Just(1u32), Just(6), Just(30), Just(60), 1..100u32];
    let seconds = || prop_oneof![3 => Just(0u32), 1 => 0..100u32];
    (0..2_000u64, 0..2_000u64, increment(), increment(), seconds(), seconds()).prop_map(
        |(fee, rate, first, next, grace, minimum)| {
            let (connect_fee, per_minute) = (Msat::new(fee).unwrap(), Msat::new(rate).unwrap());
            price(Terms { connect_fee, per_minute, increments: Increments::new(first, next).unwrap(), grace, minimum })
        },
    )
}

proptest! {
    #[test]
    fn no_route_ever_loses_whatever_the_length(cost in any_price(), sold in any_price(), lengths in prop::collection::vec(0..30_000_000u64, 40)) {
        match first_loss(&cost, &sold) {
            Some(length) => prop_assert!(cost.sixtieths(length) > sold.sixtieths(length), "{:?} loses nothing", length),
            None => {
                // Short ones second by second, and some long ones.
                for ms in (0..400).map(|s| s * 1_000).chain((0..400).map(|s| s * 1_000 + 999)).chain(lengths) {
                    let length = Duration::from_millis(ms);
                    prop_assert!(cost.cost(length) <= sold.cost(length), "{:?}", length);
                }
            }
        }
    }
}
