//! What others lost money by, each as a test. The sources are named where they are public.

use payments::Msat;
use payments::lightning::payout::QUIET;
use payments::lightning::{Books, Order, Outgoing, PayoutError, PayoutRules, PayoutState, Target};

use super::fake::{Fake, Fault, Payee};
use super::topping_up::{ledger, sat};
use super::{balance, balance_of, coming_in, give, going_out, hands, order, payout_id, theirs, top_up_id};
use crate::child;
use crate::migrations::tamper;
use crate::support::{Database, Kind, account, assert_balanced, available};

on_both! {
    a_hostile_fee_takes_no_more_than_was_held_back
    a_timeout_is_not_a_failure_whatever_comes_later_and_whoever_asks
    withdrawals_from_two_processes_at_once_take_no_more_than_is_there
    an_invoice_paid_inside_and_over_the_network_at_once_is_credited_once
    events_that_come_twice_are_credited_once
    payments_that_cross_over_are_credited_each_with_what_came_for_it
}

/// LNbits issue 440 (2021): the way of a withdrawal cost more than the balance held.
async fn a_hostile_fee_takes_no_more_than_was_held_back(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 5_060).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    // A balance that holds the amount and not the way is not enough.
    let all = out.payouts.request(&order(1, "ada", theirs(1, 5_060))).await;
    assert!(matches!(all, Err(PayoutError::NotEnough { .. })), "{all:?}");
    out.payouts.request(&order(2, "ada", theirs(2, 5_000))).await.unwrap();
    // A node that does not keep to its limit.
    fake.lock().payee = Payee::Pays(1_000_000);
    for _ in 0..3 {
        out.paying.round().await.unwrap();
    }
    assert_eq!(fake.lock().asked_to_pay[0].max_fee, sat(60), "the node is told the limit");
    assert_eq!(balance(&ledger, "ada").await, 0);
    assert_eq!(balance_of(&ledger, Books::default().fees).await, -940_000, "the rest is ours to bear");
    assert_eq!(balance_of(&ledger, Books::default().lightning).await, -5_060_000 + 6_000_000);
    let stopped = out.payouts.stopped().await.unwrap().expect("such a node pays nothing more");
    assert!(stopped.why.contains("1\u{a0}000 sat"), "{}", stopped.why);
    assert_balanced(&ledger).await;
}

/// LNbits GHSA-3j4h-h3fp-vwww, LND 7621, Fedimint 5276, BTCPay 6365: a timeout, an error, a "not found" or a broken connection
/// was taken for a failure, the balance was given back, and then the payment arrived.
async fn a_timeout_is_not_a_failure_whatever_comes_later_and_whoever_asks(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 80_000).await;
    fake.lock().payee = Payee::Holds;
    let (mut n, mut left) = (0_u8, 80_000_000);
    // The answer to the payment, and then the answers to what became of it.
    for pay in [None, Some(Fault::Lost), Some(Fault::Broken)] {
        for ask in [Fault::Lost, Fault::Broken, Fault::Unreachable] {
            for arrives in [true, false] {
                n += 1;
                let case = format!("pay {pay:?}, ask {ask:?}, arrives {arrives}");
                let to = theirs(n, 1_000);
                let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
                if let Some(fault) = pay {
                    fake.fault("pay", fault);
                }
                out.payouts.request(&order(n, "ada", to.clone())).await.unwrap();
                out.paying.round().await.unwrap();
                for _ in 0..3 {
                    fake.fault("outgoing", ask);
                    out.paying.round().await.unwrap();
                    // Another process, or this one started anew.
                    out = going_out(&ledger, &fake, PayoutRules::default()).await;
                    out.paying.round().await.unwrap();
                    let state = out.payouts.status(payout_id(n)).await.unwrap().unwrap().state;
                    assert_eq!(state, PayoutState::Sent, "{case}");
                    assert_eq!(i128::from(available(&ledger, "ada").await), left - 1_020_000, "{case}");
                }
                // A payment that never reached the node is sent once more when it is quiet.
                hands.set(hands.clock()().after(QUIET).0);
                out.paying.round().await.unwrap();
                let preimage = Some([n; 32]);
                let outcome = if arrives {
                    Outgoing::Succeeded { fee: sat(2), preimage }
                } else {
                    Outgoing::Failed("no way there".to_owned())
                };
                fake.ends(to.hash().unwrap(), outcome);
                hands.set(hands.clock()().after(QUIET).0);
                out.paying.round().await.unwrap();
                left -= if arrives { 1_002_000 } else { 0 };
                assert_eq!(balance(&ledger, "ada").await, left, "{case}");
                assert_eq!(i128::from(available(&ledger, "ada").await), left, "{case}");
                assert_eq!(fake.times_paid(to.hash().unwrap()), 1, "{case}");
            }
        }
    }
    assert_balanced(&ledger).await;
}

