//! The state machine of one paid call. Handle one input, drain [`CreditSession::poll_output`], then wait for the next input or
//! for [`CreditSession::poll_timeout`].
//!
//! A request to the ledger has a number (RFC 8506 CC-Request-Number), and the ids of its transfers are made of the call's
//! name and that number: asked again, it is done once. One request is under way at a time. Each UPDATE settles what the call
//! has cost so far and reserves what is to come, both or neither; so there is one reservation a call at any time. With its
//! transfers a request carries a note, in the same commit: what a restart has to know ([`Snapshot`]).

mod ending;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::quota::Quota;
use super::seam::{Answer, CallTerms, Declined, Ended, Input, Length, Now, Output, Request};
use super::snapshot::{Carried, Held, Snapshot};
use crate::cdr::{Carrier, Ending, carrier_of};
use crate::ledger::{Movement, Purpose, Refusal, Transfer, TransferId};
use crate::tariff::Price;
use crate::{Msat, PaidFor, UnixMillis};
use timers::{Timer, Warned};

/// The ledger answers within this, or the request counts as unanswered (RFC 8506 Tx).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A reservation lasts this much longer than the time that it pays for, so that the end of a call always finds it.
const MARGIN: Duration = Duration::from_secs(120);
/// How long a reservation lasts that pays for a call of any length.
const UNLIMITED: Duration = Duration::from_secs(24 * 3600);
/// How often in a row a smaller sum is asked for when the account's other calls take what there was.
const TRIES: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The first reservation. How often it was tried.
    Initial(u32),
    /// Only the note: it was answered.
    Answered,
    /// Settle and reserve. How often it was tried.
    Update(u32),
    /// Settle and release, or give back what was too much.
    Termination,
    /// Take what the call still owes without a reservation.
    Late(Msat),
    /// Only the note: so much could not be taken.
    Unpaid(Msat),
}

impl Kind {
    /// Nothing comes after it.
    const fn is_last(self) -> bool {
        matches!(self, Self::Termination | Self::Late(_) | Self::Unpaid(_))
    }
}

/// What is true when a request is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Then {
    held: Option<Held>,
    charged: Msat,
    reserved: Msat,
    /// The length of the call that is charged for.
    length: Duration,
    /// More than this cannot be afforded.
    last: bool,
}

/// A request that is under way.
#[derive(Debug, Clone)]
struct Asked {
    kind: Kind,
    /// What it moves, the carrier's cost aside.
    steps: Vec<Step>,
    request: Request,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first reservation is under way.
    Reserving,
    /// Paid for: it rings or is up.
    Open,
    /// It has ended; what it owes is being settled.
    Closing,
    Closed,
}

