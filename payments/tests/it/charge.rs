//! Calls that are charged for on real databases: in time, and by processes that die.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use payments::cdr::store::{Wanted, records};
use payments::cdr::{About, Carrier, Cdr, Direction, Ending, Leg, Party};
use payments::charge::{
    Answer, CallTerms, CreditSession, Declined, Ended, Happened, Input, Length, Now, Output, Quota, Service, Snapshot,
};
use payments::ledger::{AccountId, AccountKind, Ledger, Period};
use payments::tariff::{DeckId, DeckKind, Price, Rate, Terms};
use payments::{Msat, UnixMillis};

use crate::child;
use crate::support::{Database, Hands, Kind, account, assert_balanced, available, msat, now, post, top_up};

on_both! {
    a_call_is_settled_by_the_desks_watch_and_leaves_its_record
    a_call_that_runs_out_is_warned_topped_up_extended_and_cut
    a_desk_that_lets_go_of_a_call_has_ended_it
    the_name_of_a_call_stands_for_it_for_ever
    a_kill_at_each_step_of_a_call_leaves_books_that_agree_with_its_record
    a_kill_in_the_middle_of_many_calls_loses_nothing_that_was_told
    a_desk_that_never_comes_back_leaves_a_record_all_the_same
}

/// 10 sat a minute by the second.
fn price() -> Price {
    Price::new(Terms::per_minute(Msat::from_sat(10).unwrap(), "1/1".parse().unwrap())).unwrap()
}

pub(crate) fn terms(node: &str) -> CallTerms {
    let deck = DeckId { kind: DeckKind::CustomerPrice, name: "retail".into(), version: 1 };
    let about = About {
        tenant: String::new(),
        direction: Direction::Outbound,
        caller: None,
        callee: Some("442071838750".parse().unwrap()),
        carrier: None,
        setup: now(),
        node: node.into(),
        sip_call_id: None,
        source: None,
        fx_rate: None,
    };
    let rate = Rate { deck, prefix: "44".parse().unwrap(), price: price() };
    CallTerms { payer: account("ada"), payee: account("revenue"), rate, limit: None, about }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Two seconds at a time, refilled a second ahead.
fn short() -> Quota {
    Quota::new(seconds(2), seconds(1), seconds(60)).unwrap()
}

fn normal_end() -> Ending {
    Ending { cause: Some(16), side: Some(Party::Callee), codec: Some("PCMA".into()), ..Ending::default() }
}

pub(crate) async fn all_records(ledger: &Ledger) -> Vec<Cdr> {
    let period = Period { from: UnixMillis(0), until: UnixMillis(u64::MAX) };
    let wanted = Wanted { period, account: None, after: 0, limit: 10_000 };
    records(ledger.database(), &wanted).await.unwrap().into_iter().map(|written| written.cdr).collect()
}

/// No money is held, no call is under way, the books balance.
async fn assert_tidy(ledger: &Ledger) {
    assert_balanced(ledger).await;
    assert!(ledger.account(account("ada")).await.unwrap().unwrap().sums.debits_pending.is_zero());
    assert_eq!(ledger.notes("", "", 10).await.unwrap(), []);
}

async fn a_call_is_settled_by_the_desks_watch_and_leaves_its_record(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100_000).await;
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let (told, over) = tokio::sync::oneshot::channel();
    let credit = service.begin("call 1".into(), terms("here"), |cost| told.send(cost).unwrap()).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 80_000, "two minutes are held");
    credit.answered().await;
    let cost = credit.settle(Length::Of(Duration::from_millis(61_500)), normal_end(), seconds(10)).await;
    assert_eq!((cost, over.await.unwrap()), (price().cost(seconds(62)), cost));
    service.close().await;
    assert_eq!(available(&ledger, "ada").await, 100_000 - cost.msat());
    let records = all_records(&ledger).await;
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!((record.call.as_str(), record.leg, record.charged, record.cost), ("call 1", Leg::Customer, cost, cost));
    assert_eq!((record.billed_seconds, record.reserved, record.transfers.len()), (62, msat(20_000), 1));
    assert_eq!(record.ending, normal_end());
    let paid = ledger.record(record.transfers[0]).await.unwrap().unwrap();
    assert_eq!(paid.sides.unwrap().debit.account, account("ada"));
    assert_tidy(&ledger).await;
}

