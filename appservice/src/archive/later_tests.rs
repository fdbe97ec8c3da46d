//! What changes after it was written: settings, voices, corrections, to-dos.

use std::collections::BTreeMap;
use std::path::Path;

use bridge::time::UnixMillis;
use matrix_sdk::ruma::{OwnedRoomId, event_id, owned_room_id};
use serde_json::json;

use super::*;
use crate::journal::{Effect, Lane, NewEffect, Purpose};
use crate::settings::{Line, RoomSettings, Spoken};

const BOB: &str = "@bob:hs";
const PHONE: &str = "@g:hs";

fn room() -> OwnedRoomId {
    owned_room_id!("!room:hs")
}

async fn open(dir: &Path) -> Archive {
    Archive::open(&dir.join("roomtone.db"), &ArchiveKey::from_bytes([7; 32])).await.unwrap()
}

async fn begin_call(archive: &Archive, number: u8) -> CallId {
    let id = CallId::from_bytes([number; 16]);
    let call = NewCall { id, room: room(), started: UnixMillis(1_000), card: None, facts: json!({}) };
    archive.open_call(&call).await.unwrap();
    for (user, kind) in [(BOB, PartyKind::Matrix), (PHONE, PartyKind::Phone)] {
        let (user, name) = (user.to_owned(), "Name".to_owned());
        let party = PartyRecord { user, kind, name, number: None, joined: UnixMillis(1_000), left: None };
        archive.upsert_party(id, &party).await.unwrap();
    }
    id
}

async fn said(archive: &Archive, call: CallId, party: &str, at: u64, text: &str) -> UtteranceId {
    let details = SaidDetails {
        voice: Some(1),
        language: Some("en".into()),
        recogniser: Some("whisper base.en".into()),
        words: vec![WordTime { text: "canarytime".into(), from_ms: 0, to_ms: 300, percent: 93 }],
        corrected: false,
    };
    let (start, end) = (UnixMillis(at), UnixMillis(at + 900));
    let new = NewUtterance { party: party.into(), start, end, text: text.into(), details };
    archive.add_utterance(call, &new).await.unwrap()
}

fn body(text: &str, cites: &[UtteranceId], due: Option<&str>) -> TodoBody {
    TodoBody {
        text: text.into(),
        owner: Some("Bob".into()),
        owner_user: Some(BOB.into()),
        due: due.map(|d| (d.to_owned(), "Friday".to_owned())),
        cites: cites.to_vec(),
        turned: None,
    }
}

fn turned(at: u64) -> Turned {
    Turned { by: BOB.into(), at: UnixMillis(at) }
}

fn on_disk(dir: &Path, needle: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|f| {
        let raw = std::fs::read(f.unwrap().path()).unwrap();
        raw.windows(needle.len()).any(|w| w == needle.as_bytes())
    })
}

#[tokio::test]
async fn what_a_room_has_set_is_there_after_a_restart_and_noise_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    assert_eq!(archive.room_settings::<RoomSettings>(&room()).await.unwrap(), None);
    let settings = RoomSettings {
        terms: vec!["Canaryterm".into()],
        languages: BTreeMap::from([(Line::User("@canaryuser:hs".into()), Spoken::Code("de".into()))]),
        ..RoomSettings::default()
    };
    // Before the room had any call.
    archive.save_room_settings(&room(), &settings).await.unwrap();
    begin_call(&archive, 1).await;
    drop(archive);
    let archive = open(dir.path()).await;
    assert_eq!(archive.room_settings(&room()).await.unwrap(), Some(settings));
    assert!(!on_disk(dir.path(), "Canaryterm") && !on_disk(dir.path(), "canaryuser"));
}

#[tokio::test]
async fn what_a_recogniser_tells_beside_the_words_is_sealed_like_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    said(&archive, call, PHONE, 2_000, "hello").await;
    let grace = VoiceName { party: PHONE.into(), voice: 1, name: "Canaryname".into() };
    let mut tx = archive.begin().await.unwrap();
    tx.name_voice(call, &grace).await.unwrap();
    tx.commit().await.unwrap();
    let stored = &archive.utterances(call).await.unwrap()[0];
    assert_eq!((stored.details.voice, stored.details.words[0].to_ms), (Some(1), 300));
    assert_eq!(stored.details.recogniser.as_deref(), Some("whisper base.en"));
    assert!(archive.voices(call).await.unwrap() == [grace]);
    for canary in ["canarytime", "Canaryname", "whisper base"] {
        assert!(!on_disk(dir.path(), canary), "{canary}");
    }
    archive.withdraw_party_words(call, PHONE).await.unwrap();
    assert!(archive.voices(call).await.unwrap().is_empty(), "the name outlives the words");
}

