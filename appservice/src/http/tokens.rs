//! Names in LiveKit, as MSC4195 and lk-jwt-service make them, and the token itself.
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use livekit_api::access_token::{AccessToken, VideoGrants};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// How long a token can be used to enter. Who is in stays in.
const LIFETIME: Duration = Duration::from_secs(3600);
/// The slot of a room's one call.
pub(super) const ROOM_SLOT: &str = "m.call#ROOM";

fn hash(parts: &[&str]) -> String {
    // JSON without spaces, as every other implementation writes it.
    let text = serde_json::to_string(parts).unwrap_or_default();
    BASE64_STANDARD_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// The LiveKit room of a slot in a Matrix room: `base64(sha256(["!room","m.call#ROOM"]))`, unpadded.
#[must_use]
pub fn room_name(room: &str, slot: &str) -> String {
    hash(&[room, slot])
}

/// The LiveKit identity of a member by sticky membership: `base64(sha256(["@user","DEVICE","member id"]))`, unpadded.
#[must_use]
pub fn identity_hash(user: &str, device: &str, member: &str) -> String {
    hash(&[user, device, member])
}

/// A token to take part in `room` as `identity`: to speak, to hear, no more. HS256, good for an hour.
pub(super) fn participant(key: &str, secret: &SecretString, room: &str, identity: &str) -> Result<String, String> {
    let grants = VideoGrants {
        room_join: true,
        room: room.to_owned(),
        can_publish: Some(true),
        can_subscribe: Some(true),
        can_update_own_metadata: Some(true),
        ..VideoGrants::default()
    };
    AccessToken::with_api_key(key, secret.expose_secret())
        .with_identity(identity)
        .with_ttl(LIFETIME)
        .with_grants(grants)
        .to_jwt()
        .map_err(|e| e.to_string())
}
