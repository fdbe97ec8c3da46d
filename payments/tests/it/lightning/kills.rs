//! Killed as `kill -9` does, at every call to the node and at any moment in between: the books and the node agree afterwards.

use payments::ledger::Ledger;
use payments::lightning::{Books, Chain, Crediting, Paying, PayoutRules, PayoutState, Payouts, TopUpRules, TopUps};

use super::fake::{Fake, Fault, Payee, Remote};
use super::topping_up::sat;
use super::{balance, coming_in, give, going_out, order, payout_id, theirs, top_up_id};
use crate::child;
use crate::support::{Database, Kind, account, assert_balanced, available};

on_both! {
    a_top_up_that_is_killed_at_any_call_is_credited_once
    a_payout_that_is_killed_at_any_call_is_paid_once_or_given_back
    kills_at_any_moment_leave_books_that_agree_with_the_node
}

/// A child that tops ada up and pays out for her for ever. `name`: the node's address, and the first number of its requests.
pub(crate) async fn child_goes_on(ledger: &Ledger, name: &str) {
    let (url, first) = name.split_once(' ').unwrap();
    let first: u8 = first.parse().unwrap();
    let node = std::sync::Arc::new(Remote::new(url));
    let books = (Books::default(), Chain::Regtest);
    let yes = || Box::pin(std::future::ready(true)) as payments::lightning::Told;
    let top_ups = TopUps::new(ledger.clone(), node.clone(), books, TopUpRules::default()).await.unwrap();
    let payouts = Payouts::new(ledger.clone(), node, books, PayoutRules::default()).await.unwrap();
    let mut crediting = Crediting::new(
        top_ups.clone(),
        std::sync::Arc::new(move |credited| {
            println!("credited {}.", credited.amount.msat());
            yes()
        }),
    );
    let mut paying = Paying::new(payouts.clone(), std::sync::Arc::new(move |_| yes()));
    let invoice = top_ups.request(top_up_id(first), account("ada"), sat(1_000), "").await.unwrap();
    println!("invoice {}.", invoice.bolt11);
    // Begun before, it is on the disk, and this is refused: the invoice was made anew with another time in it.
    let _ = payouts.request(&order(first, "ada", theirs(first, 500))).await;
    println!("ordered {first}.");
    loop {
        crediting.step().await.unwrap();
        paying.round().await.unwrap();
        println!("round.");
    }
}

pub(crate) async fn child_withdraws(ledger: &Ledger, name: &str) {
    let (url, first) = name.split_once(' ').unwrap();
    println!("withdrew {}.", super::incidents::withdraw(ledger, url, first.parse().unwrap()).await);
}

async fn a_top_up_that_is_killed_at_any_call_is_credited_once(kind: Kind) {
    let (database, fake) = (Database::new(kind).await, Fake::start().await);
    let ledger = database.ledger().await;
    give(&ledger, "ada", 100_000).await;
    let mut paid = 0;
    for (n, (call, fault)) in [
        ("new_invoice", Fault::StuckBefore),
        ("new_invoice", Fault::Stuck),
        ("id", Fault::Stuck),
        ("settlements", Fault::Stuck),
    ]
    .into_iter()
    .enumerate()
    {
        let n = u8::try_from(n).unwrap() * 2 + 1;
        let before = balance(&ledger, "ada").await;
        let stuck = fake.asked(call);
        fake.fault(call, fault);
        let mut child = child::start(&database.url, &format!("{} {n}", fake.url), "lightning");
        stuck.await;
        child.kill("");
        // Asked again under the same name, it is the same invoice; paid, it is credited once, whoever reads of it.
        let mut side = coming_in(&ledger, &fake).await;
        let invoice = side.top_ups.request(top_up_id(n), account("ada"), sat(1_000), "").await.unwrap();
        fake.receive(invoice.bolt11.hash(), 1_000_000);
        // Read, and killed before anything is booked or told, or just behind.
        let mut child = child::start(&database.url, &format!("{} {n}", fake.url), "lightning");
        child.says("credited ").unwrap();
        child.kill("");
        for _ in 0..3 {
            side.crediting.step().await.unwrap();
        }
        paid += 1;
        quiet(&later(&database).await, &fake).await;
        assert_eq!(balance(&ledger, "ada").await, before + 1_000_000 - 501_000, "{call} {fault:?}");
    }
    assert_eq!(paid, 4);
    assert_balanced(&ledger).await;
}

/// The same books a minute later, when it is quiet at the node.
async fn later(database: &Database) -> Ledger {
    let clock = payments::UnixMillis(crate::support::now().0 + 61_000);
    Ledger::open(&database.url, std::sync::Arc::new(move || clock)).await.unwrap()
}

