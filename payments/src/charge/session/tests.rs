mod carrier;
mod properties;
mod world;

use super::*;
use crate::tariff::Terms;
use world::*;

#[test]
fn a_call_is_paid_for_before_it_rings_and_costs_what_it_lasted() {
    let mut world = World::with(100_000);
    let n = world.call(by_the_second(), Quota::default());
    assert_eq!(world.heard(n), [(0, Output::Start)]);
    assert_eq!(world.sums("ada").debits_pending, msat(20_000), "two minutes");
    world.pass(secs(20));
    world.input(n, Input::Answered);
    world.pass(secs(200));
    world.input(n, over());
    let cost = by_the_second().cost(secs(200));
    assert_eq!(world.heard(n), [(0, Output::Start), (220, closed(cost))]);
    assert_eq!((world.balance(), world.sums("ada").debits_pending), (100_000 - cost.msat(), Msat::ZERO));
}

#[test]
fn a_call_that_nobody_answers_costs_nothing() {
    let mut world = World::with(100_000);
    let n = world.call(by_the_second(), Quota::default());
    world.pass(secs(60));
    world.input(n, over());
    assert_eq!(world.heard(n)[1], (60, closed(Msat::ZERO)));
    assert_eq!((world.balance(), world.sums("ada").debits_pending), (100_000, Msat::ZERO));
}

#[test]
fn who_cannot_pay_for_the_first_increment_and_the_connect_fee_does_not_ring() {
    let fee = Terms { connect_fee: msat(500), ..Terms::per_minute(msat(6_000), "60/60".parse().unwrap()) };
    let price = Price::new(fee).unwrap();
    for (balance, starts) in [(0, false), (6_499, false), (6_500, true)] {
        let mut world = World::with(balance);
        let n = world.call(price, Quota::default());
        let expected = if starts {
            vec![(0, Output::Start)]
        } else {
            vec![(0, Output::Decline(Declined::NotEnough)), (0, closed(Msat::ZERO))]
        };
        assert_eq!(world.heard(n), expected, "{balance}");
        world.audit();
    }
}

#[test]
fn who_runs_out_is_warned_at_60_and_30_seconds_and_cut_when_it_is_used_up() {
    // Five minutes.
    let mut world = World::with(50_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(3_600));
    let expected = [
        (0, Output::Start),
        (240, Output::Warn(secs(60))),
        (270, Output::Warn(secs(30))),
        (300, Output::Cut),
        (300, closed(msat(50_000))),
    ];
    assert_eq!(world.heard(n), expected);
    assert_eq!(world.balance(), 0);
}

#[test]
fn who_has_less_than_a_minute_from_the_start_is_warned_at_once() {
    // 45 s.
    let mut world = World::with(7_500);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(100));
    let warned: Vec<_> = world.heard(n).iter().filter(|(_, o)| matches!(o, Output::Warn(_) | Output::Cut)).collect();
    assert_eq!(warned, [&(0, Output::Warn(secs(45))), &(15, Output::Warn(secs(30))), &(45, Output::Cut)]);
}

#[test]
fn a_top_up_in_mid_call_extends_it_without_a_break_and_takes_the_warnings_back() {
    let mut world = World::with(50_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(250));
    world.top_up(50_000);
    world.pass(secs(3_600));
    let expected = [
        (0, Output::Start),
        (240, Output::Warn(secs(60))),
        (250, Output::Extended),
        (540, Output::Warn(secs(60))),
        (570, Output::Warn(secs(30))),
        (600, Output::Cut),
        (600, closed(msat(100_000))),
    ];
    assert_eq!(world.heard(n), expected);
}

#[test]
fn money_that_comes_in_unannounced_is_found_by_asking_again() {
    let mut world = World::with(50_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(250));
    world.post("node", "ada", 10_000).unwrap();
    world.pass(secs(15));
    assert!(world.heard(n).iter().any(|(_, o)| *o == Output::Extended), "{:?}", world.heard(n));
}

#[test]
fn without_an_answer_of_the_ledger_no_call_begins_and_what_it_did_is_undone() {
    let mut world = World::with(100_000);
    (world.up, world.mute) = (false, true);
    let n = world.call(by_the_second(), Quota::default());
    world.pass(secs(9));
    assert_eq!(world.heard(n), []);
    world.pass(secs(1));
    assert_eq!(world.heard(n), [(10, Output::Decline(Declined::Ledger))]);
    assert_eq!(world.sums("ada").debits_pending, msat(20_000), "it was done, nobody heard");
    world.up = true;
    world.pass(secs(10));
    assert_eq!(world.heard(n)[1], (20, closed(Msat::ZERO)));
    assert_eq!(world.sums("ada").debits_pending, Msat::ZERO);
}

