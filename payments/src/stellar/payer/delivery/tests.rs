//! One order against a network in memory that loses answers, lags, forgets and asks for more; and against kills.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use stellar_xdr as xdr;
use zeroize::Zeroizing;

use super::*;
use crate::stellar::{Destination, read_envelope};

/// A network of one paying account: a queue, ledgers, and a memory of so many of them.
struct Chain {
    sequence: i64,
    ledger: u32,
    close: u64,
    /// Oldest ledger that is remembered, and what closed before is forgotten.
    memory: u32,
    /// What is asked of an operation now.
    asked_fee: u32,
    queue: HashMap<i64, xdr::TransactionEnvelope>,
    /// Under inner and outer hash: the ledger, and whether its operation was done.
    applied: HashMap<TxHash, (u32, bool)>,
    /// Inner hashes of payments done.
    paid: HashSet<TxHash>,
    refuses: bool,
}

fn signer() -> Signer {
    Signer { network: Network::new("test"), key: SigningKey::from_seed(&Zeroizing::new([1; 32])) }
}

fn order(memo: Option<u64>) -> Order {
    let destination = Destination::account(SigningKey::from_seed(&Zeroizing::new([2; 32])).address());
    let amount = "12.5".parse().unwrap();
    Order { id: OrderId([1; 16]), pay: Pay { destination, asset: Asset::Native, amount }, memo, via: None }
}

/// Inner transaction, stroops an operation, names.
fn opened(envelope: &xdr::TransactionEnvelope) -> (xdr::Transaction, u32, Vec<TxHash>) {
    let id = signer().network.id();
    let outer = TxHash::from_bytes(envelope.hash(id).unwrap());
    match envelope {
        xdr::TransactionEnvelope::Tx(tx) => (tx.tx.clone(), tx.tx.fee, vec![outer]),
        xdr::TransactionEnvelope::TxFeeBump(bump) => {
            let xdr::FeeBumpTransactionInnerTx::Tx(inner) = &bump.tx.inner_tx;
            let name = TxHash::from_bytes(inner.tx.hash(id).unwrap());
            (inner.tx.clone(), u32::try_from(bump.tx.fee / 2).unwrap(), vec![outer, name])
        }
        xdr::TransactionEnvelope::TxV0(_) => panic!("an old form"),
    }
}

fn max_time(tx: &xdr::Transaction) -> u64 {
    let xdr::Preconditions::Time(bounds) = &tx.cond else { panic!("no time bounds") };
    bounds.max_time.0
}

impl Chain {
    fn new() -> Self {
        Self {
            sequence: 41,
            ledger: 100,
            close: 1_800_000_000,
            memory: 1,
            asked_fee: 100,
            queue: HashMap::new(),
            applied: HashMap::new(),
            paid: HashSet::new(),
            refuses: false,
        }
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.close * 1_000)
    }

    fn state(&self) -> AccountState {
        AccountState { sequence: self.sequence, memo_required: false, ledger: self.ledger }
    }

    fn seen(&self) -> Seen {
        Seen { source: Some(self.state()), destination: Some(self.state()), fees: None }
    }

    fn send(&mut self, bytes: &[u8]) -> SendStatus {
        let envelope = read_envelope(bytes).unwrap();
        let (tx, fee, _) = opened(&envelope);
        let sequence = tx.seq_num.0;
        if max_time(&tx) < self.close {
            return SendStatus::Error(Some(xdr::TransactionResultCode::TxTooLate));
        }
        if sequence != self.sequence + 1 {
            return SendStatus::Error(Some(xdr::TransactionResultCode::TxBadSeq));
        }
        match self.queue.get(&sequence) {
            Some(there) if *there == envelope => SendStatus::Duplicate,
            Some(there) if opened(there).1.saturating_mul(10) > fee => SendStatus::TryAgainLater,
            _ => {
                self.queue.insert(sequence, envelope);
                SendStatus::Pending
            }
        }
    }

    fn close(&mut self, seconds: u64) {
        self.ledger += 1;
        self.close += seconds;
        let Some(envelope) = self.queue.get(&(self.sequence + 1)) else { return };
        let (tx, fee, names) = opened(envelope);
        if max_time(&tx) < self.close {
            self.queue.clear();
        } else if fee >= self.asked_fee {
            self.sequence += 1;
            self.queue.clear();
            for name in &names {
                self.applied.insert(*name, (self.ledger, !self.refuses));
            }
            if !self.refuses {
                assert!(self.paid.insert(*names.last().unwrap()), "the network itself applied it twice");
            }
        }
    }

    fn ranges(&self) -> Ranges {
        let oldest = self.memory.min(self.ledger);
        Ranges { latest: self.ledger, latest_close: self.close, oldest, oldest_close: 0 }
    }

    fn ask(&self, hash: TxHash) -> Found {
        match self.applied.get(&hash) {
            Some((ledger, true)) if *ledger >= self.memory => Found::Success { ledger: *ledger },
            Some((ledger, false)) if *ledger >= self.memory => {
                Found::Failed { ledger: *ledger, why: "TxFailed: Payment NoTrust".into() }
            }
            _ => Found::NotFound(self.ranges()),
        }
    }
}

