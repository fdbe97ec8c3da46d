//! What the carrier of a call is owed.

use super::super::*;
use super::world::*;
use crate::cdr::Cdr;

#[test]
fn what_the_carrier_takes_is_booked_with_the_end_of_the_call() {
    let mut world = World::with(100_000);
    let n = world.call_on(carried(by_the_second(), 4_000), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(90));
    assert_eq!(world.owed_to_the_carrier(), 0, "nothing while it runs");
    world.input(n, over());
    assert_eq!((world.balance(), world.owed_to_the_carrier()), (85_000, 8_000));
    let note = &world.notes["call 0"];
    let booked = note.carried.unwrap();
    assert_eq!((booked.amount, note.moved.contains(&booked.transfer)), (msat(8_000), false));
    let legs = Cdr::of(note);
    assert_eq!((legs[0].charged, legs[1].charged, legs[1].unpaid), (msat(15_000), msat(8_000), Msat::ZERO));
    assert_eq!(legs[1].transfers, [booked.transfer]);
    world.audit();
    // Nobody answers: nothing is owed.
    let n = world.call_on(carried(by_the_second(), 4_000), Quota::default());
    world.input(n, ended(Length::Unanswered));
    assert_eq!((world.owed_to_the_carrier(), world.notes["call 1"].carried), (8_000, None));
}

#[test]
fn the_carrier_that_carried_it_in_the_end_is_owed() {
    let mut world = World::with(100_000);
    let n = world.call_on(terms(by_the_second()), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(30));
    let carrier = carried(by_the_second(), 3_000).about.carrier;
    let ending = Ending { carrier, ..Ending::default() };
    world.input(n, Input::Ended(Box::new(Ended { length: Length::UntilNow, ending })));
    assert_eq!(world.owed_to_the_carrier(), 3_000);
    world.audit();
}

#[test]
fn a_carrier_whose_account_takes_nothing_lets_no_customer_go_free() {
    for frozen in [home(), Carrier::expenses()] {
        let mut world = World::with(100_000);
        let n = world.call_on(carried(by_the_second(), 4_000), Quota::default());
        world.input(n, Input::Answered);
        world.pass(secs(90));
        world.book.freeze(frozen, true);
        world.input(n, over());
        assert_eq!(world.heard(n).last().unwrap().1, closed(msat(15_000)));
        assert_eq!((world.balance(), world.owed_to_the_carrier()), (85_000, 0));
        let legs = Cdr::of(&world.notes["call 0"]);
        assert_eq!((legs[1].charged, legs[1].unpaid, legs[1].transfers.len()), (Msat::ZERO, msat(8_000), 0));
        world.audit();
    }
}

#[test]
fn the_carrier_is_owed_also_for_a_call_that_the_customer_cannot_pay() {
    let mut world = World::with(30_000);
    let n = world.call_on(carried(by_the_second(), 4_000), Quota::default());
    world.input(n, Input::Answered);
    world.pass(secs(30));
    // A clock jumps, the reservation is expired, and what it held is taken out.
    let real = world.now.wall;
    world.now.wall = real.after(secs(24 * 3600));
    world.expire_due();
    world.post("ada", "node", 30_000).unwrap();
    world.input(n, over());
    let unpaid = world.notes["call 0"].unpaid;
    assert_eq!((unpaid, world.owed_to_the_carrier()), (by_the_second().cost(secs(30)), 4_000));
    world.audit();
}
