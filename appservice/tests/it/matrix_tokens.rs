//! Tokens for the media server, for those who prove to a real homeserver who they are, with a real LiveKit.
use appservice::http::{identity_hash, room_name};
use livekit_api::access_token::Claims;
use serde_json::{Value, json};

use crate::support::{Lab, Person, Wish};

async fn openid(person: &Person) -> Value {
    person.done("POST", &format!("user/{}/openid/request_token", person.user), json!({})).await
}

async fn post(lab: &Lab, path: &str, body: &Value) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.post(format!("{}{path}", lab.http_url)).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_starts_a_call_others_join_it_and_liars_get_nothing() {
    let lab = Lab::start(Wish { livekit: true, ..Wish::default() }).await;
    assert!(lab.livekit_runs());
    let (alice, guest, mallory) = (lab.person("alice").await, lab.person("guest").await, lab.person("mallory").await);
    let room = "!some:hs.test";
    let sfu_get = async |person: &Person| {
        json!({ "room": room, "device_id": person.device, "openid_token": openid(person).await,
        "delay_id": "syd_x", "delay_timeout": 3_600_000, "delay_cs_api_url": "https://x" })
    };

    // A guest cannot start a call.
    let (status, answer) = post(&lab, "/sfu/get", &sfu_get(&guest).await).await;
    assert_eq!((status, &answer["errcode"]), (403, &json!("M_FORBIDDEN")));
    // Alice can; then the guest joins it, also by the other endpoint and the other path.
    let (status, answer) = post(&lab, "/sfu/get", &sfu_get(&alice).await).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["url"], lab.config.livekit.url);
    let claims = Claims::from_unverified(answer["jwt"].as_str().unwrap()).unwrap();
    assert_eq!(claims.sub, format!("{}:{}", alice.user, alice.device));
    assert_eq!(claims.video.room, room_name(room, "m.call#ROOM"));
    let mut body = json!({ "room_id": room, "slot_id": "m.call#ROOM", "openid_token": openid(&guest).await,
        "member": { "id": "abc", "claimed_user_id": guest.user, "claimed_device_id": guest.device } });
    let (status, answer) = post(&lab, "/livekit/jwt/get_token", &body).await;
    assert_eq!(status, 200, "{answer}");
    let jwt = answer["jwt"].as_str().unwrap();
    assert_eq!(Claims::from_unverified(jwt).unwrap().sub, identity_hash(guest.user.as_str(), &guest.device, "abc"));
    // LiveKit itself takes it.
    let api = lab.config.livekit.api();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let valid = http.get(format!("{api}/rtc/validate?access_token={jwt}")).send().await.unwrap();
    assert_eq!(valid.status(), 200, "{:?}", valid.text().await);

    // Claiming to be somebody else, a token that is none, and the blocked.
    body["member"]["claimed_user_id"] = json!(alice.user);
    assert_eq!(post(&lab, "/get_token", &body).await.0, 401);
    let mut forged = sfu_get(&alice).await;
    forged["openid_token"]["access_token"] = json!("forged");
    let (status, answer) = post(&lab, "/sfu/get", &forged).await;
    assert_eq!((status, &answer["errcode"]), (401, &json!("M_UNAUTHORIZED")));
    assert_eq!(post(&lab, "/sfu/get", &sfu_get(&mallory).await).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_users_find_the_transport_and_get_a_token_as_anybody() {
    let lab = Lab::start(Wish { livekit: true, ..Wish::default() }).await;
    let (matrix, _events) = lab.matrix().await;
    let bot = matrix.bot();
    let transports = bot.rtc_transports().await.unwrap();
    assert_eq!(transports[0].livekit_service_url, lab.http_url);
    let body = json!({ "room": "!r:hs.test", "device_id": bot.device_id(), "openid_token": bot.openid_token().await.unwrap() });
    let (status, answer) = post(&lab, "/sfu/get", &body).await;
    assert_eq!(status, 200, "{answer}");
    matrix.stop().await;
}
