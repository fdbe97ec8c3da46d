//! The desk in virtual time.

use std::time::{Duration, Instant};

use bridge::{
    ids::{E164, LegId},
    sip::CallOutcome,
    time::{Now, UnixMillis},
};
use proptest::prelude::*;

use super::*;

const LEG: LegId = LegId(1);

struct Call {
    desk: Desk,
    now: Now,
}

impl Call {
    fn new(notes: bool) -> Self {
        Self { desk: Desk::new(notes), now: Now { mono: Instant::now(), wall: UnixMillis(1_000_000) } }
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.desk.handle(self.now, input);
        self.drain()
    }

    fn wait(&mut self, span: Duration) -> Vec<Output> {
        let end = self.now.plus(span);
        let mut seen = vec![];
        while let Some(at) = self.desk.poll_timeout().filter(|at| *at <= end.mono) {
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.desk.handle_timeout(self.now);
            seen.extend(self.drain());
        }
        self.now = end;
        seen
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.desk.poll_output()).collect()
    }

    fn rings(&mut self) -> Vec<Output> {
        self.tell(Input::PhoneRings {
            leg: LEG,
            party: phone(),
            number: Some(E164::parse("+442079460123").unwrap()),
            name: Some("Ada".into()),
        })
    }

    /// A phone that Bob has answered, with the scribe in if notes are on.
    fn up(notes: bool) -> Self {
        let mut c = Self::new(notes);
        c.rings();
        c.tell(Input::Attending(Attendee::Phone(LEG)));
        c.tell(people(&["bob"]));
        c.tell(Input::PhoneUp(LEG));
        if notes {
            c.tell(Input::Attending(Attendee::Scribe));
        }
        c
    }
}

fn phone() -> PartyId {
    PartyId::new("@_roomtone_tel_442079460123:hs")
}
fn bob() -> PartyId {
    PartyId::new("@bob:hs")
}
fn people(names: &[&str]) -> Input {
    Input::People(
        names.iter().map(|n| Person { party: PartyId::new(format!("@{n}:hs")), name: (*n).to_owned() }).collect(),
    )
}
fn without_cards(output: Vec<Output>) -> Vec<Output> {
    output.into_iter().filter(|o| *o != Output::Card).collect()
}
fn utterance(id: i64, party: PartyId) -> Input {
    Input::Utterance {
        id,
        party,
        voice: None,
        start: UnixMillis(1_000_000),
        end: UnixMillis(1_001_000),
        text: "words".into(),
    }
}

#[test]
fn a_phone_rings_the_room_only_once_its_ghost_is_in_the_call() {
    let mut c = Call::new(false);
    assert_eq!(without_cards(c.rings()), [Output::Attend(Attendee::Phone(LEG))]);
    let then = without_cards(c.tell(Input::Attending(Attendee::Phone(LEG))));
    assert_eq!(then, [Output::SipRing(LEG), Output::RingRoom(LEG)]);
}

#[test]
fn the_phone_is_answered_when_somebody_of_the_room_joins() {
    let mut c = Call::new(false);
    c.rings();
    c.tell(Input::Attending(Attendee::Phone(LEG)));
    assert!(c.tell(people(&["bob"])).contains(&Output::SipAnswer(LEG)));
}

#[test]
fn a_phone_that_finds_people_in_the_call_is_answered_at_once_and_rings_nobody() {
    let mut c = Call::new(false);
    c.rings();
    c.tell(people(&["bob"]));
    let then = c.tell(Input::Attending(Attendee::Phone(LEG)));
    assert!(then.contains(&Output::SipAnswer(LEG)) && !then.contains(&Output::RingRoom(LEG)), "{then:?}");
}

#[test]
fn nobody_answers_within_a_minute() {
    let mut c = Call::new(false);
    c.rings();
    c.tell(Input::Attending(Attendee::Phone(LEG)));
    assert!(without_cards(c.wait(RING_FOR - Duration::from_secs(1))).is_empty());
    let then = without_cards(c.wait(Duration::from_secs(1)));
    assert_eq!(then, [Output::SipReject(LEG, CallOutcome::NobodyAnswered), Output::Depart(Attendee::Phone(LEG))]);
    let last = c.tell(Input::Departed(Attendee::Phone(LEG)));
    assert_eq!(last, [Output::Card, Output::Finish]);
    assert!(matches!(
        c.desk.card().phones[0].state,
        PhoneState::Ended { answered: false, outcome: CallOutcome::NobodyAnswered }
    ));
}

