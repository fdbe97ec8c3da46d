//! Media keys by Olm, and leaves that come also when we do not.
use std::time::Duration;

use appservice::matrix::{CALL_MEMBER, MEDIA_KEY, MatrixEvent, MediaKeyEvent};
use bridge::ids::E164;
use serde_json::{Value, json};

use crate::support::{Lab, Wish};

fn key_to(event: &MatrixEvent, to: &str) -> Option<MediaKeyEvent> {
    match event {
        MatrixEvent::MediaKey(key) if key.to == to => Some(key.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_key_reaches_the_device_it_is_for_and_tells_which_device_sent_it() {
    let lab = Lab::start(Wish::default()).await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let ghost = matrix.ghost(Some(&E164::parse("+15550100").unwrap()), "phone").await.unwrap();
    ghost.start_sync().await.unwrap();
    let content = json!({ "keys": { "index": 0, "key": "4SAAVEVJ+S3Gw0Y7TvWVjg==" }, "room_id": "!r:hs.test",
        "member": { "id": "x", "claimed_device_id": bot.device_id() } });

    let to_ghost = (ghost.user_id().to_owned(), ghost.device_id().to_owned());
    let nobody = (ghost.user_id().to_owned(), "NOSUCHDEV".into());
    let failed = bot.send_media_key(&[to_ghost.clone(), nobody.clone()], &content).await;
    assert_eq!(failed, [nobody]);
    let key = events.wait("media key", |e| key_to(e, ghost.user_id().as_str())).await;
    assert_eq!((key.sender.as_str(), key.sender_device.as_str()), (bot.user_id().as_str(), bot.device_id().as_str()));
    assert!(key.device_signed);
    assert_eq!(key.content["keys"], content["keys"]);
    assert!(!format!("{key:?}").contains("4SAA"));

    // Back, while the ghost does not sync, and to several at once.
    ghost.stop_sync();
    let failed = ghost.send_media_key(&[(bot.user_id().to_owned(), bot.device_id().to_owned())], &content).await;
    assert!(failed.is_empty());
    let key = events.wait("media key", |e| key_to(e, bot.user_id().as_str())).await;
    assert_eq!(key.sender_device.as_str(), ghost.device_id().as_str());

    // What was sent meanwhile waits for the ghost.
    assert!(bot.send_media_key(std::slice::from_ref(&to_ghost), &content).await.is_empty());
    ghost.start_sync().await.unwrap();
    events.wait("media key", |e| key_to(e, ghost.user_id().as_str())).await;

    // In clear: never passed on, whoever it claims to be from.
    let mallory = lab.person("mallory").await;
    let messages = json!({ "messages": { bot.user_id().as_str(): { bot.device_id().as_str(): content } } });
    mallory.done("PUT", &format!("sendToDevice/{MEDIA_KEY}/t1"), messages).await;
    assert!(ghost.send_media_key(&[(bot.user_id().to_owned(), bot.device_id().to_owned())], &content).await.is_empty());
    let key = events.wait("media key", |e| key_to(e, bot.user_id().as_str())).await;
    assert_eq!(key.sender.as_str(), ghost.user_id().as_str());
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_leave_is_put_off_sent_or_forgotten() {
    let lab = Lab::start(Wish::default()).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let room = alice.encrypted_room(&[bot.user_id().as_str()]).await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    let key = format!("_{}_{}_m.call", bot.user_id(), bot.device_id());
    let here = json!({ "application": "m.call", "device_id": bot.device_id() });
    let stands = async |n: u64| {
        let mut content = here.clone();
        content["n"] = json!(n);
        bot.send_state(&room, CALL_MEMBER, &key, content).await.unwrap();
    };
    let schedule = async |delay| bot.schedule_state(&room, CALL_MEMBER, &key, json!({}), delay).await.unwrap();
    let now = async || bot.get_state(&room, CALL_MEMBER, &key).await.unwrap();

    // Sent at once when asked for.
    let id = schedule(Duration::from_secs(600)).await.unwrap();
    stands(1).await;
    assert!(bot.restart_delayed(&id).await.unwrap());
    assert_ne!(now().await, Some(json!({})));
    assert!(bot.send_delayed(&id).await.unwrap());
    assert_eq!(now().await, Some(json!({})));
    assert!(!bot.restart_delayed(&id).await.unwrap());

    // Sent by itself when nobody puts it off.
    stands(2).await;
    schedule(Duration::from_secs(1)).await.unwrap();
    events
        .wait("leave", |e| {
            matches!(e, MatrixEvent::CallMember(s) if s.state_key == key && s.content["n"] == 2).then_some(())
        })
        .await;
    events
        .wait("leave", |e| {
            matches!(e, MatrixEvent::CallMember(s) if s.state_key == key && s.content == json!({})).then_some(())
        })
        .await;

    // Forgotten.
    let id = schedule(Duration::from_secs(600)).await.unwrap();
    stands(3).await;
    assert!(bot.cancel_delayed(&id).await.unwrap());
    assert!(!bot.send_delayed(&id).await.unwrap());
    assert_ne!(now().await, Some(json!({})));
    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_delayed_events_there_is_no_id_and_no_event() {
    let lab = Lab::start(Wish { delayed_events: false, ..Wish::default() }).await;
    let alice = lab.person("alice").await;
    let (matrix, mut events) = lab.matrix().await;
    let bot = matrix.bot();
    let room = alice.encrypted_room(&[bot.user_id().as_str()]).await;
    events.wait("room", |e| matches!(e, MatrixEvent::RoomReady { room: r } if *r == room).then_some(())).await;
    let id = bot.schedule_state(&room, CALL_MEMBER, "_k", json!({}), Duration::from_secs(1)).await.unwrap();
    assert_eq!(id, None);
    assert_eq!(bot.get_state(&room, CALL_MEMBER, "_k").await.unwrap(), None::<Value>);
    matrix.stop().await;
}
