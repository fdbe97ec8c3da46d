//! What a sentence may be: a decision, something to do, a question, an appointment. Patterns over what was said, with
//! what others answered.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

use super::sentences::{Sentence, as_line, words};
use super::{Action, Cited, Due, ItemId, NextMeeting, dates};

/// All that was found in a transcript.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) decisions: Vec<Cited>,
    pub(super) actions: Vec<Action>,
    pub(super) questions: Vec<Cited>,
    pub(super) next_meeting: Option<NextMeeting>,
}

/// How many sentences of others behind one are looked at for an answer.
const ANSWERS: usize = 3;
/// How long one waits for an answer, in ms.
const ANSWER_MS: i64 = 30_000;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a test compiles this constant pattern")
}

static DECIDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:we(?:'ve| have)? (?:all )?(?:decided|agreed|settled)|(?:it|that) is (?:decided|settled|agreed)|(?:it|that)'s (?:decided|settled|agreed|a deal)|(?:the|our|my) (?:final )?decision is|(?:we're|we are) going (?:to go )?with|we(?:'ll| will) go (?:with|for|ahead)|(?:we're|we are) not going to|(?:is|are) (?:hereby )?approved|we approve)\b",
    )
});
static UNDECIDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:not|n't|never|yet|nothing|if|whether|until|before|unless|when) (?:\w+ ){0,2}(?:decided?|agreed?|settled)\b",
    )
});
static WE_DO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:(?:so|then|ok|okay|alright|all right|good|great|right|well|and|fine)\W+)*(?:we|we'll|we will|we're going to|we are going to) (?:then |now |also )?([a-z]+)\b",
    )
});
static PROPOSED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:let's|let us|shall we|how about we|why don't we) (?:just |then |all )?([a-z]+)")
});

/// What follows "we" without being something that was decided.
const NOT_DECIDED: &[&str] = &[
    "should",
    "could",
    "can",
    "can't",
    "cannot",
    "may",
    "might",
    "must",
    "need",
    "have",
    "had",
    "has",
    "are",
    "were",
    "was",
    "do",
    "don't",
    "did",
    "didn't",
    "would",
    "want",
    "wanted",
    "see",
    "think",
    "thought",
    "know",
    "knew",
    "hope",
    "talk",
    "talked",
    "hear",
    "heard",
    "be",
    "get",
    "got",
    "never",
    "always",
    "just",
    "still",
    "say",
    "look",
    "wait",
    "find",
    "figure",
    "went",
    "met",
    "lost",
    "discussed",
    "discuss",
    "said",
    "saw",
    "came",
    "used",
    "probably",
    "maybe",
    "already",
    "all",
    "both",
    "only",
    "really",
    "also",
    "shipped",
    "launched",
    "tried",
];
const NOT_PROPOSED: &[&str] =
    &["see", "talk", "start", "begin", "say", "hear", "look", "wait", "face", "be", "hope", "not"];