#[test]
fn a_media_server_that_is_down_is_told_to_the_caller_and_on_the_card() {
    let mut c = Call::new(false);
    c.rings();
    let problem = AttendProblem::MediaServer("rtc.example".into());
    let then = c.tell(Input::NotAttending(Attendee::Phone(LEG), problem));
    assert!(then.contains(&Output::SipReject(LEG, CallOutcome::Unavailable)), "{then:?}");
    assert!(then.contains(&Output::Finish), "{then:?}");
}

#[test]
fn a_caller_who_gives_up_early_leaves_no_ghost_behind() {
    let mut c = Call::new(false);
    c.rings();
    assert!(
        without_cards(c.tell(Input::PhoneEnded(LEG, CallOutcome::Cancelled))).is_empty(),
        "the ghost is on its way"
    );
    let then = without_cards(c.tell(Input::Attending(Attendee::Phone(LEG))));
    assert_eq!(then, [Output::Depart(Attendee::Phone(LEG))]);
    assert!(c.tell(Input::Departed(Attendee::Phone(LEG))).contains(&Output::Finish));
}

#[test]
fn the_phone_is_hung_up_when_everybody_has_left_but_not_for_a_reload() {
    let mut c = Call::up(false);
    c.tell(people(&[]));
    assert!(without_cards(c.wait(Duration::from_secs(3))).is_empty());
    c.tell(people(&["bob"]));
    assert!(without_cards(c.wait(Duration::from_secs(60))).is_empty());
    c.tell(people(&[]));
    let then = without_cards(c.wait(Duration::from_secs(6)));
    assert_eq!(then, [Output::SipHangUp(LEG), Output::Depart(Attendee::Phone(LEG))]);
}

#[test]
fn the_scribe_comes_only_where_the_policy_says_so_and_leaves_when_it_changes() {
    let mut c = Call::up(false);
    let then = c.tell(Input::Notes(true));
    assert!(then.contains(&Output::Attend(Attendee::Scribe)));
    let then = c.tell(Input::Attending(Attendee::Scribe));
    assert!(then.contains(&Output::Prompt(LEG, Prompt::Consent)));
    assert!(c.tell(Input::Notes(false)).contains(&Output::Depart(Attendee::Scribe)));
}

#[test]
fn the_scribe_serves_a_call_without_a_phone() {
    let mut c = Call::new(true);
    assert!(c.tell(people(&["bob"])).contains(&Output::Attend(Attendee::Scribe)));
    c.tell(Input::Attending(Attendee::Scribe));
    c.tell(people(&[]));
    assert!(c.wait(Duration::from_secs(2)).contains(&Output::Depart(Attendee::Scribe)));
    assert!(c.tell(Input::Departed(Attendee::Scribe)).contains(&Output::FinishEars));
    assert_eq!(c.tell(Input::EarsFinished), [Output::Card, Output::Finish]);
}

#[test]
fn a_membership_that_flickers_is_no_second_call() {
    let mut c = Call::new(true);
    c.tell(people(&["bob"]));
    c.tell(Input::Attending(Attendee::Scribe));
    c.tell(people(&[]));
    assert!(without_cards(c.wait(Duration::from_millis(1_900))).is_empty());
    c.tell(people(&["bob"]));
    assert!(without_cards(c.wait(Duration::from_secs(60))).is_empty());
}

#[test]
fn pressing_one_grants_and_pressing_two_takes_it_back() {
    let mut c = Call::up(true);
    assert!(!c.desk.grants().granted(&phone()));
    let then = c.tell(Input::Digit(LEG, '1'));
    assert!(then.contains(&Output::RecordGrant(phone(), true)) && then.contains(&Output::ToneToOthers(LEG)));
    assert!(c.desk.grants().granted(&phone()));
    let then = c.tell(Input::Digit(LEG, '2'));
    assert!(then.contains(&Output::Grants(Grants::default())), "{then:?}");
    assert!(!c.desk.grants().granted(&phone()));
}

#[test]
fn one_pressed_where_no_notes_are_written_grants_nothing() {
    let mut c = Call::up(false);
    c.tell(Input::Digit(LEG, '1'));
    assert!(!c.desk.grants().granted(&phone()));
}

