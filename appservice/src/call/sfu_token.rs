//! Asking a MatrixRTC authorisation service for a LiveKit token (`/sfu/get`, matrix identity by OpenID).

use std::time::Duration;

use matrix_sdk::ruma::{DeviceId, RoomId};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::matrix::OpenIdToken;

/// What the service gives: where to go, and the word that opens.
#[derive(Debug, Deserialize)]
pub(crate) struct SfuToken {
    /// WebSocket address of the SFU.
    pub(crate) url: String,
    /// LiveKit token.
    pub(crate) jwt: SecretString,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    /// No answer, or no answer that can be read.
    #[error("the authorisation service does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// A refusal.
    #[error("the authorisation service refused ({status}, {errcode})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Matrix error code, `-` where there is none.
        errcode: String,
    },
}

/// Asks `service` for a token for our device in this room.
pub(crate) async fn ask(
    http: &reqwest::Client,
    service: &str,
    room: &RoomId,
    device: &DeviceId,
    openid: &OpenIdToken,
) -> Result<SfuToken, TokenError> {
    let body = json!({ "room": room, "device_id": device, "openid_token": openid });
    let answer = http.post(format!("{service}/sfu/get")).timeout(Duration::from_secs(10)).json(&body).send().await?;
    let status = answer.status();
    if !status.is_success() {
        let error: Value = answer.json().await.unwrap_or(Value::Null);
        let errcode = error["errcode"].as_str().unwrap_or("-").to_owned();
        return Err(TokenError::Refused { status: status.as_u16(), errcode });
    }
    Ok(answer.json().await?)
}
