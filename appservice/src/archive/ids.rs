//! Ids of what is stored. Who starts a thing makes its id and stores it first; a repeat with the same id is the same thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// One conversation, from the first party's arrival to the last one's leaving: 128 random bits, hex when printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId([u8; 16]);

/// One utterance, numbered by the archive from 1 in the order stored, never reused. This is the number that notes cite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtteranceId(pub i64);

/// One entry of the journal: what is to happen outside, once.
///
/// Named after its meaning wherever it has one ([`EffectId::named`]): the same call and name give the same id, so a desk
/// that comes back after a crash and records the same step again records nothing new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EffectId([u8; 16]);

/// A text that is no id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id is 32 hexadecimal digits")]
pub struct IdError;

impl CallId {
    /// The id made of these bytes; they must be random (the edge draws them).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new id from the system's randomness. For the edge only.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl EffectId {
    /// The id of the step `name` of a call: always the same for the same two.
    #[must_use]
    pub fn named(call: CallId, name: &str) -> Self {
        let digest =
            Sha256::new().chain_update(b"roomtone effect\0").chain_update(call.0).chain_update(name).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// The id of the step `name` that a Matrix event asked for: an answer to a command, say.
    #[must_use]
    pub fn answering(event_id: &str, name: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(b"roomtone answer\0")
            .chain_update((event_id.len() as u64).to_be_bytes())
            .chain_update(event_id)
            .chain_update(name)
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// A new id from the system's randomness, for what has no natural name. For the edge only.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        CallId::random().map(|id| Self(id.0))
    }

    /// The id with these bytes, as stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

macro_rules! hex_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

hex_id!(CallId);
hex_id!(EffectId);

impl fmt::Display for UtteranceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "utterance-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_step_of_a_call_has_the_same_id_and_no_other_has() {
        let call = CallId::from_bytes([7; 16]);
        assert_eq!(EffectId::named(call, "notes"), EffectId::named(call, "notes"));
        assert_ne!(EffectId::named(call, "notes"), EffectId::named(call, "card"));
        assert_ne!(EffectId::named(call, "notes"), EffectId::named(CallId::from_bytes([8; 16]), "notes"));
        assert_ne!(EffectId::answering("$a", "bc"), EffectId::answering("$ab", "c"));
    }

    #[test]
    fn ids_are_read_back_from_what_they_print() {
        let call = CallId::from_bytes([0xa5; 16]);
        assert_eq!(call.to_string().parse(), Ok(call));
        assert_eq!("zz".parse::<CallId>(), Err(IdError));
    }
}
