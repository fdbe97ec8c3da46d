//! The bot and the ghosts as users: made once, the same after a restart, made anew when their store is lost.
use appservice::registration::{self, BOT_LOCALPART};
use bridge::ids::E164;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{Lab, Wish};

async fn devices(lab: &Lab, user: &str) -> Vec<String> {
    let path = format!("{}/_matrix/client/v3/devices?user_id={user}", lab.url);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = lab.registration.as_token.expose_secret();
    let list: Value = http.get(path).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    list["devices"].as_array().unwrap().iter().map(|d| d["device_id"].as_str().unwrap().to_owned()).collect()
}

async fn come_up_and_stay_the_same(msc4190: bool) {
    let lab = Lab::start(Wish { msc4190, ..Wish::default() }).await;
    let number = E164::parse("+44 20 7946 0123").unwrap();
    let (matrix, _events) = lab.matrix().await;
    let (bot, ghost) = (matrix.bot(), matrix.ghost(Some(&number), "+44 20 7946 0123 (phone)").await.unwrap());
    assert_eq!(bot.user_id(), "@_roomtone_bot:hs.test");
    assert_eq!(ghost.user_id(), "@_roomtone_tel_442079460123:hs.test");
    assert!(matrix.ready());
    // The same again while it is held, also when two ask at once.
    let (one, two) = tokio::join!(matrix.ghost(Some(&number), "x"), matrix.ghost(Some(&number), "x"));
    assert_eq!((one.unwrap().device_id(), two.unwrap().device_id()), (ghost.device_id(), ghost.device_id()));
    let (bot_device, ghost_device) = (bot.device_id().to_owned(), ghost.device_id().to_owned());
    assert_eq!(devices(&lab, ghost.user_id().as_str()).await, [ghost_device.to_string()]);
    drop((bot, ghost));
    matrix.stop().await;
    drop(matrix);

    let (matrix, _events) = lab.matrix().await;
    let ghost = matrix.ghost(Some(&number), "+44 20 7946 0123 (phone)").await.unwrap();
    assert_eq!((matrix.bot().device_id(), ghost.device_id()), (&*bot_device, &*ghost_device));
    assert_eq!(devices(&lab, ghost.user_id().as_str()).await, [ghost_device.to_string()]);

    // Keys of the ghost are signed by its own identity, as anybody can see.
    let alice = lab.person("alice").await;
    let user = ghost.user_id().as_str();
    let keys = alice.done("POST", "keys/query", json!({ "device_keys": { user: [] } })).await;
    let self_signing = keys["self_signing_keys"][user]["keys"].as_object().unwrap().keys().next().unwrap().clone();
    let signatures = keys["device_keys"][user][ghost_device.as_str()]["signatures"][user].as_object().unwrap();
    assert!(signatures.contains_key(&self_signing), "{signatures:?}");

    matrix.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_up_with_msc4190_and_are_the_same_after_a_restart() {
    come_up_and_stay_the_same(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_up_without_msc4190_and_are_the_same_after_a_restart() {
    come_up_and_stay_the_same(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_broken_store_gives_a_fresh_device_and_the_old_one_goes() {
    let lab = Lab::start(Wish::default()).await;
    let store = lab.config.data_dir.join("store").join(BOT_LOCALPART);
    let mut seen = Vec::new();
    for damage in ["none", "file lost", "file broken", "folder lost", "device deleted by an admin"] {
        match damage {
            "none" => {}
            "file lost" => std::fs::remove_file(store.join("matrix-sdk-crypto.sqlite3")).unwrap(),
            "file broken" => std::fs::write(store.join("matrix-sdk-crypto.sqlite3"), "this is no database").unwrap(),
            "folder lost" => std::fs::remove_dir_all(&store).unwrap(),
            _ => {
                let id = matrix_sdk::ruma::UserId::parse(format!("@{BOT_LOCALPART}:hs.test")).unwrap();
                let path = format!("{}/_matrix/client/v3/devices/{}?user_id={id}", lab.url, seen.last().unwrap());
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                let token = lab.registration.as_token.expose_secret();
                let done = http.delete(path).bearer_auth(token).json(&json!({})).send().await.unwrap();
                assert!(done.status().is_success());
            }
        }
        let (matrix, _events) = lab.matrix().await;
        let device = matrix.bot().device_id().to_string();
        assert!(!seen.contains(&device), "{damage}");
        assert_eq!(devices(&lab, "@_roomtone_bot:hs.test").await, std::slice::from_ref(&device), "{damage}");
        seen.push(device);
        matrix.stop().await;
    }
    assert!(std::fs::read_dir(lab.config.data_dir.join("store")).unwrap().count() > 1, "the broken ones are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_homeserver_reaches_us_with_its_token() {
    let lab = Lab::start(Wish::default()).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ping = format!("{}/_matrix/client/v1/appservice/{}/ping", lab.url, lab.registration.id);
    let token = lab.registration.as_token.expose_secret();
    let answer = http.post(ping).bearer_auth(token).json(&json!({ "transaction_id": "t1" })).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    // Events in our users' rooms come as transactions.
    let (matrix, mut events) = lab.matrix().await;
    let alice = lab.person("alice").await;
    let room = alice.encrypted_room(&[matrix.bot().user_id().as_str()]).await;
    events
        .wait("room", |e| {
            matches!(e, appservice::matrix::MatrixEvent::RoomReady { room: r } if *r == room).then_some(())
        })
        .await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while lab.http.transactions_taken() == 0 {
        assert!(std::time::Instant::now() < end, "no transaction");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let ours = format!("{}/_matrix/app/v1/transactions/x1", lab.http_url);
    let wrong = http.put(ours).bearer_auth("wrong").json(&json!({ "events": [] })).send().await.unwrap();
    assert_eq!(wrong.status(), 403);
    assert!(registration::is_ours(matrix.bot().user_id(), matrix.server_name()));
    matrix.stop().await;
}
