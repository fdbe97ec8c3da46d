//! A Lightning node in memory that does what it is told, loses what it is told to lose, and remembers what it was asked. It
//! answers over HTTP, so that processes that are killed do not take it with them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use lightning::bitcoin::hashes::Hash as _;
use lightning::bitcoin::hashes::sha256;
use lightning::bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use payments::lightning::{
    Answer, Balances, Bolt11, Cancelled, Cursor, Handed, InvoiceState, Node, NodeError, NodeId, Outgoing, Payment,
    PaymentHash, Settlement, TopUpId, Wanted,
};
use payments::{Msat, UnixMillis};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and the answer never comes.
    Lost,
    /// It is not done: an error that says nothing.
    Broken,
    /// It never reached the node, which is certain.
    Unreachable,
    /// It is done, and the answer is held back until the asker is gone.
    Stuck,
    /// Nothing is done, and the asker waits until it is gone.
    StuckBefore,
}

#[derive(Debug, Serialize, Deserialize)]
enum Call {
    Id,
    NewInvoice(Wanted),
    Invoice(PaymentHash),
    Cancel(PaymentHash),
    Settlements(Cursor),
    Pay(Payment),
    Outgoing(Payment),
    Balances,
}

impl Call {
    const fn name(&self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::NewInvoice(_) => "new_invoice",
            Self::Invoice(_) => "invoice",
            Self::Cancel(_) => "cancel_invoice",
            Self::Settlements(_) => "settlements",
            Self::Pay(_) => "pay",
            Self::Outgoing(_) => "outgoing",
            Self::Balances => "balances",
        }
    }
}

/// What the node's payments come to.
#[derive(Debug, Clone)]
pub(crate) enum Payee {
    /// They arrive, at this fee.
    Pays(u64),
    /// They fail.
    Fails,
    /// They are held until it is said otherwise.
    Holds,
    /// They are turned away before anything is done.
    Refuses,
}

pub(crate) struct Inner {
    invoices: BTreeMap<PaymentHash, (Bolt11, InvoiceState)>,
    labels: BTreeMap<TopUpId, PaymentHash>,
    settlements: Vec<Settlement>,
    /// What became of each payment, by its hash, or by its name where it goes to an offer.
    pub(crate) payments: BTreeMap<String, Outgoing>,
    /// Everything that was handed in to be paid and begun.
    pub(crate) paid: Vec<Payment>,
    /// Everything that was handed in to be paid.
    pub(crate) asked_to_pay: Vec<Payment>,
    pub(crate) payee: Payee,
    pub(crate) balance: Msat,
    /// Settles what it has cancelled, as no node should.
    pub(crate) is_careless: bool,
    /// Shows this for every receipt.
    pub(crate) receipt: Option<[u8; 32]>,
    faults: VecDeque<(&'static str, Fault)>,
}

/// A node that is gone with this.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
    asked: Asked,
    _server: Arc<Server>,
}

struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How often each method was asked for.
type Asked = watch::Sender<BTreeMap<&'static str, u32>>;
type Shared = (Arc<Mutex<Inner>>, Asked);

