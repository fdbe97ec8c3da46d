//! Two operators as they are run: calls rated on both sides, statements made by the calendar and exchanged as files, paid on the
//! network, found by the other's watcher. Each has a database, a key file and a configuration of its own.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use payments::ChargeRequest;
use payments::attach::{Ask, Attached as _, Counter, PartnerWindow, Settings, Told};
use payments::cdr::{Carrier, Direction, Ending, Leg, store};
use payments::charge::{CallCharging as _, Length, Prepaid, Quota, Service};
use payments::database::Database as Tables;
use payments::guard::Rules;
use payments::ledger::{AccountId, Ledger, Movement, Purpose, Transfer, TransferId};
use payments::settlement::{
    Books, Clerk, ClerkError, Did, Engines, GRACE, Imported, Office, OfficeError, PartnerStanding, PaymentEnd, Refused,
    SettlementConfig, Standing,
};
use payments::stellar::payer::Did as Paying;
use payments::stellar::{Destination, Memo, TxHash};
use payments::tariff::{DeckKind, DeckStore, Import, TariffsConfig};
use serde_json::{Value, json};

use super::arriving::send;
use super::double::Double;
use super::{START, address, has, network, server, usd};
use crate::child;
use crate::support::{Database, Hands, Kind, account, assert_balanced, msat};

on_both! {
    two_operators_settle_their_calls_by_files_and_the_books_of_both_agree
    calls_on_which_the_records_differ_are_shown_and_not_paid
    what_others_have_written_or_changed_is_refused_and_changes_nothing
    what_is_paid_by_hand_is_taken_in_by_its_transaction_and_matched_by_the_other
    what_comes_under_no_number_waits_in_suspense_until_people_say_whose_it_is
    a_payment_that_failed_waits_for_people_and_can_be_made_by_hand
    killed_at_any_step_an_operator_settles_once
}

const ROOM: &str = "!room:hs";
/// A minute of either's carrying: 60 sat, by the second.
const DECK: &str = "prefix,rate_sat,increments\n44,60,1/1\n";
const DAY: u64 = 86_400_000;
/// The end of the first window: midnight behind the network's beginning.
const MIDNIGHT: u64 = 1_800_057_600_000;

struct Operator {
    n: u8,
    them: &'static str,
    hands: Hands,
    ledger: Ledger,
    prepaid: Prepaid,
    office: Office,
    engines: Engines,
}