#[test]
fn a_ledger_that_falls_silent_lets_a_call_live_to_the_end_of_its_grant_and_is_settled_with_later() {
    let mut world = World::with(1_000_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.up = false;
    world.pass(secs(130));
    let cuts: Vec<_> = world.heard(n).iter().filter(|(_, o)| *o == Output::Cut).collect();
    assert_eq!(cuts, [&(120, Output::Cut)]);
    assert!(world.heard(n).contains(&(60, Output::Warn(secs(60)))), "{:?}", world.heard(n));
    assert!(!world.calls[n].session.closed());
    world.up = true;
    world.pass(secs(20));
    assert!(world.calls[n].session.closed());
    assert_eq!(world.balance(), 1_000_000 - by_the_second().cost(secs(120)).msat());
    assert_eq!(world.sums("ada").debits_pending, Msat::ZERO);
}

#[test]
fn an_answer_that_comes_late_but_in_time_for_the_call_counts() {
    let mut world = World::with(1_000_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    (world.up, world.mute) = (false, true);
    world.pass(secs(70));
    world.up = true;
    world.pass(secs(60));
    let heard: Vec<_> = world.heard(n).iter().map(|(_, o)| o.clone()).collect();
    assert!(heard.contains(&Output::Extended) && !heard.contains(&Output::Cut), "{heard:?}");
    world.input(n, over());
    assert_eq!(world.balance(), 1_000_000 - by_the_second().cost(secs(130)).msat());
}

#[test]
fn what_a_dead_desk_held_frees_itself() {
    let mut world = World::with(100_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(100));
    let charged = world.calls[n].session.charged();
    // It dies here.
    world.calls.clear();
    assert!(!world.sums("ada").debits_pending.is_zero());
    world.pass(secs(600));
    world.expire_due();
    assert_eq!((world.balance(), world.sums("ada").debits_pending), (100_000 - charged.msat(), Msat::ZERO));
}

#[test]
fn a_reservation_that_is_gone_is_taken_at_the_end_all_the_same_and_what_cannot_be_is_told() {
    for (left, unpaid) in [(100_000, false), (0, true)] {
        let mut world = World::with(100_000);
        let n = world.call(by_the_second(), Quota::default());
        world.input(n, Input::Answered);
        world.pass(secs(30));
        // A clock that jumps a day.
        world.now.wall = world.now.wall.after(secs(86_400));
        world.expire_due();
        if left == 0 {
            world.post("ada", "node", 100_000).unwrap();
        }
        world.input(n, over());
        let cost = by_the_second().cost(secs(30));
        let (charged, lost) = if unpaid { (Msat::ZERO, cost) } else { (cost, Msat::ZERO) };
        assert_eq!(world.heard(n)[1].1, Output::Closed { charged, unpaid: lost });
        world.audit();
    }
}

#[test]
fn a_frozen_account_and_one_that_is_not_there_begin_no_call() {
    let mut world = World::with(100_000);
    world.book.freeze(account("ada"), true);
    let n = world.call(by_the_second(), Quota::default());
    assert_eq!(world.heard(n)[0].1, Output::Decline(Declined::Frozen));
    let nobody = account("nobody");
    let poor = CallTerms { payer: nobody, ..terms(by_the_second()) };
    let mut session = CreditSession::begin(world.now, "x".into(), poor, Quota::default());
    session.handle(world.now, Input::Told(0, Answer::Refused(Refusal::NoAccount { account: nobody })));
    let heard: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
    assert!(heard.contains(&Output::Decline(Declined::NoAccount)), "{heard:?}");
}

#[test]
fn a_free_call_moves_no_money_and_one_with_a_fee_alone_is_charged_once() {
    let mut world = World::with(1_000);
    let n = world.call(Price::FREE, Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(100_000));
    world.input(n, over());
    assert_eq!(world.heard(n), [(0, Output::Start), (100_000, closed(Msat::ZERO))]);
    let n = world.call(Price::new(Terms::per_call(msat(700))).unwrap(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(7_200));
    world.input(n, over());
    assert_eq!((world.heard(n)[1].1.clone(), world.balance()), (closed(msat(700)), 300));
}

#[test]
fn the_desks_watch_counts_and_what_was_taken_too_much_is_given_back() {
    let mut world = World::with(100_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    // Settled up to 45 s when the next quota was asked for.
    world.pass(secs(46));
    assert_eq!(world.calls[n].session.charged(), by_the_second().cost(secs(45)));
    world.input(n, ended(Length::Of(secs(40))));
    let cost = by_the_second().cost(secs(40));
    assert_eq!(world.heard(n)[1].1, closed(cost));
    assert_eq!((world.balance(), world.sums("ada").debits_pending), (100_000 - cost.msat(), Msat::ZERO));
    let record = world.calls[n].session.record().unwrap();
    assert_eq!((record.length, record.charged, record.moved.len()), (secs(40), cost, 2));
    world.audit();
}

#[test]
fn nobody_pays_for_longer_than_was_reserved() {
    let mut world = World::with(50_000);
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(10));
    world.input(n, ended(Length::Of(secs(100_000))));
    assert_eq!(world.heard(n)[1].1, closed(msat(20_000)), "the quota of two minutes");
    world.audit();
}

#[test]
fn a_call_with_a_limit_is_warned_and_cut_at_it_however_much_there_is() {
    let mut world = World::with(1_000_000);
    let n = world.call_on(CallTerms { limit: Some(msat(50_000)), ..terms(by_the_second()) }, Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(3_600));
    let heard: Vec<_> = world.heard(n).iter().map(|(at, _)| *at).collect();
    assert_eq!(heard, [0, 240, 270, 300, 300], "{:?}", world.heard(n));
    assert_eq!(world.balance(), 950_000);
    let n = world.call_on(CallTerms { limit: Some(msat(100)), ..terms(by_the_second()) }, Quota::default());
    assert_eq!(world.heard(n)[0].1, Output::Decline(Declined::NotEnough));
}

#[test]
fn a_phone_that_rings_for_too_long_is_cut_before_its_reservation_expires() {
    let mut world = World::with(100_000);
    let n = world.call(by_the_second(), Quota::default());
    world.pass(secs(1_000));
    assert_eq!(world.heard(n)[1..], [(120, Output::Cut), (120, closed(Msat::ZERO))]);
    assert_eq!(world.balance(), 100_000);
}

#[test]
fn a_call_that_the_desk_does_not_end_when_it_is_cut_counts_as_ended() {
    let mut world = World::with(50_000);
    world.deaf = true;
    let n = world.call(by_the_second(), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(3_600));
    assert_eq!(world.heard(n).last().unwrap(), &(360, closed(msat(50_000))));
    assert_eq!((world.balance(), world.sums("ada").debits_pending), (0, Msat::ZERO));
}

#[test]
fn a_reservation_that_a_jumping_clock_ends_in_mid_call_is_made_anew() {
    for (left, goes_on) in [(true, true), (false, false)] {
        let mut world = World::with(100_000);
        let n = world.call(by_the_second(), Quota::default());
        world.input(n, Input::Answered);
        world.pass(secs(10));
        world.now.wall = world.now.wall.after(secs(86_400));
        world.expire_due();
        if !left {
            world.post("ada", "node", 100_000).unwrap();
        }
        world.pass(secs(190));
        let cut = world.heard(n).iter().find(|(_, o)| *o == Output::Cut).map(|(at, _)| *at);
        assert_eq!(cut, (!goes_on).then_some(45), "{:?}", world.heard(n));
        world.input(n, over());
        let cost = by_the_second().cost(secs(200));
        assert_eq!(world.calls[n].session.charged(), if goes_on { cost } else { Msat::ZERO });
        world.audit();
    }
}

#[test]
fn a_desk_that_comes_back_ends_its_calls_where_the_ledger_last_heard_of_them() {
    // Before anybody answered; answered and nothing settled yet; settled once.
    for (answered, lasts, charged) in [(false, 30, 0), (true, 30, 0), (true, 100, 90)] {
        let mut world = World::with(100_000);
        let n = world.call(by_the_second(), Quota::default());
        if answered {
            world.input(n, Input::Answered);
        }
        world.pass(secs(lasts));
        world.calls.clear();
        let n = world.recover("call 0");
        let length = answered.then_some(secs(charged));
        let cost = length.map_or(Msat::ZERO, |length| by_the_second().cost(length));
        assert_eq!(world.heard(n), [(lasts, closed(cost))]);
        assert_eq!((world.balance(), world.sums("ada").debits_pending), (100_000 - cost.msat(), Msat::ZERO));
        let record = world.calls[n].session.record().unwrap().clone();
        assert_eq!(record.ended, Some(world.now.wall));
        // It dies in the middle of that, and comes back once more: the same requests, done once.
        assert_eq!(world.notes["call 0"], record);
    }
}
