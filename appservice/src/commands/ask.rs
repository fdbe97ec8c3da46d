//! What stands behind a command's word, where it is more than one thing.

use bridge::ids::E164;
use models::Voice;

use crate::settings::{LONGEST_TERM, Spoken, is_code};

/// `!notes words`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordsAsk {
    /// Show the glossary.
    Show,
    /// Add these terms.
    Add(Vec<String>),
    /// Take these away.
    Remove(Vec<String>),
}

/// A party as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartyName {
    /// All phones.
    Phones,
    /// The phone with this number.
    Number(E164),
    /// A user id or a display name.
    Person(String),
}

/// Which caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Counted from the end of the call: 1 is the last one.
    FromEnd(u32),
    /// The event id in a link to it.
    Event(String),
    /// The message that the command answers.
    Answered,
}

/// What is to change in a line of the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Who is to do it; `None`: nobody.
    Owner(Option<String>),
    /// Until when, in words; `None`: no day.
    Due(Option<String>),
    /// What it says.
    Text(String),
    /// The line goes.
    Drop,
}

/// Which to-dos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TodoFilter {
    /// Those that are open.
    Open,
    /// All of them.
    All,
    /// Open, and the asker's.
    Mine,
}

/// `[add|remove] <term, term>`; `None`: not understood.
pub(super) fn words(text: &str) -> Option<WordsAsk> {
    if text.is_empty() {
        return Some(WordsAsk::Show);
    }
    let (verb, rest) = super::read::split(text);
    let terms: Vec<String> = rest
        .split([',', ';', '\n'])
        .map(crate::text::clean)
        .filter(|t| !t.is_empty() && t.chars().count() <= LONGEST_TERM)
        .collect();
    if terms.is_empty() {
        return None;
    }
    match verb.to_ascii_lowercase().as_str() {
        "add" => Some(WordsAsk::Add(terms)),
        "remove" => Some(WordsAsk::Remove(terms)),
        _ => None,
    }
}

/// `<code|auto> [for <party>]`.
pub(super) fn language(text: &str) -> Option<(Spoken, Option<PartyName>)> {
    let (code, rest) = super::read::split(text);
    if !is_code(code) {
        return None;
    }
    let spoken = Spoken::from(code.to_owned());
    if rest.is_empty() {
        return Some((spoken, None));
    }
    let (word, who) = super::read::split(rest);
    word.eq_ignore_ascii_case("for").then(|| party(who)).flatten().map(|who| (spoken, Some(who)))
}

/// `<phone|number> several|one`.
pub(super) fn speakers(text: &str) -> Option<(PartyName, bool)> {
    let (who, how) = text.trim().rsplit_once(char::is_whitespace)?;
    let several = match how.to_ascii_lowercase().as_str() {
        "several" | "many" => true,
        "one" | "single" => false,
        _ => return None,
    };
    party(who).filter(|p| !matches!(p, PartyName::Person(_))).map(|p| (p, several))
}

fn party(text: &str) -> Option<PartyName> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if ["phone", "phones", "the phone"].iter().any(|w| w.eq_ignore_ascii_case(text)) {
        return Some(PartyName::Phones);
    }
    if let Ok(number) = E164::parse(text) {
        return Some(PartyName::Number(number));
    }
    Some(PartyName::Person(crate::text::clean(text)))
}

/// `[number] <A|Speaker A> <Name>`.
pub(super) fn name(text: &str) -> Option<(Option<E164>, Voice, String)> {
    let (first, rest) = super::read::split(text);
    let (line, text) = match E164::parse(first) {
        Ok(number) => (Some(number), rest),
        Err(_) => (None, text),
    };
    let (first, rest) = super::read::split(text);
    let (letter, name) = if first.eq_ignore_ascii_case("speaker") { super::read::split(rest) } else { (first, rest) };
    let letter = letter.trim_end_matches([':', ',']);
    let &[letter] = letter.as_bytes() else { return None };
    let voice = letter.to_ascii_uppercase().checked_sub(b'A').filter(|v| *v < 26)?;
    let name: String = crate::text::clean(name).chars().take(80).collect();
    (!name.is_empty()).then_some((line, Voice(voice), name))
}

/// `[n|link] <text>`.
pub(super) fn correct(text: &str) -> Option<(Which, String)> {
    let (first, rest) = super::read::split(text);
    let (which, said) = if let Some(number) = number(first).filter(|_| !rest.is_empty()) {
        (Which::FromEnd(number), rest)
    } else if let Some(event) = event_of_link(first) {
        (Which::Event(event), rest)
    } else {
        (Which::Answered, text)
    };
    let said = crate::text::clean(said);
    (!said.is_empty()).then_some((which, said))
}

/// The event id in a matrix.to or matrix: link.
fn event_of_link(text: &str) -> Option<String> {
    let text = text.trim_matches(['<', '>']);
    if text.starts_with('$') {
        return Some(text.to_owned());
    }
    let encoded = if let Some(rest) = text.strip_prefix("https://matrix.to/#/") {
        rest.split('/').nth(1)?.to_owned()
    } else {
        format!("${}", text.strip_prefix("matrix:")?.split("/e/").nth(1)?)
    };
    let id = encoded.split('?').next()?.replace("%24", "$").replace("%3A", ":").replace("%3a", ":");
    id.starts_with('$').then_some(id)
}

/// `<n> owner|due|text|drop …`.
pub(super) fn fix(text: &str) -> Option<(u32, Change)> {
    let (item, rest) = super::read::split(text);
    let (what, value) = super::read::split(rest);
    let value = crate::text::clean(value);
    let unset = ["none", "nobody", "-"].iter().any(|w| w.eq_ignore_ascii_case(&value));
    let some = || (!value.is_empty()).then(|| (!unset).then(|| value.clone()));
    let change = match what.to_ascii_lowercase().as_str() {
        "owner" => Change::Owner(some()?),
        "due" => Change::Due(some()?),
        "text" if !value.is_empty() => Change::Text(value.clone()),
        "drop" if value.is_empty() => Change::Drop,
        _ => return None,
    };
    Some((number(item)?, change))
}

/// `[all|mine]`.
pub(super) fn todo(text: &str) -> Option<TodoFilter> {
    match text.to_ascii_lowercase().as_str() {
        "" => Some(TodoFilter::Open),
        "all" => Some(TodoFilter::All),
        "mine" => Some(TodoFilter::Mine),
        _ => None,
    }
}

/// A number as people type it: `3`, `#3`, `3.`.
pub(super) fn number(text: &str) -> Option<u32> {
    text.trim().trim_start_matches('#').trim_end_matches(['.', ')']).parse().ok().filter(|n| *n > 0)
}
