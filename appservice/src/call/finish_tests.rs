//! Notes from the last word to the room, over a real archive.

use std::{path::Path, sync::Mutex};

use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, owned_event_id, owned_room_id, owned_user_id, user_id};
use models::notes::{Change, ItemId, NoteWriter, Transcript, WriteError};
use serde_json::{Value, json};

use super::*;
use crate::{
    archive::{Archive, ArchiveKey, NewCall, NewUtterance, PartyKind, PartyRecord, SaidDetails, TodoState},
    call::{Notary, Writers, todo, withdraw},
    journal::{Action, Lane},
    metrics::Metrics,
};

const BOB: &str = "@bob:hs";
const PHONE: &str = "@g:hs";
/// Friday 20 November 2026, 13:08 UTC.
const START: u64 = 1_795_180_080_000;

/// Writes only once it is let.
struct Slow(Mutex<std::sync::mpsc::Receiver<()>>);

impl NoteWriter for Slow {
    fn name(&self) -> &str {
        "slow"
    }
    fn draw(&self, part: &Transcript) -> Result<Notes, WriteError> {
        let _ = self.0.lock().unwrap().recv();
        Ok(Notes { written_by: "slow".into(), ..models::notes::ExtractiveWriter.write(part) })
    }
    fn join(&self, whole: &Transcript, _: &[Notes]) -> Result<Notes, WriteError> {
        Ok(Notes { written_by: "slow".into(), ..models::notes::ExtractiveWriter.write(whole) })
    }
}

struct Call {
    notary: Arc<Notary>,
    id: CallId,
}

fn room() -> OwnedRoomId {
    owned_room_id!("!room:hs")
}

impl Call {
    async fn with(dir: &Path, writers: Vec<Arc<dyn NoteWriter>>) -> Self {
        let archive = Archive::open(&dir.join("roomtone.db"), &ArchiveKey::from_bytes([7; 32])).await.unwrap();
        let extractive = writers.is_empty();
        let notary = Arc::new(Notary {
            archive,
            writers: Writers::of(writers),
            // Slow writers are to be overtaken; without any there is nothing to wait for but this machine.
            patience: if extractive { Duration::from_secs(60) } else { Duration::from_millis(100) },
            metrics: Metrics::default(),
            bot: owned_user_id!("@bot:hs"),
            time_zone: "UTC".into(),
            server_name: "hs".into(),
            seen_by: std::collections::BTreeSet::new(),
            recogniser: "whisper base.en".into(),
            making: tokio::sync::Mutex::new(()),
            later: tokio_util::task::TaskTracker::new(),
        });
        let id = CallId::from_bytes([1; 16]);
        let (card, facts) = (Some(EffectId::named(id, "card")), json!({ "seen_by": ["asr.example"] }));
        let call = NewCall { id, room: room(), started: UnixMillis(START), card, facts };
        notary.archive.open_call(&call).await.unwrap();
        for (user, kind, name) in [(BOB, PartyKind::Matrix, "Bob"), (PHONE, PartyKind::Phone, "Ada")] {
            let (user, name) = (user.to_owned(), name.to_owned());
            let party = PartyRecord { user, kind, name, number: None, joined: UnixMillis(START), left: None };
            notary.archive.upsert_party(id, &party).await.unwrap();
        }
        let this = Self { notary, id };
        this.card_is_sent().await;
        this
    }

    async fn card_is_sent(&self) {
        let content = crate::text::plain_answer("card");
        let call = self.record().await;
        let card = crate::journal::NewEffect {
            lane: Lane::thread(self.id),
            ..paper::answer(&self.notary, &call, EffectId::named(self.id, "card"), None, content)
        };
        self.notary.archive.journal().record(&card).await.unwrap();
        assert_eq!(self.send().await.len(), 1);
    }

    async fn record(&self) -> CallRecord {
        self.notary.archive.call(self.id).await.unwrap().unwrap()
    }

    async fn say(&self, who: &str, second: u64, text: &str) {
        let start = UnixMillis(START + second * 1000);
        let details = SaidDetails { recogniser: Some("http w".into()), ..SaidDetails::default() };
        let new = NewUtterance { party: who.into(), start, end: UnixMillis(start.0 + 900), text: text.into(), details };
        self.notary.archive.add_utterance(self.id, &new).await.unwrap();
    }

    async fn finish(&self) {
        let ended = UnixMillis(START + 60_000);
        finish(&self.notary, self.id, ended, CallState::Ended, None).await.unwrap();
    }

