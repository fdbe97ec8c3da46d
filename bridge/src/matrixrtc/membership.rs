//! The membership state event `org.matrix.msc3401.call.member`: read leniently, written completely.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::time::UnixMillis;

/// Type of the membership state event (MSC3401 as deployed).
pub const MEMBER_EVENT: &str = "org.matrix.msc3401.call.member";
/// `expires` that we write and that readers assume where it is missing: four hours.
pub(crate) const DEFAULT_EXPIRES: Duration = Duration::from_millis(14_400_000);

/// One device of one user: who takes part in a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Matrix user id, `@user:server`.
    pub user: String,
    /// Matrix device id.
    pub device: String,
}

impl Member {
    /// The member `user` on `device`.
    pub fn new(user: impl Into<String>, device: impl Into<String>) -> Self {
        Self { user: user.into(), device: device.into() }
    }

    /// The LiveKit identity that a state-event membership implies: `@user:server:DEVICE`.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}:{}", self.user, self.device)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.device)
    }
}

/// Where a member's media goes: a LiveKit SFU behind an authorisation service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transport {
    /// Base URL of the service that gives tokens, without a trailing slash.
    pub service_url: String,
    /// `livekit_alias` as written: the Matrix room id, never the LiveKit room's name.
    pub alias: String,
}

/// A membership event as it stands in the room's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberEvent<'a> {
    /// Sender of the state event.
    pub sender: &'a str,
    /// Its state key.
    pub state_key: &'a str,
    /// Its content.
    pub content: &'a Value,
    /// Its event id.
    pub event_id: &'a str,
    /// `origin_server_ts`.
    pub sent: UnixMillis,
}

/// One member of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Whose it is. The user is the sender, never what the content claims.
    pub member: Member,
    /// When this member first joined (`created_ts`, else the event's own time). A change means left and joined again.
    pub joined: UnixMillis,
    /// When it ends by itself.
    pub expires: UnixMillis,
    /// SFUs that this member names, the first that Roomtone understands.
    pub transport: Option<Transport>,
    /// The state event.
    pub event_id: String,
}

/// Why a membership event counts for nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MembershipError {
    /// A field that readers need is missing or of another type.
    #[error("membership field {0} is missing or of the wrong type")]
    Field(&'static str),
    /// Another application, or a call that is not the room's.
    #[error("membership is for application {application:?}, call {call_id:?}")]
    OtherCall {
        /// `application`.
        application: String,
        /// `call_id`.
        call_id: String,
    },
    /// The state key names another user than the sender.
    #[error("state key does not belong to the sender")]
    ForeignStateKey,
}

impl Membership {
    /// Reads a membership event of the room's call. `Ok(None)`: the member has left.
    ///
    /// # Errors
    /// [`MembershipError`] when the event is not one that Element Call would count.
    pub fn parse(event: &MemberEvent<'_>) -> Result<Option<Self>, MembershipError> {
        let key = event.state_key.strip_prefix('_').unwrap_or(event.state_key);
        if !key.strip_prefix(event.sender).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')) {
            return Err(MembershipError::ForeignStateKey);
        }
        let content = event.content.as_object().ok_or(MembershipError::Field("content"))?;
        if content.is_empty() {
            return Ok(None);
        }
        let text = |name: &'static str| content.get(name).and_then(Value::as_str).ok_or(MembershipError::Field(name));
        let (device, application, call_id) = (text("device_id")?, text("application")?, text("call_id")?);
        if application != "m.call" || !call_id.is_empty() {
            return Err(MembershipError::OtherCall { application: application.into(), call_id: call_id.into() });
        }
        content
            .get("focus_active")
            .and_then(|f| f.get("type"))
            .and_then(Value::as_str)
            .ok_or(MembershipError::Field("focus_active"))?;
        let foci =
            content.get("foci_preferred").and_then(Value::as_array).ok_or(MembershipError::Field("foci_preferred"))?;
        let joined = content.get("created_ts").and_then(Value::as_u64).map_or(event.sent, UnixMillis);
        let expires = content.get("expires").and_then(Value::as_u64).map_or(DEFAULT_EXPIRES, Duration::from_millis);
        Ok(Some(Self {
            member: Member::new(event.sender, device),
            joined,
            expires: joined.plus(expires),
            transport: foci.iter().find_map(read_transport),
            event_id: event.event_id.to_owned(),
        }))
    }
}