/// One movement of a request: what it is called in the transfer's id.
type Step = (&'static str, Purpose, Movement);

/// See the module's text.
#[derive(Debug)]
pub struct CreditSession {
    name: String,
    terms: CallTerms,
    quota: Quota,
    phase: Phase,
    next_number: u32,
    asked: Option<Asked>,
    /// The ledger has its note: it must be told of the end.
    known: bool,
    held: Option<Held>,
    /// The reservation is not there any more, though nobody here has ended it.
    lost: bool,
    charged: Msat,
    reserved: Msat,
    moved: Vec<TransferId>,
    began: Instant,
    answered: Option<(Instant, UnixMillis)>,
    /// How long it was when it ended; `None` if nobody answered. While it runs, what was charged for.
    length: Option<Duration>,
    ending: Ending,
    /// The books do not take what the carrier is owed.
    carrier_refused: bool,
    /// It is known that no more can be had.
    limited: bool,
    tried: Option<Instant>,
    /// Money has come in since the last request was made.
    topped_up: bool,
    warned: Warned,
    cut: Option<Instant>,
    record: Option<Snapshot>,
    timers: BTreeMap<Timer, Instant>,
    output: VecDeque<Output>,
}

impl CreditSession {
    /// Begins: asks for the first quota. `name` is the call's and stands for it for ever (RFC 8506 Session-Id).
    #[must_use]
    pub fn begin(now: Now, name: String, terms: CallTerms, quota: Quota) -> Self {
        let mut session = Self::new(now, name, terms, quota);
        let price = session.price();
        let first = price.cost(session.quota.time).max(price.least());
        if first.is_zero() {
            session.ask(now, Kind::Initial(1), &[], session.then());
        } else {
            let (first, last) = session.capped(first);
            session.reserve(now, first, last, 1);
        }
        session
    }

    /// Ends a call whose desk has died, at the length that the ledger last heard of: what was taken stays taken (of an answered
    /// call at least what every call costs), what is held is released.
    #[must_use]
    pub fn recover(now: Now, from: Snapshot) -> Self {
        let terms = CallTerms { payer: from.payer, payee: from.payee, rate: from.rate, limit: None, about: from.about };
        let mut session = Self::new(now, from.name, terms, Quota::default());
        session.next_number = from.next_number;
        session.held = from.held;
        session.known = true;
        session.charged = from.charged;
        session.reserved = from.reserved;
        session.moved = from.moved;
        session.answered = from.answered.map(|at| (now.mono, at));
        session.length = from.answered.map(|_| from.length);
        session.ending = Ending::lost();
        session.phase = Phase::Closing;
        session.terminate(now);
        session
    }

    fn new(now: Now, name: String, terms: CallTerms, quota: Quota) -> Self {
        Self {
            name,
            terms,
            quota,
            phase: Phase::Reserving,
            next_number: 0,
            asked: None,
            known: false,
            held: None,
            lost: false,
            charged: Msat::ZERO,
            reserved: Msat::ZERO,
            moved: Vec::new(),
            began: now.mono,
            answered: None,
            length: None,
            ending: Ending::default(),
            carrier_refused: false,
            limited: false,
            tried: None,
            topped_up: false,
            warned: Warned::default(),
            cut: None,
            record: None,
            timers: BTreeMap::new(),
            output: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Answered if self.phase == Phase::Open && self.answered.is_none() => {
                self.answered = Some((now.mono, now.wall));
                self.note_answer(now);
            }
            Input::Answered => {}
            Input::Ended(ended) => self.end(now, *ended),
            Input::ToppedUp => {
                self.topped_up = true;
                self.try_again(now);
            }
            Input::Told(number, answer) => self.told(now, number, answer),
        }
        self.set_timers(now);
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.values().copied().min()
    }

    /// What was taken so far.
    #[must_use]
    pub fn charged(&self) -> Msat {
        self.charged
    }

    /// Whether all is settled.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// The call as it ended, once the ledger has it so; `None`: it never heard of the call, or not of its end.
    #[must_use]
    pub fn record(&self) -> Option<&Snapshot> {
        self.record.as_ref()
    }

    fn price(&self) -> Price {
        self.terms.rate.price
    }

    /// How long the call is at this moment: never longer than it is paid for.
    fn length_at(&self, now: Now) -> Duration {
        self.within(self.answered.map_or(Duration::ZERO, |(since, _)| now.mono.saturating_duration_since(since)))
    }

    fn within(&self, length: Duration) -> Duration {
        self.held.and_then(|held| held.until).map_or(length, |until| length.min(until))
    }

    // Asking

    /// As things are.
    fn then(&self) -> Then {
        let (held, charged, reserved) = (self.held, self.charged, self.reserved);
        Then { held, charged, reserved, length: self.length.unwrap_or_default(), last: self.limited }
    }

    fn ask(&mut self, now: Now, kind: Kind, steps: &[Step], then: Then) {
        let number = self.next_number;
        self.next_number += 1;
        let carried = if kind.is_last() { self.carried() } else { None };
        let id = |what| Snapshot::transfer(&self.name, number, what);
        let transfers = steps.iter().chain(&carried).map(|(what, purpose, movement)| Transfer {
            id: id(what),
            purpose: *purpose,
            movement: *movement,
        });
        let transfers: Vec<Transfer> = transfers.collect();
        let moves = |t: &&Transfer| match t.movement {
            Movement::Post { .. } => true,
            Movement::Settle { amount, .. } => !amount.is_zero(),
            _ => false,
        };
        self.moved.extend(transfers[..steps.len()].iter().filter(moves).map(|t| t.id));
        let carried = transfers.get(steps.len()).and_then(|transfer| match transfer.movement {
            Movement::Post { amount, .. } => Some(Carried { transfer: transfer.id, amount }),
            _ => None,
        });
        let snapshot = Snapshot { carried, ..self.snapshot(now, kind, then) };
        let request = Request { number, transfers, snapshot };
        self.asked = Some(Asked { kind, steps: steps.to_vec(), request, then });
        self.tried = Some(now.mono);
        self.topped_up = false;
        self.ask_again(now);
    }

    fn snapshot(&self, now: Now, kind: Kind, then: Then) -> Snapshot {
        Snapshot {
            name: self.name.clone(),
            payer: self.terms.payer,
            payee: self.terms.payee,
            rate: self.terms.rate.clone(),
            about: self.terms.about.clone(),
            next_number: self.next_number,
            held: then.held,
            charged: then.charged,
            reserved: then.reserved,
            moved: self.moved.clone(),
            answered: self.answered.map(|(_, at)| at),
            length: then.length,
            ended: kind.is_last().then_some(now.wall),
            unpaid: if let Kind::Unpaid(owed) = kind { owed } else { Msat::ZERO },
            carried: None,
            ending: self.ending.clone(),
        }
    }

    /// Who carried the call, as far as is known.
    pub(super) fn carrier(&self) -> Option<&Carrier> {
        carrier_of(&self.ending, &self.terms.about)
    }

    /// What is booked when it ends: what the carrier takes is an expense, and owed to it.
    fn carried(&self) -> Option<Step> {
        let carrier = self.carrier().filter(|_| !self.carrier_refused)?;
        let amount = carrier.cost(self.length);
        let movement = Movement::Post { debit: Carrier::expenses(), credit: carrier.account(), amount };
        (!amount.is_zero()).then_some(("carrier", Purpose::Call, movement))
    }

    fn ask_again(&mut self, now: Now) {
        if let Some(asked) = &self.asked {
            self.output.push_back(Output::Ask(Box::new(asked.request.clone())));
            self.timers.insert(Timer::Unanswered, now.mono + ANSWER_WITHIN);
        }
    }

    /// What the next request would hold: how it is asked for, and what is then true.
    fn hold(&self, now: Now, amount: Msat, until: Option<Duration>) -> (Step, Held) {
        let talk = until.map_or(UNLIMITED, |until| until.saturating_sub(self.length_at(now)));
        let ring = if self.answered.is_none() { self.quota.ringing } else { Duration::ZERO };
        let expires = Some(now.wall.after(talk.saturating_add(ring).saturating_add(MARGIN)));
        let movement = Movement::Reserve { debit: self.terms.payer, credit: self.terms.payee, amount, expires };
        let id = Snapshot::transfer(&self.name, self.next_number, "hold");
        (("hold", Purpose::Call, movement), Held { id, until })
    }

    /// Reserves on top of nothing. `last`: the account has no more.
    fn reserve(&mut self, now: Now, amount: Msat, last: bool, tries: u32) {
        let until = match self.price().affordable(amount) {
            PaidFor::NoLimit => None,
            PaidFor::Until(time) => Some(time),
            PaidFor::Nothing => return self.decline(Declined::NotEnough),
        };
        let (hold, held) = self.hold(now, amount, until);
        let then = Then { held: Some(held), reserved: amount, last, ..self.then() };
        self.ask(now, Kind::Initial(tries), &[hold], then);
    }

    /// Asks for the next quota.
    fn update(&mut self, now: Now) {
        if self.held.is_some_and(|held| held.until.is_some()) {
            let (total, last) = self.next_total(now);
            self.update_to(now, total, last, 1);
        }
    }

    /// What the call may cost in all with the next quota, and whether that is as much as it may ever cost.
    fn next_total(&self, now: Now) -> (Msat, bool) {
        let until = self.held.and_then(|held| held.until).unwrap_or_default();
        let further = until.saturating_add(self.quota.time.saturating_sub(self.quota.ahead));
        let target = self.length_at(now).saturating_add(self.quota.time).max(further);
        self.capped(self.price().cost(target))
    }

    /// No more than [`CallTerms::limit`], in whole increments, and whether it was more.
    fn capped(&self, total: Msat) -> (Msat, bool) {
        match self.terms.limit {
            Some(limit) if total > limit => match self.price().affordable(limit) {
                PaidFor::Until(time) => (self.price().cost(time), true),
                PaidFor::NoLimit => (self.price().least(), true),
                PaidFor::Nothing => (Msat::ZERO, true),
            },
            _ => (total, false),
        }
    }

    /// Settles what the call has cost so far, and reserves on top what it takes that it may cost so much in all.
    fn update_to(&mut self, now: Now, total: Msat, last: bool, tries: u32) {
        let Some(held) = self.held else { return };
        let length = self.length_at(now);
        // What was lost cannot be settled: it is reserved anew with the rest.
        let so_far = if self.lost { self.charged } else { self.price().cost(length).max(self.charged) };
        let until = match self.price().affordable(total) {
            PaidFor::NoLimit => None,
            PaidFor::Until(time) => Some(time),
            PaidFor::Nothing => Some(Duration::ZERO),
        };
        let more = total.saturating_sub(so_far);
        let no_longer = until.is_some_and(|until| held.until.is_none_or(|had| until <= had));
        if (no_longer && !self.lost) || more.is_zero() {
            return self.is_limited(now);
        }
        let settle = Movement::Settle { reservation: held.id, amount: so_far.saturating_sub(self.charged) };
        let (hold, held) = self.hold(now, more, until);
        let reserved = self.reserved.checked_add(more).unwrap_or(Msat::MAX);
        let length = if self.lost { self.length.unwrap_or_default() } else { length };
        let then = Then { held: Some(held), charged: so_far, reserved, length, last };
        let settle = ("settle", Purpose::Call, settle);
        let steps = [settle, hold];
        self.ask(now, Kind::Update(tries), if self.lost { &steps[1..] } else { &steps }, then);
    }

    fn note_answer(&mut self, now: Now) {
        if self.asked.is_none() {
            self.ask(now, Kind::Answered, &[], self.then());
        }
    }

    /// No more can be had for now: the call lives until what it has is used up.
    fn is_limited(&mut self, now: Now) {
        self.limited = true;
        self.tried = Some(now.mono);
        if self.lost {
            // It runs on nothing.
            self.cut(now);
        }
    }

    /// A call that could not be extended, and now perhaps can.
    fn try_again(&mut self, now: Now) {
        let may = self.phase == Phase::Open && self.limited && self.cut.is_none() && self.asked.is_none();
        if may && self.answered.is_some() && std::mem::take(&mut self.topped_up) {
            self.update(now);
        }
    }

    // Answers

    fn unanswered(&mut self, now: Now) {
        if self.phase == Phase::Reserving {
            self.decline(Declined::Ledger);
        } else if self.phase == Phase::Open {
            // RFC 8506 failure handling TERMINATE: nothing new is granted. Should the answer come yet, it counts.
            self.is_limited(now);
        }
        self.ask_again(now);
    }

    fn told(&mut self, now: Now, number: u32, answer: Answer) {
        // Told before; or asked again when its time is up.
        if self.asked.as_ref().is_none_or(|asked| asked.request.number != number) || answer == Answer::Unknown {
            return;
        }
        let Some(asked) = self.asked.take() else { return };
        self.timers.remove(&Timer::Unanswered);
        match answer {
            Answer::Done => self.done(&asked),
            Answer::Refused(refusal) => {
                self.moved.retain(|moved| asked.request.transfers.iter().all(|t| t.id != *moved));
                self.refused(now, &asked, refusal);
            }
            Answer::Unknown => {}
        }
        if self.phase == Phase::Closing && self.asked.is_none() {
            self.terminate(now);
        }
        self.try_again(now);
    }

    fn done(&mut self, asked: &Asked) {
        let Then { held, charged, reserved, length, last } = asked.then;
        (self.held, self.charged, self.reserved, self.known) = (held, charged, reserved, true);
        if asked.kind.is_last() {
            self.record = Some(asked.request.snapshot.clone());
            return self.close(if let Kind::Unpaid(owed) = asked.kind { owed } else { Msat::ZERO });
        }
        if self.phase == Phase::Closing {
            return;
        }
        self.length = self.answered.map(|_| length);
        match asked.kind {
            Kind::Initial(_) => {
                self.phase = Phase::Open;
                self.output.push_back(Output::Start);
                self.limited = last;
            }
            Kind::Update(_) => {
                self.lost = false;
                if self.cut.is_none() && self.warned.contains(&true) {
                    self.output.push_back(Output::Extended);
                }
                self.warned = Warned::default();
                self.limited = last;
            }
            _ => {}
        }
    }

    fn refused(&mut self, now: Now, asked: &Asked, refusal: Refusal) {
        match (asked.kind, refusal) {
            (Kind::Initial(tries), Refusal::NotEnough { available, .. }) if self.phase == Phase::Reserving => {
                match self.price().affordable(available) {
                    PaidFor::Until(time) if tries < TRIES => {
                        self.reserve(now, self.price().cost(time), true, tries + 1);
                    }
                    PaidFor::NoLimit if tries < TRIES => self.reserve(now, self.price().least(), true, tries + 1),
                    _ => self.decline(Declined::NotEnough),
                }
            }
            (Kind::Initial(_), refusal) if self.phase == Phase::Reserving => self.decline(match refusal {
                Refusal::NotEnough { .. } => Declined::NotEnough,
                Refusal::Frozen { .. } => Declined::Frozen,
                Refusal::NoAccount { .. } => Declined::NoAccount,
                Refusal::OtherBody { .. } => Declined::Again,
                _ => Declined::Ledger,
            }),
            (Kind::Update(tries), Refusal::NotEnough { available, .. }) if self.phase == Phase::Open => {
                // What was available counts the end of the old reservation in.
                let all = asked.then.charged.checked_add(available).unwrap_or(Msat::MAX);
                match self.price().affordable(all) {
                    PaidFor::Until(time) if tries < TRIES => {
                        self.update_to(now, self.price().cost(time), true, tries + 1);
                    }
                    _ => self.is_limited(now),
                }
            }
            // The clock jumped, and somebody has expired it: what it held is reserved once more.
            (Kind::Update(tries), Refusal::Resolved { .. }) if self.phase == Phase::Open && tries < TRIES => {
                self.lost = true;
                let (total, last) = self.next_total(now);
                self.update_to(now, total, last, tries + 1);
            }
            (Kind::Initial(_) | Kind::Update(_) | Kind::Answered, _) => self.is_limited(now),
            (Kind::Termination | Kind::Late(_) | Kind::Unpaid(_), refusal) => self.not_settled(now, asked, refusal),
        }
    }
}

#[cfg(test)]
mod tests;