    /// Sends what the journal holds; what it was, in order.
    async fn send(&self) -> Vec<Value> {
        let journal = self.notary.archive.journal();
        let mut out = Vec::new();
        for lane in [Lane::thread(self.id), Lane::room(&room())] {
            while let Some(due) = journal.next_ready(&lane).await.unwrap() {
                let event = OwnedEventId::try_from(format!("$e{}", due.id)).unwrap();
                journal.done(due.id, Some(&event)).await.unwrap();
                out.push(match due.action {
                    Action::SendEvent { content, .. } => content,
                    Action::Redact { event, .. } => json!({ "redacts": event }),
                    Action::SetState { content, .. } => content,
                });
            }
        }
        out
    }

    async fn stored(&self) -> Notes {
        serde_json::from_value(self.notary.archive.notes(self.id).await.unwrap().unwrap().body).unwrap()
    }
}

fn body(content: &Value) -> &str {
    content["m.new_content"]["body"].as_str().or(content["body"].as_str()).unwrap_or_default()
}

async fn one_call(dir: &Path) -> Call {
    let call = Call::with(dir, Vec::new()).await;
    call.say(BOB, 1, "We decided to ship the release on Friday.").await;
    call.say(PHONE, 4, "I will send you the giraffe pictures on Tuesday.").await;
    call.say(BOB, 8, "I will write the report tomorrow.").await;
    call
}

#[tokio::test]
async fn a_call_ends_with_one_message_of_notes_however_often_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let call = one_call(dir.path()).await;
    call.finish().await;
    call.finish().await;
    let sent = call.send().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let text = body(&sent[0]);
    assert!(text.contains("giraffe") && text.contains("1 min") && text.contains("☐"), "{text}");
    assert!(text.contains("Written by: extractive, http w; words seen by asr.example."), "{text}");
    assert_eq!(call.record().await.state, CallState::Ended);
    assert!(call.notary.archive.notes_that_are_due().await.unwrap().is_empty());
    assert!(!call.notary.archive.todos(&room()).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_was_heard_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let call = Call::with(dir.path(), Vec::new()).await;
    call.finish().await;
    assert!(call.send().await.is_empty());
    assert_eq!(call.record().await.state, CallState::Ended);
}

#[tokio::test]
async fn a_slow_writer_is_not_waited_for_and_its_notes_take_the_place_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (let_it, gate) = std::sync::mpsc::channel();
    let call = Call::with(dir.path(), vec![Arc::new(Slow(Mutex::new(gate)))]).await;
    call.say(BOB, 1, "I will write the report tomorrow.").await;
    call.finish().await;
    let first = call.send().await;
    assert!(body(&first[0]).contains("Written by: extractive,"), "{first:?}");
    assert_eq!(
        call.notary.archive.notes_that_are_due().await.unwrap(),
        [call.id],
        "a crash would forget the better ones"
    );
    let before = call.stored().await;
    drop(let_it);
    call.notary.later.close();
    call.notary.later.wait().await;
    let then = call.send().await;
    assert_eq!(then.len(), 1);
    assert_eq!(then[0]["m.relates_to"]["rel_type"], "m.replace");
    assert!(body(&then[0]).contains("Written by: slow,"), "{then:?}");
    assert_eq!(call.stored().await.actions[0].id, before.actions[0].id, "people may have begun to mend line 1");
    assert!(call.notary.archive.notes_that_are_due().await.unwrap().is_empty());
}

#[tokio::test]
async fn words_taken_back_while_notes_are_late_are_in_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (let_it, gate) = std::sync::mpsc::channel();
    let call = Call::with(dir.path(), vec![Arc::new(Slow(Mutex::new(gate)))]).await;
    call.say(PHONE, 1, "I will send you the giraffe pictures on Tuesday.").await;
    call.say(BOB, 8, "I will write the report tomorrow.").await;
    call.finish().await;
    assert!(body(&call.send().await[0]).contains("giraffe"));
    let gone = withdraw::take_back(&call.notary, &call.record().await, PHONE).await.unwrap();
    assert_eq!((gone.ids.len(), gone.notes), (1, true));
    drop(let_it);
    call.notary.later.close();
    call.notary.later.wait().await;
    assert!(call.notary.archive.notes(call.id).await.unwrap().is_none(), "late notes of old words were stored");
    again(&call.notary, call.id).await.unwrap();
    let sent = call.send().await;
    assert!(sent.iter().any(|s| s["redacts"].is_string()), "the old notes still stand: {sent:?}");
    let notes = sent.iter().map(body).find(|b| b.contains("Written by")).unwrap();
    assert!(notes.contains("report") && !notes.contains("giraffe"), "{notes}");
    let stored = serde_json::to_string(&call.stored().await).unwrap();
    assert!(!stored.contains("giraffe"));
    let todos = call.notary.archive.todos(&room()).await.unwrap();
    assert!(todos.iter().all(|t| !t.body.text.contains("giraffe")) && !todos.is_empty());
}

