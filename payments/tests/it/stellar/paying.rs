//! The payer with its orders on disk, against a server that loses answers, and killed at each of its steps.

use payments::TableError;
use payments::stellar::payer::{Change, Did, OrderId, Orders, Outcome, Policy, State, Via};
use payments::stellar::{Asset, Destination, FeeRate};
use tokio_util::sync::CancellationToken;

use super::double::{Double, Fault};
use super::{address, hands, has, network, order, payer, server, until_over, usd_xdr};
use crate::child;
use crate::migrations::tamper;
use crate::support::{Database, Kind};

on_both! {
    bytes_are_on_the_disk_before_they_are_sent_and_no_others_are
    killed_at_any_step_it_is_paid_once
    killed_while_the_server_is_silent_it_is_paid_once
    whatever_answer_is_lost_it_is_paid_once
    another_is_signed_only_when_the_first_can_never_be_applied
    two_payers_of_one_account_pay_each_order_once
    the_same_order_is_one_order_and_another_body_is_refused
    what_was_signed_stays_as_it_is
    a_server_that_forgot_stops_everything_until_one_remembers
}

async fn open(database: &Database) -> payments::database::Database {
    payments::database::Database::open(&database.url).await.unwrap()
}

fn orders(tables: &payments::database::Database) -> Orders {
    Orders::new(tables.clone(), address(1), &network())
}

