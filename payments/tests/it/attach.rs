//! What an application service attaches, in the process and behind a socket, on real databases.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use payments::attach::server::Listener;
use payments::attach::{Address, Ask, Attached, Counter, News, NewsKind, Refused, Remote, Settings, Standing, Told};
use payments::cdr::{Direction, Ending};
use payments::charge::{CallCharging as _, CallCredit, Declined, Happened, Length, Means, Prepaid};
use payments::ledger::{AccountKind, Movement, Purpose, Transfer, TransferId};
use payments::plan::Plan;
use payments::tariff::{DeckKind, DeckStore, Import};
use payments::{ChargeRequest, Msat, NoCharge};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::support::{Database, Kind, account, assert_balanced, msat, now};

on_both! {
    a_room_asks_pays_and_is_told_the_same_in_the_process_and_behind_a_socket
    a_call_behind_a_socket_is_charged_to_the_millisatoshi
    a_desk_that_is_gone_ends_its_call_and_a_module_that_is_gone_cuts_it
    money_that_comes_in_is_news_once_for_its_room_also_after_a_restart
    how_a_refund_ends_is_news_for_its_room
    a_calls_record_says_what_a_bitcoin_was_worth_when_it_began
}

const ROOM: &str = "!room:hs";

fn settings(url: &str, folder: &Path) -> Settings {
    let prices = folder.join("prices.csv");
    std::fs::write(
        &prices,
        "prefix,rate_sat,increments,destination\n44,60,1/1,United Kingdom\n447,90,60/1,UK mobile\n",
    )
    .unwrap();
    let json = serde_json::json!({
        "database": url, "decks": [{ "name": "retail", "file": prices }], "welcome": "3 sat",
        "plans": { "pro": 1_000, "team": 5_000 },
    });
    let settings: Settings = serde_json::from_value(json).unwrap();
    settings.check().unwrap();
    settings
}

struct House {
    database: Database,
    counter: Arc<Counter>,
    folder: tempfile::TempDir,
}

impl House {
    async fn new(kind: Kind) -> Self {
        let (database, folder) = (Database::new(kind).await, tempfile::tempdir().unwrap());
        let counter = Counter::open(&settings(&database.url, folder.path()), folder.path()).await.unwrap();
        Self { database, counter, folder }
    }

    async fn again(&mut self) {
        self.counter =
            Counter::open(&settings(&self.database.url, self.folder.path()), self.folder.path()).await.unwrap();
    }

    /// The same module behind a socket.
    async fn served(&self, stop: &CancellationToken) -> Remote {
        let address = Address::Unix(self.folder.path().join("payments.sock"));
        let token = Some(SecretString::from("sesame"));
        let listener = Listener::bind(&address, token.clone()).await.unwrap();
        tokio::spawn(listener.serve(self.counter.clone(), stop.clone()));
        Remote::new(address, token)
    }

    /// As Lightning does it.
    async fn top_up(&self, name: &str, amount: u64) -> TransferId {
        let ledger = self.database.ledger().await;
        let id = TransferId::named(&["top-up", name]);
        let movement = Movement::Post { debit: account("node"), credit: Prepaid::account(ROOM), amount: msat(amount) };
        ledger.apply(vec![Transfer { id, purpose: Purpose::TopUp, movement }]).await.unwrap();
        self.counter.topped_up();
        id
    }
}

async fn told(module: &dyn Attached, ask: Ask) -> Told {
    module.ask(ask).await.unwrap().told
}

async fn standing(module: &dyn Attached) -> Standing {
    match told(module, Ask::Balance { room: ROOM.into() }).await {
        Told::Standing(standing) => standing,
        other => panic!("{other:?}"),
    }
}

fn request(call: &str) -> ChargeRequest {
    ChargeRequest {
        call: call.into(),
        leg: "1".into(),
        dialled: "+442071838750".into(),
        caller: String::new(),
        room: ROOM.into(),
        direction: Direction::Inbound,
        ..ChargeRequest::default()
    }
}

async fn begun(module: &dyn Attached, call: &str) -> CallCredit {
    module.reserve(&request(call)).await.unwrap().unwrap()
}

