//! Each effect happens once and in order, whatever dies when.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use matrix_sdk::ruma::{OwnedRoomId, event_id, owned_room_id, user_id};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::archive::{ArchiveKey, NewCall, NewUtterance, PartyKind, PartyRecord};

const CALL: CallId = CallId::from_bytes([1; 16]);

fn room() -> OwnedRoomId {
    owned_room_id!("!room:hs")
}

async fn open(path: &Path) -> Archive {
    Archive::open(path, &ArchiveKey::from_bytes([7; 32])).await.unwrap()
}

async fn fresh() -> (tempfile::TempDir, PathBuf, Archive) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roomtone.db");
    let archive = open(&path).await;
    let call = NewCall {
        id: CALL,
        room: room(),
        started: UnixMillis(1),
        card: Some(EffectId::named(CALL, "card")),
        facts: Value::Null,
    };
    archive.open_call(&call).await.unwrap();
    (dir, path, archive)
}

fn send(name: &str, purpose: Purpose, relation: Option<Relation>) -> NewEffect {
    NewEffect {
        id: EffectId::named(CALL, name),
        call: Some(CALL),
        lane: Lane::thread(CALL),
        party: None,
        effect: Effect::SendEvent {
            as_user: user_id!("@bot:hs").to_owned(),
            room: room(),
            event_type: "m.room.message".into(),
            content: json!({ "msgtype": "m.notice", "body": name, "m.mentions": {} }),
            relation,
            purpose,
        },
    }
}

fn to(name: &str) -> EventRef {
    EventRef::Effect(EffectId::named(CALL, name))
}

fn in_thread() -> Option<Relation> {
    Some(Relation::Thread { root: to("card"), latest: None })
}

fn content(due: &Due) -> &Value {
    match &due.action {
        Action::SendEvent { content, .. } | Action::SetState { content, .. } => content,
        Action::Redact { .. } => &Value::Null,
    }
}

async fn next(journal: &Journal) -> Option<Due> {
    journal.next_ready(&Lane::thread(CALL)).await.unwrap()
}

#[tokio::test]
async fn references_become_events_when_they_are_sent() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    journal.record(&send("card", Purpose::Card, None)).await.unwrap();
    journal.record(&send("caption", Purpose::Caption, in_thread())).await.unwrap();
    journal
        .record(&send("caption edit", Purpose::CaptionEdit, Some(Relation::Replace { of: to("caption") })))
        .await
        .unwrap();
    let tick = Relation::Annotate { to: to("card"), key: "✅".into() };
    journal.record(&send("tick", Purpose::Reaction, Some(tick))).await.unwrap();

    let card = next(&journal).await.unwrap();
    assert!(content(&card).get("m.relates_to").is_none());
    assert!(next(&journal).await.is_none(), "the next one went out while the first was under way");
    journal.done(card.id, Some(event_id!("$card"))).await.unwrap();
    assert_eq!(archive.call(CALL).await.unwrap().unwrap().card.as_deref(), Some(event_id!("$card")));

    let caption = next(&journal).await.unwrap();
    assert_eq!(
        content(&caption)["m.relates_to"],
        json!({ "rel_type": "m.thread", "event_id": "$card", "is_falling_back": true, "m.in_reply_to": { "event_id": "$card" } })
    );
    journal.done(caption.id, Some(event_id!("$caption"))).await.unwrap();

    let edit = next(&journal).await.unwrap();
    assert_eq!(
        content(&edit),
        &json!({
            "msgtype": "m.notice", "body": "* caption edit", "m.mentions": {},
            "m.new_content": { "msgtype": "m.notice", "body": "caption edit", "m.mentions": {} },
            "m.relates_to": { "rel_type": "m.replace", "event_id": "$caption" },
        })
    );
    journal.done(edit.id, Some(event_id!("$edit"))).await.unwrap();
    let tick = next(&journal).await.unwrap();
    assert_eq!(content(&tick)["m.relates_to"], json!({ "rel_type": "m.annotation", "event_id": "$card", "key": "✅" }));
}

#[tokio::test]
async fn links_to_what_was_never_sent_lead_to_the_thread() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    journal.record(&send("card", Purpose::Card, None)).await.unwrap();
    journal.record(&send("good", Purpose::Caption, in_thread())).await.unwrap();
    journal.record(&send("bad", Purpose::Caption, in_thread())).await.unwrap();
    let mut notes = send("notes", Purpose::Notes, in_thread());
    if let Effect::SendEvent { content, .. } = &mut notes.effect {
        content["body"] = json!(format!("a {} b {} c", to("good").placeholder(), to("bad").placeholder()));
    }
    journal.record(&notes).await.unwrap();
    for (n, event) in [event_id!("$card"), event_id!("$good")].into_iter().enumerate() {
        let due = next(&journal).await.unwrap_or_else(|| panic!("nothing at {n}"));
        journal.done(due.id, Some(event)).await.unwrap();
    }
    let bad = next(&journal).await.unwrap();
    journal.failed(bad.id, &Failure::Refused("M_FORBIDDEN".into())).await.unwrap();
    assert_eq!(journal.wedged().await.unwrap()[0].reason.as_deref(), Some("M_FORBIDDEN"));
    let notes = next(&journal).await.unwrap();
    assert_eq!(content(&notes)["body"], "a $good b $card c");
}

