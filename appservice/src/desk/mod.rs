//! The desk holds one room's call in hand and decides.
//!
//! A pure state machine: it takes [`Input`]s and the time and gives [`Output`]s; tasks, sockets and the journal are
//! around it, in [`crate::call`]. Handle one input, drain [`Desk::poll_output`], then wait for the next input or for
//! [`Desk::poll_timeout`]. One desk per call, owned by one task.
//!
//! A call lives while a phone is being set up or up, or while the scribe has people to listen to. The scribe is in
//! the call only while the room's policy says so. Nobody is heard who has not agreed.

mod captions;
mod grants;
mod input;
mod output;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use bridge::{
    ids::LegId,
    sip::CallOutcome,
    time::{Now, UnixMillis},
};

pub use captions::{CaptionOutput, Captions, Said, Turn};
pub use grants::{GrantedPcm, Grants, PartyId, PartyPcm};
pub use input::{AttendProblem, Attendee, Input, Person};
pub use output::{CardView, NotesView, Output, PersonView, PhoneView, Prompt};

/// How long a phone rings before "nobody answered".
pub const RING_FOR: Duration = Duration::from_secs(60);
/// How long a call waits for people who have all left (a reload of Element Call takes seconds).
const EMPTY_FOR: Duration = Duration::from_secs(6);
/// How long the scribe waits for them: Element Call's membership can flicker when it leaves, and one call is one set of notes.
/// The notes are to stand within 5 s of the end.
const SCRIBE_WAITS: Duration = Duration::from_secs(2);
/// The card is edited at most this often.
const CARD_EVERY: Duration = Duration::from_secs(3);
/// A media key may be this late before the card tells.
const KEY_LATE: Duration = Duration::from_secs(5);
/// With more than that left a caller is told that a minute is.
const HALF_MINUTE: Duration = Duration::from_secs(40);
/// The SIP status of a phone whose call nobody pays for any more.
pub const PAYMENT_REQUIRED: u16 = 402;
/// The last words may take this long to be written down.
const EARS_MAY_TAKE: Duration = Duration::from_secs(20);

/// Timers of the desk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timer {
    /// Nobody has answered this phone.
    NobodyAnswers(LegId),
    /// Everybody of the room has left.
    RoomEmpty,
    /// Everybody has left the scribe alone.
    ScribeAlone,
    /// The card may be edited again.
    Card,
    /// This party's key has not come.
    KeyLate(PartyId),
    /// The last words take too long.
    Ears,
}

/// Where a phone leg stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneState {
    /// Its ghost is on the way into the call.
    Arriving,
    /// It rings.
    Ringing,
    /// Answered, media on its way.
    Answering,
    /// In the call.
    Up,
    /// Gone, and why. `answered`: it had been up.
    Ended {
        /// Whether it had been answered.
        answered: bool,
        /// How it ended.
        outcome: CallOutcome,
    },
}

#[derive(Debug)]
struct Phone {
    party: PartyId,
    label: String,
    state: PhoneState,
    prompted: bool,
    departing: bool,
    mos_tenths: Option<u8>,
}

