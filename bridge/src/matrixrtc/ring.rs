//! Ringing a room: `org.matrix.msc4075.rtc.notification`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::time::UnixMillis;

/// Type of the ring (MSC4075 as deployed).
pub const RING_EVENT: &str = "org.matrix.msc4075.rtc.notification";

/// Content of a ring for the whole room that refers to our membership event.
///
/// `mention` are the user ids to ring by name (push rules look for them); the room is mentioned besides.
/// `lifetime` is how long clients ring, at most 120 s are honoured.
#[must_use]
pub fn ring_content(membership_event: &str, mention: &[String], sent: UnixMillis, lifetime: Duration) -> Value {
    json!({
        "slot_id": "m.call#ROOM",
        "m.mentions": { "user_ids": mention, "room": true },
        "notification_type": "ring",
        "m.relates_to": { "rel_type": "m.reference", "event_id": membership_event },
        "sender_ts": sent.0,
        "lifetime": u64::try_from(lifetime.min(Duration::from_secs(120)).as_millis()).unwrap_or(120_000),
        "m.call.intent": "audio",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_lasts_at_most_two_minutes() {
        let c = ring_content("$m", &["@a:hs".into()], UnixMillis(7), Duration::from_secs(500));
        assert_eq!(c["lifetime"], 120_000);
        assert_eq!(c["m.relates_to"]["event_id"], "$m");
        assert_eq!(c["m.mentions"]["user_ids"][0], "@a:hs");
    }
}
