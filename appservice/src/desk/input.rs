//! What the desk hears.

use std::time::Duration;

use bridge::{
    ids::{E164, LegId},
    sip::CallOutcome,
    time::UnixMillis,
};

use super::PartyId;

/// One of our own devices in a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attendee {
    /// The ghost of a phone leg.
    Phone(LegId),
    /// The bot, that writes notes.
    Scribe,
}

/// Why one of our devices could not join the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttendProblem {
    /// No SFU is named by the homeserver or the configuration.
    NoTransport,
    /// The authorisation service or the SFU does not answer; its address.
    MediaServer(String),
    /// The room does not let our users write memberships; the power level they would need.
    PowerLevel(i64),
    /// The ghost or the bot cannot be in the room.
    NotInRoom,
    /// The homeserver refused or failed.
    Homeserver,
    /// There are no weights to recognise speech with.
    NoRecogniser,
    /// The room's plan allows no more to be written down this month.
    QuotaGone,
    /// It is not known what the room's plan allows.
    Payments,
}

/// Somebody of the room (never one of our own users) who is in its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Matrix user.
    pub party: PartyId,
    /// Display name in the room.
    pub name: String,
}

/// Something the desk has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A phone rings a number that is linked to this room.
    PhoneRings {
        /// The SIP leg.
        leg: LegId,
        /// Its ghost.
        party: PartyId,
        /// The caller's number, where the carrier tells it.
        number: Option<E164>,
        /// The caller's name, where the carrier tells it.
        name: Option<String>,
    },
    /// The answer (200) was given and the phone's media runs.
    PhoneUp(LegId),
    /// The phone's leg has ended: the caller hung up or gave up, or it failed.
    PhoneEnded(LegId, CallOutcome),
    /// What pays for a phone's call ends in so much time.
    CreditLow(LegId, Duration),
    /// It goes on after all.
    CreditExtended(LegId),
    /// It is used up.
    CreditGone(LegId),
    /// As much was written down as the room's plan allows.
    QuotaGone,
    /// A key was pressed on the phone.
    Digit(LegId, char),
    /// The mean opinion score of a phone leg, in tenths (42 is 4.2).
    PhoneQuality(LegId, u8),
    /// Who of the room is in its call now.
    People(Vec<Person>),
    /// Somebody agrees to be heard.
    Agree(PartyId),
    /// Somebody takes that back.
    Withdraw(PartyId),
    /// The room's policy: notes on or off.
    Notes(bool),
    /// Somebody asks that the phones be hung up.
    HangUp,
    /// One of our devices is in the call, with media.
    Attending(Attendee),
    /// One of our devices could not get in, or fell out for good.
    NotAttending(Attendee, AttendProblem),
    /// One of our devices has left.
    Departed(Attendee),
    /// Frames of a party come that no key opens.
    KeyMissing(PartyId),
    /// Its key has come.
    KeyWorks(PartyId),
    /// A party that has not granted speaks (told by the SFU's speaker sign, never by listening).
    UnheardSpeaks(PartyId),
    /// A finished utterance of a granted party; it is in the archive already.
    Utterance {
        /// Archive id.
        id: i64,
        /// Who.
        party: PartyId,
        /// Which of several people on the line.
        voice: Option<u8>,
        /// When it began.
        start: UnixMillis,
        /// When it ended.
        end: UnixMillis,
        /// The words.
        text: String,
    },
    /// Words of a granted party's utterance that goes on.
    Unfinished {
        /// Who.
        party: PartyId,
        /// When it began.
        start: UnixMillis,
        /// The words so far.
        text: String,
    },
    /// Somebody put other words in the place of some: `first` has them all now, the others of `of` are gone.
    Corrected {
        /// Archive ids of what was corrected.
        of: Vec<i64>,
        /// The one that is left.
        first: i64,
        /// Its words now.
        text: String,
    },
    /// All that was heard has been written down: the answer to [`Output::FinishEars`](super::Output::FinishEars).
    EarsFinished,
}