/// Does what the machine says, once, against the chain.
fn do_it(delivery: &mut Delivery, chain: &mut Chain, answers: bool) -> Step {
    let now = chain.now();
    let step = delivery.next(now);
    match &step {
        Step::Wait(_) | Step::Done => {}
        Step::Look => delivery.looked(now, answers.then(|| chain.seen()), &signer()),
        Step::Store(_) => delivery.stored(),
        Step::Send(bytes) => {
            let said = chain.send(bytes);
            delivery.told(now, if answers { Told::Sent(said) } else { Told::Nothing }, &signer());
        }
        Step::Ask(hash) => {
            let found = chain.ask(*hash);
            delivery.told(now, if answers { Told::Found(*hash, found) } else { Told::Nothing }, &signer());
        }
    }
    step
}

/// Runs until it is over, a ledger every five seconds, at most so many.
fn run(delivery: &mut Delivery, chain: &mut Chain, ledgers: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..ledgers {
        loop {
            match do_it(delivery, chain, true) {
                Step::Wait(_) => break,
                Step::Done => return steps,
                step => steps.push(step),
            }
        }
        chain.close(5);
    }
    steps
}

fn wanted(policy: Policy) -> Delivery {
    Delivery::new(order(Some(7)), State::Wanted { attempts: 0 }, policy)
}

fn outcome(delivery: &Delivery) -> &Outcome {
    let State::Ended(outcome) = delivery.state() else { panic!("not over: {:?}", delivery.state()) };
    outcome
}

#[test]
fn an_order_is_stored_before_it_is_sent_and_over_when_a_ledger_says_so() {
    let (mut chain, mut delivery) = (Chain::new(), wanted(Policy::default()));
    let steps = run(&mut delivery, &mut chain, 5);
    let Step::Store(Change::Attempt(attempt)) = &steps[1] else { panic!("{steps:?}") };
    assert_eq!(steps[0], Step::Look);
    assert_eq!(steps[2], Step::Send(attempt.signed.envelope.clone()), "what was stored is what is sent");
    assert_eq!(*outcome(&delivery), Outcome::Paid { hash: attempt.signed.hash, ledger: 101 });
    assert_eq!(chain.paid.len(), 1);
}

