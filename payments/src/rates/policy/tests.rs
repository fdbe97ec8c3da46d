use proptest::prelude::*;

use super::*;
use crate::rates::price::PriceError;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn price(text: &str) -> BitcoinPrice {
    BitcoinPrice::read(text).unwrap()
}

fn says(source: &str, text: &str) -> Said {
    Said { source: source.into(), what: BitcoinPrice::read(text).map(|price| (price, NOW)).map_err(SourceError::Price) }
}

fn aged(source: &str, text: &str, seconds: u64) -> Said {
    Said { source: source.into(), what: Ok((price(text), UnixMillis(NOW.0 - seconds * 1000))) }
}

fn believed(policy: Policy, said: &[Said]) -> Result<String, Refused> {
    believe(&policy, said, None, NOW).map(|believed| believed.price.to_string())
}

fn policy() -> Policy {
    Policy::default()
}

#[test]
fn the_median_of_those_that_agree_is_believed() {
    let said = [says("a", "68000"), says("b", "68100"), says("c", "68300")];
    assert_eq!(believed(policy(), &said).as_deref(), Ok("68100"));
    assert_eq!(believed(policy(), &said[..2]).as_deref(), Ok("68050"));
    assert_eq!(believed(Policy { min_sources: 1, ..policy() }, &said[..1]).as_deref(), Ok("68000"));
}

#[test]
fn one_source_that_lies_is_left_out_and_two_that_differ_are_refused() {
    for lie in ["68000000", "0.01", "34000"] {
        let said = [says("a", "68000"), says("b", lie), says("c", "68200")];
        let believed = believe(&policy(), &said, None, NOW).unwrap();
        assert_eq!((believed.price, believed.sources), (price("68100"), vec!["a".to_owned(), "c".to_owned()]), "{lie}");
        let refused = believe(&policy(), &said[..2], None, NOW).unwrap_err();
        assert!(matches!(&refused, Refused::Apart { needed: 2, .. }), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("a says 68000") && told.contains(&format!("b says {lie}")), "{told}");
    }
}

#[test]
fn sources_without_a_price_do_not_count_and_are_told() {
    let said =
        [says("a", "68000"), says("b", "-1"), says("c", "NaN"), says("d", "0"), says("e", "1e400"), says("f", "٦٨")];
    let refused = believe(&policy(), &said, None, NOW).unwrap_err();
    let Refused::TooFew { fresh: 1, needed: 2, why } = &refused else { panic!("{refused}") };
    assert_eq!(why.len(), 5);
    assert!(refused.to_string().contains("d: a price of nothing is no price"), "{refused}");
    assert!(matches!(says("d", "0").what, Err(SourceError::Price(PriceError::Zero))));
}

#[test]
fn what_is_stale_or_of_tomorrow_does_not_count() {
    let limit = policy().max_age.as_secs();
    assert!(believed(policy(), &[aged("a", "68000", limit), aged("b", "68000", limit)]).is_ok());
    let refused = believed(policy(), &[aged("a", "68000", limit + 1), aged("b", "68000", 0)]).unwrap_err();
    assert!(refused.to_string().contains("a: its price is 901 s old"), "{refused}");
    let ahead = |ms| Said { source: "a".into(), what: Ok((price("68000"), UnixMillis(NOW.0 + ms))) };
    assert!(believed(policy(), &[ahead(60_000), says("b", "68000")]).is_ok());
    assert!(believed(policy(), &[ahead(60_001), says("b", "68000")]).is_err());
    let believed = believe(&policy(), &[ahead(60_000), aged("b", "68000", 5)], None, NOW).unwrap();
    assert_eq!(believed.as_of, UnixMillis(NOW.0 - 5_000), "as old as the oldest");
}

#[test]
fn a_jump_that_all_sources_make_is_refused_by_how_long_ago_the_last_price_was() {
    let said = |text| [says("a", text), says("b", text)];
    let after = |text, hours: u64| {
        believe(&policy(), &said(text), Some((price("68000"), UnixMillis(NOW.0 - hours * 3_600_000))), NOW)
    };
    let refused = after("68000000", 0).unwrap_err();
    assert!(matches!(refused, Refused::Jump { by: 9_990_000, limit: 2_500, .. }), "{refused}");
    assert!(after("68000000", 24 * 30).is_err(), "nor a month later");
    assert!(after("85000", 0).is_ok() && after("85000.01", 0).is_err() && after("85000.01", 24).is_ok());
    assert!(after("51000", 0).is_ok() && after("50999", 0).is_err());
}

#[test]
fn no_source_at_all_is_refused_whatever_the_policy_says() {
    let none = Policy { min_sources: 0, ..policy() };
    assert_eq!(believed(none, &[]), Err(Refused::TooFew { fresh: 0, needed: 1, why: vec![] }));
}

proptest! {
    #[test]
    fn what_is_believed_is_within_what_enough_sources_say(cents in prop::collection::vec(6_000_000_u64..7_000_000, 0..8)) {
        let said: Vec<_> = cents.iter().enumerate()
            .map(|(n, cents)| Said { source: n.to_string(), what: Ok((BitcoinPrice::new(*cents, -2).unwrap(), NOW)) })
            .collect();
        if let Ok(believed) = believe(&policy(), &said, None, NOW) {
            let near = cents.iter().filter(|cents| {
                believed.price.deviation(BitcoinPrice::new(**cents, -2).unwrap()) <= 2 * policy().max_deviation + 10
            });
            prop_assert!(near.count() >= 2);
            let (least, most) = (cents.iter().min().unwrap(), cents.iter().max().unwrap());
            prop_assert!(believed.price >= BitcoinPrice::new(*least, -2).unwrap());
            prop_assert!(believed.price <= BitcoinPrice::new(*most, -2).unwrap());
        }
    }
}
