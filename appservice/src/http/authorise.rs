//! The MatrixRTC authorisation service: who proves by OpenID who they are gets a token for the media server.
//!
//! What it does, as Element Call asks it (reference/matrix.md 3.6):
//! 1. the OpenID token is checked at its homeserver; the user that comes back counts, not the one claimed;
//! 2. a blocked user is refused;
//! 3. for a user whom the permissions allow the LiveKit room is made; others get a token only where the room is there
//!    already: they take part in what somebody else started, no more. (LiveKit must have `room.auto_create: false`,
//!    else a token alone would make the room.)
//! 4. a token of one hour for that room and that identity.
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use livekit_api::services::room::{CreateRoomOptions, RoomClient};
use matrix_sdk::ruma::{OwnedServerName, OwnedUserId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{
    AppState, Caller, HttpError, error,
    federation::{OpenId, OpenIdError},
    limit::Limiter,
    tokens::{self, ROOM_SLOT},
};
use crate::{
    config::{Config, Level, Permissions},
    registration::is_ours,
};

/// An empty room stays so long before anyone comes, and after the last has left (seconds, as lk-jwt-service has it).
const EMPTY_TIMEOUT: u32 = 300;
const DEPARTURE_TIMEOUT: u32 = 20;
/// The longest id that is taken.
const LONGEST_ID: usize = 512;

/// Why somebody gets no token.
#[derive(Debug, Error)]
pub enum AuthorisationError {
    /// The request cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// The OpenID token proves nothing.
    #[error("the OpenID token is not valid")]
    Unauthorised,
    /// The user may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Too many requests.
    #[error("too many requests; try again in a minute")]
    TooMany,
    /// The user's homeserver or the media server does not answer.
    #[error("{0}")]
    Unavailable(&'static str),
}

impl AuthorisationError {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "M_BAD_JSON"),
            Self::Unauthorised => (StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED"),
            Self::Unavailable(_) => (StatusCode::BAD_GATEWAY, "M_UNKNOWN"),
        }
    }
}

