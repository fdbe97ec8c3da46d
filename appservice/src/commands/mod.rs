//! Commands of people in a room: read, explained, allowed or refused. Pure; what they do is elsewhere.
//!
//! [`read`] takes a message as it was typed and says what it asks for. One table ([`spec`]) holds each command's words,
//! help, example and what it needs; [`may`] is the one place that says who may run it, for the help and for the run.

mod ask;
mod help;
mod nearest;
mod pay;
mod read;
mod spec;

#[cfg(test)]
mod tests;

use bridge::ids::{E164, NumberError};
use models::Voice;
use thiserror::Error;

use crate::settings::Spoken;

pub use ask::{Change, PartyName, TodoFilter, Which, WordsAsk};
pub use help::{help, mistake, refusal};
pub use pay::PayAsk;
pub use read::{Heard, read};
pub use spec::{Group, Spec, all};

/// Something that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!call link NUMBER`: the number rings this room from now on.
    Link(E164),
    /// `!call unlink [NUMBER]`: it does no longer; without a number: none does.
    Unlink(Option<E164>),
    /// `!call numbers`: which numbers ring this room.
    Numbers,
    /// `!call hangup`: ends the phones' part in the call.
    HangUp,
    /// `!notes on`: notes are written in this room.
    NotesOn,
    /// `!notes off`.
    NotesOff,
    /// `!notes agree`: I may be heard in the call that goes on.
    Agree,
    /// `!notes stop`: I may not be heard any more.
    Stop,
    /// `!notes status`: who is heard now.
    Status,
    /// `!notes policy`: the room's policy in words.
    Policy,
    /// `!notes search WORDS`.
    Search(String),
    /// `!notes list`: the latest calls.
    List,
    /// `!notes so far`: the notes of the call that goes on, as they stand now.
    SoFar,
    /// `!notes words …`: the room's glossary.
    Words(WordsAsk),
    /// `!notes language CODE [for PARTY]`: of the room, or of one party.
    Language(Spoken, Option<PartyName>),
    /// `!notes live fast|normal`: whether unfinished words are shown.
    Live(bool),
    /// `!notes speakers LINE several|one`: whether several people share a line.
    Speakers(PartyName, bool),
    /// `!notes name [NUMBER] SPEAKER NAME`: what a voice on a shared line is called in this call.
    Name(Option<E164>, Voice, String),
    /// `!notes correct [WHICH] TEXT`: other words in a caption.
    Correct(Which, String),
    /// `!notes fix N …`: mends a line of the notes.
    Fix(u32, Change),
    /// `!notes todo [all|mine]`: the room's to-do list.
    Todo(TodoFilter),
    /// `!notes done N`.
    Done(u32),
    /// `!notes reopen N`.
    Reopen(u32),
    /// `!notes drop N`.
    Drop(u32),
    /// `!notes forget me`: deletes what I said in this room's calls.
    ForgetMe,
    /// `!pay …`.
    Pay(PayAsk),
    /// `!call help`, `!notes help`; `None`: all groups.
    Help(Option<Group>),
}

/// What somebody typed that is no command as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mistake {
    /// There is no such command; the nearest one.
    #[error("there is no command {word:?}")]
    Unknown {
        /// What was typed, group and word.
        word: String,
        /// The command that it may have meant.
        nearest: Option<&'static Spec>,
    },
    /// Something is missing after the command.
    #[error("{} needs {}", .0.name(), .0.arguments)]
    Incomplete(&'static Spec),
    /// The number is no number.
    #[error("{cause}")]
    Number {
        /// The command.
        spec: &'static Spec,
        /// What is wrong with the number.
        cause: NumberError,
    },
    /// What stands behind the command cannot be.
    #[error("{cause}")]
    Argument {
        /// The command.
        spec: &'static Spec,
        /// What is wrong with it.
        cause: String,
    },
}

/// Who asks, and what the room asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Power level in the room.
    pub level: i64,
    /// The level that the room's settings take (`state_default`, or what the room says for the policy event).
    pub settings_level: i64,
    /// The level that linking numbers takes.
    pub link_level: i64,
    /// Whether the operator's permission map lets this user use Roomtone.
    pub permitted: bool,
    /// Whether the operator has made this user an admin of this Roomtone.
    pub admin: bool,
    /// Whether anybody is charged here.
    pub charged: bool,
    /// Members who have `settings_level`, as people read them.
    pub may_set: Vec<String>,
    /// Members who have `link_level`, as people read them.
    pub may_link: Vec<String>,
}

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The operator does not let this user use Roomtone.
    #[error("{} is for users whom the operator of Roomtone allows", .0.name())]
    NotPermitted(&'static Spec),
    /// It is for admins of this Roomtone.
    #[error("{} is for admins of this Roomtone", .0.name())]
    NotAdmin(&'static Spec),
    /// Nobody is charged here.
    #[error("nobody is charged here")]
    NotCharged,
    /// The room asks for more power.
    #[error("{} takes power level {needed}, you have {has}", .spec.name())]
    Power {
        /// The command.
        spec: &'static Spec,
        /// What it takes.
        needed: i64,
        /// What the asker has.
        has: i64,
        /// Who has it.
        who: Vec<String>,
    },
}

/// Whether `who` may run this command. For the help and for the run, so that nothing is offered that is refused.
///
/// # Errors
/// [`Refusal`] says what is missing and who has it.
pub fn may(who: &Who, command: &Command) -> Result<(), Refusal> {
    spec::of(command).may(who)
}