static TRIGGER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix)\b(?:
        (?P<me>I'll|I\ will|I'm\ going\ to|I\ am\ going\ to|I\ can|I\ promise\ to|I'll\ make\ sure\ to)
        |(?:please\s+)?(?P<you>(?:can|could|would|will)\ you(?:\ please)?)
        |(?P<none>(?:we|someone|somebody|one\ of\ us)(?:'ll|\ still|\ also|\ really)*\ (?:need\ to|needs\ to|have\ to|has\ to|should|must|ought\ to|will\ have\ to))
        |(?P<name>\p{Lu}[\p{L}'-]+(?:\ \p{Lu}[\p{L}'-]+)?)(?:
            \ (?:will|is\ going\ to|has\ agreed\ to|promised\ to|needs\ to|has\ to|should)
            |'ll
            |,?\ (?:can|could|would|will)\ you(?:\ please)?
            |,\ please
        ))\ (?:(?:then|also|just|definitely|please|still|try\ to)\ )*(?P<verb>[\p{L}'-]+)",
    )
});

/// Verbs behind a trigger that promise nothing.
const IDLE: &[&str] = &[
    "be",
    "see",
    "think",
    "say",
    "have",
    "know",
    "hear",
    "understand",
    "imagine",
    "guess",
    "remember",
    "believe",
    "hope",
    "admit",
    "assume",
    "never",
    "not",
    "wait",
    "hold",
    "stay",
    "go",
    "like",
    "love",
    "need",
    "want",
    "tell",
    "agree",
    "start",
    "begin",
    "repeat",
    "explain",
    "speak",
    "feel",
    "mean",
    "accept",
    "recognize",
    "recognise",
    "only",
    "always",
    "live",
    "die",
    "miss",
    "listen",
    "pass",
    "mute",
    "unmute",
    "come",
    "keep",
    "stop",
    "ask",
    "actually",
    "probably",
];
/// "Can you hear me" asks for nothing to be done afterwards.
const IDLE_WITH_OBJECT: &[(&str, &[&str])] = &[
    ("tell", &["customer", "customers", "client", "clients", "team", "everyone", "everybody", "them", "him", "her"]),
    ("ask", &["the", "them", "him", "her", "for", "around", "legal", "finance", "about"]),
    ("keep", &["you", "track", "notes"]),
    ("speak", &["to", "with"]),
    ("start", &["the", "writing", "with", "working"]),
    ("stop", &["the"]),
    ("explain", &["it", "this", "that", "the"]),
    ("come", &["back", "up"]),
    ("pass", &["it", "this", "that", "the"]),
    ("have", &["it", "that", "them", "the", "this"]),
];

static YES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:(?:oh|um|uh|well|and)\W+)*(?:yes|yeah|yep|yup|sure|agreed|ok|okay|of course|will do|alright|all right|fine|good|great|perfect|sounds good|sounds great|that works|works for me|absolutely|definitely|no problem|certainly|gladly|deal|right|exactly|I agree|let's do (?:it|that)|I'll do (?:it|that)|I will|I can do that)\b",
    )
});
static BUT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:but|not|no|can't|cannot|don't|won't|wouldn't|later|unsure)\b"));
static NO_ANSWER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:I (?:don't|do not|really don't) (?:know|think anyone knows)|no idea|good question|not sure|unsure|no clue|nobody knows|we(?:'ll| will) (?:have to )?see|(?:have|need) to (?:check|ask|find out|think|clarify)|let me (?:check|think|find out|get back)|get back to you|find out|to be decided|not (?:been )?decided|still open|open question|we don't know|can't say|cannot say|depends|hard to say|take that offline|park that|discuss (?:that|it) (?:later|next time))\b",
    )
});
static SMALL_TALK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:can|do|could) (?:you|everyone|everybody|anybody|anyone|all) (?:all )?(?:hear|see) (?:me|us|my)|how are (?:you|things)|how's it going|how do you do|are you (?:there|still there)|is (?:anybody|anyone|everyone|everybody) (?:there|here)|you know\?|right\?$|okay\?$|isn't it\?|who(?:'s| is) (?:there|speaking|calling|this)|what's up|am I (?:audible|on mute)|can I call you back|pardon|say that again|what did you say|come again|anything else|any(?: other| more)? questions|shall we (?:start|begin)|are we (?:all )?(?:ready|here))",
    )
});
static AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:next (?:call|meeting|session|sync|appointment|check-in)|(?:speak|talk|meet|call|sync|catch up|get together|reconvene|see each other)(?: with each other)? (?:again|next)|follow-?up (?:call|meeting)|reconvene|(?:let's|shall we|we(?:'ll| will|'re going to)?) (?:all )?(?:speak|talk|meet|catch up|sync)\b|(?:see|talk to|speak to) you(?: all| both| then)? (?:again |next |on |tomorrow|in ))",
    )
});
static TO_THE_MACHINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:ignore|disregard|forget|override) (?:\w+ ){0,3}(?:instructions?|prompts?|rules|guidelines|directives)|(?:your|the|new) (?:system )?(?:prompt|instructions) (?:is|are|say)|system prompt|you are (?:now )?(?:an? )?(?:ai|assistant|language model|chatbot|bot|note ?taker)|as an ai|dear (?:assistant|ai|bot|note ?taker)|(?:note ?taker|assistant|transcriber|summari[sz]er)\W+(?:write|add|put|delete|remove|ignore|say|include|list)|(?:write|put|add|insert|include) (?:\w+ ){0,4}(?:in|into|to) (?:the|your) (?:notes?|summary|minutes|action items|decisions))\b",
    )
});

/// Whether a sentence speaks to whoever writes the notes. It stays in the transcript and goes nowhere else.
pub(crate) fn is_to_the_machine(text: &str) -> bool {
    TO_THE_MACHINE.is_match(text)
}