impl Fake {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            invoices: BTreeMap::new(),
            labels: BTreeMap::new(),
            settlements: Vec::new(),
            payments: BTreeMap::new(),
            paid: Vec::new(),
            asked_to_pay: Vec::new(),
            payee: Payee::Pays(1_000),
            balance: Msat::from_sat(100_000_000).unwrap(),
            is_careless: false,
            receipt: None,
            faults: VecDeque::new(),
        }));
        let asked = Asked::new(BTreeMap::new());
        let shared = (Arc::clone(&inner), asked.clone());
        let router = axum::Router::new().route("/", axum::routing::post(answer)).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, asked, _server: Arc::new(Server(server)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn node(&self) -> Arc<dyn Node> {
        Arc::new(Remote::new(&self.url))
    }

    /// The next call of this name goes wrong.
    pub(crate) fn fault(&self, name: &'static str, fault: Fault) {
        self.lock().faults.push_back((name, fault));
    }

    /// Waits until this was asked for once more than now, when this is called.
    pub(crate) fn asked(&self, name: &'static str) -> impl Future<Output = ()> + use<> {
        let mut seen = self.asked.subscribe();
        let times = move |asked: &BTreeMap<&'static str, u32>| asked.get(name).copied().unwrap_or_default();
        let before = times(&seen.borrow());
        async move {
            seen.wait_for(|asked| times(asked) > before).await.unwrap();
        }
    }

    /// Somebody pays an invoice of the node's with so much. `false`: it cannot be paid.
    pub(crate) fn receive(&self, hash: PaymentHash, msat: u64) -> bool {
        let mut inner = self.lock();
        let is_careless = inner.is_careless;
        let amount = Msat::new(msat).unwrap();
        let Some((_, state)) = inner.invoices.get_mut(&hash) else { return false };
        if *state != InvoiceState::Open && !is_careless {
            return false;
        }
        *state = InvoiceState::Settled(amount);
        let cursor = Cursor(inner.settlements.len() as u64 + 1);
        inner.settlements.push(Settlement { hash, amount, cursor });
        true
    }

    /// The node tells of a settlement as it likes.
    pub(crate) fn says_settled(&self, hash: PaymentHash, msat: u64) {
        let mut inner = self.lock();
        let cursor = Cursor(inner.settlements.len() as u64 + 1);
        inner.settlements.push(Settlement { hash, amount: Msat::new(msat).unwrap(), cursor });
    }

    /// What becomes of a payment that is held.
    pub(crate) fn ends(&self, hash: PaymentHash, outcome: Outgoing) {
        self.lock().payments.insert(hash.to_string(), outcome);
    }

    /// How often a payment to this hash was begun.
    pub(crate) fn times_paid(&self, hash: PaymentHash) -> usize {
        self.lock().paid.iter().filter(|payment| payment.to.hash() == Some(hash)).count()
    }
}

impl Inner {
    fn answer(&mut self, call: Call) -> Result<Value, NodeError> {
        Ok(match call {
            Call::Id => json!(NodeId(key().serialize())),
            Call::NewInvoice(wanted) => json!(self.new_invoice(&wanted)),
            Call::Invoice(hash) => json!(self.invoices.get(&hash).map(|(_, state)| state)),
            Call::Cancel(hash) => match self.invoices.get_mut(&hash) {
                None => return Err(NodeError::Refused("there is no such invoice".to_owned())),
                Some((_, InvoiceState::Settled(_))) => json!(Cancelled::AlreadySettled),
                Some((_, state)) => {
                    *state = InvoiceState::Cancelled;
                    json!(Cancelled::Now)
                }
            },
            Call::Settlements(after) => {
                json!(self.settlements.iter().filter(|one| one.cursor > after).take(3).collect::<Vec<_>>())
            }
            Call::Pay(payment) => json!(self.pay(payment)),
            Call::Outgoing(payment) => json!(self.payments.get(&name(&payment)).unwrap_or(&Outgoing::NeverHeard)),
            Call::Balances => json!(Balances { channels: self.balance, on_chain: Msat::ZERO, at: UnixMillis(0) }),
        })
    }

    fn new_invoice(&mut self, wanted: &Wanted) -> Bolt11 {
        if let Some(hash) = self.labels.get(&wanted.label) {
            return self.invoices[hash].0.clone();
        }
        let preimage = preimage_of(wanted.label.bytes()[0], self.labels.len());
        let bolt11 = bolt11(preimage, Some(wanted.amount.msat()), wanted.expiry.as_secs());
        self.labels.insert(wanted.label, bolt11.hash());
        self.invoices.insert(bolt11.hash(), (bolt11.clone(), InvoiceState::Open));
        bolt11
    }

    fn pay(&mut self, payment: Payment) -> Handed {
        self.asked_to_pay.push(payment.clone());
        let known = self.payments.get(&name(&payment));
        if payment.to.hash().is_some() && known.is_some_and(|known| !matches!(known, Outgoing::Failed(_))) {
            return Handed::Duplicate;
        }
        let outcome = match self.payee {
            Payee::Refuses => return Handed::Refused("no route".to_owned()),
            Payee::Pays(fee) => Outgoing::Succeeded { fee: Msat::new(fee).unwrap(), preimage: self.receipt },
            Payee::Fails => Outgoing::Failed("no way there".to_owned()),
            Payee::Holds => Outgoing::InFlight,
        };
        self.payments.insert(name(&payment), outcome);
        self.paid.push(payment);
        Handed::Started
    }
}

fn name(payment: &Payment) -> String {
    payment.to.hash().map_or_else(|| payment.id.to_string(), |hash| hash.to_string())
}

