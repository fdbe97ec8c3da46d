//! The embedded node: ldk-node, with its keys from a file and its chain from where the operator says.
//!
//! Invoices are made for a hash of ours, so that the same label gives the same payment and an invoice can be cancelled for good:
//! ldk-node claims those itself that it made the hash of, also when they were marked as failed. Their preimage is made of the
//! seed and the label, and claimed when the payment is there, unless the invoice was cancelled. Which label a hash has is asked
//! of [`Labels`], where it was written before anybody saw the invoice.
//!
//! Settlements are read off ldk-node's own list of payments, which is on disk before its event is told; the cursor is the
//! second in which a payment was last changed. Clocks are set back, so it reads a day before the cursor too, and leaves out what
//! was confirmed in this process.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::ln::msgs::SocketAddress;
use ldk_node::lightning::offers::offer::Offer as LdkOffer;
use ldk_node::lightning::routing::router::RouteParametersConfig;
use ldk_node::lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescription, Description as LdkDescription};
use ldk_node::lightning_types::payment::{PaymentHash as LdkHash, PaymentPreimage};
use ldk_node::payment::{PaymentDetails, PaymentDirection, PaymentKind, PaymentStatus};
use ldk_node::{Event, NodeError as LdkRefusal, PendingSweepBalance};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::backend::POLL;
use super::config::{ChainSource, ConfigError, LdkConfig};
use super::secret::{self, SecretError};
use super::{
    Answer, Balances, Bolt11, Cancelled, Chain, Cursor, Handed, InvoiceState, Node, NodeError, NodeId, Outgoing,
    Payment, PaymentHash, Settlement, Target, TopUpId, Wanted,
};
use crate::Msat;
use crate::ledger::Clock;
use crate::tables::TableError;

/// So much before the cursor is read too, in seconds: clocks are set back.
const BACK: u64 = 86_400;
/// How long a payment that is there waits when its label cannot be looked up.
const RETRY: Duration = Duration::from_secs(2);

/// Under which label an invoice of this hash was made; `None`: none of ours.
pub type Labels =
    Arc<dyn Fn(PaymentHash) -> Pin<Box<dyn Future<Output = Result<Option<TopUpId>, TableError>> + Send>> + Send + Sync>;

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum LdkError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The files.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An address or a name that is none.
    #[error("{key} is not understood: {value:?}")]
    Value {
        /// The configuration's key.
        key: &'static str,
        /// As it stands there.
        value: String,
    },
    /// It cannot be made of what is in its folder.
    #[error("the Lightning node cannot be made: {0}")]
    Build(String),
    /// It does not start: the chain is not reached, or a port is taken.
    #[error("the Lightning node does not start: {0}")]
    Start(String),
}

/// The embedded node, running.
pub struct Ldk {
    inner: Arc<Inner>,
    stop: CancellationToken,
}

struct Inner {
    node: Arc<ldk_node::Node>,
    /// Of which an invoice's preimage is made, with its label.
    key: Zeroizing<[u8; 32]>,
    labels: Labels,
    /// Held while an invoice is made, claimed or cancelled.
    invoices: tokio::sync::Mutex<Claiming>,
    /// Settlements that whoever reads them has stored.
    confirmed: Mutex<Confirmed>,
    /// Changes with every event.
    events: watch::Sender<u64>,
    clock: Clock,
}

/// Invoices that are being claimed: they cannot be cancelled any more.
type Claiming = HashSet<PaymentHash>;

#[derive(Default)]
struct Confirmed {
    after: Cursor,
    handed: Vec<Settlement>,
    stored: HashSet<PaymentHash>,
}

impl std::fmt::Debug for Ldk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ldk({})", self.inner.node.node_id())
    }
}

