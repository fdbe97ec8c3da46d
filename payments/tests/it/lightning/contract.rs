//! What every node must do, on a real chain: the embedded one and LND, each with another node as whoever pays and is paid.
//!
//! Run by `cargo xtask test`, which installs bitcoind and LND.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ldk_node::bitcoin::secp256k1::PublicKey;
use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::ln::msgs::SocketAddress;
use ldk_node::lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescription, Description};
use ldk_node::lightning_types::payment::{PaymentHash as LdkHash, PaymentPreimage};
use ldk_node::payment::{PaymentDetails, PaymentDirection, PaymentStatus};
use payments::Msat;
use payments::ledger::Ledger;
use payments::lightning::config::LdkConfig;
use payments::lightning::ldk::{Labels, Ldk};
use payments::lightning::{
    Bolt11, Books, Cancelled, Chain, Cursor, Handed, InvoiceState, Node, NodeError, Order, Outgoing, Payment,
    PaymentHash, PayoutRules, PayoutState, Settlement, Target, TopUpId, Wanted,
};
use payments::lightning::{Crediting, Paying, Payouts, TopUpRules, TopUps};
use serde_json::json;

use super::fake::hash_of;
use super::regtest::{Bitcoin, LndProgram, ldk, synced, until};
use super::{balance, payout_id, top_up_id};
use crate::support::{Database, Kind, account, assert_balanced, available};

/// In satoshi: the channel, and how much of it is the other's from the start.
const CHANNEL: u64 = 5_000_000;
const PUSHED_MSAT: u64 = 2_000_000_000;

/// Which label an invoice was made under, as the database would know it.
#[derive(Clone, Default)]
struct Made(Arc<Mutex<HashMap<PaymentHash, TopUpId>>>);

impl Made {
    fn labels(&self) -> Labels {
        let made = self.clone();
        Arc::new(move |hash| {
            let found = made.0.lock().unwrap().get(&hash).copied();
            Box::pin(std::future::ready(Ok(found)))
        })
    }
}

/// Somebody else in the network, who pays and is paid: a node that is asked directly.
struct Other {
    node: Ldk,
}

fn words() -> Bolt11InvoiceDescription {
    Bolt11InvoiceDescription::Direct(Description::new("from somebody else".to_owned()).unwrap())
}

impl Other {
    /// Begins to pay; whether it arrived.
    async fn pays(&self, invoice: &Bolt11) -> bool {
        let node = self.node.ldk();
        let invoice = Bolt11Invoice::from_str(invoice.as_str()).unwrap();
        let id = PaymentId(*AsRef::<[u8; 32]>::as_ref(invoice.payment_hash()));
        let sent = {
            let node = Arc::clone(&node);
            tokio::task::spawn_blocking(move || node.bolt11_payment().send(&invoice, None)).await.unwrap()
        };
        if sent.is_err() {
            return false;
        }
        until("a payment is over", async || node.payment(&id).is_none_or(|p| p.status != PaymentStatus::Pending)).await;
        node.payment(&id).unwrap().status == PaymentStatus::Succeeded
    }

    fn invoice(&self, msat: u64) -> Bolt11 {
        self.node.ldk().bolt11_payment().receive(msat, &words(), 3_600).unwrap().to_string().parse().unwrap()
    }

    fn open_invoice(&self) -> Bolt11 {
        let made = self.node.ldk().bolt11_payment().receive_variable_amount(&words(), 3_600).unwrap();
        made.to_string().parse().unwrap()
    }

    fn offer(&self) -> Target {
        let made = self.node.ldk().bolt12_payment().receive_variable_amount("support us", None).unwrap();
        made.to_string().parse().unwrap()
    }

    /// An invoice whose payment is held until it is said otherwise.
    fn holds(&self, preimage: [u8; 32], msat: u64) -> Bolt11 {
        let hash = LdkHash(hash_of(preimage).0);
        let made = self.node.ldk().bolt11_payment().receive_for_hash(msat, &words(), 3_600, hash).unwrap();
        made.to_string().parse().unwrap()
    }

    fn settles(&self, preimage: [u8; 32], msat: u64) {
        let hash = LdkHash(hash_of(preimage).0);
        self.node.ldk().bolt11_payment().claim_for_hash(hash, msat, PaymentPreimage(preimage)).unwrap();
    }