#[tokio::test]
async fn an_utterance_of_an_older_program_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    said(&archive, call, BOB, 2_000, "hello").await;
    let mut tx = archive.begin().await.unwrap();
    sqlx::query("UPDATE utterances SET details = NULL").execute(&mut *tx.sql).await.unwrap();
    tx.commit().await.unwrap();
    assert!(archive.utterances(call).await.unwrap()[0].details == SaidDetails::default());
}

#[tokio::test]
async fn a_correction_takes_the_place_of_the_words_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    let id = said(&archive, call, BOB, 2_000, "we sheep on Friday").await;
    let more = said(&archive, call, BOB, 3_000, "if all goes well").await;
    let before = archive.revision(call).await.unwrap();
    let first = archive.utterances(call).await.unwrap().remove(0);
    let mut tx = archive.begin().await.unwrap();
    tx.correct_utterance(call, &first, "we ship on Friday").await.unwrap();
    tx.delete_utterance(call, more).await.unwrap();
    tx.commit().await.unwrap();
    let now = archive.utterances(call).await.unwrap();
    assert_eq!(now.iter().map(|u| (u.id, u.text.as_str())).collect::<Vec<_>>(), [(id, "we ship on Friday")]);
    assert!(now[0].details.corrected && now[0].details.words.is_empty() && now[0].details.voice == Some(1));
    for (asked, hits) in [("sheep", 0), ("ship", 1), ("well", 0)] {
        assert_eq!(archive.search(&room(), asked, 5).await.unwrap().len(), hits, "{asked}");
    }
    assert!(archive.revision(call).await.unwrap() > before, "notes of the old words could be stored");
}

#[tokio::test]
async fn captions_of_unfinished_words_are_taken_back_too() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    let turn = EffectId::named(call, "turn-0");
    let effect = Effect::SendEvent {
        as_user: matrix_sdk::ruma::owned_user_id!("@bot:hs"),
        room: room(),
        event_type: "m.room.message".into(),
        content: json!({ "body": "we shi…" }),
        relation: None,
        purpose: Purpose::Caption,
    };
    let new = NewEffect { id: turn, call: Some(call), lane: Lane::thread(call), party: Some(BOB.into()), effect };
    archive.journal().record(&new).await.unwrap();
    archive.journal().next_ready(&Lane::thread(call)).await.unwrap().unwrap();
    archive.journal().done(turn, Some(event_id!("$unfinished"))).await.unwrap();
    let gone = archive.withdraw_party_words(call, BOB).await.unwrap();
    assert_eq!(gone.captions, [event_id!("$unfinished").to_owned()]);
    assert_eq!(archive.withdraw_party_words(call, BOB).await.unwrap(), Withdrawn::default(), "once");
}

#[tokio::test]
async fn to_dos_keep_number_and_state_when_notes_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let (one, two) = (begin_call(&archive, 1).await, begin_call(&archive, 2).await);
    let id = said(&archive, one, BOB, 2_000, "I send the report").await;
    let mut tx = archive.begin().await.unwrap();
    tx.save_todos(
        one,
        &room(),
        &[(1, body("send the report", &[id], None), None), (2, body("call Ada", &[], None), None)],
    )
    .await
    .unwrap();
    tx.save_todos(two, &room(), &[(1, body("water the canary", &[], None), None)]).await.unwrap();
    assert_eq!(tx.turn_todo(&room(), 2, TodoState::Done, turned(5)).await.unwrap(), Some(true));
    assert_eq!(tx.turn_todo(&room(), 2, TodoState::Done, turned(6)).await.unwrap(), Some(false));
    assert_eq!(tx.turn_todo(&room(), 9, TodoState::Done, turned(6)).await.unwrap(), None);
    tx.commit().await.unwrap();
    // Made again: one line reads otherwise, one is gone, one is new.
    let mut tx = archive.begin().await.unwrap();
    tx.save_todos(
        one,
        &room(),
        &[(2, body("call Ada back", &[], None), None), (3, body("book a room", &[], None), None)],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    drop(archive);
    let archive = open(dir.path()).await;
    let all = archive.todos(&room()).await.unwrap();
    let told: Vec<_> = all.iter().map(|t| (t.number, t.state, t.body.text.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, TodoState::Done, "call Ada back"),
            (3, TodoState::Open, "water the canary"),
            (4, TodoState::Open, "book a room"),
        ]
    );
    assert!(all[0].body.turned == Some(turned(5)));
    assert!(!on_disk(dir.path(), "canary"));
    archive.delete_call(two).await.unwrap();
    assert_eq!(archive.todos(&room()).await.unwrap().len(), 2, "a call takes its to-dos with it");
}

