use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::notes::{Action, Change, Cited, Fix, ItemId, fix};

fn said(id: u64, speaker: &str, text: &str) -> SaidUtterance {
    SaidUtterance {
        id,
        speaker: speaker.to_owned(),
        start_ms: id as i64 * 6000,
        end_ms: id as i64 * 6000 + 5000,
        text: text.to_owned(),
    }
}

fn taker(writers: Vec<Arc<dyn NoteWriter>>) -> NoteTaker {
    NoteTaker::new(writers, 1_795_442_880_000, "Europe/London".to_owned(), Vec::new())
}

/// Quotes the first utterance of each part, and counts what it was asked.
#[derive(Default)]
struct Counting {
    draws: AtomicUsize,
    joins: AtomicUsize,
    drawn: Mutex<Vec<Vec<u64>>>,
    fails: Mutex<Vec<&'static str>>,
}

impl NoteWriter for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn draw(&self, part: &Transcript) -> Result<Notes, WriteError> {
        self.draws.fetch_add(1, Ordering::SeqCst);
        match self.fails.lock().unwrap().pop() {
            Some("unavailable") => {
                return Err(WriteError::Unavailable { writer: "counting".into(), what: "no weights".into() });
            }
            Some("failed") => return Err(WriteError::Failed { writer: "counting".into(), what: "refused".into() }),
            Some("unusable") => return Err(WriteError::Unusable { writer: "counting".into(), what: "no json".into() }),
            _ => {}
        }
        self.drawn.lock().unwrap().push(part.utterances.iter().map(|u| u.id).collect());
        let first = &part.utterances[0];
        let cited = Cited { text: first.text.clone(), cites: vec![first.id], ..Cited::default() };
        Ok(Notes {
            title: first.text.clone(),
            summary: vec![cited.clone()],
            decisions: vec![cited],
            keywords: vec![first.text.split(' ').next().unwrap_or_default().to_owned()],
            written_by: "counting".into(),
            ..Notes::default()
        })
    }

    fn join(&self, whole: &Transcript, parts: &[Notes]) -> Result<Notes, WriteError> {
        self.joins.fetch_add(1, Ordering::SeqCst);
        Ok(Notes { written_by: "counting".into(), ..merge::merge(whole, parts) })
    }
}

const TOPICS: [&str; 6] = [
    "the printer in the basement jams whenever somebody prints coloured labels for the parcels",
    "our visitors from Denmark arrive at the station and somebody drives them to the hotel",
    "the invoice of the caterer counts forty lunches although only thirty guests had lunch",
    "a leaking roof above the archive makes wet folders and the roofer has no free week",
    "the new website shows old prices because the cache keeps pages of the shop too long",
    "the choir rehearses the oratorio in the church and needs chairs and heating there",
];

/// An hour: 30 stretches on one topic each, 20 utterances a stretch.
fn hour() -> Vec<SaidUtterance> {
    (0..600)
        .map(|at| {
            let topic = TOPICS[(at as usize / 20) % TOPICS.len()];
            let word = topic.split(' ').nth(at as usize % 12).unwrap();
            said(at + 1, ["Ada", "Bob"][at as usize % 2], &format!("Well about {word}, {topic}."))
        })
        .collect()
}

#[test]
fn at_the_end_of_an_hour_only_the_last_segment_is_left_to_draw() {
    let writer = Arc::new(Counting::default());
    let mut taker = taker(vec![writer.clone()]);
    let mut most_at_once = 0;
    for utterance in hour() {
        let before = writer.draws.load(Ordering::SeqCst);
        taker.add(utterance);
        taker.work();
        most_at_once = most_at_once.max(writer.draws.load(Ordering::SeqCst) - before);
    }
    while taker.work() {}
    let during = writer.draws.load(Ordering::SeqCst);
    assert!(during >= 12, "{during} segments of 600 utterances");
    assert_eq!(most_at_once, 1, "one bounded piece at a time");
    let notes = taker.finish(None);
    // 2 s a segment: 2 s for the last, and the join.
    assert!(writer.draws.load(Ordering::SeqCst) - during <= 1);
    assert_eq!(writer.joins.load(Ordering::SeqCst), 1);
    assert_eq!(notes.written_by, "counting");
    let mut covered: Vec<u64> = writer.drawn.lock().unwrap().concat();
    covered.sort_unstable();
    assert_eq!(covered, (1..=600).collect::<Vec<u64>>(), "each utterance is read once");
}

#[test]
fn topics_end_where_people_speak_of_something_else() {
    let mut taker = taker(vec![Arc::new(Counting::default())]);
    hour().into_iter().for_each(|u| taker.add(u));
    taker.close_topics();
    let ends: Vec<u64> = taker.segments().iter().map(|range| range.end as u64).collect();
    for change in (1..30).map(|topic| topic * 20) {
        assert!(ends.iter().any(|end| end.abs_diff(change) <= 2), "no end near {change}: {ends:?}");
    }
}

