use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;

fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

fn ada() -> AccountId {
    AccountId::named(&["ada"])
}

fn london() -> Number {
    "442071838750".parse().unwrap()
}

fn prefixes(words: &[&str]) -> Vec<Prefix> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn admit(guard: &mut Guard, at: u64) -> Result<Admitted, Guarded> {
    guard.admit(UnixMillis(at), ada(), london())
}

#[test]
fn the_longest_prefix_decides_where_calls_may_go() {
    for (allowed, denied, may) in [
        (&[][..], &[][..], true),
        (&["44"], &[], true),
        (&["1"], &[], false),
        (&[], &["44"], false),
        (&[], &["4479"], true),
        (&["4420"], &["44"], true),
        (&["44"], &["4420"], false),
        (&["4", "4420"], &["44"], true),
        (&["44"], &["4", "4420"], false),
        (&["44"], &["44"], false),
    ] {
        let rules = Rules { allowed: prefixes(allowed), denied: prefixes(denied), ..Rules::default() };
        let told = admit(&mut Guard::new(rules), 0);
        assert_eq!(told.is_ok(), may, "{allowed:?} {denied:?}");
        if let Err(refused) = told {
            assert_eq!(refused.to_string(), "calls to +44…50 are not allowed here");
        }
    }
}

#[test]
fn calls_at_once_are_counted_until_they_end() {
    let mut guard = Guard::new(Rules { concurrent: 2, ..Rules::default() });
    let first = admit(&mut guard, 0).unwrap();
    admit(&mut guard, 1).unwrap();
    assert_eq!(admit(&mut guard, 2), Err(Guarded::Concurrent { most: 2 }));
    let other = guard.admit(UnixMillis(2), AccountId::named(&["bob"]), london());
    assert!(other.is_ok(), "another account is not meant");
    guard.ended(UnixMillis(3), first, Msat::ZERO);
    admit(&mut guard, 4).unwrap();
}

#[test]
fn calls_begun_in_a_minute_are_counted_also_when_they_have_ended() {
    let mut guard = Guard::new(Rules { per_minute: 3, ..Rules::default() });
    for at in 0..3 {
        let call = admit(&mut guard, at).unwrap();
        guard.ended(UnixMillis(at), call, Msat::ZERO);
    }
    assert_eq!(admit(&mut guard, MINUTE - 1), Err(Guarded::PerMinute { most: 3 }));
    admit(&mut guard, MINUTE).unwrap();
    assert!(admit(&mut guard, MINUTE).is_err(), "the second of the three is not a minute old");
}

#[test]
fn what_was_spent_in_an_hour_and_a_day_limits_the_next_call() {
    let rules = Rules { concurrent: 1, hour: Some(msat(1_000)), day: Some(msat(1_500)), ..Rules::default() };
    let mut guard = Guard::new(rules);
    let call = admit(&mut guard, 0).unwrap();
    assert_eq!(call.limit, Some(msat(1_000)));
    guard.ended(UnixMillis(MINUTE), call, msat(400));
    let call = admit(&mut guard, 2 * MINUTE).unwrap();
    assert_eq!(call.limit, Some(msat(600)));
    guard.ended(UnixMillis(3 * MINUTE), call, msat(600));
    let refused = admit(&mut guard, 4 * MINUTE).unwrap_err();
    assert_eq!(refused, Guarded::Spent { most: msat(1_000), within: HOUR });
    assert_eq!(refused.to_string(), "1 sat in 1 h are the most that may be spent on calls");
    // The first cost is an hour old.
    assert_eq!(admit(&mut guard, 61 * MINUTE).unwrap().limit, Some(msat(400)));
}

#[test]
fn the_day_is_counted_over_a_restart() {
    let mut guard = Guard::new(Rules { concurrent: 1, day: Some(msat(1_000)), ..Rules::default() });
    guard.recall(UnixMillis(0), ada(), msat(700));
    assert_eq!(admit(&mut guard, 24 * 60 * MINUTE - 1).unwrap().limit, Some(msat(300)));
}

#[test]
fn who_has_not_called_for_a_day_costs_no_memory() {
    let mut guard = Guard::new(Rules::default());
    let call = admit(&mut guard, 0).unwrap();
    let bob = |guard: &mut Guard, hour: u64| {
        let call = guard.admit(UnixMillis(hour * 60 * MINUTE), AccountId::named(&["bob"]), london()).unwrap();
        guard.ended(UnixMillis(hour * 60 * MINUTE), call, Msat::ZERO);
        guard.recent.len()
    };
    assert_eq!(bob(&mut guard, 48), 2, "a call is under way");
    guard.ended(UnixMillis(48 * 60 * MINUTE), call, msat(1));
    assert_eq!(bob(&mut guard, 71), 2, "what it cost still counts");
    assert_eq!(bob(&mut guard, 72), 1);
}

proptest! {
    /// Whatever begins and ends, and though every call costs all that it may: no hour costs more than its sum.
    #[test]
    fn no_hour_costs_more_than_it_may(steps in prop::collection::vec((any::<bool>(), 0u64..20 * MINUTE), 1..80), most in 1u32..6) {
        let cap = 100_000;
        let rules = Rules { concurrent: most, per_minute: 1_000, hour: Some(msat(cap)), ..Rules::default() };
        let mut guard = Guard::new(rules);
        let (mut at, mut open, mut spent) = (0, Vec::new(), Vec::new());
        for (begins, passes) in steps {
            at += passes;
            if begins {
                open.extend(admit(&mut guard, at));
            } else if let Some(call) = open.pop() {
                guard.ended(UnixMillis(at), call, call.limit.unwrap());
                spent.push((at, call.limit.unwrap().msat()));
            }
            prop_assert!(open.len() <= most as usize);
            let hour: u64 = spent.iter().filter(|(then, _)| then + 60 * MINUTE > at).map(|(_, cost)| cost).sum();
            let under_way: u64 = open.iter().map(|call| call.limit.unwrap().msat()).sum();
            prop_assert!(hour + under_way <= cap, "{hour} and {under_way} under way");
        }
    }
}
