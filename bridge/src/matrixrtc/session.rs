//! One of our devices in one room's call: membership with its safety net, and media keys.
//!
//! ```text
//!  Idle ─join─▶ Arming ─leave scheduled─▶ Announcing ─membership sent─▶ In ─leave─▶ Leaving ─▶ Out
//!                 ▲                                                      │
//!                 └───────────── our membership vanished ────────────────┘
//! ```
//!
//! Handle one input, drain [`Session::poll_output`] and [`Session::poll_key`] until `None`, then wait for the next
//! input or for [`Session::poll_timeout`].

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{livekit::MediaKey, time::Now, time::UnixMillis};

use super::{
    KeyDistribution, KeyOutput, Member, Roster, Transport,
    membership::{DEFAULT_EXPIRES, own_content},
    state_key,
};

/// Id of a delayed event on the homeserver (MSC4140).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayId(pub String);

/// Intervals of a session. The defaults are Element Call's.
#[derive(Debug, Clone, Copy)]
pub struct SessionTimers {
    /// After this long without a sign of life the homeserver takes us out. 18 s.
    pub leave_delay: Duration,
    /// How often the scheduled leave is put off. 4 s.
    pub restart_every: Duration,
    /// `expires` of one membership event; each renewal adds as much. 4 h.
    pub expires: Duration,
    /// How often the membership is renewed. One hour less 5 s.
    pub renew_every: Duration,
}

impl Default for SessionTimers {
    fn default() -> Self {
        Self {
            leave_delay: Duration::from_secs(18),
            restart_every: Duration::from_secs(4),
            expires: DEFAULT_EXPIRES,
            renew_every: Duration::from_secs(3_595),
        }
    }
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionInput {
    /// Enter the call with media on this transport.
    Join(Transport),
    /// The homeserver has scheduled the leave; `None`: it cannot (no MSC4140), or did not.
    LeaveScheduled(Option<DelayId>),
    /// The membership event stands in the room.
    MembershipSent {
        /// Its event id.
        event_id: String,
    },
    /// The homeserver no longer knows the scheduled leave: sent, or lost.
    ScheduledLeaveGone,
    /// Leave the call.
    Leave,
    /// The leave stands in the room.
    LeaveSent,
}

/// What a session wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionOutput {
    /// Schedule the empty state event; answer with [`SessionInput::LeaveScheduled`].
    ScheduleLeave {
        /// State key of our membership.
        state_key: String,
        /// After how long it is to be sent.
        delay: Duration,
    },
    /// Send the membership; answer with [`SessionInput::MembershipSent`].
    SendMembership {
        /// State key of our membership.
        state_key: String,
        /// Its content.
        content: Value,
    },
    /// Put the scheduled leave off; answer with [`SessionInput::ScheduledLeaveGone`] if it is not there.
    RestartLeave(DelayId),
    /// We are in the call (told once).
    Joined {
        /// Our first membership event: what a ring refers to.
        membership_event: String,
    },
    /// Leave now: send the scheduled one if there is one, else, or if that fails, the empty state event.
    /// Answer with [`SessionInput::LeaveSent`].
    SendLeave {
        /// State key of our membership.
        state_key: String,
        /// The scheduled leave.
        scheduled: Option<DelayId>,
    },
    /// We are out. The last output.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Arming,
    Announcing,
    In,
    Leaving,
    Out,
}

/// See the module's text.
#[derive(Debug)]
pub struct Session {
    own: Member,
    state_key: String,
    timers: SessionTimers,
    state: State,
    transport: Option<Transport>,
    scheduled: Option<DelayId>,
    joined: Option<UnixMillis>,
    announced: bool,
    /// How many spans of `expires` the membership has by now.
    spans: u32,
    seen_in_roster: bool,
    restart_at: Option<Instant>,
    renew_at: Option<Instant>,
    keys: KeyDistribution,
    output: VecDeque<SessionOutput>,
}

impl Session {
    /// A session of `own` in a room of this version, not joined.
    #[must_use]
    pub fn new(own: Member, room_version: &str, timers: SessionTimers) -> Self {
        Self {
            state_key: state_key(&own, room_version),
            keys: KeyDistribution::new(own.clone()),
            own,
            timers,
            state: State::Idle,
            transport: None,
            scheduled: None,
            joined: None,
            announced: false,
            spans: 1,
            seen_in_roster: false,
            restart_at: None,
            renew_at: None,
            output: VecDeque::new(),
        }
    }

    /// State key of our membership.
    #[must_use]
    pub fn state_key(&self) -> &str {
        &self.state_key
    }

