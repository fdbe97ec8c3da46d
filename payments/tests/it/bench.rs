//! How many reserve and settle pairs a second are on the disk, how fast numbers are rated, and how another charging engine does.
//! `cargo xtask bench payments` runs it in the release build, one measurement after the other.

mod cgrates;
mod faults;
mod whole_calls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use payments::UnixMillis;
use payments::ledger::{AccountId, AccountKind, Ledger, Movement, Purpose, Transfer, TransferId};
use payments::tariff::bench as tariff;

use self::cgrates::Engine;
pub(crate) use self::faults::mobile;
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

/// Callers at once.
const CALLERS: [usize; 6] = [1, 8, 64, 512, 2_048, 4_096];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: cargo xtask bench payments"]
async fn durable_pairs() {
    println!(
        "| callers at once | {} |\n|---|{}",
        CALLERS.map(|n| n.to_string()).join(" | "),
        "---|".repeat(CALLERS.len())
    );
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::new(kind).await;
        let ledger = database.ledger().await;
        customers(&ledger).await;
        let mut row = format!("| {kind:?}, reserve and settle pairs/s |");
        for callers in CALLERS {
            row += &format!(" {:.0} |", pairs_per_second(&ledger, callers).await);
        }
        println!("{row}");
        assert_balanced(&ledger).await;
    }
}

#[test]
#[ignore = "measures: cargo xtask bench payments"]
fn lookups() {
    let table = tariff::deck(200_000);
    let numbers = tariff::numbers(&table, 2_000_000);
    let began = Instant::now();
    let found = tariff::look_up(&table, &numbers, UnixMillis(0));
    let each = numbers.len() as f64 / began.elapsed().as_secs_f64();
    println!(
        "| deck of {} prefixes, one thread | {each:.0} lookups/s, {found} of {} found |",
        table.lines().len(),
        numbers.len()
    );
}

/// What a peer's program is looked for in: set by `cargo xtask bench payments`.
fn program(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}

/// A charging engine: its name, its calls a second one at a time and eight at once, and what it did under each fault.
struct Column {
    name: &'static str,
    rates: [f64; 2],
    shown: [faults::Shown; 4],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: cargo xtask bench payments"]
async fn beside_cgrates() {
    let engine = program("ROOMTONE_CGRATES").zip(program("ROOMTONE_REDIS"));
    if engine.is_none() {
        println!("CGRateS or redis-server is missing: measured without them.");
    }
    let mut columns = Vec::new();
    if let Some((cgrates, redis)) = engine {
        columns.push(tokio::task::block_in_place(|| {
            let mut engine = Engine::start(&cgrates, &redis);
            let rates = [1, 8].map(|connections| whole_calls::of_cgrates(&engine, connections));
            Column { name: "CGRateS, Redis synced always", rates, shown: faults::of_cgrates(&mut engine) }
        }));
    }
    for (kind, name) in [(Kind::Sqlite, "Roomtone, SQLite"), (Kind::Postgres, "Roomtone, PostgreSQL")] {
        let rates = [whole_calls::of_roomtone(kind, 1).await, whole_calls::of_roomtone(kind, 8).await];
        columns.push(Column { name, rates, shown: faults::of_roomtone(kind).await });
    }
    let row = |head: &str, cell: &dyn Fn(&Column) -> String| {
        println!("| {head} | {} |", columns.iter().map(cell).collect::<Vec<_>>().join(" | "));
    };
    row("whole prepaid calls", &|column| column.name.to_owned());
    row("---", &|_| "---".to_owned());
    for (n, at_once) in ["one at a time", "eight at once"].into_iter().enumerate() {
        row(at_once, &|column| format!("{:.0}/s", column.rates[n]));
    }
    for (n, fault) in faults::FAULTS.into_iter().enumerate() {
        let what = |shown: &faults::Shown| format!("{}{}", if shown.is_fault { "FAULT: " } else { "" }, shown.what);
        row(fault, &|column| what(&column.shown[n]));
    }
    for column in columns.iter().filter(|column| column.name.starts_with("Roomtone")) {
        assert!(column.shown.iter().all(|shown| !shown.is_fault), "{}: {:?}", column.name, column.shown);
    }
}

/// Not ignored: what is measured must not show the faults, also when nobody measures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_the_four_faults_is_ours() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let shown = faults::of_roomtone(kind).await;
        assert!(shown.iter().all(|shown| !shown.is_fault), "{kind:?}: {shown:?}");
    }
}
