//! Calls, transcripts and notes at rest.
//!
//! One SQLite database holds the archive and the [journal](crate::journal), so that what is known and what is to be done
//! about it change in one transaction. Everything that people say, are called or dial is ciphertext ([`seal`]); what must
//! be found by SQL is clear: room ids, times, states, event ids. Words are found by a blind index: the keyed hash of each
//! normalised word ([`words`]), whose key is the room's. Who has the database alone learns how many different words a
//! call had and which of a room's calls share words, not which words.
//!
//! Every write is durable when its method returns (WAL, `synchronous = FULL`). [`Archive::begin`] joins several.

mod again;
mod error;
mod ids;
mod kept;
pub(crate) mod read;
mod record;
mod rooms;
mod seal;
mod search;
pub(crate) mod store;
mod todos;
mod words;
pub(crate) mod write;

#[cfg(test)]
mod later_tests;
#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use ids::{CallId, EffectId, IdError, UtteranceId};
pub use record::{
    CallRecord, CallState, GrantRecord, How, NewCall, NewUtterance, NotesRecord, NumberLink, PartyKind, PartyRecord,
    SaidDetails, StoredNotes, StoredUtterance, VoiceName, Withdrawn, WordTime,
};
pub use seal::{ArchiveKey, SealError};
pub use search::{Hit, HitPlace};
pub use store::Archive;
pub use todos::{Reminder, Todo, TodoBody, TodoState, Turned};
pub use write::Tx;

pub(crate) use seal::{Place, Secret};
