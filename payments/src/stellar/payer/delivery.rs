//! One order on its way.

use std::time::Duration;

use crate::UnixMillis;
use crate::stellar::rpc::{AccountState, FeeStats, Found, Ranges, SendStatus};
use crate::stellar::{
    Address, Asset, Draft, DraftError, FeeRate, Memo, Network, PathPay, Pay, Signed, SigningKey, Stroops, TimeBounds,
    TxHash, fee_bump,
};

/// Names an order: who asks for the same payment again names the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub [u8; 16]);

/// Something to be paid once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its name.
    pub id: OrderId,
    /// To whom, in what, how much.
    pub pay: Pay,
    /// By which the receiver recognises it; `None` only for a numbered part of an account.
    pub memo: Option<u64>,
    /// What is sent, where it is not what arrives.
    pub via: Option<Via>,
}

/// What is sent instead, and changed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// What is sent.
    pub asset: Asset,
    /// At most so much.
    pub max: Stroops,
    /// Through these.
    pub path: Vec<Asset>,
}

/// How long is waited, and what is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A transaction may be applied for so long after it was signed.
    pub window: Duration,
    /// How often the outcome is asked for.
    pub poll: Duration,
    /// How often it is asked for where the server's memory is too short to tell.
    pub poll_uncertain: Duration,
    /// After so long without an outcome more is offered.
    pub bump_after: Duration,
    /// Never more than this for an operation.
    pub dearest: FeeRate,
    /// So many transactions are signed one after the other before people are asked.
    pub attempts: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(180),
            poll: Duration::from_secs(3),
            poll_uncertain: Duration::from_secs(60),
            bump_after: Duration::from_secs(40),
            // A tenth of a lumen an operation.
            dearest: FeeRate::new(1_000_000).unwrap_or(FeeRate::LEAST),
            attempts: 5,
        }
    }
}

/// A transaction that was signed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From one up.
    pub number: u32,
    /// The sequence number in it.
    pub sequence: i64,
    /// The last second at which it can be applied.
    pub max_time: u64,
    /// It did not exist at this ledger.
    pub since: u32,
    /// What it offers.
    pub rate: FeeRate,
    /// Its bytes.
    pub signed: Signed,
    /// When it was signed.
    pub at: UnixMillis,
    /// Fee bumps around it, each offering more.
    pub bumps: Vec<Bump>,
}

/// A fee bump that was signed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bump {
    /// What it offers.
    pub rate: FeeRate,
    /// Its bytes.
    pub signed: Signed,
    /// When it was signed.
    pub at: UnixMillis,
}

impl Attempt {
    /// The newest bytes: what is sent.
    fn newest(&self) -> (&Signed, FeeRate, UnixMillis) {
        self.bumps.last().map_or((&self.signed, self.rate, self.at), |bump| (&bump.signed, bump.rate, bump.at))
    }

    /// All names under which it may be found.
    fn hashes(&self) -> impl Iterator<Item = TxHash> + '_ {
        std::iter::once(self.signed.hash).chain(self.bumps.iter().map(|bump| bump.signed.hash))
    }
}

/// How an order ended. Nothing changes it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Applied, in this transaction and ledger.
    Paid {
        /// Under which name.
        hash: TxHash,
        /// In which ledger.
        ledger: u32,
    },
    /// In a ledger, but its operation was not done. The fee is gone, nothing else.
    Failed {
        /// Under which name.
        hash: TxHash,
        /// In which ledger.
        ledger: u32,
        /// Why.
        why: String,
    },
    /// Nothing that was signed for it was or will be applied.
    NotApplied {
        /// Why it was given up.
        why: String,
    },
}

/// How far an order is, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing that could still be applied is signed. So many attempts have gone by.
    Wanted {
        /// Attempts before.
        attempts: u32,
    },
    /// A transaction is signed; what became of it is not known.
    Signed(Attempt),
    /// Over.
    Ended(Outcome),
}

/// What is to be written before anything else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A transaction was signed.
    Attempt(Attempt),
    /// A fee bump was signed for it.
    Bump(Bump),
    /// The attempt of this number can never be applied.
    Dead(u32),
    /// It is over.
    End(Outcome),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this moment.
    Wait(UnixMillis),
    /// Look up both accounts and the fees, then [`Delivery::looked`].
    Look,
    /// Write this, then [`Delivery::stored`].
    Store(Change),
    /// Send these bytes, then [`Delivery::told`].
    Send(Vec<u8>),
    /// Ask what became of this, then [`Delivery::told`].
    Ask(TxHash),
    /// Over.
    Done,
}

/// What was seen before signing.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Our account; `None`: there is none.
    pub source: Option<AccountState>,
    /// The receiver's; `None`: there is none.
    pub destination: Option<AccountState>,
    /// What others pay; `None`: not known, which stops nothing.
    pub fees: Option<FeeStats>,
}

