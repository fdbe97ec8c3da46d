//! What arrives: read off a server page by page, known by memo, asset and issuer, booked once whatever is killed.

use payments::TableError;
use payments::database::Database as Tables;
use payments::ledger::Ledger;
use payments::stellar::incoming::{
    Accepted, Expected, Expecting, Inbox, Keeping, Landing, WatchError, Watcher, booked, whose,
};
use payments::stellar::rpc::RpcClient;
use payments::stellar::{Asset, Destination, Draft, FeeRate, Memo, Pay, Rate, TimeBounds};

use super::double::{Double, word};
use super::{START, address, key, network, server, usd};
use crate::child;
use crate::support::{Database, Hands, Kind, account, assert_balanced};

on_both! {
    what_arrives_is_booked_by_memo_asset_and_issuer_and_the_rest_waits_in_suspense
    what_was_read_and_not_booked_is_booked_once_by_the_next
    killed_at_any_moment_every_arrival_is_booked_once
    two_readers_of_one_account_book_each_arrival_once
    no_page_is_left_out
}

/// Waits for number 7 only.
pub(super) struct Seven;

impl Expecting for Seven {
    async fn expected(&self, reference: u64) -> Result<Option<Expected>, TableError> {
        Ok((reference == 7).then(|| Expected { reference, account: account("partner"), agreed: None }))
    }
}

fn landing() -> Landing {
    Landing { stellar: account("stellar"), suspense: account("suspense") }
}

/// A stroop is a millisatoshi.
fn accepted() -> Vec<Accepted> {
    vec![Accepted { asset: usd(), rate: Rate::per_btc(100_000_000_000).unwrap() }]
}

async fn watcher(ledger: &Ledger, url: &str) -> Watcher<RpcClient, Seven> {
    let kind = payments::ledger::AccountKind::Partner;
    ledger.open_account(account("partner"), kind).await.unwrap();
    let inbox = Inbox::new(ledger.database().clone(), address(1));
    let rpc = RpcClient::new(url).unwrap();
    Watcher::new(inbox, (rpc, network()), (ledger.clone(), landing()), accepted(), Seven).await.unwrap()
}

async fn ledger(database: &Database) -> Ledger {
    let tables = Tables::open(&database.url).await.unwrap();
    Ledger::on(tables, Hands::at(START * 1_000).clock())
}

/// Account 2 pays, and a ledger is closed.
pub(super) fn send(double: &Double, to: Destination, asset: Asset, amount: &str, memo: Memo) {
    let sequence = double.chain(|chain| chain.accounts[address(2).bytes()].sequence) + 1;
    let pay = Pay { destination: to, asset, amount: amount.parse().unwrap() };
    let bounds = TimeBounds { min: 0, max: u64::MAX };
    let draft = Draft::new(address(2), sequence, FeeRate::LEAST, bounds).memo(memo).pay(pay);
    let signed = draft.sign(&network(), &key(2)).unwrap();
    double.chain(|chain| {
        assert_eq!(word(&chain.submit(&signed.envelope)), "PENDING");
        chain.close(5);
    });
}

fn us() -> Destination {
    Destination::account(address(1))
}

async fn balance(ledger: &Ledger, name: &str) -> i128 {
    ledger.account(account(name)).await.unwrap().unwrap().sums.balance()
}

async fn read_all(watcher: &mut Watcher<RpcClient, Seven>) {
    while !watcher.step().await.unwrap().all_read {}
}