    fn sends_back(&self, preimage: [u8; 32]) {
        self.node.ldk().bolt11_payment().fail_for_hash(LdkHash(hash_of(preimage).0)).unwrap();
    }
}

/// The other's adapter takes payments that are held as none of its own, and sends them back; this one leaves them alone.
fn patient() -> Labels {
    Arc::new(|_| Box::pin(std::future::pending()))
}

/// The node that is tried, and whoever is at the other end of its channel.
struct Pair {
    bitcoin: Bitcoin,
    other: Other,
    /// Where the other reaches the node that is tried.
    door: (PublicKey, SocketAddress),
    made: Made,
    tried: Tried,
}

enum Tried {
    Ldk { config: LdkConfig, node: Arc<Ldk> },
    Lnd { program: LndProgram, node: Arc<dyn Node> },
}

impl Pair {
    fn node(&self) -> Arc<dyn Node> {
        match &self.tried {
            Tried::Ldk { node, .. } => Arc::clone(node) as Arc<dyn Node>,
            Tried::Lnd { node, .. } => Arc::clone(node),
        }
    }

    /// The other opens a channel to this node, and waits until both can use it.
    async fn open_channel(bitcoin: &Bitcoin, other: &Ldk, key: &str, port: u16) -> (PublicKey, SocketAddress) {
        let address = other.ldk().onchain_payment().new_address().unwrap().to_string();
        bitcoin.send_to(&address).await;
        synced(other).await;
        let to = SocketAddress::from_str(&format!("127.0.0.1:{port}")).unwrap();
        let door = (PublicKey::from_str(key).unwrap(), to);
        let (node, (key, to)) = (other.ldk(), door.clone());
        tokio::task::spawn_blocking(move || node.open_channel(key, to, CHANNEL, Some(PUSHED_MSAT), None).unwrap())
            .await
            .unwrap();
        bitcoin.confirm().await;
        let node = other.ldk();
        until("the channel is usable", async || {
            synced(other).await;
            node.list_channels().iter().any(|channel| channel.is_usable)
        })
        .await;
        door
    }

    async fn ldk() -> Self {
        let bitcoin = Bitcoin::start().await;
        let config = bitcoin.ldk_config("ours", false);
        Self::ldk_on(bitcoin, config).await
    }

    /// The same with its chain from an Electrum server.
    async fn ldk_over_electrum() -> Self {
        let mut bitcoin = Bitcoin::start().await;
        let source = bitcoin.with_electrum().await;
        let config = LdkConfig { source, ..bitcoin.ldk_config("ours", false) };
        Self::ldk_on(bitcoin, config).await
    }

    async fn ldk_on(bitcoin: Bitcoin, config: LdkConfig) -> Self {
        let other = ldk(&bitcoin.ldk_config("other", true), patient()).await;
        let made = Made::default();
        let node = Arc::new(ldk(&config, made.labels()).await);
        let port = config.listen[0].split(':').next_back().unwrap().parse().unwrap();
        // For the anchor of its channel: without, it takes none.
        bitcoin.send_to(&node.ldk().onchain_payment().new_address().unwrap().to_string()).await;
        synced(&node).await;
        let door = Self::open_channel(&bitcoin, &other, &node.ldk().node_id().to_string(), port).await;
        let ours = node.ldk();
        until("our side can use the channel", async || {
            synced(&node).await;
            ours.list_channels().iter().any(|channel| channel.is_usable)
        })
        .await;
        Self { bitcoin, other: Other { node: other }, door, made, tried: Tried::Ldk { config, node } }
    }

    async fn lnd() -> Self {
        let bitcoin = Bitcoin::start().await;
        let other = ldk(&bitcoin.ldk_config("other", false), patient()).await;
        let program = LndProgram::start(&bitcoin).await;
        let door = Self::open_channel(&bitcoin, &other, &program.public_key().await, program.p2p).await;
        program.has_a_way_to(&other.ldk().node_id().to_string()).await;
        let node: Arc<dyn Node> = Arc::new(program.node().await);
        Self { bitcoin, other: Other { node: other }, door, made: Made::default(), tried: Tried::Lnd { program, node } }
    }

