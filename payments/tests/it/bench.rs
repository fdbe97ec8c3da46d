//! How many reserve and settle pairs a second are on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use payments::ledger::{AccountId, AccountKind, Ledger, Movement, Purpose, Transfer, TransferId};

use crate::support::{Database, Kind, account, assert_balanced, msat, now};

/// Customers that the callers pay from.
const CUSTOMERS: usize = 1_000;
/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(5);

fn customer(n: usize) -> AccountId {
    AccountId::named(&["customer", &n.to_string()])
}

async fn customers(ledger: &Ledger) {
    for n in 0..CUSTOMERS {
        ledger.open_account(customer(n), AccountKind::Customer).await.unwrap();
        let movement = Movement::Post { debit: account("node"), credit: customer(n), amount: msat(1_000_000_000) };
        let id = TransferId::named(&["in", &n.to_string()]);
        ledger.apply(vec![Transfer { id, purpose: Purpose::TopUp, movement }]).await.unwrap();
    }
}

/// One caller: reserves, waits until it is on the disk, settles, waits, and again.
async fn caller(ledger: Ledger, caller: usize, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let (debit, credit) = (customer(caller % CUSTOMERS), account("revenue"));
    for n in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = |what| TransferId::named(&[what, &caller.to_string(), &n.to_string()]);
        let expires = Some(now().after(Duration::from_secs(300)));
        let hold = Movement::Reserve { debit, credit, amount: msat(10), expires };
        ledger.apply(vec![Transfer { id: id("hold"), purpose: Purpose::Call, movement: hold }]).await.unwrap();
        let pay = Movement::Settle { reservation: id("hold"), amount: msat(7) };
        ledger.apply(vec![Transfer { id: id("pay"), purpose: Purpose::Call, movement: pay }]).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn pairs_per_second(ledger: &Ledger, callers: usize) -> f64 {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let all: Vec<_> = (0..callers)
        // Ids of another round are others.
        .map(|n| tokio::spawn(caller(ledger.clone(), callers * 100_000 + n, Arc::clone(&stop), Arc::clone(&done))))
        .collect();
    tokio::time::sleep(TIME).await;
    stop.store(true, Ordering::Relaxed);
    for one in all {
        one.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// `cargo test --release -p payments --test it bench -- --ignored --nocapture --test-threads 1` shows the figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, by hand until a bench of payments runs it: cargo test --release -p payments --test it bench -- --ignored --nocapture --test-threads 1"]
async fn durable_pairs() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::new(kind).await;
        let ledger = database.ledger().await;
        customers(&ledger).await;
        for callers in [1, 8, 64, 512, 2_048] {
            let pairs = pairs_per_second(&ledger, callers).await;
            println!("{kind:?}: {callers} callers, {pairs:.0} pairs/s");
        }
        assert_balanced(&ledger).await;
    }
}
