//! The store against the rules: whatever is asked, in whatever order and however it falls into commits, both databases answer
//! and hold what the [`Book`] in memory does.

use std::pin::Pin;
use std::task::Poll;

use payments::UnixMillis;
use payments::ledger::{
    Account, AccountId, AccountKind, Applied, Book, Ledger, LedgerError, Movement, Refusal, Transfer, TransferId,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Database, Hands, Kind, assert_balanced, id, msat, transfer};

#[derive(Debug, Clone)]
enum Step {
    Post(u8, u8, u64),
    Reserve(u8, u8, u64, bool),
    Settle(u8, u64),
    Void(u8),
    Expire(u8),
    Again(u8),
    Other(u8),
    Linked(u8, u8, u8, u64),
    Freeze(u8, bool),
    Pass(u16),
}

const KINDS: [AccountKind; 4] =
    [AccountKind::Customer, AccountKind::Customer, AccountKind::Revenue, AccountKind::Lightning];

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let amount = || prop_oneof![9 => 0u64..1500, 1 => Just(payments::Msat::MAX.msat())];
    let who = || 0u8..4;
    let step = prop_oneof![
        4 => (who(), who(), amount()).prop_map(|(a, b, n)| Step::Post(a, b, n)),
        4 => (who(), who(), amount(), any::<bool>()).prop_map(|(a, b, n, e)| Step::Reserve(a, b, n, e)),
        3 => (any::<u8>(), amount()).prop_map(|(r, n)| Step::Settle(r, n)),
        1 => any::<u8>().prop_map(Step::Void),
        2 => any::<u8>().prop_map(Step::Expire),
        2 => any::<u8>().prop_map(Step::Again),
        1 => any::<u8>().prop_map(Step::Other),
        2 => (who(), who(), who(), amount()).prop_map(|(a, b, c, n)| Step::Linked(a, b, c, n)),
        1 => (0u8..2, any::<bool>()).prop_map(|(a, f)| Step::Freeze(a, f)),
        1 => (0u16..4000).prop_map(Step::Pass),
    ];
    // Each inner list is asked at once.
    prop::collection::vec(prop::collection::vec(step, 1..9), 1..8)
}

/// Waits for all; they are begun in their order.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<(Pin<Box<_>>, Option<T>)> = futures.map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in waiting.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                *done = Some(answer);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

/// The book, and what was asked of it.
struct Model {
    book: Book,
    accounts: Vec<AccountId>,
    asked: Vec<Transfer>,
    name: String,
    now: u64,
}

impl Model {
    fn pick(&self, i: u8) -> Option<Transfer> {
        self.asked.get(usize::from(i).checked_rem(self.asked.len())?).copied()
    }

    fn held(&self, i: u8) -> TransferId {
        let held: Vec<_> = self.asked.iter().filter(|t| matches!(t.movement, Movement::Reserve { .. })).collect();
        let picked = usize::from(i).checked_rem(held.len()).and_then(|i| held.get(i));
        picked.map_or(id("none"), |t| t.id)
    }

    fn list(&self, n: usize, step: &Step) -> Vec<Transfer> {
        let at = |i: &u8| self.accounts[usize::from(*i)];
        let name = format!("{} step {n}", self.name);
        let movement = match step {
            Step::Post(a, b, n) => Movement::Post { debit: at(a), credit: at(b), amount: msat(*n) },
            Step::Reserve(a, b, n, expires) => {
                let expires = expires.then_some(UnixMillis(self.now + 2_000));
                Movement::Reserve { debit: at(a), credit: at(b), amount: msat(*n), expires }
            }
            Step::Settle(r, n) => Movement::Settle { reservation: self.held(*r), amount: msat(*n) },
            Step::Void(r) => Movement::Void { reservation: self.held(*r) },
            Step::Expire(r) => Movement::Expire { reservation: self.held(*r) },
            Step::Again(i) => return self.pick(*i).into_iter().collect(),
            Step::Other(i) => {
                let body = Movement::Post { debit: at(&2), credit: at(&0), amount: msat(77) };
                return self.pick(*i).map(|t| Transfer { movement: body, ..t }).into_iter().collect();
            }
            Step::Linked(a, b, c, n) => {
                let first = Movement::Post { debit: at(a), credit: at(b), amount: msat(*n) };
                let then = Movement::Reserve { debit: at(b), credit: at(c), amount: msat(*n), expires: None };
                return vec![transfer(&format!("{name} a"), first), transfer(&format!("{name} b"), then)];
            }
            Step::Freeze(..) | Step::Pass(_) => return Vec::new(),
        };
        vec![transfer(&name, movement)]
    }
}