#[test]
fn topics_do_not_depend_on_when_they_were_looked_for() {
    let mut often = taker(vec![Arc::new(Counting::default())]);
    for utterance in hour() {
        often.add(utterance);
        often.close_topics();
    }
    let mut once = taker(vec![Arc::new(Counting::default())]);
    hour().into_iter().for_each(|u| once.add(u));
    once.close_topics();
    assert_eq!(often.bounds, once.bounds);
}

#[test]
fn a_correction_draws_its_own_segment_again_and_no_other() {
    let writer = Arc::new(Counting::default());
    let mut taker = taker(vec![writer.clone()]);
    hour().into_iter().for_each(|u| taker.add(u));
    while taker.work() {}
    taker.finish(None);
    writer.drawn.lock().unwrap().clear();
    taker.correct(120, "The parcels go by ship.".to_owned());
    taker.finish(None);
    let drawn = writer.drawn.lock().unwrap().clone();
    assert_eq!(drawn.len(), 1, "{drawn:?}");
    assert!(drawn[0].contains(&120));
}

#[test]
fn a_writer_that_fails_is_followed_by_the_next_and_at_last_by_the_extractive_one() {
    let bad = |kind: &'static str| Arc::new(Counting { fails: Mutex::new(vec![kind; 100]), ..Counting::default() });
    for kind in ["unavailable", "failed", "unusable"] {
        let (first, second) = (bad(kind), Arc::new(Counting::default()));
        let mut taker_of_two = taker(vec![first.clone(), second.clone()]);
        let mut taker_of_one = taker(vec![bad(kind)]);
        for utterance in hour().into_iter().take(120) {
            taker_of_one.add(utterance.clone());
            taker_of_two.add(utterance);
        }
        assert_eq!(taker_of_two.finish(None).written_by, "counting", "{kind}");
        assert!(second.draws.load(Ordering::SeqCst) >= 2);
        if kind != "unusable" {
            assert_eq!(first.draws.load(Ordering::SeqCst), 1, "nobody waits twice for what is not there");
        }
        if kind != "unusable" {
            assert_eq!(taker_of_one.finish(None).written_by, "extractive", "{kind}");
        }
    }
}

#[test]
fn written_by_names_all_who_wrote() {
    // The first segment is drawn by nobody but the extractive writer, the others by the one that was asked.
    let writer = Arc::new(Counting { fails: Mutex::new(vec!["unusable"]), ..Counting::default() });
    let mut taker = taker(vec![writer]);
    hour().into_iter().for_each(|u| taker.add(u));
    assert_eq!(taker.finish(None).written_by, "counting, extractive");
}

#[test]
fn a_writer_that_is_down_is_passed_over_and_tried_again() {
    let writer = Arc::new(Counting { fails: Mutex::new(vec!["failed"; 2]), ..Counting::default() });
    let mut taker = taker(vec![writer.clone()]);
    hour().into_iter().for_each(|u| taker.add(u));
    while taker.work() {}
    let asked = writer.draws.load(Ordering::SeqCst);
    let drawn = writer.drawn.lock().unwrap().len();
    assert_eq!(asked, drawn + 2, "two failures, then it answered");
    assert!(taker.drafts.values().filter(|kept| kept.0.written_by == "extractive").count() > 2);
}

#[test]
fn withdrawn_words_are_nowhere_in_the_notes_or_in_memory() {
    let writer = Arc::new(Counting::default());
    for writers in [vec![], vec![writer.clone() as Arc<dyn NoteWriter>]] {
        let quotes_all = writers.is_empty();
        let mut taker = taker(writers);
        for (at, utterance) in hour().into_iter().enumerate() {
            if at == 70 {
                for again in 0..3 {
                    let text =
                        "I'll bring the marzipan by Friday. We decided on marzipan from Zanzibar, marzipan is best.";
                    let mut sweet = said(900 + again, "Eve", text);
                    sweet.start_ms = 420_500 + again as i64;
                    taker.add(sweet);
                }
            }
            taker.add(utterance);
            taker.work();
        }
        let before = taker.finish(None);
        assert!(!quotes_all || serde_json::to_string(&before).unwrap().to_lowercase().contains("marzipan"));
        taker.draft();
        taker.withdraw(&[900, 901, 902]);
        let left = |notes: &Notes| {
            let text = serde_json::to_string(notes).unwrap().to_lowercase();
            text.contains("marzipan") || text.contains("zanzibar")
        };
        assert!(!taker.drafts.values().any(|kept| left(&kept.0)));
        assert!(!taker.numbered.as_ref().is_some_and(|kept| left(&kept.0)));
        assert!(!left(&taker.draft()));
        assert!(!left(&taker.finish(Some(&before))));
        assert!(!left(&taker.finish(None)));
    }
}