async fn a_room_asks_pays_and_is_told_the_same_in_the_process_and_behind_a_socket(kind: Kind) {
    let house = House::new(kind).await;
    let stop = CancellationToken::new();
    let remote = house.served(&stop).await;
    let new = standing(&remote).await;
    assert_eq!((new.available, new.plan, new.frozen), (msat(3_000), Plan::Free, false), "what a new room is given");
    assert_eq!(new.transcription.left, Some(Duration::from_secs(1_800)));
    let room = || ROOM.to_owned();
    let credit = Ask::Credit { room: room(), amount: msat(2_000_000), name: "$event".into() };
    for _ in 0..2 {
        told(&remote, credit.clone()).await;
    }
    assert_eq!(standing(&remote).await.available, msat(2_003_000), "the same command is done once");
    let Told::Voucher(code) = told(&remote, Ask::Voucher { amount: msat(1_000), days: None }).await else { panic!() };
    let credited = told(&remote, Ask::Redeem { room: room(), code: code.clone() }).await;
    assert_eq!(credited, Told::Credited { amount: msat(1_000), available: msat(2_004_000) });
    let twice = remote.ask(Ask::Redeem { room: room(), code }).await.unwrap_err();
    assert_eq!(twice, Refused::Mistake("the voucher was redeemed before".into()));
    let Told::Standing(pro) = told(&remote, Ask::Plan { room: room(), plan: Plan::Pro }).await else { panic!() };
    assert_eq!((pro.plan, pro.available, pro.transcription.left), (Plan::Pro, msat(1_004_000), None));
    let dear = remote.ask(Ask::Plan { room: room(), plan: Plan::Team }).await.unwrap_err();
    assert_eq!(dear, Refused::NotEnough { available: msat(1_004_000) });
    let Told::Statement(lines) = told(&remote, Ask::Statement { room: room(), lines: 10 }).await else { panic!() };
    let lines: Vec<_> = lines.iter().map(|line| (line.purpose, line.change)).collect();
    assert_eq!(
        lines,
        [
            (Purpose::Plan, -1_000_000),
            (Purpose::Voucher, 1_000),
            (Purpose::Credit, 2_000_000),
            (Purpose::Credit, 3_000)
        ]
    );
    let Told::Rates(rates) = told(&remote, Ask::Rates { digits: "+44".into() }).await else { panic!() };
    let rates: Vec<_> =
        rates.iter().map(|r| (r.prefix.to_string(), r.destination.as_str(), r.terms.per_minute)).collect();
    assert_eq!(rates, [("44".into(), "United Kingdom", msat(60_000)), ("447".into(), "UK mobile", msat(90_000))]);
    told(&remote, Ask::Freeze { room: room(), frozen: true }).await;
    let declined = remote.reserve(&request("frozen")).await.unwrap_err();
    assert_eq!(declined.means(), Means::NotAllowed);
    assert_eq!(declined.to_string(), "the account is frozen");
    told(&remote, Ask::Freeze { room: room(), frozen: false }).await;
    let Told::Report(report) = told(&remote, Ask::Report).await else { panic!() };
    assert_eq!((report.rooms, report.frozen, report.balanced), (1, 0, true));
    assert_eq!((report.owed, report.earned, report.given), (msat(1_004_000), 1_000_000, 2_004_000));
    // The same in the process, and nobody without the token.
    assert_eq!(standing(&*house.counter).await, standing(&remote).await);
    let stranger =
        Remote::new(Address::Unix(house.folder.path().join("payments.sock")), Some("guess".to_owned().into()));
    assert!(matches!(stranger.ask(Ask::Report).await, Err(Refused::Unavailable(why)) if why.contains("token")));
    assert_eq!(NoCharge.ask(Ask::Report).await, Err(Refused::NotCharged));
    stop.cancel();
    assert_balanced(&house.database.ledger().await).await;
}