#[tokio::test]
async fn what_refers_to_a_refused_event_is_wedged_and_the_rest_goes_on() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    journal.record(&send("caption", Purpose::Caption, None)).await.unwrap();
    journal.record(&send("edit", Purpose::CaptionEdit, Some(Relation::Replace { of: to("caption") }))).await.unwrap();
    journal.record(&send("other", Purpose::Notice, None)).await.unwrap();
    let due = next(&journal).await.unwrap();
    journal.failed(due.id, &Failure::Refused("M_TOO_LARGE".into())).await.unwrap();
    assert_eq!(content(&next(&journal).await.unwrap())["body"], "other");
    assert_eq!(journal.wedged().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_edit_waits_for_its_event_of_another_lane() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    journal.record(&send("card", Purpose::Card, None)).await.unwrap();
    let other = Lane::room(&room());
    let mut edit = send("edit", Purpose::CardEdit, Some(Relation::Replace { of: to("card") }));
    edit.lane = other.clone();
    journal.record(&edit).await.unwrap();
    assert!(journal.next_ready(&other).await.unwrap().is_none());
    let card = next(&journal).await.unwrap();
    assert!(journal.next_ready(&other).await.unwrap().is_none());
    let mut watch = journal.watch();
    watch.mark_unchanged();
    journal.done(card.id, Some(event_id!("$card"))).await.unwrap();
    assert!(watch.has_changed().unwrap(), "nobody is told that the other lane may go on");
    assert!(journal.next_ready(&other).await.unwrap().is_some());
}

#[tokio::test]
async fn a_newer_edit_takes_the_place_of_an_unsent_one_but_never_of_one_under_way() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    let edit = |name: &str| send(name, Purpose::CardEdit, Some(Relation::Replace { of: to("card") }));
    journal.record(&send("card", Purpose::Card, None)).await.unwrap();
    journal.record(&edit("one")).await.unwrap();
    journal.record(&edit("two")).await.unwrap();
    let card = next(&journal).await.unwrap();
    journal.done(card.id, Some(event_id!("$card"))).await.unwrap();
    let two = next(&journal).await.unwrap();
    assert_eq!(two.id, EffectId::named(CALL, "two"));
    journal.record(&edit("three")).await.unwrap();
    journal.failed(two.id, &Failure::Unknown).await.unwrap();
    assert_eq!(next(&journal).await.unwrap().id, two.id);
    journal.done(two.id, Some(event_id!("$two"))).await.unwrap();
    assert_eq!(next(&journal).await.unwrap().id, EffectId::named(CALL, "three"));
    assert!(!journal.record(&edit("one")).await.unwrap(), "an overtaken edit came back");
}

#[tokio::test]
async fn what_may_have_happened_is_tried_again_under_the_same_id_and_never_overtaken() {
    let (_dir, path, archive) = fresh().await;
    let journal = archive.journal();
    let edit = |name: &str| {
        send(name, Purpose::CardEdit, Some(Relation::Replace { of: EventRef::Event(event_id!("$x").to_owned()) }))
    };
    journal.record(&edit("one")).await.unwrap();
    let first = next(&journal).await.unwrap();
    journal.failed(first.id, &Failure::Unknown).await.unwrap();
    let again = next(&journal).await.unwrap();
    // "No connection" at the second attempt says nothing of the first: it may have happened.
    journal.failed(again.id, &Failure::NotDone).await.unwrap();
    journal.record(&edit("two")).await.unwrap();
    drop((journal, archive));
    let journal = open(&path).await.journal();
    let third = next(&journal).await.unwrap();
    assert_eq!((third.id, &third.transaction_id, third.attempt), (first.id, &first.transaction_id, 3));
}

