//! Calls in words with the notes that a careful person would take: `eval/dialogues` and one's own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::civil::{Date, DateTime, Time};
use models::notes::{Embed, NameKind, NoteTaker, NoteWriter, Notes, SaidUtterance};
use serde::Deserialize;

/// One call. The fields are told in `eval/dialogues/README.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "`about` and `language` are for people who read the files")]
pub struct Dialogue {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// `dev` or `test`.
    #[serde(default = "test")]
    pub split: String,
    /// Two-letter language.
    pub language: String,
    /// Local time.
    pub started: DateTime,
    /// IANA zone.
    pub time_zone: String,
    /// The room's glossary.
    #[serde(default)]
    pub terms: Vec<String>,
    /// What was said.
    pub utterances: Vec<SaidUtterance>,
    /// What is to be in the notes.
    pub reference: Reference,
}

fn test() -> String {
    "test".to_owned()
}

/// The notes that a careful person would take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reference {
    /// Prose.
    pub summary: String,
    /// What was decided.
    pub decisions: Vec<Said>,
    /// What is to be done.
    pub actions: Vec<Task>,
    /// What stayed open.
    pub questions: Vec<Said>,
    /// What is due when.
    pub deadlines: Vec<Deadline>,
    /// The next call.
    pub next_meeting: Option<Meeting>,
    /// Who and what was named.
    pub names: Vec<Named>,
    /// Words that must not stand in the notes: what somebody told the note taker to write.
    pub forbidden: Vec<String>,
}

/// A sentence with its evidence.
#[derive(Debug, Deserialize)]
pub struct Said {
    /// In words.
    pub text: String,
    /// Where it is said.
    pub cites: Vec<u64>,
}

/// An action.
#[derive(Debug, Deserialize)]
pub struct Task {
    /// In words, without the owner.
    pub text: String,
    /// Who; `None`: nobody was named.
    pub owner: Option<String>,
    /// When; `None`: not said, or in words that fit no day.
    pub due: Option<Days>,
    /// Where it is said.
    pub cites: Vec<u64>,
}

/// A date by which something is to be.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only the day is scored; the text is for people who read the files")]
pub struct Deadline {
    /// What.
    pub text: String,
    /// When.
    pub due: Days,
    /// Where it is said.
    pub cites: Vec<u64>,
}

/// When the parties mean to speak again.
#[derive(Debug, Deserialize)]
pub struct Meeting {
    /// The day.
    pub date: Days,
    /// The hour, if one was said.
    pub time: Option<Time>,
    /// Where it is said.
    pub cites: Vec<u64>,
}

/// A name or an amount.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// What it stands for.
    pub kind: NameKind,
    /// As said.
    pub text: String,
    /// Where it is said.
    pub cites: Vec<u64>,
}

/// A day, or any day from a first to a last one (`2026-10-19/2026-10-25`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Days(pub Date, pub Date);

impl TryFrom<String> for Days {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (from, to) = text.split_once('/').unwrap_or((&text, &text));
        let day = |s: &str| s.parse::<Date>().map_err(|e| format!("{text:?} is no day (YYYY-MM-DD): {e}"));
        let days = Self(day(from)?, day(to)?);
        if days.0 > days.1 { Err(format!("{text:?} ends before it begins")) } else { Ok(days) }
    }
}

impl Days {
    /// Whether a day is one of them.
    pub fn hold(self, day: Date) -> bool {
        self.0 <= day && day <= self.1
    }
}

impl Dialogue {
    /// Reads one file.
    ///
    /// # Errors
    /// It cannot be read; the message names file, line and column. Or it cites an utterance that is not there.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let this: Self = serde_json::from_str(&text)
            .map_err(|e| anyhow::anyhow!("{}:{}:{}: {e}", path.display(), e.line(), e.column()))?;
        for cite in this.reference.cites() {
            anyhow::ensure!(
                this.utterances.iter().any(|u| u.id == cite),
                "{}: the reference cites utterance {cite}, which is not there",
                path.display()
            );
        }
        Ok(this)
    }

    /// All of a folder, by name.
    ///
    /// # Errors
    /// The folder or one of its files cannot be read.
    pub fn all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| folder.display().to_string())?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// The notes that these writers take of it (none: extractive), as the product takes them: while the call goes on.
    ///
    /// # Errors
    /// Its time zone is not known.
    pub fn notes(&self, writers: Vec<Arc<dyn NoteWriter>>, embed: Option<Arc<dyn Embed>>) -> anyhow::Result<Notes> {
        let zone = jiff::tz::TimeZone::get(&self.time_zone).with_context(|| self.name.clone())?;
        let started = self.started.to_zoned(zone)?.timestamp().as_millisecond();
        let mut taker = NoteTaker::new(writers, started, self.time_zone.clone(), self.terms.clone());
        if let Some(embed) = embed {
            taker = taker.with_embedder(embed);
        }
        for utterance in &self.utterances {
            taker.add(utterance.clone());
            taker.work();
        }
        Ok(taker.finish(None))
    }
}

impl Reference {
    fn cites(&self) -> impl Iterator<Item = u64> {
        let said = self.decisions.iter().chain(&self.questions).flat_map(|s| &s.cites);
        let tasks = self.actions.iter().flat_map(|t| &t.cites);
        let dates = self.deadlines.iter().flat_map(|d| &d.cites).chain(self.next_meeting.iter().flat_map(|m| &m.cites));
        said.chain(tasks).chain(dates).chain(self.names.iter().flat_map(|n| &n.cites)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_is_a_day_or_any_of_several() {
        let days = Days::try_from("2026-10-19/2026-10-25".to_owned()).unwrap();
        assert!(days.hold("2026-10-25".parse().unwrap()) && !days.hold("2026-10-26".parse().unwrap()));
        for bad in ["Friday", "2026-02-30", "2026-10-25/2026-10-19"] {
            assert!(Days::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call.json");
        std::fs::write(&path, "{\n  \"name\": \"x\",\n  \"abuot\": 1\n}").unwrap();
        let error = Dialogue::read(&path).unwrap_err().to_string();
        assert!(error.contains("call.json:3:"), "{error}");
    }

    #[test]
    fn every_dialogue_of_the_repository_reads_and_both_splits_are_there() {
        let all = Dialogue::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues")).unwrap();
        assert!(all.len() >= 76 && all.iter().any(|d| d.utterances.len() >= 150));
        assert!(all.iter().filter(|d| d.split == "dev").count() >= 54);
        assert!(all.iter().filter(|d| d.split == "test").count() >= 22);
        for dialogue in &all {
            assert!(dialogue.split == "dev" || dialogue.split == "test", "{}", dialogue.name);
            for days in dialogue.reference.actions.iter().filter_map(|a| a.due) {
                assert!(days.1 >= dialogue.started.date(), "{} has an action due before the call", dialogue.name);
            }
        }
    }
}
