//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::super::*;
use super::world::*;
use crate::cdr::Cdr;
use crate::tariff::Terms;

fn prices() -> impl Strategy<Value = Price> {
    let increments = prop_oneof![Just("60/60"), Just("60/1"), Just("30/6"), Just("6/6"), Just("1/1"), Just("1/7")];
    (0u64..2_000, 1u64..20_000, increments, 0u32..5, 0u32..90).prop_map(|(fee, rate, increments, grace, minimum)| {
        let increments = increments.parse().unwrap();
        let terms = Terms { connect_fee: msat(fee), per_minute: msat(rate), increments, grace, minimum };
        Price::new(terms).unwrap()
    })
}

fn quotas() -> impl Strategy<Value = Quota> {
    (1u64..400, 1u64..400).prop_map(|(more, ahead)| Quota::new(secs(ahead + more), secs(ahead), secs(120)).unwrap())
}

#[derive(Debug, Clone)]
enum Step {
    Begin(Price, Quota),
    Answer(u8),
    End(u8),
    TopUp(u64),
    Refund(u64),
    Pass(u32),
    Ledger(bool, bool),
    Expire,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            2 => (prices(), quotas()).prop_map(|(p, q)| Step::Begin(p, q)),
            2 => any::<u8>().prop_map(Step::Answer),
            1 => any::<u8>().prop_map(Step::End),
            1 => (1u64..50_000).prop_map(Step::TopUp),
            1 => (1u64..50_000).prop_map(Step::Refund),
            4 => (1u32..200_000).prop_map(Step::Pass),
            1 => any::<(bool, bool)>().prop_map(|(up, mute)| Step::Ledger(up, mute)),
            1 => Just(Step::Expire),
        ],
        1..60,
    )
}

proptest! {
    #[test]
    fn a_call_costs_the_same_however_it_is_reserved(price in prices(), quota in quotas(), ms in 0u64..8_000_000) {
        let mut world = World::with(1_000_000_000);
        let n = world.call(price, quota);
        world.input(n, Input::Answered);
        world.pass(Duration::from_millis(ms));
        world.input(n, over());
        let cost = price.cost(Duration::from_millis(ms));
        prop_assert_eq!(&world.heard(n).last().unwrap().1, &closed(cost));
        prop_assert_eq!(world.balance(), 1_000_000_000 - cost.msat());
        prop_assert!(world.sums("ada").debits_pending.is_zero());
    }

    #[test]
    fn who_runs_out_pays_no_more_than_there_was_and_talks_for_all_of_it(price in prices(), quota in quotas(), balance in 0u64..100_000) {
        let mut world = World::with(balance);
        let n = world.call(price, quota);
        world.input(n, Input::Answered);
        world.pass(secs(40 * 3_600 * 24));
        world.audit();
        let afforded = price.affordable(msat(balance));
        let cut = world.heard(n).iter().find(|(_, o)| *o == Output::Cut).map(|(at, _)| *at);
        prop_assert_eq!(cut.map(|at| PaidFor::Until(secs(at))).unwrap_or(PaidFor::Nothing), afforded);
    }

    #[test]
    fn whatever_happens_in_whatever_order_money_is_neither_made_nor_lost(steps in steps()) {
        let mut world = World::with(20_000);
        let mut expired = false;
        for step in steps {
            let pick = |i: u8| usize::from(i).checked_rem(world.calls.len());
            match step {
                Step::Begin(price, quota) => _ = world.call_on(carried(price, 4_000), quota),
                Step::Answer(i) => if let Some(n) = pick(i).filter(|n| world.calls[*n].over.is_none()) {
                    let starts = world.heard(n).iter().any(|(_, o)| *o == Output::Start);
                    if starts && world.calls[n].answered.is_none() { world.input(n, Input::Answered) }
                },
                Step::End(i) => if let Some(n) = pick(i) { world.input(n, over()) },
                Step::TopUp(amount) => world.top_up(amount),
                Step::Refund(amount) => drop(world.post("ada", "node", amount)),
                Step::Pass(ms) => world.pass(Duration::from_millis(ms.into())),
                Step::Ledger(up, mute) => (world.up, world.mute) = (up, mute),
                Step::Expire => {
                    expired |= world.book.due(world.now.wall).next().is_some();
                    world.expire_due();
                }
            }
            world.audit();
        }
        (world.up, world.mute) = (true, false);
        for n in 0..world.calls.len() {
            world.input(n, over());
        }
        world.pass(secs(120));
        world.audit();
        prop_assert!(world.calls.iter().all(|call| call.session.closed()));
        prop_assert!(world.sums("ada").debits_pending.is_zero(), "nothing is held for calls that are over");
        let told: u64 = world.calls.iter().map(|call| call.session.charged().msat()).sum();
        prop_assert_eq!(i128::from(told), world.sums("revenue").balance(), "what sessions say and what the books say");
        let legs = world.notes.values().flat_map(Cdr::of).filter(|cdr| cdr.leg == crate::cdr::Leg::Carrier);
        let owed: u64 = legs.map(|leg| leg.cost.msat()).sum();
        prop_assert_eq!(world.owed_to_the_carrier(), i128::from(owed), "what records say and what carriers are owed");
        if !expired {
            for n in 0..world.calls.len() {
                let cost = if world.calls[n].answered.is_some() { world.calls[n].price.cost(world.length(n)) } else { Msat::ZERO };
                prop_assert_eq!(world.calls[n].session.charged(), cost, "call {}", n);
            }
        }
    }

    #[test]
    fn a_desk_that_dies_at_any_moment_leaves_books_that_balance(
        price in prices(), quota in quotas(), ms in 0u64..2_000_000, lost in any::<bool>(), comes_back in any::<bool>()
    ) {
        let mut world = World::with(1_000_000);
        let n = world.call_on(carried(price, 4_000), quota);
        world.input(n, Input::Answered);
        world.pass(Duration::from_millis(ms));
        // The last request is done and its answer not heard, or it was never made.
        (world.up, world.mute) = (false, lost);
        world.input(n, over());
        let reached = world.calls[n].session.charged();
        world.calls.clear();
        let whole = price.cost(Duration::from_millis(ms));
        if comes_back {
            (world.up, world.mute) = (true, false);
            if world.notes["call 0"].ended.is_none() {
                let n = world.recover("call 0");
                prop_assert!(world.calls[n].session.closed());
            }
            let note = &world.notes["call 0"];
            prop_assert!(note.ended.is_some());
            prop_assert_eq!(note.charged, price.cost(note.length), "what was taken is the cost of the length in the record");
            prop_assert_eq!(note.charged, msat(1_000_000 - world.balance()));
            prop_assert_eq!(i128::from(Cdr::of(note)[1].cost.msat()), world.owed_to_the_carrier());
        } else {
            world.pass(secs(3_600));
            world.expire_due();
        }
        world.audit();
        prop_assert!(world.sums("ada").debits_pending.is_zero());
        let taken = msat(1_000_000 - world.balance());
        // An answered call costs what every call costs, though nothing of it was settled.
        prop_assert!(taken >= reached && taken <= whole.max(price.cost(Duration::ZERO)), "{taken}, {whole}");
    }
}