/// Where operator `n`'s calls come from.
fn machine(n: u8) -> IpAddr {
    [203, 0, 113, n].into()
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// `payments.settlement` of operator 1 (with bob) or 2 (with ada), who pays by itself or not.
fn section(n: u8, url: &str, folder: &Path, pay: &str) -> Value {
    let (them, name) = if n == 1 { (2, "bob") } else { (1, "ada") };
    let (key, secret) = (folder.join(format!("{n}.key")), folder.join(format!("{n}.secret")));
    let seed = stellar_strkey::ed25519::PrivateKey([n; 32]);
    private(&key, seed.as_unredacted().to_string().as_str());
    private(&secret, &format!("{}\n", "5".repeat(64)));
    json!({
        "network": network().passphrase(), "rpc": url, "key_file": key, "account": address(n).to_string(),
        "partners": [{
            "name": name, "account": address(them).to_string(), "asset": usd().to_string(),
            "per_bitcoin": "68000.1234567", "secret_file": secret, "trunk": name, "from": [machine(them)],
            "price": "handed", "since": "2027-01-15", "window_days": 1, "pay": pay, "threshold": 0,
        }],
    })
}

fn tariffs(n: u8) -> TariffsConfig {
    let name = if n == 1 { "bob" } else { "ada" };
    serde_json::from_value(json!({ "trunks": [{ "name": name }] })).unwrap()
}

impl Operator {
    async fn new(tables: &Tables, url: &str, folder: &Path, (n, pay): (u8, &str)) -> Self {
        let hands = Hands::at(START * 1_000);
        let ledger = Ledger::on(tables.clone(), hands.clock());
        let them = if n == 1 { "bob" } else { "ada" };
        let decks = DeckStore::new(tables.clone());
        for (kind, name) in
            [(DeckKind::CustomerPrice, "retail"), (DeckKind::TrunkCost, them), (DeckKind::CustomerPrice, "handed")]
        {
            let (name, by, file) = (name.to_owned(), "the tests".to_owned(), DECK.as_bytes().to_vec());
            decks.import(ledger.now(), Import { kind, name, valid_from: None, by, file }).await.unwrap();
        }
        let service = Service::start(ledger.clone(), Quota::default(), "here").await.unwrap();
        let tariffs = tariffs(n);
        let loaded = tariffs.load(&decks, ledger.now()).await.unwrap();
        let prepaid = Prepaid::new(service, loaded, Rules::default(), "here").await.unwrap();
        let room = prepaid.open(ROOM).await.unwrap();
        ledger.open_account(account("node"), payments::ledger::AccountKind::Lightning).await.unwrap();
        let movement = Movement::Post { debit: account("node"), credit: room, amount: msat(10_000_000) };
        let id = TransferId::named(&["for the room"]);
        ledger.apply(vec![Transfer { id, purpose: Purpose::TopUp, movement }]).await.unwrap();
        let config: SettlementConfig = serde_json::from_value(section(n, url, folder, pay)).unwrap();
        let (office, engines) = Office::open(config.check(&tariffs).unwrap(), &ledger).await.unwrap();
        Self { n, them, hands, ledger, prepaid, office, engines }
    }

    /// One thing of each; whether there was anything to do.
    async fn step(&mut self) -> bool {
        let did = self.office.clerk().step().await.unwrap();
        let paying = self.engines.payer.step().await.unwrap();
        if let Paying::Waits(until) = paying {
            self.hands.set(until.0);
        }
        let read = self.engines.watcher.step().await.unwrap();
        did != Did::Nothing || paying != Paying::Nothing || !read.all_read || read.arrived > 0
    }

    async fn rest(&mut self) {
        let mut quiet = 0;
        for _ in 0..1_000 {
            quiet = if self.step().await { 0 } else { quiet + 1 };
            if quiet == 2 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    async fn charged(&self, id: &str, seconds: u64, direction: Direction, source: Option<IpAddr>) {
        let request = ChargeRequest {
            call: format!("{} {id}", self.n),
            dialled: "+442071838750".into(),
            room: ROOM.into(),
            direction,
            sip_call_id: id.into(),
            source,
            ..ChargeRequest::default()
        };
        self.settled(&request, Length::Of(Duration::from_secs(seconds))).await;
    }

    async fn settled(&self, request: &ChargeRequest, length: Length) {
        let credit = self.prepaid.reserve(request).await.unwrap().unwrap();
        credit.settle(length, Ending::default(), Duration::from_secs(10)).await;
        let recorded = async {
            while store::revisions(self.ledger.database(), &request.name(), Leg::Customer).await.unwrap().is_empty() {
                // Nothing tells of a row that was written.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), recorded).await.expect("a call that has ended has its record");
    }

    /// A call out over the partner's trunk.
    async fn calls(&self, id: &str, seconds: u64) {
        self.charged(id, seconds, Direction::Outbound, None).await;
    }

    /// A call that the partner's machine hands over.
    async fn is_called(&self, id: &str, seconds: u64) {
        self.charged(id, seconds, Direction::Inbound, Some(machine(3 - self.n))).await;
    }

    async fn balance(&self, account: AccountId) -> i128 {
        self.ledger.account(account).await.unwrap().unwrap().sums.balance()
    }

    async fn owed_by_them(&self) -> i128 {
        -self.balance(Clerk::account(address(3 - self.n))).await
    }

    async fn export(&self) -> String {
        self.office.export(self.them).await.unwrap()
    }

    /// Takes in a file, all of it good.
    async fn import(&self, file: &str) -> Vec<Imported> {
        self.office.import(file).await.unwrap().into_iter().map(Result::unwrap).collect()
    }

    async fn standing(&self) -> PartnerStanding {
        self.office.standings().await.unwrap().pop().unwrap()
    }

    /// Lets go of its database: a server has connections for so many at a time.
    async fn leaves(self) {
        self.prepaid.service().close().await;
        match self.ledger.database() {
            Tables::Sqlite(file) => {
                file.writer.close().await;
                file.reader.close().await;
            }
            Tables::Postgres(pool) => pool.close().await,
        }
    }

    fn is(&self, at: u64) {
        self.hands.set(at);
    }
}

/// When statements of the first window are made.
fn made_at() -> u64 {
    MIDNIGHT + u64::try_from(GRACE.as_millis()).unwrap()
}

/// Two operators on one network; who of them pays by itself.
struct Pair {
    double: Double,
    folder: tempfile::TempDir,
    databases: [Database; 2],
    pay: [&'static str; 2],
}

impl Pair {
    async fn new(kind: Kind, pay: [&'static str; 2]) -> Self {
        let databases = [Database::new(kind).await, Database::new(kind).await];
        Self { double: server().await, folder: tempfile::tempdir().unwrap(), databases, pay }
    }

    async fn operator(&self, n: u8) -> Operator {
        self.operator_at(n, START * 1_000).await
    }

    async fn operator_at(&self, n: u8, at: u64) -> Operator {
        let place = usize::from(n - 1);
        let tables = Tables::open(&self.databases[place].url).await.unwrap();
        let mut operator = Operator::new(&tables, &self.double.url, self.folder.path(), (n, self.pay[place])).await;
        operator.is(at);
        // Reads from here on.
        operator.rest().await;
        operator
    }

    /// The first window is over, for both and for the network.
    fn first_window_ends(&self, operators: &[&Operator]) {
        self.double.chain(|chain| chain.close = made_at() / 1_000);
        for operator in operators {
            operator.is(made_at());
        }
    }
}

/// 1 calls out for 121 s over 2's trunk, 2 for 30 s over 1's: 1 owes 91 sat.
async fn talk(one: &Operator, two: &Operator) {
    for (from, to, id, seconds) in [(one, two, "a@x", 60), (two, one, "b@x", 30), (one, two, "c@x", 61)] {
        from.calls(id, seconds).await;
        to.is_called(id, seconds).await;
    }
    // Nobody answered, and a stranger's call: in no statement.
    let request = ChargeRequest {
        call: "unanswered".into(),
        dialled: "+442071838750".into(),
        room: ROOM.into(),
        direction: Direction::Outbound,
        sip_call_id: "d@x".into(),
        ..ChargeRequest::default()
    };
    one.settled(&request, Length::Unanswered).await;
    two.charged("e@x", 600, Direction::Inbound, Some(machine(99))).await;
}

/// What 91 sat come to at 68000.1234567, rounded up.
const STROOPS: i64 = 618_802;

/// All that has been said is paid and booked, once.
async fn assert_settled(one: &Operator, two: &Operator, double: &Double) {
    assert_eq!((has(double, 1), has(double, 2)), (5_000_000_000 - STROOPS, 5_000_000_000 + STROOPS));
    assert_eq!(double.chain(|chain| chain.payments().len()), 1);
    assert_eq!(one.owed_by_them().await, 0, "the payer's books are even");
    let over = two.owed_by_them().await;
    assert!((-1..=0).contains(&over), "and the receiver's to a stroop: {over}");
    for (operator, spent, earned) in [(one, 121_000, 30_000), (two, 30_000, 121_000)] {
        assert_balanced(&operator.ledger).await;
        // What calls have booked as owed to the trunk has become what is owed as agreed: an expense once.
        assert_eq!(operator.balance(Carrier::account_of(operator.them)).await, 0);
        assert_eq!(operator.balance(Carrier::expenses()).await, -spent);
        assert_eq!(operator.balance(Books::default().revenue).await, earned);
        assert!(operator.standing().await.owed.is_none());
    }
    assert_eq!(one.balance(Books::default().stellar).await, 91_000);
}

fn is_agreed(imported: &[Imported]) -> bool {
    matches!(imported.last(), Some(Imported { standing: Some(Standing::Agreed(_)), .. }))
}

async fn two_operators_settle_their_calls_by_files_and_the_books_of_both_agree(kind: Kind) {
    let pair = Pair::new(kind, ["automatic", "automatic"]).await;
    let (mut one, mut two) = (pair.operator(1).await, pair.operator(2).await);
    talk(&one, &two).await;
    let early = one.office.export("bob").await.unwrap_err();
    assert!(early.to_string().contains("ends at 2027-01-16T00:00:00Z, and is made 15 minutes later"), "{early}");
    pair.first_window_ends(&[&one, &two]);
    let file = one.export().await;
    assert!(file.contains("3 calls, 30 sat carried by the first, 121 sat by the second"), "{file}");
    assert!(!file.contains("44207"), "no number");
    assert_eq!(one.export().await, file, "what is signed stays");
    // Ours is made by theirs, and is the same.
    assert!(is_agreed(&two.import(&file).await));
    assert!(is_agreed(&one.import(&two.export().await).await));
    assert!(is_agreed(&two.import(&file).await), "a file that comes twice changes nothing");
    one.rest().await;
    two.rest().await;
    assert_settled(&one, &two, &pair.double).await;
    let payment = one.standing().await.payment.unwrap();
    assert_eq!((payment.windows, payment.end), (1..=1, Some(PaymentEnd::Paid)));
    // The next one is on its way before the last word on the first was heard.
    let at = MIDNIGHT + 2 * DAY;
    one.calls("f@x", 10).await;
    two.is_called("f@x", 10).await;
    for operator in [&one, &two] {
        operator.is(at);
    }
    pair.double.chain(|chain| chain.close = at / 1_000);
    let imported = two.import(&one.export().await).await;
    assert!(is_agreed(&imported) && imported[0].standing.is_none(), "the one before is known: {imported:?}");
    assert_eq!(two.standing().await.newest.unwrap().number, 2);
    assert!(is_agreed(&one.import(&two.export().await).await));
    one.rest().await;
    two.rest().await;
    assert_eq!(pair.double.chain(|chain| chain.payments().len()), 2);
    assert_eq!(one.owed_by_them().await, 0);
    assert!(two.standing().await.owed.is_none());
}

async fn calls_on_which_the_records_differ_are_shown_and_not_paid(kind: Kind) {
    let pair = Pair::new(kind, ["automatic", "automatic"]).await;
    let (mut one, mut two) = (pair.operator(1).await, pair.operator(2).await);
    talk(&one, &two).await;
    one.calls("longer@x", 100).await;
    two.is_called("longer@x", 107).await;
    two.is_called("only-theirs@x", 5).await;
    // Nobody can name a call without a Call-ID.
    two.is_called("", 5).await;
    pair.first_window_ends(&[&one, &two]);
    let first = two.import(&one.export().await).await;
    assert!(matches!(&first[..], [Imported { standing: Some(Standing::Disputed(calls)), .. }] if calls.len() == 2));
    assert!(is_agreed(&one.import(&two.export().await).await));
    assert!(is_agreed(&two.import(&one.export().await).await));
    let shown = one.office.show("bob", None).await.unwrap();
    let mut lines: Vec<_> = shown
        .disputes
        .iter()
        .map(|(dispute, ours)| (ours.as_ref().map(|call| call.call.clone()), dispute.to_string()[65..].to_owned()))
        .collect();
    lines.sort();
    assert_eq!(lines[0].0, None);
    assert!(lines[0].1.starts_with("only theirs: by") && lines[0].1.ends_with("5 s, 5000 msat"), "{lines:?}");
    assert_eq!(lines[1].0.as_deref(), Some("1 longer@x"), "our record of it");
    assert!(lines[1].1.contains("100 s, 100000 msat; theirs: by") && lines[1].1.contains("107 s"), "{lines:?}");
    assert_eq!(two.office.show("ada", Some(1)).await.unwrap().left_out, ["2 "]);
    let none = two.office.show("ada", Some(2)).await.unwrap_err();
    assert!(matches!(none, OfficeError::NoWindow { number: 2, .. }), "{none}");
    one.rest().await;
    two.rest().await;
    assert_eq!((has(&pair.double, 1), has(&pair.double, 2)), (5_000_000_000 - STROOPS, 5_000_000_000 + STROOPS));
    assert_eq!(one.owed_by_them().await, 0);
    assert_eq!(one.balance(Carrier::account_of("bob")).await, 100_000, "what is disputed is owed by our records alone");
    assert_eq!(two.balance(Books::default().revenue).await, 121_000, "and earned by nobody");
}

async fn what_others_have_written_or_changed_is_refused_and_changes_nothing(kind: Kind) {
    let pair = Pair::new(kind, ["automatic", "automatic"]).await;
    let (one, two) = (pair.operator(1).await, pair.operator(2).await);
    talk(&one, &two).await;
    let missing = two.office.export("nobody").await.unwrap_err();
    assert!(matches!(missing, OfficeError::NoPartner(_)), "{missing}");
    pair.first_window_ends(&[&one]);
    let file = one.export().await;
    let early = two.office.import(&file).await.unwrap().remove(0).unwrap_err();
    assert!(matches!(early, OfficeError::Clerk(ClerkError::NotYet(_))), "our window has not ended: {early}");
    pair.first_window_ends(&[&two]);
    let mut proposals = payments::settlement::files::read(&file).unwrap();
    proposals[0].signature[5] ^= 1;
    let forged = payments::settlement::files::write(&proposals);
    let refused = two.office.import(&forged).await.unwrap().remove(0).unwrap_err();
    assert!(matches!(refused, OfficeError::Clerk(ClerkError::Refused(Refused::NotTheirs { .. }))), "{refused}");
    let own = two.export().await;
    let refused = two.office.import(&own).await.unwrap().remove(0).unwrap_err();
    assert!(matches!(refused, OfficeError::Clerk(ClerkError::Nobody(_))), "our own, sent back: {refused}");
    assert!(matches!(two.office.import("Hello").await, Err(OfficeError::File(_))));
    assert_eq!(*two.standing().await.newest.unwrap().settlement.standing(), Standing::Proposed);
    // The forged one and the true one in one file: each for itself.
    let both = two.office.import(&format!("{forged}{file}")).await.unwrap();
    assert!(both[0].is_err() && both[1].is_ok(), "{both:?}");
    assert!(matches!(two.standing().await.newest.unwrap().settlement.standing(), Standing::Agreed(_)));
    // A file that others could read is no secret.
    let config: SettlementConfig =
        serde_json::from_value(section(1, &pair.double.url, pair.folder.path(), "automatic")).unwrap();
    let secret = pair.folder.path().join("1.secret");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = async || Office::open(config.check(&tariffs(1)).unwrap(), &one.ledger).await.unwrap_err().to_string();
    assert!(open().await.contains("payments.settlement.partners.secret_file"), "{}", open().await);
    private(&secret, "sesame");
    assert!(open().await.contains("64 hexadecimal digits") && !open().await.contains("sesame"), "{}", open().await);
    let other: SettlementConfig =
        serde_json::from_value(section(2, &pair.double.url, pair.folder.path(), "automatic")).unwrap();
    let (mut agreed, theirs) = (config.check(&tariffs(1)).unwrap(), other.key_file);
    private(&secret, &"5".repeat(64));
    assert_eq!(Office::look(&agreed).await.unwrap(), address(1));
    pair.double.lies(Some("Another network"));
    let elsewhere = Office::look(&agreed).await.unwrap_err();
    assert!(matches!(elsewhere, OfficeError::Rpc(_)), "{elsewhere}");
    agreed.key_file = theirs;
    let refused = Office::open(agreed, &one.ledger).await.unwrap_err();
    assert!(matches!(refused, OfficeError::OtherKey { .. }), "{refused}");
}

async fn agree(pair: &Pair, one: &Operator, two: &Operator) {
    pair.first_window_ends(&[one, two]);
    assert!(is_agreed(&two.import(&one.export().await).await));
    assert!(is_agreed(&one.import(&two.export().await).await));
}

fn last_applied(double: &Double) -> TxHash {
    TxHash::from_bytes(double.chain(|chain| chain.applied.last().unwrap().names[0]))
}

async fn what_is_paid_by_hand_is_taken_in_by_its_transaction_and_matched_by_the_other(kind: Kind) {
    let pair = Pair::new(kind, ["by_hand", "by_hand"]).await;
    let (mut one, mut two) = (pair.operator(1).await, pair.operator(2).await);
    // Here 2 calls out: 2 owes a minute.
    two.calls("a@x", 60).await;
    one.is_called("a@x", 60).await;
    agree(&pair, &one, &two).await;
    two.rest().await;
    assert_eq!(pair.double.sent(), Vec::<Vec<u8>>::new(), "nothing is paid by itself");
    let (link, by_us) = two.office.link("ada").await.unwrap();
    assert!(by_us && !one.office.link("bob").await.unwrap().1);
    assert_eq!((link.destination, link.asset), (Destination::account(address(1)), usd()));
    assert_eq!(link.network, Some(network()));
    let (amount, memo) = (link.amount.unwrap(), link.memo_id.unwrap());
    let us = Destination::account(address(1));
    send(&pair.double, us, usd(), &amount.to_string(), Memo::Id(memo ^ 1));
    let wrong = two.office.paid("ada", last_applied(&pair.double)).await.unwrap_err();
    assert!(wrong.to_string().contains("brought nothing in the agreed asset under a number"), "{wrong}");
    send(&pair.double, us, usd(), "0.0000001", Memo::Id(memo));
    let little = two.office.paid("ada", last_applied(&pair.double)).await.unwrap_err();
    assert!(little.to_string().contains(&format!("it brought 0.0000001, and {amount} are owed")), "{little}");
    let nowhere = two.office.paid("ada", TxHash::from_bytes([7; 32])).await.unwrap_err();
    assert!(matches!(nowhere, OfficeError::NoTransaction(_)), "{nowhere}");
    assert_eq!(two.owed_by_them().await, -60_000);
    send(&pair.double, us, usd(), &amount.to_string(), Memo::Id(memo));
    let payment = two.office.paid("ada", last_applied(&pair.double)).await.unwrap();
    assert_eq!((payment.windows, payment.amount), (1..=1, msat(60_000)));
    let again = two.office.paid("ada", last_applied(&pair.double)).await.unwrap_err();
    assert!(matches!(again, OfficeError::Clerk(ClerkError::NothingOwed(_))), "{again}");
    assert_eq!((two.owed_by_them().await, two.balance(Books::default().stellar).await), (0, 60_000));
    one.rest().await;
    assert!(one.standing().await.owed.is_none(), "they know that it is paid");
    assert_balanced(&two.ledger).await;
    // Said so, it is also paid by the payer: here the other way round.
    one.calls("b@x", 61).await;
    two.is_called("b@x", 61).await;
    let at = MIDNIGHT + 2 * DAY;
    pair.double.chain(|chain| chain.close = at / 1_000);
    one.is(at);
    two.is(at);
    two.import(&one.export().await).await;
    one.import(&two.export().await).await;
    one.rest().await;
    assert_eq!(pair.double.sent(), Vec::<Vec<u8>>::new(), "by hand is by hand");
    assert_eq!(one.office.pay("bob").await.unwrap().amount, msat(61_000));
    assert!(one.office.pay("bob").await.is_err(), "once");
    let paid = two.owed_by_them().await;
    one.rest().await;
    two.rest().await;
    assert_eq!(one.standing().await.payment.unwrap().end, Some(PaymentEnd::Paid));
    assert!(two.owed_by_them().await < paid && two.standing().await.owed.is_none());
}

async fn what_comes_under_no_number_waits_in_suspense_until_people_say_whose_it_is(kind: Kind) {
    let pair = Pair::new(kind, ["by_hand", "by_hand"]).await;
    let (mut one, mut two) = (pair.operator(1).await, pair.operator(2).await);
    two.calls("a@x", 60).await;
    one.is_called("a@x", 60).await;
    agree(&pair, &one, &two).await;
    let (link, _) = one.office.link("bob").await.unwrap();
    let (amount, us) = (link.amount.unwrap(), Destination::account(address(1)));
    send(&pair.double, us, usd(), &amount.to_string(), Memo::Id(4711));
    let tx = last_applied(&pair.double);
    one.rest().await;
    let lying = one.office.suspense(10).await.unwrap();
    assert_eq!(
        lying.iter().map(|kept| (kept.arrival.tx, kept.arrival.reference)).collect::<Vec<_>>(),
        [(tx, Some(4711))]
    );
    assert_eq!(one.balance(Books::default().suspense).await, 60_000);
    assert!(one.standing().await.owed.is_some(), "nobody knows whose it is");
    assert_eq!(one.office.assign(tx, 0, "bob").await.unwrap(), link.memo_id);
    let again = one.office.assign(tx, 0, "bob").await.unwrap_err();
    assert!(matches!(again, OfficeError::Clerk(ClerkError::NotInSuspense { .. })), "{again}");
    assert_eq!(one.balance(Books::default().suspense).await, 0);
    assert_eq!(one.owed_by_them().await, 0);
    assert!(one.standing().await.owed.is_none(), "it has paid their window");
    two.rest().await;
    assert_balanced(&one.ledger).await;
}

async fn a_payment_that_failed_waits_for_people_and_can_be_made_by_hand(kind: Kind) {
    let pair = Pair::new(kind, ["by_hand", "automatic"]).await;
    let (one, mut two) = (pair.operator(1).await, pair.operator(2).await);
    two.calls("a@x", 60).await;
    one.is_called("a@x", 60).await;
    let line = |amount| {
        pair.double.chain(|chain| {
            let lines = &mut chain.accounts.get_mut(address(2).bytes()).unwrap().lines;
            std::mem::replace(lines.get_mut(&super::usd_xdr()).unwrap(), amount)
        })
    };
    let all = line(5);
    agree(&pair, &one, &two).await;
    two.rest().await;
    let end = two.standing().await.payment.unwrap().end;
    assert_eq!(end, Some(PaymentEnd::NotPaid { why: "TxFailed: Payment Underfunded".into() }));
    line(all);
    let (link, by_us) = two.office.link("ada").await.unwrap();
    assert!(by_us, "it is owed still");
    let memo = Memo::Id(link.memo_id.unwrap());
    send(&pair.double, Destination::account(address(1)), usd(), &link.amount.unwrap().to_string(), memo);
    two.office.paid("ada", last_applied(&pair.double)).await.unwrap();
    let sent = pair.double.sent().len();
    two.rest().await;
    assert_eq!(pair.double.sent().len(), sent, "and is not paid again");
    assert!(!two.office.retry("ada").await.unwrap());
    assert_eq!(two.owed_by_them().await, 0);
    assert_balanced(&two.ledger).await;
}

/// A child process that is operator 1: it makes its statement, takes in what lies in the folder, and settles, so many steps far;
/// then it stands still. `name`: the server's address, the number of steps, the folder.
pub(crate) async fn child_operates(tables: &Tables, name: &str) {
    let mut words = name.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let (url, steps, folder) = (word(), word().parse::<u32>().unwrap(), Path::new(word()));
    let mut one = Operator::new(tables, url, folder, (1, "automatic")).await;
    one.is(made_at());
    for step in 0..steps {
        match step {
            0 => drop(one.export().await),
            1 => drop(one.import(&std::fs::read_to_string(folder.join("bob.txt")).unwrap()).await),
            _ => drop(one.step().await),
        }
    }
    println!("stands still.");
    std::future::pending::<()>().await;
}

async fn killed_at_any_step_an_operator_settles_once(kind: Kind) {
    for steps in 0..=12 {
        let pair = Pair::new(kind, ["automatic", "automatic"]).await;
        let (one, mut two) = (pair.operator(1).await, pair.operator(2).await);
        talk(&one, &two).await;
        one.leaves().await;
        pair.first_window_ends(&[&two]);
        let file = two.export().await;
        std::fs::write(pair.folder.path().join("bob.txt"), &file).unwrap();
        let name = format!("{} {steps} {}", pair.double.url, pair.folder.path().display());
        let mut child = child::start(&pair.databases[0].url, &name, "operate");
        assert!(child.says("stands ").is_some(), "the child died by itself");
        child.kill("");
        let mut one = pair.operator_at(1, made_at()).await;
        one.import(&file).await;
        two.import(&one.export().await).await;
        one.rest().await;
        two.rest().await;
        assert_settled(&one, &two, &pair.double).await;
        one.leaves().await;
        two.leaves().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_module_makes_statements_by_itself_reports_and_stops_when_told() {
    let pair = Pair::new(Kind::Sqlite, ["by_hand", "by_hand"]).await;
    // Some days ago by a clock that goes.
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() - jiff::Span::new().days(3);
    let since = |n| {
        let mut section = section(n, &pair.double.url, pair.folder.path(), "by_hand");
        section["partners"][0]["since"] = json!(day.to_string());
        section
    };
    let settings: Settings = serde_json::from_value(json!({
        "database": pair.databases[0].url, "tariffs": { "trunks": [{ "name": "bob" }] }, "settlement": since(1),
    }))
    .unwrap();
    settings.check().unwrap();
    let counter = Counter::open(&settings, pair.folder.path()).await.unwrap();
    let report = async || match counter.ask(Ask::Report).await.unwrap().told {
        Told::Report(mut report) => report.partners.remove(0),
        other => panic!("{other:?}"),
    };
    let until = async |wanted| {
        for _ in 0..2_000 {
            if report().await.newest == Some(wanted) {
                return;
            }
            // Nothing tells of a row that was written.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", report().await);
    };
    until(PartnerWindow::Proposed).await;
    // The partner's, and a command of ours on the same database.
    let office = async |n: u8, tariffs: TariffsConfig| {
        let clock: payments::ledger::Clock = Arc::new(crate::support::now);
        let ledger = Ledger::open(&pair.databases[usize::from(n - 1)].url, clock).await.unwrap();
        let config: SettlementConfig = serde_json::from_value(since(n)).unwrap();
        Office::open(config.check(&tariffs).unwrap(), &ledger).await.unwrap().0
    };
    let (command, theirs) = (office(1, tariffs(1)).await, office(2, tariffs(2)).await);
    let imported = command.import(&theirs.export("ada").await.unwrap()).await.unwrap();
    assert!(imported[0].is_ok(), "{imported:?}");
    let line = report().await;
    assert_eq!((line.name.as_str(), line.balance, line.not_paid), ("bob", 0, None));
    until(PartnerWindow::Agreed(0)).await;
    tokio::time::timeout(Duration::from_secs(20), counter.close()).await.expect("it stops when told");
}
