//! The tasks around the desk: they bring it what happens and do what it decides.
//!
//! ```text
//!  SIP ──┐                       ┌── Attendance (a ghost): membership, keys, SFU ──▶ PhoneLeg ◀─▶ RTP
//!        ├─▶ Switchboard ─▶ CallTask (desk) ─┤
//!  Matrix┘   one a process    one a call └── Attendance (the bot) ──▶ Scribe ──▶ models
//!                                 │
//!                                 └─▶ archive + journal ─▶ Outbox ─▶ Matrix
//! ```
//!
//! The [`Switchboard`] knows which number rings which room and who is in which room's call. A call's task owns its desk;
//! nobody else touches it. What goes into the room is recorded in the journal first and sent by the [`Outbox`]. After
//! a crash [`recover`] takes our devices out of the calls they were in and writes the notes of what was heard.

mod attendance;
mod commands;
mod finish;
mod hearing;
mod letters;
mod meter;
mod names;
mod notary;
mod outbox;
mod paper;
mod prompts;
mod recover;
mod scribe;
mod sfu_token;
mod switchboard;
mod taking;
mod task;
mod todo;
mod withdraw;
pub(crate) mod writers;

use std::sync::Arc;

use bridge::sip::SipEndpoint;
use payments::attach::Attached;

pub use finish::WITHIN as NOTES_WITHIN;
pub use hearing::Hearing;
pub use notary::Notary;
pub use outbox::Outbox;
pub use prompts::Prompts;
pub use recover::recover;
pub use switchboard::Switchboard;
pub use writers::Writers;

use crate::{archive::Archive, config::Config, matrix::Matrix, metrics::Metrics};

/// What every call works with.
pub struct House {
    /// The configuration.
    pub config: Config,
    /// Our Matrix users.
    pub matrix: Matrix,
    /// What is kept, and the journal.
    pub archive: Archive,
    /// The telephone side.
    pub sip: SipEndpoint,
    /// The recogniser; `None` where there are no weights: calls go on, notes are refused with the reason.
    pub hearing: Option<Hearing>,
    /// Whether people who share a line can be told apart here.
    pub tells_voices: bool,
    /// What writing notes needs.
    pub notary: Arc<Notary>,
    /// Counts.
    pub metrics: Metrics,
    /// Who is asked about money.
    pub payments: Arc<dyn Attached>,
    /// What callers are told.
    pub prompts: Prompts,
    /// For the authorisation service.
    pub http: reqwest::Client,
}