impl Ldk {
    /// Starts the node. It needs a runtime of several threads.
    ///
    /// # Errors
    /// [`LdkError`] names the configuration's key, where one is to blame.
    pub async fn start(config: &LdkConfig, chain: Chain, labels: Labels, clock: Clock) -> Result<Self, LdkError> {
        let seed = secret::read("lightning.node.seed_file", &config.seed_file)?;
        let Ok(seed) = <[u8; 64]>::try_from(seed.as_slice()).map(Zeroizing::new) else {
            let (key, path) = ("lightning.node.seed_file", config.seed_file.clone());
            let what = "seed of 64 random bytes; make one with `head -c 64 /dev/urandom`, and keep a copy of it";
            return Err(SecretError::Other { key, path, what }.into());
        };
        let mut hash = Sha256::new();
        hash.update(b"roomtone lightning preimages");
        hash.update(&seed[..]);
        let key = Zeroizing::new(hash.finalize().into());
        let builder = builder(config, chain, &seed)?;
        let runtime = tokio::runtime::Handle::current();
        let node = tokio::task::spawn_blocking(move || {
            let mut builder = builder;
            builder.set_runtime(runtime);
            let node = builder.build().map_err(|error| LdkError::Build(error.to_string()))?;
            node.start().map_err(|error| LdkError::Start(error.to_string()))?;
            Ok::<_, LdkError>(node)
        });
        let node = Arc::new(node.await.map_err(|error| LdkError::Start(error.to_string()))??);
        let inner = Arc::new(Inner {
            node,
            key,
            labels,
            invoices: tokio::sync::Mutex::default(),
            confirmed: Mutex::default(),
            events: watch::Sender::new(0),
            clock,
        });
        let stop = CancellationToken::new();
        tokio::spawn(listen(Arc::clone(&inner), stop.clone()));
        Ok(Self { inner, stop })
    }

    /// ldk-node itself, for channels, addresses and peers. Its events are handled here: leave them alone.
    #[must_use]
    pub fn ldk(&self) -> Arc<ldk_node::Node> {
        Arc::clone(&self.inner.node)
    }

    /// Stops the node. What is under way goes on when it is started again.
    pub async fn stop(&self) {
        self.stop.cancel();
        let node = Arc::clone(&self.inner.node);
        let stopped = tokio::task::spawn_blocking(move || node.stop()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the Lightning node does not stop as it should");
        }
    }

    /// Runs what may wait for a lock or the disk beside the other tasks.
    async fn aside<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Inner) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || what(&inner)).await;
        done.unwrap_or_else(|error| Err(NodeError::Unsure(error.to_string())))
    }
}

impl Drop for Ldk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn builder(config: &LdkConfig, chain: Chain, seed: &Zeroizing<[u8; 64]>) -> Result<ldk_node::Builder, LdkError> {
    let mut builder = ldk_node::Builder::new();
    builder.set_network(chain.network());
    builder.set_entropy_seed_bytes(**seed);
    builder.set_storage_dir_path(config.folder.display().to_string());
    builder.set_gossip_source_p2p();
    if !config.listen.is_empty() {
        let key = "lightning.node.listen";
        let wrong = |value: &String| LdkError::Value { key, value: value.clone() };
        let addresses: Result<Vec<_>, _> =
            config.listen.iter().map(|address| address.parse::<SocketAddress>().map_err(|_| wrong(address))).collect();
        builder.set_listening_addresses(addresses?).map_err(|_| wrong(&config.listen.join(", ")))?;
    }
    if let Some(alias) = &config.alias {
        let wrong = |_| LdkError::Value { key: "lightning.node.alias", value: alias.clone() };
        builder.set_node_alias(alias.clone()).map_err(wrong)?;
    }
    match &config.source {
        ChainSource::Esplora { url } => {
            builder.set_chain_source_esplora(url.clone(), None);
        }
        ChainSource::Electrum { url } => {
            builder.set_chain_source_electrum(url.clone(), None);
        }
        ChainSource::Bitcoind { host, port, user, password_file, rest } => {
            let password = secret::read_line("lightning.node.source.password_file", password_file)?;
            let (host, user, password) = (host.clone(), user.clone(), String::clone(&password));
            if *rest {
                builder.set_chain_source_bitcoind_rest(host.clone(), *port, host, *port, user, password);
            } else {
                builder.set_chain_source_bitcoind_rpc(host, *port, user, password);
            }
        }
    }
    Ok(builder)
}