/// What a server said, or that it said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// No answer, or none that is understood. Says nothing.
    Nothing,
    /// To sending.
    Sent(SendStatus),
    /// To asking.
    Found(TxHash, Found),
}

/// Whose money, on which network.
#[derive(Debug)]
pub struct Signer {
    /// The network.
    pub network: Network,
    /// The key.
    pub key: SigningKey,
}

impl Signer {
    /// Whose money.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.key.address()
    }
}

/// What is in the air and not on disk: lost with the process, and nothing is lost with it.
#[derive(Debug, Clone, Default)]
struct Air {
    /// Waits to be written.
    change: Option<Change>,
    /// Not before this.
    not_before: UnixMillis,
    /// Hashes that are still to be asked for in this round.
    to_ask: Vec<TxHash>,
    /// Whether each of this round's answers so far says: never.
    all_dead: bool,
    /// Whether one of this round's asked hashes got no answer.
    unanswered: bool,
    /// The newest bytes are to be sent.
    to_send: bool,
    /// The server's memory does not reach back to the attempt.
    uncertain: bool,
}

/// The state machine of one order: ask [`Delivery::next`] what to do, do it, tell it what came of it.
#[derive(Debug, Clone)]
pub struct Delivery {
    order: Order,
    policy: Policy,
    state: State,
    air: Air,
}

impl Delivery {
    /// An order as it is stored, new or after a restart.
    #[must_use]
    pub fn new(order: Order, state: State, policy: Policy) -> Self {
        let mut delivery = Self { order, policy, state, air: Air::default() };
        // Whatever happened before the restart: first what became of it, then the same bytes again.
        delivery.begin_round();
        delivery
    }

    /// The order.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Whether people must look: the time is over, and no server that was asked can say what became of it. Nothing is signed
    /// until one can.
    #[must_use]
    pub const fn is_uncertain(&self) -> bool {
        self.air.uncertain
    }

    /// What to do now.
    #[must_use]
    pub fn next(&self, now: UnixMillis) -> Step {
        if let Some(change) = &self.air.change {
            return Step::Store(change.clone());
        }
        match &self.state {
            State::Ended(_) => Step::Done,
            _ if now < self.air.not_before => Step::Wait(self.air.not_before),
            State::Wanted { .. } => Step::Look,
            State::Signed(attempt) => {
                if self.air.to_send {
                    return Step::Send(attempt.newest().0.envelope.clone());
                }
                self.air.to_ask.first().map_or(Step::Wait(self.air.not_before), |hash| Step::Ask(*hash))
            }
        }
    }

    /// Accounts and fees were looked up; `None`: the server did not answer. Signs, but for what is known to be refused.
    pub fn looked(&mut self, now: UnixMillis, seen: Option<Seen>, signer: &Signer) {
        let State::Wanted { attempts } = self.state else { return };
        let Some(seen) = seen else { return self.wait(now, self.policy.poll) };
        let Some(source) = seen.source else {
            let why = format!("the paying account {} does not exist", signer.address());
            return self.give_up(why);
        };
        let Some(destination) = seen.destination else {
            return self.give_up(format!("the account {} does not exist", self.order.pay.destination.account));
        };
        if destination.memo_required && self.order.memo.is_none() && self.order.pay.destination.part.is_none() {
            return self.give_up(format!("{} asks for a memo and there is none", self.order.pay.destination));
        }
        match self.sign(now, attempts + 1, source, seen.fees, signer) {
            Ok(attempt) => self.air.change = Some(Change::Attempt(attempt)),
            Err(error) => self.give_up(error.to_string()),
        }
    }

    fn sign(
        &self,
        now: UnixMillis,
        number: u32,
        source: AccountState,
        fees: Option<FeeStats>,
        signer: &Signer,
    ) -> Result<Attempt, DraftError> {
        let sequence = source.sequence.checked_add(1).ok_or(DraftError::Sequence(i64::MAX))?;
        let max_time = now.after(self.policy.window).0 / 1_000;
        let wanted = fees.and_then(|fees| FeeRate::new(fees.p90)).unwrap_or(FeeRate::LEAST);
        let rate = wanted.min(self.policy.dearest);
        let mut draft = Draft::new(signer.address(), sequence, rate, TimeBounds { min: 0, max: max_time });
        if let Some(memo) = self.order.memo {
            draft = draft.memo(Memo::Id(memo));
        }
        let pay = self.order.pay.clone();
        let draft = match self.order.via.clone() {
            None => draft.pay(pay),
            Some(Via { asset, max, path }) => draft.path_pay(PathPay { pay, send_asset: asset, send_max: max, path }),
        };
        let signed = draft.sign(&signer.network, &signer.key)?;
        Ok(Attempt { number, sequence, max_time, since: source.ledger, rate, signed, at: now, bumps: Vec::new() })
    }