    /// The node dies, or is stopped, and is there again; with its channel.
    async fn starts_anew(&mut self) {
        match &mut self.tried {
            Tried::Ldk { config, node } => {
                node.stop().await;
                *node = Arc::new(ldk(config, self.made.labels()).await);
            }
            Tried::Lnd { program, .. } => program.kill_and_start().await,
        }
        let theirs = self.other.node.ldk();
        until("the channel is usable again", async || {
            let (node, (key, to)) = (Arc::clone(&theirs), self.door.clone());
            // It would by itself, within a minute.
            let _ = tokio::task::spawn_blocking(move || node.connect(key, to, true)).await;
            theirs.list_channels().iter().any(|channel| channel.is_usable)
        })
        .await;
        match &self.tried {
            Tried::Ldk { node, .. } => {
                let ours = node.ldk();
                until("our side can use it again", async || ours.list_channels().iter().any(|c| c.is_usable)).await;
            }
            Tried::Lnd { program, .. } => program.has_a_way_to(&theirs.node_id().to_string()).await,
        }
    }

    async fn invoice(&self, n: u8, msat: u64) -> Bolt11 {
        let wanted = wanted(n, msat);
        let made = self.node().new_invoice(&wanted).await.unwrap();
        self.made.0.lock().unwrap().insert(made.hash(), wanted.label);
        made
    }

    /// The end of a payment of ours, as soon as it is known.
    async fn end_of(&self, payment: &Payment) -> Outgoing {
        let node = self.node();
        until("a payment of ours is over", async || {
            let outcome = node.outgoing(payment, Duration::from_secs(5)).await;
            !matches!(outcome, Ok(Outgoing::InFlight) | Err(_))
        })
        .await;
        node.outgoing(payment, Duration::ZERO).await.unwrap()
    }
}

fn wanted(n: u8, msat: u64) -> Wanted {
    let amount = Msat::new(msat).unwrap();
    Wanted { label: top_up_id(n), amount, description: "a top-up".to_owned(), expiry: Duration::from_secs(3_600) }
}

fn payment(n: u8, to: Bolt11, msat: u64) -> Payment {
    let [amount, max_fee] = [msat, 5_000].map(|msat| Msat::new(msat).unwrap());
    Payment { id: payout_id(n), to: Target::Invoice(to), amount, max_fee }
}

/// Everything behind this cursor, until so many are there.
async fn settled(node: &Arc<dyn Node>, mut after: Cursor, count: usize) -> Vec<Settlement> {
    let mut all: Vec<Settlement> = Vec::new();
    while all.len() < count {
        for one in node.settlements(after).await.unwrap() {
            after = after.max(one.cursor);
            if !all.iter().any(|known| known.hash == one.hash) {
                all.push(one);
            }
        }
    }
    all
}

async fn money_comes_in(pair: &Pair) {
    let node = pair.node();
    assert_eq!(node.id().await.unwrap(), node.id().await.unwrap());
    let before = node.balances().await.unwrap().channels.msat();
    let first = pair.invoice(1, 1_000_000).await;
    assert_eq!((first.amount(), first.description()), (Msat::new(1_000_000), Some("a top-up")));
    assert_eq!(pair.invoice(1, 1_000_000).await.hash(), first.hash(), "the same label is the same invoice");
    assert_eq!(node.invoice(first.hash()).await.unwrap(), Some(InvoiceState::Open));
    assert_eq!(node.invoice(hash_of([99; 32])).await.unwrap(), None);
    assert!(pair.other.pays(&first).await);
    let found = settled(&node, Cursor(0), 1).await;
    assert_eq!((found[0].hash, found[0].amount.msat()), (first.hash(), 1_000_000));
    let state = node.invoice(first.hash()).await.unwrap();
    assert_eq!(state, Some(InvoiceState::Settled(Msat::new(1_000_000).unwrap())));
    assert_eq!(node.cancel_invoice(first.hash()).await.unwrap(), Cancelled::AlreadySettled);
    // Whoever has waited before it was paid hears of the next one; whoever begins anew hears of both.
    let second = pair.invoice(2, 7_654_321).await;
    let (paid, next) = tokio::join!(pair.other.pays(&second), settled(&node, found[0].cursor, 1));
    assert!(paid);
    assert!(next.iter().any(|one| one.hash == second.hash() && one.amount.msat() == 7_654_321), "{next:?}");
    let mut all = settled(&node, Cursor(0), 2).await;
    assert!(all.is_sorted_by_key(|one| one.cursor), "{all:?}");
    // The embedded node's cursor is a second: of two in the same one either may come first.
    all.sort_by_key(|one| (one.cursor, one.hash != first.hash()));
    assert_eq!(all.iter().map(|one| one.hash).collect::<Vec<_>>(), [first.hash(), second.hash()]);
    assert!(!pair.other.pays(&first).await, "an invoice is paid once");
    // Cancelled for good.
    let third = pair.invoice(3, 1_000_000).await;
    assert_eq!(node.cancel_invoice(third.hash()).await.unwrap(), Cancelled::Now);
    assert_eq!(node.cancel_invoice(third.hash()).await.unwrap(), Cancelled::Now);
    assert_eq!(node.invoice(third.hash()).await.unwrap(), Some(InvoiceState::Cancelled));
    assert!(!pair.other.pays(&third).await);
    assert_eq!(node.invoice(third.hash()).await.unwrap(), Some(InvoiceState::Cancelled));
    assert!(node.cancel_invoice(hash_of([99; 32])).await.is_err());
    until("the node counts what has come", async || {
        let after = node.balances().await.unwrap().channels.msat();
        (8_654_000..8_656_000).contains(&after.saturating_sub(before))
    })
    .await;
}

