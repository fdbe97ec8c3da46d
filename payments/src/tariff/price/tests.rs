use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

fn terms(rate: u64, increments: &str) -> Terms {
    Terms::per_minute(msat(rate), increments.parse().unwrap())
}

fn price(rate: u64, increments: &str) -> Price {
    Price::new(terms(rate, increments)).unwrap()
}

#[test]
fn time_is_billed_in_whole_increments() {
    for (increments, lengths) in [
        ("60/60", [(0, 60), (1, 60), (60_000, 60), (60_001, 120), (119_999, 120), (120_001, 180)]),
        ("60/1", [(0, 60), (59_999, 60), (60_000, 60), (60_001, 61), (61_000, 61), (61_001, 62)]),
        ("30/6", [(0, 30), (30_000, 30), (30_001, 36), (36_000, 36), (36_001, 42), (42_000, 42)]),
        ("6/6", [(0, 6), (6_000, 6), (6_001, 12), (12_000, 12), (59_000, 60), (60_500, 66)]),
        ("1/1", [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60), (60_000, 60)]),
        ("1/60", [(0, 1), (1_000, 1), (1_001, 61), (61_000, 61), (61_001, 121), (121_000, 121)]),
    ] {
        for (ms, billed) in lengths {
            let length = Duration::from_millis(ms);
            assert_eq!(price(600, increments).billed_seconds(length), billed, "{increments} after {ms} ms");
        }
    }
}

#[test]
fn the_cost_is_rounded_up_once_over_the_whole_call() {
    // 100 msat a minute by the second: 1 2/3 msat each.
    let by_second = price(100, "1/1");
    let cost = |seconds| by_second.cost(Duration::from_secs(seconds)).msat();
    assert_eq!([cost(1), cost(2), cost(3), cost(59), cost(60), cost(61)], [2, 4, 5, 99, 100, 102]);
    assert_eq!(price(1, "1/1").cost(Duration::from_secs(3600)).msat(), 60, "not 3600 times a rounded second");
}

#[test]
fn a_connect_fee_is_for_the_answer_and_a_price_by_the_call_for_any_length() {
    let with_fee = Price::new(Terms { connect_fee: msat(500), ..terms(600, "6/6") }).unwrap();
    assert_eq!(with_fee.cost(Duration::ZERO), msat(560));
    assert_eq!(with_fee.least(), msat(560));
    assert_eq!(with_fee.affordable(msat(559)), PaidFor::Nothing, "the first increment is asked for, not a part of it");
    assert_eq!(with_fee.affordable(msat(560)), PaidFor::Until(6 * SECOND));

    let by_call = Price::new(Terms::per_call(msat(900))).unwrap();
    assert_eq!([by_call.cost(Duration::ZERO), by_call.cost(Duration::MAX)], [msat(900); 2]);
    assert_eq!(by_call.affordable(msat(899)), PaidFor::Nothing);
    assert_eq!(by_call.affordable(msat(900)), PaidFor::NoLimit);
    assert_eq!(Price::FREE.affordable(Msat::ZERO), PaidFor::NoLimit);
}

#[test]
fn a_call_within_the_grace_is_free_but_needs_the_first_increment() {
    let price = Price::new(Terms { grace: 5, connect_fee: msat(7), ..terms(600, "60/60") }).unwrap();
    assert_eq!((price.cost(5 * SECOND - NANO), price.billed_seconds(5 * SECOND - NANO)), (Msat::ZERO, 0));
    assert_eq!((price.cost(5 * SECOND), price.billed_seconds(5 * SECOND)), (msat(607), 60));
    assert_eq!(price.affordable(msat(606)), PaidFor::Nothing);
}

#[test]
fn a_minimum_is_billed_in_whole_increments() {
    let price = Price::new(Terms { minimum: 40, ..terms(600, "30/6") }).unwrap();
    assert_eq!(price.billed_seconds(SECOND), 42);
    assert_eq!(price.billed_seconds(43 * SECOND), 48);
    assert_eq!(price.affordable(msat(419)), PaidFor::Nothing);
    assert_eq!(price.affordable(msat(420)), PaidFor::Until(42 * SECOND));
}

#[test]
fn terms_that_cannot_be_are_refused_with_their_value() {
    for text in [
        "",
        "60",
        "60/",
        "/6",
        "60/0",
        "0/6",
        "-6/6",
        "6/-6",
        "6/6/6",
        "+6/6",
        "6 / 6",
        "٦/٦",
        "86401/1",
        "4294967296/1",
    ] {
        let error = text.parse::<Increments>().unwrap_err();
        assert!(matches!(error, PriceError::Words(_) | PriceError::Increment(_)), "{text}: {error}");
    }
    let dear = Terms { per_minute: msat(MOST.msat() + 1), ..terms(1, "1/1") };
    assert!(matches!(Price::new(dear), Err(PriceError::TooMuch { what: "a rate", .. })));
    let dear = Terms { connect_fee: Msat::MAX, ..terms(1, "1/1") };
    assert!(matches!(Price::new(dear), Err(PriceError::TooMuch { what: "a connect fee", .. })));
    let long = Terms { grace: 86_401, ..terms(1, "1/1") };
    assert_eq!(Price::new(long), Err(PriceError::Seconds { what: "a grace", seconds: 86_401 }));
}