/// LNbank (December 2023): withdrawals raced past the check of the balance.
async fn withdrawals_from_two_processes_at_once_take_no_more_than_is_there(kind: Kind) {
    let (database, fake) = (Database::new(kind).await, Fake::start().await);
    let ledger = database.ledger().await;
    // 37 payouts of 100 sat and 11 sat for the way of each, and a rest.
    give(&ledger, "ada", 37 * 111 + 50).await;
    let mut other = child::start(&database.url, &format!("{} 100", fake.url), "withdraw");
    let mine = withdraw(&ledger, &fake.url, 0).await;
    let theirs: u64 = other.says("withdrew ").unwrap().parse().unwrap();
    assert!(other.ends_well());
    assert_eq!(mine + theirs, 37, "{mine} here, {theirs} there");
    assert_eq!(available(&ledger, "ada").await, 50_000);
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    out.paying.round().await.unwrap();
    out.paying.round().await.unwrap();
    assert_eq!(fake.lock().paid.len(), 37);
    assert_eq!(balance(&ledger, "ada").await, 37 * 10_000 + 50_000);
    assert_balanced(&ledger).await;
}

/// Asks for 100 payouts of 100 sat at once; how many were taken.
pub(super) async fn withdraw(ledger: &payments::ledger::Ledger, url: &str, first: u8) -> u64 {
    let node = std::sync::Arc::new(super::fake::Remote::new(url));
    let books = (Books::default(), payments::lightning::Chain::Regtest);
    let payouts = payments::lightning::Payouts::new(ledger.clone(), node, books, PayoutRules::default()).await.unwrap();
    let asked: Vec<_> = (first..first + 100)
        .map(|n| {
            let (payouts, order) = (payouts.clone(), order(n, "ada", theirs(n, 100)));
            tokio::spawn(async move { payouts.request(&order).await })
        })
        .collect();
    let mut taken = 0;
    for answer in asked {
        match answer.await.unwrap() {
            Ok(_) => taken += 1,
            Err(PayoutError::NotEnough { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    taken
}

/// Galoy/Blink issue 1295: an invoice was paid from inside and from outside, and credited twice. The node here settles what it
/// has cancelled, as none should.
async fn an_invoice_paid_inside_and_over_the_network_at_once_is_credited_once(kind: Kind) {
    for inside_first in [true, false] {
        let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
        let ledger = ledger(&database, &hands).await;
        give(&ledger, "ada", 10_000).await;
        let mut side = coming_in(&ledger, &fake).await;
        let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
        let invoice = side.top_ups.request(top_up_id(1), account("bob"), sat(4_000), "").await.unwrap();
        let hash = invoice.bolt11.hash();
        out.payouts.request(&order(1, "ada", Target::Invoice(invoice.bolt11))).await.unwrap();
        fake.lock().is_careless = true;
        if inside_first {
            out.paying.round().await.unwrap();
            assert!(fake.receive(hash, 4_000_000));
            side.crediting.step().await.unwrap();
        } else {
            // The settlement is told before the cancelling is, and booked at the same moment.
            fake.says_settled(hash, 4_000_000);
            let (paid, credited) = tokio::join!(out.paying.round(), side.crediting.step());
            paid.unwrap();
            credited.unwrap();
        }
        for _ in 0..3 {
            out.paying.round().await.unwrap();
            side.crediting.step().await.unwrap();
        }
        assert_eq!(balance(&ledger, "bob").await, 4_000_000, "inside first: {inside_first}");
        let ada = balance(&ledger, "ada").await;
        let suspense = balance_of(&ledger, Books::default().suspense).await;
        // Either ada has paid, and what came over the network is nobody's; or she has not, and nothing is left over.
        assert!([(6_000_000, 4_000_000), (10_000_000, 0)].contains(&(ada, suspense)), "{ada} {suspense}");
        assert!(!inside_first || ada == 6_000_000);
        assert_eq!(i128::from(available(&ledger, "ada").await), ada, "nothing is held back any more");
        assert_eq!(side.told.lock().unwrap().len(), 1);
        assert_balanced(&ledger).await;
    }
}

/// LNbits splitpayments issue 14, Mostro 620: a listener that ran twice, an event that came twice.
async fn events_that_come_twice_are_credited_once(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let (mine, yours) = (ledger(&database, &hands).await, ledger(&database, &hands).await);
    let (mut one, mut two) = (coming_in(&mine, &fake).await, coming_in(&yours, &fake).await);
    for n in 1..=10 {
        let invoice = one.top_ups.request(top_up_id(n), account("ada"), sat(1_000), "").await.unwrap();
        fake.receive(invoice.bolt11.hash(), 1_000_000);
        fake.says_settled(invoice.bolt11.hash(), 1_000_000);
        let (a, b) = tokio::join!(one.crediting.step(), two.crediting.step());
        for step in [a, b] {
            use payments::lightning::CreditError;
            let other_was_first = matches!(step, Err(CreditError::Table(payments::TableError::Changed(_))));
            assert!(step.is_ok() || other_was_first, "{step:?}");
        }
    }
    for _ in 0..10 {
        one.crediting.step().await.unwrap();
    }
    assert_eq!(balance(&mine, "ada").await, 10_000_000);
    // All of it once more: the database of another day, a node that counts anew.
    tamper(kind, &database.url, "DELETE FROM lightning_cursors").await.unwrap();
    for _ in 0..10 {
        assert_eq!(one.crediting.step().await.unwrap().credited, 0);
    }
    assert_eq!(balance(&mine, "ada").await, 10_000_000);
    assert_balanced(&mine).await;
}

/// Electrum GHSA-8r85-vp7r-hjxf: parts of payments were counted for invoices that they did not belong to.
async fn payments_that_cross_over_are_credited_each_with_what_came_for_it(kind: Kind) {
    let (database, fake, hands) = (Database::new(kind).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    let mut side = coming_in(&ledger, &fake).await;
    let small = side.top_ups.request(top_up_id(1), account("ada"), sat(1_000), "").await.unwrap();
    let large = side.top_ups.request(top_up_id(2), account("bob"), sat(9_000), "").await.unwrap();
    fake.receive(large.bolt11.hash(), 1_000_000);
    fake.receive(small.bolt11.hash(), 9_000_000);
    side.crediting.step().await.unwrap();
    assert_eq!((balance(&ledger, "ada").await, balance(&ledger, "bob").await), (9_000_000, 1_000_000));
    // A node that says another amount for the same invoice later: the first one counts, and people are told.
    fake.says_settled(large.bolt11.hash(), 8_000_000);
    let done = side.crediting.step().await.unwrap();
    assert_eq!((done.contradicted, done.credited), (1, 0));
    assert_eq!(balance(&ledger, "bob").await, 1_000_000);
    assert_balanced(&ledger).await;
}

/// Cashu's nutshell with LNbits (2026): the fee that was reserved did not reach the node. Here whoever asks chooses less.
#[tokio::test]
async fn the_fee_that_is_held_back_is_the_limit_that_the_node_gets() {
    let (database, fake, hands) = (Database::new(Kind::Sqlite).await, Fake::start().await, hands());
    let ledger = ledger(&database, &hands).await;
    give(&ledger, "ada", 5_003).await;
    let mut out = going_out(&ledger, &fake, PayoutRules::default()).await;
    let order = Order { max_fee: Some(sat(3)), ..order(1, "ada", theirs(1, 5_000)) };
    out.payouts.request(&order).await.unwrap();
    assert_eq!(available(&ledger, "ada").await, 0);
    for _ in 0..3 {
        out.paying.round().await.unwrap();
    }
    let sent = fake.lock().asked_to_pay.clone();
    assert_eq!(sent.iter().map(|payment| payment.max_fee).collect::<Vec<_>>(), [sat(3)]);
    // Nothing at all for the way is a limit too.
    fake.lock().payee = Payee::Pays(0);
    give_back(&ledger).await;
    let free = Order { max_fee: Some(Msat::ZERO), ..super::order(2, "ada", theirs(2, 100)) };
    out.payouts.request(&free).await.unwrap();
    for _ in 0..3 {
        out.paying.round().await.unwrap();
    }
    assert_eq!(fake.lock().asked_to_pay[1].max_fee, Msat::ZERO);
    assert_eq!(
        out.payouts.status(payout_id(2)).await.unwrap().unwrap().state,
        PayoutState::Paid { fee: Msat::ZERO, preimage: None }
    );
    assert_balanced(&ledger).await;
}

async fn give_back(ledger: &payments::ledger::Ledger) {
    use payments::ledger::{Movement, Purpose, Transfer, TransferId};
    let (debit, credit, amount) = (Books::default().lightning, account("ada"), sat(1_000));
    let id = TransferId::named(&["given back"]);
    let movement = Movement::Post { debit, credit, amount };
    ledger.apply(vec![Transfer { id, purpose: Purpose::Credit, movement }]).await.unwrap();
}