async fn bytes_are_on_the_disk_before_they_are_sent_and_no_others_are(kind: Kind) {
    let database = Database::new(kind).await;
    let (tables, double, hands) = (open(&database).await, server().await, hands());
    let mut payer = payer(&tables, &double, &hands, Policy::default());
    payer.counter().order(&order(1)).await.unwrap();
    let attempt = loop {
        if let Did::Stored(Change::Attempt(attempt)) = payer.step().await.unwrap() {
            break attempt;
        }
    };
    assert_eq!(double.sent(), Vec::<Vec<u8>>::new(), "nothing was sent yet");
    let stored = orders(&tables).get(OrderId([1; 16])).await.unwrap().unwrap();
    assert_eq!((stored.order, stored.state), (order(1), State::Signed(attempt.clone())));
    let (_, outcome) = until_over(&mut payer, &hands).await;
    let Outcome::Paid { hash, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(hash, attempt.signed.hash);
    assert!(double.sent().iter().all(|sent| *sent == attempt.signed.envelope));
    let stored = orders(&tables).get(OrderId([1; 16])).await.unwrap().unwrap();
    assert_eq!(stored.state, State::Ended(outcome));
    assert_eq!((has(&double, 1), has(&double, 2)), (4_875_000_000, 5_125_000_000));
}

/// It ends well, whatever was before; and it was paid once.
async fn assert_paid_once(tables: &payments::database::Database, double: &Double) {
    let hands = hands();
    let (id, outcome) = until_over(&mut payer(tables, double, &hands, Policy::default()), &hands).await;
    assert!(id == OrderId([1; 16]) && matches!(outcome, Outcome::Paid { .. }), "{outcome:?}");
    assert_one_payment(double);
}

fn assert_one_payment(double: &Double) {
    assert_eq!(double.chain(|chain| chain.payments().len()), 1);
    assert_eq!((has(double, 1), has(double, 2)), (4_875_000_000, 5_125_000_000));
    let sent = double.sent();
    assert!(sent.iter().all(|bytes| *bytes == sent[0]), "other bytes were sent too");
}

async fn killed_at_any_step_it_is_paid_once(kind: Kind) {
    let mut steps = 0;
    loop {
        let database = Database::new(kind).await;
        let (tables, double) = (open(&database).await, server().await);
        orders(&tables).add(&order(1), super::hands().clock()()).await.unwrap();
        let mut child = child::start(&database.url, &format!("{} {steps}", double.url), "pay");
        assert!(child.says("stands ").is_some(), "the child died by itself");
        child.kill("");
        let ended = orders(&tables).get(OrderId([1; 16])).await.unwrap().unwrap().state;
        if matches!(ended, State::Ended(Outcome::Paid { .. })) {
            // It had said so itself; nothing was left to do.
            assert_one_payment(&double);
            break;
        }
        assert_paid_once(&tables, &double).await;
        steps += 1;
    }
    assert!(steps > 8, "after {steps} steps it was over: there are fewer than this test is about");
}

async fn killed_while_the_server_is_silent_it_is_paid_once(kind: Kind) {
    for method in ["getNetwork", "getLedgerEntries", "getFeeStats", "sendTransaction", "getTransaction"] {
        let database = Database::new(kind).await;
        let (tables, double) = (open(&database).await, server().await);
        orders(&tables).add(&order(1), super::hands().clock()()).await.unwrap();
        double.fault(method, Fault::Silent);
        let asked = double.asked(method);
        let mut child = child::start(&database.url, &format!("{} 1000", double.url), "pay");
        asked.await;
        child.kill("");
        assert_paid_once(&tables, &double).await;
    }
}

async fn whatever_answer_is_lost_it_is_paid_once(kind: Kind) {
    let database = Database::new(kind).await;
    for fault in [Fault::Unavailable, Fault::TimedOut, Fault::Nonsense] {
        for method in ["getNetwork", "getLedgerEntries", "getFeeStats", "sendTransaction", "getTransaction"] {
            let (database, double) = (Database::new(kind).await, server().await);
            let tables = open(&database).await;
            orders(&tables).add(&order(1), super::hands().clock()()).await.unwrap();
            double.fault(method, fault);
            double.fault(method, fault);
            assert_paid_once(&tables, &double).await;
        }
    }
    drop(database);
}

async fn another_is_signed_only_when_the_first_can_never_be_applied(kind: Kind) {
    let database = Database::new(kind).await;
    let (tables, double, hands) = (open(&database).await, server().await, hands());
    let mut payer = payer(&tables, &double, &hands, Policy { dearest: FeeRate::LEAST, ..Policy::default() });
    payer.counter().order(&order(1)).await.unwrap();
    double.chain(|chain| chain.asked_fee = 101);
    let mut first = None;
    loop {
        match payer.step().await.unwrap() {
            Did::Waits(until) => hands.set(until.0),
            Did::Stored(Change::Attempt(attempt)) if first.is_none() => first = Some(attempt),
            Did::Stored(Change::Dead(1)) => break,
            Did::Stored(change) => panic!("{change:?} before it was dead"),
            _ => {}
        }
    }
    let first = first.unwrap();
    assert!(double.chain(|chain| chain.close) > first.max_time, "it could still have been applied");
    assert!(double.sent().len() > 2 && double.sent().iter().all(|sent| *sent == first.signed.envelope));
    double.chain(|chain| chain.asked_fee = 100);
    let (_, outcome) = until_over(&mut payer, &hands).await;
    let Outcome::Paid { hash, .. } = outcome else { panic!("{outcome:?}") };
    assert_ne!(hash, first.signed.hash);
    assert_eq!(double.chain(|chain| chain.payments().len()), 1);
}

async fn two_payers_of_one_account_pay_each_order_once(kind: Kind) {
    let database = Database::new(kind).await;
    let (double, hands) = (server().await, hands());
    let (mine, yours) = (open(&database).await, open(&database).await);
    let mut payers =
        [payer(&mine, &double, &hands, Policy::default()), payer(&yours, &double, &hands, Policy::default())];
    for n in 1..=4 {
        payers[0].counter().order(&order(n)).await.unwrap();
    }
    let (mut ended, mut changed) = (std::collections::BTreeSet::new(), 0);
    let mut turn = 0;
    while ended.len() < 4 {
        turn += 1;
        assert!(turn < 5_000, "only {ended:?} are over");
        match payers[turn % 2].step().await {
            Ok(Did::Ended(order, outcome)) => {
                assert!(matches!(outcome, Outcome::Paid { .. }), "{outcome:?}");
                ended.insert(order);
            }
            Ok(Did::Waits(until)) => hands.set(until.0),
            Ok(_) => {}
            Err(TableError::Changed(_)) => changed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(changed > 0, "they never met");
    assert_eq!(double.chain(|chain| chain.payments().len()), 4);
    assert_eq!(has(&double, 2), 5_000_000_000 + 4 * 125_000_000);
}

async fn the_same_order_is_one_order_and_another_body_is_refused(kind: Kind) {
    let database = Database::new(kind).await;
    let tables = open(&database).await;
    let orders = orders(&tables);
    let at = super::hands().clock()();
    assert!(orders.add(&order(1), at).await.unwrap());
    assert!(!orders.add(&order(1), at).await.unwrap());
    let via = Via { asset: Asset::Native, max: "1".parse().unwrap(), path: vec![super::usd()] };
    let part = Destination { part: Some(u64::MAX), account: address(2) };
    let mut others = vec![order(1); 4];
    others[0].pay.amount = "1".parse().unwrap();
    others[1].pay.destination = part;
    others[2].memo = None;
    others[3].via = Some(via);
    let mut fields = Vec::new();
    for other in &others {
        let Err(TableError::Other { field, .. }) = orders.add(other, at).await else { panic!("{other:?}") };
        fields.push(field);
    }
    assert_eq!(fields, ["amount", "destination", "memo", "asset that is sent"]);
    // All that an order can hold comes back as it was.
    let mut all = others.swap_remove(3);
    (all.id, all.pay.destination, all.memo) = (OrderId([2; 16]), part, None);
    assert!(orders.add(&all, at).await.unwrap());
    assert_eq!(orders.get(all.id).await.unwrap().unwrap().order, all);
    let elsewhere = Orders::new(tables.clone(), address(2), &network());
    assert!(matches!(elsewhere.add(&order(1), at).await, Err(TableError::Other { field: "paying account", .. })));
    assert_eq!(elsewhere.next().await.unwrap(), None, "another account's orders are not ours");
}

async fn what_was_signed_stays_as_it_is(kind: Kind) {
    let database = Database::new(kind).await;
    let (tables, double, hands) = (open(&database).await, server().await, hands());
    let mut payer = payer(&tables, &double, &hands, Policy::default());
    payer.counter().order(&order(1)).await.unwrap();
    while !matches!(payer.step().await.unwrap(), Did::Stored(Change::Attempt(_))) {}
    // Dearer than what was offered, once that was signed.
    double.chain(|chain| chain.asked_fee = 5_000);
    loop {
        match payer.step().await.unwrap() {
            Did::Stored(Change::Bump(_)) => break,
            Did::Waits(until) => hands.set(until.0),
            did => assert!(matches!(did, Did::Sent | Did::Asked), "{did:?}"),
        }
    }
    for statement in [
        "UPDATE stellar_attempts SET envelope = hash",
        "UPDATE stellar_attempts SET hash = account",
        "UPDATE stellar_attempts SET max_time = max_time - 1",
        "UPDATE stellar_bumps SET envelope = hash",
        "DELETE FROM stellar_bumps",
        "DELETE FROM stellar_attempts",
        "DELETE FROM stellar_orders",
        // A second transaction of the account in the air.
        "INSERT INTO stellar_attempts (order_id, number, account, sequence, max_time, since, rate, hash, envelope, at)
         SELECT order_id, 2, account, 1, 1, 1, 100, account, envelope, 1 FROM stellar_attempts",
    ] {
        assert!(tamper(kind, &database.url, statement).await.is_err(), "{statement}");
    }
    assert!(matches!(until_over(&mut payer, &hands).await.1, Outcome::Paid { .. }));
    assert!(tamper(kind, &database.url, "UPDATE stellar_orders SET outcome = NULL").await.is_err());
}

async fn a_server_that_forgot_stops_everything_until_one_remembers(kind: Kind) {
    let database = Database::new(kind).await;
    let (tables, double, hands) = (open(&database).await, server().await, hands());
    let mut first = payer(&tables, &double, &hands, Policy::default());
    first.counter().order(&order(1)).await.unwrap();
    first.counter().order(&order(2)).await.unwrap();
    while !matches!(first.step().await.unwrap(), Did::Sent) {}
    // Applied; then we were away for so long that the server's ledgers begin behind it.
    double.chain(|chain| {
        chain.close(5);
        chain.close(600);
        chain.oldest = chain.ledger;
    });
    hands.set((super::START + 700) * 1_000);
    let mut payer = payer(&tables, &double, &hands, Policy::default());
    for _ in 0..200 {
        match payer.step().await.unwrap() {
            Did::Waits(until) => hands.set(until.0),
            Did::Took(order) => assert_eq!(order, OrderId([1; 16]), "what is in the air comes first"),
            Did::Asked => {}
            other => panic!("{other:?} while nobody knows what became of the first"),
        }
    }
    double.chain(|chain| chain.oldest = 1);
    let (order, outcome) = until_over(&mut payer, &hands).await;
    assert!(order == OrderId([1; 16]) && matches!(outcome, Outcome::Paid { .. }), "{outcome:?}");
    until_over(&mut payer, &hands).await;
    assert_eq!(double.chain(|chain| chain.payments().len()), 2);
}

#[tokio::test]
async fn nothing_is_signed_for_a_server_of_another_network() {
    let database = Database::new(Kind::Sqlite).await;
    let (tables, double, hands) = (open(&database).await, server().await, hands());
    let mut payer = payer(&tables, &double, &hands, Policy::default());
    payer.counter().order(&order(1)).await.unwrap();
    double.lies(Some("Public Global Stellar Network ; September 2015"));
    for _ in 0..50 {
        match payer.step().await.unwrap() {
            Did::Waits(until) => hands.set(until.0),
            did => assert!(matches!(did, Did::Took(_) | Did::Looked), "{did:?}"),
        }
    }
    double.lies(None);
    assert!(matches!(until_over(&mut payer, &hands).await.1, Outcome::Paid { .. }));
}

#[tokio::test]
async fn what_a_ledger_refused_is_over_with_its_reason_and_the_next_is_paid() {
    let database = Database::new(Kind::Sqlite).await;
    let (tables, double, hands) = (open(&database).await, server().await, hands());
    let mut payer = payer(&tables, &double, &hands, Policy::default());
    let mut poor = order(1);
    poor.pay.amount = "500.0000001".parse().unwrap();
    let mut nobody = order(2);
    nobody.pay.destination = Destination::account(address(4));
    let mut nameless = order(3);
    nameless.memo = None;
    let dear = |n, max: &str| {
        let via = Via { asset: Asset::Native, max: max.parse().unwrap(), path: vec![] };
        payments::stellar::payer::Order { via: Some(via), ..order(n) }
    };
    for order in [&poor, &nobody, &nameless, &dear(4, "49.9999999"), &dear(5, "50"), &order(6)] {
        payer.counter().order(order).await.unwrap();
        hands.set(hands.clock()().0 + 1);
    }
    double.chain(|chain| {
        chain.accounts.get_mut(address(2).bytes()).unwrap().memo_required = true;
        chain.rates.push((stellar_xdr::Asset::Native, usd_xdr(), 1, 4));
    });
    let mut ends = Vec::new();
    for n in 1..=6 {
        let (order, outcome) = until_over(&mut payer, &hands).await;
        assert_eq!(order, OrderId([n; 16]));
        ends.push(match outcome {
            Outcome::Paid { .. } => "paid".to_owned(),
            Outcome::Failed { why, .. } | Outcome::NotApplied { why } => why,
        });
    }
    assert_eq!(ends[0], "TxFailed: Payment Underfunded");
    assert!(ends[1].contains("does not exist"), "{}", ends[1]);
    assert!(ends[2].contains("asks for a memo"), "{}", ends[2]);
    assert_eq!(ends[3], "TxFailed: PathPaymentStrictReceive OverSendmax");
    assert_eq!(&ends[4..], ["paid", "paid"]);
    assert_eq!(double.chain(|chain| chain.payments().len()), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_task_pays_what_is_put_in_and_stops_when_told() {
    let database = Database::new(Kind::Sqlite).await;
    let (tables, double) = (open(&database).await, server().await);
    double.chain(|chain| chain.close = crate::support::now().0 / 1_000);
    double.closes(Some(0));
    let policy = Policy { poll: std::time::Duration::from_millis(5), ..Policy::default() };
    let signer = payments::stellar::payer::Signer { network: network(), key: super::key(1) };
    let rpc = payments::stellar::rpc::RpcClient::new(&double.url).unwrap();
    let payer = payments::stellar::payer::Payer::new(
        tables.clone(),
        rpc,
        signer,
        policy,
        std::sync::Arc::new(crate::support::now),
    );
    let (counter, stop) = (payer.counter(), CancellationToken::new());
    let task = tokio::spawn(payer.run(stop.clone()));
    for n in 1..=3 {
        let mut over = counter.over();
        counter.order(&order(n)).await.unwrap();
        while counter.outcome(OrderId([n; 16])).await.unwrap().is_none() {
            over.changed().await.unwrap();
        }
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(double.chain(|chain| chain.payments().len()), 3);
}