async fn money_goes_out(pair: &Pair) {
    let node = pair.node();
    let to = pair.other.invoice(2_000_000);
    let paid = payment(11, to.clone(), 2_000_000);
    assert_eq!(node.outgoing(&paid, Duration::ZERO).await.unwrap(), Outgoing::NeverHeard);
    assert_eq!(node.pay(&paid).await.unwrap(), Handed::Started);
    let Outgoing::Succeeded { fee, preimage } = pair.end_of(&paid).await else { panic!("it does not arrive") };
    assert_eq!((fee, hash_of(preimage.unwrap())), (Msat::ZERO, to.hash()));
    assert_eq!(node.pay(&paid).await.unwrap(), Handed::Duplicate, "it is never paid twice");
    // The payer says how much.
    let open = payment(12, pair.other.open_invoice(), 345_678);
    assert_eq!(node.pay(&open).await.unwrap(), Handed::Started);
    assert!(matches!(pair.end_of(&open).await, Outgoing::Succeeded { .. }));
    // Nobody knows a way there.
    let nowhere = payment(13, super::fake::bolt11([77; 32], Some(1_000_000), 3_600), 1_000_000);
    match node.pay(&nowhere).await.unwrap() {
        Handed::Started => assert!(matches!(pair.end_of(&nowhere).await, Outgoing::Failed(_))),
        handed => assert!(matches!(handed, Handed::Refused(_)), "{handed:?}"),
    }
    // One's own.
    let own = payment(14, pair.invoice(14, 1_000_000).await, 1_000_000);
    match node.pay(&own).await {
        Ok(Handed::Started) => assert!(matches!(pair.end_of(&own).await, Outgoing::Failed(_))),
        handed => assert!(matches!(handed, Ok(Handed::Refused(_)) | Err(NodeError::Refused(_))), "{handed:?}"),
    }
}

/// To an offer (BOLT 12): the node asks the payee for an invoice first. LND cannot.
async fn offers_are_paid(pair: &Pair) {
    let node = pair.node();
    let theirs = pair.other.node.ldk();
    let offer = pair.other.offer();
    let [amount, max_fee] = [123_456, 5_000].map(|msat| Msat::new(msat).unwrap());
    let payment = |n| Payment { id: payout_id(n), to: offer.clone(), amount, max_fee };
    if let Tried::Lnd { .. } = &pair.tried {
        let refused = node.pay(&payment(15)).await.unwrap();
        assert!(matches!(&refused, Handed::Refused(why) if why.contains("offers")), "{refused:?}");
        return;
    }
    assert_eq!(node.outgoing(&payment(15), Duration::ZERO).await.unwrap(), Outgoing::NeverHeard);
    // An offer is paid as often as one likes: each payment is known by its own id.
    for n in [15, 16] {
        assert_eq!(node.pay(&payment(n)).await.unwrap(), Handed::Started);
        let ended = pair.end_of(&payment(n)).await;
        assert!(matches!(ended, Outgoing::Succeeded { fee: Msat::ZERO, preimage: Some(_) }), "{ended:?}");
    }
    let arrived =
        |one: &&PaymentDetails| one.direction == PaymentDirection::Inbound && one.amount_msat == Some(123_456);
    until("both have arrived", async || theirs.list_payments_with_filter(arrived).len() == 2).await;
}