#[test]
fn no_answer_to_sending_is_taken_for_an_outcome() {
    for said in [
        Told::Nothing,
        Told::Sent(SendStatus::Error(Some(xdr::TransactionResultCode::TxBadSeq))),
        Told::Sent(SendStatus::Error(None)),
        Told::Sent(SendStatus::TryAgainLater),
        Told::Sent(SendStatus::Duplicate),
        Told::Sent(SendStatus::Pending),
    ] {
        let (mut chain, mut delivery) = (Chain::new(), wanted(Policy::default()));
        while !matches!(delivery.next(chain.now()), Step::Send(_)) {
            do_it(&mut delivery, &mut chain, true);
        }
        let Step::Send(bytes) = delivery.next(chain.now()) else { unreachable!() };
        // It was taken and applied; we were told something else.
        chain.send(&bytes);
        delivery.told(chain.now(), said.clone(), &signer());
        chain.close(5);
        let steps = run(&mut delivery, &mut chain, 50);
        assert!(matches!(outcome(&delivery), Outcome::Paid { .. }), "{said:?}");
        assert_eq!(chain.paid.len(), 1, "{said:?}");
        assert!(!steps.iter().any(|step| matches!(step, Step::Store(Change::Attempt(_)))), "{said:?}: signed again");
    }
}

#[test]
fn the_same_bytes_are_sent_again_and_nothing_else_is_signed_while_they_can_be_applied() {
    let (mut chain, mut delivery) = (Chain::new(), wanted(Policy { dearest: FeeRate::LEAST, ..Policy::default() }));
    chain.asked_fee = 101;
    let steps = run(&mut delivery, &mut chain, 30);
    let sent: HashSet<&Vec<u8>> =
        steps.iter().filter_map(|step| if let Step::Send(bytes) = step { Some(bytes) } else { None }).collect();
    assert_eq!(sent.len(), 1);
    assert!(steps.iter().filter(|step| matches!(step, Step::Send(_))).count() > 2);
    let attempts = steps.iter().filter(|step| matches!(step, Step::Store(Change::Attempt(_)))).count();
    assert_eq!(attempts, 1);
}

#[test]
fn another_is_signed_only_when_the_last_can_never_be_applied() {
    let (mut chain, mut delivery) = (Chain::new(), wanted(Policy { dearest: FeeRate::LEAST, ..Policy::default() }));
    chain.asked_fee = 101;
    let steps = run(&mut delivery, &mut chain, 45);
    let dead = steps.iter().position(|step| *step == Step::Store(Change::Dead(1))).unwrap();
    let second = steps.iter().rposition(|step| matches!(step, Step::Store(Change::Attempt(_)))).unwrap();
    assert!(dead < second);
    chain.asked_fee = 100;
    run(&mut delivery, &mut chain, 45);
    assert!(matches!(outcome(&delivery), Outcome::Paid { .. }));
    assert_eq!(chain.paid.len(), 1);
}

#[test]
fn a_server_that_forgot_cannot_make_us_sign_again() {
    let (mut chain, mut delivery) = (Chain::new(), wanted(Policy::default()));
    while !matches!(delivery.next(chain.now()), Step::Ask(_)) {
        do_it(&mut delivery, &mut chain, true);
        if let Step::Wait(until) = delivery.next(chain.now()) {
            chain.close(5);
            assert!(until <= chain.now());
        }
    }
    // Applied, and then so long ago that the server's ledgers begin behind it.
    chain.close(300);
    chain.memory = chain.ledger + 1;
    chain.close(5);
    chain.close(5);
    let steps = run(&mut delivery, &mut chain, 200);
    assert!(delivery.is_uncertain() && matches!(delivery.state(), State::Signed(_)));
    assert!(steps.iter().all(|step| matches!(step, Step::Ask(_))), "{steps:?}");
    // A server that remembers ends it.
    chain.memory = 1;
    run(&mut delivery, &mut chain, 30);
    assert!(matches!(outcome(&delivery), Outcome::Paid { .. }));
    assert_eq!(chain.paid.len(), 1);
}

#[test]
fn what_is_stuck_is_offered_more_for_and_stays_one_payment() {
    let (mut chain, mut delivery) = (Chain::new(), wanted(Policy::default()));
    chain.asked_fee = 5_000;
    let steps = run(&mut delivery, &mut chain, 40);
    let bumps: Vec<u32> = steps
        .iter()
        .filter_map(|step| if let Step::Store(Change::Bump(bump)) = step { Some(bump.rate.get()) } else { None })
        .collect();
    assert_eq!(bumps, [1_000, 10_000]);
    assert!(matches!(outcome(&delivery), Outcome::Paid { .. }));
    assert_eq!(chain.paid.len(), 1);
}