async fn a_call_behind_a_socket_is_charged_to_the_millisatoshi(kind: Kind) {
    let house = House::new(kind).await;
    let stop = CancellationToken::new();
    let remote = house.served(&stop).await;
    let poor = remote.reserve(&request("poor")).await;
    // 3 sat pay three seconds of 60 sat a minute: the least is one second, so it may ring.
    let credit = poor.unwrap().unwrap();
    assert_eq!(credit.settle(Length::Unanswered, Ending::default(), Duration::from_secs(10)).await, Msat::ZERO);
    told(&remote, Ask::Credit { room: ROOM.into(), amount: msat(1_000_000), name: "c".into() }).await;
    let credit = begun(&remote, "call").await;
    assert!(standing(&remote).await.reserved > Msat::ZERO);
    credit.answered().await;
    let cost =
        credit.settle(Length::Of(Duration::from_millis(61_001)), Ending::default(), Duration::from_secs(10)).await;
    assert_eq!(cost, msat(62_000));
    let after = standing(&remote).await;
    assert_eq!((after.available, after.reserved), (msat(1_003_000 - 62_000), Msat::ZERO));
    assert!(matches!(remote.reserve(&request("call")).await, Err(Declined::Elsewhere { means: Means::Failed, .. })));
    house.counter.close().await;
    let Told::Statement(lines) = told(&remote, Ask::Statement { room: ROOM.into(), lines: 1 }).await else { panic!() };
    assert_eq!((lines[0].purpose, lines[0].change, lines.len()), (Purpose::Call, -62_000, 1));
    stop.cancel();
}

