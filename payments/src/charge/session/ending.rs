//! The end of a call: what it owes is settled, what is held is released.

use super::{Asked, Duration, Held, UnixMillis};
use super::{
    Carrier, CreditSession, Declined, Ended, Kind, Length, Movement, Msat, Now, Output, Phase, Purpose, Refusal, Then,
};

impl CreditSession {
    pub(super) fn decline(&mut self, why: Declined) {
        self.output.push_back(Output::Decline(why));
        self.phase = Phase::Closing;
        if self.asked.is_none() {
            self.close(Msat::ZERO);
        }
    }

    pub(super) fn cut(&mut self, now: Now) {
        if self.cut.is_none() && self.phase == Phase::Open {
            self.cut = Some(now.mono);
            self.output.push_back(Output::Cut);
        }
    }

    pub(super) fn end(&mut self, now: Now, ended: Ended) {
        if !matches!(self.phase, Phase::Reserving | Phase::Open) {
            return;
        }
        self.length = match ended.length {
            Length::Unanswered => None,
            Length::Of(length) => Some(self.within(length)),
            Length::UntilNow => self.answered.map(|_| self.length_at(now)),
        };
        if self.length.is_some() {
            let before = |length: Duration| {
                UnixMillis(now.wall.0.saturating_sub(length.as_millis().try_into().unwrap_or(u64::MAX)))
            };
            self.answered.get_or_insert((now.mono, before(self.length.unwrap_or_default())));
        } else {
            self.answered = None;
        }
        self.ending = ended.ending;
        self.phase = Phase::Closing;
        // What is under way has to be known first: it says which reservation stands.
        if self.asked.is_none() {
            self.terminate(now);
        }
    }

    /// What the whole call costs.
    pub(super) fn owed(&self) -> Msat {
        self.length.map_or(Msat::ZERO, |length| self.price().cost(length))
    }

    pub(super) fn terminate(&mut self, now: Now) {
        if self.phase == Phase::Closed {
            return;
        }
        if !self.known {
            return self.close(Msat::ZERO);
        }
        let owed = self.owed();
        let more = owed.saturating_sub(self.charged);
        let too_much = self.charged.saturating_sub(owed);
        let mut steps = Vec::new();
        if let Some(Held { id: reservation, .. }) = self.held {
            steps.push(if more.is_zero() {
                ("release", Purpose::Call, Movement::Void { reservation })
            } else {
                ("settle", Purpose::Call, Movement::Settle { reservation, amount: more })
            });
        }
        if !too_much.is_zero() {
            // The desk's watch says less than ours did when the last quota was settled.
            let back = Movement::Post { debit: self.terms.payee, credit: self.terms.payer, amount: too_much };
            steps.push(("back", Purpose::Correction, back));
        }
        self.ask(now, Kind::Termination, &steps, Then { held: None, charged: owed, ..self.then() });
    }

    pub(super) fn close(&mut self, unpaid: Msat) {
        self.phase = Phase::Closed;
        self.held = None;
        self.timers.clear();
        self.output.push_back(Output::Closed { charged: self.charged, unpaid });
    }

    /// Whether only the carrier's cost is refused.
    fn is_of_the_carrier(&self, refusal: Refusal) -> bool {
        let (Refusal::NoAccount { account } | Refusal::Frozen { account } | Refusal::Overflow { account }) = refusal
        else {
            return false;
        };
        let carrier = self.carrier().filter(|_| !self.carrier_refused);
        carrier.is_some_and(|carrier| account == carrier.account() || account == Carrier::expenses())
    }

    /// The end could not be settled as it should.
    pub(super) fn not_settled(&mut self, now: Now, asked: &Asked, refusal: Refusal) {
        if self.is_of_the_carrier(refusal) {
            // Its account is frozen, or nobody has opened it: that is no reason to let the customer go free. The record says so.
            self.carrier_refused = true;
            return self.ask(now, asked.kind, &asked.steps, asked.then);
        }
        let owed = self.owed().saturating_sub(self.charged);
        let then = Then { held: None, ..self.then() };
        match (asked.kind, refusal) {
            // Expired, or the ledger never made it: what is owed is taken without it.
            (Kind::Termination, Refusal::Resolved { .. } | Refusal::NoReservation { .. }) if !owed.is_zero() => {
                let movement = Movement::Post { debit: self.terms.payer, credit: self.terms.payee, amount: owed };
                let charged = self.charged.checked_add(owed).unwrap_or(Msat::MAX);
                self.ask(now, Kind::Late(owed), &[("late", Purpose::Call, movement)], Then { charged, ..then });
            }
            (Kind::Termination, Refusal::Resolved { .. } | Refusal::NoReservation { .. }) if self.held.is_some() => {
                self.held = None;
                self.terminate(now);
            }
            (Kind::Late(owed), _) => self.ask(now, Kind::Unpaid(owed), &[], then),
            // What was too much cannot be given back: the payee is frozen.
            (Kind::Termination, _) => {
                let release = self.held.map(|held| ("release", Purpose::Call, Movement::Void { reservation: held.id }));
                self.ask(now, Kind::Unpaid(Msat::ZERO), release.as_slice(), then);
            }
            // Its own note is all that it asked for.
            (_, _) => self.close(if let Kind::Unpaid(owed) = asked.kind { owed } else { Msat::ZERO }),
        }
    }
}
