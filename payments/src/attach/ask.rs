//! What can be asked, and what is answered. All of it travels as JSON where the module is a process of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::Purpose;
use crate::plan::{Plan, Subscription};
use crate::rates::Quote;
use crate::tariff::{Prefix, Terms};
use crate::{Msat, UnixMillis};

/// Something asked of the module. `room` is a Matrix room: its account is meant. `name` is the idempotency key of who asks: the
/// same name again is the same thing, done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// What a room has. [`Told::Standing`].
    Balance {
        /// The room.
        room: String,
    },
    /// The latest lines of its account. [`Told::Statement`].
    Statement {
        /// The room.
        room: String,
        /// At most so many.
        lines: u32,
    },
    /// What calls to numbers with this beginning cost. [`Told::Rates`].
    Rates {
        /// Digits, with or without `+`.
        digits: String,
    },
    /// An invoice to pay. [`Told::Invoice`].
    TopUp {
        /// The room whose account gets it.
        room: String,
        /// How much.
        amount: Msat,
        /// See [`Ask`].
        name: String,
    },
    /// Pays a balance back. [`Told::Payout`].
    Refund {
        /// The room whose account pays.
        room: String,
        /// A BOLT11 invoice or an offer.
        to: String,
        /// How much; `None`: as the invoice says.
        amount: Option<Msat>,
        /// See [`Ask`].
        name: String,
    },
    /// An admin lets a payout go that waits for approval. [`Told::Payout`].
    Approve {
        /// Its number.
        payout: String,
        /// Who approves it, as it is written down.
        by: String,
    },
    /// Takes a plan. [`Told::Standing`].
    Plan {
        /// The room.
        room: String,
        /// Which.
        plan: Plan,
    },
    /// Redeems a voucher. [`Told::Credited`].
    Redeem {
        /// The room whose account gets it.
        room: String,
        /// The code.
        code: String,
    },
    /// An admin gives money. [`Told::Credited`].
    Credit {
        /// The room whose account gets it.
        room: String,
        /// How much.
        amount: Msat,
        /// See [`Ask`].
        name: String,
    },
    /// An admin freezes an account, or thaws it. [`Told::Standing`].
    Freeze {
        /// The room.
        room: String,
        /// Frozen from now on.
        frozen: bool,
    },
    /// An admin issues a voucher. [`Told::Voucher`].
    Voucher {
        /// What it is worth.
        amount: Msat,
        /// How long it can be redeemed; `None`: for ever.
        days: Option<u32>,
    },
    /// An admin looks after the embedded Lightning node. [`Told::Node`], [`Told::Address`].
    Node(NodeAsk),
    /// The operator's books in short. [`Told::Report`].
    Report,
    /// How much of a room's talk may still be written down this month, and for how long it is kept. [`Told::Transcription`].
    Transcription {
        /// The room.
        room: String,
    },
    /// So much of a call was written down in all so far. [`Told::Done`].
    Transcribed {
        /// The room.
        room: String,
        /// The call.
        call: String,
        /// Speech recognised, all parties together.
        in_all: Duration,
    },
    /// What came in since; waits a while where there is nothing. [`Told::News`].
    News {
        /// Where the last answer said to go on; `None`: from now on.
        after: Option<i64>,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was asked for.
    pub told: Told,
    /// What a bitcoin is worth, where rates are set up and one is believed.
    pub quote: Option<Quote>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// What a room has.
    Standing(Standing),
    /// Lines of its account, the newest first.
    Statement(Vec<StatementLine>),
    /// Prices, by prefix.
    Rates(Vec<RateLine>),
    /// To be paid.
    Invoice(Invoice),
    /// Where a payout stands.
    Payout(Payout),
    /// So much was credited, and this is what the account has now.
    Credited {
        /// How much.
        amount: Msat,
        /// What it has.
        available: Msat,
    },
    /// A voucher's code: worth money, shown once.
    Voucher(String),
    /// The books in short.
    Report(Report),
    /// How the Lightning node stands.
    Node(NodeStanding),
    /// Where to send bitcoin to the Lightning node.
    Address(String),
    /// What the plan allows.
    Transcription(Transcription),
    /// What came in.
    News {
        /// Where to go on.
        after: i64,
        /// In the order in which it came.
        news: Vec<News>,
    },
    /// It is done.
    Done,
}

/// What a room has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What can be spent.
    pub available: Msat,
    /// What calls under way and payouts hold back.
    pub reserved: Msat,
    /// Nothing goes in or out.
    pub frozen: bool,
    /// The plan that holds now.
    pub plan: Plan,
    /// Its subscription, where one was paid.
    pub subscription: Option<Subscription>,
    /// What the plan allows.
    pub transcription: Transcription,
}

/// What a plan allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcription {
    /// How much may still be written down this month; `None`: as much as is spoken.
    pub left: Option<Duration>,
    /// How long it is kept.
    pub history: History,
    /// How many people the plan is for.
    pub users: u32,
}

