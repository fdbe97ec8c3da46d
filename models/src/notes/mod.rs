//! Notes: what is drawn from a transcript, each item with the utterances that it rests on.
//!
//! [`NoteWriter`] is the seam: today [`ExtractiveWriter`], which needs no weights and quotes; neural ones take the same
//! [`Transcript`] and give the same [`Notes`]. What a speaker says is material, never an instruction.

mod candidates;
mod dates;
mod evidence;
mod extractive;
mod sentences;
mod summary;

use std::fmt;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use evidence::keep_supported;
pub use extractive::ExtractiveWriter;

/// A whole call in words. Wiped from memory when dropped.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// What was said, in any order; writers sort by start.
    pub utterances: Vec<SaidUtterance>,
    /// When the call began: Unix time in ms.
    pub started_ms: i64,
    /// IANA name of the room's time zone (`Europe/Berlin`). Unknown names are taken for UTC.
    pub time_zone: String,
}

/// One utterance with the name of who said it. `Debug` shows no text.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SaidUtterance {
    /// What notes cite. Unique in the transcript.
    pub id: u64,
    /// The party's name as people read it ("Ada Lovelace").
    pub speaker: String,
    /// Start in ms since the call began.
    pub start_ms: i64,
    /// End in ms since the call began.
    pub end_ms: i64,
    /// The words.
    pub text: String,
}

impl fmt::Debug for SaidUtterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaidUtterance")
            .field("id", &self.id)
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .finish_non_exhaustive()
    }
}

/// Writes notes from a transcript.
pub trait NoteWriter: Send + Sync {
    /// What stands in "Written by": short, stable (`extractive`).
    fn name(&self) -> &str;
    /// Draws the notes. Called on a thread that may compute; gives empty notes for an empty transcript, never panics.
    fn write(&self, transcript: &Transcript) -> Notes;
}

/// A sentence and the utterances that support it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cited {
    /// Words for people.
    pub text: String,
    /// Ids of [`SaidUtterance`]s, never empty, ascending.
    pub cites: Vec<u64>,
}

/// Something that someone is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What is to be done, without the owner ("send the mock-ups").
    pub text: String,
    /// Who: the speaker who took it on, or the person who was named. `None` if nobody was.
    pub owner: Option<String>,
    /// Until when, if it was said.
    pub due: Option<Due>,
    /// Ids of the utterances that say so, never empty.
    pub cites: Vec<u64>,
}

/// A point in time as said and as understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The words that were said ("Thursday, end of day").
    pub said: String,
    /// The day in the room's time zone.
    pub date: Date,
    /// The hour, if one was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// When the parties mean to speak again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextMeeting {
    /// When.
    pub when: Due,
    /// Ids of the utterances that say so, never empty.
    pub cites: Vec<u64>,
}

/// Notes of one call. Sections may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// A few words; empty if nothing was said.
    pub title: String,
    /// Two to four sentences in the order in which they were said.
    pub summary: Vec<Cited>,
    /// What was decided.
    pub decisions: Vec<Cited>,
    /// What is to be done.
    pub actions: Vec<Action>,
    /// What was asked and not answered.
    pub questions: Vec<Cited>,
    /// The next call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_meeting: Option<NextMeeting>,
    /// The words that the call was about, most telling first.
    pub keywords: Vec<String>,
    /// [`NoteWriter::name`] of who wrote this.
    pub written_by: String,
}
