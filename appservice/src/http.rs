//! What Roomtone serves: the homeserver's calls to an application service, the MatrixRTC authorisation service, and
//! whether it is well.
//!
//! | path | who asks |
//! |---|---|
//! | `/_matrix/app/v1/transactions/{txn}`, `users/{id}`, `rooms/{alias}`, `ping` | the homeserver, with `hs_token` |
//! | `/sfu/get`, `/get_token`, `/healthz`, `/delegate_delayed_leave` | clients in a call; also under `/livekit/jwt` |
//! | `/health` (the process lives), `/ready` (it can take calls) | supervisors |
//! | `/metrics` | Prometheus, on this machine; elsewhere where `metrics.bind` is set ([`metrics_router`]) |
mod appservice;
mod authorise;
mod federation;
mod limit;
mod tokens;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::{constant_time, digest};
use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use matrix_sdk::ruma::OwnedServerName;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use thiserror::Error;

pub use authorise::{AuthorisationError, Authoriser, SfuAccess};
pub use tokens::{identity_hash, room_name};

use crate::{
    config::{Authorisation, Config, ConfigError},
    metrics::Metrics,
    registration::Registration,
};

/// Why the HTTP side cannot be set up.
#[derive(Debug, Error)]
pub enum HttpError {
    /// A key of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client for other servers cannot be made, above all for a certificate that is none.
    #[error("homeserver.federation_ca_file: {0}")]
    Client(String),
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    hs_token: SecretString,
    server_name: OwnedServerName,
    authoriser: Option<Authoriser>,
    trusted_proxies: Vec<IpAddr>,
    transaction_bytes: usize,
    token_request_bytes: usize,
    ready: AtomicBool,
    /// `None`: they have an address of their own.
    metrics: Option<Metrics>,
    transactions: appservice::Transactions,
}

impl AppState {
    /// From the configuration. Reads the LiveKit secret's file; asks nobody.
    ///
    /// # Errors
    /// [`HttpError`] names the key.
    pub fn new(config: &Config, registration: &Registration, metrics: &Metrics) -> Result<Self, HttpError> {
        let authoriser = match config.livekit.authorisation {
            Authorisation::Own => Some(Authoriser::new(config)?),
            Authorisation::Service(_) => None,
        };
        Ok(Self(Arc::new(Shared {
            hs_token: registration.hs_token.clone(),
            server_name: config.homeserver.server_name.clone(),
            authoriser,
            trusted_proxies: config.appservice.trusted_proxies.clone(),
            transaction_bytes: config.limits.transaction_bytes,
            token_request_bytes: config.limits.token_request_bytes,
            ready: AtomicBool::new(false),
            metrics: config.metrics.bind.is_none().then(|| metrics.clone()),
            transactions: appservice::Transactions::default(),
        })))
    }

    /// Says what `/ready` answers: 200 or 503. At first 503.
    pub fn ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    /// How many transactions of the homeserver were taken; sent again, one counts once.
    #[must_use]
    pub fn transactions_taken(&self) -> u64 {
        self.0.transactions.taken()
    }
}

/// All that Roomtone serves. To be served with connect info (`into_make_service_with_connect_info::<SocketAddr>()`), so
/// that limits know whom they limit; without it all callers are one.
pub fn router(state: AppState) -> Router {
    let homeserver = Router::new()
        .route("/_matrix/app/v1/transactions/{txn}", put(appservice::transaction))
        .route("/_matrix/app/v1/users/{user}", get(appservice::user))
        .route("/_matrix/app/v1/rooms/{alias}", get(appservice::room))
        .route("/_matrix/app/v1/ping", post(appservice::ping))
        .layer(DefaultBodyLimit::max(state.0.transaction_bytes));
    let mut app = Router::new().merge(homeserver);
    if state.0.authoriser.is_some() {
        let clients = || {
            Router::new()
                .route("/sfu/get", post(authorise::sfu_get).options(authorise::preflight))
                .route("/get_token", post(authorise::get_token).options(authorise::preflight))
                .route("/healthz", get(|| async { StatusCode::OK }).options(authorise::preflight))
                // 404, not 405: that is how Element Call learns that a leave cannot be delegated.
                .route("/delegate_delayed_leave", post(authorise::no_delegation).options(authorise::preflight))
                .layer(axum::middleware::map_response(authorise::allow_browsers))
                .layer(DefaultBodyLimit::max(state.0.token_request_bytes))
        };
        app = app.merge(clients()).nest("/livekit/jwt", clients());
    }
    app.route("/health", get(|| async { "alive" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|| async { error(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            error(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "this is asked in another way")
        })
        .with_state(state)
}

async fn ready(State(state): State<AppState>) -> Response {
    if state.0.ready.load(Ordering::Relaxed) {
        "ready".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting or ending").into_response()
    }
}

/// Counts for who is on this machine and came by no proxy.
async fn metrics(State(state): State<AppState>, asked: Request) -> Response {
    let peer = asked.extensions().get::<ConnectInfo<SocketAddr>>();
    let local = peer.is_some_and(|c| c.0.ip().to_canonical().is_loopback());
    let by_proxy = ["x-forwarded-for", "forwarded", "x-real-ip"].iter().any(|name| asked.headers().contains_key(*name));
    match &state.0.metrics {
        Some(metrics) if local && !by_proxy => counts(metrics),
        _ => error(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is nothing here"),
    }
}

fn counts(metrics: &Metrics) -> Response {
    let of = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(axum::http::header::CONTENT_TYPE, of)], metrics.text()).into_response()
}

/// What is served on `metrics.bind`: the counts, to whoever reaches it.
pub fn metrics_router(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(async move || counts(&metrics)))
}

/// An error as Matrix writes it.
fn error(status: StatusCode, errcode: &str, message: &str) -> Response {
    (status, Json(json!({ "errcode": errcode, "error": message }))).into_response()
}

/// Whether two secrets are the same, in a time that says nothing of where they differ.
fn same_secret(a: &str, b: &str) -> bool {
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    constant_time::verify_slices_are_equal(hash(a).as_ref(), hash(b).as_ref()).is_ok()
}

/// Proof that the homeserver asks: the `hs_token` was shown.
struct FromHomeserver;

impl FromRequestParts<AppState> for FromHomeserver {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let header = parts.headers.get("authorization").and_then(|v| v.to_str().ok());
        let shown = header.and_then(|v| v.strip_prefix("Bearer ")).map(str::trim);
        match shown {
            None => Err(error(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED", "the hs_token is missing")),
            Some(token) if same_secret(token, state.0.hs_token.expose_secret()) => Ok(Self),
            Some(_) => {
                tracing::warn!("a request with a wrong hs_token");
                Err(error(StatusCode::FORBIDDEN, "M_FORBIDDEN", "the hs_token is wrong"))
            }
        }
    }
}

/// The network address of who asks: the peer's, or what a trusted proxy says.
struct Caller(IpAddr);

impl FromRequestParts<AppState> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip().to_canonical());
        let peer = peer.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        Ok(Self(if state.0.trusted_proxies.contains(&peer) {
            forwarded_for(&parts.headers, &state.0.trusted_proxies).unwrap_or(peer)
        } else {
            peer
        }))
    }
}

/// The last address in `X-Forwarded-For` that is not one of our own proxies: those before it anybody can have written.
fn forwarded_for(headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
    let all: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
    all.join(",").rsplit(',').filter_map(|a| a.trim().parse().ok()).find(|ip| !trusted.contains(ip))
}

#[cfg(test)]
mod tests;
