//! What goes into a [`super::CreditSession`] and comes out of it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use crate::cdr::{About, Ending};
use crate::guard::Guarded;
use crate::ledger::{AccountId, Refusal, Transfer};
use crate::tariff::{NoRate, NumberError, Rate};
use crate::{Msat, UnixMillis};

/// The time, twice: timers use the first, the ledger the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never goes back.
    pub mono: Instant,
    /// What clocks show.
    pub wall: UnixMillis,
}

/// Who pays for a call, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTerms {
    /// The customer's account.
    pub payer: AccountId,
    /// Whose it becomes.
    pub payee: AccountId,
    /// As the deck said when the call began, whatever is imported while it runs.
    pub rate: Rate,
    /// It is cut before it costs more than so much; `None`: only the balance limits it.
    pub limit: Option<Msat>,
    /// For its record.
    pub about: About,
}

/// What the ledger said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done, now or before.
    Done,
    /// Not done.
    Refused(Refusal),
    /// Nobody knows. The same request is asked again.
    Unknown,
}

/// How long a call was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// Nobody answered it.
    Unanswered,
    /// From the answer to the end, as the desk has measured it.
    Of(Duration),
    /// It was answered when [`Input::Answered`] said so, and ends now.
    UntilNow,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// What is charged for; never more than is paid for.
    pub length: Length,
    /// For its record.
    pub ending: Ending,
}

/// Something that the session has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The call was answered: it costs from now on.
    Answered,
    /// The call has ended, answered or not.
    Ended(Box<Ended>),
    /// Money came in on the account.
    ToppedUp,
    /// The ledger answers the request of this number.
    Told(u32, Answer),
}

/// Why a call is not paid for. It must not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// RFC 8506 result 4012, CREDIT_LIMIT_REACHED.
    #[error("the account cannot pay for the beginning of the call")]
    NotEnough,
    /// An operator has frozen it.
    #[error("the account is frozen")]
    Frozen,
    /// Nobody has opened it.
    #[error("there is no such account")]
    NoAccount,
    /// The ledger does not answer, or not as it should.
    #[error("the ledger does not answer; no paid call is set up until it does")]
    Ledger,
    /// It was charged before, or is being charged: the name of a call stands for it for ever.
    #[error("a call of this name was begun before")]
    Again,
    /// What was dialled is no number.
    #[error("the number that was dialled cannot be: {0}")]
    Number(#[from] NumberError),
    /// Nobody knows what it costs.
    #[error(transparent)]
    NoRate(#[from] NoRate),
    /// No trunk can carry it without a loss; why each cannot.
    #[error("no trunk can carry the call: {0}")]
    NoRoute(String),
    /// The fraud guard is against it.
    #[error(transparent)]
    Guarded(#[from] Guarded),
    /// The module is another process, and this is what it said.
    #[error("{text}")]
    Elsewhere {
        /// What it means.
        means: Means,
        /// In its words.
        text: String,
    },
}

/// What it means for who calls that a call is not paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// A top-up would help.
    NoMoney,
    /// The operator does not let such calls go.
    NotAllowed,
    /// Something is wrong on our side.
    Failed,
}

impl Declined {
    /// What it means.
    #[must_use]
    pub const fn means(&self) -> Means {
        match self {
            Self::NotEnough => Means::NoMoney,
            Self::Frozen | Self::Guarded(_) | Self::Number(_) => Means::NotAllowed,
            Self::NoAccount | Self::Ledger | Self::Again | Self::NoRate(_) | Self::NoRoute(_) => Means::Failed,
            Self::Elsewhere { means, .. } => *means,
        }
    }
}

/// Linked transfers for the ledger. Answer with [`Input::Told`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// CC-Request-Number.
    pub number: u32,
    /// All or none. Empty: there is only the note.
    pub transfers: Vec<Transfer>,
    /// The call as it stands when they are done; written with them.
    pub snapshot: Snapshot,
}

/// Something that the session wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask the ledger.
    Ask(Box<Request>),
    /// The beginning of the call is paid for: it may ring.
    Start,
    /// It is not: it must not be set up.
    Decline(Declined),
    /// What can be afforded ends in so much time. Said at 60 s and at 30 s, once it is known that there is no more.
    Warn(Duration),
    /// A call that was warned goes on: there is money again.
    Extended,
    /// What could be afforded is used up (or it rang for too long): hang up.
    Cut,
    /// All is settled. The last output.
    Closed {
        /// What the call cost.
        charged: Msat,
        /// What could not be taken because its reservation was gone; nothing, unless a clock jumped or the ledger was down for
        /// minutes.
        unpaid: Msat,
    },
}
