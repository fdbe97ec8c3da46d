//! Whole prepaid calls a second: begun, ended, recorded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use payments::cdr::Ending;
use payments::charge::{Length, Quota, Service};

use super::cgrates::Engine;
use super::faults::mobile;
use crate::support::{Database, Kind, assert_balanced, top_up};

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(3);

fn rate(done: u64, began: Instant) -> f64 {
    done as f64 / began.elapsed().as_secs_f64()
}

/// CGRateS with so many connections, a call at a time on each.
pub(crate) fn of_cgrates(engine: &Engine, connections: usize) -> f64 {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    for n in 0..connections {
        engine.connect().set_balance(&format!("user {n}"), 1e6);
    }
    let began = Instant::now();
    std::thread::scope(|scope| {
        for n in 0..connections {
            let (stop, done) = (&stop, &done);
            scope.spawn(move || {
                let mut c = engine.connect();
                for call in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    c.whole_call(&format!("user {n}"), &format!("rate {connections} {n} {call}"));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(TIME);
        stop.store(true, Ordering::Relaxed);
    });
    rate(done.into_inner(), began)
}

/// Roomtone with so many desks, a call at a time at each. Its record is on the disk too when the time is taken.
pub(crate) async fn of_roomtone(kind: Kind, desks: usize) -> f64 {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1_000_000_000_000).await;
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let began = Instant::now();
    let desks: Vec<_> = (0..desks)
        .map(|desk| {
            let service = service.clone();
            tokio::spawn(async move {
                let mut done = 0_u64;
                while began.elapsed() < TIME {
                    let credit = service.begin(format!("desk {desk} call {done}"), mobile(), drop).await.unwrap();
                    credit.answered().await;
                    let length = Length::Of(Duration::from_secs(30));
                    credit.settle(length, Ending::default(), Duration::from_secs(10)).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for desk in desks {
        done += desk.await.unwrap();
    }
    service.close().await;
    let rate = rate(done, began);
    assert_balanced(&ledger).await;
    rate
}
