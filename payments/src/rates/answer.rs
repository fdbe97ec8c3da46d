//! A value in a vendor's JSON, by its pointer (RFC 6901), as the text that stands there: a number never becomes a binary fraction.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Steps of a pointer, at most.
const DEEPEST: usize = 16;

/// A JSON pointer: `/result/XXBTZEUR/c/0`. Empty: the whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    steps: Vec<String>,
}

impl Pointer {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, to be put behind its key.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let Some(steps) = text.strip_prefix('/') else {
            return match text {
                "" => Ok(Self { steps: Vec::new() }),
                _ => Err(format!("{text:?} is no JSON pointer; it begins with a slash, as in /data/amount")),
            };
        };
        let steps: Vec<String> = steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        if steps.len() > DEEPEST {
            return Err(format!("{text:?} has more than {DEEPEST} steps"));
        }
        Ok(Self { steps })
    }

    /// The number or the text that it points to.
    ///
    /// # Errors
    /// What is wrong with the answer: no JSON, nothing there, something else there, or a key twice.
    pub(super) fn find(&self, json: &str) -> Result<String, String> {
        let mut value: &RawValue = serde_json::from_str(json).map_err(|error| format!("it is no JSON: {error}"))?;
        for (n, step) in self.steps.iter().enumerate() {
            let mut inner = serde_json::Deserializer::from_str(value.get());
            value = Step(step).deserialize(&mut inner).map_err(|error| self.missing(n, &error))?;
        }
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map_err(|error| self.missing(self.steps.len(), &error)),
            Some(b'0'..=b'9' | b'-') => Ok(text.to_owned()),
            _ => Err(format!("at {self} is neither a number nor a text")),
        }
    }

    fn missing(&self, steps: usize, error: &serde_json::Error) -> String {
        let steps = steps.min(self.steps.len().saturating_sub(1)) + 1;
        let up_to = Self { steps: self.steps.iter().take(steps).cloned().collect() };
        // Without the place: it counts from the inner value's beginning.
        let error = error.to_string();
        format!("at {up_to}: {}", error.split(" at line ").next().unwrap_or_default())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// Takes one member of an object, or one element of an array. A key that is there twice is refused: nobody knows which one is meant.
struct Step<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = &'de RawValue;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = &'de RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object or an array with {:?}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != self.0 {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom(format!("{:?} is there twice", self.0)));
            }
        }
        found.ok_or_else(|| A::Error::custom(format!("there is no {:?}", self.0)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let plain = self.0 == "0" || (!self.0.starts_with('0') && self.0.bytes().all(|b| b.is_ascii_digit()));
        let place: Option<usize> = self.0.parse().ok().filter(|_| plain);
        let place = place.ok_or_else(|| A::Error::custom(format!("{:?} is no place in an array", self.0)))?;
        let mut found = None;
        let mut n = 0;
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if n == place {
                found = Some(element);
            }
            n += 1;
        }
        found.ok_or_else(|| A::Error::custom(format!("there are {n} elements, and none is number {place}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointer: &str, json: &str) -> Result<String, String> {
        Pointer::read(pointer).unwrap().find(json)
    }

    #[test]
    fn a_value_is_found_as_it_is_written() {
        let json = r#"{"error":[],"result":{"XXBTZEUR":{"c":["68123.45000","0.01"],"v":6.8e4,"a/b~c":1,"n":-0.10}}}"#;
        for (pointer, text) in [
            ("/result/XXBTZEUR/c/0", "68123.45000"),
            ("/result/XXBTZEUR/v", "6.8e4"),
            ("/result/XXBTZEUR/a~1b~0c", "1"),
            ("/result/XXBTZEUR/n", "-0.10"),
        ] {
            assert_eq!(find(pointer, json).as_deref(), Ok(text), "{pointer}");
        }
        assert_eq!(find("", "123456789012345678901234567890.1").as_deref(), Ok("123456789012345678901234567890.1"));
        assert_eq!(find("/a", r#"{"a":"1\u0032"}"#).as_deref(), Ok("12"));
    }

    #[test]
    fn what_is_not_there_is_told_by_its_place() {
        for (pointer, json, error) in [
            ("/a", "{}", r#"at /a: there is no "a""#),
            ("/a/b", r#"{"a":{"c":1}}"#, r#"at /a/b: there is no "b""#),
            ("/a/b", r#"{"a":1}"#, "at /a/b: invalid type"),
            ("/a/1", r#"{"a":[1]}"#, "at /a/1: there are 1 elements"),
            ("/a/01", r#"{"a":[1,2]}"#, "is no place in an array"),
            ("/a", r#"{"a":1,"b":2,"a":3}"#, r#"at /a: "a" is there twice"#),
            ("/a", r#"{"a":null}"#, "at /a is neither a number nor a text"),
            ("/a", r#"{"a":{}}"#, "neither a number"),
            ("/a", "<html>", "it is no JSON"),
            ("/a", r#"{"a":NaN}"#, "it is no JSON"),
            ("/a", r#"{"a":1} x"#, "it is no JSON"),
            ("", "true", "neither a number"),
        ] {
            let told = find(pointer, json).unwrap_err();
            assert!(told.contains(error), "{pointer} {json}: {told}");
        }
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(find("/0", &deep).is_err(), "no stack is used up");
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert!(Pointer::read("a/b").is_err() && Pointer::read(&"/a".repeat(17)).is_err());
        assert_eq!(Pointer::read("/a~1b/~0").unwrap().to_string(), "/a~1b/~0");
    }
}
