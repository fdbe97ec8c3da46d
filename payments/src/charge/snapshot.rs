//! What is stored of a call that is charged for: one note, rewritten in the commits that move its money.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cdr::{About, Ending};
use crate::ledger::{AccountId, Note, TransferId};
use crate::tariff::Rate;
use crate::{Msat, UnixMillis};

/// What the notes of calls begin with.
pub(crate) const NOTES: &str = "call/";

/// The reservation that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The transfer that made it.
    pub id: TransferId,
    /// The length of a call that is paid for with it; `None`: any.
    pub until: Option<Duration>,
}

/// What was booked as owed to the carrier of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The transfer that booked it.
    pub transfer: TransferId,
    /// How much.
    pub amount: Msat,
}

/// A call as it stood when the ledger last heard of it. Its money and this are of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The call's name, for ever.
    pub name: String,
    /// Who pays.
    pub payer: AccountId,
    /// Whose it becomes.
    pub payee: AccountId,
    /// What it costs.
    pub rate: Rate,
    /// For its record.
    pub about: About,
    /// The number of the next request.
    pub next_number: u32,
    /// What is reserved.
    pub held: Option<Held>,
    /// What was taken.
    pub charged: Msat,
    /// All that was ever reserved for it, taken and released.
    pub reserved: Msat,
    /// The transfers that took or gave back money.
    pub moved: Vec<TransferId>,
    /// When it was answered.
    pub answered: Option<UnixMillis>,
    /// How long it was then, answered.
    pub length: Duration,
    /// When it ended and what was owed then was taken; `None`: it is under way, or its desk has died.
    pub ended: Option<UnixMillis>,
    /// What could not be taken.
    pub unpaid: Msat,
    /// What its carrier is owed, booked in the commit that ended it; `None`: nothing, or the books did not take it.
    #[serde(default)]
    pub carried: Option<Carried>,
    /// For its record.
    pub ending: Ending,
}

impl Snapshot {
    /// The name of a call's note.
    #[must_use]
    pub fn key(name: &str) -> String {
        format!("{NOTES}{name}")
    }

    /// As it is stored.
    #[must_use]
    pub fn note(&self) -> Note {
        let body = serde_json::to_string(self).expect("it has no maps, and a string takes what is written");
        Note { key: Self::key(&self.name), body: Some(body) }
    }

    /// The id of a transfer of a request.
    #[must_use]
    pub fn transfer(name: &str, number: u32, what: &str) -> TransferId {
        TransferId::named(&["call", name, &number.to_string(), what])
    }
}
