use axum::{body::Body, http::Request};
use matrix_sdk::ruma::server_name;
use serde_json::Value;

use super::*;

fn state(extra: &str) -> AppState {
    let text = format!(
        "homeserver: {{ url: 'http://127.0.0.1:1', server_name: hs.test }}
livekit: {{ url: 'ws://127.0.0.1:1', api_key: k, secret: 0123456789abcdef0123456789abcdef{extra} }}"
    );
    let config = Config::parse(std::path::Path::new("test.yaml"), &text, []).unwrap();
    let mut registration = Registration::fresh_for(server_name!("hs.test"), "http://127.0.0.1:9080").unwrap();
    registration.hs_token = "the-hs-token".to_owned().into();
    AppState::new(&config, &registration, &Metrics::default()).unwrap()
}

/// Serves on a free port; the answer's status, headers and body.
async fn ask(state: &AppState, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, HeaderMap, Value) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .request(method.parse().unwrap(), format!("http://{address}{path}"))
        .body(body.to_owned());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null);
    server.abort();
    (status, headers, body)
}

#[tokio::test]
async fn only_the_homeserver_is_answered() {
    let state = state("");
    for (path, method) in [
        ("transactions/1", "PUT"),
        ("users/@_roomtone_bot:hs.test", "GET"),
        ("rooms/%23a:hs.test", "GET"),
        ("ping", "POST"),
    ] {
        let path = format!("/_matrix/app/v1/{path}");
        let (status, _, body) = ask(&state, method, &path, None, "{\"events\":[]}").await;
        assert_eq!((status, &body["errcode"]), (401, &Value::from("M_UNAUTHORIZED")), "{path}");
        let (status, _, body) = ask(&state, method, &path, Some("the-hs-tokem"), "{\"events\":[]}").await;
        assert_eq!((status, &body["errcode"]), (403, &Value::from("M_FORBIDDEN")), "{path}");
    }
    assert_eq!(state.transactions_taken(), 0);
}

#[tokio::test]
async fn counts_are_for_this_machine_and_for_no_proxy() {
    let state = state("");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{address}/metrics");
    let answer = http.get(&url).send().await.unwrap();
    assert!(answer.status().is_success() && answer.text().await.unwrap().contains("roomtone_calls 0"));
    let answer = http.get(&url).header("X-Forwarded-For", "203.0.113.9").send().await.unwrap();
    assert_eq!(answer.status(), 404);
    server.abort();
}

#[tokio::test]
async fn a_transaction_sent_twice_counts_once_and_garbage_is_refused() {
    let state = state("");
    for _ in 0..2 {
        let (status, headers, body) =
            ask(&state, "PUT", "/_matrix/app/v1/transactions/7", Some("the-hs-token"), "{\"events\":[{}],\"x\":1}")
                .await;
        assert_eq!((status, body), (200, serde_json::json!({})));
        // Synapse takes an answer without it for a failure.
        assert_eq!(headers["content-length"], "2");
    }
    assert_eq!(state.transactions_taken(), 1);
    for bad in ["", "{", "[]", "{\"events\":1}"] {
        let (status, _, _) = ask(&state, "PUT", "/_matrix/app/v1/transactions/8", Some("the-hs-token"), bad).await;
        assert_eq!(status, 400, "{bad}");
    }
}

#[tokio::test]
async fn users_are_known_by_their_names_alone() {
    let state = state("");
    for (user, want) in [
        ("@_roomtone_bot:hs.test", 200),
        ("@_roomtone_tel_15550100:hs.test", 200),
        ("@_roomtone_tel_1x:hs.test", 404),
        ("@_roomtone_bot:other.test", 404),
        ("@alice:hs.test", 404),
        ("nonsense", 404),
    ] {
        let (status, ..) = ask(&state, "GET", &format!("/_matrix/app/v1/users/{user}"), Some("the-hs-token"), "").await;
        assert_eq!(status, want, "{user}");
    }
}