#[test]
fn only_people_in_the_call_can_agree() {
    let mut c = Call::up(true);
    c.tell(Input::Agree(PartyId::new("@eve:hs")));
    assert!(!c.desk.grants().granted(&PartyId::new("@eve:hs")));
    c.tell(Input::Agree(bob()));
    assert!(c.desk.grants().granted(&bob()));
}

#[test]
fn words_recognised_after_the_grant_was_taken_back_are_not_shown() {
    let mut c = Call::up(true);
    c.tell(Input::Agree(bob()));
    c.tell(Input::Withdraw(bob()));
    assert!(!c.tell(utterance(1, bob())).iter().any(|o| matches!(o, Output::Caption(_))));
}

#[test]
fn a_late_media_key_is_told_after_five_seconds_and_taken_back_when_it_comes() {
    let mut c = Call::up(false);
    c.tell(Input::KeyMissing(bob()));
    c.wait(Duration::from_secs(4));
    assert!(c.desk.card().keyless.is_empty());
    c.wait(Duration::from_secs(1));
    assert_eq!(c.desk.card().keyless, [bob()]);
    c.tell(Input::KeyWorks(bob()));
    assert!(c.desk.card().keyless.is_empty());
}

#[test]
fn the_card_is_edited_at_most_once_in_three_seconds() {
    let mut c = Call::up(false);
    c.wait(Duration::from_secs(10));
    let mut cards = 0;
    for i in 0..30 {
        let names = if i % 2 == 0 { vec!["bob"] } else { vec!["bob", "carol"] };
        cards += c.tell(people(&names)).iter().filter(|o| **o == Output::Card).count();
        cards += c.wait(Duration::from_millis(200)).iter().filter(|o| **o == Output::Card).count();
    }
    assert!((2..=3).contains(&cards), "{cards} cards in 6 s");
}

#[test]
fn the_last_words_have_twenty_seconds() {
    let mut c = Call::up(true);
    c.tell(Input::PhoneEnded(LEG, CallOutcome::CallerHungUp));
    c.tell(Input::Departed(Attendee::Phone(LEG)));
    c.tell(people(&[]));
    c.wait(Duration::from_secs(2));
    assert!(c.tell(Input::Departed(Attendee::Scribe)).contains(&Output::FinishEars));
    assert!(c.wait(Duration::from_secs(20)).contains(&Output::Finish));
    assert!(!c.tell(Input::EarsFinished).contains(&Output::Finish), "finished once");
}

#[test]
fn credit_is_warned_of_and_ends_the_call() {
    let mut c = Call::new(false);
    c.tell(Input::PhoneRings { leg: LEG, party: phone(), number: None, name: None });
    let minute = Duration::from_secs(60);
    assert!(c.tell(Input::CreditLow(LEG, minute)).is_empty(), "nobody is in the call yet");
    c.tell(Input::Attending(Attendee::Phone(LEG)));
    c.tell(people(&["bob"]));
    c.tell(Input::PhoneUp(LEG));
    let warned = c.tell(Input::CreditLow(LEG, minute));
    assert_eq!(warned, [Output::Prompt(LEG, Prompt::OneMinute), Output::Credit(Some(minute))]);
    let warned = c.tell(Input::CreditLow(LEG, minute / 2));
    assert_eq!(warned, [Output::Prompt(LEG, Prompt::HalfMinute), Output::Credit(Some(minute / 2))]);
    assert_eq!(c.tell(Input::CreditExtended(LEG)), [Output::Credit(None)]);
    assert!(c.tell(Input::CreditGone(LEG)).contains(&Output::SipHangUp(LEG)));
    assert!(c.tell(Input::CreditGone(LEG)).is_empty(), "it is over");
}

#[test]
fn a_phone_whose_credit_is_gone_while_it_rings_is_refused() {
    let mut c = Call::new(false);
    c.rings();
    c.tell(Input::Attending(Attendee::Phone(LEG)));
    let out = c.tell(Input::CreditGone(LEG));
    assert!(out.contains(&Output::SipReject(LEG, CallOutcome::Refused { status: PAYMENT_REQUIRED })), "{out:?}");
}

#[test]
fn a_scribe_whose_quota_is_used_up_leaves_and_the_card_says_why() {
    let mut c = Call::up(true);
    assert!(c.tell(Input::QuotaGone).contains(&Output::Depart(Attendee::Scribe)));
    let back = c.tell(Input::Departed(Attendee::Scribe));
    assert!(back.contains(&Output::Attend(Attendee::Scribe)), "{back:?}");
    c.tell(Input::NotAttending(Attendee::Scribe, AttendProblem::QuotaGone));
    assert_eq!(c.desk.card().notes, NotesView::Failed(AttendProblem::QuotaGone));
}