/// Lets everything come to its end, as a process that is started anew does.
async fn quiet(ledger: &Ledger, fake: &Fake) {
    let mut out = going_out(ledger, fake, PayoutRules::default()).await;
    for _ in 0..4 {
        out.paying.round().await.unwrap();
    }
}

async fn a_payout_that_is_killed_at_any_call_is_paid_once_or_given_back(kind: Kind) {
    let (database, fake) = (Database::new(kind).await, Fake::start().await);
    let ledger = database.ledger().await;
    give(&ledger, "ada", 100_000).await;
    let mut n = 0;
    for payee in [Payee::Pays(2_000), Payee::Fails, Payee::Refuses] {
        for (call, fault) in [
            ("pay", Fault::StuckBefore),
            ("pay", Fault::Stuck),
            ("outgoing", Fault::StuckBefore),
            ("outgoing", Fault::Stuck),
        ] {
            if matches!((&payee, call), (Payee::Refuses, "outgoing")) {
                // What is turned away is not asked after.
                continue;
            }
            n += 1;
            let case = format!("{payee:?} {call} {fault:?}");
            fake.lock().payee = payee.clone();
            let before = balance(&ledger, "ada").await;
            let stuck = fake.asked(call);
            fake.fault(call, fault);
            let mut child = child::start(&database.url, &format!("{} {n}", fake.url), "lightning");
            stuck.await;
            child.kill("");
            let hash = theirs(n, 500).hash().unwrap();
            // A process that begins behind it.
            let later = later(&database).await;
            quiet(&later, &fake).await;
            let state = going_out(&later, &fake, PayoutRules::default()).await;
            let state = state.payouts.status(payout_id(n)).await.unwrap().unwrap().state;
            let left = before - if matches!(payee, Payee::Pays(_)) { 502_000 } else { 0 };
            match payee {
                Payee::Pays(_) => assert!(matches!(state, PayoutState::Paid { .. }), "{case}: {state:?}"),
                _ => assert!(matches!(state, PayoutState::NotPaid { .. } | PayoutState::Sent), "{case}: {state:?}"),
            }
            assert_eq!(balance(&ledger, "ada").await, left, "{case}");
            assert!(fake.times_paid(hash) <= 1, "{case}");
            if state == PayoutState::Sent {
                // Turned away, and nobody heard of it: held back until the invoice has expired.
                let clock = payments::UnixMillis(later.now().0 + 3_700_000);
                let later = Ledger::open(&database.url, std::sync::Arc::new(move || clock)).await.unwrap();
                quiet(&later, &fake).await;
            }
            assert_eq!(i128::from(available(&ledger, "ada").await), left, "{case}");
        }
    }
    assert_balanced(&ledger).await;
}

async fn kills_at_any_moment_leave_books_that_agree_with_the_node(kind: Kind) {
    let (database, fake) = (Database::new(kind).await, Fake::start().await);
    let ledger = database.ledger().await;
    give(&ledger, "ada", 100_000).await;
    let rounds = 12_u8;
    for n in 1..=rounds {
        let mut seed = [0; 2];
        getrandom::fill(&mut seed).unwrap();
        let mut child = child::start(&database.url, &format!("{} {n}", fake.url), "lightning");
        if let Some(invoice) = child.says("invoice ") {
            let invoice: payments::lightning::Bolt11 = invoice.parse().unwrap();
            fake.receive(invoice.hash(), 1_000_000);
        }
        // Some thousandths of a second into storing, booking and paying.
        tokio::time::sleep(std::time::Duration::from_micros(u64::from(u16::from_be_bytes(seed)) / 2)).await;
        child.kill("");
        assert_balanced(&ledger).await;
    }
    let later = later(&database).await;
    let mut side = coming_in(&later, &fake).await;
    let mut out = going_out(&later, &fake, PayoutRules::default()).await;
    for _ in 0..10 {
        side.crediting.step().await.unwrap();
        out.paying.round().await.unwrap();
    }
    let paid = fake.lock().paid.len();
    for n in 1..=rounds {
        assert!(fake.times_paid(theirs(n, 500).hash().unwrap()) <= 1, "{n}");
    }
    let expected = 100_000_000 + i128::from(rounds) * 1_000_000 - i128::try_from(paid).unwrap() * 501_000;
    assert_eq!(balance(&ledger, "ada").await, expected, "{paid} payouts");
    assert_eq!(i128::from(available(&ledger, "ada").await), expected);
    assert_balanced(&ledger).await;
}