impl IntoResponse for AuthorisationError {
    fn into_response(self) -> Response {
        let (status, errcode) = self.status();
        let mut response = error(status, errcode, &self.to_string());
        if matches!(self, Self::TooMany) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

/// What a participant needs: the media server's address and a token for it.
#[derive(Serialize)]
pub struct SfuAccess {
    /// WebSocket address.
    pub url: String,
    /// The token.
    pub jwt: String,
}

#[derive(Deserialize)]
struct OpenIdProof {
    access_token: String,
    matrix_server_name: OwnedServerName,
}

#[derive(Deserialize)]
struct SfuGet {
    room: String,
    device_id: String,
    openid_token: OpenIdProof,
}

#[derive(Deserialize)]
struct GetToken {
    room_id: String,
    slot_id: String,
    openid_token: OpenIdProof,
    member: Member,
}

#[derive(Deserialize)]
struct Member {
    id: String,
    claimed_user_id: OwnedUserId,
    claimed_device_id: String,
}

/// Gives out tokens.
pub struct Authoriser {
    url: String,
    api_key: String,
    secret: SecretString,
    rooms: RoomClient,
    openid: OpenId,
    permissions: Permissions,
    own_server: OwnedServerName,
    by_address: Limiter<IpAddr>,
    by_user: Limiter<OwnedUserId>,
}

impl Authoriser {
    /// From the configuration; reads the secret's file.
    ///
    /// # Errors
    /// [`HttpError`] names the key.
    pub fn new(config: &Config) -> Result<Self, HttpError> {
        let secret = config.livekit.read_secret()?;
        let rooms = RoomClient::with_api_key(&config.livekit.api(), &config.livekit.api_key, secret.expose_secret())
            .with_request_timeout(Duration::from_secs(5));
        Ok(Self {
            url: config.livekit.url.clone(),
            api_key: config.livekit.api_key.clone(),
            secret,
            rooms,
            openid: OpenId::new(&config.homeserver)?,
            permissions: config.permissions.clone(),
            own_server: config.homeserver.server_name.clone(),
            by_address: Limiter::new(config.limits.token_requests_per_minute_and_address),
            by_user: Limiter::new(config.limits.token_requests_per_minute_and_user),
        })
    }

    async fn who(&self, proof: &OpenIdProof) -> Result<OwnedUserId, AuthorisationError> {
        let user = self.openid.user(&proof.matrix_server_name, &proof.access_token).await.map_err(|error| {
            tracing::info!(server = %proof.matrix_server_name, %error, "an OpenID token was not proven");
            match error {
                OpenIdError::Refused | OpenIdError::Private(_) => AuthorisationError::Unauthorised,
                OpenIdError::Unreachable { .. } => {
                    AuthorisationError::Unavailable("your homeserver cannot be asked who you are")
                }
            }
        })?;
        if self.by_user.admit(user.clone(), Instant::now()) { Ok(user) } else { Err(AuthorisationError::TooMany) }
    }

    async fn access(&self, user: &OwnedUserId, room: &str, identity: &str) -> Result<SfuAccess, AuthorisationError> {
        let away = |error: livekit_api::services::ServiceError| {
            tracing::error!(%error, "the media server's API failed; check livekit.api_url, api_key and secret");
            AuthorisationError::Unavailable("the media server does not answer")
        };
        // The bot and the ghosts call because somebody rang or told them to, whoever else may.
        let level = if is_ours(user, &self.own_server) { Some(Level::User) } else { self.permissions.of(user) };
        match level {
            Some(Level::Block) => return Err(AuthorisationError::Forbidden("you may not use this media server")),
            Some(Level::User | Level::Admin) => {
                let options = CreateRoomOptions {
                    empty_timeout: EMPTY_TIMEOUT,
                    departure_timeout: DEPARTURE_TIMEOUT,
                    ..CreateRoomOptions::default()
                };
                self.rooms.create_room(room, options).await.map_err(away)?;
            }
            None => {
                if self.rooms.list_rooms(vec![room.to_owned()]).await.map_err(away)?.is_empty() {
                    let why = "you may not start a call on this media server, only join one that is going on";
                    return Err(AuthorisationError::Forbidden(why));
                }
            }
        }
        let jwt = tokens::participant(&self.api_key, &self.secret, room, identity).map_err(|error| {
            tracing::error!(%error, "no token can be made; check livekit.api_key and secret");
            AuthorisationError::Unavailable("no token can be made")
        })?;
        Ok(SfuAccess { url: self.url.clone(), jwt })
    }

    async fn sfu_get(&self, body: &Bytes) -> Result<SfuAccess, AuthorisationError> {
        let request: SfuGet = read(body)?;
        sane(&[("room", &request.room), ("device_id", &request.device_id)])?;
        let user = self.who(&request.openid_token).await?;
        let identity = format!("{user}:{}", request.device_id);
        self.access(&user, &tokens::room_name(&request.room, ROOM_SLOT), &identity).await
    }

    async fn get_token(&self, body: &Bytes) -> Result<SfuAccess, AuthorisationError> {
        let GetToken { room_id, slot_id, openid_token, member } = read(body)?;
        let Member { id, claimed_user_id, claimed_device_id } = member;
        let all = [("room_id", &room_id), ("slot_id", &slot_id), ("member.id", &id)];
        sane(&all.map(|(name, value)| (name, value.as_str())))?;
        sane(&[("member.claimed_device_id", &claimed_device_id)])?;
        let user = self.who(&openid_token).await?;
        if user != claimed_user_id {
            return Err(AuthorisationError::Unauthorised);
        }
        let identity = tokens::identity_hash(user.as_str(), &claimed_device_id, &id);
        self.access(&user, &tokens::room_name(&room_id, &slot_id), &identity).await
    }
}

/// Fields that are not known are passed over: clients send more from version to version.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, AuthorisationError> {
    serde_json::from_slice(body).map_err(|e| AuthorisationError::BadRequest(e.to_string()))
}

fn sane(fields: &[(&str, &str)]) -> Result<(), AuthorisationError> {
    match fields.iter().find(|(_, value)| value.is_empty() || value.len() > LONGEST_ID) {
        None => Ok(()),
        Some((name, _)) => Err(AuthorisationError::BadRequest(format!("{name} is empty or too long"))),
    }
}

async fn limited(
    state: &AppState,
    caller: IpAddr,
    give: impl AsyncFnOnce(&Authoriser) -> Result<SfuAccess, AuthorisationError>,
) -> Response {
    let Some(authoriser) = &state.0.authoriser else {
        return error(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "tokens are given out elsewhere");
    };
    if !authoriser.by_address.admit(caller, Instant::now()) {
        return AuthorisationError::TooMany.into_response();
    }
    match give(authoriser).await {
        Ok(access) => Json(access).into_response(),
        Err(error) => {
            tracing::debug!(%error, "no token given");
            error.into_response()
        }
    }
}

pub(super) async fn sfu_get(State(state): State<AppState>, Caller(caller): Caller, body: Bytes) -> Response {
    limited(&state, caller, async |a| a.sfu_get(&body).await).await
}

pub(super) async fn get_token(State(state): State<AppState>, Caller(caller): Caller, body: Bytes) -> Response {
    limited(&state, caller, async |a| a.get_token(&body).await).await
}

pub(super) async fn no_delegation() -> Response {
    error(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "leaves are not delegated")
}

pub(super) async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Element Call runs in a browser, under another name than ours.
pub(super) async fn allow_browsers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    let allowed =
        HeaderValue::from_static("Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}
