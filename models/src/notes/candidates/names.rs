//! Persons, organisations, products and amounts that were named.

mod amounts;
mod large_words;
mod single;
mod usage;

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::languages::small_words;
use super::super::sentences::{is_stop_word, words};
use super::super::{Action, Name, NameKind, numbers};
use super::{Call, Drawn};

/// A name cites no more utterances than this.
const MOST_CITES: usize = 6;

/// What ends the name of an organisation.
const ORGANISATION: &[&str] = &[
    "inc",
    "ltd",
    "limited",
    "gmbh",
    "ag",
    "llc",
    "corp",
    "corporation",
    "plc",
    "kg",
    "se",
    "sa",
    "bv",
    "oy",
    "ab",
    "bank",
    "university",
    "hospital",
    "clinic",
    "logistics",
    "group",
    "institute",
    "council",
    "ministry",
    "foundation",
    "association",
    "agency",
    "partners",
    "systems",
    "solutions",
    "industries",
    "holdings",
    "insurance",
    "airlines",
    "motors",
    "labs",
    "consulting",
    "software",
    "technologies",
    "telecom",
    "energy",
    "media",
    "press",
    "college",
    "academy",
    "department",
    "committee",
    "union",
    "society",
    "verlag",
    "werke",
    "stadtwerke",
    "bros",
    "company",
    "co",
    "freight",
    "packaging",
    "equipment",
    "networks",
    "mutual",
    "produce",
    "supplies",
    "services",
    "records",
    "farms",
    "foods",
    "fm",
];

static TITLED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Doctor|Prof|Professor|Uncle|Aunt|Auntie|Madame|Monsieur|Herr|Frau|Señora?|Signora?|Sir|Lady)\b\.? (\p{Lu}[\p{L}'’-]+(?: \p{Lu}[\p{L}'’-]+)?)")
        .expect("a test compiles this constant pattern")
});

/// Several words written large, with small joining words within.
static LARGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\p{Lu}[\p{L}\p{N}'’&-]*(?: (?:of |de |du |and |& |van |von )?\p{Lu}[\p{L}\p{N}'’&-]*)+")
        .expect("a test compiles this constant pattern")
});

/// "Bought from Brennan's": a shop.
static SHOP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:from|at|to) (\p{Lu}[\p{L}-]+['’]s)(?:[\s.,;!?]|$)")
        .expect("a test compiles this constant pattern")
});

/// "Harlow and Finch".
static FIRM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b\p{Lu}\p{Ll}+ (?:and|&) \p{Lu}\p{Ll}+\b").expect("a test compiles this constant pattern")
});

/// Says that a company is spoken of.
static FIRMS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:agency|agents?|firm|solicitors?|lawyers?|attorneys|auditors|accountants|consultants|publishers?|brand|company|removers|builders|architects|law firm|surveyors)\b")
        .expect("a test compiles this constant pattern")
});

/// "InVoice", "GPT4": written as only products are.
static PRODUCT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:\p{Lu}\p{Ll}+(?:\p{Lu}\p{Ll}*)+|\p{Lu}\p{L}+ \d+(?:\.\d+)+)\b")
        .expect("a test compiles this constant pattern")
});

impl Call<'_, '_> {
    /// All names, each once, in the order in which they came up. Those of the speakers are none.
    pub(super) fn names(&self, actions: &[Drawn<Action>]) -> Vec<Name> {
        let mut out: Vec<Name> = Vec::new();
        for (at, sentence) in self.sentences.iter().enumerate() {
            let text = sentence.text;
            self.amounts(&mut out, at);
            for found in TITLED.captures_iter(text) {
                if !self.is_speaker(&found[1]) {
                    add(&mut out, NameKind::Person, &found[0], sentence.id);
                }
            }
            for found in SHOP.captures_iter(text) {
                let owner = found[1].to_lowercase();
                let owner = owner.trim_end_matches(['s', '\'', '’']);
                if !self.is_speaker(&found[1]) && !CALENDAR.contains(&owner) {
                    add(&mut out, NameKind::Organisation, &found[1], sentence.id);
                }
            }
            for found in LARGE.find_iter(text) {
                self.large(&mut out, text, found.range(), sentence.id);
            }
            for found in FIRM.find_iter(text).filter(|f| f.as_str().contains('&') || FIRMS.is_match(text)) {
                if !self.is_speaker(found.as_str()) {
                    add(&mut out, NameKind::Organisation, found.as_str(), sentence.id);
                }
            }
            for found in PRODUCT.find_iter(text) {
                // "WhatsApp it to me" names what is done.
                let is_done = words(&text[found.end()..])
                    .first()
                    .is_some_and(|next| ["it", "me", "them", "us"].contains(&next.as_str()));
                if !is_done && !self.is_speaker(found.as_str()) && !self.is_term(found.as_str()) {
                    add(&mut out, NameKind::Product, found.as_str(), sentence.id);
                }
            }
            for term in &self.transcript.terms {
                if let Some(said) = found_in(text, term).filter(|_| !self.is_speaker(term)) {
                    let kind = self.kind_of_term(term);
                    add(&mut out, kind, &text[said], sentence.id);
                }
            }
        }
        for action in actions.iter().filter(|action| !action.withdrawn) {
            let Some(owner) = action.item.owner.as_deref().filter(|owner| !self.is_speaker(owner)) else { continue };
            for id in &action.item.cites {
                if self.sentences.iter().any(|s| s.id == *id && found_in(s.text, owner).is_some()) {
                    add(&mut out, NameKind::Person, owner, *id);
                }
            }
        }
        self.single(&mut out);
        without_parts(out)
    }