#[test]
fn a_renamed_speaker_has_the_new_name_everywhere() {
    let mut taker = taker(vec![]);
    taker.add(said(1, "Speaker A", "I'll send the contract to the lawyer."));
    taker.add(said(2, "Bob", "Thank you."));
    let first = taker.finish(None);
    assert_eq!(first.actions[0].owner.as_deref(), Some("Speaker A"));
    taker.rename("Speaker A", "Grace");
    let second = taker.finish(Some(&first));
    assert_eq!(second.actions[0].owner.as_deref(), Some("Grace"));
    assert_eq!(second.actions[0].id, first.actions[0].id);
    assert!(!serde_json::to_string(&second).unwrap().contains("Speaker A"));
}

fn two_actions() -> NoteTaker {
    let mut taker = taker(vec![]);
    taker.add(said(1, "Ada", "I'll send the contract to the lawyer."));
    taker.add(said(2, "Bob", "I'll book the hotel for our guests."));
    taker.add(said(3, "Ada", "Who tells the neighbours?"));
    taker
}

fn ids(notes: &Notes) -> Vec<(u32, &str)> {
    notes.actions.iter().map(|a| (a.id.0, a.text.as_str())).collect()
}

#[test]
fn numbers_stay_when_notes_are_made_again_and_no_number_comes_back() {
    let mut taker = two_actions();
    let first = taker.finish(None);
    assert_eq!(ids(&first), [(1, "send the contract to the lawyer"), (2, "book the hotel for our guests")]);
    assert_eq!(first.questions[0].id, ItemId(3));
    taker.withdraw(&[1]);
    let second = taker.finish(Some(&first));
    assert_eq!(ids(&second), [(2, "book the hotel for our guests")]);
    taker.add(said(7, "Ada", "I'll order the flowers from the shop."));
    let third = taker.finish(Some(&second));
    assert_eq!(ids(&third), [(2, "book the hotel for our guests"), (4, "order the flowers from the shop")]);
    taker.correct(2, "I'll book the hostel for our guests.".to_owned());
    let fourth = taker.finish(Some(&third));
    assert_eq!(ids(&fourth)[0], (2, "book the hostel for our guests"));
}

#[test]
fn what_people_mended_stays_mended() {
    let mut taker = two_actions();
    let mut shown = taker.finish(None);
    let fixes = [
        Fix { item: ItemId(1), change: Change::Owner(Some("Bob".to_owned())) },
        Fix { item: ItemId(1), change: Change::Text("sign the lease".to_owned()) },
        Fix { item: ItemId(2), change: Change::Drop },
    ];
    fix::apply(&mut shown, &fixes);
    for _ in 0..3 {
        // As stored and read again.
        shown = serde_json::from_str(&serde_json::to_string(&shown).unwrap()).unwrap();
        taker.add(said(50, "Ada", "By the way, the heating works again in the office."));
        shown = taker.finish(Some(&shown));
        fix::apply(&mut shown, &fixes);
        assert_eq!(ids(&shown), [(1, "sign the lease")]);
        assert_eq!(shown.actions[0].owner.as_deref(), Some("Bob"));
    }
    taker.withdraw(&[1, 2]);
    shown = taker.finish(Some(&shown));
    fix::apply(&mut shown, &fixes);
    assert!(shown.actions.is_empty() && shown.mended.is_empty(), "{shown:?}");
    assert_eq!(fix::apply_one(&mut shown, &fixes[0]), Err(fix::FixError::NoSuchItem(ItemId(1))));
    let question = Fix { item: ItemId(3), change: Change::Owner(None) };
    assert_eq!(fix::apply_one(&mut shown, &question), Err(fix::FixError::NotOfThisKind(ItemId(3))));
}

#[test]
fn notes_stored_by_an_older_program_are_read_and_get_numbers() {
    let old = r#"{"title":"T","summary":[{"text":"a","cites":[1]}],"decisions":[],"actions":[{"text":"send the contract to the lawyer","owner":"Ada","due":null,"cites":[1]}],"questions":[],"next_meeting":{"when":{"said":"Friday","date":"2026-11-27"},"cites":[2]},"keywords":[],"written_by":"extractive"}"#;
    let old: Notes = serde_json::from_str(old).unwrap();
    assert_eq!(old.actions[0].id, ItemId(0));
    assert_eq!(ids(&two_actions().finish(Some(&old)))[0].0, 1);
}

#[test]
fn nothing_is_shown_of_the_words_in_debug_output() {
    let mut taker = two_actions();
    taker.finish(None);
    assert!(!format!("{taker:?}").contains("contract"));
}

