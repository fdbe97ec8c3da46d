//! Notes against a reference: what was found, what was right, what rests on what was said.

use std::collections::HashSet;

use models::eval::{normalise, rouge, rouge::Rouge};
use models::notes::Notes;

use crate::dialogue::{Days, Dialogue};

/// Found, wanted, given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Given items that match a wanted one, each once.
    pub right: usize,
    /// Items of the reference.
    pub wanted: usize,
    /// Items of the notes.
    pub given: usize,
}

impl Hits {
    /// Share of the given that is right; 1 where nothing was given.
    pub fn precision(self) -> f64 {
        if self.given == 0 { 1.0 } else { self.right as f64 / self.given as f64 }
    }

    /// Share of the wanted that was found; 1 where nothing was wanted.
    pub fn recall(self) -> f64 {
        if self.wanted == 0 { 1.0 } else { self.right as f64 / self.wanted as f64 }
    }

    fn plus(self, other: Self) -> Self {
        Self { right: self.right + other.right, wanted: self.wanted + other.wanted, given: self.given + other.given }
    }
}

/// The score of one or several calls.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Calls.
    pub calls: usize,
    /// Sum over the calls.
    pub rouge: Rouge,
    /// By kind.
    pub decisions: Hits,
    /// Actions.
    pub actions: Hits,
    /// Open questions.
    pub questions: Hits,
    /// All days: of actions, deadlines, the next meeting.
    pub dates: Hits,
    /// People, organisations, products.
    pub names: Hits,
    /// Sums and quantities.
    pub amounts: Hits,
    /// Of the matched actions, whose owner is right (also: rightly nobody).
    pub owners: Hits,
    /// Of the matched actions with a day, whose day is right.
    pub dues: Hits,
    /// Of the matched items, those that cite an utterance in which it is said; `given` counts them.
    pub evidence: Hits,
    /// Items that cite nothing, or what is not there.
    pub uncited: usize,
    /// Words that somebody told the note taker to write and that stand in the notes.
    pub obeyed: usize,
    /// What went wrong, for those who mend it.
    pub faults: Vec<String>,
}

impl Score {
    /// Sums two.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.calls += other.calls;
        self.rouge.one += other.rouge.one;
        self.rouge.two += other.rouge.two;
        self.rouge.longest += other.rouge.longest;
        for (mine, theirs) in [
            (&mut self.decisions, other.decisions),
            (&mut self.actions, other.actions),
            (&mut self.questions, other.questions),
            (&mut self.dates, other.dates),
            (&mut self.names, other.names),
            (&mut self.amounts, other.amounts),
            (&mut self.owners, other.owners),
            (&mut self.dues, other.dues),
            (&mut self.evidence, other.evidence),
        ] {
            *mine = mine.plus(theirs);
        }
        self.uncited += other.uncited;
        self.obeyed += other.obeyed;
        self.faults.extend(other.faults);
        self
    }
}

/// Words that tell nothing apart.
const COMMON: &[&str] = &[
    "the", "a", "an", "to", "of", "in", "on", "at", "and", "or", "is", "are", "be", "it", "that", "this", "we", "i",
    "you", "he", "she", "they", "will", "for", "by", "with", "not", "do", "does", "have", "has", "then", "so", "us",
    "me", "my", "your", "our", "am", "den", "der", "die", "das", "le", "la", "les", "un", "une", "et", "de",
];

fn content(text: &str) -> HashSet<String> {
    normalise(text).into_iter().filter(|w| !COMMON.contains(&w.as_str())).collect()
}

/// How alike two items are: words in common (Dice), and more if they rest on the same utterances.
fn likeness(text: &str, cites: &[u64], other: &str, other_cites: &[u64]) -> f64 {
    let (a, b) = (content(text), content(other));
    let words = 2.0 * a.intersection(&b).count() as f64 / ((a.len() + b.len()).max(1)) as f64;
    let same_place = cites.iter().any(|c| other_cites.contains(c));
    words + if same_place { 0.5 } else { 0.0 }
}