    /// A run of words written large: an organisation by its last word, else a person of two words.
    fn large(&self, out: &mut Vec<Name>, text: &str, range: std::ops::Range<usize>, id: u64) {
        let mut run = &text[range.clone()];
        let starts =
            text[..range.start].trim_end().is_empty() || text[..range.start].trim_end().ends_with(['.', '?', '!', '“']);
        // "Then Marta Kowalska": the first word of a sentence is large anyway.
        if starts && let Some((first, rest)) = run.split_once(' ') {
            let first = first.to_lowercase();
            let abroad = small_words(words(text).iter().map(String::as_str));
            if is_stop_word(&first) || single::is_plain(&first, &HashSet::new()) || abroad.contains(&first.as_str()) {
                run = rest;
            }
        }
        let parts: Vec<&str> = run.split(' ').collect();
        let small = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let calendar = |word: &str| CALENDAR.contains(&small(word).as_str());
        if parts.len() < 2
            || parts.iter().any(|p| calendar(p) || *p == "I")
            || TITLED.is_match(run)
            || self.is_speaker(run)
        {
            return;
        }
        if self.is_term(run) {
            return;
        }
        let last = small(parts[parts.len() - 1]);
        if ORGANISATION.contains(&last.as_str()) || small(parts[0]) == "university" {
            add(out, NameKind::Organisation, run, id);
            return;
        }
        let before = text[..range.start].split_whitespace().next_back().map(small).unwrap_or_default();
        let placed = ["the", "in", "to", "our", "your", "a", "my", "near", "at"].contains(&before.as_str());
        let person = parts.len() == 2
            && !placed
            && parts.iter().all(|p| {
                p.chars().skip(1).all(|c| c.is_lowercase() || c == '-')
                    && p.chars().count() > 1
                    && !is_stop_word(&small(p))
            })
            && !PLACES.contains(&small(parts[0]).as_str())
            && !STREETS.contains(&last.as_str())
            && !self.introduces(text, run, id);
        if person {
            add(out, NameKind::Person, run, id);
        }
    }

    /// "It's Aoife Keane here": the speaker, with more of the name than is known.
    fn introduces(&self, text: &str, name: &str, id: u64) -> bool {
        let Some(lead) = text.find(name).map(|start| text[..start].to_lowercase().replace('’', "'")) else {
            return false;
        };
        ["it's", "this is", "i'm", "i am", "my name is", "my name's"].iter().any(|w| lead.trim_end().ends_with(w))
            && self.is_first_of_speaker(id)
    }

    fn is_speaker(&self, name: &str) -> bool {
        let parts: Vec<String> = words(name).iter().map(|w| w.strip_suffix("'s").unwrap_or(w).to_owned()).collect();
        !parts.is_empty()
            && self.speakers.iter().any(|speaker| {
                // "Kelsey (Prairie Trust)" speaks, her bank does not.
                let own = speaker.split_once(" (").map_or(speaker.as_str(), |(own, _)| own);
                let has_name = parts.len() > 1 && own.starts_with(char::is_alphabetic);
                let all = words(if has_name { own } else { speaker });
                parts.iter().all(|part| all.contains(part))
            })
    }

    fn is_term(&self, name: &str) -> bool {
        self.transcript.terms.iter().any(|term| term.eq_ignore_ascii_case(name))
    }