async fn what_arrives_is_booked_by_memo_asset_and_issuer_and_the_rest_waits_in_suspense(kind: Kind) {
    let (database, double) = (Database::new(kind).await, server().await);
    let ledger = ledger(&database).await;
    send(&double, us(), usd(), "99", Memo::Id(7));
    let mut watcher = watcher(&ledger, &double.url).await;
    let first = watcher.step().await.unwrap();
    assert_eq!((first.keeping, first.arrived), (None, 0), "what was there before is not ours to book");
    let fake = Asset::Issued { code: "USD".parse().unwrap(), issuer: address(2) };
    double.chain(|chain| {
        let line = stellar_xdr::Asset::CreditAlphanum4(stellar_xdr::AlphaNum4 {
            asset_code: stellar_xdr::AssetCode4(*b"USD\0"),
            issuer: stellar_xdr::AccountId(stellar_xdr::PublicKey::PublicKeyTypeEd25519(stellar_xdr::Uint256(
                *address(2).bytes(),
            ))),
        });
        chain.accounts.get_mut(address(1).bytes()).unwrap().lines.insert(line, 0);
    });
    let part = Destination { part: Some(7), account: address(1) };
    send(&double, us(), usd(), "0.0000100", Memo::Id(7));
    send(&double, part, usd(), "0.0000020", Memo::None);
    send(&double, us(), usd(), "0.0000003", Memo::Id(8));
    send(&double, us(), usd(), "0.0000040", Memo::Text("7".into()));
    send(&double, us(), fake, "1000000", Memo::Id(7));
    send(&double, us(), Asset::Native, "10", Memo::Id(7));
    send(&double, Destination::account(address(9)), usd(), "5", Memo::Id(7));
    let read = watcher.step().await.unwrap();
    assert_eq!((read.arrived, read.booked, read.keeping), (6, 4, Some(Keeping::Up)));
    assert_eq!(balance(&ledger, "partner").await, 120);
    assert_eq!(balance(&ledger, "suspense").await, 43);
    assert_eq!(balance(&ledger, "stellar").await, -163);
    let inbox = Inbox::new(ledger.database().clone(), address(1));
    let lying: Vec<_> = inbox.in_suspense(account("suspense"), 10).await.unwrap();
    assert_eq!(lying.iter().map(|kept| kept.arrival.reference).collect::<Vec<_>>(), [Some(8), None]);
    assert_eq!(lying[0].arrival.from, address(2));
    let again = watcher.step().await.unwrap();
    assert_eq!((again.arrived, again.booked), (0, 0));
    assert_balanced(&ledger).await;
}

async fn what_was_read_and_not_booked_is_booked_once_by_the_next(kind: Kind) {
    let (database, double) = (Database::new(kind).await, server().await);
    let ledger = ledger(&database).await;
    watcher(&ledger, &double.url).await.step().await.unwrap();
    send(&double, us(), usd(), "0.0000100", Memo::Id(7));
    send(&double, us(), usd(), "0.0000010", Memo::Id(7));
    // As a kill leaves it: the page is stored, the ledger has one of two, and no row says so.
    let inbox = Inbox::new(ledger.database().clone(), address(1));
    let reading = inbox.reading().await.unwrap().unwrap();
    let page = {
        use payments::stellar::rpc::Rpc as _;
        RpcClient::new(&double.url).unwrap().transactions(&reading.from(), 200).await.unwrap()
    };
    let known = |reference| Some(Expected { reference, account: account("partner"), agreed: None });
    let found: Vec<_> = page
        .transactions
        .iter()
        .flat_map(|tx| payments::stellar::incoming::arrivals(address(1), tx))
        .map(|arrival| (arrival.clone(), whose(&arrival, &accepted(), known)))
        .collect();
    let now = payments::stellar::incoming::Reading { cursor: Some(page.cursor), ledger: page.ranges.latest };
    let read = payments::stellar::incoming::Read { arrivals: &found, unreadable: &[], now };
    inbox.store(&reading, &read, account("suspense"), ledger.now()).await.unwrap();
    let stale = inbox.store(&reading, &read, account("suspense"), ledger.now()).await;
    assert!(matches!(stale, Err(TableError::Changed(_))), "a page is stored once: {stale:?}");
    let one = booked(&found[0].0, found[0].1, account("stellar"), account("suspense")).unwrap();
    ledger.apply(vec![one]).await.unwrap();
    assert_eq!(balance(&ledger, "partner").await, 100);
    let progress = watcher(&ledger, &double.url).await.step().await.unwrap();
    assert_eq!((progress.arrived, progress.booked), (0, 2));
    assert_eq!(balance(&ledger, "partner").await, 110);
    assert_balanced(&ledger).await;
}

/// A child process that watches for ever. `name`: the server's address.
pub(crate) async fn child_watches(tables: &Tables, url: &str) {
    let ledger = Ledger::on(tables.clone(), Hands::at(START * 1_000).clock());
    let mut watcher = watcher(&ledger, url).await;
    loop {
        let progress = watcher.step().await.unwrap();
        println!("saw {}.", progress.arrived);
    }
}