    /// Takes one input. What does not fit the state is passed over: answers may come late.
    pub fn handle(&mut self, now: Now, input: SessionInput) {
        match (self.state, input) {
            (State::Idle, SessionInput::Join(transport)) => {
                self.transport = Some(transport);
                self.arm();
            }
            (State::Arming, SessionInput::LeaveScheduled(id)) => {
                self.restart_at = id.as_ref().map(|_| now.mono + self.timers.restart_every);
                self.scheduled = id;
                self.announce(State::Announcing);
            }
            // A new safety net for a membership that still stands.
            (State::In, SessionInput::LeaveScheduled(id)) => {
                self.restart_at = id.as_ref().map(|_| now.mono + self.timers.restart_every);
                self.scheduled = id;
            }
            (State::Announcing, SessionInput::MembershipSent { event_id }) => {
                self.state = State::In;
                self.renew_at = Some(now.mono + self.timers.renew_every);
                self.joined.get_or_insert(now.wall);
                if !std::mem::replace(&mut self.announced, true) {
                    self.output.push_back(SessionOutput::Joined { membership_event: event_id });
                }
            }
            (State::In, SessionInput::ScheduledLeaveGone) => {
                self.scheduled = None;
                self.restart_at = None;
                let delay = self.timers.leave_delay;
                self.output.push_back(SessionOutput::ScheduleLeave { state_key: self.state_key.clone(), delay });
            }
            (State::Idle, SessionInput::Leave) => self.finish(),
            (State::Arming | State::Announcing | State::In, SessionInput::Leave) => {
                self.state = State::Leaving;
                (self.restart_at, self.renew_at) = (None, None);
                let scheduled = self.scheduled.take();
                self.output.push_back(SessionOutput::SendLeave { state_key: self.state_key.clone(), scheduled });
            }
            // Scheduled while we were leaving: the homeserver will send it, an empty event over an empty one.
            (State::Leaving, SessionInput::LeaveSent) => self.finish(),
            _ => {}
        }
    }

    /// The room's roster changed: keys follow it, and so does our own place in it.
    pub fn handle_roster(&mut self, now: Now, roster: &Roster) {
        if matches!(self.state, State::Idle | State::Leaving | State::Out) {
            return;
        }
        let present = roster.get(&self.own).is_some();
        if self.state == State::In && self.seen_in_roster && !present {
            // The scheduled leave was sent (we were slow or cut off) or somebody took us out: come back.
            self.joined = None;
            self.spans = 1;
            self.scheduled = None;
            self.restart_at = None;
            self.arm();
        }
        self.seen_in_roster = present;
        self.keys.handle_roster(now, roster);
    }

    /// The key that [`KeyOutput::NeedKey`] asked for.
    pub fn handle_fresh_key(&mut self, now: Now, key: MediaKey) {
        self.keys.fresh_key(now, key);
    }

    /// These devices could not be given the key of slot `index`.
    pub fn handle_share_failed(&mut self, now: Now, members: &[Member], index: u8) {
        for m in members {
            self.keys.handle_share_failed(now, m, index);
        }
    }

    /// A timer ran out.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.restart_at.is_some_and(|at| at <= now.mono) {
            self.restart_at = self.scheduled.as_ref().map(|_| now.mono + self.timers.restart_every);
            if let Some(id) = &self.scheduled {
                self.output.push_back(SessionOutput::RestartLeave(id.clone()));
            }
        }
        if self.state == State::In && self.renew_at.is_some_and(|at| at <= now.mono) {
            self.spans += 1;
            self.announce(State::Announcing);
            self.renew_at = Some(now.mono + self.timers.renew_every);
        }
        if !matches!(self.state, State::Leaving | State::Out) {
            self.keys.handle_timeout(now);
        }
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        self.output.pop_front()
    }

    /// What is to be done about keys, until `None`.
    pub fn poll_key(&mut self) -> Option<KeyOutput> {
        self.keys.poll_output()
    }

    /// When [`Session::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keys = if matches!(self.state, State::Leaving | State::Out) { None } else { self.keys.poll_timeout() };
        [self.restart_at, self.renew_at, keys].into_iter().flatten().min()
    }

    fn arm(&mut self) {
        self.state = State::Arming;
        self.seen_in_roster = false;
        let delay = self.timers.leave_delay;
        self.output.push_back(SessionOutput::ScheduleLeave { state_key: self.state_key.clone(), delay });
    }

    fn announce(&mut self, next: State) {
        let Some(transport) = &self.transport else { return };
        self.state = next;
        let content = own_content(&self.own, transport, self.timers.expires * self.spans, self.joined);
        self.output.push_back(SessionOutput::SendMembership { state_key: self.state_key.clone(), content });
    }

    fn finish(&mut self) {
        self.state = State::Out;
        (self.restart_at, self.renew_at) = (None, None);
        self.output.push_back(SessionOutput::Left);
    }
}