impl Phone {
    fn live(&self) -> bool {
        !matches!(self.state, PhoneState::Ended { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scribe {
    Out,
    Arriving,
    In,
    Leaving,
    Failed(AttendProblem),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// Everybody has left; the last words are being written down.
    Closing,
    Finished,
}

/// See the module's text.
#[derive(Debug)]
pub struct Desk {
    phones: BTreeMap<LegId, Phone>,
    order: Vec<LegId>,
    people: BTreeMap<PartyId, (String, bool)>,
    grants: Grants,
    notes: bool,
    scribe: Scribe,
    heard: bool,
    told_unheard: BTreeSet<PartyId>,
    late_keys: BTreeSet<PartyId>,
    captions: Captions,
    started: Option<UnixMillis>,
    ended: Option<UnixMillis>,
    card_sent: Option<Instant>,
    card_dirty: bool,
    phase: Phase,
    timers: BTreeMap<Timer, Instant>,
    output: VecDeque<Output>,
}

impl Desk {
    /// A desk for a call that is about to begin, with the room's policy.
    #[must_use]
    pub fn new(notes: bool) -> Self {
        Self {
            phones: BTreeMap::new(),
            order: Vec::new(),
            people: BTreeMap::new(),
            grants: Grants::default(),
            notes,
            scribe: Scribe::Out,
            heard: false,
            told_unheard: BTreeSet::new(),
            late_keys: BTreeSet::new(),
            captions: Captions::default(),
            started: None,
            ended: None,
            card_sent: None,
            card_dirty: false,
            phase: Phase::Live,
            timers: BTreeMap::new(),
            output: VecDeque::new(),
        }
    }

    /// Whether the call still takes parties. Once it closes, who rings or joins begins a new call.
    #[must_use]
    pub fn live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Whether this phone's ghost is in the call already: one line cannot ring twice.
    #[must_use]
    pub fn has_phone(&self, party: &PartyId) -> bool {
        self.phones.values().any(|p| p.party == *party && (p.live() || p.departing))
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::PhoneRings { leg, party, number, name } => {
                let label = phone_label(number.as_ref(), name.as_deref());
                self.phone_rings(leg, party, label);
            }
            Input::PhoneUp(leg) => self.phone_up(now, leg),
            Input::PhoneEnded(leg, outcome) => self.phone_ended(leg, outcome),
            Input::CreditLow(leg, left) => self.credit_low(leg, left),
            Input::CreditExtended(leg) => {
                if self.is_up(leg) {
                    self.output.push_back(Output::Credit(None));
                }
            }
            Input::CreditGone(leg) => self.end_or_refuse(leg, &CallOutcome::Refused { status: PAYMENT_REQUIRED }),
            Input::QuotaGone => {
                // It comes back, and is told then why it may not.
                if self.scribe == Scribe::In {
                    self.scribe = Scribe::Leaving;
                    self.output.push_back(Output::Depart(Attendee::Scribe));
                }
            }
            Input::Digit(leg, digit) => self.digit(leg, digit),
            Input::PhoneQuality(leg, mos) => {
                if let Some(p) = self.phones.get_mut(&leg) {
                    p.mos_tenths = Some(mos);
                }
            }
            Input::People(people) => self.people_are(now, people),
            Input::Agree(party) => {
                self.agree(party);
            }
            Input::Withdraw(party) => {
                self.withdraw(&party);
            }
            Input::Notes(on) => {
                self.notes = on;
                self.changed();
                if on {
                    self.prompt_phones();
                }
            }
            Input::HangUp => self.hang_up_all(),
            Input::Attending(who) => self.attending(now, &who),
            Input::NotAttending(who, problem) => self.not_attending(now, &who, problem),
            Input::Departed(who) => self.departed(&who),
            Input::KeyMissing(party) => {
                self.timers.insert(Timer::KeyLate(party), now.mono + KEY_LATE);
            }
            Input::KeyWorks(party) => {
                self.timers.remove(&Timer::KeyLate(party.clone()));
                if self.late_keys.remove(&party) {
                    self.changed();
                }
            }
            Input::UnheardSpeaks(party) => {
                let hears = self.scribe == Scribe::In && !self.grants.granted(&party);
                if hears && self.told_unheard.insert(party.clone()) {
                    self.output.push_back(Output::NotTranscribed(party));
                }
            }
            Input::Utterance { id, party, voice, start, end, text } => {
                // What was being recognised while the grant was taken back is dropped here as well.
                if self.grants.granted(&party) {
                    self.captions.handle_utterance(now, &Said { id, party: &party, voice, start, end, text: &text });
                    self.drain_captions();
                }
            }
            Input::Unfinished { party, start, text } => {
                if self.grants.granted(&party) {
                    self.captions.handle_unfinished(now, &party, start, &text);
                    self.drain_captions();
                }
            }
            Input::Corrected { of, first, text } => self.captions.correct(&of, first, &text),
            Input::EarsFinished => self.ears_finished(),
        }
        self.settle(now);
    }

    /// A timer ran out.
    pub fn handle_timeout(&mut self, now: Now) {
        let due: Vec<Timer> = self.timers.iter().filter(|(_, at)| **at <= now.mono).map(|(t, _)| t.clone()).collect();
        for timer in due {
            self.timers.remove(&timer);
            match timer {
                Timer::NobodyAnswers(leg) => self.give_up(leg, CallOutcome::NobodyAnswered),
                Timer::RoomEmpty => self.hang_up_all(),
                Timer::Card | Timer::ScribeAlone => {}
                Timer::KeyLate(party) => {
                    self.late_keys.insert(party);
                    self.changed();
                }
                Timer::Ears => self.ears_finished(),
            }
        }
        self.captions.handle_timeout(now);
        self.drain_captions();
        self.settle(now);
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When [`Desk::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.values().copied().chain(self.captions.poll_timeout()).min()
    }

    /// Who has agreed to be heard.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// What the card says now.
    #[must_use]
    pub fn card(&self) -> CardView {
        let notes = match (&self.scribe, self.notes) {
            (Scribe::Failed(problem), true) => NotesView::Failed(problem.clone()),
            (_, true) => NotesView::On,
            (_, false) => NotesView::Off,
        };
        CardView {
            phones: self
                .order
                .iter()
                .filter_map(|leg| Some((*leg, self.phones.get(leg)?)))
                .map(|(leg, p)| PhoneView {
                    leg,
                    party: p.party.clone(),
                    label: p.label.clone(),
                    state: p.state.clone(),
                    granted: self.grants.granted(&p.party),
                })
                .collect(),
            people: self
                .people
                .iter()
                .map(|(party, (name, present))| PersonView {
                    party: party.clone(),
                    name: name.clone(),
                    present: *present,
                    granted: self.grants.granted(party),
                })
                .collect(),
            since: self.started,
            ended: self.ended,
            notes,
            keyless: self.late_keys.iter().cloned().collect(),
            mos_tenths: self.phones.values().filter_map(|p| p.mos_tenths).min(),
        }
    }

    fn phone_rings(&mut self, leg: LegId, party: PartyId, label: String) {
        if self.phase != Phase::Live {
            return self.output.push_back(Output::SipReject(leg, CallOutcome::Busy));
        }
        let phone =
            Phone { party, label, state: PhoneState::Arriving, prompted: false, departing: false, mos_tenths: None };
        self.phones.insert(leg, phone);
        self.order.push(leg);
        self.output.push_back(Output::Attend(Attendee::Phone(leg)));
        self.changed();
    }

    fn attending(&mut self, now: Now, who: &Attendee) {
        match who {
            Attendee::Phone(leg) => {
                let answered_by_somebody = self.anybody();
                match self.phones.get_mut(leg) {
                    Some(p) if p.state == PhoneState::Arriving => {
                        p.state = PhoneState::Ringing;
                        self.timers.insert(Timer::NobodyAnswers(*leg), now.mono + RING_FOR);
                        self.output.push_back(Output::SipRing(*leg));
                        if !answered_by_somebody {
                            self.output.push_back(Output::RingRoom(*leg));
                        }
                    }
                    // Hung up while the ghost was on its way.
                    _ => self.output.push_back(Output::Depart(who.clone())),
                }
            }
            Attendee::Scribe => {
                self.scribe = Scribe::In;
                self.heard = true;
                self.started.get_or_insert(now.wall);
                self.prompt_phones();
            }
        }
        self.changed();
    }

    fn not_attending(&mut self, now: Now, who: &Attendee, problem: AttendProblem) {
        match *who {
            Attendee::Phone(leg) => {
                let up =
                    self.phones.get(&leg).is_some_and(|p| matches!(p.state, PhoneState::Up | PhoneState::Answering));
                let outcome = CallOutcome::Failed { why: problem.cause().to_owned() };
                if up {
                    self.output.push_back(Output::SipHangUp(leg));
                    self.end_phone(leg, outcome);
                } else if self.phones.get(&leg).is_some_and(Phone::live) {
                    self.output.push_back(Output::SipReject(leg, CallOutcome::Unavailable));
                    self.end_phone(leg, outcome);
                }
                // It is not in: nobody has to leave.
                self.departed(who);
            }
            Attendee::Scribe => {
                self.started.get_or_insert(now.wall);
                self.scribe = Scribe::Failed(problem);
            }
        }
        self.changed();
    }

    fn departed(&mut self, who: &Attendee) {
        match who {
            Attendee::Phone(leg) => {
                if let Some(p) = self.phones.get_mut(leg) {
                    p.departing = false;
                }
            }
            Attendee::Scribe => self.scribe = Scribe::Out,
        }
    }

    fn phone_up(&mut self, now: Now, leg: LegId) {
        let Some(p) = self.phones.get_mut(&leg).filter(|p| p.state == PhoneState::Answering) else { return };
        p.state = PhoneState::Up;
        self.started.get_or_insert(now.wall);
        self.prompt_phones();
        self.changed();
    }

    fn phone_ended(&mut self, leg: LegId, outcome: CallOutcome) {
        if self.phones.get(&leg).is_some_and(Phone::live) {
            self.end_phone(leg, outcome);
        }
    }

    /// Refuses a phone that has not been answered.
    fn give_up(&mut self, leg: LegId, outcome: CallOutcome) {
        if self.phones.get(&leg).is_some_and(Phone::live) {
            self.output.push_back(Output::SipReject(leg, outcome.clone()));
            self.end_phone(leg, outcome);
        }
    }

    fn hang_up_all(&mut self) {
        for leg in self.order.clone() {
            let up = self.is_up(leg) || self.phones.get(&leg).is_some_and(|p| p.state == PhoneState::Answering);
            self.end_or_refuse(leg, if up { &CallOutcome::Completed } else { &CallOutcome::Unavailable });
        }
    }

    fn end_or_refuse(&mut self, leg: LegId, outcome: &CallOutcome) {
        match self.phones.get(&leg).map(|p| &p.state) {
            Some(PhoneState::Up | PhoneState::Answering) => {
                self.output.push_back(Output::SipHangUp(leg));
                self.end_phone(leg, outcome.clone());
            }
            Some(PhoneState::Ringing | PhoneState::Arriving) => self.give_up(leg, outcome.clone()),
            _ => {}
        }
    }

    fn is_up(&self, leg: LegId) -> bool {
        self.phones.get(&leg).is_some_and(|p| p.state == PhoneState::Up)
    }

    fn credit_low(&mut self, leg: LegId, left: Duration) {
        if self.is_up(leg) {
            let prompt = if left > HALF_MINUTE { Prompt::OneMinute } else { Prompt::HalfMinute };
            self.output.push_back(Output::Prompt(leg, prompt));
            self.output.push_back(Output::Credit(Some(left)));
        }
    }

    /// The leg is over on the SIP side; its ghost leaves.
    fn end_phone(&mut self, leg: LegId, outcome: CallOutcome) {
        let Some(p) = self.phones.get_mut(&leg) else { return };
        let answered = matches!(p.state, PhoneState::Up);
        let in_call = !matches!(p.state, PhoneState::Arriving);
        p.state = PhoneState::Ended { answered, outcome };
        p.departing = true;
        self.timers.remove(&Timer::NobodyAnswers(leg));
        // A ghost on its way is taken out when it arrives.
        if in_call {
            self.output.push_back(Output::Depart(Attendee::Phone(leg)));
        }
        self.changed();
    }

    fn people_are(&mut self, now: Now, people: Vec<Person>) {
        let somebody_was = self.anybody();
        for (_, present) in self.people.values_mut() {
            *present = false;
        }
        for person in people {
            self.people.insert(person.party, (person.name, true));
        }
        if somebody_was && !self.anybody() {
            self.timers.insert(Timer::ScribeAlone, now.mono + SCRIBE_WAITS);
        }
        if self.anybody() {
            self.timers.remove(&Timer::RoomEmpty);
            self.timers.remove(&Timer::ScribeAlone);
        } else if self.phones.values().any(|p| matches!(p.state, PhoneState::Up | PhoneState::Answering)) {
            self.timers.entry(Timer::RoomEmpty).or_insert(now.mono + EMPTY_FOR);
        }
        let gone: Vec<PartyId> =
            self.late_keys.iter().filter(|p| self.people.get(*p).is_some_and(|x| !x.1)).cloned().collect();
        for party in gone {
            self.late_keys.remove(&party);
        }
        self.changed();
    }

    fn digit(&mut self, leg: LegId, digit: char) {
        let Some(party) = self.phones.get(&leg).filter(|p| p.live()).map(|p| p.party.clone()) else { return };
        let changed = match digit {
            // A press counts only for who has been asked.
            '1' if self.notes => self.agree(party),
            '2' => self.withdraw(&party),
            _ => false,
        };
        if changed {
            self.output.push_back(Output::Prompt(leg, Prompt::GrantChanged));
            self.output.push_back(Output::ToneToOthers(leg));
        }
    }

    fn agree(&mut self, party: PartyId) -> bool {
        let in_call =
            self.people.get(&party).is_some_and(|p| p.1) || self.phones.values().any(|p| p.party == party && p.live());
        if !in_call || !self.grants.grant(party.clone()) {
            return false;
        }
        self.output.push_back(Output::RecordGrant(party, true));
        self.output.push_back(Output::Grants(self.grants.clone()));
        self.changed();
        true
    }

    fn withdraw(&mut self, party: &PartyId) -> bool {
        if !self.grants.withdraw(party) {
            return false;
        }
        self.captions.discard(party);
        self.output.push_back(Output::Grants(self.grants.clone()));
        self.output.push_back(Output::RecordGrant(party.clone(), false));
        self.output.push_back(Output::TakeBack(party.clone()));
        self.changed();
        true
    }

    fn prompt_phones(&mut self) {
        if !self.notes || self.scribe != Scribe::In {
            return;
        }
        for (leg, p) in &mut self.phones {
            if p.state == PhoneState::Up && !std::mem::replace(&mut p.prompted, true) {
                self.output.push_back(Output::Prompt(*leg, Prompt::Consent));
            }
        }
    }

    fn ears_finished(&mut self) {
        if self.phase == Phase::Closing {
            self.phase = Phase::Finished;
            self.timers.clear();
            self.captions.close();
            self.drain_captions();
            self.output.push_back(Output::Card);
            self.output.push_back(Output::Finish);
        }
    }

    fn drain_captions(&mut self) {
        while let Some(c) = self.captions.poll_output() {
            self.output.push_back(Output::Caption(c));
        }
    }

    /// What follows from the state, whatever led to it.
    fn settle(&mut self, now: Now) {
        if self.phase != Phase::Live {
            return;
        }
        self.answer_phones();
        self.call_scribe();
        let phones = self.phones.values().any(|p| p.live() || p.departing);
        let scribing = matches!(self.scribe, Scribe::Arriving | Scribe::In | Scribe::Leaving);
        let begun = !self.phones.is_empty() || self.started.is_some();
        if begun && !phones && !scribing {
            self.close(now);
        } else if self.card_dirty && self.card_sent.is_none_or(|at| now.mono >= at + CARD_EVERY) {
            self.card_dirty = false;
            self.card_sent = Some(now.mono);
            self.timers.remove(&Timer::Card);
            self.output.push_back(Output::Card);
        } else if let (true, Some(at)) = (self.card_dirty, self.card_sent) {
            self.timers.entry(Timer::Card).or_insert(at + CARD_EVERY);
        }
    }

    fn answer_phones(&mut self) {
        if !self.anybody() {
            return;
        }
        for (leg, p) in &mut self.phones {
            if p.state == PhoneState::Ringing {
                p.state = PhoneState::Answering;
                self.timers.remove(&Timer::NobodyAnswers(*leg));
                self.output.push_back(Output::SipAnswer(*leg));
            }
        }
    }

    fn scribe_wanted(&self) -> bool {
        self.notes && (self.anybody() || self.timers.contains_key(&Timer::ScribeAlone))
    }

    fn call_scribe(&mut self) {
        match (&self.scribe, self.scribe_wanted()) {
            (Scribe::Out, true) if self.anybody() => {
                self.scribe = Scribe::Arriving;
                self.output.push_back(Output::Attend(Attendee::Scribe));
            }
            (Scribe::In, false) => {
                self.scribe = Scribe::Leaving;
                self.output.push_back(Output::Depart(Attendee::Scribe));
            }
            // The people are gone: a failure is forgotten with the call.
            (Scribe::Failed(_), false) if !self.anybody() => self.scribe = Scribe::Out,
            _ => {}
        }
    }

    fn close(&mut self, now: Now) {
        self.phase = Phase::Closing;
        self.ended = Some(now.wall);
        self.timers.clear();
        if self.heard {
            self.timers.insert(Timer::Ears, now.mono + EARS_MAY_TAKE);
            self.output.push_back(Output::FinishEars);
        } else {
            self.ears_finished();
        }
    }

    fn anybody(&self) -> bool {
        self.people.values().any(|(_, present)| *present)
    }

    fn changed(&mut self) {
        self.card_dirty = true;
    }
}

impl AttendProblem {
    /// Names the cause for logs and records, without addresses.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::NoTransport => "no_transport",
            Self::MediaServer(_) => "media_server",
            Self::PowerLevel(_) => "power_level",
            Self::NotInRoom => "not_in_room",
            Self::Homeserver => "homeserver",
            Self::NoRecogniser => "no_recogniser",
            Self::QuotaGone => "quota_gone",
            Self::Payments => "payments",
        }
    }
}

/// How a phone is called in its room: number and name, whole.
#[must_use]
pub fn phone_label(number: Option<&bridge::ids::E164>, name: Option<&str>) -> String {
    let name = name.map(str::trim).filter(|n| !n.is_empty());
    match (number, name) {
        (Some(n), Some(name)) if name.trim_start_matches('+') != n.digits() => format!("{} ({name})", n.reveal()),
        (Some(n), _) => n.reveal().to_owned(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => "unknown number".to_owned(),
    }
}
