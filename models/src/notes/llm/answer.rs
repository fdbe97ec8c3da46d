//! What a model must answer: the schema that it is given, and the same strictly read.

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::notes::NameKind;

/// Lists beyond this are no notes.
const MOST_ITEMS: usize = 24;
/// An item that cites more rests on nothing.
const MOST_CITES: usize = 16;
/// A line beyond this is no line. In bytes.
const LONGEST_LINE: usize = 600;
const LONGEST_TITLE: usize = 160;

/// What is wrong with an answer. Never quotes it: it goes to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

fn wrong<T>(what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(what.into()))
}

/// Notes of a part as the model gives them. Wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Drawn {
    pub(super) title: String,
    pub(super) summary: Vec<Line>,
    #[serde(default)]
    pub(super) decisions: Vec<Line>,
    #[serde(default)]
    pub(super) actions: Vec<Doing>,
    #[serde(default)]
    pub(super) questions: Vec<Line>,
    #[serde(default)]
    pub(super) deadlines: Vec<Dated>,
    #[serde(default)]
    pub(super) next_meeting: Option<Next>,
    #[serde(default)]
    pub(super) names: Vec<Named>,
}

/// Title and summary of the whole. Wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Joined {
    pub(super) title: String,
    pub(super) summary: Vec<Line>,
}

#[derive(Deserialize, Zeroize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) cites: Vec<u64>,
}

#[derive(Deserialize, Zeroize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doing {
    pub(super) text: String,
    #[serde(default)]
    pub(super) owner: Option<String>,
    #[serde(default)]
    pub(super) due: Option<String>,
    pub(super) cites: Vec<u64>,
}

#[derive(Deserialize, Zeroize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dated {
    pub(super) text: String,
    pub(super) due: String,
    pub(super) cites: Vec<u64>,
}

#[derive(Deserialize, Zeroize)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    pub(super) when: String,
    pub(super) cites: Vec<u64>,
}

#[derive(Deserialize, Zeroize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    #[zeroize(skip)]
    pub(super) kind: NameKind,
    pub(super) text: String,
    pub(super) cites: Vec<u64>,
}

/// The JSON schema of [`Drawn`] over so many numbered utterances. A text rather than a value: the order of its fields is
/// that in which a constrained model writes.
pub(super) fn drawn_schema(numbers: usize) -> String {
    include_str!("draw.schema.json").replace("$N", &numbers.to_string())
}

/// The JSON schema of [`Joined`] over so many numbered sentences.
pub(super) fn joined_schema(numbers: usize) -> String {
    include_str!("join.schema.json").replace("$N", &numbers.to_string())
}

/// Reads notes of a part. `numbers`: how many utterances were shown. `lenient`: items with numbers that were not shown are
/// left out rather than all refused.
pub(super) fn drawn(text: &str, numbers: usize, lenient: bool) -> Result<Drawn, Wrong> {
    let mut drawn: Drawn = parse(text)?;
    title(&drawn.title)?;
    let check = Check { numbers, lenient };
    check.list("summary", &mut drawn.summary, |i| (&mut i.text, None, &mut i.cites))?;
    check.list("decisions", &mut drawn.decisions, |i| (&mut i.text, None, &mut i.cites))?;
    check.list("actions", &mut drawn.actions, |i| (&mut i.text, i.due.as_ref(), &mut i.cites))?;
    check.list("questions", &mut drawn.questions, |i| (&mut i.text, None, &mut i.cites))?;
    check.list("deadlines", &mut drawn.deadlines, |i| (&mut i.text, Some(&i.due), &mut i.cites))?;
    check.list("names", &mut drawn.names, |i| (&mut i.text, None, &mut i.cites))?;
    let mut next: Vec<Next> = drawn.next_meeting.take().into_iter().collect();
    check.list("next_meeting", &mut next, |i| (&mut i.when, None, &mut i.cites))?;
    drawn.next_meeting = next.pop();
    Ok(drawn)
}

/// Reads title and summary. `numbers`: how many sentences were shown.
pub(super) fn joined(text: &str, numbers: usize) -> Result<Joined, Wrong> {
    let mut joined: Joined = parse(text)?;
    title(&joined.title)?;
    let check = Check { numbers, lenient: true };
    check.list("summary", &mut joined.summary, |i| (&mut i.text, None, &mut i.cites))?;
    if joined.summary.is_empty() { wrong("summary is empty") } else { Ok(joined) }
}

fn title(title: &str) -> Result<(), Wrong> {
    if title.len() > LONGEST_TITLE { wrong(format!("title is longer than {LONGEST_TITLE} bytes")) } else { Ok(()) }
}

/// The one JSON object in a text. Models think aloud first and put fences around it, also where they were told not to.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Wrong> {
    let behind_thoughts = text.rfind("</think>").map_or(text, |at| &text[at..]);
    let Some(from) = behind_thoughts.find('{') else { return wrong("there is no JSON object in it") };
    let mut objects = serde_json::Deserializer::from_str(&behind_thoughts[from..]).into_iter::<T>();
    match objects.next() {
        Some(Ok(found)) => {
            let rest = &behind_thoughts[from + objects.byte_offset()..];
            if rest.contains('{') { wrong("there is more than one JSON object in it") } else { Ok(found) }
        }
        Some(Err(error)) => {
            // Its message quotes what it found.
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "does not fit the schema (a field is missing, unknown or of another type)"
                }
                serde_json::error::Category::Eof => "ends in the middle",
                serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is no JSON",
            };
            wrong(format!("it {what} at line {}, column {}", error.line(), error.column()))
        }
        None => wrong("there is no JSON object in it"),
    }
}

struct Check {
    numbers: usize,
    lenient: bool,
}

