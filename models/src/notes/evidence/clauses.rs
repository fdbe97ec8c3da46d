//! Clauses of what was said, and whether they deny it.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::sentences::split;
use super::telling;

/// A part of a sentence with a verb of its own.
pub(super) struct Clause {
    /// Of its telling words.
    pub(super) roots: HashSet<String>,
    /// Whether it says that something is not so.
    pub(super) denied: bool,
}

/// Denials that deny nothing.
static NO_DENIAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:no problem|no doubt|no worries|why not|not only|no later than|no more than|not later than|don't forget|do not forget|don't worry|can't wait|cannot wait|whether or not|if not|or not|isn't it|aren't we|don't we|won't we|right, no)\b")
        .expect("a test compiles this constant pattern")
});

static DENIAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:\b(?:not|no|never|cannot|without|nobody|none|neither|nor|nothing|nicht|kein\w*|nie|pas|jamais|aucun\w*|nunca|ningún|ninguna|nessun\w*)\b|n['’]t\b)")
        .expect("a test compiles this constant pattern")
});

/// Whether a text denies something.
pub(in crate::notes) fn denies(text: &str) -> bool {
    DENIAL.is_match(&NO_DENIAL.replace_all(text, " "))
}

/// The clauses of a text that tell or deny something.
pub(super) fn clauses(text: &str) -> Vec<Clause> {
    let mut out = Vec::new();
    for sentence in split(text) {
        let plain = NO_DENIAL.replace_all(sentence, " ");
        let mut rest: &str = &plain;
        while !rest.is_empty() {
            let end = JOINT.find(rest).map_or((rest.len(), rest.len()), |joint| (joint.start(), joint.end()));
            let clause = &rest[..end.0];
            let roots = telling(clause);
            if !roots.is_empty() || DENIAL.is_match(clause) {
                out.push(Clause { roots, denied: DENIAL.is_match(clause) });
            }
            rest = &rest[end.1..];
        }
    }
    out
}

/// Where one clause ends and another begins.
static JOINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)[,;:–—]\s+|[“”]|\s(?:but|and|because|so|although|though|while|if|unless|until|then|aber|und|weil)\s",
    )
    .expect("a test compiles this constant pattern")
});
