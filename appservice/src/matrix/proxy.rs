//! The loopback identity proxy: what makes an SDK client an application service's user.
//!
//! The SDK knows one user with one access token. Each virtual user's client is therefore given an address of this
//! proxy that holds a random word; the proxy finds the user by it, puts the `as_token` in place of the client's
//! dummy and appends `user_id` and `device_id` (spec 1.17, MSC4326). The word is 256 bits and per user, so that
//! other people on the machine cannot use the proxy, which listens on 127.0.0.1 only. Paths are forwarded as they
//! came, percent-encoding and all.
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use matrix_sdk::ruma::{OwnedDeviceId, OwnedUserId};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::{api::encode, error::MatrixError};

type Identities = Arc<RwLock<HashMap<String, String>>>;

/// The running proxy. Stops with the token given to [`Proxy::start`].
pub(crate) struct Proxy {
    address: SocketAddr,
    identities: Identities,
}

#[derive(Clone)]
struct Forward {
    homeserver: Arc<str>,
    token: SecretString,
    http: reqwest::Client,
    identities: Identities,
}

impl Proxy {
    pub(crate) async fn start(
        homeserver: &str,
        token: SecretString,
        tasks: &tokio_util::task::TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, MatrixError> {
        let local = |e: std::io::Error| MatrixError::local("identity proxy", e);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(local)?;
        let address = listener.local_addr().map_err(local)?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            // A sync waits 30 s; each client has its own limit for a whole request.
            .read_timeout(Duration::from_secs(120))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| MatrixError::local("http client", e))?;
        let identities = Identities::default();
        let state = Forward { homeserver: homeserver.into(), token, http, identities: identities.clone() };
        let app = Router::new().fallback(forward).with_state(state);
        tasks.spawn(async move {
            let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the identity proxy ended");
            }
        });
        Ok(Self { address, identities })
    }

    /// The homeserver address that a client uses to be `user` with `device`.
    pub(crate) fn address_for(&self, user: &OwnedUserId, device: &OwnedDeviceId) -> Result<String, MatrixError> {
        let mut word = [0_u8; 32];
        getrandom::fill(&mut word).map_err(|e| MatrixError::local("identity proxy", e))?;
        let word = hex::encode(word);
        let identity = format!("user_id={}&device_id={}", encode(user.as_str()), encode(device.as_str()));
        let mut identities = self.identities.write().unwrap_or_else(PoisonError::into_inner);
        // A user has one client: an older word of theirs ends here.
        identities.retain(|_, known| !known.starts_with(&format!("user_id={}&", encode(user.as_str()))));
        identities.insert(word.clone(), identity);
        Ok(format!("http://{}/{word}", self.address))
    }
}

async fn forward(State(proxy): State<Forward>, request: Request) -> Response {
    let path = request.uri().path();
    let Some((word, rest)) = path.get(1..).and_then(|p| p.split_once('/')) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let identity = proxy.identities.read().unwrap_or_else(PoisonError::into_inner).get(word).cloned();
    let Some(identity) = identity.filter(|_| rest.starts_with("_matrix/")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = request.uri().query().map(|q| format!("{q}&")).unwrap_or_default();
    let url = format!("{}/{rest}?{query}{identity}", proxy.homeserver);
    let (parts, body) = request.into_parts();
    let mut out = proxy.http.request(parts.method, url).bearer_auth(proxy.token.expose_secret());
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::ACCEPT] {
        out = copy(out, &parts.headers, name);
    }
    match out.body(reqwest::Body::wrap_stream(body.into_data_stream())).send().await {
        Ok(answer) => {
            let mut response = Response::builder().status(answer.status());
            for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::RETRY_AFTER] {
                if let Some(value) = answer.headers().get(&name) {
                    response = response.header(name, value);
                }
            }
            response
                .body(Body::from_stream(answer.bytes_stream()))
                .unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
        }
        Err(error) => {
            tracing::debug!(cause = %error.without_url(), "the homeserver cannot be reached");
            let body = r#"{"errcode":"M_UNKNOWN","error":"the homeserver cannot be reached"}"#;
            (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

fn copy(out: reqwest::RequestBuilder, from: &axum::http::HeaderMap, name: HeaderName) -> reqwest::RequestBuilder {
    match from.get(&name) {
        Some(value) => out.header(name, value),
        None => out,
    }
}