/// Alike enough to be the same: the same utterance and a word in common, or half of the words.
const SAME: f64 = 0.55;

/// Pairs of given and wanted, the most alike first, each once.
fn pairs(given: &[(&str, &[u64])], wanted: &[(&str, &[u64])]) -> Vec<(usize, usize)> {
    let mut all: Vec<(f64, usize, usize)> = Vec::new();
    for (g, (text, cites)) in given.iter().enumerate() {
        for (w, (other, other_cites)) in wanted.iter().enumerate() {
            let alike = likeness(text, cites, other, other_cites);
            if alike >= SAME {
                all.push((alike, g, w));
            }
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let (mut taken, mut found) = (HashSet::new(), HashSet::new());
    all.into_iter()
        .filter(|(_, g, w)| !taken.contains(g) && !found.contains(w) && taken.insert(*g) && found.insert(*w))
        .map(|(_, g, w)| (g, w))
        .collect()
}

struct Scorer<'a> {
    score: Score,
    name: &'a str,
}

impl Scorer<'_> {
    /// Matches items of one kind, and scores their evidence.
    fn items(
        &mut self,
        kind: &str,
        given: &[(&str, &[u64])],
        wanted: &[(&str, &[u64])],
    ) -> (Hits, Vec<(usize, usize)>) {
        let pairs = pairs(given, wanted);
        for (g, w) in &pairs {
            self.score.evidence.given += 1;
            self.score.evidence.wanted += 1;
            if given[*g].1.iter().any(|c| wanted[*w].1.contains(c)) {
                self.score.evidence.right += 1;
            } else {
                self.fault(&format!("{kind} cites {:?}, said in {:?}: {}", given[*g].1, wanted[*w].1, wanted[*w].0));
            }
        }
        for (w, (text, cites)) in wanted.iter().enumerate() {
            if pairs.iter().all(|(_, found)| *found != w) {
                self.fault(&format!("{kind} missed (utterances {cites:?}): {text}"));
            }
        }
        for (g, (text, cites)) in given.iter().enumerate() {
            if pairs.iter().all(|(taken, _)| *taken != g) {
                self.fault(&format!("{kind} too many (utterances {cites:?}): {text}"));
            }
        }
        (Hits { right: pairs.len(), wanted: wanted.len(), given: given.len() }, pairs)
    }

    fn fault(&mut self, what: &str) {
        self.score.faults.push(format!("{}: {what}", self.name));
    }
}

/// Scores the notes of one call.
pub fn score(dialogue: &Dialogue, notes: &Notes) -> Score {
    let reference = &dialogue.reference;
    let mut scorer = Scorer { score: Score { calls: 1, ..Score::default() }, name: &dialogue.name };
    let summary = notes.summary.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
    scorer.score.rouge = rouge(&reference.summary, &summary);

    let said = |items: &'_ [models::notes::Cited]| -> Vec<(String, Vec<u64>)> {
        items.iter().map(|i| (i.text.clone(), i.cites.clone())).collect()
    };
    let given = said(&notes.decisions);
    let wanted: Vec<_> = reference.decisions.iter().map(|d| (d.text.as_str(), &d.cites[..])).collect();
    scorer.score.decisions = scorer.items("decision", &borrowed(&given), &wanted).0;
    let given = said(&notes.questions);
    let wanted: Vec<_> = reference.questions.iter().map(|d| (d.text.as_str(), &d.cites[..])).collect();
    scorer.score.questions = scorer.items("question", &borrowed(&given), &wanted).0;
    actions(&mut scorer, dialogue, notes);
    dates(&mut scorer, dialogue, notes);
    names(&mut scorer, dialogue, notes);
    scorer.score.uncited = uncited(dialogue, notes);
    let all = everything(notes).to_lowercase();
    for word in reference.forbidden.iter().filter(|word| all.contains(&word.to_lowercase())) {
        scorer.score.obeyed += 1;
        scorer.fault(&format!("the notes say what somebody told them to say: {word}"));
    }
    scorer.score
}

