//! The archive as its users see it, and as a thief of the disk does.

use std::io::{BufRead, Write};
use std::path::Path;

use bridge::ids::E164;
use bridge::time::UnixMillis;
use matrix_sdk::ruma::{OwnedRoomId, RoomId, event_id, owned_room_id, room_id, user_id};
use serde_json::json;

use super::*;
use crate::journal::{Effect, Lane, NewEffect, Purpose};

const BOB: &str = "@bob:hs";
const PHONE: &str = "@_roomtone_442079460123:hs";

fn key() -> ArchiveKey {
    ArchiveKey::from_bytes([7; 32])
}

fn room() -> OwnedRoomId {
    owned_room_id!("!room:hs")
}

async fn open(dir: &Path) -> Archive {
    Archive::open(&dir.join("roomtone.db"), &key()).await.unwrap()
}

async fn begin_call(archive: &Archive, number: u8, started: u64) -> CallId {
    let id = CallId::from_bytes([number; 16]);
    let facts = json!({ "trunk": "office-canary" });
    archive.open_call(&NewCall { id, room: room(), started: UnixMillis(started), card: None, facts }).await.unwrap();
    for (user, kind, name, number) in [
        (BOB, PartyKind::Matrix, "Bob Builder", None),
        (PHONE, PartyKind::Phone, "Ada Lovelace", Some(E164::parse("+442079460123").unwrap())),
    ] {
        let party =
            PartyRecord { user: user.into(), kind, name: name.into(), number, joined: UnixMillis(started), left: None };
        archive.upsert_party(id, &party).await.unwrap();
    }
    id
}

async fn said(archive: &Archive, call: CallId, party: &str, at: u64, text: &str) -> UtteranceId {
    let (start, end) = (UnixMillis(at), UnixMillis(at + 900));
    let new = NewUtterance { party: party.into(), start, end, text: text.into(), details: SaidDetails::default() };
    archive.add_utterance(call, &new).await.unwrap()
}

fn caption(call: CallId, id: EffectId, party: &str, words: &str) -> NewEffect {
    NewEffect {
        id,
        call: Some(call),
        lane: Lane::thread(call),
        party: Some(party.into()),
        effect: Effect::SendEvent {
            as_user: user_id!("@bot:hs").to_owned(),
            room: room(),
            event_type: "m.room.message".into(),
            content: json!({ "body": words }),
            relation: None,
            purpose: Purpose::Caption,
        },
    }
}

fn notes(text: &str) -> NotesRecord {
    NotesRecord {
        body: json!({ "title": text }),
        text: text.into(),
        writer: "extractive".into(),
        written: UnixMillis(90_000),
        effect: None,
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    archive.record_grant(call, BOB, true, How::Reaction, UnixMillis(1_500)).await.unwrap();
    archive.record_grant(call, PHONE, true, How::Digit, UnixMillis(1_600)).await.unwrap();
    archive.record_grant(call, PHONE, false, How::Digit, UnixMillis(1_700)).await.unwrap();
    let second = said(&archive, call, PHONE, 4_000, "and on Monday").await;
    let first = said(&archive, call, BOB, 2_000, "we ship on Friday").await;
    archive.save_notes(call, &notes("Shipping")).await.unwrap();
    drop(archive);

    let archive = open(dir.path()).await;
    let open_calls = archive.open_calls().await.unwrap();
    assert_eq!(open_calls.iter().map(|c| (c.id, c.state)).collect::<Vec<_>>(), [(call, CallState::Open)]);
    assert_eq!(open_calls[0].facts, json!({ "trunk": "office-canary" }));
    let parties = archive.parties(call).await.unwrap();
    let phone = parties.iter().find(|p| p.user == PHONE).unwrap();
    assert_eq!((phone.name.as_str(), phone.kind), ("Ada Lovelace", PartyKind::Phone));
    assert_eq!(phone.number.as_ref().map(E164::reveal), Some("+442079460123"));
    let grants: Vec<_> = archive.grants(call).await.unwrap().into_iter().map(|g| (g.party, g.granted, g.how)).collect();
    assert_eq!(grants, [(BOB.to_owned(), true, How::Reaction), (PHONE.to_owned(), false, How::Digit)]);
    let said: Vec<_> = archive.utterances(call).await.unwrap().into_iter().map(|u| (u.id, u.party, u.text)).collect();
    assert_eq!(
        said,
        [(first, BOB.into(), "we ship on Friday".to_owned()), (second, PHONE.into(), "and on Monday".to_owned())]
    );
    assert_eq!(archive.notes(call).await.unwrap().unwrap().body, json!({ "title": "Shipping" }));

    archive.end_call(call, UnixMillis(9_000), CallState::Interrupted).await.unwrap();
    assert!(archive.open_calls().await.unwrap().is_empty());
    let listed = archive.list_calls(&room(), 5).await.unwrap();
    assert_eq!((listed[0].ended, listed[0].state), (Some(UnixMillis(9_000)), CallState::Interrupted));
    assert!(archive.parties(call).await.unwrap().iter().all(|p| p.left == Some(UnixMillis(9_000))));
}

#[tokio::test]
async fn another_operator_key_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let wrong = Archive::open(&dir.path().join("roomtone.db"), &ArchiveKey::from_bytes([8; 32])).await;
    assert!(matches!(wrong, Err(ArchiveError::WrongKey)));
}