fn read_transport(focus: &Value) -> Option<Transport> {
    let text = |name: &str| focus.get(name).and_then(Value::as_str);
    (text("type")? == "livekit").then_some(())?;
    Some(Transport {
        service_url: text("livekit_service_url")?.trim_end_matches('/').to_owned(),
        alias: text("livekit_alias").unwrap_or_default().to_owned(),
    })
}

/// State key of a device's membership in the room's call: `_{user}_{device}_m.call`, without the leading `_` in the
/// room versions that let users own state keys (MSC3757, MSC3779).
#[must_use]
pub fn state_key(member: &Member, room_version: &str) -> String {
    let owned = room_version.starts_with("org.matrix.msc3757") || room_version.starts_with("org.matrix.msc3779");
    format!("{}{}_{}_m.call", if owned { "" } else { "_" }, member.user, member.device)
}

/// Content of our own membership. All fields that js-sdk and ruma (Element X) want, `created_ts` only when renewed.
#[must_use]
pub fn own_content(member: &Member, transport: &Transport, expires: Duration, created: Option<UnixMillis>) -> Value {
    let mut content = json!({
        "application": "m.call",
        "call_id": "",
        "scope": "m.room",
        "device_id": member.device,
        "membershipID": member.identity(),
        "expires": u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
        "m.call.intent": "audio",
        "focus_active": { "type": "livekit", "focus_selection": "multi_sfu" },
        "foci_preferred": [{
            "type": "livekit",
            "livekit_service_url": transport.service_url,
            "livekit_alias": transport.alias,
        }],
    });
    if let Some(created) = created {
        content["created_ts"] = json!(created.0);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(content: &'a Value) -> MemberEvent<'a> {
        MemberEvent {
            sender: "@alice:hs",
            state_key: "_@alice:hs_DEV_m.call",
            content,
            event_id: "$e",
            sent: UnixMillis(1_000),
        }
    }

    /// As Element Call 0.26.1 wrote it.
    fn element_call() -> Value {
        json!({ "application":"m.call","call_id":"","scope":"m.room","device_id":"DEV",
            "membershipID":"@alice:hs:DEV","expires":14400000,"m.call.intent":"audio",
            "focus_active":{"type":"livekit","focus_selection":"multi_sfu"},
            "foci_preferred":[{"type":"livekit","livekit_service_url":"https://rtc.example/livekit/jwt/","livekit_alias":"!r:hs"}] })
    }

    #[test]
    fn element_calls_membership_is_read() {
        let content = element_call();
        let m = Membership::parse(&event(&content)).unwrap().unwrap();
        assert_eq!(m.member.identity(), "@alice:hs:DEV");
        assert_eq!(m.expires, UnixMillis(14_401_000));
        assert_eq!(m.transport.unwrap().service_url, "https://rtc.example/livekit/jwt");
    }

    #[test]
    fn an_empty_content_is_a_leave() {
        assert_eq!(Membership::parse(&event(&json!({}))), Ok(None));
    }

    #[test]
    fn what_we_write_is_what_we_read() {
        let transport = Transport { service_url: "https://rtc.example/livekit/jwt".into(), alias: "!r:hs".into() };
        let member = Member::new("@alice:hs", "DEV");
        let content = own_content(&member, &transport, DEFAULT_EXPIRES, Some(UnixMillis(500)));
        let m = Membership::parse(&event(&content)).unwrap().unwrap();
        assert_eq!((m.member, m.joined, m.transport), (member, UnixMillis(500), Some(transport)));
    }

    #[test]
    fn a_member_cannot_speak_for_another() {
        let content = element_call();
        let forged = MemberEvent { sender: "@mallory:hs", ..event(&content) };
        assert_eq!(Membership::parse(&forged), Err(MembershipError::ForeignStateKey));
    }

    #[test]
    fn every_missing_field_is_named() {
        for field in ["device_id", "application", "call_id", "focus_active", "foci_preferred"] {
            let mut content = element_call();
            content.as_object_mut().unwrap().remove(field);
            assert_eq!(Membership::parse(&event(&content)), Err(MembershipError::Field(field)));
        }
    }

    #[test]
    fn another_application_is_not_our_call() {
        let mut content = element_call();
        content["application"] = json!("m.whiteboard");
        assert!(matches!(Membership::parse(&event(&content)), Err(MembershipError::OtherCall { .. })));
    }

    #[test]
    fn state_keys_follow_the_room_version() {
        let m = Member::new("@a:hs", "D");
        assert_eq!(state_key(&m, "11"), "_@a:hs_D_m.call");
        assert_eq!(state_key(&m, "org.matrix.msc3757.11"), "@a:hs_D_m.call");
    }
}