    /// The change was written: from here on it is true.
    pub fn stored(&mut self) {
        let Some(change) = self.air.change.take() else { return };
        match change {
            Change::Attempt(attempt) => {
                self.state = State::Signed(attempt);
                self.air = Air { to_send: true, ..Air::default() };
            }
            Change::Bump(bump) => {
                if let State::Signed(attempt) = &mut self.state {
                    attempt.bumps.push(bump);
                }
                self.air.to_send = true;
            }
            Change::Dead(number) => {
                self.state = State::Wanted { attempts: number };
                self.air = Air::default();
            }
            Change::End(outcome) => {
                self.state = State::Ended(outcome);
                self.air = Air::default();
            }
        }
    }

    /// A server answered, or did not.
    pub fn told(&mut self, now: UnixMillis, told: Told, signer: &Signer) {
        if !matches!(self.state, State::Signed(_)) || self.air.change.is_some() {
            return;
        }
        if self.air.to_send {
            // Whatever is said to sending, and if nothing is: the ledger alone knows. ERROR may mean that it was applied.
            self.air.to_send = false;
            self.begin_round();
            if !matches!(told, Told::Sent(SendStatus::Error(_))) {
                self.wait(now, self.policy.poll);
            }
            return;
        }
        match told {
            Told::Found(hash, Found::Success { ledger }) if self.asks_for(hash) => {
                self.air.change = Some(Change::End(Outcome::Paid { hash, ledger }));
            }
            Told::Found(hash, Found::Failed { ledger, why }) if self.asks_for(hash) => {
                self.air.change = Some(Change::End(Outcome::Failed { hash, ledger, why }));
            }
            Told::Found(hash, Found::NotFound(ranges)) if self.asks_for(hash) => self.not_found(now, ranges, signer),
            _ => {
                self.air.unanswered = true;
                self.air.all_dead = false;
                self.asked(now, signer);
            }
        }
    }

    fn asks_for(&self, hash: TxHash) -> bool {
        self.air.to_ask.first() == Some(&hash)
    }

    fn not_found(&mut self, now: UnixMillis, ranges: Ranges, signer: &Signer) {
        let State::Signed(attempt) = &self.state else { return };
        let late = ranges.latest_close > attempt.max_time;
        // It can only be in a ledger behind `since`; the server must know all of them.
        let covered = ranges.oldest <= attempt.since.saturating_add(1) && ranges.latest > attempt.since;
        self.air.all_dead &= late && covered;
        self.air.uncertain = late && !covered;
        self.asked(now, signer);
    }

    /// One hash of the round was asked for.
    fn asked(&mut self, now: UnixMillis, signer: &Signer) {
        self.air.to_ask.remove(0);
        if self.air.to_ask.is_empty() {
            self.end_round(now, signer);
        }
    }

    fn begin_round(&mut self) {
        let State::Signed(attempt) = &self.state else { return };
        self.air.to_ask = attempt.hashes().collect();
        self.air.all_dead = true;
        self.air.unanswered = false;
    }

    /// None of the hashes is in a ledger that was seen.
    fn end_round(&mut self, now: UnixMillis, signer: &Signer) {
        let State::Signed(attempt) = &self.state else { return };
        if self.air.all_dead {
            let number = attempt.number;
            self.air.change = Some(if number >= self.policy.attempts {
                let why = format!("{number} transactions were signed one after the other and none was taken in time");
                Change::End(Outcome::NotApplied { why })
            } else {
                Change::Dead(number)
            });
            return;
        }
        if self.air.uncertain {
            self.begin_round();
            return self.wait(now, self.policy.poll_uncertain);
        }
        // Where the server is silent, more money would not help.
        let bump = if self.air.unanswered { None } else { self.bump(now, attempt, signer) };
        if let Some(bump) = bump {
            self.air.change = Some(Change::Bump(bump));
            return;
        }
        // The same bytes: applied once they cannot be applied again.
        self.air.to_send = now.0 / 1_000 <= attempt.max_time;
        if !self.air.to_send {
            self.begin_round();
        }
        self.wait(now, self.policy.poll);
    }

    fn bump(&self, now: UnixMillis, attempt: &Attempt, signer: &Signer) -> Option<Bump> {
        let (_, rate, at) = attempt.newest();
        let time_left = now.0 / 1_000 < attempt.max_time;
        if now < at.after(self.policy.bump_after) || !time_left {
            return None;
        }
        // A node replaces what is in its queue for ten times the fee, not for less.
        let rate = FeeRate::new(rate.get().checked_mul(10)?).filter(|rate| *rate <= self.policy.dearest)?;
        let signed = fee_bump(&attempt.signed, rate, &signer.network, &signer.key).ok()?;
        Some(Bump { rate, signed, at: now })
    }

    fn give_up(&mut self, why: String) {
        self.air.change = Some(Change::End(Outcome::NotApplied { why }));
    }

    fn wait(&mut self, now: UnixMillis, so_long: Duration) {
        self.air.not_before = now.after(so_long);
    }
}

#[cfg(test)]
mod tests;