    /// What a word of the glossary stands for, by how it is used.
    fn kind_of_term(&self, term: &str) -> NameKind {
        let parts = words(term);
        if TITLED.is_match(term) {
            return NameKind::Person;
        }
        if parts.last().is_some_and(|last| ORGANISATION.contains(&last.as_str())) {
            return NameKind::Organisation;
        }
        let mut company = 0;
        let mut thing = 0;
        for sentence in self.sentences {
            let Some(said) = found_in(sentence.text, term) else { continue };
            let near = |text: &str, last: bool| {
                let mut all = words(text);
                if last { all.pop() } else { (!all.is_empty()).then(|| all.swap_remove(0)) }.unwrap_or_default()
            };
            let before = near(&sentence.text[..said.start], true);
            let after = near(&sentence.text[said.end..], false);
            company += usize::from(["at", "from", "by", "against", "via", "to"].contains(&before.as_str()));
            company += usize::from(
                ["owes", "says", "said", "wants", "agreed", "signed", "pays", "offers", "offered", "delivers", "sent"]
                    .contains(&after.as_str()),
            );
            thing += usize::from(
                ["the", "your", "our", "my", "ship", "launch", "release", "install", "use"].contains(&before.as_str()),
            );
            thing += usize::from(
                [
                    "contract", "launch", "release", "version", "module", "app", "licence", "license", "update",
                    "project", "server",
                ]
                .contains(&after.as_str()),
            );
        }
        if company > thing { NameKind::Organisation } else { NameKind::Product }
    }
}

/// Words that begin a sentence in front of a name.
const LEADS: &[&str] = &[
    "then",
    "because",
    "dear",
    "hi",
    "hello",
    "hey",
    "ask",
    "call",
    "tell",
    "thanks",
    "thank",
    "maybe",
    "meanwhile",
    "according",
    "only",
    "even",
    "try",
    "guten",
    "hallo",
    "hola",
    "ciao",
    "salut",
    "bonjour",
    "buongiorno",
    "buenos",
    "signor",
];

const CALENDAR: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "christmas",
    "easter",
    "day",
    "eve",
    "year",
    "thank",
    "good",
    "okay",
    "yes",
    "no",
    "god",
];

/// First words of places.
const PLACES: &[&str] =
    &["new", "san", "los", "santa", "north", "south", "east", "west", "great", "saint", "united", "las", "port", "el"];

/// Last words of places.
const STREETS: &[&str] =
    &["road", "street", "lane", "avenue", "square", "park", "station", "airport", "bridge", "hill", "beach"];

/// Where a name stands in a text as a whole word, whatever its case.
fn found_in(text: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    let lower = text.to_lowercase();
    // Lower case of some letters is longer than they are: then the places would not fit.
    if lower.len() != text.len() || name.is_empty() {
        return text.find(name).map(|start| start..start + name.len());
    }
    let name = name.to_lowercase();
    while let Some(start) = lower[at..].find(&name).map(|found| at + found) {
        let end = start + name.len();
        let parted = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        if parted(lower[..start].chars().next_back()) && parted(lower[end..].chars().next()) {
            return Some(start..end);
        }
        at = start + lower[start..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn add(out: &mut Vec<Name>, kind: NameKind, text: &str, id: u64) {
    let same = |name: &&mut Name| {
        name.kind == kind
            && (name.text.eq_ignore_ascii_case(text)
                || kind == NameKind::Amount
                    && numbers::claimed(&name.text) == numbers::claimed(text)
                    && unit(&name.text) == unit(text))
    };
    match out.iter_mut().find(same) {
        Some(name) => {
            if !name.cites.contains(&id) && name.cites.len() < MOST_CITES {
                name.cites.push(id);
                name.cites.sort_unstable();
            }
        }
        None => out.push(Name { kind, text: text.to_owned(), cites: vec![id] }),
    }
}

fn unit(text: &str) -> String {
    let all = words(text);
    let signs: String = text.chars().filter(|c| "€$£¥%".contains(*c)).collect();
    if signs.is_empty() { all.last().map(|w| w.trim_end_matches('s').to_owned()).unwrap_or_default() } else { signs }
}

/// "Marta" and "Marta Kowalska" are one; so are "Dr Okonkwo" and "Okonkwo".
fn without_parts(names: Vec<Name>) -> Vec<Name> {
    let holds = |long: &Name, short: &Name| {
        let (long_words, short_words) = (words(&long.text), words(&short.text));
        long.kind != NameKind::Amount
            && short.kind != NameKind::Amount
            && long_words.len() > short_words.len()
            && short_words.iter().all(|w| long_words.contains(w))
    };
    let keep: Vec<bool> = names.iter().map(|name| !names.iter().any(|other| holds(other, name))).collect();
    names.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(name, _)| name).collect()
}