/// Begins a payment that the other holds.
async fn is_held(pair: &Pair, payment: &Payment) {
    let node = pair.node();
    assert_eq!(node.pay(payment).await.unwrap(), Handed::Started);
    assert_eq!(node.outgoing(payment, Duration::from_millis(500)).await.unwrap(), Outgoing::InFlight);
    assert_eq!(node.pay(payment).await.unwrap(), Handed::Duplicate);
}

/// What becomes of it when the other decides. Before the payment has reached it there is nothing to decide: it does it again.
async fn decided(pair: &Pair, payment: &Payment, decides: impl Fn()) -> Outgoing {
    let node = pair.node();
    until("a payment that was held is over", async || {
        decides();
        !matches!(node.outgoing(payment, Duration::from_secs(1)).await, Ok(Outgoing::InFlight) | Err(_))
    })
    .await;
    node.outgoing(payment, Duration::ZERO).await.unwrap()
}

async fn what_is_held_is_neither_paid_nor_failed(pair: &mut Pair) {
    let failing = payment(21, pair.other.holds([21; 32], 300_000), 300_000);
    is_held(pair, &failing).await;
    let ended = decided(pair, &failing, || pair.other.sends_back([21; 32])).await;
    assert!(matches!(ended, Outgoing::Failed(_)), "{ended:?}");
    let arriving = payment(22, pair.other.holds([22; 32], 400_000), 400_000);
    is_held(pair, &arriving).await;
    let ended = decided(pair, &arriving, || pair.other.settles([22; 32], 400_000)).await;
    assert!(matches!(ended, Outgoing::Succeeded { preimage: Some(preimage), .. } if preimage == [22; 32]), "{ended:?}");
    // Across the node's death.
    let held = payment(23, pair.other.holds([23; 32], 500_000), 500_000);
    is_held(pair, &held).await;
    pair.starts_anew().await;
    assert_eq!(pair.node().outgoing(&held, Duration::from_secs(1)).await.unwrap(), Outgoing::InFlight);
    let ended = decided(pair, &held, || pair.other.settles([23; 32], 500_000)).await;
    assert!(matches!(ended, Outgoing::Succeeded { preimage: Some(preimage), .. } if preimage == [23; 32]), "{ended:?}");
}

/// Top-ups and payouts by this node, and a crash between what is settled and what is credited.
async fn a_customer_tops_up_and_is_paid_out(pair: &mut Pair) {
    let database = Database::new(Kind::Sqlite).await;
    let ledger = database.ledger().await;
    let yes = || Box::pin(std::future::ready(true)) as payments::lightning::Told;
    let top_ups = |ledger: &Ledger, node| {
        let ledger = ledger.clone();
        async move { TopUps::new(ledger, node, (Books::default(), Chain::Regtest), TopUpRules::default()).await.unwrap() }
    };
    let ups = top_ups(&ledger, pair.node()).await;
    let sat = |sat| Msat::from_sat(sat).unwrap();
    let invoice = ups.request(top_up_id(31), account("ada"), sat(20_000), "credit of Ada").await.unwrap();
    pair.made.0.lock().unwrap().insert(invoice.bolt11.hash(), top_up_id(31));
    assert!(pair.other.pays(&invoice.bolt11).await);
    // Settled, and nobody has read of it: node and program begin anew.
    pair.starts_anew().await;
    let ups = top_ups(&ledger, pair.node()).await;
    let mut crediting = Crediting::new(ups, Arc::new(move |_| yes()));
    while balance(&ledger, "ada").await == 0 {
        crediting.step().await.unwrap();
    }
    assert_eq!(balance(&ledger, "ada").await, 20_000_000);
    let books = (Books::default(), Chain::Regtest);
    let payouts = Payouts::new(ledger.clone(), pair.node(), books, PayoutRules::default()).await.unwrap();
    let mut paying = Paying::new(payouts.clone(), Arc::new(move |_| yes()));
    let mut orders = vec![(31, Target::Invoice(pair.other.invoice(15_000_000)), None, 5_000_000_u64)];
    if let Tried::Ldk { .. } = &pair.tried {
        orders.push((32, pair.other.offer(), Some(sat(2_000)), 3_000_000));
    }
    for (n, to, amount, left) in orders {
        let order = Order { id: payout_id(n), account: account("ada"), to, amount, max_fee: None };
        payouts.request(&order).await.unwrap();
        until("the payout is over", async || {
            paying.round().await.unwrap();
            payouts.status(payout_id(n)).await.unwrap().unwrap().state.is_over()
        })
        .await;
        let state = payouts.status(payout_id(n)).await.unwrap().unwrap().state;
        assert!(matches!(state, PayoutState::Paid { fee: Msat::ZERO, preimage: Some(_) }), "{state:?}");
        assert_eq!((balance(&ledger, "ada").await, available(&ledger, "ada").await), (i128::from(left), left));
    }
    assert_balanced(&ledger).await;
    assert!(pair.bitcoin.folder.path().exists());
}