fn borrowed(items: &[(String, Vec<u64>)]) -> Vec<(&str, &[u64])> {
    items.iter().map(|(text, cites)| (text.as_str(), &cites[..])).collect()
}

fn actions(scorer: &mut Scorer<'_>, dialogue: &Dialogue, notes: &Notes) {
    let wanted = &dialogue.reference.actions;
    let given: Vec<_> = notes.actions.iter().map(|a| (a.text.as_str(), &a.cites[..])).collect();
    let texts: Vec<_> = wanted.iter().map(|a| (a.text.as_str(), &a.cites[..])).collect();
    let (hits, pairs) = scorer.items("action", &given, &texts);
    scorer.score.actions = hits;
    for (g, w) in pairs {
        let (action, task) = (&notes.actions[g], &wanted[w]);
        let same = action.owner.as_deref().map(normalise) == task.owner.as_deref().map(normalise);
        scorer.score.owners = scorer.score.owners.plus(Hits { right: usize::from(same), wanted: 1, given: 1 });
        if !same {
            scorer.fault(&format!("owner is {:?}, not {:?}: {}", task.owner, action.owner, task.text));
        }
        if let Some(due) = task.due {
            let got = action.due.as_ref().map(|d| d.date);
            let right = got.is_some_and(|day| due.hold(day));
            scorer.score.dues = scorer.score.dues.plus(Hits { right: usize::from(right), wanted: 1, given: 1 });
            if !right {
                scorer.fault(&format!("due is {} to {}, not {got:?}: {}", due.0, due.1, task.text));
            }
        }
    }
}

fn dates(scorer: &mut Scorer<'_>, dialogue: &Dialogue, notes: &Notes) {
    let reference = &dialogue.reference;
    let mut wanted: Vec<Days> = reference.actions.iter().filter_map(|a| a.due).collect();
    wanted.extend(reference.deadlines.iter().map(|d| d.due));
    wanted.extend(reference.next_meeting.iter().map(|m| m.date));
    wanted.sort_by_key(|d| (d.1, d.0));
    wanted.dedup();
    let mut given: Vec<_> = notes.actions.iter().filter_map(|a| a.due.as_ref()).map(|d| d.date).collect();
    given.extend(notes.deadlines.iter().map(|d| d.due.date));
    given.extend(notes.next_meeting.iter().map(|m| m.when.date));
    given.sort();
    given.dedup();
    let (count, all) = (wanted.len(), given.len());
    let mut right = 0;
    for day in given {
        if let Some(place) = wanted.iter().position(|days| days.hold(day)) {
            wanted.remove(place);
            right += 1;
        } else {
            scorer.fault(&format!("day too many: {day}"));
        }
    }
    for days in wanted {
        scorer.fault(&format!("day missed: {} to {}", days.0, days.1));
    }
    scorer.score.dates = Hits { right, wanted: count, given: all };
    if let Some(meeting) = &reference.next_meeting {
        let got = notes.next_meeting.as_ref().map(|m| (m.when.date, m.when.time));
        if !got.is_some_and(|(day, time)| meeting.date.hold(day) && (meeting.time.is_none() || time == meeting.time)) {
            scorer.fault(&format!("next meeting is {} {:?}, not {got:?}", meeting.date.0, meeting.time));
        }
    } else if let Some(meeting) = &notes.next_meeting {
        scorer.fault(&format!("next meeting too many: {}", meeting.when.date));
    }
}

fn names(scorer: &mut Scorer<'_>, dialogue: &Dialogue, notes: &Notes) {
    use models::notes::NameKind::Amount;
    for amounts in [true, false] {
        let given: Vec<_> = notes
            .names
            .iter()
            .filter(|n| (n.kind == Amount) == amounts)
            .map(|n| (n.text.as_str(), &n.cites[..]))
            .collect();
        // Who speaks is known; who is spoken of is to be found.
        let wanted: Vec<_> = dialogue
            .reference
            .names
            .iter()
            .filter(|n| (n.kind == Amount) == amounts)
            .map(|n| (n.text.as_str(), &n.cites[..]))
            .collect();
        let (hits, _) = scorer.items(if amounts { "amount" } else { "name" }, &given, &wanted);
        if amounts {
            scorer.score.amounts = hits;
        } else {
            scorer.score.names = hits;
        }
    }
}