/// For how long the archive keeps what was said, in days; `None`: until somebody deletes it.
pub type History = Option<u32>;

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// When.
    pub at: UnixMillis,
    /// What for.
    pub purpose: Purpose,
    /// What was given to the account (above nothing) or taken from it, in millisatoshi.
    pub change: i64,
    /// What the account had then, what is held back counted in.
    pub left: Msat,
}

/// What a call to some numbers costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLine {
    /// Numbers that begin so.
    pub prefix: Prefix,
    /// What people call them.
    pub destination: String,
    /// The price.
    pub terms: Terms,
}

/// A Lightning invoice of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// The invoice (BOLT 11).
    pub bolt11: String,
    /// How much.
    pub amount: Msat,
    /// From when on it cannot be paid any more.
    pub expires: UnixMillis,
}

/// A payout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its number, for `!pay approve`.
    pub id: String,
    /// How much.
    pub amount: Msat,
    /// The most that it may cost beside.
    pub fee_limit: Msat,
    /// Where it stands.
    pub step: PayoutStep,
}

/// Where a payout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutStep {
    /// An admin has to approve it: it is above the sum that goes by itself.
    Waiting,
    /// On its way; how it ends is not known yet.
    OnItsWay,
    /// Paid, and what it cost beside.
    Paid {
        /// The node's fee.
        fee: Msat,
    },
    /// It failed for certain; the money is back.
    Failed {
        /// Why.
        why: String,
    },
}

/// What an admin asks of the embedded Lightning node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeAsk {
    /// How it stands.
    Standing,
    /// Where to send bitcoin to it, for channels.
    Address,
    /// Opens a channel, paid from what lies on the chain.
    Open {
        /// The other node: `PUBKEY@HOST:PORT`.
        peer: String,
        /// How much.
        amount: Msat,
    },
    /// Closes a channel with the other's consent; what is ours there comes back onto the chain.
    Close {
        /// As [`ChannelLine::id`].
        channel: String,
    },
}

/// How the embedded Lightning node stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStanding {
    /// Its public key.
    pub id: String,
    /// On the chain, for new channels.
    pub on_chain: Msat,
    /// Its channels.
    pub channels: Vec<ChannelLine>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelLine {
    /// Its name here.
    pub id: String,
    /// The other node.
    pub peer: String,
    /// What can be paid out over it.
    pub can_send: Msat,
    /// What can be topped up over it.
    pub can_receive: Msat,
    /// Whether it works now.
    pub usable: bool,
}

/// The operator's books in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Accounts of rooms, and how many of them are frozen.
    pub rooms: u64,
    /// Of them.
    pub frozen: u64,
    /// What we owe all rooms together.
    pub owed: Msat,
    /// What of it is held back for calls and payouts.
    pub reserved: Msat,
    /// Earned by calls and plans, in millisatoshi.
    pub earned: i64,
    /// Given away: vouchers, credits.
    pub given: i64,
    /// Came in and cannot be told whose it is.
    pub suspense: i64,
    /// Whether all accounts are what their transfers add up to, and all together nothing.
    pub balanced: bool,
    /// What stops payouts, where something does.
    pub payouts_stopped: Option<String>,
    /// How things stand with each operator with whom we settle.
    #[serde(default)]
    pub partners: Vec<PartnerLine>,
}

/// How things stand with an operator with whom we settle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerLine {
    /// What we call them.
    pub name: String,
    /// What they owe us over agreed windows, below nothing what we owe them, in millisatoshi.
    pub balance: i64,
    /// Where the newest window stands; `None`: the first has not ended yet.
    pub newest: Option<PartnerWindow>,
    /// Why our last payment was not made, where it waits for people.
    pub not_paid: Option<String>,
}

/// Where a window with another operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerWindow {
    /// Ours is made, theirs is waited for.
    Proposed,
    /// The two differ on so many calls; what both have is waited for.
    Disputed(u64),
    /// Agreed, but for so many calls.
    Agreed(u64),
}

/// Something that a room is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Its name for ever. The same may come again: tell each once.
    pub id: String,
    /// Whom it concerns.
    pub room: String,
    /// What it was.
    pub purpose: Purpose,
    /// What became of it.
    #[serde(default)]
    pub kind: NewsKind,
    /// How much.
    pub amount: Msat,
    /// What could be spent then.
    pub available: Msat,
}

/// What became of money that a room is told about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsKind {
    /// It came in.
    #[default]
    CameIn,
    /// A refund has arrived.
    PaidOut,
    /// A refund has failed for certain; what was held back for it is free again.
    NotPaidOut,
}

/// Why something is not answered or not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// There is no payments module.
    #[error("nobody is charged here")]
    NotCharged,
    /// The operator has not set it up.
    #[error("{0} is not set up here")]
    NotSetUp(String),
    /// What was asked for cannot be; why, for who asked.
    #[error("{0}")]
    Mistake(String),
    /// The account does not have so much.
    #[error("the account has {available}, and that takes more")]
    NotEnough {
        /// What it has.
        available: Msat,
    },
    /// The account is frozen.
    #[error("the account is frozen")]
    Frozen,
    /// Something failed; it may be asked again under the same name.
    #[error("the payments module does not answer as it should: {0}")]
    Unavailable(String),
}
