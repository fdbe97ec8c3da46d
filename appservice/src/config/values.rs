//! Values of the configuration that need more than serde gives.
use std::{fmt, ops::RangeInclusive, path::PathBuf};

use bridge::ids::E164;
use serde::{Deserialize, Deserializer, de};

pub(super) fn data_dir() -> PathBuf {
    PathBuf::from("roomtone-data")
}

/// A number that rings us, as a key of `numbers`. YAML reads an unquoted `+15550100` as an integer: that is understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(pub E164);

impl<'de> Deserialize<'de> for Did {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Did;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a telephone number as in \"+15550100\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Did, E> {
                E164::parse(text).map(Did).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Did, E> {
                E164::parse(&format!("+{number}")).map(Did).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A range of UDP ports, written `20000-20199`, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl PortRange {
    /// As a range.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text
            .split_once('-')
            .and_then(|(a, b)| Some(Self { first: a.trim().parse().ok()?, last: b.trim().parse().ok()? }))
            .filter(|r| r.first > 0 && r.first < r.last);
        parsed.ok_or_else(|| de::Error::custom(format!("{text:?} is no port range; write it as in 20000-20199")))
    }
}