impl Check {
    /// `parts`: an item's text, the other words of it, and its numbers.
    fn list<T>(
        &self,
        name: &str,
        items: &mut Vec<T>,
        parts: impl Fn(&mut T) -> (&mut String, Option<&String>, &mut Vec<u64>),
    ) -> Result<(), Wrong> {
        if items.len() > MOST_ITEMS {
            return wrong(format!("{name} has {} items; {MOST_ITEMS} are the most", items.len()));
        }
        let mut bad = Vec::new();
        for (at, item) in items.iter_mut().enumerate() {
            let (text, more, cites) = parts(item);
            let found = self.item(text, more, cites);
            match found {
                Ok(()) => bad.push(false),
                Err(_) if self.lenient => bad.push(true),
                Err(Wrong(what)) => return wrong(format!("{name}[{at}]{what}")),
            }
        }
        let mut bad = bad.into_iter();
        items.retain(|_| !bad.next().unwrap_or(false));
        Ok(())
    }

    fn item(&self, text: &mut String, more: Option<&String>, cites: &mut Vec<u64>) -> Result<(), Wrong> {
        let plain = one_line(text);
        text.zeroize();
        *text = plain;
        if text.is_empty() {
            return wrong(".text is empty");
        }
        if text.len() > LONGEST_LINE || more.is_some_and(|more| more.len() > LONGEST_LINE) {
            return wrong(format!(" is longer than {LONGEST_LINE} bytes"));
        }
        cites.sort_unstable();
        cites.dedup();
        if cites.is_empty() || cites.len() > MOST_CITES {
            return wrong(format!(".cites has {} numbers; 1 to {MOST_CITES} are wanted", cites.len()));
        }
        match cites.iter().find(|cite| **cite == 0 || **cite > self.numbers as u64) {
            Some(cite) => wrong(format!(".cites has {cite}; there are 1 to {}", self.numbers)),
            None => Ok(()),
        }
    }
}

/// Without line ends and control characters: it stands in a list.
pub(super) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const GOOD: &str = r#"{"title":"Release","summary":[{"text":"We ship.","cites":[2,1,2]}],"decisions":[],"actions":[
        {"text":"send\n it","owner":null,"due":"Friday","cites":[1]}],"questions":[],"deadlines":[],"next_meeting":null,"names":
        [{"kind":"amount","text":"ten euros","cites":[3]}]}"#;

    fn why(text: &str) -> String {
        drawn(text, 3, false).err().map(|w| w.0).unwrap_or_default()
    }

    #[test]
    fn a_good_answer_is_read_also_behind_thoughts_and_in_fences() {
        for text in [
            GOOD.to_owned(),
            format!("<think>maybe {{\"title\": 1}}</think>\n```json\n{GOOD}\n```"),
            format!("Here it is: {GOOD} Done."),
        ] {
            let drawn = drawn(&text, 3, false).map_err(|w| w.0).unwrap();
            assert_eq!(
                (drawn.summary[0].cites.as_slice(), drawn.actions[0].text.as_str()),
                ([1, 2].as_slice(), "send it")
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_quoting_it() {
        for (text, expected) in [
            ("", "no JSON object"),
            ("The secret plan", "no JSON object"),
            (&GOOD[..GOOD.len() - 9], "ends in the middle"),
            ("{secret}", "is no JSON"),
            (r#"{"title":"secret","summary":"secret"}"#, "does not fit the schema"),
            (r#"{"title":"a","summary":[],"secret":1}"#, "does not fit the schema"),
            (r#"{"title":"a"}"#, "does not fit the schema"),
            (&GOOD.replace("[3]", "[99]"), "names[0].cites has 99; there are 1 to 3"),
            (&GOOD.replace("[3]", "[]"), "names[0].cites has 0 numbers"),
            (&GOOD.replace("[3]", "[-1]"), "does not fit the schema"),
            (&GOOD.replace("We ship.", " "), "summary[0].text is empty"),
            (&GOOD.replace("We ship.", &"secret ".repeat(100)), "summary[0] is longer than"),
            (&GOOD.replace("Release", &"secret ".repeat(40)), "title is longer than"),
            (&format!("{GOOD}{GOOD}"), "more than one JSON object"),
            (&GOOD.replace("amount", "secret"), "does not fit the schema"),
        ] {
            let why = why(text);
            assert!(why.contains(expected) && !why.contains("secret"), "{text}: {why}");
        }
    }

    #[test]
    fn the_second_time_only_the_wrong_items_are_refused() {
        let text = GOOD.replace("[3]", "[99]");
        let drawn = drawn(&text, 3, true).map_err(|w| w.0).unwrap();
        assert!(drawn.names.is_empty() && drawn.summary.len() == 1);
    }

    #[test]
    fn the_schema_asks_for_every_field_that_is_read() {
        let schema: Value = serde_json::from_str(&drawn_schema(7)).unwrap();
        let full: Value = serde_json::from_str(GOOD).unwrap();
        assert!(serde_json::from_str::<Value>(&joined_schema(7)).unwrap()["properties"].get("summary").is_some());
        for (field, _) in full.as_object().unwrap() {
            assert!(schema["properties"].get(field).is_some(), "{field}");
            assert!(schema["required"].as_array().unwrap().iter().any(|r| r == field), "{field}");
        }
        assert_eq!(schema["properties"]["summary"]["items"]["properties"]["cites"]["items"]["maximum"], 7);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(text in r#"(\PC|[{}\[\]",:0-9]|"title"|"summary"|"cites"|</think>){0,60}"#) {
            for lenient in [true, false] {
                if let Ok(drawn) = drawn(&text, 3, lenient) {
                    prop_assert!(drawn.summary.iter().all(|l| l.cites.iter().all(|c| (1..=3).contains(c))));
                }
            }
        }
    }
}