/// Handles ldk-node's events, each of which it tells again until it is handled.
async fn listen(inner: Arc<Inner>, stop: CancellationToken) {
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = inner.node.next_event_async() => event,
        };
        if let Event::PaymentClaimable { payment_hash, claimable_amount_msat, .. } = event {
            let hash = PaymentHash(payment_hash.0);
            loop {
                let claimed = tokio::select! {
                    () = stop.cancelled() => return,
                    claimed = inner.claim(hash, claimable_amount_msat) => claimed,
                };
                let Err(why) = claimed else { break };
                tracing::error!(%hash, why, "a payment that has arrived cannot be taken yet");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
        if let Err(error) = inner.node.event_handled() {
            tracing::error!(%error, "the Lightning node does not store that an event was handled");
        }
        inner.events.send_modify(|count| *count += 1);
    }
}

impl Inner {
    fn details(&self, hash: PaymentHash) -> Option<PaymentDetails> {
        self.node.payment(&PaymentId(hash.0))
    }

    fn inbound(&self, hash: PaymentHash) -> Option<PaymentDetails> {
        self.details(hash).filter(|details| details.direction == PaymentDirection::Inbound)
    }

    fn preimage(&self, label: TopUpId) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.key[..]);
        hash.update(label.bytes());
        hash.finalize().into()
    }

    /// Takes a payment that is there, or sends it back. An error: it could not be decided.
    async fn claim(&self, hash: PaymentHash, msat: u64) -> Result<(), String> {
        let mut claiming = self.invoices.lock().await;
        let ldk_hash = LdkHash(hash.0);
        let status = self.inbound(hash).map(|details| details.status);
        if status == Some(PaymentStatus::Succeeded) {
            return Ok(());
        }
        let label = (self.labels)(hash).await.map_err(|error| error.to_string())?;
        let label = label.filter(|label| Sha256::digest(self.preimage(*label))[..] == hash.0[..]);
        let bolt11 = self.node.bolt11_payment();
        match (status, label) {
            (Some(PaymentStatus::Pending), Some(label)) => {
                claiming.insert(hash);
                let claimed = bolt11.claim_for_hash(ldk_hash, msat, PaymentPreimage(self.preimage(label)));
                if let Err(error) = claimed {
                    claiming.remove(&hash);
                    tracing::warn!(%hash, %error, "a payment is sent back");
                    bolt11.fail_for_hash(ldk_hash).map_err(|error| error.to_string())?;
                }
            }
            // Cancelled, or none of ours.
            _ => bolt11.fail_for_hash(ldk_hash).map_err(|error| error.to_string())?,
        }
        Ok(())
    }

    fn make(&self, wanted: &Wanted) -> Result<Bolt11, NodeError> {
        let hash = PaymentHash(Sha256::digest(self.preimage(wanted.label)).into());
        // Made once more it would be open again, whatever became of it.
        if let Some(status) = self.details(hash).map(|details| details.status).filter(|s| *s != PaymentStatus::Pending)
        {
            return Err(NodeError::Refused(format!("the invoice of this request is over ({status:?})")));
        }
        let description = LdkDescription::new(wanted.description.clone()).map_err(refused)?;
        let description = Bolt11InvoiceDescription::Direct(description);
        let expiry = u32::try_from(wanted.expiry.as_secs()).map_err(refused)?;
        let made =
            self.node.bolt11_payment().receive_for_hash(wanted.amount.msat(), &description, expiry, LdkHash(hash.0));
        made.map_err(unsure)?.to_string().parse().map_err(unsure)
    }

    /// What was settled behind the cursor and is not known to be stored.
    fn settled(&self, after: Cursor) -> Vec<Settlement> {
        let since = after.0.saturating_sub(BACK);
        let is_settled = |details: &&PaymentDetails| {
            details.direction == PaymentDirection::Inbound
                && details.status == PaymentStatus::Succeeded
                && details.latest_update_timestamp >= since
                && matches!(details.kind, PaymentKind::Bolt11 { .. })
        };
        let mut found: Vec<_> = self.node.list_payments_with_filter(is_settled).iter().filter_map(settlement).collect();
        found.sort_by_key(|settlement| settlement.cursor);
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if after < confirmed.after {
            *confirmed = Confirmed::default();
        }
        let handed = std::mem::take(&mut confirmed.handed);
        let Confirmed { after: before, stored, .. } = &mut *confirmed;
        *before = after;
        // Asked behind them, they were stored.
        stored.extend(handed.iter().filter(|one| one.cursor <= after).map(|one| one.hash));
        found.retain(|one| !stored.contains(&one.hash));
        // None gets a cursor before the one that is asked behind: it must not go back.
        for one in &mut found {
            one.cursor = one.cursor.max(after);
        }
        confirmed.handed.clone_from(&found);
        found
    }

    fn hand_over(&self, payment: &Payment) -> Result<Handed, NodeError> {
        let route = RouteParametersConfig {
            max_total_routing_fee_msat: Some(payment.max_fee.msat()),
            ..RouteParametersConfig::default()
        };
        let amount = payment.amount.msat();
        let sent = match &payment.to {
            Target::Invoice(invoice) => {
                if self.inbound(invoice.hash()).is_some() {
                    return Ok(Handed::Refused("it is an invoice of this node".to_owned()));
                }
                let read = Bolt11Invoice::from_str(invoice.as_str()).map_err(refused)?;
                let bolt11 = self.node.bolt11_payment();
                match invoice.amount() {
                    Some(_) => bolt11.send(&read, Some(route)),
                    None => bolt11.send_using_amount(&read, amount, Some(route)),
                }
            }
            Target::Offer(offer) => {
                let read =
                    LdkOffer::from_str(offer.as_str()).map_err(|error| NodeError::Refused(format!("{error:?}")))?;
                let note = Some(payment.id.to_string());
                self.node.bolt12_payment().send_using_amount(&read, amount, None, note, Some(route))
            }
        };
        match sent {
            Ok(_) => Ok(Handed::Started),
            Err(LdkRefusal::DuplicatePayment) => Ok(Handed::Duplicate),
            Err(LdkRefusal::NotRunning) => Err(NodeError::Refused("the node is not running".to_owned())),
            // It looks for a way before anything is sent.
            Err(
                error @ (LdkRefusal::PaymentSendingFailed
                | LdkRefusal::InvalidInvoice
                | LdkRefusal::InvalidAmount
                | LdkRefusal::UnsupportedCurrency
                | LdkRefusal::InvalidOffer),
            ) => Ok(Handed::Refused(error.to_string())),
            Err(error) => Err(unsure(error)),
        }
    }

    fn became(&self, payment: &Payment) -> Outgoing {
        let details = match payment.to.hash() {
            Some(hash) => self.details(hash),
            None => self.offer_payment(&payment.id.to_string()),
        };
        let Some(details) = details.filter(|details| details.direction == PaymentDirection::Outbound) else {
            return Outgoing::NeverHeard;
        };
        match details.status {
            PaymentStatus::Pending => Outgoing::InFlight,
            PaymentStatus::Failed => Outgoing::Failed("no way to the payee was found, or it refused".to_owned()),
            PaymentStatus::Succeeded => Outgoing::Succeeded {
                fee: details.fee_paid_msat.and_then(Msat::new).unwrap_or_default(),
                preimage: preimage(&details.kind),
            },
        }
    }

    /// An offer's payment has a name of ldk-node's own: it is found by the note that was sent with it.
    fn offer_payment(&self, id: &str) -> Option<PaymentDetails> {
        let is_it = |details: &&PaymentDetails| match &details.kind {
            PaymentKind::Bolt12Offer { payer_note: Some(note), .. } => note.0 == id,
            _ => false,
        };
        self.node.list_payments_with_filter(is_it).into_iter().find(|d| d.direction == PaymentDirection::Outbound)
    }

    fn holds(&self) -> Result<Balances, NodeError> {
        let balances = self.node.list_balances();
        let closed = balances.pending_balances_from_channel_closures.iter().map(|sweep| match sweep {
            PendingSweepBalance::PendingBroadcast { amount_satoshis, .. }
            | PendingSweepBalance::BroadcastAwaitingConfirmation { amount_satoshis, .. }
            | PendingSweepBalance::AwaitingThresholdConfirmations { amount_satoshis, .. } => *amount_satoshis,
        });
        let on_chain = closed.fold(balances.total_onchain_balance_sats, u64::saturating_add);
        let sat = |sat| Msat::from_sat(sat).ok_or_else(|| NodeError::Unsure("more than all money there is".to_owned()));
        let channels = sat(balances.total_lightning_balance_sats)?;
        Ok(Balances { channels, on_chain: sat(on_chain)?, at: (self.clock)() })
    }
}