async fn a_desk_that_is_gone_ends_its_call_and_a_module_that_is_gone_cuts_it(kind: Kind) {
    let house = House::new(kind).await;
    let stop = CancellationToken::new();
    let remote = house.served(&stop).await;
    told(&remote, Ask::Credit { room: ROOM.into(), amount: msat(1_000_000), name: "c".into() }).await;
    let credit = begun(&remote, "dropped").await;
    drop(credit);
    let freed = async {
        while standing(&remote).await.reserved > Msat::ZERO {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed).await.expect("what a desk that is gone has held is freed");
    let mut credit = begun(&remote, "cut").await;
    credit.answered().await;
    stop.cancel();
    let cut = tokio::time::timeout(Duration::from_secs(20), credit.happened()).await.unwrap();
    // The module ends in order: it settles, and the call hears that all is over; or it is cut.
    assert!(matches!(cut, None | Some(Happened::Cut)), "{cut:?}");
    let gone = remote.reserve(&request("late")).await.unwrap_err();
    assert_eq!(gone.means(), Means::Failed);
    house.counter.close().await;
    assert_balanced(&house.database.ledger().await).await;
}

async fn money_that_comes_in_is_news_once_for_its_room_also_after_a_restart(kind: Kind) {
    let mut house = House::new(kind).await;
    standing(&*house.counter).await;
    house.database.ledger().await.open_account(account("node"), AccountKind::Lightning).await.unwrap();
    let news = |after| Ask::News { after };
    let Told::News { after, news: none } = told(&*house.counter, news(None)).await else { panic!() };
    assert_eq!(none, []);
    let waiting = {
        let counter = Arc::clone(&house.counter);
        tokio::spawn(async move { told(&*counter, Ask::News { after: Some(after) }).await })
    };
    let id = house.top_up("one", 5_000).await;
    let Told::News { after: next, news: came } = waiting.await.unwrap() else { panic!() };
    let one = News {
        id: id.to_string(),
        room: ROOM.into(),
        purpose: Purpose::TopUp,
        kind: NewsKind::CameIn,
        amount: msat(5_000),
        available: msat(8_000),
    };
    assert_eq!(came, std::slice::from_ref(&one));
    let two = house.top_up("two", 1_000).await.to_string();
    house.counter.close().await;
    // A deck that was imported meanwhile stays in force over a restart, whatever file the configuration names.
    let decks = DeckStore::new(house.database.ledger().await.database().clone());
    let file = b"prefix,rate_sat,increments\n44,5,1/1\n".to_vec();
    let (name, by) = ("retail".to_owned(), "an admin".to_owned());
    let later = Import { kind: DeckKind::CustomerPrice, name, valid_from: None, by, file };
    decks.import(now(), later).await.unwrap();
    house.again().await;
    let Told::Rates(rates) = told(&*house.counter, Ask::Rates { digits: "+44".into() }).await else { panic!() };
    assert_eq!(rates[0].terms.per_minute, msat(5_000));
    let Told::News { news: came, .. } = told(&*house.counter, news(Some(next))).await else { panic!() };
    let ids: Vec<_> = came.into_iter().map(|news| news.id).collect();
    assert_eq!(ids, [one.id, two], "what is younger than a minute comes again, so that nothing is missed");
    house.counter.close().await;
}

async fn how_a_refund_ends_is_news_for_its_room(kind: Kind) {
    let house = House::new(kind).await;
    standing(&*house.counter).await;
    let ledger = house.database.ledger().await;
    ledger.open_account(account("node"), AccountKind::Lightning).await.unwrap();
    let Told::News { after, .. } = told(&*house.counter, Ask::News { after: None }).await else { panic!() };
    // As Lightning does it: held back, then paid with its fee; and another that failed.
    let of = |name: &str, purpose, movement| Transfer { id: TransferId::named(&["refund", name]), purpose, movement };
    let held = |amount| Movement::Reserve {
        debit: Prepaid::account(ROOM),
        credit: account("node"),
        amount: msat(amount),
        expires: None,
    };
    for (name, amount) in [("one", 1_000), ("two", 700)] {
        ledger.apply(vec![of(name, Purpose::Refund, held(amount))]).await.unwrap();
    }
    ledger.apply(vec![of("fee", Purpose::RoutingFee, held(100))]).await.unwrap();
    let reservation = |name: &str| TransferId::named(&["refund", name]);
    let paid = |name: &str, amount| Movement::Settle { reservation: reservation(name), amount: msat(amount) };
    let arrived = of("one paid", Purpose::Refund, paid("one", 1_000));
    let fee = of("fee paid", Purpose::RoutingFee, paid("fee", 40));
    let failed = of("two released", Purpose::Refund, Movement::Void { reservation: reservation("two") });
    ledger.apply(vec![arrived, fee]).await.unwrap();
    ledger.apply(vec![failed]).await.unwrap();
    house.counter.topped_up();
    let Told::News { news, .. } = told(&*house.counter, Ask::News { after: Some(after) }).await else { panic!() };
    let seen: Vec<_> = news.iter().map(|news| (news.id.clone(), news.kind, news.amount, news.room.as_str())).collect();
    let one = (arrived.id.to_string(), NewsKind::PaidOut, msat(1_000), ROOM);
    let two = (failed.id.to_string(), NewsKind::NotPaidOut, msat(700), ROOM);
    assert_eq!(seen, [one, two], "each once, and nothing of the fee");
    assert_eq!(news[1].available, msat(3_000 - 1_040), "what was held back is free again");
    house.counter.close().await;
}

async fn a_calls_record_says_what_a_bitcoin_was_worth_when_it_began(kind: Kind) {
    let (database, folder) = (Database::new(kind).await, tempfile::tempdir().unwrap());
    let sources = serde_json::json!([{ "type": "fixed", "name": "contract", "price": "50000" }]);
    let rates = serde_json::json!({ "currency": "EUR", "min_sources": 1, "sources": sources });
    let rates = serde_json::from_value(rates).unwrap();
    let settings = Settings { rates, ..settings(&database.url, folder.path()) };
    let counter = Counter::open(&settings, folder.path()).await.unwrap();
    let quote = loop {
        if let Some(quote) = counter.ask(Ask::Balance { room: ROOM.into() }).await.unwrap().quote {
            break quote;
        }
        // Nothing tells of a price that came.
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let credit = begun(&*counter, "call").await;
    credit.settle(Length::Of(Duration::from_secs(2)), Ending::default(), Duration::from_secs(10)).await;
    counter.close().await;
    let records = crate::charge::all_records(&database.ledger().await).await;
    let worth: Vec<_> = records.iter().map(|cdr| cdr.fx_rate.clone()).collect();
    assert_eq!(worth, [Some(quote.reference())]);
    assert!(quote.reference().starts_with("BTC/EUR 50000 ("), "{}", quote.reference());
}