#[tokio::test]
async fn recording_the_same_step_again_changes_nothing() {
    let (_dir, path, archive) = fresh().await;
    let journal = archive.journal();
    assert!(journal.record(&send("notes", Purpose::Notes, None)).await.unwrap());
    assert!(!journal.record(&send("notes", Purpose::Notes, None)).await.unwrap());
    let due = next(&journal).await.unwrap();
    journal.done(due.id, Some(event_id!("$notes"))).await.unwrap();
    drop((journal, archive));
    let journal = open(&path).await.journal();
    assert!(!journal.record(&send("notes", Purpose::Notes, None)).await.unwrap());
    assert!(next(&journal).await.is_none());
    let look = journal.look(due.id).await.unwrap();
    assert_eq!(look, Some((State::Done, Some(event_id!("$notes").to_owned()))));
}

#[tokio::test]
async fn an_utterance_and_its_caption_are_stored_together_or_not_at_all() {
    let (_dir, _path, archive) = fresh().await;
    let bob = PartyRecord {
        user: "@bob:hs".into(),
        kind: PartyKind::Matrix,
        name: "Bob".into(),
        number: None,
        joined: UnixMillis(1),
        left: None,
    };
    archive.upsert_party(CALL, &bob).await.unwrap();
    let new = NewUtterance {
        party: bob.user.clone(),
        start: UnixMillis(2),
        end: UnixMillis(3),
        text: "hello".into(),
        details: crate::archive::SaidDetails::default(),
    };
    let caption = send("caption", Purpose::Caption, None);
    for commit in [false, true] {
        let mut tx = archive.begin().await.unwrap();
        let id = tx.add_utterance(CALL, &new).await.unwrap();
        tx.record(&caption).await.unwrap();
        tx.shown_by(CALL, &[id], caption.id).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
            assert!(archive.utterances(CALL).await.unwrap().is_empty());
            assert!(archive.journal().pending().await.unwrap().is_empty());
        }
    }
    let due = next(&archive.journal()).await.unwrap();
    archive.journal().done(due.id, Some(event_id!("$c"))).await.unwrap();
    assert_eq!(archive.utterances(CALL).await.unwrap()[0].caption_event.as_deref(), Some(event_id!("$c")));
}

#[tokio::test]
async fn done_bodies_are_wiped() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    journal.record(&send("card", Purpose::Card, None)).await.unwrap();
    let due = next(&journal).await.unwrap();
    journal.done(due.id, Some(event_id!("$card"))).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM effects WHERE body IS NOT NULL")
        .fetch_one(&archive.inner.reader)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_long_journal_is_not_read_through_for_the_next_effect() {
    let (_dir, _path, archive) = fresh().await;
    for sql in [HEAD, LANES] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).bind("thread/x").fetch_all(&archive.inner.reader).await.unwrap();
        assert!(plan.iter().any(|step| step.3.contains("effects_unfinished")), "{plan:?}");
    }
}

#[tokio::test]
async fn a_lane_with_something_under_way_is_not_offered() {
    let (_dir, _path, archive) = fresh().await;
    let journal = archive.journal();
    journal.record(&send("one", Purpose::Notice, None)).await.unwrap();
    journal.record(&send("two", Purpose::Notice, None)).await.unwrap();
    assert_eq!(journal.lanes().await.unwrap(), [Lane::thread(CALL)]);
    let one = next(&journal).await.unwrap();
    assert!(journal.lanes().await.unwrap().is_empty());
    journal.failed(one.id, &Failure::NotDone).await.unwrap();
    assert_eq!(journal.lanes().await.unwrap(), [Lane::thread(CALL)]);
}

#[tokio::test]
async fn transaction_ids_of_two_databases_differ() {
    let (_d1, _p1, one) = fresh().await;
    let (_d2, _p2, two) = fresh().await;
    let id = EffectId::answering("$command", "answer");
    assert_ne!(one.journal().transaction_id(id), two.journal().transaction_id(id));
}

/// A homeserver that gives one event per transaction id, and remembers the order.
#[derive(Default)]
struct Homeserver {
    by_transaction: HashMap<String, OwnedEventId>,
    timeline: Vec<(EffectId, Value)>,
}

impl Homeserver {
    fn send(&mut self, due: &Due) -> OwnedEventId {
        let next = OwnedEventId::try_from(format!("$event{}", self.timeline.len())).unwrap();
        let event = self.by_transaction.entry(due.transaction_id.clone()).or_insert_with(|| next.clone());
        if *event == next {
            self.timeline.push((due.id, content(due).clone()));
        }
        event.clone()
    }
}

/// What happens to one attempt.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    KilledBeforeSending,
    KilledAfterSending,
    KilledAfterDone,
    TimedOutButHappened,
    TimedOut,
    NoConnection,
}

