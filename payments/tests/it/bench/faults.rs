//! The same four faults in both: requests that come twice, a kill in mid-call, rounding, and more callers than money.
//!
//! One unit of money of CGRateS stands for a million millisatoshi. A call to a mobile costs 0.05 and 0.1 a minute in steps of 6 s:
//! 0.07 for 7 s, 0.1 for 30 s. One to a fixed line costs 0.01 a minute, 60/1: 0.019833… for 119 s.

use std::time::{Duration, Instant};

use payments::cdr::Ending;
use payments::charge::{Answer, CallTerms, CreditSession, Ended, Input, Length, Now, Output, Quota, Service};
use payments::ledger::{Applied, Ledger};
use payments::tariff::{Price, Terms};

use super::cgrates::{Connection, Engine, event};
use crate::support::{Database, Kind, account, assert_balanced, available, msat, now, top_up};
use crate::{charge, child};

const UNIT: u64 = 1_000_000;
/// Callers at once on money for [`AFFORDED`].
const CALLERS: u64 = 200;
const AFFORDED: u64 = 20;

/// What one system did under one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) what: String,
    pub(crate) is_fault: bool,
}

fn shown(what: String, is_fault: bool) -> Shown {
    Shown { what, is_fault }
}

/// What is done to each.
pub(crate) const FAULTS: [&str; 4] = [
    "replay: every request of a call of 0.07 twice",
    "crash: kill -9 in mid-call with 0.1 held",
    "rounding: 119 s, exactly 0.01983333",
    "race: 200 callers, money for 20",
];

/// Takes a sum of CGRateS's, which are floats, for display and comparison in whole millionths.
fn millionths(sum: f64) -> i64 {
    (sum * 1e6).round() as i64
}

pub(crate) fn of_cgrates(engine: &mut Engine) -> [Shown; 4] {
    let mut c = engine.connect();
    c.set_balance("dora", 1.0);
    // What the second of two is answered does not matter, only what is taken.
    let mut twice = |verb: &str, flag: &str, usage: &str| {
        for _ in 0..2 {
            let _ = c.session(verb, flag, &event("dora", "replayed", usage));
        }
    };
    twice("InitiateSession", "InitSession", "30s");
    twice("UpdateSession", "UpdateSession", "30s");
    twice("TerminateSession", "TerminateSession", "7s");
    for _ in 0..2 {
        let _ = c.ask("SessionSv1.ProcessCDR", &event("dora", "replayed", "7s"));
    }
    let taken = millionths(1.0 - c.balance("dora"));
    let replay = shown(format!("takes {}", decimal(taken)), taken != 70_000);
    let rounded = millionths(c.cost(119));
    // Up to the next millionth is right.
    let rounding = shown(format!("takes {}", decimal(rounded)), rounded != 19_834 && rounded != 19_833);
    let race = cgrates_race(engine, &mut c);
    c.set_balance("erin", 1.0);
    c.session("InitiateSession", "InitSession", &event("erin", "killed", "30s")).unwrap();
    drop(c);
    engine.kill_and_start();
    let mut c = engine.connect();
    let held = millionths(1.0 - c.balance("erin"));
    let _ = c.session("TerminateSession", "TerminateSession", &event("erin", "killed", "7s"));
    let taken = millionths(1.0 - c.balance("erin"));
    let crash = format!("{} gone after the restart, {} when the call of 0.07 is ended", decimal(held), decimal(taken));
    [replay, shown(crash, taken != 70_000), rounding, race]
}

