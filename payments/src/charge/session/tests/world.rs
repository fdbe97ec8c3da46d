//! Calls on the books in virtual time, and what the cases need to make them.

use super::super::*;
use crate::cdr::{About, Direction};
use crate::ledger::{Account, AccountId, AccountKind, Applied, Book};
use crate::tariff::{DeckId, DeckKind, Increments, Rate, Terms};

pub(super) fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

pub(super) fn home() -> AccountId {
    AccountId::named(&["trunk", "home"])
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn account(name: &str) -> AccountId {
    AccountId::named(&[name])
}

/// 10 sat a minute by the second: 167 msat a second, nearly.
pub(super) fn by_the_second() -> Price {
    Price::new(Terms::per_minute(Msat::from_sat(10).unwrap(), Increments::SECONDS)).unwrap()
}

pub(super) fn terms(price: Price) -> CallTerms {
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
pub(super) fn carried(price: Price, per_minute: u64) -> CallTerms {
    let deck = DeckId { kind: DeckKind::TrunkCost, name: "home".into(), version: 1 };
    let cost = Price::new(Terms::per_minute(msat(per_minute), Increments::MINUTES)).unwrap();
    let rate = Rate { deck, prefix: "44".parse().unwrap(), price: cost };
    let mut terms = terms(price);
    terms.about.carrier = Some(Carrier { trunk: "home".into(), rate });
    terms
}

pub(super) fn ended(length: Length) -> Input {
    Input::Ended(Box::new(Ended { length, ending: Ending::default() }))
}

/// The desk says that the call is over, and leaves the length to the session.
pub(super) fn over() -> Input {
    ended(Length::UntilNow)
}

/// Sessions on the books, in virtual time. All of them pay from Ada's account.
pub(super) struct World {
    pub(super) book: Book,
    pub(super) start: Instant,
    pub(super) now: Now,
    pub(super) calls: Vec<Call>,
    /// The ledger does what it is asked and answers; else requests are lost.
    pub(super) up: bool,
    /// It does what it is asked, and the answer is lost.
    pub(super) mute: bool,
    /// The desk does not hang up when it is told to.
    pub(super) deaf: bool,
    pub(super) transfers: u32,
    pub(super) notes: BTreeMap<String, Snapshot>,
}

pub(super) struct Call {
    pub(super) session: CreditSession,
    pub(super) price: Price,
    pub(super) answered: Option<Duration>,
    pub(super) heard: Vec<(u64, Output)>,
    pub(super) over: Option<Duration>,
}

impl World {
    pub(super) fn with(balance: u64) -> Self {
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

    pub(super) fn post(&mut self, debit: &str, credit: &str, amount: u64) -> Result<Applied, Refusal> {
        self.transfers += 1;
        let id = TransferId::named(&["post", &self.transfers.to_string()]);
        let movement = Movement::Post { debit: account(debit), credit: account(credit), amount: msat(amount) };
        self.book.apply(self.now.wall, &Transfer { id, purpose: Purpose::TopUp, movement })
    }

    pub(super) fn top_up(&mut self, amount: u64) {
        self.post("node", "ada", amount).unwrap();
        for n in 0..self.calls.len() {
            self.input(n, Input::ToppedUp);
        }
    }

    pub(super) fn call(&mut self, price: Price, quota: Quota) -> usize {
        self.call_on(terms(price), quota)
    }

    pub(super) fn owed_to_the_carrier(&self) -> i128 {
        let owed = self.book.account(home()).unwrap().sums.balance();
        assert_eq!(self.book.account(Carrier::expenses()).unwrap().sums.balance(), -owed, "an expense of ours");
        owed
    }

    pub(super) fn call_on(&mut self, terms: CallTerms, quota: Quota) -> usize {
        let (name, price) = (format!("call {}", self.calls.len()), terms.rate.price);
        let session = CreditSession::begin(self.now, name, terms, quota);
        self.taken_in(session, price)
    }

    /// What the next process makes of a call that this one left behind.
    pub(super) fn recover(&mut self, name: &str) -> usize {
        let snapshot = self.notes[name].clone();
        let price = snapshot.rate.price;
        let session = CreditSession::recover(self.now, snapshot);
        self.taken_in(session, price)
    }

    pub(super) fn taken_in(&mut self, session: CreditSession, price: Price) -> usize {
        self.calls.push(Call { session, price, answered: None, heard: Vec::new(), over: None });
        let n = self.calls.len() - 1;
        self.drain(n);
        n
    }

    pub(super) fn input(&mut self, n: usize, input: Input) {
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

    pub(super) fn drain(&mut self, n: usize) {
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

    pub(super) fn pass(&mut self, time: Duration) {
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

    pub(super) fn set(&mut self, mono: Instant) {
        self.now = Now { mono, wall: self.now.wall.after(mono - self.now.mono) };
    }

    pub(super) fn expire_due(&mut self) {
        let due: Vec<TransferId> = self.book.due(self.now.wall).collect();
        for id in due {
            self.book.apply(self.now.wall, &Transfer::expiry_of(id)).unwrap();
        }
    }

    pub(super) fn sums(&self, name: &str) -> crate::ledger::Sums {
        self.book.account(account(name)).unwrap().sums
    }

    pub(super) fn balance(&self) -> u64 {
        u64::try_from(self.sums("ada").balance()).unwrap()
    }

    pub(super) fn heard(&self, n: usize) -> &[(u64, Output)] {
        &self.calls[n].heard
    }

    /// The money is all there, and no prepaid account is below zero.
    pub(super) fn audit(&self) {
        assert_eq!(self.book.accounts().map(|a| a.sums.balance()).sum::<i128>(), 0);
        let ada = self.sums("ada");
        assert!(ada.balance() >= i128::from(ada.debits_pending.msat()), "{ada:?}");
    }

    /// How long a call was, as the room saw it.
    pub(super) fn length(&self, n: usize) -> Duration {
        let call = &self.calls[n];
        call.answered.map_or(Duration::ZERO, |since| call.over.unwrap() - since)
    }
}

pub(super) fn closed(charged: Msat) -> Output {
    Output::Closed { charged, unpaid: Msat::ZERO }
}
