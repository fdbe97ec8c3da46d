//! The operator's LND, by its REST interface: a macaroon in every request, and one certificate that is trusted.
//!
//! Least privilege: the macaroon that makes invoices cannot pay, and the one that pays ([`LndConfig::payout_macaroon_file`]) can
//! do nothing else.
//!
//! What LND means by its answers: "permission denied" (with HTTP 500) is certain, any other 500 is not; "payment isn't
//! initiated" (404) is no failure; `timeout_seconds` ends new attempts and not a payment that is held; the settle index 0
//! replays nothing, so before the first settlement that was stored the invoices are listed.

mod pinned;
mod wire;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE as BASE64_URL};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::backend::POLL;
use super::config::{ConfigError, LndConfig};
use super::secret::{self, SecretError};
use super::{
    Answer, Balances, Bolt11, Cancelled, Cursor, Handed, InvoiceState, Node, NodeError, NodeId, Outgoing, Payment,
    PaymentHash, Settlement, Target, Wanted,
};
use crate::ledger::Clock;
pub(super) use wire::read_as_any;
use wire::{Refusal, Stream};

/// How long an answer to a plain question may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long LND tries new ways for a payment.
const ATTEMPTS: Duration = Duration::from_secs(60);
/// Invoices in a page of the list.
const PAGE: u32 = 1_000;
/// How long the first settlement of all is waited for before the list is looked at again.
const FIRST: Duration = Duration::from_secs(2);
/// What comes within this time of a settlement is told with it.
const TOGETHER: Duration = Duration::from_millis(20);

/// Why there is no connection to LND.
#[derive(Debug, thiserror::Error)]
pub enum LndError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The files.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The certificate.
    #[error("lightning.node.certificate_file: {0}")]
    Certificate(String),
    /// The HTTP client.
    #[error("no HTTP client for LND: {0}")]
    Client(String),
}

/// An LND.
pub struct Lnd {
    /// Makes and looks up invoices.
    http: reqwest::Client,
    /// Pays; `None`: it must not.
    payer: Option<reqwest::Client>,
    url: String,
    /// Of which an invoice's preimage is made, with its label.
    key: Zeroizing<[u8; 32]>,
    clock: Clock,
}

impl std::fmt::Debug for Lnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lnd")
    }
}

impl Lnd {
    /// Connects to nobody yet: reads the files and checks the address.
    ///
    /// # Errors
    /// [`LndError`] names the configuration's key.
    pub fn new(config: &LndConfig, clock: Clock) -> Result<Self, LndError> {
        config.check()?;
        let macaroon = secret::read("lightning.node.macaroon_file", &config.macaroon_file)?;
        let mut hash = Sha256::new();
        hash.update(b"roomtone lightning preimages");
        hash.update(&*macaroon);
        let payer = match &config.payout_macaroon_file {
            None => None,
            Some(file) => {
                let macaroon = secret::read("lightning.node.payout_macaroon_file", file)?;
                Some(client(config, &macaroon)?)
            }
        };
        Ok(Self {
            http: client(config, &macaroon)?,
            payer,
            url: config.url.trim_end_matches('/').to_owned(),
            key: Zeroizing::new(hash.finalize().into()),
            clock,
        })
    }

    fn payer(&self) -> Result<&reqwest::Client, NodeError> {
        let missing = "lightning.node.payout_macaroon_file is missing: nothing is paid out";
        self.payer.as_ref().ok_or_else(|| NodeError::Refused(missing.to_owned()))
    }

    async fn get(&self, path: &str) -> Result<Value, Refusal> {
        wire::answer(self.http.get(format!("{}{path}", self.url)).timeout(TIMEOUT).send().await).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        wire::answer(self.http.post(format!("{}{path}", self.url)).json(body).timeout(TIMEOUT).send().await).await
    }