#[tokio::test]
async fn nothing_that_people_say_or_are_called_or_dial_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    archive.record_grant(call, PHONE, true, How::Digit, UnixMillis(1_100)).await.unwrap();
    said(&archive, call, PHONE, 2_000, "the xylophone canary sings at midnight").await;
    archive.save_notes(call, &notes("Xylophone canary minutes")).await.unwrap();
    archive
        .journal()
        .record(&caption(call, EffectId::named(call, "caption 1"), PHONE, "the xylophone canary sings"))
        .await
        .unwrap();
    let number = E164::parse("+15550100777").unwrap();
    archive.link_number(&number, &room(), Some(user_id!("@carol-canary:hs")), UnixMillis(3)).await.unwrap();
    assert_eq!(archive.room_of_number(&number).await.unwrap(), Some(room()));

    let canaries =
        ["xylophone", "canary", "midnight", "Lovelace", "Builder", "bob", "442079460123", "15550100777", "office"];
    let mut bytes = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let raw = std::fs::read(file.unwrap().path()).unwrap();
        bytes += raw.len();
        for canary in canaries {
            let found = raw.windows(canary.len()).any(|w| w.eq_ignore_ascii_case(canary.as_bytes()));
            assert!(!found, "{canary} stands in the database");
        }
        // The room is clear by design: the scan does see what is there.
    }
    let wal = std::fs::read(dir.path().join("roomtone.db-wal")).unwrap();
    assert!(bytes > 10_000 && wal.windows(8).any(|w| w == b"!room:hs"), "the scan saw nothing");
    assert!(!archive.search(&room(), "xylophone", 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn search_finds_words_in_any_form_and_names_the_message_that_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let old = begin_call(&archive, 1, 1_000).await;
    let new = begin_call(&archive, 2, 500_000).await;
    let friday =
        said(&archive, old, PHONE, 2_000, "We are shipping the release on Friday, if the mock-ups are there.").await;
    said(&archive, new, BOB, 501_000, "The release has slipped.").await;
    archive.set_caption_event(old, friday, event_id!("$caption")).await.unwrap();
    archive.save_notes(new, &notes("The release is late\nTell the customers on Friday")).await.unwrap();

    let hits = archive.search(&room(), "SHIP Fridays", 10).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].call, hits[0].place, hits[0].at), (old, HitPlace::Utterance(friday), UnixMillis(2_000)));
    assert_eq!(hits[0].speaker.as_deref(), Some("Ada Lovelace"));
    assert_eq!(hits[0].event.as_deref(), Some(event_id!("$caption")));
    assert!(hits[0].snippet.contains("shipping the release"));

    let places: Vec<_> =
        archive.search(&room(), "releases", 10).await.unwrap().into_iter().map(|h| (h.call, h.place)).collect();
    assert_eq!(places.len(), 3);
    assert_eq!(places[0], (new, HitPlace::Notes), "newest call first");
    assert_eq!(places[2].0, old);

    for (asked, of) in [
        ("giraffe", room()),
        ("release giraffe", room()),
        ("", room()),
        ("!?", room()),
        ("release", owned_room_id!("!other:hs")),
    ] {
        assert!(archive.search(&of, asked, 10).await.unwrap().is_empty(), "{asked:?}");
    }
    assert_eq!(archive.search(&room(), "release", 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn words_that_hash_alike_in_the_index_are_checked_in_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    let first = said(&archive, call, BOB, 2_000, "apples").await;
    said(&archive, call, BOB, 3_000, "pears").await;
    // A forged index row: as if "pears" had hashed to the token of "apples".
    let mut tx = archive.begin().await.unwrap();
    sqlx::query("UPDATE OR REPLACE words SET utterance = 2 WHERE utterance = ?")
        .bind(first.0)
        .execute(&mut *tx.sql)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(archive.search(&room(), "apples", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn taking_words_back_leaves_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    let (hers, unsent) = (EffectId::named(call, "caption 1"), EffectId::named(call, "caption 2"));
    let one = said(&archive, call, PHONE, 2_000, "secret plans").await;
    said(&archive, call, BOB, 3_000, "fine plans").await;
    let journal = archive.journal();
    journal.record(&caption(call, hers, PHONE, "secret plans")).await.unwrap();
    archive.shown_by(call, &[one], hers).await.unwrap();
    let due = journal.next_ready(&Lane::thread(call)).await.unwrap().unwrap();
    journal.done(due.id, Some(event_id!("$hers"))).await.unwrap();
    let two = said(&archive, call, PHONE, 4_000, "more secrets").await;
    journal.record(&caption(call, unsent, PHONE, "more secrets")).await.unwrap();
    archive.shown_by(call, &[two], unsent).await.unwrap();
    archive.save_notes(call, &notes("secret and fine plans")).await.unwrap();

    assert_eq!(archive.withdraw_party_words(call, "@carol:hs").await.unwrap(), Withdrawn::default());
    assert!(archive.notes(call).await.unwrap().is_some(), "who said nothing took the notes away");
    let out = archive.withdraw_party_words(call, PHONE).await.unwrap();
    assert_eq!((out.utterances, out.notes, out.captions.as_slice()), (2, true, &[event_id!("$hers").to_owned()][..]));
    assert!(out.under_way.is_empty());
    assert!(archive.search(&room(), "secret", 10).await.unwrap().is_empty());
    assert_eq!(archive.search(&room(), "plans", 10).await.unwrap().len(), 1);
    assert_eq!(archive.utterances(call).await.unwrap().len(), 1);
    assert!(archive.notes(call).await.unwrap().is_none());
    assert!(
        journal.next_ready(&Lane::thread(call)).await.unwrap().is_none(),
        "an unsent caption of withdrawn words was sent"
    );
}

#[tokio::test]
async fn deleting_a_call_destroys_its_key_and_every_row_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    let other = begin_call(&archive, 2, 5_000).await;
    said(&archive, call, BOB, 2_000, "burn this").await;
    said(&archive, other, BOB, 6_000, "keep this").await;
    archive.journal().record(&caption(call, EffectId::named(call, "caption 1"), BOB, "burn this")).await.unwrap();
    let wrapped: Vec<u8> = sqlx::query_scalar("SELECT call_key FROM calls WHERE call_id = ?")
        .bind(&call.as_bytes()[..])
        .fetch_one(&archive.inner.reader)
        .await
        .unwrap();
    let on_disk = |needle: &[u8]| {
        std::fs::read_dir(dir.path()).unwrap().any(|f| {
            let raw = std::fs::read(f.unwrap().path()).unwrap();
            raw.windows(needle.len()).any(|w| w == needle)
        })
    };
    assert!(on_disk(&wrapped));
    assert!(archive.delete_call(call).await.unwrap());
    assert!(!archive.delete_call(call).await.unwrap());
    assert!(!on_disk(&wrapped), "the wrapped key is still on the disk");
    assert!(!on_disk(call.as_bytes()), "a row of the call is still on the disk");
    assert!(archive.search(&room(), "burn", 10).await.unwrap().is_empty());
    assert_eq!(archive.search(&room(), "this", 10).await.unwrap().len(), 1);
    assert!(matches!(archive.utterances(call).await, Err(ArchiveError::NoSuchCall(id)) if id == call));
    assert!(archive.journal().pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_blob_moved_to_another_row_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    said(&archive, call, BOB, 2_000, "yes").await;
    said(&archive, call, BOB, 3_000, "no").await;
    let mut tx = archive.begin().await.unwrap();
    sqlx::query("UPDATE utterances SET said = (SELECT said FROM utterances WHERE utterance = 2) WHERE utterance = 1")
        .execute(&mut *tx.sql)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(archive.utterances(call).await, Err(ArchiveError::Seal(_))));
}

#[tokio::test]
async fn an_event_is_handled_once_until_it_is_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let event = event_id!("$event");
    assert!(archive.handle_once(event, UnixMillis(10)).await.unwrap());
    assert!(!archive.handle_once(event, UnixMillis(11)).await.unwrap());
    // What a dropped transaction handled was not handled.
    let mut tx = archive.begin().await.unwrap();
    assert!(tx.handle_once(event_id!("$other"), UnixMillis(12)).await.unwrap());
    drop(tx);
    assert!(archive.handle_once(event_id!("$other"), UnixMillis(13)).await.unwrap());
    archive.prune(UnixMillis(11)).await.unwrap();
    assert!(archive.handle_once(event, UnixMillis(14)).await.unwrap());
    assert!(!archive.handle_once(event_id!("$other"), UnixMillis(15)).await.unwrap());
}

#[tokio::test]
async fn a_number_rings_the_room_it_was_last_linked_to() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let number = E164::parse("+15550100").unwrap();
    let there: &RoomId = room_id!("!there:hs");
    archive.link_number(&number, &room(), None, UnixMillis(1)).await.unwrap();
    archive.link_number(&number, there, Some(user_id!("@carol:hs")), UnixMillis(2)).await.unwrap();
    assert_eq!(archive.room_of_number(&number).await.unwrap().as_deref(), Some(there));
    assert!(archive.numbers_of_room(&room()).await.unwrap().is_empty());
    let links = archive.numbers_of_room(there).await.unwrap();
    assert_eq!((links[0].number.reveal(), links[0].by.as_deref()), ("+15550100", Some(user_id!("@carol:hs"))));
    assert_eq!(archive.unlink_number(&number).await.unwrap().unwrap().room, there);
    assert!(archive.unlink_number(&number).await.unwrap().is_none());
}

