//! Sentences of a transcript with who said them and which utterance they are from.

use super::Transcript;

/// One sentence of one utterance.
#[derive(Debug, Clone)]
pub(super) struct Sentence<'a> {
    /// The utterance.
    pub(super) id: u64,
    /// Where it begins in the words of the utterance, in bytes.
    pub(super) at: usize,
    /// Who said it.
    pub(super) speaker: &'a str,
    /// When the utterance began, ms since the call began.
    pub(super) start_ms: i64,
    /// The words with their punctuation.
    pub(super) text: &'a str,
    /// Lower-case words without punctuation (apostrophes inside stay: "i'll").
    pub(super) words: Vec<String>,
}

/// All sentences in the order in which they were said.
pub(super) fn sentences(transcript: &Transcript) -> Vec<Sentence<'_>> {
    let mut order: Vec<_> = transcript.utterances.iter().collect();
    order.sort_by_key(|u| (u.start_ms, u.id));
    let mut out = Vec::new();
    for utterance in order {
        for text in split(&utterance.text) {
            let words = words(text);
            if !words.is_empty() {
                out.push(Sentence {
                    id: utterance.id,
                    at: text.as_ptr() as usize - utterance.text.as_ptr() as usize,
                    speaker: &utterance.speaker,
                    start_ms: utterance.start_ms,
                    text,
                    words,
                });
            }
        }
    }
    out
}

/// Splits at sentence ends. A stop between digits or behind an initial or a common short form ends nothing.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let end = at + character.len_utf8();
        let next = characters.peek().map(|(_, c)| *c);
        let is_end = match character {
            '?' | '!' | '。' | '？' => true,
            '.' => next.is_none_or(char::is_whitespace) && !is_short_form(&text[from..at]),
            '…' => next.is_none_or(char::is_whitespace),
            _ => false,
        };
        if is_end && next.is_none_or(|c| !matches!(c, '?' | '!' | '.' | '"' | '\'' | '”')) {
            out.push(text[from..end].trim());
            from = end;
        }
    }
    out.push(text[from..].trim());
    out.retain(|s| !s.is_empty());
    out
}

fn is_short_form(before: &str) -> bool {
    let last = before.rsplit(|c: char| c.is_whitespace()).next().unwrap_or("");
    let known = ["mr", "mrs", "ms", "dr", "st", "vs", "etc", "approx", "no", "e.g", "i.e", "a.m", "p.m", "a", "p"];
    // "no." ends a sentence far more often than it abbreviates a number; only before digits it does not, and those
    // follow a space, which is not seen here.
    (last.len() == 1 && last.chars().all(char::is_uppercase) && last != "I")
        || known.iter().any(|k| *k != "no" && last.eq_ignore_ascii_case(k) && last.len() > 1)
}

/// Lower-case words without punctuation around them.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '—' | '–' | '/' | '"' | '“' | '”' | '(' | ')'))
        .map(|word| {
            let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
            trimmed.replace(['’', '‘'], "'").to_lowercase()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// First letter large, a stop at the end: as a line of its own.
pub(super) fn as_line(text: &str) -> String {
    let text = text.trim().trim_start_matches([',', ';', '-', '–', '—', ' ']);
    let mut out = String::with_capacity(text.len() + 1);
    let mut characters = text.chars();
    if let Some(first) = characters.next() {
        out.extend(first.to_uppercase());
        out.push_str(characters.as_str());
    }
    if out.chars().last().is_some_and(char::is_alphanumeric) {
        out.push('.');
    }
    out
}

/// Words that carry no topic. Contractions are listed as they come out of [`words`].
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok() || word.chars().count() < 2 || word.contains('\'')
}

/// Whether a word is one of the small words of English.
pub(super) fn is_english_small(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Sorted: it is searched by halves.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "above",
    "actually",
    "after",
    "again",
    "all",
    "already",
    "alright",
    "also",
    "always",
    "am",
    "an",
    "and",
    "another",
    "any",
    "anybody",
    "anyone",
    "anything",
    "anyway",
    "are",
    "as",
    "ask",
    "at",
    "away",
    "back",
    "basically",
    "be",
    "because",
    "been",
    "before",
    "being",
    "best",
    "better",
    "between",
    "bit",
    "both",
    "but",
    "by",
    "bye",
    "call",
    "came",
    "can",
    "cannot",
    "come",
    "comes",
    "coming",
    "could",
    "day",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "down",
    "each",
    "either",
    "else",
    "enough",
    "even",
    "ever",
    "every",
    "everybody",
    "everyone",
    "everything",
    "far",
    "few",
    "find",
    "fine",
    "first",
    "for",
    "friday",
    "from",
    "get",
    "gets",
    "getting",
    "give",
    "go",
    "goes",
    "going",
    "gone",
    "gonna",
    "good",
    "got",
    "great",
    "had",
    "has",
    "have",
    "having",
    "he",
    "hear",
    "hello",
    "her",
    "here",
    "hers",
    "hey",
    "hi",
    "him",
    "his",
    "how",
    "however",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "keep",
    "kind",
    "knew",
    "know",
    "last",
    "later",
    "least",
    "less",
    "let",
    "like",
    "little",
    "long",
    "look",
    "looks",
    "lot",
    "made",
    "make",
    "makes",
    "many",
    "may",
    "maybe",
    "me",
    "mean",
    "might",
    "mine",
    "monday",
    "more",
    "most",
    "much",
    "must",
    "my",
    "need",
    "needs",
    "never",
    "next",
    "nice",
    "no",
    "nobody",
    "none",
    "not",
    "nothing",
    "now",
    "of",
    "off",
    "oh",
    "ok",
    "okay",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "ours",
    "out",
    "over",
    "own",
    "people",
    "perhaps",
    "please",
    "probably",
    "put",
    "quite",
    "rather",
    "really",
    "right",
    "said",
    "same",
    "saturday",
    "saw",
    "say",
    "says",
    "see",
    "seen",
    "shall",
    "she",
    "should",
    "since",
    "so",
    "some",
    "somebody",
    "someone",
    "something",
    "soon",
    "sorry",
    "still",
    "stuff",
    "such",
    "sunday",
    "sure",
    "take",
    "takes",
    "tell",
    "than",
    "thank",
    "thanks",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "think",
    "this",
    "those",
    "though",
    "thought",
    "thursday",
    "time",
    "to",
    "today",
    "together",
    "tomorrow",
    "tonight",
    "too",
    "tuesday",
    "uh",
    "um",
    "under",
    "until",
    "up",
    "us",
    "use",
    "very",
    "wait",
    "want",
    "wants",
    "was",
    "way",
    "we",
    "wednesday",
    "week",
    "well",
    "went",
    "were",
    "what",
    "whatever",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "whole",
    "whom",
    "why",
    "will",
    "with",
    "without",
    "would",
    "yeah",
    "year",
    "yes",
    "yesterday",
    "yet",
    "you",
    "your",
    "yours",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_people_stop() {
        let parts = split("We ship on Friday. At 3.30 p.m. Dr. Who calls? Yes!");
        assert_eq!(parts, ["We ship on Friday.", "At 3.30 p.m. Dr. Who calls?", "Yes!"]);
        assert_eq!(split("no stop"), ["no stop"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn stop_words_are_sorted_as_the_search_needs() {
        assert!(STOP_WORDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(is_stop_word("the") && !is_stop_word("release"));
    }
}