async fn a_call_that_runs_out_is_warned_topped_up_extended_and_cut(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    // Three seconds.
    top_up(&ledger, 500).await;
    let service = Service::start(ledger.clone(), short(), "here").await.unwrap();
    let mut credit = service.begin("call".into(), terms("here"), drop).await.unwrap();
    let began = Instant::now();
    credit.answered().await;
    let Some(Happened::Warn(left)) = credit.happened().await else { panic!("no warning") };
    assert!(left <= seconds(2), "{left:?}");
    ledger.apply(vec![post("more", "node", "ada", 334)]).await.unwrap();
    service.topped_up();
    assert_eq!(credit.happened().await, Some(Happened::Extended));
    loop {
        match credit.happened().await {
            Some(Happened::Cut) => break,
            Some(Happened::Warn(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let lasted = began.elapsed();
    assert!(lasted >= seconds(5) && lasted < seconds(8), "{lasted:?}");
    let cost = credit.settle(Length::Of(lasted), Ending::default(), seconds(10)).await;
    assert_eq!(cost, msat(834), "all that there was");
    service.close().await;
    assert_eq!(available(&ledger, "ada").await, 0);
    assert_tidy(&ledger).await;
}

async fn a_desk_that_lets_go_of_a_call_has_ended_it(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100_000).await;
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let credit = service.begin("call".into(), terms("here"), drop).await.unwrap();
    credit.answered().await;
    drop(credit);
    service.close().await;
    let [record] = &all_records(&ledger).await[..] else { panic!("no record") };
    assert!(record.answered.is_some() && record.length < seconds(10));
    assert_eq!(record.charged, price().cost(record.length));
    assert_tidy(&ledger).await;
}

async fn the_name_of_a_call_stands_for_it_for_ever(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100_000).await;
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let first = service.begin("call".into(), terms("here"), drop).await.unwrap();
    let again = service.begin("call".into(), terms("here"), drop).await;
    assert!(matches!(again, Err(Declined::Again)), "{again:?}");
    first.settle(Length::Unanswered, Ending::default(), seconds(10)).await;
    let later = service.begin("call".into(), terms("here"), drop).await;
    assert!(matches!(later, Err(Declined::Again)), "{later:?}");
    // Also where no transfer tells: a free call moves no money.
    let rate = Rate { price: Price::FREE, ..terms("here").rate };
    let free = || CallTerms { rate: rate.clone(), ..terms("here") };
    let first = service.begin("free".into(), free(), drop).await.unwrap();
    let again = service.begin("free".into(), free(), drop).await;
    assert!(matches!(again, Err(Declined::Again)), "{again:?}");
    first.settle(Length::Of(seconds(5)), Ending::default(), seconds(10)).await;
    service.close().await;
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let later = service.begin("free".into(), free(), drop).await;
    assert!(matches!(later, Err(Declined::Again)), "{later:?}");
    let poor = CallTerms { payer: account("nobody"), ..terms("here") };
    let nobody = service.begin("another".into(), poor, drop).await;
    assert!(matches!(nobody, Err(Declined::NoAccount)), "{nobody:?}");
    service.close().await;
    assert_tidy(&ledger).await;
}

/// The steps of a call of 100 s, with what it must have cost if the program dies there: nothing, the first second, or what the
/// ledger had heard of. Requests are: reserve, answered, refill at 45 s, refill at 90 s, settle.
const STEPS: [(&str, Option<u64>); 10] = [
    ("0 before", None),
    ("0 behind", None),
    ("1 before", None),
    ("1 behind", Some(0)),
    ("2 before", Some(0)),
    ("2 behind", Some(45)),
    ("3 before", Some(45)),
    ("3 behind", Some(90)),
    ("4 before", Some(90)),
    ("4 behind", Some(100)),
];

async fn a_kill_at_each_step_of_a_call_leaves_books_that_agree_with_its_record(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1_000_000).await;
    let mut left = 1_000_000;
    for (step, length) in STEPS {
        let mut desk = child::start(&database.url, &format!("call {step}"), &format!("charge {step} carried"));
        desk.says("there").unwrap();
        desk.kill("");
        // Started twice: the second time there is nothing left to do.
        for _ in 0..2 {
            let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
            service.close().await;
            assert_tidy(&ledger).await;
        }
        let cost = length.map_or(Msat::ZERO, |length| price().cost(seconds(length)));
        left -= cost.msat();
        assert_eq!(available(&ledger, "ada").await, left, "killed at {step}");
        let name = format!("call {step}");
        let all = all_records(&ledger).await;
        let (carried, sold): (Vec<Cdr>, Vec<Cdr>) = all.into_iter().partition(|cdr| cdr.leg == Leg::Carrier);
        let owed: u64 = carried.iter().map(|cdr| cdr.cost.msat()).sum();
        let trunk = ledger.account(AccountId::named(&["trunk", "home"])).await.unwrap();
        let booked = trunk.map_or(0, |trunk| trunk.sums.balance());
        assert_eq!(booked, i128::from(owed), "what the carrier is owed, killed at {step}");
        assert!(carried.iter().all(|cdr| cdr.charged == cdr.cost && cdr.unpaid.is_zero()), "{carried:?}");
        let records: Vec<Cdr> = sold.into_iter().filter(|cdr| cdr.call == name).collect();
        let charged: Vec<_> = records.iter().map(|cdr| (cdr.charged, cdr.cost, cdr.answered.is_some())).collect();
        let expected = if step == "0 before" { vec![] } else { vec![(cost, cost, length.is_some())] };
        assert_eq!(charged, expected, "killed at {step}");
    }
}

/// In a child: one call in a time of its own, until it comes to the step. There it waits to be killed.
pub(crate) async fn one_call_until(ledger: &Ledger, name: &str, work: &str) {
    let mut words = work.split(' ').skip(1);
    let (number, behind) = (words.next().unwrap().parse::<u32>().unwrap(), words.next() == Some("behind"));
    let (start, wall) = (Instant::now(), now());
    let at = |time: Duration| Now { mono: start + time, wall: wall.after(time) };
    let mut time = Duration::ZERO;
    let kind = words.next();
    let mut terms = if kind == Some("mobile") { crate::bench::mobile() } else { terms("here") };
    if kind == Some("carried") {
        let carrier = Carrier { trunk: "home".into(), rate: terms.rate.clone() };
        // As the service does when the call begins.
        ledger.open_account(Carrier::expenses(), AccountKind::TrunkCost).await.unwrap();
        ledger.open_account(carrier.account(), AccountKind::Partner).await.unwrap();
        terms.about.carrier = Some(carrier);
    }
    let mut session = CreditSession::begin(at(time), name.into(), terms, Quota::default());
    loop {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Ask(request) => {
                    let request = *request;
                    let last = request.number == number;
                    if last && !behind {
                        return wait_for_death().await;
                    }
                    let done = ledger.apply_noted(request.transfers, request.snapshot.note()).await;
                    assert!(done.is_ok(), "{done:?}");
                    if last {
                        return wait_for_death().await;
                    }
                    session.handle(at(time), Input::Told(request.number, Answer::Done));
                }
                Output::Start => session.handle(at(time), Input::Answered),
                other => panic!("{other:?}"),
            }
        }
        let due = session.poll_timeout().unwrap() - start;
        if due < seconds(100) {
            time = due;
            session.handle_timeout(at(time));
        } else {
            time = seconds(100);
            let ended = Ended { length: Length::UntilNow, ending: normal_end() };
            session.handle(at(time), Input::Ended(Box::new(ended)));
        }
    }
}