#[tokio::test]
async fn to_dos_that_rest_on_words_taken_back_go_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    let hers = said(&archive, call, PHONE, 2_000, "I send the report").await;
    let his = said(&archive, call, BOB, 3_000, "I book a room").await;
    let mut tx = archive.begin().await.unwrap();
    let items = [(1, body("send the report", &[hers], None), None), (2, body("book a room", &[his], None), None)];
    tx.save_todos(call, &room(), &items).await.unwrap();
    tx.commit().await.unwrap();
    archive.withdraw_party_words(call, PHONE).await.unwrap();
    let left: Vec<u32> = archive.todos(&room()).await.unwrap().iter().map(|t| t.number).collect();
    assert_eq!(left, [2]);
}

#[tokio::test]
async fn a_reminder_comes_once_and_again_for_another_day() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    let save = async |day: &str, at: u64| {
        let mut tx = archive.begin().await.unwrap();
        tx.save_todos(call, &room(), &[(1, body("report", &[], Some(day)), Some(UnixMillis(at)))]).await.unwrap();
        tx.commit().await.unwrap();
    };
    save("2026-11-26", 5_000).await;
    assert_eq!(archive.next_reminder().await.unwrap(), Some(UnixMillis(5_000)));
    assert!(archive.reminders(UnixMillis(4_999)).await.unwrap().is_empty());
    let due = archive.reminders(UnixMillis(5_000)).await.unwrap();
    assert_eq!((due.len(), due[0].todo.number, &due[0].room), (1, 1, &room()));
    let mut tx = archive.begin().await.unwrap();
    tx.reminded(&room(), 1, UnixMillis(5_001)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(archive.reminders(UnixMillis(9_000)).await.unwrap().is_empty());
    save("2026-11-26", 5_000).await;
    assert!(archive.reminders(UnixMillis(9_000)).await.unwrap().is_empty(), "made again for the same day");
    save("2026-11-27", 8_000).await;
    assert_eq!(archive.reminders(UnixMillis(9_000)).await.unwrap().len(), 1);
    let mut tx = archive.begin().await.unwrap();
    tx.turn_todo(&room(), 1, TodoState::Done, turned(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(archive.reminders(UnixMillis(9_000)).await.unwrap().is_empty(), "what is done is not reminded of");
}

#[tokio::test]
async fn a_reaction_is_led_to_the_to_dos_that_its_message_shows() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let effect = EffectId::from_bytes([9; 16]);
    let mut tx = archive.begin().await.unwrap();
    tx.shows_todos(effect, &room(), &[3, 7], UnixMillis(1)).await.unwrap();
    let message = Effect::SendEvent {
        as_user: matrix_sdk::ruma::owned_user_id!("@bot:hs"),
        room: room(),
        event_type: "m.room.message".into(),
        content: json!({}),
        relation: None,
        purpose: Purpose::Notice,
    };
    let lane = Lane::room(&room());
    tx.record(&NewEffect { id: effect, call: None, lane: lane.clone(), party: None, effect: message }).await.unwrap();
    tx.ticked_by(event_id!("$tick"), &room(), 7).await.unwrap();
    tx.commit().await.unwrap();
    archive.journal().next_ready(&lane).await.unwrap().unwrap();
    archive.journal().done(effect, Some(event_id!("$list"))).await.unwrap();
    assert_eq!(archive.todos_shown_by(&room(), event_id!("$list")).await.unwrap(), [3, 7]);
    assert!(archive.todos_shown_by(&owned_room_id!("!other:hs"), event_id!("$list")).await.unwrap().is_empty());
    let mut tx = archive.begin().await.unwrap();
    assert_eq!(tx.unticked(event_id!("$tick")).await.unwrap(), [7]);
    assert!(tx.unticked(event_id!("$tick")).await.unwrap().is_empty());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn notes_that_are_due_are_remembered_with_what_of_them_may_stay() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1).await;
    let mut tx = archive.begin().await.unwrap();
    tx.notes_due(call, Some(&json!({ "canary": 1 }))).await.unwrap();
    tx.save_fixes(call, &json!([{ "item": 2, "change": "drop" }])).await.unwrap();
    tx.commit().await.unwrap();
    drop(archive);
    let archive = open(dir.path()).await;
    assert_eq!(archive.notes_that_are_due().await.unwrap(), [call]);
    assert_eq!(archive.kept_of_notes(call).await.unwrap(), Some(json!({ "canary": 1 })));
    assert_eq!(archive.fixes(call).await.unwrap(), Some(json!([{ "item": 2, "change": "drop" }])));
    assert!(!on_disk(dir.path(), "canary"));
    let mut tx = archive.begin().await.unwrap();
    tx.notes_made(call).await.unwrap();
    tx.commit().await.unwrap();
    assert!(archive.notes_that_are_due().await.unwrap().is_empty());
}
