//! What a room has set for its calls.
//!
//! [`Policy`] stands in the room's state, for all to read and for the homeserver, too: notes on or off, how captions are
//! shown, the language, who sees the words. What could tell of people or business (names, numbers, the glossary) is
//! [`RoomSettings`], sealed in the archive.

use std::collections::{BTreeMap, BTreeSet};

use bridge::ids::E164;
use matrix_sdk::ruma::UserId;
use models::EarOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A room's glossary has no more terms than this; Whisper takes about as many.
pub const MOST_TERMS: usize = 60;
/// No term is longer, in characters.
pub const LONGEST_TERM: usize = 60;

/// A language to recognise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Spoken {
    /// Found out while people speak.
    Auto,
    /// Two-letter code.
    Code(String),
}

impl Spoken {
    /// As people write it.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Auto => "auto",
            Self::Code(code) => code,
        }
    }
}

impl From<String> for Spoken {
    fn from(text: String) -> Self {
        if text.eq_ignore_ascii_case("auto") { Self::Auto } else { Self::Code(text.to_ascii_lowercase()) }
    }
}

impl From<Spoken> for String {
    fn from(spoken: Spoken) -> Self {
        spoken.code().to_owned()
    }
}

/// A room's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Notes are written of those who agree.
    pub notes: bool,
    /// Unfinished words are shown while people speak.
    pub live: bool,
    /// The language of the room; `None`: as the operator configured.
    pub language: Option<Spoken>,
    /// The machines beside this one that words went to when the policy was set. `None`: no policy was set, the operator's
    /// default holds.
    pub seen_by: Option<BTreeSet<String>>,
}

impl Policy {
    /// The policy of a room that has said nothing.
    #[must_use]
    pub fn unset(notes: bool) -> Self {
        Self { notes, live: false, language: None, seen_by: None }
    }

    /// Reads the content of the policy event; what is missing or of another shape is as if it were not set.
    #[must_use]
    pub fn read(content: &Value, notes_by_default: bool) -> Self {
        let Some(notes) = content["notes"].as_bool() else { return Self::unset(notes_by_default) };
        let seen_by = content["seen_by"].as_array().map(|hosts| hosts.iter().filter_map(Value::as_str));
        Self {
            notes,
            live: content["live"] == "fast",
            language: content["language"].as_str().filter(|code| is_code(code)).map(|c| Spoken::from(c.to_owned())),
            // Set before words could go anywhere else.
            seen_by: Some(seen_by.map(|hosts| hosts.map(str::to_owned).collect()).unwrap_or_default()),
        }
    }

    /// The content of the policy event.
    #[must_use]
    pub fn content(&self, by: &UserId) -> Value {
        let mut content =
            json!({ "notes": self.notes, "live": if self.live { "fast" } else { "normal" }, "set_by": by });
        if let Some(language) = &self.language {
            content["language"] = json!(language);
        }
        content["seen_by"] = json!(self.seen_by.clone().unwrap_or_default());
        content
    }

    /// Whether words would go to machines that nobody knew of when this was set.
    #[must_use]
    pub fn takes_more(&self, seen_by_now: &BTreeSet<String>) -> bool {
        self.seen_by.as_ref().is_some_and(|then| !seen_by_now.is_subset(then))
    }
}

/// Two letters (or three), or `auto`.
#[must_use]
pub fn is_code(text: &str) -> bool {
    text.eq_ignore_ascii_case("auto")
        || ((2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// Which lines a setting is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// All phones.
    Phones,
    /// The phone with this number.
    Number(E164),
    /// This Matrix user.
    User(String),
}

/// One party as its line.
#[derive(Debug, Clone, Copy)]
pub struct OnLine<'a> {
    /// Matrix user, a ghost's for a phone.
    pub user: &'a str,
    /// On a phone.
    pub phone: bool,
    /// The phone's number.
    pub number: Option<&'a E164>,
}

/// What a room has set beside its policy.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomSettings {
    /// Names and terms as they are to be written.
    pub terms: Vec<String>,
    /// Languages of single lines.
    #[serde(with = "pairs")]
    pub languages: BTreeMap<Line, Spoken>,
    /// Lines with several people, and lines said to have one.
    #[serde(with = "pairs")]
    pub several: BTreeMap<Line, bool>,
}