#[test]
fn a_payment_that_a_ledger_refused_is_over_and_not_tried_again() {
    let (mut chain, mut delivery) = (Chain::new(), wanted(Policy::default()));
    chain.refuses = true;
    run(&mut delivery, &mut chain, 10);
    let Outcome::Failed { why, .. } = outcome(&delivery) else { panic!() };
    assert_eq!(why, "TxFailed: Payment NoTrust");
    assert_eq!((chain.paid.len(), chain.sequence), (0, 42));
}

#[test]
fn nothing_is_signed_for_what_would_be_lost() {
    let asks = |memo: Option<u64>, source, destination| {
        let mut delivery = Delivery::new(order(memo), State::Wanted { attempts: 0 }, Policy::default());
        delivery.looked(UnixMillis(1), Some(Seen { source, destination, fees: None }), &signer());
        match delivery.next(UnixMillis(1)) {
            Step::Store(Change::End(Outcome::NotApplied { why })) => why,
            other => format!("{other:?}"),
        }
    };
    let there = Some(Chain::new().state());
    let wants_memo = Some(AccountState { memo_required: true, ..Chain::new().state() });
    assert!(asks(None, there, wants_memo).contains("asks for a memo"), "SEP-29");
    assert!(asks(Some(1), there, None).contains("does not exist"));
    assert!(asks(Some(1), None, there).contains("does not exist"));
    assert!(asks(Some(1), there, wants_memo).contains("Attempt"), "with a memo it is signed");
}

#[derive(Debug, Clone, Copy)]
enum Happens {
    Step,
    StepWithoutAnswer,
    Kill,
    Ledger(u64),
    Surge(u32),
    Forget,
    Remember,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => Just(Happens::Step),
        5 => Just(Happens::StepWithoutAnswer),
        3 => Just(Happens::Kill),
        6 => (1_u64..90).prop_map(Happens::Ledger),
        1 => prop_oneof![Just(100_u32), Just(900), Just(50_000)].prop_map(Happens::Surge),
        1 => Just(Happens::Forget),
        1 => Just(Happens::Remember),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_is_lost_forgotten_or_killed_it_is_paid_at_most_once(story in proptest::collection::vec(happens(), 0..400)) {
        let (mut chain, mut delivery) = (Chain::new(), wanted(Policy { attempts: 3, ..Policy::default() }));
        // What is on disk: all that a kill leaves.
        let mut disk = delivery.state().clone();
        for what in story {
            match what {
                Happens::Step | Happens::StepWithoutAnswer => {
                    let answers = matches!(what, Happens::Step);
                    do_it(&mut delivery, &mut chain, answers);
                    disk = delivery.state().clone();
                }
                Happens::Kill => delivery = Delivery::new(order(Some(7)), disk.clone(), Policy { attempts: 3, ..Policy::default() }),
                Happens::Ledger(seconds) => chain.close(seconds),
                Happens::Surge(fee) => chain.asked_fee = fee,
                Happens::Forget => chain.memory = chain.ledger,
                Happens::Remember => chain.memory = 1,
            }
            prop_assert!(chain.paid.len() <= 1);
            match delivery.state() {
                State::Ended(Outcome::Paid { .. }) => prop_assert_eq!(chain.paid.len(), 1),
                State::Ended(_) => prop_assert_eq!(chain.paid.len(), 0, "given up, and yet paid"),
                _ => {}
            }
        }
        // Peace: it comes to an end, and the end is true.
        chain.memory = 1;
        chain.asked_fee = 100;
        run(&mut delivery, &mut chain, 400);
        let paid = matches!(outcome(&delivery), Outcome::Paid { .. });
        prop_assert_eq!(usize::from(paid), chain.paid.len());
    }
}