type Told = Result<Applied, (usize, Refusal)>;

fn told(answer: Result<Applied, LedgerError>) -> Told {
    answer.map_err(|error| match error {
        LedgerError::Refused { place, refusal } => (place, refusal),
        other => panic!("{other}"),
    })
}

async fn agrees(ledger: &Ledger, hands: &Hands, case: u32, groups: Vec<Vec<Step>>) {
    let accounts: Vec<AccountId> = (0..4).map(|n| AccountId::named(&[&format!("case {case} account {n}")])).collect();
    let mut model =
        Model { book: Book::default(), accounts, asked: Vec::new(), name: format!("case {case}"), now: 1_000 };
    for (account, kind) in model.accounts.clone().into_iter().zip(KINDS) {
        ledger.open_account(account, kind).await.unwrap();
        model.book.open(Account::new(account, kind));
    }
    let mut n = 0;
    for group in groups {
        let mut lists = Vec::new();
        for step in &group {
            match step {
                Step::Freeze(who, frozen) => {
                    model.book.freeze(model.accounts[usize::from(*who)], *frozen);
                    ledger.freeze(model.accounts[usize::from(*who)], *frozen).await.unwrap();
                }
                Step::Pass(ms) => model.now += u64::from(*ms),
                step => {
                    n += 1;
                    let list = model.list(n, step);
                    model.asked.extend(
                        list.iter().filter(|t| !matches!(step, Step::Other(_)) || model.book.record(t.id).is_none()),
                    );
                    lists.push(list);
                }
            }
        }
        hands.set(model.now);
        let expected: Vec<Told> = lists.iter().map(|list| model.book.apply_all(UnixMillis(model.now), list)).collect();
        let answers: Vec<Told> =
            all(lists.iter().map(|list| ledger.apply(list.clone()))).await.into_iter().map(told).collect();
        assert_eq!(answers, expected, "{lists:?}");
    }
    for account in &model.accounts {
        assert_eq!(ledger.account(*account).await.unwrap().as_ref(), model.book.account(*account));
        let last = ledger.sums_at(*account, UnixMillis(u64::MAX)).await.unwrap();
        assert_eq!(last, model.book.account(*account).unwrap().sums);
    }
    for asked in &model.asked {
        assert_eq!(ledger.record(asked.id).await.unwrap().as_ref(), model.book.record(asked.id));
        assert_eq!(ledger.reservation(asked.id).await.unwrap().as_ref(), model.book.reservation(asked.id));
    }
}

fn store_and_book_agree(kind: Kind, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let hands = Hands::at(0);
    let (database, ledger) = runtime.block_on(async {
        let database = Database::new(kind).await;
        let ledger = database.ledger_at(hands.clock()).await;
        (database, ledger)
    });
    let case = std::cell::Cell::new(0);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let done = TestRunner::new(config).run(&steps(), |groups| {
        case.set(case.get() + 1);
        runtime.block_on(agrees(&ledger, &hands, case.get(), groups));
        Ok(())
    });
    if let Err(error) = done {
        panic!("{error}");
    }
    runtime.block_on(assert_balanced(&ledger));
    drop(database);
}

#[test]
fn sqlite_agrees_with_the_book_on_any_interleaving() {
    store_and_book_agree(Kind::Sqlite, 64);
}

#[test]
fn postgres_agrees_with_the_book_on_any_interleaving() {
    store_and_book_agree(Kind::Postgres, 64);
}