impl std::fmt::Debug for RoomSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomSettings").field("terms", &self.terms.len()).finish_non_exhaustive()
    }
}

impl RoomSettings {
    /// Adds terms that are not there yet, in the order given. Gives those added; what does not fit is left out.
    pub fn add_terms(&mut self, terms: &[String]) -> Vec<String> {
        let mut added = Vec::new();
        for term in terms {
            let known = self.terms.iter().any(|t| t.eq_ignore_ascii_case(term));
            if !known && self.terms.len() < MOST_TERMS && term.chars().count() <= LONGEST_TERM {
                self.terms.push(term.clone());
                added.push(term.clone());
            }
        }
        added
    }

    /// Takes terms away. Gives those that were there.
    pub fn remove_terms(&mut self, terms: &[String]) -> Vec<String> {
        let (gone, left) = std::mem::take(&mut self.terms)
            .into_iter()
            .partition(|there: &String| terms.iter().any(|t| t.eq_ignore_ascii_case(there)));
        self.terms = left;
        gone
    }

    /// The most particular entry for a line.
    fn of<'m, T>(map: &'m BTreeMap<Line, T>, line: &OnLine<'_>) -> Option<&'m T> {
        let number = line.number.and_then(|n| map.get(&Line::Number(n.clone())));
        number
            .or_else(|| map.get(&Line::User(line.user.to_owned())))
            .or_else(|| map.get(&Line::Phones).filter(|_| line.phone))
    }

    /// How to listen to a party. `names`: of the room and of who is in the call; `usual`: the language where nobody has said
    /// otherwise, `None` to find out.
    #[must_use]
    pub fn ear(&self, policy: &Policy, line: &OnLine<'_>, names: &[String], usual: Option<&str>) -> EarOptions {
        let several_voices = line.phone && Self::of(&self.several, line).copied().unwrap_or(false);
        let language = Self::of(&self.languages, line).or(policy.language.as_ref());
        let mut terms = self.terms.clone();
        for name in names {
            if !name.is_empty() && !terms.contains(name) {
                terms.push(name.clone());
            }
        }
        EarOptions {
            // Whose unfinished words they are is only known once they are finished.
            captions: policy.live && !several_voices,
            language: match language {
                Some(Spoken::Auto) => None,
                Some(Spoken::Code(code)) => Some(code.clone()),
                None => usual.map(str::to_owned),
            },
            terms,
            several_voices,
            recorded: false,
        }
    }
}

/// All that a room's calls go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPlan {
    /// What all may read.
    pub policy: Policy,
    /// The rest.
    pub settings: RoomSettings,
    /// The room's name.
    pub name: Option<String>,
}