fn settlement(details: &PaymentDetails) -> Option<Settlement> {
    let amount = details.amount_msat.and_then(Msat::new)?;
    Some(Settlement { hash: PaymentHash(details.id.0), amount, cursor: Cursor(details.latest_update_timestamp) })
}

fn preimage(kind: &PaymentKind) -> Option<[u8; 32]> {
    match kind {
        PaymentKind::Bolt11 { preimage, .. } | PaymentKind::Bolt12Offer { preimage, .. } => preimage.map(|p| p.0),
        _ => None,
    }
}

fn refused(error: impl std::fmt::Display) -> NodeError {
    NodeError::Refused(error.to_string())
}

fn unsure(error: impl std::fmt::Display) -> NodeError {
    NodeError::Unsure(error.to_string())
}

impl Node for Ldk {
    fn id(&self) -> Answer<'_, NodeId> {
        Box::pin(async { Ok(NodeId(self.inner.node.node_id().serialize())) })
    }

    fn new_invoice<'a>(&'a self, wanted: &'a Wanted) -> Answer<'a, Bolt11> {
        Box::pin(async {
            let _alone = self.inner.invoices.lock().await;
            let wanted = wanted.clone();
            self.aside(move |inner| inner.make(&wanted)).await
        })
    }

    fn invoice(&self, hash: PaymentHash) -> Answer<'_, Option<InvoiceState>> {
        Box::pin(async move {
            let Some(details) = self.inner.inbound(hash) else { return Ok(None) };
            Ok(Some(match details.status {
                PaymentStatus::Pending => InvoiceState::Open,
                PaymentStatus::Failed => InvoiceState::Cancelled,
                PaymentStatus::Succeeded => {
                    InvoiceState::Settled(details.amount_msat.and_then(Msat::new).unwrap_or_default())
                }
            }))
        })
    }

    fn cancel_invoice(&self, hash: PaymentHash) -> Answer<'_, Cancelled> {
        Box::pin(async move {
            let claiming = self.inner.invoices.lock().await;
            match self.inner.inbound(hash).map(|details| details.status) {
                None => Err(NodeError::Refused(format!("the node has no invoice {hash}"))),
                Some(PaymentStatus::Succeeded) => Ok(Cancelled::AlreadySettled),
                Some(_) if claiming.contains(&hash) => Ok(Cancelled::AlreadySettled),
                Some(PaymentStatus::Failed) => Ok(Cancelled::Now),
                Some(PaymentStatus::Pending) => {
                    let failed =
                        move |inner: &Inner| inner.node.bolt11_payment().fail_for_hash(LdkHash(hash.0)).map_err(unsure);
                    self.aside(failed).await?;
                    Ok(Cancelled::Now)
                }
            }
        })
    }

    fn settlements(&self, after: Cursor) -> Answer<'_, Vec<Settlement>> {
        Box::pin(async move {
            let mut events = self.inner.events.subscribe();
            let until = Instant::now() + POLL;
            loop {
                events.mark_unchanged();
                let found = self.aside(move |inner| Ok(inner.settled(after))).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
                if tokio::time::timeout_at(until, events.changed()).await.is_err() {
                    return Ok(Vec::new());
                }
            }
        })
    }

    fn pay<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Handed> {
        Box::pin(async {
            let payment = payment.clone();
            self.aside(move |inner| inner.hand_over(&payment)).await
        })
    }

    fn outgoing<'a>(&'a self, payment: &'a Payment, wait: Duration) -> Answer<'a, Outgoing> {
        Box::pin(async move {
            let mut events = self.inner.events.subscribe();
            let until = Instant::now() + wait;
            loop {
                events.mark_unchanged();
                let payment = payment.clone();
                let outcome = self.aside(move |inner| Ok(inner.became(&payment))).await?;
                if outcome != Outgoing::InFlight || tokio::time::timeout_at(until, events.changed()).await.is_err() {
                    return Ok(outcome);
                }
            }
        })
    }

    fn balances(&self) -> Answer<'_, Balances> {
        Box::pin(self.aside(Inner::holds))
    }
}
