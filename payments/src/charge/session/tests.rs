use proptest::prelude::*;

use super::*;
use crate::cdr::{About, Cdr, Direction};
use crate::ledger::{Account, AccountId, AccountKind, Applied, Book};
use crate::tariff::{DeckId, DeckKind, Increments, Rate, Terms};

fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

fn home() -> AccountId {
    AccountId::named(&["trunk", "home"])
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn account(name: &str) -> AccountId {
    AccountId::named(&[name])
}

/// 10 sat a minute by the second: 167 msat a second, nearly.
fn by_the_second() -> Price {
    Price::new(Terms::per_minute(Msat::from_sat(10).unwrap(), Increments::SECONDS)).unwrap()
}

fn terms(price: Price) -> CallTerms {
    let deck = DeckId { kind: DeckKind::CustomerPrice, name: "retail".into(), version: 1 };
    let about = About {
        tenant: String::new(),
        direction: Direction::Outbound,
        caller: None,
        callee: None,
        carrier: None,
        setup: UnixMillis(1_700_000_000_000),
        node: "here".into(),
        sip_call_id: None,
        source: None,
        fx_rate: None,
    };
    let rate = Rate { deck, prefix: "44".parse().unwrap(), price };
    CallTerms { payer: account("ada"), payee: account("revenue"), rate, limit: None, about }
}

/// The same by a carrier that takes so much a minute, in whole minutes.
fn carried(price: Price, per_minute: u64) -> CallTerms {
    let deck = DeckId { kind: DeckKind::TrunkCost, name: "home".into(), version: 1 };
    let cost = Price::new(Terms::per_minute(msat(per_minute), Increments::MINUTES)).unwrap();
    let rate = Rate { deck, prefix: "44".parse().unwrap(), price: cost };
    let mut terms = terms(price);
    terms.about.carrier = Some(Carrier { trunk: "home".into(), rate });
    terms
}

fn ended(length: Length) -> Input {
    Input::Ended(Box::new(Ended { length, ending: Ending::default() }))
}

/// The desk says that the call is over, and leaves the length to the session.
fn over() -> Input {
    ended(Length::UntilNow)
}

/// Sessions on the books, in virtual time. All of them pay from Ada's account.
struct World {
    book: Book,
    start: Instant,
    now: Now,
    calls: Vec<Call>,
    /// The ledger does what it is asked and answers; else requests are lost.
    up: bool,
    /// It does what it is asked, and the answer is lost.
    mute: bool,
    /// The desk does not hang up when it is told to.
    deaf: bool,
    transfers: u32,
    notes: BTreeMap<String, Snapshot>,
}

struct Call {
    session: CreditSession,
    price: Price,
    answered: Option<Duration>,
    heard: Vec<(u64, Output)>,
    over: Option<Duration>,
}

impl World {
    fn with(balance: u64) -> Self {
        let mut book = Book::default();
        for (name, kind) in
            [("ada", AccountKind::Customer), ("revenue", AccountKind::Revenue), ("node", AccountKind::Lightning)]
        {
            book.open(Account::new(account(name), kind));
        }
        book.open(Account::new(Carrier::expenses(), AccountKind::TrunkCost));
        book.open(Account::new(home(), AccountKind::Partner));
        let start = Instant::now();
        let now = Now { mono: start, wall: UnixMillis(1_700_000_000_000) };
        let mut world = Self {
            book,
            start,
            now,
            calls: Vec::new(),
            up: true,
            mute: false,
            deaf: false,
            transfers: 0,
            notes: BTreeMap::new(),
        };
        if balance > 0 {
            world.post("node", "ada", balance).unwrap();
        }
        world
    }

    fn post(&mut self, debit: &str, credit: &str, amount: u64) -> Result<Applied, Refusal> {
        self.transfers += 1;
        let id = TransferId::named(&["post", &self.transfers.to_string()]);
        let movement = Movement::Post { debit: account(debit), credit: account(credit), amount: msat(amount) };
        self.book.apply(self.now.wall, &Transfer { id, purpose: Purpose::TopUp, movement })
    }

    fn top_up(&mut self, amount: u64) {
        self.post("node", "ada", amount).unwrap();
        for n in 0..self.calls.len() {
            self.input(n, Input::ToppedUp);
        }
    }

    fn call(&mut self, price: Price, quota: Quota) -> usize {
        self.call_on(terms(price), quota)
    }

    fn owed_to_the_carrier(&self) -> i128 {
        let owed = self.book.account(home()).unwrap().sums.balance();
        assert_eq!(self.book.account(Carrier::expenses()).unwrap().sums.balance(), -owed, "an expense of ours");
        owed
    }

    fn call_on(&mut self, terms: CallTerms, quota: Quota) -> usize {
        let (name, price) = (format!("call {}", self.calls.len()), terms.rate.price);
        let session = CreditSession::begin(self.now, name, terms, quota);
        self.taken_in(session, price)
    }

    /// What the next process makes of a call that this one left behind.
    fn recover(&mut self, name: &str) -> usize {
        let snapshot = self.notes[name].clone();
        let price = snapshot.rate.price;
        let session = CreditSession::recover(self.now, snapshot);
        self.taken_in(session, price)
    }

    fn taken_in(&mut self, session: CreditSession, price: Price) -> usize {
        self.calls.push(Call { session, price, answered: None, heard: Vec::new(), over: None });
        let n = self.calls.len() - 1;
        self.drain(n);
        n
    }

    fn input(&mut self, n: usize, input: Input) {
        let at = self.now.mono - self.start;
        let call = &mut self.calls[n];
        match input {
            Input::Answered => call.answered = call.answered.or(Some(at)),
            Input::Ended(_) => call.over = call.over.or(Some(at)),
            _ => {}
        }
        call.session.handle(self.now, input);
        self.drain(n);
    }

    fn drain(&mut self, n: usize) {
        while let Some(output) = self.calls[n].session.poll_output() {
            if let Output::Ask(request) = &output {
                if self.up || self.mute {
                    let done = self.book.apply_all(self.now.wall, &request.transfers);
                    if done == Ok(Applied::New) {
                        self.notes.insert(request.snapshot.name.clone(), request.snapshot.clone());
                    }
                    let answer = done.map_or_else(|(_, refusal)| Answer::Refused(refusal), |_| Answer::Done);
                    if self.up {
                        self.calls[n].session.handle(self.now, Input::Told(request.number, answer));
                    }
                }
            } else {
                let at = (self.now.mono - self.start).as_secs();
                if output == Output::Cut && !self.deaf {
                    self.calls[n].heard.push((at, output));
                    self.input(n, over());
                    continue;
                }
                self.calls[n].heard.push((at, output));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            let next = (0..self.calls.len()).filter_map(|n| Some((self.calls[n].session.poll_timeout()?, n))).min();
            let Some((at, n)) = next.filter(|(at, _)| *at <= until) else { break };
            self.set(at.max(self.now.mono));
            self.calls[n].session.handle_timeout(self.now);
            self.drain(n);
        }
        self.set(until);
    }

    fn set(&mut self, mono: Instant) {
        self.now = Now { mono, wall: self.now.wall.after(mono - self.now.mono) };
    }

    fn expire_due(&mut self) {
        let due: Vec<TransferId> = self.book.due(self.now.wall).collect();
        for id in due {
            self.book.apply(self.now.wall, &Transfer::expiry_of(id)).unwrap();
        }
    }

    fn sums(&self, name: &str) -> crate::ledger::Sums {
        self.book.account(account(name)).unwrap().sums
    }

    fn balance(&self) -> u64 {
        u64::try_from(self.sums("ada").balance()).unwrap()
    }

    fn heard(&self, n: usize) -> &[(u64, Output)] {
        &self.calls[n].heard
    }

    /// The money is all there, and no prepaid account is below zero.
    fn audit(&self) {
        assert_eq!(self.book.accounts().map(|a| a.sums.balance()).sum::<i128>(), 0);
        let ada = self.sums("ada");
        assert!(ada.balance() >= i128::from(ada.debits_pending.msat()), "{ada:?}");
    }

    /// How long a call was, as the room saw it.
    fn length(&self, n: usize) -> Duration {
        let call = &self.calls[n];
        call.answered.map_or(Duration::ZERO, |since| call.over.unwrap() - since)
    }
}

fn closed(charged: Msat) -> Output {
    Output::Closed { charged, unpaid: Msat::ZERO }
}

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