#[test]
fn a_price_is_stored_in_words_that_are_checked_when_read() {
    let price = Price::new(Terms { connect_fee: msat(5), grace: 2, minimum: 9, ..terms(600, "30/6") }).unwrap();
    let json = serde_json::to_string(&price).unwrap();
    assert_eq!(json, r#"{"connect_fee":5,"per_minute":600,"increments":"30/6","grace":2,"minimum":9}"#);
    assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
    assert!(serde_json::from_str::<Price>(&json.replace("30/6", "30/0")).is_err());
    assert!(serde_json::from_str::<Price>(&json.replace("600", "100000000001")).is_err());
}

fn any_increment() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1), Just(6), Just(30), Just(60), 1..=LONGEST_INCREMENT]
}

fn any_amount() -> impl Strategy<Value = Msat> {
    prop_oneof![0..=1_000u64, 0..=10_000_000u64, Just(MOST.msat()), 0..=MOST.msat()].prop_map(msat)
}

fn any_price() -> impl Strategy<Value = Price> {
    let seconds = || prop_oneof![Just(0), 0..120u32, 0..=LONGEST_INCREMENT];
    (any_amount(), any_amount(), any_increment(), any_increment(), seconds(), seconds()).prop_map(
        |(connect_fee, per_minute, first, next, grace, minimum)| {
            let increments = Increments::new(first, next).unwrap();
            Price::new(Terms { connect_fee, per_minute, increments, grace, minimum }).unwrap()
        },
    )
}

fn any_length() -> impl Strategy<Value = Duration> {
    let ms =
        prop_oneof![0..200_000u64, 0..100_000_000u64, Just(u64::MAX), any::<u64>()].prop_map(Duration::from_millis);
    prop_oneof![ms, Just(Duration::MAX), Just(Duration::ZERO)]
}

proptest! {
    #[test]
    fn a_longer_call_never_costs_less(price in any_price(), a in any_length(), b in any_length()) {
        let (short, long) = (a.min(b), a.max(b));
        prop_assert!(price.cost(short) <= price.cost(long));
        prop_assert!(price.billed_seconds(short) <= price.billed_seconds(long));
    }

    #[test]
    fn billed_time_covers_the_call_by_less_than_an_increment(price in any_price(), ms in 0..100_000_000u64) {
        let (length, terms) = (Duration::from_millis(ms), price.terms());
        let billed = price.billed_seconds(length);
        if billed == 0 {
            prop_assert!(length < Duration::from_secs(terms.grace.into()));
        } else {
            let (first, next) = (u64::from(terms.increments.first()), u64::from(terms.increments.next()));
            prop_assert!(Duration::from_secs(billed) >= length && billed >= u64::from(terms.minimum));
            prop_assert_eq!((billed - first) % next, 0);
            prop_assert!(billed == first || billed - next < ms.div_ceil(1000).max(terms.minimum.into()));
        }
    }

    /// Compared with fractions written out: the cost less one is below the exact one, the cost is not.
    #[test]
    fn the_cost_is_the_least_whole_amount_not_below_the_exact_one(price in any_price(), length in any_length()) {
        let (billed, cost) = (i128::from(price.billed_seconds(length)), i128::from(price.cost(length).msat()));
        if billed > 0 {
            let exact = i128::from(price.terms().connect_fee.msat()) * 60 + billed * i128::from(price.terms().per_minute.msat());
            prop_assert!(cost * 60 >= exact && (cost - 1) * 60 < exact);
        } else {
            prop_assert_eq!(cost, 0);
        }
    }

    #[test]
    fn the_cost_does_not_depend_on_how_it_was_reserved(price in any_price(), steps in prop::collection::vec(0..500_000u64, 1..20)) {
        let (mut length, mut charged) = (Duration::ZERO, Msat::ZERO);
        for step in steps {
            length += Duration::from_millis(step);
            charged = charged.checked_add(price.due(length, charged)).unwrap();
        }
        prop_assert_eq!(charged, price.cost(length));
    }

    #[test]
    fn what_a_sum_pays_is_the_longest_that_it_pays(price in any_price(), sum in prop_oneof![any_amount(), (0..=Msat::MAX.msat()).prop_map(msat)]) {
        match price.affordable(sum) {
            PaidFor::Nothing => prop_assert!(sum < price.least()),
            PaidFor::Until(length) => {
                prop_assert!(price.least() <= sum && price.cost(length) <= sum);
                prop_assert!(price.cost(length + NANO) > sum, "a moment more costs {:?}", price.cost(length + NANO));
            }
            PaidFor::NoLimit => prop_assert!(price.cost(Duration::MAX) <= sum),
        }
    }

    #[test]
    fn what_a_call_costs_pays_for_it(price in any_price(), length in any_length()) {
        match price.affordable(price.cost(length).max(price.least())) {
            PaidFor::Nothing => prop_assert!(false, "its cost does not pay for it"),
            PaidFor::Until(paid) => prop_assert!(paid >= length),
            PaidFor::NoLimit => {}
        }
    }

    #[test]
    fn any_words_give_increments_or_an_error(text in "\\PC{0,20}|[0-9]{0,12}/[0-9]{0,12}") {
        if let Ok(increments) = text.parse::<Increments>() {
            prop_assert_eq!(increments.to_string().parse(), Ok(increments));
        }
    }
}