fn any_input() -> impl Strategy<Value = Input> {
    let leg = (1..3_u64).prop_map(LegId);
    let who = prop_oneof![Just(bob()), Just(phone()), Just(PartyId::new("@carol:hs"))];
    prop_oneof![
        leg.clone().prop_map(|leg| Input::PhoneRings {
            leg,
            party: PartyId::new(format!("@tel{}:hs", leg.0)),
            number: None,
            name: None,
        }),
        leg.clone().prop_map(Input::PhoneUp),
        leg.clone().prop_map(|l| Input::PhoneEnded(l, CallOutcome::CallerHungUp)),
        (leg, prop_oneof![Just('1'), Just('2'), Just('#')]).prop_map(|(l, d)| Input::Digit(l, d)),
        prop::bool::ANY.prop_map(|b| if b { people(&["bob", "carol"]) } else { people(&[]) }),
        who.clone().prop_map(Input::Agree),
        who.clone().prop_map(Input::Withdraw),
        who.clone().prop_map(Input::KeyMissing),
        who.clone().prop_map(Input::KeyWorks),
        who.prop_map(|p| utterance(7, p)),
        prop::bool::ANY.prop_map(Input::Notes),
        Just(Input::HangUp),
        Just(Input::EarsFinished),
    ]
}

/// A call whose attendances answer when they are told to, and what is to be true of its outputs at any time.
struct Watched {
    call: Call,
    coming: Vec<Attendee>,
    going: Vec<Attendee>,
    inside: Vec<Attendee>,
    began: bool,
    finished: bool,
}

impl Watched {
    fn tell(&mut self, input: Input) {
        if !self.finished {
            let output = self.call.tell(input);
            self.saw(output);
        }
    }

    fn wait(&mut self, ms: u64) {
        if !self.finished {
            let output = self.call.wait(Duration::from_millis(ms));
            self.saw(output);
        }
    }

    /// The attendances answer: who was called is in, who was sent away is out.
    fn answer(&mut self) {
        for who in std::mem::take(&mut self.going) {
            self.inside.retain(|w| *w != who);
            self.tell(Input::Departed(who));
        }
        for who in std::mem::take(&mut self.coming) {
            self.inside.push(who.clone());
            self.tell(Input::Attending(who));
        }
    }

    fn saw(&mut self, output: Vec<Output>) {
        for o in output {
            assert!(!self.finished, "nothing comes after the end: {o:?}");
            match o {
                Output::Attend(who) => {
                    assert!(!self.inside.contains(&who), "{who:?} is called twice");
                    self.began = true;
                    self.coming.push(who);
                }
                Output::Depart(who) => self.going.push(who),
                Output::Caption(CaptionOutput::Post(t) | CaptionOutput::Edit(t)) => {
                    assert!(self.call.desk.grants().granted(&t.party), "a caption of somebody who has not granted");
                }
                Output::Finish => self.finished = true,
                _ => {}
            }
        }
    }
}

proptest! {
    /// Whatever happens, with attendances that answer sooner or later: the end comes once, is the last word, and finds
    /// nobody of ours in the call; captions are only of those who have granted.
    #[test]
    fn every_call_ends_once_with_nobody_left_behind(
        notes in prop::bool::ANY,
        inputs in prop::collection::vec((any_input(), 0..4_000_u64, prop::bool::ANY), 0..60),
    ) {
        let (coming, going, inside) = (vec![], vec![], vec![]);
        let mut w = Watched { call: Call::new(notes), coming, going, inside, began: false, finished: false };
        let mut rang = std::collections::BTreeSet::new();
        for (input, wait, answer) in inputs {
            // Leg numbers are never used twice.
            if matches!(&input, Input::PhoneRings { leg, .. } if !rang.insert(*leg)) {
                continue;
            }
            w.tell(input);
            w.wait(wait);
            if answer {
                w.answer();
            }
        }
        for _ in 0..4 {
            w.tell(people(&[]));
            w.tell(Input::HangUp);
            w.wait(30_000);
            w.answer();
        }
        prop_assert_eq!(w.finished, w.began);
        prop_assert!(w.inside.is_empty(), "left behind: {:?}", w.inside);
    }
}