/// Whether a sentence is greeting, thanks or a test of the line.
pub(super) fn is_small_talk(sentence: &Sentence<'_>) -> bool {
    SMALL_TALK.is_match(sentence.text)
}

fn is_question(sentence: &Sentence<'_>) -> bool {
    sentence.text.ends_with(['?', '？'])
}

/// Looks through all sentences (in order). `speakers`: the names of those in the call.
pub(super) fn find(sentences: &[Sentence<'_>], speakers: &[String], today: Date) -> Found {
    let mut found = Found::default();
    for at in 0..sentences.len() {
        let sentence = &sentences[at];
        if is_to_the_machine(sentence.text) {
            continue;
        }
        let due = dates::find(sentence.text, today);
        if let Some(next) = next_meeting(sentences, at, &due, today) {
            found.next_meeting = Some(next);
            continue;
        }
        if let Some(decision) = decision(sentences, at, !due.is_empty()) {
            found.decisions.push(decision);
            continue;
        }
        let actions = actions(sentences, at, speakers, today);
        if actions.is_empty() {
            found.questions.extend(question(sentences, at));
        }
        for action in actions {
            merge(&mut found.actions, action);
        }
    }
    found
}

/// What others said shortly behind a sentence, nearest first.
fn replies<'s, 'a>(sentences: &'s [Sentence<'a>], at: usize) -> impl Iterator<Item = &'s Sentence<'a>> {
    let asked = &sentences[at];
    sentences[at + 1..]
        .iter()
        .take_while(move |s| s.start_ms - asked.start_ms <= ANSWER_MS)
        .filter(move |s| s.speaker != asked.speaker)
        .take(ANSWERS)
}

/// The reply by which another agrees, if the first thing that another says is that.
fn agreement<'s, 'a>(sentences: &'s [Sentence<'a>], at: usize) -> Option<&'s Sentence<'a>> {
    replies(sentences, at)
        .next()
        .filter(|reply| YES.is_match(reply.text) && !BUT.is_match(reply.text) && !is_question(reply))
}