async fn contract(mut pair: Pair) {
    money_comes_in(&pair).await;
    money_goes_out(&pair).await;
    offers_are_paid(&pair).await;
    what_is_held_is_neither_paid_nor_failed(&mut pair).await;
    a_customer_tops_up_and_is_paid_out(&mut pair).await;
    pair.other.node.stop().await;
    if let Tried::Ldk { node, .. } = &pair.tried {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs bitcoind, which cargo xtask test installs"]
async fn the_embedded_lightning_node_keeps_its_contract() {
    contract(Pair::ldk().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs bitcoind and ElectrumX, which cargo xtask test installs"]
async fn the_embedded_node_keeps_its_contract_over_an_electrum_server() {
    contract(Pair::ldk_over_electrum().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs bitcoind and LND, which cargo xtask test installs"]
async fn lnd_as_lightning_node_keeps_its_contract() {
    contract(Pair::lnd().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs bitcoind and LND, which cargo xtask test installs"]
async fn lnd_as_lightning_node_lets_nobody_in_but_by_its_own_certificate_and_macaroon() {
    let bitcoin = Bitcoin::start().await;
    let program = LndProgram::start(&bitcoin).await;
    let config = program.config().await;
    let clock: payments::ledger::Clock = Arc::new(crate::support::now);
    let made = wanted(1, 1_000_000);
    let node = payments::lightning::lnd::Lnd::new(&config, Arc::clone(&clock)).unwrap();
    node.new_invoice(&made).await.unwrap();
    // Another certificate, though LND's is one that its own authority signed.
    let other = bitcoin.folder.path().join("other.cert");
    let key = bitcoin.folder.path().join("other.key");
    let openssl = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&other)
        .output()
        .unwrap();
    assert!(openssl.status.success());
    let mut wrong = config.clone();
    wrong.certificate_file = Some(other);
    let stranger = payments::lightning::lnd::Lnd::new(&wrong, Arc::clone(&clock)).unwrap();
    let refused = stranger.new_invoice(&made).await.unwrap_err();
    assert!(refused.is_certain(), "nothing was sent: {refused}");
    // The macaroon that makes invoices cannot pay.
    let mut poor = config.clone();
    poor.payout_macaroon_file = Some(poor.macaroon_file.clone());
    let poor = payments::lightning::lnd::Lnd::new(&poor, Arc::clone(&clock)).unwrap();
    let to = super::fake::bolt11([5; 32], Some(1_000), 3_600);
    let refused = poor.pay(&payment(1, to.clone(), 1_000)).await.unwrap_err();
    assert!(refused.is_certain() && refused.to_string().contains("permission denied"), "{refused}");
    let mut none = config;
    none.payout_macaroon_file = None;
    let none = payments::lightning::lnd::Lnd::new(&none, clock).unwrap();
    let refused = none.pay(&payment(1, to, 1_000)).await.unwrap_err();
    assert!(refused.is_certain() && refused.to_string().contains("payout_macaroon_file"), "{refused}");
    let hodl = json!({ "hash": LndProgram::bytes(&hash_of([6; 32]).0), "value_msat": "1000" });
    assert!(program.ask("POST", "/v2/invoices/hodl", Some(hodl)).await.is_some(), "the tests' LND can hold invoices");
}