#[tokio::test]
async fn what_was_mended_stays_mended_when_notes_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let call = one_call(dir.path()).await;
    call.finish().await;
    let notes = call.stored().await;
    let report = notes.actions.iter().find(|a| a.text.contains("report")).unwrap();
    let other = notes.actions.iter().find(|a| a.text.contains("giraffe")).unwrap().id;
    let fixes = [
        Fix { item: report.id, change: Change::Owner(Some("Carol".into())) },
        Fix { item: other, change: Change::Drop },
    ];
    call.notary.archive.begin().await.unwrap().commit().await.unwrap();
    let mut tx = call.notary.archive.begin().await.unwrap();
    tx.save_fixes(call.id, &serde_json::to_value(&fixes).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    show(&call.notary, call.id).await.unwrap();
    again(&call.notary, call.id).await.unwrap();
    let then = call.stored().await;
    let mended = then.actions.iter().find(|a| a.id == report.id).unwrap();
    assert_eq!(mended.owner.as_deref(), Some("Carol"));
    assert!(then.actions.iter().all(|a| a.id != other), "a dropped line came back");
    let sent = call.send().await;
    assert!(body(sent.last().unwrap()).contains("Carol:"), "{sent:?}");
}

#[tokio::test]
async fn a_tick_shows_in_the_notes_and_can_be_taken_off() {
    let dir = tempfile::tempdir().unwrap();
    let call = one_call(dir.path()).await;
    call.finish().await;
    call.send().await;
    let (bob, reaction) = (user_id!("@bob:hs"), owned_event_id!("$tick"));
    let number = call.notary.archive.todos(&room()).await.unwrap()[0].number;
    let done = todo::turn(&call.notary, &room(), number, TodoState::Done, bob, Some(&reaction)).await.unwrap();
    assert_eq!(done, Some(Some(call.id)));
    let sent = call.send().await;
    assert!(body(&sent[0]).contains('☑') && sent[0]["m.relates_to"]["rel_type"] == "m.replace", "{sent:?}");
    todo::reaction_gone(&call.notary, &room(), &bob.to_owned(), &reaction).await.unwrap();
    assert!(!body(&call.send().await[0]).contains('☑'));
    assert_eq!(todo::turn(&call.notary, &room(), 99, TodoState::Done, bob, None).await.unwrap(), None);
}

#[tokio::test]
async fn owners_are_reminded_once_on_the_day() {
    let dir = tempfile::tempdir().unwrap();
    let call = one_call(dir.path()).await;
    call.finish().await;
    call.send().await;
    // "Tomorrow" is Saturday the 21st; nine o'clock there is 19 h 52 min after the call began.
    let nine = UnixMillis(START + (19 * 60 + 52) * 60_000);
    todo::remind(&call.notary, UnixMillis(nine.0 - 1), |_| true).await.unwrap();
    assert!(call.send().await.is_empty(), "too early");
    todo::remind(&call.notary, nine, |_| true).await.unwrap();
    todo::remind(&call.notary, nine, |_| true).await.unwrap();
    let sent = call.send().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(body(&sent[0]).starts_with("Due today: #") && body(&sent[0]).contains("report"));
    assert_eq!(sent[0]["m.mentions"], json!({ "user_ids": [BOB] }));
}

#[tokio::test]
async fn notes_so_far_call_upon_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let call = one_call(dir.path()).await;
    let mut taker = call.notary.writers.taker(UnixMillis(START), "UTC", Vec::new());
    let utterances = call.notary.archive.utterances(call.id).await.unwrap();
    for said in transcript(&call.notary, &call.record().await, &utterances).await.unwrap() {
        taker.add(said);
    }
    let draft = taker.draft();
    assert!(draft.actions.iter().any(|a| a.id != ItemId(0)));
    so_far(&call.notary, call.id, Some(draft), EffectId::from_bytes([5; 16]), None).await.unwrap();
    let sent = call.send().await;
    assert!(body(&sent[0]).contains("so far") && body(&sent[0]).contains("report"), "{sent:?}");
    assert_eq!(sent[0]["m.mentions"], json!({}));
}