fn cites(ids: &[u64]) -> Vec<u64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn decision(sentences: &[Sentence<'_>], at: usize, dated: bool) -> Option<Cited> {
    let sentence = &sentences[at];
    if UNDECIDED.is_match(sentence.text) || sentence.words.len() < 3 {
        return None;
    }
    let line = as_line(sentence.text);
    if let Some(proposed) = PROPOSED.captures(sentence.text) {
        let verb = proposed[1].to_lowercase();
        if NOT_PROPOSED.contains(&verb.as_str()) {
            return None;
        }
        let agreed = agreement(sentences, at)?;
        return Some(Cited { id: ItemId::default(), text: line, cites: cites(&[sentence.id, agreed.id]) });
    }
    if is_question(sentence) {
        return None;
    }
    let is_plan =
        dated && WE_DO.captures(sentence.text).is_some_and(|c| !NOT_DECIDED.contains(&c[1].to_lowercase().as_str()));
    (DECIDED.is_match(sentence.text) || is_plan).then(|| Cited {
        id: ItemId::default(),
        text: line,
        cites: vec![sentence.id],
    })
}

fn next_meeting(sentences: &[Sentence<'_>], at: usize, due: &[dates::Found], today: Date) -> Option<NextMeeting> {
    let sentence = &sentences[at];
    if !AGAIN.is_match(sentence.text) {
        return None;
    }
    let mut ids = vec![sentence.id];
    let when = match due.first() {
        Some(found) => found.due.clone(),
        None => {
            // "When do we speak again?" "Wednesday at ten."
            let reply =
                sentences.get(at + 1).filter(|s| s.start_ms - sentence.start_ms <= ANSWER_MS && s.words.len() <= 8)?;
            ids.push(reply.id);
            dates::find(reply.text, today).into_iter().next()?.due
        }
    };
    if is_question(sentence) && !due.is_empty() {
        ids.push(agreement(sentences, at)?.id);
    }
    Some(NextMeeting { id: ItemId::default(), when, cites: cites(&ids) })
}

fn question(sentences: &[Sentence<'_>], at: usize) -> Option<Cited> {
    let sentence = &sentences[at];
    if !is_question(sentence) || sentence.words.len() < 3 || SMALL_TALK.is_match(sentence.text) {
        return None;
    }
    // An asker who goes on to answer himself, or another who says anything that is neither a question nor "don't know".
    let mut ids = vec![sentence.id];
    for reply in replies(sentences, at) {
        if NO_ANSWER.is_match(reply.text) {
            ids.push(reply.id);
            break;
        }
        if !is_question(reply) {
            return None;
        }
    }
    Some(Cited { id: ItemId::default(), text: as_line(sentence.text), cites: cites(&ids) })
}

fn actions(sentences: &[Sentence<'_>], at: usize, speakers: &[String], today: Date) -> Vec<Action> {
    let sentence = &sentences[at];
    let triggers: Vec<_> = TRIGGER.captures_iter(sentence.text).collect();
    let mut out = Vec::new();
    for (index, trigger) in triggers.iter().enumerate() {
        let (Some(whole), Some(verb)) = (trigger.get(0), trigger.name("verb")) else { continue };
        let end = triggers.get(index + 1).and_then(|next| next.get(0)).map_or(sentence.text.len(), |next| next.start());
        let clause = &sentence.text[verb.start()..end];
        let clause_words = words(clause);
        if clause_words.len() < 2 || promises_nothing(&clause_words) {
            continue;
        }
        let before = sentence.text[..whole.start()].to_lowercase();
        if [
            "if ",
            "unless ",
            "when ",
            "whether ",
            "think ",
            "thought ",
            "hope ",
            "said ",
            "as soon as ",
            "until ",
            "what ",
            "how ",
        ]
        .iter()
        .any(|w| before.ends_with(w))
        {
            continue;
        }
        let mut ids = vec![sentence.id];
        let owner = if trigger.name("me").is_some() {
            if is_question(sentence) && index == 0 {
                continue;
            }
            Some(sentence.speaker.to_owned())
        } else if trigger.name("you").is_some() {
            // A name behind the request names who is asked; else it is whose who says yes.
            let named = named_at_end(clause, speakers);
            let agreed = agreement(sentences, at);
            if named.is_none() && agreed.is_none() {
                continue;
            }
            ids.extend(agreed.map(|reply| reply.id));
            named.or_else(|| agreed.map(|reply| reply.speaker.to_owned()))
        } else if let Some(name) = trigger.name("name") {
            match person(name.as_str(), speakers, sentences, verb.as_str()) {
                Some(person) => {
                    ids.extend(agreement(sentences, at).filter(|reply| reply.speaker == person).map(|reply| reply.id));
                    Some(person)
                }
                None => continue,
            }
        } else {
            if is_question(sentence) {
                continue;
            }
            None
        };
        let mut due = dates::find(clause, today).into_iter().next();
        let text = without_due(clause, due.as_ref(), owner.as_deref(), speakers);
        if words(&text).is_empty() {
            continue;
        }
        let mut due = due.take().map(|found| found.due);
        if due.is_none() && index + 1 == triggers.len() {
            due = due_behind(sentences, at, today, &mut ids);
        }
        out.push(Action { id: ItemId::default(), text, owner, due, cites: cites(&ids) });
    }
    out
}

fn promises_nothing(clause: &[String]) -> bool {
    let (verb, object) = (clause[0].as_str(), clause[1].as_str());
    if let Some((_, objects)) = IDLE_WITH_OBJECT.iter().find(|(idle, _)| *idle == verb) {
        return !clause.iter().skip(1).take(3).any(|w| objects.contains(&w.as_str()));
    }
    if verb == "do" {
        return ["that", "it", "so", "this", "my", "you", "the"].contains(&object) && clause.len() < 4;
    }
    IDLE.contains(&verb) || (object == "me" && ["hear", "see", "give", "let", "excuse"].contains(&verb))
}

/// "By Thursday." said by the same speaker right behind.
fn due_behind(sentences: &[Sentence<'_>], at: usize, today: Date, ids: &mut Vec<u64>) -> Option<Due> {
    let next = sentences
        .get(at + 1)
        .filter(|s| s.speaker == sentences[at].speaker && s.words.len() <= 7 && !is_question(s))?;
    if TRIGGER.is_match(next.text) || WE_DO.is_match(next.text) {
        return None;
    }
    let found = dates::find(next.text, today).into_iter().next()?;
    ids.push(next.id);
    Some(found.due)
}

/// The clause without its date where that ends it, without trailing names, joining words and stops.
fn without_due(clause: &str, due: Option<&dates::Found>, owner: Option<&str>, speakers: &[String]) -> String {
    let mut text = clause;
    if let Some(found) = due {
        let rest = words(&clause[found.range.end..]);
        if rest.is_empty()
            || rest.iter().all(|w| ["and", "then", "so", "please", "but", "ok", "okay"].contains(&w.as_str()))
        {
            text = &clause[..found.range.start];
        }
    }
    let mut text = text.trim().to_owned();
    loop {
        let before = text.len();
        text.truncate(text.trim_end_matches([' ', ',', '.', ';', '!', '?', '-', '–']).len());
        let last = words(&text).pop().unwrap_or_default();
        let is_owner = owner.is_some_and(|o| words(o).contains(&last))
            && text.contains(',')
            && named_at_end(&text, speakers).is_some();
        if is_owner || ["and", "but", "then", "so", "or", "please", "while"].contains(&last.as_str()) {
            let cut = text.rfind(|c: char| c.is_whitespace() || c == ',').unwrap_or(0);
            text.truncate(cut);
        }
        if text.len() == before {
            return text;
        }
    }
}

/// "…, Bob?": the speaker whose name ends the clause after a comma.
fn named_at_end(clause: &str, speakers: &[String]) -> Option<String> {
    let (_, last) = clause.rsplit_once(',')?;
    let last = words(last);
    speakers
        .iter()
        .find(|name| {
            let parts = words(name);
            !last.is_empty() && last.len() <= parts.len() && last.iter().all(|word| parts.contains(word))
        })
        .cloned()
}

/// Verbs that show that a capital letter in front of "will" is a person of whom something is wanted.
const PERSON_DOES: &[&str] = &[
    "send",
    "write",
    "call",
    "prepare",
    "fix",
    "check",
    "review",
    "book",
    "order",
    "update",
    "email",
    "mail",
    "finish",
    "share",
    "draft",
    "schedule",
    "organise",
    "organize",
    "add",
    "deliver",
    "test",
    "deploy",
    "create",
    "follow",
    "bring",
    "pay",
    "confirm",
    "contact",
    "arrange",
    "find",
    "handle",
    "post",
    "publish",
    "sign",
    "upload",
    "merge",
    "build",
    "design",
    "translate",
    "present",
    "document",
    "collect",
    "set",
    "look",
    "make",
    "take",
    "get",
    "buy",
    "ask",
    "tell",
    "do",
];

/// Who a name in front of "will" is: someone in the call, or someone else whose name is never written small in this call
/// and who is to do what persons do.
fn person(name: &str, speakers: &[String], sentences: &[Sentence<'_>], verb: &str) -> Option<String> {
    let parts = words(name);
    if let Some(speaker) = speakers.iter().find(|s| {
        let speaker = words(s);
        parts.iter().all(|part| speaker.contains(part))
    }) {
        return Some(speaker.clone());
    }
    let first = name.split(' ').next()?;
    let is_word = super::sentences::is_stop_word(&first.to_lowercase())
        || ["nobody", "everybody", "people", "customers", "it", "this", "that", "somebody", "someone"]
            .contains(&first.to_lowercase().as_str())
        || sentences.iter().any(|s| s.text.split(|c: char| !c.is_alphanumeric()).any(|w| w == first.to_lowercase()));
    (!is_word && PERSON_DOES.contains(&verb.to_lowercase().as_str())).then(|| name.to_owned())
}

/// Joins what says the same twice ("I'll send it" after "can you send it"): same telling words and no other owner.
fn merge(actions: &mut Vec<Action>, new: Action) {
    let telling = |text: &str| {
        let mut words: Vec<String> = words(text)
            .into_iter()
            .filter(|w| !super::sentences::is_stop_word(w))
            .map(|w| super::evidence::stem(&w))
            .collect();
        words.sort();
        words
    };
    let new_words = telling(&new.text);
    let same = actions.iter_mut().find(|old| {
        let owners_agree = old.owner.is_none() || new.owner.is_none() || old.owner == new.owner;
        let old_words = telling(&old.text);
        owners_agree
            && !new_words.is_empty()
            && (old_words == new_words || (new_words.iter().all(|w| old_words.contains(w)) && new_words.len() > 1))
    });
    match same {
        Some(old) => {
            old.cites.extend(new.cites);
            old.cites = cites(&old.cites);
            old.owner = old.owner.take().or(new.owner);
            old.due = old.due.take().or(new.due);
        }
        None => actions.push(new),
    }
}