/// Maps whose keys are no strings, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub(super) fn deserialize<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use matrix_sdk::ruma::user_id;

    use super::*;

    fn number(text: &str) -> E164 {
        E164::parse(text).unwrap()
    }

    #[test]
    fn a_policy_is_read_as_it_was_written() {
        let policy = Policy {
            notes: true,
            live: true,
            language: Some(Spoken::Code("de".into())),
            seen_by: Some(["llm.example".to_owned()].into()),
        };
        assert_eq!(Policy::read(&policy.content(user_id!("@bob:hs")), false), policy);
        // As written before there was anything but on and off.
        let old = Policy::read(&json!({ "notes": true, "set_by": "@bob:hs" }), false);
        assert_eq!(old, Policy { notes: true, seen_by: Some(BTreeSet::new()), ..Policy::unset(false) });
        for nothing in [json!({}), json!(7), json!({ "notes": "yes" })] {
            assert_eq!(Policy::read(&nothing, true), Policy::unset(true));
        }
        assert_eq!(Policy::read(&json!({ "notes": true, "language": "; drop" }), false).language, None);
    }

    #[test]
    fn a_policy_takes_more_when_words_go_where_they_did_not() {
        let (here, there): (BTreeSet<String>, BTreeSet<String>) = (BTreeSet::new(), ["llm.example".to_owned()].into());
        let set = |seen_by| Policy { seen_by: Some(seen_by), ..Policy::unset(true) };
        assert!(set(here.clone()).takes_more(&there));
        assert!(!set(there.clone()).takes_more(&there));
        assert!(!set(there).takes_more(&here));
        assert!(!Policy::unset(true).takes_more(&here));
    }

    #[test]
    fn what_is_said_of_one_line_counts_before_what_is_said_of_all() {
        let mut settings = RoomSettings::default();
        settings.languages.insert(Line::Phones, Spoken::Code("fr".into()));
        settings.languages.insert(Line::Number(number("+442079460123")), Spoken::Auto);
        settings.languages.insert(Line::User("@bob:hs".into()), Spoken::Code("de".into()));
        settings.several.insert(Line::Phones, true);
        let policy = Policy { language: Some(Spoken::Code("en".into())), live: true, ..Policy::unset(true) };
        let (ada, other) = (number("+442079460123"), number("+15550100"));
        let ear =
            |user, phone, number| settings.ear(&policy, &OnLine { user, phone, number }, &["Ada".into()], Some("it"));
        let language = |ear: EarOptions| ear.language;
        assert_eq!(language(ear("@g1:hs", true, Some(&ada))), None, "found out, whatever is usual");
        assert_eq!(language(ear("@g2:hs", true, Some(&other))).as_deref(), Some("fr"));
        assert_eq!(language(ear("@g3:hs", true, None)).as_deref(), Some("fr"));
        assert_eq!(language(ear("@bob:hs", false, None)).as_deref(), Some("de"));
        assert_eq!(language(ear("@carol:hs", false, None)).as_deref(), Some("en"));
        let unset = Policy { language: None, ..policy.clone() };
        let carol = OnLine { user: "@carol:hs", phone: false, number: None };
        assert_eq!(settings.ear(&unset, &carol, &[], Some("it")).language.as_deref(), Some("it"));
        assert!(ear("@g2:hs", true, Some(&other)).several_voices && !ear("@bob:hs", false, None).several_voices);
        assert!(ear("@bob:hs", false, None).captions && !ear("@g2:hs", true, Some(&other)).captions);
        assert_eq!(ear("@bob:hs", false, None).terms, ["Ada"]);
    }

    #[test]
    fn the_glossary_is_bounded_and_knows_no_term_twice() {
        let mut settings = RoomSettings::default();
        assert_eq!(settings.add_terms(&["Kubernetes".into(), "kubernetes".into(), "x".repeat(61)]), ["Kubernetes"]);
        let many: Vec<String> = (0..100).map(|n| format!("term {n}")).collect();
        assert_eq!(settings.add_terms(&many).len(), MOST_TERMS - 1);
        assert_eq!(settings.remove_terms(&["KUBERNETES".into(), "unknown".into()]), ["Kubernetes"]);
    }

    #[test]
    fn settings_are_read_back_and_their_debug_shows_no_name() {
        let mut settings = RoomSettings::default();
        settings.add_terms(&["Lovelace".into()]);
        settings.languages.insert(Line::Number(number("+442079460123")), Spoken::Auto);
        settings.several.insert(Line::Phones, false);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<RoomSettings>(&text).unwrap(), settings);
        assert_eq!(serde_json::from_str::<RoomSettings>("{}").unwrap(), RoomSettings::default());
        assert!(!format!("{settings:?}").contains("Lovelace"));
    }
}
