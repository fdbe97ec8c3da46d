//! Sessions and keys in virtual time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    livekit::MediaKey,
    time::{Now, UnixMillis},
};

fn start() -> Now {
    Now { mono: Instant::now(), wall: UnixMillis(1_000_000) }
}

fn key(n: u8) -> MediaKey {
    MediaKey::from_bytes(&[n; 16]).unwrap()
}

fn transport() -> Transport {
    Transport { service_url: "https://rtc.example".into(), alias: "!r:hs".into() }
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A roster driven by whole memberships.
#[derive(Default)]
struct Room(Roster);

impl Room {
    fn join(&mut self, now: Now, m: &Member) {
        let content = own_content(m, &transport(), seconds(14_400), None);
        self.put(now, m, &content);
    }
    fn leave(&mut self, now: Now, m: &Member) {
        self.put(now, m, &json!({}));
    }
    fn put(&mut self, now: Now, m: &Member, content: &Value) {
        let key = state_key(m, "11");
        let event = MemberEvent { sender: &m.user, state_key: &key, content, event_id: "$e", sent: now.wall };
        self.0.apply(now, &event).unwrap();
    }
}

fn us() -> Member {
    Member::new("@_roomtone_tel_1:hs", "RT")
}
fn alice() -> Member {
    Member::new("@alice:hs", "A")
}
fn bob() -> Member {
    Member::new("@bob:hs", "B")
}

/// Drains a distribution, answering every wish for a key with the next number.
fn drain(keys: &mut KeyDistribution, now: Now, next: &mut u8) -> Vec<KeyOutput> {
    let mut seen = vec![];
    while let Some(o) = keys.poll_output() {
        if o == KeyOutput::NeedKey {
            keys.fresh_key(now, key(*next));
            *next += 1;
        } else {
            seen.push(o);
        }
    }
    seen
}

#[test]
fn the_first_key_is_shared_with_all_and_used_at_once() {
    let (now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0);
    room.join(now, &us());
    room.join(now, &alice());
    keys.handle_roster(now, &room.0);
    assert_eq!(
        drain(&mut keys, now, &mut n),
        [KeyOutput::Share { to: vec![alice()], index: 0, key: key(0) }, KeyOutput::Use { index: 0, key: key(0) }]
    );
}

#[test]
fn an_early_joiner_gets_the_same_key_and_nobody_else_hears_of_it() {
    let (now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0);
    room.join(now, &alice());
    keys.handle_roster(now, &room.0);
    drain(&mut keys, now, &mut n);
    let later = now.plus(seconds(9));
    room.join(later, &bob());
    keys.handle_roster(later, &room.0);
    assert_eq!(drain(&mut keys, later, &mut n), [KeyOutput::Share { to: vec![bob()], index: 0, key: key(0) }]);
}

#[test]
fn a_late_joiner_makes_a_new_key_that_is_used_after_it_was_shared() {
    let (now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0);
    room.join(now, &alice());
    keys.handle_roster(now, &room.0);
    drain(&mut keys, now, &mut n);
    let later = now.plus(seconds(10));
    room.join(later, &bob());
    keys.handle_roster(later, &room.0);
    let to = vec![alice(), bob()];
    assert_eq!(drain(&mut keys, later, &mut n), [KeyOutput::Share { to, index: 1, key: key(1) }]);
    assert_eq!(keys.poll_timeout(), Some(later.mono + Duration::from_secs(1)));
    keys.handle_timeout(later.plus(seconds(1)));
    assert_eq!(drain(&mut keys, later, &mut n), [KeyOutput::Use { index: 1, key: key(1) }]);
}

#[test]
fn who_leaves_does_not_get_the_next_key() {
    let (now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0);
    room.join(now, &alice());
    room.join(now, &bob());
    keys.handle_roster(now, &room.0);
    drain(&mut keys, now, &mut n);
    room.leave(now, &bob());
    keys.handle_roster(now, &room.0);
    assert_eq!(drain(&mut keys, now, &mut n), [KeyOutput::Share { to: vec![alice()], index: 1, key: key(1) }]);
}

#[test]
fn leaving_and_joining_again_counts_as_both() {
    let (now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0);
    room.join(now, &alice());
    keys.handle_roster(now, &room.0);
    drain(&mut keys, now, &mut n);
    let later = now.plus(seconds(2));
    room.join(later, &alice());
    keys.handle_roster(later, &room.0);
    assert_eq!(drain(&mut keys, later, &mut n), [KeyOutput::Share { to: vec![alice()], index: 1, key: key(1) }]);
}

#[test]
fn a_failed_share_is_tried_again_while_the_member_is_there() {
    let (now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0);
    room.join(now, &alice());
    keys.handle_roster(now, &room.0);
    drain(&mut keys, now, &mut n);
    keys.handle_share_failed(now, &alice(), 0);
    let at = keys.poll_timeout().unwrap();
    let later = now.plus(at - now.mono);
    keys.handle_timeout(later);
    assert_eq!(drain(&mut keys, later, &mut n), [KeyOutput::Share { to: vec![alice()], index: 0, key: key(0) }]);
    keys.handle_share_failed(later, &alice(), 0);
    assert_eq!(keys.poll_timeout(), Some(later.mono + seconds(4)), "the pause doubles");
    room.leave(later, &alice());
    keys.handle_roster(later, &room.0);
    drain(&mut keys, later, &mut n);
    keys.handle_share_failed(later, &alice(), 0);
    assert!(keys.poll_timeout().is_none_or(|t| t <= later.mono + seconds(1)), "nobody to try again for");
}

#[test]
fn a_key_event_is_believed_only_from_the_device_it_names() {
    let content = key_content("!r:hs", &alice(), 3, &key(9), UnixMillis(5));
    let got = ReceivedKey::check("!r:hs", "@alice:hs", "A", &content).unwrap();
    assert_eq!(got, ReceivedKey { member: alice(), index: 3, key: key(9) });
    assert!(matches!(
        ReceivedKey::check("!r:hs", "@alice:hs", "STOLEN", &content),
        Err(KeyRefusal::OtherDevice { .. })
    ));
    assert_eq!(ReceivedKey::check("!other:hs", "@alice:hs", "A", &content), Err(KeyRefusal::OtherRoom));
    for (path, field) in [("keys", "keys.index"), ("member", "member.claimed_device_id"), ("room_id", "room_id")] {
        let mut broken = content.clone();
        broken.as_object_mut().unwrap().remove(path);
        assert_eq!(ReceivedKey::check("!r:hs", "@alice:hs", "A", &broken), Err(KeyRefusal::Field(field)));
    }
    let mut wide = content.clone();
    wide["keys"]["index"] = json!(256);
    assert_eq!(ReceivedKey::check("!r:hs", "@alice:hs", "A", &wide), Err(KeyRefusal::Field("keys.index")));
}

/// A session and a homeserver that answers at once.
struct Driven {
    session: Session,
    room: Room,
    now: Now,
    restarts: u32,
    memberships: Vec<Value>,
    joined: u32,
    left: u32,
    scheduled: u32,
    delayed_events: bool,
}

impl Driven {
    fn new() -> Self {
        Self {
            session: Session::new(us(), "11", SessionTimers::default()),
            room: Room::default(),
            now: start(),
            restarts: 0,
            memberships: vec![],
            joined: 0,
            left: 0,
            scheduled: 0,
            delayed_events: true,
        }
    }

    fn feed(&mut self, input: SessionInput) {
        self.session.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(o) = self.session.poll_output() {
            match o {
                SessionOutput::ScheduleLeave { .. } => {
                    self.scheduled += 1;
                    let id = self.delayed_events.then(|| DelayId(format!("d{}", self.scheduled)));
                    self.session.handle(self.now, SessionInput::LeaveScheduled(id));
                }
                SessionOutput::SendMembership { content, .. } => {
                    self.room.put(self.now, &us(), &content);
                    self.memberships.push(content);
                    self.session.handle(self.now, SessionInput::MembershipSent { event_id: "$m".into() });
                    self.session.handle_roster(self.now, &self.room.0);
                }
                SessionOutput::RestartLeave(_) => self.restarts += 1,
                SessionOutput::Joined { .. } => self.joined += 1,
                SessionOutput::SendLeave { .. } => {
                    self.room.leave(self.now, &us());
                    self.session.handle(self.now, SessionInput::LeaveSent);
                }
                SessionOutput::Left => self.left += 1,
            }
            while self.session.poll_key().is_some() {}
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now.plus(span);
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end.mono) {
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }
}

#[test]
fn a_leave_is_scheduled_before_the_membership_is_sent() {
    let mut s = Session::new(us(), "11", SessionTimers::default());
    let now = start();
    s.handle(now, SessionInput::Join(transport()));
    assert!(matches!(s.poll_output(), Some(SessionOutput::ScheduleLeave { delay, .. }) if delay == seconds(18)));
    assert_eq!(s.poll_output(), None);
    s.handle(now, SessionInput::LeaveScheduled(None));
    assert!(matches!(s.poll_output(), Some(SessionOutput::SendMembership { .. })));
}

#[test]
fn an_hour_in_a_call_restarts_the_leave_every_four_seconds_and_renews_once() {
    let mut d = Driven::new();
    d.feed(SessionInput::Join(transport()));
    d.run_for(seconds(3_600));
    assert_eq!((d.joined, d.restarts), (1, 900));
    assert_eq!(d.memberships.len(), 2);
    assert_eq!(d.memberships[0].get("created_ts"), None);
    assert_eq!(d.memberships[1]["created_ts"], json!(1_000_000));
    assert_eq!(d.memberships[1]["expires"], json!(28_800_000));
}

#[test]
fn without_delayed_events_the_session_lives_all_the_same() {
    let mut d = Driven { delayed_events: false, ..Driven::new() };
    d.feed(SessionInput::Join(transport()));
    d.run_for(seconds(60));
    assert_eq!((d.joined, d.restarts), (1, 0));
}

#[test]
fn a_membership_that_vanishes_is_sent_again_with_a_new_safety_net() {
    let mut d = Driven::new();
    d.feed(SessionInput::Join(transport()));
    d.run_for(seconds(1));
    let now = d.now;
    d.room.leave(now, &us());
    d.session.handle_roster(now, &d.room.0);
    d.drain();
    assert_eq!((d.scheduled, d.memberships.len(), d.joined), (2, 2, 1));
    assert!(d.room.0.get(&us()).is_some());
}

#[test]
fn a_lost_safety_net_is_stretched_again() {
    let mut d = Driven::new();
    d.feed(SessionInput::Join(transport()));
    d.feed(SessionInput::ScheduledLeaveGone);
    assert_eq!(d.scheduled, 2);
    d.run_for(seconds(4));
    assert_eq!(d.restarts, 1);
}

#[test]
fn leaving_ends_all_timers_and_is_told_once() {
    let mut d = Driven::new();
    d.feed(SessionInput::Join(transport()));
    d.feed(SessionInput::Leave);
    d.feed(SessionInput::Leave);
    assert_eq!((d.left, d.session.poll_timeout()), (1, None));
    let mut never_joined = Driven::new();
    never_joined.feed(SessionInput::Leave);
    assert_eq!(never_joined.left, 1);
}

#[derive(Debug, Clone)]
enum Step {
    Join(u8),
    Leave(u8),
    Wait(u16),
    ShareFails(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..4_u8).prop_map(Step::Join),
        (0..4_u8).prop_map(Step::Leave),
        (0..20_000_u16).prop_map(Step::Wait),
        (0..4_u8).prop_map(Step::ShareFails),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever people do: the key in use was never held by somebody who had left before it was made, and everybody
    /// in the call has been given the newest key.
    #[test]
    fn nobody_outside_holds_the_key_in_use(steps in steps()) {
        let (mut now, mut room, mut keys, mut n) = (start(), Room::default(), KeyDistribution::new(us()), 0_u8);
        let mut holders: BTreeMap<u8, Vec<Member>> = BTreeMap::new();
        let (mut in_use, mut newest) = (None, None);
        for step in steps {
            let person = |i: u8| Member::new(format!("@p{i}:hs"), "D");
            match step {
                Step::Join(i) => room.join(now, &person(i)),
                Step::Leave(i) => room.leave(now, &person(i)),
                Step::ShareFails(i) => keys.handle_share_failed(now, &person(i), newest.unwrap_or(0)),
                Step::Wait(ms) => {
                    now = now.plus(Duration::from_millis(ms.into()));
                    keys.handle_timeout(now);
                }
            }
            keys.handle_roster(now, &room.0);
            for o in drain(&mut keys, now, &mut n) {
                match o {
                    KeyOutput::Share { to, index, .. } => {
                        newest = Some(index);
                        for m in &to { prop_assert!(room.0.get(m).is_some(), "shared with somebody outside"); }
                        holders.entry(index).or_default().extend(to);
                    }
                    KeyOutput::Use { index, .. } => in_use = Some(index),
                    KeyOutput::NeedKey => {}
                }
            }
            if let Some(newest) = newest {
                for m in room.0.members() {
                    prop_assert!(holders[&newest].contains(&m.member), "a member lacks the newest key");
                }
            }
        }
        now = now.plus(seconds(1));
        keys.handle_timeout(now);
        for o in drain(&mut keys, now, &mut n) {
            if let KeyOutput::Use { index, .. } = o { in_use = Some(index); }
        }
        if let Some(used) = in_use {
            for m in holders.get(&used).into_iter().flatten() {
                prop_assert!(room.0.get(m).is_some(), "somebody outside holds the key in use");
            }
        }
    }
}
