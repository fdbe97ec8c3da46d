//! What the desk wants done.

use std::time::Duration;

use bridge::{ids::LegId, sip::CallOutcome, time::UnixMillis};

use super::{AttendProblem, Attendee, CaptionOutput, Grants, PartyId, PhoneState};

/// What a phone caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Notes are being written: press 1 to be heard, 2 to stop.
    Consent,
    /// One minute of credit is left.
    OneMinute,
    /// Half a minute is.
    HalfMinute,
    /// The soft tone when a phone's grant changes.
    GrantChanged,
}

/// Something the desk wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Bring one of our devices into the call; answer with `Attending` or `NotAttending`.
    Attend(Attendee),
    /// Take it out; answer with `Departed`.
    Depart(Attendee),
    /// Ring the room's people, as this leg's ghost.
    RingRoom(LegId),
    /// Tell the caller that it rings (180).
    SipRing(LegId),
    /// Answer the phone (200); `PhoneUp` follows.
    SipAnswer(LegId),
    /// Refuse the phone.
    SipReject(LegId, CallOutcome),
    /// Hang up the phone.
    SipHangUp(LegId),
    /// Say something to a caller.
    Prompt(LegId, Prompt),
    /// Play the soft tone to all other phones.
    ToneToOthers(LegId),
    /// These have granted now, all others not. What was heard of others and is not written yet is dropped.
    Grants(Grants),
    /// A party's agreement is to be recorded (or that it was taken back).
    RecordGrant(PartyId, bool),
    /// A party took back its agreement: what it said in this call is to be deleted everywhere.
    TakeBack(PartyId),
    /// The card has changed: show it as [`Desk::card`](super::Desk::card) says.
    Card,
    /// A caption.
    Caption(CaptionOutput),
    /// Say in the thread that what pays for a phone ends in so much time; `None`: that it goes on after all.
    Credit(Option<Duration>),
    /// Say once in the thread that this party is not transcribed.
    NotTranscribed(PartyId),
    /// Write down what is still in the ears; answer with `EarsFinished`.
    FinishEars,
    /// The call is over: write the notes, close the record. The last output.
    Finish,
}

/// What the card says. Text is made of it in [`crate::text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardView {
    /// Phones, in the order they rang.
    pub phones: Vec<PhoneView>,
    /// People of the room who are or were in the call.
    pub people: Vec<PersonView>,
    /// When the first party was answered or, without a phone, when the call began.
    pub since: Option<UnixMillis>,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// Notes: off, on, or failed.
    pub notes: NotesView,
    /// Parties whose media key has not come for 5 s.
    pub keyless: Vec<PartyId>,
    /// Mean opinion score in tenths, of the worst phone leg.
    pub mos_tenths: Option<u8>,
}

/// A phone on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneView {
    /// Its leg.
    pub leg: LegId,
    /// Its ghost.
    pub party: PartyId,
    /// Number and name as the room may see them.
    pub label: String,
    /// Where it stands.
    pub state: PhoneState,
    /// Whether the caller has agreed to be heard.
    pub granted: bool,
}

/// A person on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Who.
    pub party: PartyId,
    /// Display name.
    pub name: String,
    /// In the call now.
    pub present: bool,
    /// Has agreed to be heard.
    pub granted: bool,
}

/// The notes' line of the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotesView {
    /// The room's policy says no.
    Off,
    /// The bot is in the call, or about to be.
    On,
    /// The bot could not join.
    Failed(AttendProblem),
}
