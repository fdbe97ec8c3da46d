//! Who has agreed to be heard, and the one door through which sound reaches a recogniser.
//!
//! [`GrantedPcm`] can be made by [`Grants::admit`] and by nothing else, and the recogniser's adapter
//! ([`crate::call::Scribe`](crate::call)) takes nothing else:
//!
//! ```compile_fail
//! use appservice::desk::{GrantedPcm, PartyId};
//! let forged = GrantedPcm { party: PartyId::new("@bob:hs"), at_ms: 0, pcm: vec![] };
//! ```

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// One person (or phone line) in a call: the Matrix user id, a ghost's for a phone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartyId(String);

impl PartyId {
    /// The party behind a Matrix user id.
    pub fn new(user: impl Into<String>) -> Self {
        Self(user.into())
    }

    /// The Matrix user id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sound of one party, 16 kHz mono. Nobody may recognise it yet.
pub struct PartyPcm {
    /// Whose sound.
    pub party: PartyId,
    /// When it was heard, milliseconds since the call began.
    pub at_ms: i64,
    /// Samples.
    pub pcm: Vec<i16>,
}

/// Sound of a party that has granted. See the module's text.
pub struct GrantedPcm {
    party: PartyId,
    at_ms: i64,
    pcm: Vec<i16>,
}

impl GrantedPcm {
    /// Whose sound.
    #[must_use]
    pub fn party(&self) -> &PartyId {
        &self.party
    }

    /// Milliseconds since the call began.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// 16 kHz mono samples.
    #[must_use]
    pub fn pcm(&self) -> &[i16] {
        &self.pcm
    }
}

/// The parties of one call that have agreed to be heard. Empty at first: who has said nothing is not heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeSet<PartyId>);

impl Grants {
    /// Records an agreement. `false`: it was there already.
    pub fn grant(&mut self, party: PartyId) -> bool {
        self.0.insert(party)
    }

    /// Takes an agreement back. `false`: there was none.
    pub fn withdraw(&mut self, party: &PartyId) -> bool {
        self.0.remove(party)
    }

    /// Whether the party has agreed.
    #[must_use]
    pub fn granted(&self, party: &PartyId) -> bool {
        self.0.contains(party)
    }

    /// The parties that have agreed.
    pub fn iter(&self) -> impl Iterator<Item = &PartyId> {
        self.0.iter()
    }

    /// Lets the sound of a party through that has granted; all other sound ends here.
    #[must_use]
    pub fn admit(&self, sound: PartyPcm) -> Option<GrantedPcm> {
        self.granted(&sound.party).then_some(GrantedPcm { party: sound.party, at_ms: sound.at_ms, pcm: sound.pcm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(of: &str) -> PartyPcm {
        PartyPcm { party: PartyId::new(of), at_ms: 0, pcm: vec![1; 320] }
    }

    #[test]
    fn nobody_is_heard_who_has_not_agreed() {
        let mut grants = Grants::default();
        grants.grant(PartyId::new("@bob:hs"));
        assert!(grants.admit(sound("@carol:hs")).is_none());
        assert_eq!(grants.admit(sound("@bob:hs")).map(|g| g.pcm().len()), Some(320));
    }

    #[test]
    fn an_agreement_taken_back_ends_the_hearing() {
        let mut grants = Grants::default();
        grants.grant(PartyId::new("@bob:hs"));
        assert!(grants.withdraw(&PartyId::new("@bob:hs")));
        assert!(grants.admit(sound("@bob:hs")).is_none());
    }
}