async fn answer(State((inner, asked)): State<Shared>, body: String) -> Response {
    let call: Call = serde_json::from_str(&body).unwrap();
    let name = call.name();
    let (fault, answer) = {
        let mut inner = inner.lock().unwrap();
        let place = inner.faults.iter().position(|(faulty, _)| *faulty == name);
        let fault = place.and_then(|place| inner.faults.remove(place)).map(|(_, fault)| fault);
        let answer = match fault {
            Some(Fault::Broken | Fault::StuckBefore) => Err(NodeError::Unsure("broken pipe".to_owned())),
            Some(Fault::Unreachable) => Err(NodeError::Refused("connection refused".to_owned())),
            _ => inner.answer(call),
        };
        (fault, answer)
    };
    asked.send_modify(|asked| *asked.entry(name).or_default() += 1);
    match fault {
        Some(Fault::Lost) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        Some(Fault::Stuck | Fault::StuckBefore) => std::future::pending().await,
        _ => serde_json::to_string(&answer).unwrap().into_response(),
    }
}

/// A node behind an address.
pub(crate) struct Remote {
    http: reqwest::Client,
    url: String,
}

impl Remote {
    pub(crate) fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { http, url: url.to_owned() }
    }

    fn ask<T: DeserializeOwned>(&self, call: &Call) -> Answer<'_, T> {
        let body = serde_json::to_string(call).unwrap();
        Box::pin(async move {
            let lost = |error: reqwest::Error| NodeError::Unsure(error.to_string());
            let answer = self.http.post(&self.url).body(body).send().await.map_err(lost)?;
            let text = answer.error_for_status().map_err(lost)?.text().await.map_err(lost)?;
            let answer: Result<Value, NodeError> = serde_json::from_str(&text).unwrap();
            Ok(serde_json::from_value(answer?).unwrap())
        })
    }
}

impl Node for Remote {
    fn id(&self) -> Answer<'_, NodeId> {
        self.ask(&Call::Id)
    }

    fn new_invoice<'a>(&'a self, wanted: &'a Wanted) -> Answer<'a, Bolt11> {
        self.ask(&Call::NewInvoice(wanted.clone()))
    }

    fn invoice(&self, hash: PaymentHash) -> Answer<'_, Option<InvoiceState>> {
        self.ask(&Call::Invoice(hash))
    }

    fn cancel_invoice(&self, hash: PaymentHash) -> Answer<'_, Cancelled> {
        self.ask(&Call::Cancel(hash))
    }

    fn settlements(&self, after: Cursor) -> Answer<'_, Vec<Settlement>> {
        self.ask(&Call::Settlements(after))
    }

    fn pay<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Handed> {
        self.ask(&Call::Pay(payment.clone()))
    }

    fn outgoing<'a>(&'a self, payment: &'a Payment, _wait: Duration) -> Answer<'a, Outgoing> {
        self.ask(&Call::Outgoing(payment.clone()))
    }

    fn balances(&self) -> Answer<'_, Balances> {
        self.ask(&Call::Balances)
    }
}

fn secret() -> SecretKey {
    SecretKey::from_slice(&[41; 32]).unwrap()
}

fn key() -> PublicKey {
    PublicKey::from_secret_key(&Secp256k1::new(), &secret())
}

fn preimage_of(first: u8, count: usize) -> [u8; 32] {
    let mut preimage = [first; 32];
    preimage[..8].copy_from_slice(&(count as u64 + 1).to_be_bytes());
    preimage
}

/// The hash of a receipt.
pub(crate) fn hash_of(preimage: [u8; 32]) -> PaymentHash {
    PaymentHash(sha256::Hash::hash(&preimage).to_byte_array())
}

/// An invoice on one's own chain, whoever's, made at this moment.
pub(crate) fn bolt11(preimage: [u8; 32], msat: Option<u64>, expiry: u64) -> Bolt11 {
    let builder = InvoiceBuilder::new(Currency::Regtest)
        .description("a test".to_owned())
        .payment_hash(sha256::Hash::hash(&preimage))
        .payment_secret(PaymentSecret([7; 32]))
        .duration_since_epoch(std::time::UNIX_EPOCH.elapsed().unwrap())
        .min_final_cltv_expiry_delta(144)
        .expiry_time(Duration::from_secs(expiry));
    let builder = match msat {
        Some(msat) => builder.amount_milli_satoshis(msat),
        None => builder,
    };
    let signed = builder.build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &secret())).unwrap();
    signed.to_string().parse().unwrap()
}