fn cgrates_race(engine: &Engine, c: &mut Connection) -> Shown {
    c.set_balance("bob", 2.0);
    let granted: u64 = std::thread::scope(|scope| {
        let callers = 0..8;
        let callers: Vec<_> = callers
            .map(|n| {
                scope.spawn(move || {
                    let mut c = engine.connect();
                    let granted = (0..CALLERS / 8).filter(|m| {
                        let event = event("bob", &format!("race {n} {m}"), "30s");
                        let answer = c.session("InitiateSession", "InitSession", &event);
                        answer.is_ok_and(|answer| answer["MaxUsage"].as_f64().is_some_and(|ns| ns >= 30e9))
                    });
                    granted.count() as u64
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    let left = millionths(c.balance("bob"));
    shown(format!("{granted} granted, {} left", decimal(left)), granted != AFFORDED || left != 0)
}

fn decimal(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let text = format!("{:07}", millionths.unsigned_abs());
    let (whole, part) = text.split_at(text.len() - 6);
    let part = part.trim_end_matches('0');
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// To a mobile.
pub(crate) fn mobile() -> CallTerms {
    let terms = charge::terms("here");
    let price = Terms { connect_fee: msat(50_000), ..Terms::per_minute(msat(100_000), "6/6".parse().unwrap()) };
    let rate = payments::tariff::Rate { price: Price::new(price).unwrap(), ..terms.rate.clone() };
    CallTerms { rate, ..terms }
}

/// Half a minute at a time, as CGRateS is asked for.
fn quota() -> Quota {
    Quota::new(Duration::from_secs(30), Duration::from_secs(10), Duration::from_secs(60)).unwrap()
}

async fn taken(ledger: &Ledger, of: u64) -> i64 {
    of.cast_signed() - available(ledger, "ada").await.cast_signed()
}

pub(crate) async fn of_roomtone(kind: Kind) -> [Shown; 4] {
    [replay(kind).await, crash(kind).await, rounding(), race(kind).await]
}

/// A call's own requests (reserve, answered, settle and reserve, settle), each sent twice to the ledger, and its record written twice.
async fn replay(kind: Kind) -> Shown {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, UNIT).await;
    let (start, wall) = (Instant::now(), now());
    let at = |time: Duration| Now { mono: start + time, wall: wall.after(time) };
    let mut session = CreditSession::begin(at(Duration::ZERO), "replayed".into(), mobile(), quota());
    let mut time = Duration::ZERO;
    let mut again = 0;
    while !session.closed() {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Ask(request) => {
                    let note = request.snapshot.note();
                    for _ in 0..2 {
                        let done = ledger.apply_noted(request.transfers.clone(), note.clone()).await.unwrap();
                        again += u32::from(done == Applied::Exists);
                    }
                    session.handle(at(time), Input::Told(request.number, Answer::Done));
                }
                Output::Start => session.handle(at(time), Input::Answered),
                _ => {}
            }
        }
        if time < Duration::from_secs(25) {
            // The next quota is taken ahead of its need.
            time = Duration::from_secs(25);
            session.handle_timeout(at(time));
        } else {
            let ended = Ended { length: Length::Of(Duration::from_secs(7)), ending: Ending::default() };
            session.handle(at(time), Input::Ended(Box::new(ended)));
        }
    }
    for _ in 0..2 {
        payments::cdr::store::close(&ledger, session.record().map(std::slice::from_ref).unwrap()).await.unwrap();
    }
    assert!(again >= 3, "each request that moves money was known the second time");
    assert_eq!(charge::all_records(&ledger).await.len(), 1);
    assert_balanced(&ledger).await;
    let taken = taken(&ledger, UNIT).await;
    shown(format!("takes {}", decimal(taken)), taken != 70_000)
}

/// A desk is killed in mid-call and comes back: the call is charged once, for what the ledger had heard of it.
async fn crash(kind: Kind) -> Shown {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, UNIT).await;
    let mut desk = child::start(&database.url, "killed", "charge 1 behind mobile");
    desk.says("there").unwrap();
    desk.kill("");
    for _ in 0..2 {
        Service::start(ledger.clone(), quota(), "here").await.unwrap().close().await;
    }
    let sums = ledger.account(account("ada")).await.unwrap().unwrap().sums;
    let [record] = &charge::all_records(&ledger).await[..] else { panic!("a call has one record") };
    assert_balanced(&ledger).await;
    let taken = taken(&ledger, UNIT).await;
    let right = sums.debits_pending.is_zero() && i128::from(taken) == i128::from(record.cost.msat());
    shown(
        format!(
            "{} held after the restart, {} for a call that had just been answered",
            decimal(sums.debits_pending.msat().cast_signed()),
            decimal(taken)
        ),
        !right,
    )
}

fn rounding() -> Shown {
    let price = Price::new(Terms::per_minute(msat(10_000), "60/1".parse().unwrap())).unwrap();
    let cost = price.cost(Duration::from_secs(119)).msat();
    shown(format!("takes {}", decimal(cost.cast_signed())), cost != 19_834)
}

async fn race(kind: Kind) -> Shown {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 2 * UNIT).await;
    let service = Service::start(ledger.clone(), quota(), "here").await.unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| {
            let service = service.clone();
            tokio::spawn(async move { service.begin(format!("race {n}"), mobile(), drop).await })
        })
        .collect();
    let mut granted = Vec::new();
    for caller in callers {
        granted.extend(caller.await.unwrap());
    }
    assert_balanced(&ledger).await;
    let (count, left) = (granted.len() as u64, available(&ledger, "ada").await);
    drop(granted);
    service.close().await;
    shown(format!("{count} granted, {} left", decimal(left.cast_signed())), count != AFFORDED || left != 0)
}