#[tokio::test]
async fn browsers_may_ask_for_tokens_and_learn_that_leaves_are_not_delegated() {
    let state = state("");
    for prefix in ["", "/livekit/jwt"] {
        for path in ["/sfu/get", "/get_token", "/delegate_delayed_leave"] {
            let (status, headers, _) = ask(&state, "OPTIONS", &format!("{prefix}{path}"), None, "").await;
            assert_eq!(
                (status, &headers["access-control-allow-origin"]),
                (204, &"*".parse().unwrap()),
                "{prefix}{path}"
            );
        }
        let (status, headers, body) = ask(&state, "POST", &format!("{prefix}/delegate_delayed_leave"), None, "").await;
        assert_eq!((status, &body["errcode"]), (404, &Value::from("M_UNRECOGNIZED")));
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(ask(&state, "GET", &format!("{prefix}/healthz"), None, "").await.0, 200);
        let (status, headers, body) = ask(&state, "POST", &format!("{prefix}/sfu/get"), None, "{\"room\":1}").await;
        assert_eq!((status, &body["errcode"]), (400, &Value::from("M_BAD_JSON")));
        assert_eq!(headers["access-control-allow-origin"], "*");
    }
}

#[tokio::test]
async fn a_homeserver_that_does_not_answer_is_said_so_and_a_hasty_caller_is_slowed() {
    let state = state("");
    let body = r#"{"room":"!r:hs.test","device_id":"D","extra":{},"openid_token":{"access_token":"a","token_type":"Bearer","matrix_server_name":"hs.test","expires_in":3600}}"#;
    let (status, _, answer) = ask(&state, "POST", "/sfu/get", None, body).await;
    assert_eq!((status, &answer["errcode"]), (502, &Value::from("M_UNKNOWN")));
    let foreign = body.replace("\"matrix_server_name\":\"hs.test\"", "\"matrix_server_name\":\"127.0.0.1:1\"");
    assert_eq!(ask(&state, "POST", "/sfu/get", None, &foreign).await.0, 401);
    let mut last = 0;
    for _ in 0..120 {
        last = ask(&state, "POST", "/sfu/get", None, "{}").await.0;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn another_authorisation_service_turns_ours_off() {
    let state = state(", authorisation: 'https://jwt.hs.test'");
    assert_eq!(ask(&state, "POST", "/sfu/get", None, "{}").await.0, 404);
    assert_eq!(ask(&state, "GET", "/health", None, "").await.0, 200);
    assert_eq!(ask(&state, "GET", "/ready", None, "").await.0, 503);
    state.ready(true);
    assert_eq!(ask(&state, "GET", "/ready", None, "").await.0, 200);
}

#[test]
fn livekit_names_are_those_of_other_implementations() {
    assert_eq!(room_name("!roomid:example.com", "m.call#ROOM"), "F4oOprKFBq6JHqy2qYpq6UQQmR7hCvxkQQoUrd0+SbI");
    assert_eq!(
        identity_hash("@user:matrix.example.com", "DEVICEID", "abcd12345"),
        "D/seafq9+17uhz4g/1HzrmKiflP6lVeAcB6bFDU/Bjs"
    );
}

#[test]
fn a_token_opens_one_room_for_one_hour_and_no_more() {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let jwt = tokens::participant("key", &secret, "room", "@u:hs.test:DEV").unwrap();
    let claims =
        livekit_api::access_token::TokenVerifier::with_api_key("key", secret.expose_secret()).verify(&jwt).unwrap();
    assert_eq!(
        (claims.iss.as_str(), claims.sub.as_str(), claims.video.room.as_str()),
        ("key", "@u:hs.test:DEV", "room")
    );
    assert!((3599..=3601).contains(&(claims.exp - claims.nbf)));
    assert!(claims.video.room_join && claims.video.can_publish() && claims.video.can_update_own_metadata());
    assert!(!claims.video.room_create && !claims.video.room_admin && !claims.video.room_list && !claims.video.hidden);
}

#[tokio::test]
async fn the_address_behind_a_trusted_proxy_counts_and_others_cannot_forge_one() {
    let state = state("");
    let address = async |peer: &str, forwarded: &str| {
        let request = Request::builder().header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        let (mut parts, _) = request.into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        Caller::from_request_parts(&mut parts, &state).await.unwrap().0.to_string()
    };
    assert_eq!(address("127.0.0.1", "6.6.6.6, 203.0.113.9").await, "203.0.113.9");
    assert_eq!(address("203.0.113.9", "6.6.6.6").await, "203.0.113.9");
    assert_eq!(address("127.0.0.1", "nonsense").await, "127.0.0.1");
}
