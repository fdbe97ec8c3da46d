//! What of a clause is to be done: the wording without reasons, dates and names, and clauses that promise nothing.

use super::super::sentences::words;

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
    "actually",
    "probably",
    "get",
    "give",
    "lower",
    "raise",
    "let",
    "don't",
    "excuse",
    "forgive",
    "survive",
    "manage",
    "leave",
    "buy",
    "lose",
    "win",
    "regret",
    "forget",
    "work",
    "wants",
    "knows",
    "needs",
];
/// The same verbs with what makes them a promise.
const IDLE_UNLESS: &[(&str, &[&str])] = &[
    ("keep", &["you", "track", "notes", "them"]),
    ("speak", &["to", "with"]),
    ("start", &["the", "writing", "with", "working", "on"]),
    ("stop", &["the"]),
    ("explain", &["it", "this", "that", "the"]),
    ("come", &["back", "up", "over", "by"]),
    ("pass", &["it", "this", "that", "the"]),
    ("have", &["it", "that", "them", "the", "this", "somebody", "someone", "a", "my", "our"]),
    ("go", &["through", "over", "back", "to", "and"]),
    ("get", &["the", "a", "an", "it", "them", "back", "in", "you", "some", "two", "three", "one", "quotes"]),
    ("give", &["the", "it", "them", "him", "her", "a", "you"]),
    ("let", &["you", "them", "him", "her", "everyone"]),
    ("leave", &["the", "it", "them"]),
    ("buy", &["the", "a", "an", "some", "it", "them", "two", "new"]),
    ("lower", &["the"]),
    ("raise", &["the", "it", "a"]),
    ("wait", &["for", "until"]),
    ("be", &["there", "at", "on"]),
    ("see", &["if", "whether", "to", "what"]),
];

/// What stands before makes it a mere thought: "if I'll…", "he said Bob will…".
pub(super) fn is_condition(before: &str) -> bool {
    let before = before.to_lowercase();
    let ends = [
        "if ",
        "unless ",
        "when ",
        "whether ",
        "think ",
        "thought ",
        "hope ",
        "said ",
        "says ",
        "as soon as ",
        "until ",
        "what ",
        "how ",
        "maybe ",
        "perhaps ",
        "told me ",
        "in case ",
        "suppose ",
        "that ",
        "why ",
        "where ",
        "who ",
        "sure ",
    ];
    let starts = ["if ", "unless ", "in case ", "as long as ", "suppose ", "and if ", "but if ", "so if "];
    ends.iter().any(|w| before.ends_with(w) && *w != "that ") || starts.iter().any(|w| before.starts_with(w))
}

/// Whether the verb in front of a clause ("see", "tell you that") is nothing to be done. `dated`: a day stands in it.
pub(super) fn promises_nothing(clause: &[String], dated: bool) -> bool {
    let Some(verb) = clause.first().map(String::as_str) else { return true };
    let object = clause.get(1).map_or("", String::as_str);
    // "I'll give Rory a shout tonight", "I'll let them know tomorrow".
    if dated && ["give", "repeat", "let", "leave", "start", "buy", "get"].contains(&verb) && clause.len() > 2
        || verb == "let" && clause.len() > 3 && clause.iter().any(|word| word == "know") && object != "me"
    {
        return false;
    }
    if let Some((_, objects)) = IDLE_UNLESS.iter().find(|(idle, _)| *idle == verb) {
        return !objects.contains(&object) || (verb == "be" && !dated);
    }
    match verb {
        // How one travels is nobody's task.
        "take"
            if ["bus", "train", "tube", "car", "taxi", "plane", "tram"].contains(&clause.last().map_or("", |w| w)) =>
        {
            true
        }
        "do" => ["that", "it", "so", "this", "my"].contains(&object) && clause.len() < 4 || object == "my",
        "tell" => (object == "you" && !dated && clause.len() < 5) || object == "me",
        "ask" => ["you", "again", "that", "this", "if", "why"].contains(&object) || clause.len() < 2,
        "take" => ["that", "it"].contains(&object) && clause.len() < 3 && !dated,
        _ => {
            IDLE.contains(&verb) || (object == "me" && ["hear", "see", "give", "let", "excuse", "tell"].contains(&verb))
        }
    }
}

/// "…, it's on our way" says why, not what.
pub(super) fn without_why(clause: &str) -> &str {
    let whys = [
        ", it ",
        ", it's ",
        ", they ",
        ", because ",
        " because ",
        ", but ",
        ", that's ",
        ", since ",
        ", so ",
        ", he ",
        ", she ",
    ];
    let end = whys.iter().filter_map(|why| clause.find(why)).filter(|at| words(&clause[..*at]).len() >= 2).min();
    &clause[..end.unwrap_or(clause.len())]
}

/// The clause without its date where that ends it, without trailing names, joining words and stops.
pub(super) fn without_due(
    clause: &str,
    due: Option<std::ops::Range<usize>>,
    owner: Option<&str>,
    speakers: &[String],
) -> String {
    let mut text = clause.to_owned();
    if let Some(range) = due {
        let rest = words(&clause[range.end..]);
        let joining = ["and", "then", "so", "please", "but", "ok", "okay"];
        if rest.iter().all(|w| joining.contains(&w.as_str())) {
            text.truncate(range.start);
        }
    }
    loop {
        let before = text.len();
        text.truncate(text.trim_end_matches([' ', ',', '.', ';', '!', '?', '-', '–', ':']).len());
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
pub(super) fn named_at_end(clause: &str, speakers: &[String]) -> Option<String> {
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