    /// The same label, the same preimage.
    fn preimage(&self, wanted: &Wanted) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.key[..]);
        hash.update(wanted.label.bytes());
        hash.finalize().into()
    }

    async fn make(&self, wanted: &Wanted) -> Result<Bolt11, NodeError> {
        let preimage = self.preimage(wanted);
        let hash = PaymentHash(Sha256::digest(preimage).into());
        let body = json!({
            "memo": wanted.description,
            "r_preimage": BASE64.encode(preimage),
            "value_msat": wanted.amount.msat().to_string(),
            "expiry": wanted.expiry.as_secs().to_string(),
            // With the ways to channels that nobody announces: it may have no others.
            "private": true,
        });
        let made = match self.post("/v1/invoices", &body).await {
            Ok(made) => made,
            // It was made before, and the answer was lost.
            Err(refusal) if refusal.says("already exists") => self.get(&format!("/v1/invoice/{hash}")).await?,
            Err(refusal) => return Err(refusal.into()),
        };
        let bolt11: Bolt11 = wire::text(&made, "payment_request")?.parse().map_err(wire::odd)?;
        if bolt11.hash() != hash {
            return Err(NodeError::Unsure(format!("it made an invoice with the hash {}", bolt11.hash())));
        }
        Ok(bolt11)
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<Option<InvoiceState>, NodeError> {
        match self.get(&format!("/v1/invoice/{hash}")).await {
            Ok(invoice) => wire::state(&invoice).map(Some),
            Err(refusal) if refusal.is_not_found() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn cancel(&self, hash: PaymentHash) -> Result<Cancelled, NodeError> {
        let cancelled = self.post("/v2/invoices/cancel", &json!({ "payment_hash": BASE64.encode(hash.0) })).await;
        // Whatever it said: how the invoice stands is what counts.
        match self.look_up(hash).await? {
            Some(InvoiceState::Cancelled) => Ok(Cancelled::Now),
            Some(InvoiceState::Settled(_)) => Ok(Cancelled::AlreadySettled),
            Some(InvoiceState::Open) => Err(match cancelled {
                Ok(_) => NodeError::Unsure("it says that it has cancelled an invoice that is open".to_owned()),
                Err(refusal) => refusal.into(),
            }),
            None => Err(NodeError::Refused(format!("LND has no invoice {hash}"))),
        }
    }

    /// All that were settled, from the list: what the stream does not replay behind index 0.
    async fn listed(&self) -> Result<Vec<Settlement>, NodeError> {
        let (mut settled, mut offset) = (Vec::new(), 0);
        loop {
            let path = format!("/v1/invoices?index_offset={offset}&num_max_invoices={PAGE}");
            let page = self.get(&path).await?;
            let invoices = page["invoices"].as_array().map(Vec::as_slice).unwrap_or_default();
            for invoice in invoices {
                settled.extend(wire::settlement(invoice)?);
            }
            let last = wire::number(&page, "last_index_offset").unwrap_or_default();
            if invoices.is_empty() || last <= offset {
                break;
            }
            offset = last;
        }
        settled.sort_by_key(|settlement| settlement.cursor);
        Ok(settled)
    }

    async fn settled_behind(&self, after: Cursor) -> Result<Vec<Settlement>, NodeError> {
        let mut until = Instant::now() + POLL;
        if after.0 == 0 {
            let listed = self.listed().await?;
            if !listed.is_empty() {
                return Ok(listed);
            }
            // What is settled between the list and the stream is in neither: the next look at the list comes soon.
            until = Instant::now() + FIRST;
        }
        let mut settled = Vec::new();
        let request = self.http.get(format!("{}/v1/invoices/subscribe?settle_index={}", self.url, after.0));
        // LND sends not even the head of its answer before there is something to tell.
        let Ok(stream) = timeout_at(until, Stream::open(request)).await else { return Ok(settled) };
        let mut stream = stream?;
        while let Ok(next) = timeout_at(until, stream.next()).await {
            let Some(invoice) = next? else { break };
            if let Some(settlement) = wire::settlement(&invoice)? {
                settled.push(settlement);
                until = Instant::now() + TOGETHER;
            }
        }
        settled.sort_by_key(|settlement: &Settlement| settlement.cursor);
        Ok(settled)
    }

    async fn hand_over(&self, payment: &Payment) -> Result<Handed, NodeError> {
        let Target::Invoice(invoice) = &payment.to else {
            return Ok(Handed::Refused("LND cannot pay offers; ask for an invoice".to_owned()));
        };
        let mut body = json!({
            "payment_request": invoice.as_str(),
            "timeout_seconds": ATTEMPTS.as_secs(),
            "fee_limit_msat": payment.max_fee.msat().to_string(),
        });
        if invoice.amount().is_none() {
            body["amt_msat"] = json!(payment.amount.msat().to_string());
        }
        let request = self.payer()?.post(format!("{}/v2/router/send", self.url)).json(&body);
        let begun = async {
            let mut stream = Stream::open(request).await?;
            // Its first word: it is on LND's disk. The payment goes on there when the stream is gone.
            stream.next().await
        };
        let begun = tokio::time::timeout(TIMEOUT, begun).await;
        let begun = begun.unwrap_or_else(|_| Err(Refusal::Unsure("it does not answer in time".to_owned())));
        match begun {
            Ok(Some(_)) => Ok(Handed::Started),
            Ok(None) => Err(NodeError::Unsure("it ended the stream without a word".to_owned())),
            Err(refusal) if refusal.says("already paid") || refusal.says("in transition") => Ok(Handed::Duplicate),
            Err(refusal) => match refusal.turned_away() {
                Some(why) => Ok(Handed::Refused(why)),
                None => Err(refusal.into()),
            },
        }
    }

    async fn became(&self, payment: &Payment, wait: Duration) -> Result<Outgoing, NodeError> {
        let Target::Invoice(invoice) = &payment.to else { return Ok(Outgoing::NeverHeard) };
        let hash = BASE64_URL.encode(invoice.hash().0);
        let until = Instant::now() + wait;
        let looked = async {
            let request = self.payer()?.get(format!("{}/v2/router/track/{hash}", self.url));
            let mut stream = match Stream::open(request).await {
                Ok(stream) => stream,
                Err(refusal) => return never_heard(refusal),
            };
            // LND tells how it stands at once, and then how it changes.
            let mut next = stream.next().await;
            loop {
                let payment = match next {
                    Ok(Some(payment)) => payment,
                    Ok(None) => return Err(NodeError::Unsure("it ended the stream without a word".to_owned())),
                    Err(refusal) => return never_heard(refusal),
                };
                match wire::outgoing(&payment)? {
                    Outgoing::InFlight => {}
                    over => return Ok(over),
                }
                next = match timeout_at(until, stream.next()).await {
                    Ok(next) => next,
                    Err(_) => return Ok(Outgoing::InFlight),
                };
            }
        };
        let looked = tokio::time::timeout(TIMEOUT + wait, looked).await;
        looked.unwrap_or_else(|_| Err(NodeError::Unsure("it does not answer in time".to_owned())))
    }

    async fn holds(&self) -> Result<Balances, NodeError> {
        let channels = self.get("/v1/balance/channels").await?;
        let chain = self.get("/v1/balance/blockchain").await?;
        let closing = self.get("/v1/channels/pending").await?;
        let ours = wire::msat(&channels["local_balance"], "msat")?;
        let opening = wire::msat(&channels["pending_open_local_balance"], "msat")?;
        let limbo = wire::sat(&closing, "total_limbo_balance")?;
        let on_chain = wire::sat(&chain, "total_balance")?;
        let sum = |a: crate::Msat, b| a.checked_add(b).ok_or_else(|| wire::odd("more than all money there is"));
        Ok(Balances { channels: sum(ours, opening)?, on_chain: sum(on_chain, limbo)?, at: (self.clock)() })
    }
}

/// "payment isn't initiated": it does not know of it.
fn never_heard(refusal: Refusal) -> Result<Outgoing, NodeError> {
    if refusal.is_not_found() { Ok(Outgoing::NeverHeard) } else { Err(refusal.into()) }
}

/// A client that shows this macaroon and trusts this certificate.
fn client(config: &LndConfig, macaroon: &[u8]) -> Result<reqwest::Client, LndError> {
    let mut header = HeaderValue::from_str(&Zeroizing::new(hex::encode(macaroon)))
        .map_err(|error| LndError::Client(error.to_string()))?;
    header.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("Grpc-Metadata-macaroon", header);
    let builder = reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(Duration::from_secs(5))
        // They could lead to another host, and take the macaroon there.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = match &config.certificate_file {
        None => builder,
        Some(file) => builder.use_preconfigured_tls(pinned::tls(file).map_err(LndError::Certificate)?),
    };
    builder.build().map_err(|error| LndError::Client(error.to_string()))
}

impl Node for Lnd {
    fn id(&self) -> Answer<'_, NodeId> {
        Box::pin(async {
            let info = self.get("/v1/getinfo").await?;
            wire::text(&info, "identity_pubkey")?.parse().map_err(wire::odd)
        })
    }

    fn new_invoice<'a>(&'a self, wanted: &'a Wanted) -> Answer<'a, Bolt11> {
        Box::pin(self.make(wanted))
    }

    fn invoice(&self, hash: PaymentHash) -> Answer<'_, Option<InvoiceState>> {
        Box::pin(self.look_up(hash))
    }

    fn cancel_invoice(&self, hash: PaymentHash) -> Answer<'_, Cancelled> {
        Box::pin(self.cancel(hash))
    }

    fn settlements(&self, after: Cursor) -> Answer<'_, Vec<Settlement>> {
        Box::pin(self.settled_behind(after))
    }

    fn pay<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Handed> {
        Box::pin(self.hand_over(payment))
    }

    fn outgoing<'a>(&'a self, payment: &'a Payment, wait: Duration) -> Answer<'a, Outgoing> {
        Box::pin(self.became(payment, wait))
    }

    fn balances(&self) -> Answer<'_, Balances> {
        Box::pin(self.holds())
    }
}
