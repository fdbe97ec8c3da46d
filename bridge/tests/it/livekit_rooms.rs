//! Participants in a real LiveKit server's rooms: each sends its own tone.

use std::time::Duration;

use bridge::livekit::{Admitted, CloseReason, Encryption, JoinOptions, MediaKey, Participant, SfuError, SfuEvent};

use crate::livekit_party::{Party, key_of, who};
use crate::livekit_server::{Front, Server, token};

const ALICE: f32 = 400.0;
const BOB: f32 = 700.0;
const CAROL: f32 = 1_100.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_in_single_and_pair_mode_hear_all_others_and_not_themselves() {
    let server = Server::start().await;
    let old = Front::before(&server, true).await;
    let alice = Party::join(&server.url(), "three", "alice", ALICE, Encryption::Required).await;
    let bob = Party::join(&old.url(), "three", "bob", BOB, Encryption::Required).await;
    alice.knows(&["bob", "carol"]);
    bob.knows(&["alice", "carol"]);
    let carol = Party::join(&server.url(), "three", "carol", CAROL, Encryption::Required).await;
    carol.knows(&["alice", "bob"]);
    assert!(alice.participant.stats().single_peer_connection && !bob.participant.stats().single_peer_connection);
    for (party, others) in [
        (&alice, [("bob", BOB), ("carol", CAROL)]),
        (&bob, [("alice", ALICE), ("carol", CAROL)]),
        (&carol, [("alice", ALICE), ("bob", BOB)]),
    ] {
        party.told(SfuEvent::Up).await;
        for (name, hz) in others {
            let not: Vec<f32> = [ALICE, BOB, CAROL].into_iter().filter(|other| *other != hz).collect();
            party.hears(name, hz, &not).await;
            party.told(SfuEvent::KeyWorks(who(name))).await;
        }
    }
    for (party, name) in [(&alice, "alice"), (&bob, "bob"), (&carol, "carol")] {
        assert!(!party.heard_any_of(name), "{name} hears itself");
        assert_eq!(party.participant.stats().dropped_clear, 0);
    }
    carol.participant.leave().await;
    alice.told(SfuEvent::ParticipantLeft(who("carol"))).await;
    bob.told(SfuEvent::ParticipantLeft(who("carol"))).await;
    assert_eq!(carol.closed().await, SfuEvent::Closed { reason: CloseReason::Left });
    alice.hears("bob", BOB, &[ALICE, CAROL]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_others_have_left_is_heard() {
    let server = Server::start().await;
    let alice = Party::join(&server.url(), "coming", "alice", ALICE, Encryption::Required).await;
    alice.told(SfuEvent::Up).await;
    for (name, hz) in [("bob", BOB), ("carol", CAROL), ("dora", BOB), ("emil", CAROL)] {
        alice.knows(&[name]);
        let party = Party::join(&server.url(), "coming", name, hz, Encryption::Required).await;
        alice.hears(name, hz, &[ALICE]).await;
        party.participant.leave().await;
        alice.told(SfuEvent::ParticipantLeft(who(name))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_silence_and_is_told_until_the_right_one_comes() {
    let server = Server::start().await;
    let alice = Party::join(&server.url(), "keys", "alice", ALICE, Encryption::Required).await;
    let bob = Party::join(&server.url(), "keys", "bob", 0.0, Encryption::Required).await;
    bob.told(SfuEvent::KeyMissing(who("alice"))).await;
    bob.participant.set_receive_key(who("alice"), 0, &key_of("mallory"));
    let before = bob.participant.stats().dropped_undecrypted;
    while bob.participant.stats().dropped_undecrypted < before + 25 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!bob.heard_any_of("alice"));
    bob.knows(&["alice"]);
    bob.told(SfuEvent::KeyWorks(who("alice"))).await;
    bob.hears("alice", ALICE, &[]).await;
    // Alice rotates, as when somebody has left; bob has been told beforehand.
    let next = MediaKey::from_bytes(&[9; 16]).unwrap();
    bob.participant.set_receive_key(who("alice"), 1, &next);
    alice.participant.set_send_key(1, &next);
    bob.hears("alice", ALICE, &[]).await;
    assert_eq!(bob.count(&SfuEvent::KeyMissing(who("alice"))), 1);
    assert_eq!(bob.count(&SfuEvent::KeyWorks(who("alice"))), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_clear_is_sent_or_taken_in_an_encrypted_room() {
    let server = Server::start().await;
    let clear = Party::join(&server.url(), "clear", "clear", ALICE, Encryption::Off).await;
    let secret = Party::join(&server.url(), "clear", "secret", BOB, Encryption::Required).await;
    let other = Party::join(&server.url(), "clear", "other", 0.0, Encryption::Off).await;
    other.hears("clear", ALICE, &[BOB]).await;
    secret.told(SfuEvent::KeyMissing(who("clear"))).await;
    other.told(SfuEvent::KeyMissing(who("secret"))).await;
    assert!(!secret.heard_any_of("clear") && !other.heard_any_of("secret") && !clear.heard_any_of("secret"));
    assert!(secret.participant.stats().dropped_clear > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_of_its_own_nothing_is_sent() {
    let server = Server::start().await;
    let options = JoinOptions::new(server.url(), token(&who("mute").0, "nokey"));
    let (participant, mut events) = Participant::join(options).await.unwrap();
    while events.recv().await != Some(SfuEvent::Up) {}
    for _ in 0..50 {
        participant.send_opus(vec![0xf8, 0xff, 0xfe].into(), 960);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stats = participant.stats();
    assert_eq!(stats.frames_sent, 0);
    assert!(stats.dropped_without_key > 20, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_is_admitted_is_heard() {
    let server = Server::start().await;
    let _alice = Party::join(&server.url(), "grants", "alice", ALICE, Encryption::Required).await;
    let _bob = Party::join(&server.url(), "grants", "bob", BOB, Encryption::Required).await;
    let old = Front::before(&server, true).await;
    for url in [server.url(), old.url()] {
        let options = JoinOptions { publish: false, ..JoinOptions::new(url, token(&who("scribe").0, "grants")) };
        let scribe = Party::join_with(options, "scribe", 0.0).await;
        scribe.participant.hear(Admitted::Only([who("alice")].into()));
        scribe.knows(&["alice", "bob"]);
        scribe.told(SfuEvent::Up).await;
        scribe.hears("alice", ALICE, &[BOB]).await;
        assert!(!scribe.heard_any_of("bob"));
        assert!(scribe.participant.stats().dropped_not_admitted > 20);
        scribe.participant.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_is_seen_and_then_there_is_silence() {
    let server = Server::start().await;
    let alice = Party::join(&server.url(), "mutes", "alice", ALICE, Encryption::Required).await;
    let bob = Party::join(&server.url(), "mutes", "bob", 0.0, Encryption::Required).await;
    bob.knows(&["alice"]);
    bob.hears("alice", ALICE, &[]).await;
    alice.participant.set_muted(true);
    bob.told(SfuEvent::Muted { who: who("alice"), muted: true }).await;
    alice.participant.set_muted(false);
    bob.told(SfuEvent::Muted { who: who("alice"), muted: false }).await;
    bob.hears("alice", ALICE, &[]).await;
    assert_eq!(bob.count(&SfuEvent::KeyMissing(who("alice"))), 0, "the server's silence is no missing key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_identity_again_ends_the_first_one() {
    let server = Server::start().await;
    let first = Party::join(&server.url(), "twice", "alice", ALICE, Encryption::Required).await;
    first.told(SfuEvent::Up).await;
    let _second = Party::join(&server.url(), "twice", "alice", ALICE, Encryption::Required).await;
    assert_eq!(first.closed().await, SfuEvent::Closed { reason: CloseReason::DuplicateIdentity });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_signalling_line_is_resumed_and_nobody_notices() {
    let server = Server::start().await;
    for old in [false, true] {
        let room = if old { "resume-pair" } else { "resume-single" };
        let front = Front::before(&server, old).await;
        let alice = Party::join(&front.url(), room, "alice", ALICE, Encryption::Required).await;
        let bob = Party::join(&server.url(), room, "bob", BOB, Encryption::Required).await;
        alice.knows(&["bob", "carol"]);
        bob.knows(&["alice"]);
        bob.hears("alice", ALICE, &[]).await;
        alice.hears("bob", BOB, &[]).await;
        front.cut();
        // Who comes now is told to alice only over the new line.
        let carol = Party::join(&server.url(), room, "carol", CAROL, Encryption::Required).await;
        alice.told(SfuEvent::ParticipantJoined(who("carol"))).await;
        alice.hears("carol", CAROL, &[]).await;
        bob.hears("alice", ALICE, &[]).await;
        assert_eq!(bob.count(&SfuEvent::ParticipantLeft(who("alice"))), 0);
        assert_eq!(alice.participant.stats().interruptions, 0);
        carol.participant.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_that_comes_back_has_everyone_back() {
    let mut server = Server::start().await;
    let alice = Party::join(&server.url(), "killed", "alice", ALICE, Encryption::Required).await;
    let bob = Party::join(&server.url(), "killed", "bob", BOB, Encryption::Required).await;
    alice.knows(&["bob"]);
    bob.knows(&["alice"]);
    alice.hears("bob", BOB, &[]).await;
    server.kill();
    alice.told(SfuEvent::Interrupted).await;
    bob.told(SfuEvent::Interrupted).await;
    let _server = server.start_again().await;
    alice.told_times(SfuEvent::Up, 2).await;
    bob.told_times(SfuEvent::Up, 2).await;
    alice.hears("bob", BOB, &[ALICE]).await;
    bob.hears("alice", ALICE, &[BOB]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_noticed_and_found_again() {
    let server = Server::start().await;
    let alice = Party::join(&server.url(), "hangs", "alice", ALICE, Encryption::Required).await;
    let bob = Party::join(&server.url(), "hangs", "bob", BOB, Encryption::Required).await;
    alice.knows(&["bob"]);
    bob.knows(&["alice"]);
    alice.hears("bob", BOB, &[]).await;
    server.hang(true);
    let hung = std::time::Instant::now();
    alice.told(SfuEvent::Interrupted).await;
    bob.told(SfuEvent::Interrupted).await;
    assert!(hung.elapsed() < Duration::from_secs(15), "noticed after {:?}", hung.elapsed());
    server.hang(false);
    alice.told_times(SfuEvent::Up, 2).await;
    bob.told_times(SfuEvent::Up, 2).await;
    alice.hears("bob", BOB, &[ALICE]).await;
    bob.hears("alice", ALICE, &[BOB]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_given_up() {
    let mut server = Server::start().await;
    let patience = Duration::from_secs(2);
    let options = JoinOptions { patience, ..JoinOptions::new(server.url(), token(&who("alice").0, "gone")) };
    let alice = Party::join_with(options, "alice", ALICE).await;
    alice.told(SfuEvent::Up).await;
    server.kill();
    let closed = alice.closed().await;
    assert!(matches!(closed, SfuEvent::Closed { reason: CloseReason::GaveUp { attempts: 2.., .. } }), "{closed:?}");
    alice.participant.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_joined_says_why() {
    let server = Server::start().await;
    let bad = JoinOptions::new(server.url(), "no.good.token".into());
    let refused = Participant::join(bad).await.err();
    assert!(matches!(refused, Some(SfuError::Refused { status: 401, .. })), "{refused:?}");
    let nowhere = JoinOptions::new("ws://127.0.0.1:9", token("x", "y"));
    let unreachable = Participant::join(nowhere).await.err();
    assert!(matches!(unreachable, Some(SfuError::Unreachable(_))), "{unreachable:?}");
    let wrong = JoinOptions::new("mailto:x", token("x", "y"));
    assert!(matches!(Participant::join(wrong).await.err(), Some(SfuError::Address { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_alone_and_says_nothing_stays_connected() {
    let server = Server::start().await;
    let old = Front::before(&server, true).await;
    let mut idle = Vec::new();
    for (url, name) in [(server.url(), "single"), (old.url(), "pair")] {
        for publish in [true, false] {
            let room = format!("{name}-{publish}");
            let options = JoinOptions { publish, ..JoinOptions::new(url.clone(), token(&who(name).0, &room)) };
            let party = Party::join_with(options, name, 0.0).await;
            party.told(SfuEvent::Up).await;
            idle.push(party);
        }
    }
    tokio::time::sleep(Duration::from_secs(12)).await;
    for party in &idle {
        assert_eq!(party.participant.stats().interruptions, 0);
    }
}