/// What the desk does meanwhile.
#[derive(Debug, Clone, Copy)]
enum Step {
    Say,
    EditLast,
    EditCard,
    RecordedAgain,
    Attempt(Fate),
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        3 => Just(Fate::Done),
        1 => Just(Fate::KilledBeforeSending),
        1 => Just(Fate::KilledAfterSending),
        1 => Just(Fate::KilledAfterDone),
        1 => Just(Fate::TimedOutButHappened),
        1 => Just(Fate::TimedOut),
        1 => Just(Fate::NoConnection),
    ];
    prop_oneof![
        3 => Just(Step::Say),
        2 => Just(Step::EditLast),
        2 => Just(Step::EditCard),
        1 => Just(Step::RecordedAgain),
        6 => fate.prop_map(Step::Attempt),
    ]
}

struct World {
    path: PathBuf,
    archive: Archive,
    homeserver: Homeserver,
    recorded: Vec<NewEffect>,
    said: usize,
}

impl World {
    async fn record(&mut self, effect: NewEffect) {
        assert!(self.archive.journal().record(&effect).await.unwrap());
        self.recorded.push(effect);
    }

    async fn kill(&mut self) {
        self.archive = open(&self.path).await;
    }

    async fn attempt(&mut self, fate: Fate) -> bool {
        let journal = self.archive.journal();
        let Some(due) = next(&journal).await else { return false };
        match fate {
            Fate::KilledBeforeSending => self.kill().await,
            Fate::TimedOut => journal.failed(due.id, &Failure::Unknown).await.unwrap(),
            Fate::NoConnection => journal.failed(due.id, &Failure::NotDone).await.unwrap(),
            Fate::TimedOutButHappened => {
                self.homeserver.send(&due);
                journal.failed(due.id, &Failure::Unknown).await.unwrap();
            }
            Fate::KilledAfterSending => {
                self.homeserver.send(&due);
                self.kill().await;
            }
            Fate::Done | Fate::KilledAfterDone => {
                let event = self.homeserver.send(&due);
                journal.done(due.id, Some(&event)).await.unwrap();
                if matches!(fate, Fate::KilledAfterDone) {
                    self.kill().await;
                }
            }
        }
        true
    }

    async fn step(&mut self, step: Step) {
        let edits = self.recorded.len();
        match step {
            Step::Say => {
                self.said += 1;
                let said = send(&format!("caption {}", self.said), Purpose::Caption, in_thread());
                self.record(said).await;
            }
            Step::EditLast if self.said > 0 => {
                let of = Relation::Replace { of: to(&format!("caption {}", self.said)) };
                self.record(send(&format!("edit {edits}"), Purpose::CaptionEdit, Some(of))).await;
            }
            Step::EditCard | Step::EditLast => {
                let of = Relation::Replace { of: to("card") };
                self.record(send(&format!("edit {edits}"), Purpose::CardEdit, Some(of))).await;
            }
            Step::RecordedAgain => {
                for effect in &self.recorded {
                    assert!(!self.archive.journal().record(effect).await.unwrap());
                }
            }
            Step::Attempt(fate) => {
                self.attempt(fate).await;
            }
        }
    }

    /// Every first message is there once; of the edits of an event, the last one is, as its last; all in the order recorded.
    fn check(&self) {
        let place = |id: EffectId| self.recorded.iter().position(|e| e.id == id).unwrap();
        let order: Vec<usize> = self.homeserver.timeline.iter().map(|(id, _)| place(*id)).collect();
        assert!(order.windows(2).all(|w| w[0] < w[1]), "out of order or twice: {order:?}");
        let mut last_edits = HashMap::new();
        for (n, effect) in self.recorded.iter().enumerate() {
            match effect.effect.slot() {
                None => assert!(order.contains(&n), "{:?} never happened", effect.effect.kind()),
                Some(slot) => drop(last_edits.insert(slot, n)),
            }
        }
        assert!(last_edits.values().all(|n| order.contains(n)), "a last edit never happened");
        let card =
            &self.homeserver.by_transaction[&self.archive.journal().transaction_id(EffectId::named(CALL, "card"))];
        for (id, content) in &self.homeserver.timeline {
            if *id != EffectId::named(CALL, "card") {
                assert!(content["m.relates_to"]["event_id"].is_string());
            }
            if content["m.relates_to"]["rel_type"] == "m.thread" {
                assert_eq!(content["m.relates_to"]["event_id"], card.as_str());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_dies_when_each_effect_happens_once_and_in_order(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_dir, path, archive) = fresh().await;
            let mut world = World { path, archive, homeserver: Homeserver::default(), recorded: Vec::new(), said: 0 };
            world.record(send("card", Purpose::Card, None)).await;
            for step in steps {
                world.step(step).await;
            }
            world.kill().await;
            while world.attempt(Fate::Done).await {}
            assert!(world.archive.journal().pending().await.unwrap().is_empty());
            world.check();
        });
    }
}
