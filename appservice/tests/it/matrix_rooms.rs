//! Rooms: invitations, what is heard and what is not, what goes over the wire.
use std::{sync::Arc, time::Duration};

use appservice::matrix::{MatrixError, MatrixEvent, Message, NewRoom};
use bridge::ids::E164;
use matrix_sdk::{config::SyncSettings, ruma::events::room::message::RoomMessageEventContent};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{Lab, Person, Wish};

fn message(event: &MatrixEvent) -> Option<Message> {
    match event {
        MatrixEvent::Message(message) => Some(message.clone()),
        _ => None,
    }
}

async fn on_the_wire(person: &Person, room: &str, event: &str) -> Value {
    person.done("GET", &format!("rooms/{room}/event/{event}"), Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_room_hears_and_is_heard_and_nothing_goes_in_clear() {
    let lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let client = alice.client().await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let room = alice.encrypted_room(&[]).await;
    client.sync_once(SyncSettings::default()).await.unwrap();
    let alices = client.get_room(&room).unwrap();
    let before = alices.send(RoomMessageEventContent::text_plain("said before the bot came")).await.unwrap();
    let root = before.response.event_id;
    alice.done("POST", &format!("rooms/{room}/invite"), json!({ "user_id": bot.user_id() })).await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;

    // Heard: what alice says to the bot, encrypted, in a thread, with a mention.
    client.sync_once(SyncSettings::default()).await.unwrap();
    let content = json!({ "msgtype": "m.text", "body": "!call help", "m.mentions": { "user_ids": [bot.user_id()] },
        "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
    let sent = alices.send_raw("m.room.message", content).await.unwrap().response.event_id;
    let heard = events.wait("message", message).await;
    assert_eq!(
        (heard.event_id, heard.body.as_str(), heard.encrypted, heard.mentions_bot),
        (sent, "!call help", true, true)
    );
    assert_eq!((heard.thread.unwrap(), heard.sender), (root.clone(), alice.user.clone()));

    // Sent twice with one id: one event, encrypted on the wire, readable by alice.
    let content = json!({ "msgtype": "m.notice", "body": "a call begins" });
    let first = bot.send(&room, "effect-1", "m.room.message", content.clone()).await.unwrap();
    let again = bot.send(&room, "effect-1", "m.room.message", content.clone()).await.unwrap();
    assert_eq!(first, again);
    let wire = on_the_wire(&alice, room.as_str(), first.as_str()).await;
    assert_eq!(wire["type"], "m.room.encrypted");
    assert!(!wire.to_string().contains("a call begins"));
    client.sync_once(SyncSettings::default()).await.unwrap();
    let read = alices.event(&first, None).await.unwrap();
    assert!(read.encryption_info().is_some());
    assert!(read.raw().json().get().contains("a call begins"));

    // Another user of ours with the same id in the same room: its own event.
    let ghost = matrix.ghost(Some(&E164::parse("+15550100").unwrap()), "+1 555 0100 (phone)").await.unwrap();
    assert!(matches!(
        ghost.send(&room, "effect-1", "m.room.message", content.clone()).await,
        Err(MatrixError::NotJoined { .. })
    ));
    ghost.ensure_joined(&room).await.unwrap();
    ghost.start_sync().await.unwrap();
    let other = ghost.send(&room, "effect-1", "m.room.message", content).await.unwrap();
    assert_ne!(other, first);
    assert_eq!(on_the_wire(&alice, room.as_str(), other.as_str()).await["type"], "m.room.encrypted");
    assert!(ghost.is_encrypted(&room).await.unwrap() && bot.is_encrypted(&room).await.unwrap());
    ghost.ensure_joined(&room).await.unwrap();
    let names: Vec<_> = bot.members(&room).await.unwrap().into_iter().filter_map(|m| m.display_name).collect();
    assert!(names.contains(&"+1 555 0100 (phone)".to_owned()), "{names:?}");

    // Power: a call membership costs nothing, the room's settings do.
    assert_eq!(bot.required_for_state(&room, "org.matrix.msc3401.call.member").await.unwrap(), 0);
    assert!(ghost.may_send_state(&room, "org.matrix.msc3401.call.member").await.unwrap());
    assert!(!ghost.may_send_state(&room, "m.room.name").await.unwrap());
    // Whoever made the room stands above the bot (in room version 12 without end).
    assert!(bot.user_power(&room, &alice.user).await.unwrap() >= 100);
    assert_eq!(bot.user_power(&room, bot.user_id()).await.unwrap(), 0);

    // Not heard: our own words and what was said before.
    assert!(events.drain().iter().filter_map(message).next().is_none());
    ghost.stop_sync();

    // Taken back.
    bot.redact(&room, &first, "effect-2", None).await.unwrap();
    assert_eq!(on_the_wire(&alice, room.as_str(), first.as_str()).await["content"], json!({}));

    // After a restart nothing is heard twice, but what was said meanwhile is.
    matrix.stop().await;
    drop((bot, ghost, matrix));
    client.sync_once(SyncSettings::default()).await.unwrap();
    alices.send(RoomMessageEventContent::text_plain("said while it was away")).await.unwrap();
    let (matrix, mut events) = lab.matrix().await;
    assert_eq!(events.wait("message", message).await.body, "said while it was away");
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": root, "key": "✅" } });
    let path = format!("rooms/{room}/send/m.reaction/r1");
    let reaction_id = alice.done("PUT", &path, reaction).await["event_id"].as_str().unwrap().to_owned();
    let (id, key) = events
        .wait("reaction", |e| match e {
            MatrixEvent::Reaction { event_id, key, target, .. } if *target == root => {
                Some((event_id.to_string(), key.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!((id.as_str(), key.as_str()), (reaction_id.as_str(), "✅"));
    alice.done("PUT", &format!("rooms/{room}/redact/{reaction_id}/r2"), json!({})).await;
    let redacted = events
        .wait("redaction", |e| match e {
            MatrixEvent::Redaction { redacts, .. } => Some(redacts.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(redacted, reaction_id);
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_are_taken_from_those_who_may_and_refused_with_a_reason_from_others() {
    let lab = Lab::start(Wish::default()).await;
    let stranger = lab.person("stranger").await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let room = stranger.encrypted_room(&[bot.user_id().as_str()]).await;
    let accepted = events
        .wait("invite", |e| match e {
            MatrixEvent::Invite { room: r, accepted, .. } if *r == room => Some(*accepted),
            _ => None,
        })
        .await;
    assert!(!accepted);
    let path = format!("rooms/{room}/state/m.room.member/{}", bot.user_id());
    let member = stranger.done("GET", &path, Value::Null).await;
    assert_eq!(member["membership"], "leave");
    assert!(member["reason"].as_str().unwrap().contains("permissions"), "{member}");
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_our_own_is_encrypted_and_open_for_calls() {
    let lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let new = NewRoom {
        name: Some("Sales".into()),
        invite: vec![alice.user.clone()],
        admins: vec![alice.user.clone()],
        direct: false,
    };
    let room = bot.create_room(&new).await.unwrap();
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    alice.done("POST", &format!("rooms/{room}/join"), json!({})).await;
    assert!(bot.is_encrypted(&room).await.unwrap());
    assert_eq!(bot.required_for_state(&room, "org.matrix.msc3401.call.member").await.unwrap(), 0);
    assert_eq!(bot.user_power(&room, &alice.user).await.unwrap(), 100);
    assert_eq!(bot.resolve_room(&room.clone().into()).await.unwrap(), room);

    // State of ours: the policy is told to the desk, and can be read again.
    bot.send_state(&room, "io.roomtone.policy", "", json!({ "notes": true })).await.unwrap();
    let policy = events
        .wait("policy", |e| match e {
            MatrixEvent::Policy(state) => Some(state.content.clone()),
            _ => None,
        })
        .await;
    assert_eq!(policy, json!({ "notes": true }));
    let key = format!("_{}_DEV_m.call", alice.user);
    let path = format!("rooms/{room}/state/org.matrix.msc3401.call.member/{key}");
    alice.done("PUT", &path, json!({ "application": "m.call" })).await;
    events.wait("membership", |e| matches!(e, MatrixEvent::CallMember(s) if s.state_key == key).then_some(())).await;
    let state = bot.room_state(&room, "org.matrix.msc3401.call.member").await.unwrap();
    assert_eq!(state.len(), 1);
    assert_eq!((state[0].sender.as_str(), state[0].state_key.as_str()), (alice.user.as_str(), key.as_str()));
    assert!(state[0].ts > 1_600_000_000_000);
    assert_eq!(bot.get_state(&room, "io.roomtone.policy", "").await.unwrap(), Some(json!({ "notes": true })));
    assert_eq!(bot.get_state(&room, "io.roomtone.policy", "no such").await.unwrap(), None);

    // The same after a restart: the state is there before anything new happens.
    matrix.stop().await;
    drop((bot, matrix));
    let (matrix, mut events) = lab.matrix().await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    assert_eq!(matrix.bot().room_state(&room, "org.matrix.msc3401.call.member").await.unwrap().len(), 1);
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_in_one_breath_are_all_heard_in_order() {
    let lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let body = json!({ "preset": "private_chat", "invite": [matrix.bot().user_id()] });
    let room = alice.done("POST", "createRoom", body).await["room_id"].as_str().unwrap().to_owned();
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if r.as_str() == room).then_some(())).await;
    matrix.stop().await;
    drop(matrix);
    // More than one sync answer holds: the rest is fetched.
    for n in 0..130 {
        let content = json!({ "msgtype": "m.text", "body": n.to_string() });
        alice.done("PUT", &format!("rooms/{room}/send/m.room.message/m{n}"), content).await;
    }
    let (matrix, mut events) = lab.matrix().await;
    for n in 0..130 {
        assert_eq!(events.wait("message", message).await.body, n.to_string());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(events.drain().iter().filter_map(message).next().is_none());
    matrix.stop().await;
}

/// A way to the homeserver that keeps room keys back until it is told.
async fn reluctant_way(homeserver: String, release: Arc<Notify>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(async move |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let path = parts.uri.path_and_query().unwrap().to_string();
        let mut out = reqwest::Client::new().request(parts.method, format!("{homeserver}{path}")).body(body);
        for name in ["authorization", "content-type"] {
            if let Some(value) = parts.headers.get(name) {
                out = out.header(name, value);
            }
        }
        if path.contains("/sendToDevice/m.room.encrypted/") {
            let release = release.clone();
            tokio::spawn(async move {
                release.notified().await;
                out.send().await.unwrap();
            });
            return (axum::http::StatusCode::OK, "{}".into());
        }
        let answer = out.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_key_comes_late_is_heard_when_it_comes() {
    let lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let room = alice.encrypted_room(&[matrix.bot().user_id().as_str()]).await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    let release = Arc::new(Notify::new());
    let client = alice.client_by(&reluctant_way(lab.url.clone(), release.clone()).await).await;
    let alices = client.get_room(&room).unwrap();
    let late = alices.send(RoomMessageEventContent::text_plain("late")).await.unwrap().response.event_id;
    // A clear event after it shows that the bot has seen both, and has not heard the first.
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": late, "key": "1" } });
    alice.done("PUT", &format!("rooms/{room}/send/m.reaction/r1"), reaction).await;
    let first = events
        .wait("anything of alice's", |e| match e {
            MatrixEvent::Message(_) => Some("message"),
            MatrixEvent::Reaction { .. } => Some("reaction"),
            _ => None,
        })
        .await;
    assert_eq!(first, "reaction");
    release.notify_one();
    let heard = events.wait("message", message).await;
    assert_eq!((heard.body.as_str(), heard.encrypted), ("late", true));
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_outlives_the_homeserver_and_gives_one_event() {
    let mut lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let room = alice.encrypted_room(&[bot.user_id().as_str()]).await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    let content = json!({ "msgtype": "m.notice", "body": "notes" });
    let before = bot.send(&room, "effect-1", "m.room.message", content.clone()).await.unwrap();
    lab.homeserver_dies();
    let sending = tokio::spawn({
        let (bot, room, content) = (bot.clone(), room.clone(), content.clone());
        async move { bot.send(&room, "effect-2", "m.room.message", content).await }
    });
    lab.homeserver_comes_back().await;
    let sent = sending.await.unwrap().unwrap();
    // Known also to the homeserver that was started anew, and to a Roomtone that was.
    assert_eq!(bot.send(&room, "effect-2", "m.room.message", content.clone()).await.unwrap(), sent);
    assert_eq!(bot.send(&room, "effect-1", "m.room.message", content.clone()).await.unwrap(), before);
    matrix.stop().await;
    drop((bot, matrix));
    let (matrix, mut events) = lab.matrix().await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    assert_eq!(matrix.bot().send(&room, "effect-1", "m.room.message", content).await.unwrap(), before);
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_kept_from_the_desk_comes_after_the_restart() {
    let lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let body = json!({ "preset": "private_chat", "invite": [matrix.bot().user_id()] });
    let room = alice.done("POST", "createRoom", body).await["room_id"].as_str().unwrap().to_owned();
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if r.as_str() == room).then_some(())).await;
    let mark = lab.config.data_dir.join("store/_roomtone_bot/told.token");
    let content = json!({ "msgtype": "m.text", "body": "one" });
    alice.done("PUT", &format!("rooms/{room}/send/m.room.message/m1"), content).await;
    events.wait("message", message).await;
    matrix.stop().await;
    drop(matrix);
    // As it was when the answer with the second message had come and the desk had not been told.
    let told = std::fs::read(&mark).unwrap();
    let (matrix, mut events) = lab.matrix().await;
    let content = json!({ "msgtype": "m.text", "body": "two" });
    alice.done("PUT", &format!("rooms/{room}/send/m.room.message/m2"), content).await;
    assert_eq!(events.wait("message", message).await.body, "two");
    matrix.stop().await;
    drop(matrix);
    std::fs::write(&mark, told).unwrap();
    let (matrix, mut events) = lab.matrix().await;
    assert_eq!(events.wait("message", message).await.body, "two");
    matrix.stop().await;
}