async fn wait_for_death() {
    println!("there.");
    std::future::pending::<()>().await;
}

async fn a_kill_in_the_middle_of_many_calls_loses_nothing_that_was_told(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1_000_000_000).await;
    for round in 0..4 {
        let mut seed = [0; 1];
        getrandom::fill(&mut seed).unwrap();
        let mut desk = child::start(&database.url, &format!("round {round}"), "calls");
        let mut told: Vec<String> = (0..=seed[0] / 4).map(|_| desk.says("cost ").unwrap()).collect();
        told.extend(desk.kill("cost "));
        let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
        service.close().await;
        assert_tidy(&ledger).await;
        let records = all_records(&ledger).await;
        let by_name: BTreeMap<&str, &Cdr> = records.iter().map(|cdr| (cdr.call.as_str(), cdr)).collect();
        assert_eq!(by_name.len(), records.len(), "a call has one record");
        for told in told {
            let (name, cost) = told.rsplit_once(' ').unwrap();
            assert_eq!(by_name[name].charged.msat().to_string(), cost, "{name} (seed {seed:?})");
        }
        let charged: u64 = records.iter().map(|cdr| cdr.charged.msat()).sum();
        let revenue = ledger.account(account("revenue")).await.unwrap().unwrap().sums.balance();
        assert_eq!(i128::from(charged), revenue, "the records and the books agree");
    }
}

async fn a_desk_that_never_comes_back_leaves_a_record_all_the_same(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100_000).await;
    let mut desk = child::start(&database.url, "call", "charge 2 behind");
    desk.says("there").unwrap();
    desk.kill("");
    let hands = Hands::at(now().0 + 600_000);
    let later = database.ledger_at(hands.clock()).await;
    let other = Service::start(later.clone(), Quota::default(), "another machine").await.unwrap();
    other.tidy().await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 100_000 - price().cost(seconds(45)).msat(), "what it held is free");
    let still_open = async || {
        let note = ledger.note(&Snapshot::key("call")).await.unwrap().unwrap();
        serde_json::from_str::<Snapshot>(&note.body.unwrap()).unwrap().ended.is_none()
    };
    assert!(still_open().await, "it may still come back");
    hands.set(hands.clock()().0 + 1_800_000);
    other.tidy().await.unwrap();
    assert!(still_open().await, "also half an hour later");
    hands.set(hands.clock()().0 + 2 * 3_600_000);
    other.tidy().await.unwrap();
    other.close().await;
    let [record] = &all_records(&ledger).await[..] else { panic!("no record") };
    assert_eq!((record.length, record.charged), (seconds(45), price().cost(seconds(45))));
    assert_tidy(&ledger).await;
}

/// In a child: eight desks with a call each, one after the other.
pub(crate) async fn calls_for_ever(ledger: &Ledger, name: &str) {
    let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
    let desks: Vec<_> = (0..8)
        .map(|desk| {
            let (service, name) = (service.clone(), format!("{name} desk {desk}"));
            tokio::spawn(async move {
                for n in 0.. {
                    let call = format!("{name} call {n}");
                    let credit = service.begin(call.clone(), terms("here"), drop).await.unwrap();
                    credit.answered().await;
                    let cost = credit.settle(Length::Of(seconds(n % 100)), normal_end(), seconds(10)).await;
                    println!("cost {call} {}.", cost.msat());
                }
            })
        })
        .collect();
    for desk in desks {
        desk.await.unwrap();
    }
}
