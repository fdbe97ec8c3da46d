//! What writing notes, showing them and taking words back needs: all of the house but its lines.

use std::{collections::BTreeSet, time::Duration};

use matrix_sdk::ruma::OwnedUserId;
use tokio_util::task::TaskTracker;

use super::Writers;
use crate::{archive::Archive, metrics::Metrics, text::Zone};

/// See the module's text.
pub struct Notary {
    /// What is kept, and the journal.
    pub archive: Archive,
    /// Who writes notes.
    pub writers: Writers,
    /// How long they may keep people waiting: [`WITHIN`](super::finish::WITHIN), but in tests.
    pub patience: Duration,
    /// Counts.
    pub metrics: Metrics,
    /// Who says it in the room.
    pub bot: OwnedUserId,
    /// IANA name of the time zone.
    pub time_zone: String,
    /// Our homeserver's name, for links.
    pub server_name: String,
    /// Other machines that see what is said.
    pub seen_by: BTreeSet<String>,
    /// What the recogniser is called.
    pub recogniser: String,
    /// Notes are made again one after the other.
    pub making: tokio::sync::Mutex<()>,
    /// What goes on after a call is over: notes whose writers take long. What is not done at the end is done at the next
    /// start.
    pub later: TaskTracker,
}

impl Notary {
    pub(super) fn zone(&self) -> Zone {
        Zone::named(&self.time_zone)
    }

    pub(super) fn via(&self) -> [String; 1] {
        [self.server_name.clone()]
    }
}