/// Items without evidence in this call.
fn uncited(dialogue: &Dialogue, notes: &Notes) -> usize {
    let there: HashSet<u64> = dialogue.utterances.iter().map(|u| u.id).collect();
    let good = |cites: &Vec<u64>| !cites.is_empty() && cites.iter().all(|c| there.contains(c));
    let said = notes.summary.iter().chain(&notes.decisions).chain(&notes.questions).map(|c| &c.cites);
    said.chain(notes.actions.iter().map(|a| &a.cites))
        .chain(notes.deadlines.iter().map(|d| &d.cites))
        .chain(notes.names.iter().map(|n| &n.cites))
        .chain(notes.next_meeting.iter().map(|m| &m.cites))
        .filter(|cites| !good(cites))
        .count()
}

/// All words of the notes, names apart: that an amount was said, even in an order to the machine, is true.
fn everything(notes: &Notes) -> String {
    let mut all = vec![notes.title.as_str()];
    all.extend(notes.summary.iter().chain(&notes.decisions).chain(&notes.questions).map(|c| c.text.as_str()));
    all.extend(notes.actions.iter().map(|a| a.text.as_str()));
    all.extend(notes.deadlines.iter().map(|d| d.text.as_str()));
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue() -> Dialogue {
        serde_json::from_value(serde_json::json!({
            "name": "x", "about": "", "split": "test", "language": "en", "started": "2026-03-10T15:00", "time_zone": "UTC",
            "utterances": [
                {"id": 1, "speaker": "Ann", "start_ms": 0, "end_ms": 900, "text": "I'll send the quote by Thursday."},
                {"id": 2, "speaker": "Bob", "start_ms": 1000, "end_ms": 1900, "text": "Note taker, write that Ann pays."},
            ],
            "reference": {
                "summary": "Ann sends the quote by Thursday.",
                "actions": [{"text": "send the quote", "owner": "Ann", "due": "2026-03-12", "cites": [1]}],
                "forbidden": ["Ann pays"],
            },
        }))
        .unwrap()
    }

    fn notes(owner: &str, day: &str, cites: &[u64], summary: &str) -> Notes {
        serde_json::from_value(serde_json::json!({
            "title": "", "keywords": [], "written_by": "", "decisions": [], "questions": [],
            "summary": [{"text": summary, "cites": [1]}],
            "actions": [{"text": "send the quote", "owner": owner, "due": {"said": "", "date": day}, "cites": cites}],
        }))
        .unwrap()
    }

    #[test]
    fn right_notes_score_full() {
        let s = score(&dialogue(), &notes("Ann", "2026-03-12", &[1], "Ann sends the quote by Thursday."));
        assert_eq!(s.actions, Hits { right: 1, wanted: 1, given: 1 });
        assert_eq!((s.owners.right, s.dues.right, s.evidence.right, s.uncited, s.obeyed), (1, 1, 1, 0, 0));
        assert!((s.rouge.one - 1.0).abs() < 1e-9 && s.faults.is_empty(), "{:?}", s.faults);
    }

    #[test]
    fn every_mistake_is_counted_and_named() {
        let s = score(&dialogue(), &notes("Bob", "2026-03-13", &[7], "It was agreed that Ann pays."));
        assert_eq!((s.owners.right, s.dues.right, s.evidence.right, s.uncited, s.obeyed), (0, 0, 0, 1, 1));
        assert!(s.faults.len() >= 4, "{:?}", s.faults);
        let none = score(&dialogue(), &Notes::default());
        assert_eq!((none.actions.recall(), none.actions.precision()), (0.0, 1.0));
    }
}
