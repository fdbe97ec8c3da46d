//! Calls in words, made up: what tests and measurements of notes begin with.

use crate::notes::{SaidUtterance, Transcript};

/// A call on Monday, 23 November 2026, 14:08 in London, of which each pair is a speaker and what was said; an utterance each
/// 10 s, of 8 s. Ids begin at 1.
#[must_use]
pub fn call(said: &[(&str, &str)]) -> Transcript {
    call_from(1, said)
}

/// As [`call`], with ids that begin at `first`.
#[must_use]
pub fn call_from(first: u64, said: &[(&str, &str)]) -> Transcript {
    let utterances = (first..).zip(0_i64..).zip(said).map(|((id, place), (speaker, text))| SaidUtterance {
        id,
        speaker: (*speaker).to_owned(),
        start_ms: place * 10_000,
        end_ms: place * 10_000 + 8000,
        text: (*text).to_owned(),
    });
    Transcript {
        utterances: utterances.collect(),
        started_ms: 1_795_442_880_000,
        time_zone: "Europe/London".to_owned(),
        terms: Vec::new(),
    }
}

/// A [`call`] of two who plan a release: a decision, two actions of which one has an owner and a day, an open question and
/// the next meeting.
#[must_use]
pub fn release_planning() -> Transcript {
    call(&[
        ("Bob", "Hi everyone, can you hear me?"),
        ("Ada Lovelace", "Yes, hello Bob."),
        ("Bob", "We ship the release on Friday if the mock-ups are there."),
        ("Ada Lovelace", "The mock-ups are nearly done. I'll send the mock-ups by Thursday, end of day."),
        ("Bob", "What about the budget for the release?"),
        ("Ada Lovelace", "Good question. The budget is with the CFO. We need to ask the CFO about the budget."),
        ("Bob", "Who tells the customers?"),
        ("Ada Lovelace", "I don't know yet."),
        ("Bob", "Our next call is on Wednesday, December 2nd at 10 a.m."),
        ("Ada Lovelace", "Thank you, bye."),
    ])
}
