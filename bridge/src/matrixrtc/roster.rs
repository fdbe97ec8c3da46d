//! Who is in a room's call, from the room's membership events.

use std::{collections::BTreeMap, time::Instant};

use crate::time::{Now, UnixMillis};

use super::{Member, MemberEvent, Membership, MembershipError};

/// What an event or the passing of time did to the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterChange {
    /// A device joined.
    Joined(Membership),
    /// A device that was in left and joined again (another `created_ts`): keys are shared anew.
    Rejoined(Membership),
    /// The same membership, sent again.
    Renewed(Membership),
    /// A device left, or its membership ran out.
    Left(Member),
}

/// The members of one room's call, keyed by device. A user who is no longer in the room counts no more.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    members: BTreeMap<Member, Membership>,
    state_keys: BTreeMap<String, Member>,
}

impl Roster {
    /// Takes a membership event. `None`: nothing changed for anybody.
    ///
    /// # Errors
    /// What [`Membership::parse`] says; a member that such an event replaces is taken out all the same.
    pub fn apply(&mut self, now: Now, event: &MemberEvent<'_>) -> Result<Option<RosterChange>, MembershipError> {
        match Membership::parse(event) {
            Ok(Some(m)) if m.expires > now.wall => Ok(Some(self.put(event.state_key, m))),
            Ok(_) => Ok(self.take(event.state_key)),
            // Somebody else's state key: it takes nobody out.
            Err(MembershipError::ForeignStateKey) => Err(MembershipError::ForeignStateKey),
            Err(e) => {
                self.take(event.state_key);
                Err(e)
            }
        }
    }

    /// Takes out whose time is over. Call it at [`Roster::next_expiry`].
    pub fn expire(&mut self, wall: UnixMillis) -> Vec<RosterChange> {
        let gone: Vec<String> = self
            .state_keys
            .iter()
            .filter(|(_, m)| self.members.get(*m).is_some_and(|x| x.expires <= wall))
            .map(|(k, _)| k.clone())
            .collect();
        gone.iter().filter_map(|k| self.take(k)).collect()
    }

    /// Takes out all devices of a user who left the room.
    pub fn user_left_room(&mut self, user: &str) -> Vec<RosterChange> {
        let gone: Vec<String> =
            self.state_keys.iter().filter(|(_, m)| m.user == user).map(|(k, _)| k.clone()).collect();
        gone.iter().filter_map(|k| self.take(k)).collect()
    }

    /// When [`Roster::expire`] has something to do.
    #[must_use]
    pub fn next_expiry(&self, now: Now) -> Option<Instant> {
        let wall = self.members.values().map(|m| m.expires).min()?;
        Some(now.mono + wall.since(now.wall))
    }

    /// The members, by device.
    pub fn members(&self) -> impl Iterator<Item = &Membership> {
        self.members.values()
    }

    /// One member.
    #[must_use]
    pub fn get(&self, member: &Member) -> Option<&Membership> {
        self.members.get(member)
    }

    fn put(&mut self, state_key: &str, m: Membership) -> RosterChange {
        self.state_keys.insert(state_key.to_owned(), m.member.clone());
        match self.members.insert(m.member.clone(), m.clone()) {
            None => RosterChange::Joined(m),
            Some(old) if old.joined != m.joined => RosterChange::Rejoined(m),
            Some(_) => RosterChange::Renewed(m),
        }
    }

    fn take(&mut self, state_key: &str) -> Option<RosterChange> {
        let member = self.state_keys.remove(state_key)?;
        self.members.remove(&member).map(|m| RosterChange::Left(m.member))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::matrixrtc::{Transport, own_content};

    fn join(device: &str, created: Option<u64>) -> Value {
        let t = Transport { service_url: "https://x".into(), alias: "!r".into() };
        own_content(&Member::new("@a:hs", device), &t, Duration::from_secs(60), created.map(UnixMillis))
    }

    fn apply(r: &mut Roster, now: Now, content: &Value, sent: u64) -> Option<RosterChange> {
        let key = "_@a:hs_D_m.call";
        r.apply(now, &MemberEvent { sender: "@a:hs", state_key: key, content, event_id: "$e", sent: UnixMillis(sent) })
            .unwrap()
    }

    fn at(ms: u64) -> Now {
        Now { mono: Instant::now(), wall: UnixMillis(ms) }
    }

    #[test]
    fn a_device_joins_renews_rejoins_and_leaves() {
        let mut r = Roster::default();
        assert!(matches!(apply(&mut r, at(0), &join("D", None), 100), Some(RosterChange::Joined(_))));
        assert!(matches!(apply(&mut r, at(0), &join("D", Some(100)), 900), Some(RosterChange::Renewed(_))));
        assert!(matches!(apply(&mut r, at(0), &join("D", None), 901), Some(RosterChange::Rejoined(_))));
        assert_eq!(apply(&mut r, at(0), &json!({}), 902), Some(RosterChange::Left(Member::new("@a:hs", "D"))));
        assert_eq!(apply(&mut r, at(0), &json!({}), 903), None);
    }

    #[test]
    fn a_membership_ends_with_its_time() {
        let mut r = Roster::default();
        apply(&mut r, at(0), &join("D", None), 0);
        assert!(r.expire(UnixMillis(59_999)).is_empty());
        assert_eq!(r.expire(UnixMillis(60_000)).len(), 1);
        assert_eq!(r.members().count(), 0);
        assert_eq!(apply(&mut r, at(61_000), &join("D", None), 0), None, "an old event brings nobody back");
    }

    #[test]
    fn who_leaves_the_room_leaves_the_call() {
        let mut r = Roster::default();
        apply(&mut r, at(0), &join("D", None), 0);
        assert_eq!(r.user_left_room("@a:hs").len(), 1);
    }

    #[test]
    fn a_broken_event_takes_its_owner_out() {
        let mut r = Roster::default();
        apply(&mut r, at(0), &join("D", None), 0);
        let content = json!({"device_id": 7});
        let e = MemberEvent {
            sender: "@a:hs",
            state_key: "_@a:hs_D_m.call",
            content: &content,
            event_id: "$e",
            sent: UnixMillis(1),
        };
        assert!(r.apply(at(0), &e).is_err());
        assert_eq!(r.members().count(), 0);
    }
}