#[tokio::test]
async fn writers_wait_for_one_another_and_readers_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let call = begin_call(&archive, 1, 1_000).await;
    let mut tx = archive.begin().await.unwrap();
    let new = NewUtterance {
        party: BOB.into(),
        start: UnixMillis(2),
        end: UnixMillis(3),
        text: "one".into(),
        details: SaidDetails::default(),
    };
    tx.add_utterance(call, &new).await.unwrap();
    assert!(archive.utterances(call).await.unwrap().is_empty(), "a reader saw what is not committed");
    let others: Vec<_> = (0..20_u64)
        .map(|n| {
            let archive = archive.clone();
            tokio::spawn(async move { said(&archive, call, BOB, 10 + n, "again").await })
        })
        .collect();
    tx.commit().await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(archive.utterances(call).await.unwrap().len(), 21);
}

const CHILD_DIR: &str = "ROOMTONE_TEST_KILLED_WRITER_DIR";

#[tokio::test]
#[ignore = "the child of the test below: writes until it is killed"]
async fn killed_writer() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let archive = open(Path::new(&dir)).await;
    let call = begin_call(&archive, 1, 1_000).await;
    for n in 0.. {
        let id = said(&archive, call, BOB, 2_000 + n, &format!("word{n} of many")).await;
        archive.journal().record(&caption(call, EffectId::named(call, &format!("{n}")), BOB, "word")).await.unwrap();
        writeln!(std::io::stdout(), "stored {} {n}", id.0).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "archive::tests::killed_writer", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stored = Vec::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        let Some((id, n)) = line.strip_prefix("stored ").and_then(|l| l.split_once(' ')) else { continue };
        stored.push((UtteranceId(id.parse().unwrap()), format!("word{n} of many")));
        if stored.len() == 25 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(stored.len() >= 25, "the child stored {} only", stored.len());

    let archive = open(dir.path()).await;
    let call = archive.open_calls().await.unwrap()[0].id;
    let there: Vec<_> = archive.utterances(call).await.unwrap().into_iter().map(|u| (u.id, u.text)).collect();
    for one in &stored {
        assert!(there.contains(one), "{:?} was acknowledged and is gone", one.0);
    }
    assert!(archive.journal().pending().await.unwrap().len() >= stored.len());
    let last = stored.last().unwrap();
    let word = last.1.split(' ').next().unwrap();
    assert_eq!(archive.search(&room(), word, 5).await.unwrap()[0].place, HitPlace::Utterance(last.0));
}