async fn killed_at_any_moment_every_arrival_is_booked_once(kind: Kind) {
    let (database, double) = (Database::new(kind).await, server().await);
    let ledger = ledger(&database).await;
    watcher(&ledger, &double.url).await.step().await.unwrap();
    let mut sent = 0;
    for round in 0..6_u32 {
        for amount in 1..=5 {
            let memo = Memo::Id(if amount == 5 { 8 } else { 7 });
            send(&double, us(), usd(), &format!("0.000000{amount}"), memo);
            sent += amount;
        }
        let asked = double.asked("getTransactions");
        let mut child = child::start(&database.url, &double.url, "watch");
        // Killed while it stores or books the page, a little later every time.
        asked.await;
        for _ in 0..round / 2 {
            child.says("saw ").unwrap();
        }
        child.kill("");
    }
    read_all(&mut watcher(&ledger, &double.url).await).await;
    assert_eq!(balance(&ledger, "stellar").await, -i128::from(sent));
    assert_eq!(balance(&ledger, "suspense").await, 6 * 5);
    assert_balanced(&ledger).await;
}

async fn two_readers_of_one_account_book_each_arrival_once(kind: Kind) {
    let (database, double) = (Database::new(kind).await, server().await);
    let (mine, yours) = (ledger(&database).await, ledger(&database).await);
    let (mut one, mut two) = (watcher(&mine, &double.url).await, watcher(&yours, &double.url).await);
    one.step().await.unwrap();
    for _ in 0..10 {
        send(&double, us(), usd(), "0.0000010", Memo::Id(7));
        let (a, b) = tokio::join!(one.step(), two.step());
        for step in [a, b] {
            assert!(matches!(step, Ok(_) | Err(WatchError::Table(TableError::Changed(_)))), "{step:?}");
        }
    }
    read_all(&mut one).await;
    assert_eq!(balance(&mine, "partner").await, 100);
    assert_balanced(&mine).await;
}

async fn no_page_is_left_out(kind: Kind) {
    let (database, double) = (Database::new(kind).await, server().await);
    let ledger = ledger(&database).await;
    let mut watcher = watcher(&ledger, &double.url).await;
    watcher.step().await.unwrap();
    // Two pages and a bit.
    for _ in 0..410 {
        send(&double, us(), usd(), "0.0000001", Memo::Id(7));
    }
    let mut pages = Vec::new();
    loop {
        let progress = watcher.step().await.unwrap();
        pages.push(progress.arrived);
        if progress.all_read {
            break;
        }
    }
    read_all(&mut watcher).await;
    assert_eq!(pages, [200, 200, 10]);
    assert_eq!(balance(&ledger, "partner").await, 410);
}

#[tokio::test]
async fn ledgers_that_the_server_forgot_are_told_and_never_passed_over_in_silence() {
    let (database, double) = (Database::new(Kind::Sqlite).await, server().await);
    let ledger = ledger(&database).await;
    let mut watcher = watcher(&ledger, &double.url).await;
    watcher.step().await.unwrap();
    double.chain(|chain| {
        for _ in 0..300 {
            chain.close(5);
        }
        chain.oldest = 50;
    });
    let behind = watcher.step().await.unwrap();
    assert_eq!(behind.keeping, Some(Keeping::Behind { left: 50 }));
    send(&double, us(), usd(), "0.0000001", Memo::Id(7));
    double.chain(|chain| {
        for _ in 0..300 {
            chain.close(5);
        }
        chain.oldest = chain.ledger - 10;
    });
    for _ in 0..3 {
        assert!(matches!(watcher.step().await, Err(WatchError::Rpc(_))), "it does not go on by itself");
    }
    // People have looked, and say where to go on.
    let inbox = Inbox::new(ledger.database().clone(), address(1));
    let latest = double.chain(|chain| chain.ledger);
    inbox.begin_behind(latest, ledger.now()).await.unwrap();
    send(&double, us(), usd(), "0.0000005", Memo::Id(7));
    read_all(&mut watcher).await;
    assert_eq!(balance(&ledger, "partner").await, 5);
}

#[tokio::test]
async fn a_transaction_that_cannot_be_read_is_noted_and_stops_nothing() {
    let (database, double) = (Database::new(Kind::Sqlite).await, server().await);
    let ledger = ledger(&database).await;
    let mut watcher = watcher(&ledger, &double.url).await;
    watcher.step().await.unwrap();
    send(&double, us(), usd(), "0.0000001", Memo::Id(7));
    send(&double, us(), usd(), "0.0000005", Memo::Id(7));
    let garbled = double.chain(|chain| chain.applied[0].names[0]);
    double.garble(garbled);
    read_all(&mut watcher).await;
    assert_eq!(balance(&ledger, "partner").await, 5);
    let unread = Inbox::new(ledger.database().clone(), address(1)).unread().await.unwrap();
    assert_eq!(unread.iter().map(|hash| *hash.bytes()).collect::<Vec<_>>(), [garbled]);
}