#[derive(Debug, Clone)]
enum Step {
    Add(u64, usize),
    Correct(u64, usize),
    Withdraw(u64),
    Rename,
    Work,
    Draft,
    Finish,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..40u64, 0..8usize).prop_map(|(id, text)| Step::Add(id, text)),
        1 => (0..40u64, 0..8usize).prop_map(|(id, text)| Step::Correct(id, text)),
        1 => (0..40u64).prop_map(Step::Withdraw),
        1 => Just(Step::Rename),
        2 => Just(Step::Work),
        1 => Just(Step::Draft),
        1 => Just(Step::Finish),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn however_a_call_goes_notes_cite_what_is_there_and_a_number_names_one_item(steps in steps()) {
        let texts = [
            "I'll send the contract to the lawyer by Friday.", "We ship the release on Monday.", "Who tells the customers?",
            "Let's use the blue logo.", "Yes, sounds good.", "Our next call is on Wednesday at ten.", "No, let's not.",
            "Bob will call the printer tomorrow, and the offer runs out on Thursday.",
        ];
        let mut taker = taker(vec![Arc::new(Counting::default())]);
        let mut shown: Option<Notes> = None;
        let mut highest = 0;
        for step in steps {
            match step {
                Step::Add(id, text) => taker.add(said(id, ["Ada", "Bob"][id as usize % 2], texts[text])),
                Step::Correct(id, text) => taker.correct(id, texts[text].to_owned()),
                Step::Withdraw(id) => taker.withdraw(&[id]),
                Step::Rename => taker.rename("Ada", "Grace"),
                Step::Work => { taker.work(); }
                Step::Draft => { taker.draft(); }
                Step::Finish => {
                    let notes = taker.finish(shown.as_ref());
                    let there: HashSet<u64> = taker.transcript().utterances.iter().map(|u| u.id).collect();
                    let mut numbers: Vec<u32> = notes.actions.iter().map(|a: &Action| a.id.0).collect();
                    numbers.extend(notes.decisions.iter().chain(&notes.questions).map(|d| d.id.0));
                    numbers.extend(notes.deadlines.iter().map(|d| d.id.0));
                    numbers.extend(notes.next_meeting.iter().map(|n| n.id.0));
                    let unique: HashSet<u32> = numbers.iter().copied().collect();
                    prop_assert_eq!(unique.len(), numbers.len());
                    prop_assert!(!unique.contains(&0) && numbers.iter().all(|n| *n <= notes.last_item));
                    prop_assert!(notes.last_item >= highest);
                    highest = notes.last_item;
                    for item in notes.summary.iter().chain(&notes.decisions).chain(&notes.questions) {
                        prop_assert!(!item.cites.is_empty() && item.cites.iter().all(|id| there.contains(id)));
                    }
                    shown = Some(notes);
                }
            }
        }
    }
}

/// Sentences that share a word are near one another.
struct ByLetter;

impl Embed for ByLetter {
    fn name(&self) -> &'static str {
        "letters"
    }

    fn embed(&self, sentences: &[&str]) -> Result<Vec<Vec<f32>>, WriteError> {
        let vector = |s: &&str| (b'a'..=b'z').map(|c| s.bytes().filter(|b| *b == c).count() as f32 + 0.1).collect();
        Ok(sentences.iter().map(vector).collect())
    }
}

#[test]
fn embeddings_help_and_their_failure_does_no_harm() {
    struct Broken;
    impl Embed for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn embed(&self, _: &[&str]) -> Result<Vec<Vec<f32>>, WriteError> {
            Err(WriteError::Failed { writer: "broken".into(), what: "no library".into() })
        }
    }
    for (embed, by) in [
        (Arc::new(ByLetter) as Arc<dyn Embed>, "extractive + letters"),
        (Arc::new(Broken) as Arc<dyn Embed>, "extractive"),
    ] {
        let writer = Arc::new(super::super::EmbeddingWriter::new(embed.clone()));
        let mut taker = taker(vec![writer]).with_embedder(embed);
        for utterance in hour().into_iter().take(150) {
            taker.add(utterance);
            taker.work();
        }
        while taker.work() {}
        let notes = taker.finish(None);
        assert_eq!(notes.written_by, by);
        assert!((2..=8).contains(&notes.summary.len()), "{}", notes.summary.len());
    }
}

#[test]
fn a_long_call_is_summed_up_topic_by_topic() {
    let mut taker = taker(vec![]);
    hour().into_iter().take(120).for_each(|u| taker.add(u));
    let notes = taker.finish(None);
    let topics: HashSet<u64> = notes.summary.iter().map(|s| (s.cites[0] - 1) / 20).collect();
    assert!(topics.len() >= 5 && notes.summary.len() <= 8, "{topics:?}");
}
