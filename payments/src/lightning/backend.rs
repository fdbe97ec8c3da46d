//! What is asked of a Lightning node, whichever it is: the embedded one ([`super::ldk`]) or the operator's ([`super::lnd`]).
//!
//! Three rules make a crash and a lost answer harmless:
//! - An invoice is made under a label, and the same label gives the same invoice.
//! - Settlements are asked for behind a cursor. Asking behind it confirms all up to it. They may come twice, none is left out.
//! - No answer is not a failure. An error says whether it is certain that nothing was sent ([`NodeError::is_certain`]), and
//!   [`Outgoing::NeverHeard`] is no proof of anything while a send may still be on its way.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bolt11, PaymentHash, PayoutId, Target, TopUpId};
use crate::{Msat, UnixMillis};

/// What a node answers some time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, NodeError>> + Send + 'a>>;

/// A Lightning node. Every method may be called at any time and from several tasks, and again after any error.
pub trait Node: Send + Sync {
    /// The node's public key: what its settlements and cursors belong to.
    fn id(&self) -> Answer<'_, NodeId>;

    /// Makes an invoice, or gives the one that was made under this label before.
    fn new_invoice<'a>(&'a self, wanted: &'a Wanted) -> Answer<'a, Bolt11>;

    /// What became of an invoice of this node's; `None`: it has none of this hash.
    fn invoice(&self, hash: PaymentHash) -> Answer<'_, Option<InvoiceState>>;

    /// Sees to it that an invoice can never be paid any more, unless it was.
    fn cancel_invoice(&self, hash: PaymentHash) -> Answer<'_, Cancelled>;

    /// Invoices that were settled behind the cursor, in the order of their cursors. Where there are none it waits for one, for
    /// [`POLL`] at most, and then gives an empty list. Invoices that others made at the node come too.
    fn settlements(&self, after: Cursor) -> Answer<'_, Vec<Settlement>>;

    /// Hands a payment to the node, which never pays more than its amount and its greatest fee. Answered when the node has it,
    /// not when it is paid.
    fn pay<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Handed>;

    /// What became of a payment. One that is under way is waited for, so long at most.
    fn outgoing<'a>(&'a self, payment: &'a Payment, wait: Duration) -> Answer<'a, Outgoing>;

    /// What the node holds.
    fn balances(&self) -> Answer<'_, Balances>;
}

/// How long [`Node::settlements`] waits for one.
pub const POLL: Duration = Duration::from_secs(20);

/// Why a node did not answer, or refused to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NodeError {
    /// The request never reached it, or was turned away before anything was done: nothing has happened for certain.
    #[error("the Lightning node does not do it: {0}")]
    Refused(String),
    /// It may have done it, or not.
    #[error("the Lightning node gives no answer: {0}")]
    Unsure(String),
}

impl NodeError {
    /// Whether it is certain that nothing has happened.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// A node's public key, 33 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(pub [u8; 33]);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for NodeId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut id = [0; 33];
        hex::decode_to_slice(text, &mut id)?;
        Ok(Self(id))
    }
}

impl TryFrom<String> for NodeId {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.to_string()
    }
}

/// An invoice to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Under which the same invoice is found again.
    pub label: TopUpId,
    /// How much.
    pub amount: Msat,
    /// What the payer's wallet shows; [`super::Description`] has its limits.
    pub description: String,
    /// How long it can be paid.
    pub expiry: Duration,
}

/// An invoice of the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvoiceState {
    /// Waits for its payer. Parts of it may have arrived.
    Open,
    /// Paid, with so much.
    Settled(Msat),
    /// It can never be paid.
    Cancelled,
}

/// What cancelling an invoice found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cancelled {
    /// It can never be paid any more.
    Now,
    /// It was paid before.
    AlreadySettled,
}

/// How far a node's settlements were read: its own count, which only grows. LND's is its settle index, the embedded node's a
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Cursor(pub u64);

/// An invoice that was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Which.
    pub hash: PaymentHash,
    /// What has arrived, which may be more than was asked for.
    pub amount: Msat,
    /// Behind it the next ones come.
    pub cursor: Cursor,
}

/// A payment to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Whose payment it is. An offer's payment is found again by it, an invoice's by its hash.
    pub id: PayoutId,
    /// Where to.
    pub to: Target,
    /// How much arrives there.
    pub amount: Msat,
    /// The most that the way there may cost besides.
    pub max_fee: Msat,
}

/// What a node says to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handed {
    /// It has begun.
    Started,
    /// It has it already, paid or under way.
    Duplicate,
    /// It will not be tried, and nothing was sent for it: why.
    Refused(String),
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outgoing {
    /// The node does not know of it.
    NeverHeard,
    /// Under way: it may still arrive.
    InFlight,
    /// Arrived.
    Succeeded {
        /// What the way has cost.
        fee: Msat,
        /// The payee's receipt; nodes tell it of every payment that they made themselves.
        preimage: Option<[u8; 32]>,
    },
    /// It did not arrive and will not; why.
    Failed(String),
}

/// What a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// In channels, ours.
    pub channels: Msat,
    /// On the chain, what is still on its way out of closed channels counted in.
    pub on_chain: Msat,
    /// When the node said so.
    pub at: UnixMillis,
}

impl Balances {
    /// All of it; nothing where that is more than all money there is.
    #[must_use]
    pub fn total(&self) -> Msat {
        self.channels.checked_add(self.on_chain).unwrap_or(Msat::ZERO)
    }
}
