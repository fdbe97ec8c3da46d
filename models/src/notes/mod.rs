//! Notes: what is drawn from a transcript, each item with the utterances that it rests on.
//!
//! [`NoteWriter`] is the seam: [`ExtractiveWriter`] needs no weights and quotes; neural ones take the same
//! [`Transcript`] and give the same [`Notes`]. What a speaker says is material, never an instruction.

pub mod bert;
pub(crate) mod candidates;
mod dates;
mod evidence;
mod extractive;
pub mod fix;
mod items;
mod languages;
pub mod llm;
mod merge;
mod numbers;
mod orders;
mod roots;
mod sentences;
mod summary;
mod taker;
pub mod todo;
mod topics;

use std::fmt;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use dates::resolve;
pub use evidence::keep_supported;
pub use extractive::{EmbeddingWriter, ExtractiveWriter};
pub use fix::{Change, Fix, FixError};
pub use taker::{Done, NoteTaker, Piece};
pub use todo::{Todo, TodoList, TodoState};

pub(crate) use merge::merge;

/// A whole call in words. Wiped from memory when dropped.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// What was said, in any order; writers sort by start.
    pub utterances: Vec<SaidUtterance>,
    /// When the call began: Unix time in ms.
    pub started_ms: i64,
    /// IANA name of the room's time zone (`Europe/Berlin`). Unknown names are taken for UTC.
    pub time_zone: String,
    /// The room's glossary: names and terms as they are to be written.
    pub terms: Vec<String>,
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

/// Writes notes. A long call comes in parts (topic segments), drawn while it goes on, and is joined at its end.
///
/// What a writer gives is never shown as it is: the evidence check ([`keep_supported`]) drops what was not said.
pub trait NoteWriter: Send + Sync {
    /// What stands in "Written by": short, stable (`extractive`, `bart + t5`, `llm qwen2.5`).
    fn name(&self) -> &str;
    /// Draws the notes of one part of a call. May take long (a neural model, a request): called on a thread that may block.
    /// Empty notes for an empty transcript; never panics.
    fn draw(&self, part: &Transcript) -> Result<Notes, WriteError>;
    /// Joins the notes of all parts (in order) into those of the whole call: title, summary, items said once. Quick: at the
    /// end of an hour-long call people wait for it.
    fn join(&self, whole: &Transcript, parts: &[Notes]) -> Result<Notes, WriteError>;
}

/// Makes vectors of sentences, near one another where the sentences mean the like.
pub trait Embed: Send + Sync {
    /// Short, stable (`minilm`).
    fn name(&self) -> &str;
    /// One vector of length 1 for each sentence, in order, all of the same dimension. May take some 10 ms a sentence.
    fn embed(&self, sentences: &[&str]) -> Result<Vec<Vec<f32>>, WriteError>;
}

/// Why a writer gave no notes. Another one then writes them.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Weights or libraries that it needs are not there.
    #[error("{writer} cannot write: {what}")]
    Unavailable {
        /// [`NoteWriter::name`].
        writer: String,
        /// What is missing and what to do.
        what: String,
    },
    /// It could not be reached or broke off.
    #[error("{writer} failed: {what}")]
    Failed {
        /// [`NoteWriter::name`].
        writer: String,
        /// What happened, without words of the call.
        what: String,
    },
    /// What it gave is no notes, also after it was asked again.
    #[error("{writer} gave no usable notes: {what}")]
    Unusable {
        /// [`NoteWriter::name`].
        writer: String,
        /// What was wrong with it, without words of the call.
        what: String,
    },
}

impl WriteError {
    /// One word for logs and metrics: `unavailable`, `failed`, `unusable`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Failed { .. } => "failed",
            Self::Unusable { .. } => "unusable",
        }
    }
}

/// A sentence and the utterances that support it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cited {
    /// Its number, where people can fix it: decisions and questions. 0 in a summary.
    #[serde(default, skip_serializing_if = "ItemId::is_none")]
    pub id: ItemId,
    /// Words for people.
    pub text: String,
    /// Ids of [`SaidUtterance`]s, never empty, ascending.
    pub cites: Vec<u64>,
}

/// Names an item within the notes of one call; stays the same when they are made again. Small, given in order, never used
/// twice in a call: people type it (`!notes fix 2 …`). 0: none given yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub u32);

impl ItemId {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_none(&self) -> bool {
        self.0 == 0
    }
}

/// What sort of item a number names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Of [`Notes::decisions`].
    Decision,
    /// Of [`Notes::actions`].
    Action,
    /// Of [`Notes::questions`].
    Question,
    /// Of [`Notes::deadlines`].
    Deadline,
    /// [`Notes::next_meeting`].
    NextMeeting,
}

/// An item as it was drawn, before somebody mended or dropped it: so that it is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mended {
    /// Its number.
    pub id: ItemId,
    /// What it is.
    pub kind: ItemKind,
    /// Its words as drawn.
    pub text: String,
    /// What it rested on.
    pub cites: Vec<u64>,
}

/// Something that someone is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name in this call's to-do list.
    #[serde(default)]
    pub id: ItemId,
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

/// A date by which something is to be, said of no one in particular ("the offer runs out on Friday").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Its number.
    #[serde(default, skip_serializing_if = "ItemId::is_none")]
    pub id: ItemId,
    /// What is due.
    pub text: String,
    /// When.
    pub due: Due,
    /// Ids of the utterances that say so, never empty.
    pub cites: Vec<u64>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// Somebody who was named.
    Person,
    /// A company, an office, a team.
    Organisation,
    /// A thing with a name of its own.
    Product,
    /// A sum of money or a quantity that matters, as said.
    Amount,
}

/// A person, organisation, product or amount that was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// What it is.
    pub kind: NameKind,
    /// As it was said.
    pub text: String,
    /// Ids of the utterances that name it, never empty.
    pub cites: Vec<u64>,
}

/// When the parties mean to speak again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextMeeting {
    /// Its number.
    #[serde(default, skip_serializing_if = "ItemId::is_none")]
    pub id: ItemId,
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
    /// What is due when, beside the actions' own dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<Deadline>,
    /// Who and what was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Name>,
    /// The next call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_meeting: Option<NextMeeting>,
    /// The words that the call was about, most telling first.
    pub keywords: Vec<String>,
    /// [`NoteWriter::name`] of who wrote this; of several, with commas.
    pub written_by: String,
    /// The highest number ever given to an item of this call.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_item: u32,
    /// What people mended or dropped ([`fix`]), as it was drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mended: Vec<Mended>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Zeroize for Notes {
    /// Wipes all words and empties the notes; numbers stay.
    fn zeroize(&mut self) {
        let Self {
            title,
            summary,
            decisions,
            actions,
            questions,
            deadlines,
            names,
            next_meeting,
            keywords,
            written_by: _,
            last_item: _,
            mended,
        } = self;
        title.zeroize();
        keywords.zeroize();
        for list in [summary, decisions, questions] {
            list.iter_mut().for_each(|item| item.text.zeroize());
            list.clear();
        }
        for action in actions.iter_mut() {
            action.text.zeroize();
            action.owner.zeroize();
            if let Some(due) = &mut action.due {
                due.said.zeroize();
            }
        }
        actions.clear();
        for deadline in deadlines.iter_mut() {
            deadline.text.zeroize();
            deadline.due.said.zeroize();
        }
        deadlines.clear();
        names.iter_mut().for_each(|name| name.text.zeroize());
        names.clear();
        if let Some(next) = next_meeting {
            next.when.said.zeroize();
        }
        *next_meeting = None;
        mended.iter_mut().for_each(|item| item.text.zeroize());
        mended.clear();
    }
}
