//! Who of several people on one line said which words of an utterance: words with their times, and spans in which each voice
//! was heard, become one utterance for each stretch of one voice. Sans-IO.
//!
//! Both are estimates: words are placed to about a quarter of a second, spans come and go at breaths. So each word is not
//! simply given to whoever is heard in its middle: of all ways to share the words out, that is taken in which the least time
//! stands under a voice that is not heard there, where every change of voice costs something; least at the end of a sentence,
//! more at a comma or a pause, most within a phrase. A flicker of a third of a second changes nothing, an interjected "Yes."
//! has a stretch of its own. Where nobody known is heard for long, the words have no voice: better none than a wrong one.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Utterance, Voice, Word};
use crate::speakers::VoiceSpan;

/// What a change of voice costs, in ms of speech under a wrong voice: behind the end of a sentence ...
const BEHIND_SENTENCE: i64 = 100;
/// ... at a comma or a pause ...
const AT_PAUSE: i64 = 250;
/// ... and between any two words.
const WITHIN: i64 = 450;
/// Silence between two words that is a pause, in ms.
const PAUSE_MS: i64 = 120;
/// What a change to or from nobody costs on top: who speaks softly is not somebody else.
const NOBODY: i64 = 200;

/// Shares an utterance out among the voices that were heard while it was said. No word and no character of the text is lost,
/// changed or moved; only the blanks where it is cut fall away. Where the recogniser tells no words, or text without blanks
/// between them, all of it is one stretch, of the voice that was heard most. Times of stretches are those of their words, the
/// first begins and the last ends with the utterance.
pub fn share_out(mut whole: Utterance, spans: &[VoiceSpan]) -> Vec<Utterance> {
    let Some(places) = places(&whole.text, &whole.words) else {
        let all = [Said { range: whole.start_ms..whole.end_ms, change: 0 }];
        whole.voice = assign(&all, spans).first().copied().flatten();
        return vec![whole];
    };
    let said: Vec<Said> = whole.words.iter().enumerate().map(|(at, word)| Said::of(&whole.words, at, word)).collect();
    let voices = assign(&said, spans);
    let mut cuts: Vec<usize> = (1..voices.len()).filter(|at| voices[*at] != voices[*at - 1]).collect();
    if cuts.is_empty() {
        whole.voice = voices.first().copied().flatten();
        return vec![whole];
    }
    cuts.push(voices.len());
    let mut words = std::mem::take(&mut whole.words).into_iter();
    let (mut parts, mut from, mut begins) = (Vec::with_capacity(cuts.len()), 0, whole.start_ms);
    for to in cuts {
        let words: Vec<Word> = words.by_ref().take(to - from).collect();
        let last = to == voices.len();
        let start_ms = if from == 0 { whole.start_ms } else { words[0].start_ms.clamp(begins, whole.end_ms) };
        let ends = words.iter().map(|word| word.end_ms).max().unwrap_or(start_ms);
        let end_ms = if last { whole.end_ms } else { ends.clamp(start_ms, whole.end_ms) };
        begins = start_ms;
        parts.push(Utterance {
            party: whole.party,
            start_ms,
            end_ms,
            text: Zeroizing::new(whole.text[places[from].start..places[to - 1].end].to_owned()),
            confidence: whole.confidence,
            words,
            language: whole.language.clone(),
            voice: voices[from],
            recogniser: whole.recogniser.clone(),
        });
        from = to;
    }
    parts
}

/// Where in the text each word stands; `None` where the words are not the text's.
fn places(text: &str, words: &[Word]) -> Option<Vec<Range<usize>>> {
    let mut places = Vec::with_capacity(words.len());
    for part in text.split_whitespace() {
        let word = words.get(places.len())?;
        // Both are parts of one text: the distance of their beginnings is the place.
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        (word.text.as_str() == part).then(|| places.push(start..start + part.len()))?;
    }
    (!places.is_empty() && places.len() == words.len()).then_some(places)
}

/// A word as the sharing sees it.
struct Said {
    range: Range<i64>,
    /// What it costs if the word before it has another voice.
    change: i64,
}

impl Said {
    fn of(words: &[Word], at: usize, word: &Word) -> Self {
        let change = match at.checked_sub(1).and_then(|before| words.get(before)) {
            None => 0,
            Some(before) => {
                let mark = before.text.trim_end_matches(['"', '\'', ')', '»', '”', '’']).chars().next_back();
                let pause = word.start_ms.saturating_sub(before.end_ms) >= PAUSE_MS;
                match mark {
                    Some('.' | '?' | '!' | '…' | '。' | '？' | '！') => BEHIND_SENTENCE,
                    Some(',' | ';' | ':' | '-' | '–' | '—' | '、') => AT_PAUSE,
                    _ if pause => AT_PAUSE,
                    _ => WITHIN,
                }
            }
        };
        Self { range: word.start_ms..word.end_ms, change }
    }

    fn length(&self) -> i64 {
        self.range.end.saturating_sub(self.range.start).max(0)
    }

    /// For how long of it this voice is heard, in ms.
    fn heard(&self, voice: Voice, spans: &[VoiceSpan]) -> i64 {
        let own = spans.iter().filter(|span| span.voice == voice);
        let both = own.map(|span| span.end_ms.min(self.range.end).saturating_sub(span.start_ms.max(self.range.start)));
        both.map(|ms| ms.max(0)).fold(0, i64::saturating_add).min(self.length())
    }
}

/// The voice of each word: the cheapest way through (Viterbi's). Of two that are equal the one with fewer changes, then the
/// voice that was told first.
fn assign(words: &[Said], spans: &[VoiceSpan]) -> Vec<Option<Voice>> {
    let mut voices: Vec<Option<Voice>> = spans.iter().map(|span| Some(span.voice)).collect();
    voices.sort_unstable();
    voices.dedup();
    if voices.is_empty() {
        return vec![None; words.len()];
    }
    voices.push(None);
    let wrong = |word: &Said, voice: Option<Voice>| match voice {
        Some(voice) => word.length() - word.heard(voice, spans),
        // Half as much as a voice that is not heard, and as much where one is heard all the time.
        None => {
            let heard = voices.iter().flatten().map(|voice| word.heard(*voice, spans)).max().unwrap_or(0);
            word.length() / 2 + heard / 2
        }
    };
    let change = |word: &Said, from: Option<Voice>, to: Option<Voice>| match (from, to) {
        _ if from == to => 0,
        (Some(_), Some(_)) => word.change,
        _ => word.change + NOBODY,
    };
    // Cost of the best way that ends with each voice, and from where each word's voice came.
    let mut costs = vec![0i64; voices.len()];
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(words.len());
    for (number, word) in words.iter().enumerate() {
        let (mut next, mut way) = (Vec::with_capacity(voices.len()), Vec::with_capacity(voices.len()));
        for (to, voice) in voices.iter().enumerate() {
            // Staying comes first: only what is cheaper takes its place.
            let (mut from, mut cost) = (to, costs[to]);
            for (other, before) in voices.iter().enumerate().filter(|_| number > 0) {
                let dearer = costs[other].saturating_add(change(word, *before, *voice));
                if dearer < cost {
                    (from, cost) = (other, dearer);
                }
            }
            next.push(cost.saturating_add(wrong(word, *voice)));
            way.push(from);
        }
        costs = next;
        ways.push(way);
    }
    let mut at = (0..costs.len()).min_by_key(|at| (costs[*at], *at)).unwrap_or(0);
    let mut assigned: Vec<Option<Voice>> = Vec::with_capacity(words.len());
    for way in ways.iter().rev() {
        assigned.push(voices[at]);
        at = way[at];
    }
    assigned.reverse();
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartyKey;
    use proptest::prelude::*;

    const A: Voice = Voice(0);
    const B: Voice = Voice(1);

    /// Words of 300 ms each with 20 ms between them, from 1 s on; a bar is a pause of 400 ms.
    fn utterance(text: &str) -> Utterance {
        let (mut at, mut words, mut plain) = (1000, Vec::new(), Vec::new());
        for part in text.split(' ') {
            if part == "|" {
                at += 400;
                continue;
            }
            plain.push(part);
            words.push(Word {
                text: Zeroizing::new(part.to_owned()),
                start_ms: at,
                end_ms: at + 300,
                probability: 0.9,
            });
            at += 320;
        }
        Utterance {
            party: PartyKey(3),
            start_ms: 950,
            end_ms: at + 50,
            text: Zeroizing::new(plain.join(" ")),
            confidence: 0.9,
            words,
            language: Some("en".to_owned()),
            voice: None,
            recogniser: "test".into(),
        }
    }

    fn span(voice: Voice, start_ms: i64, end_ms: i64) -> VoiceSpan {
        VoiceSpan { voice, start_ms, end_ms }
    }

    fn told(text: &str, spans: &[VoiceSpan]) -> Vec<(Option<u8>, String)> {
        let parts = share_out(utterance(text), spans);
        parts.into_iter().map(|part| (part.voice.map(|v| v.0), part.text.to_string())).collect()
    }

    fn expect(pairs: &[(Option<u8>, &str)]) -> Vec<(Option<u8>, String)> {
        pairs.iter().map(|(voice, text)| (*voice, (*text).to_owned())).collect()
    }

    #[test]
    fn where_the_voice_changes_the_words_are_cut_at_the_end_of_the_sentence() {
        // The second voice is heard 200 ms late: no word of its sentence stays with the first.
        let spans = [span(A, 950, 2200), span(B, 2160, 3600)];
        assert_eq!(
            told("When do we ship? On Friday we ship.", &spans),
            expect(&[(Some(0), "When do we ship?"), (Some(1), "On Friday we ship.")])
        );
    }

    #[test]
    fn one_voice_makes_one_stretch_and_keeps_all_that_the_utterance_had() {
        let parts = share_out(utterance("We ship on Friday."), &[span(B, 1000, 2300)]);
        assert_eq!(parts.len(), 1);
        assert_eq!((parts[0].voice, parts[0].words.len(), parts[0].start_ms), (Some(B), 4, 950));
        assert_eq!(parts[0].text.as_str(), "We ship on Friday.");
    }

    #[test]
    fn a_flicker_within_a_phrase_changes_nothing() {
        let spans = [span(A, 950, 1950), span(B, 1960, 2260), span(A, 2270, 4000)];
        assert_eq!(told("we ship it on Friday then", &spans), expect(&[(Some(0), "we ship it on Friday then")]));
    }

    #[test]
    fn an_interjection_of_one_word_has_a_stretch_of_its_own() {
        let spans = [span(A, 950, 2240), span(B, 2250, 2600), span(A, 2590, 4000)];
        assert_eq!(
            told("We ship on Friday. Yes. And then we rest.", &spans),
            expect(&[(Some(0), "We ship on Friday."), (Some(1), "Yes."), (Some(0), "And then we rest.")])
        );
    }

    #[test]
    fn two_who_speak_at_once_do_not_tear_the_words_apart() {
        let spans = [span(A, 950, 4000), span(B, 1500, 3000)];
        assert_eq!(told("we ship it on Friday then", &spans), expect(&[(Some(0), "we ship it on Friday then")]));
    }

    #[test]
    fn what_nobody_known_said_has_no_voice() {
        let text = "Who is that please? | We ship on Friday.";
        assert_eq!(
            told(text, &[span(A, 2650, 4000)]),
            expect(&[(None, "Who is that please?"), (Some(0), "We ship on Friday.")])
        );
        assert_eq!(told("We ship.", &[]), expect(&[(None, "We ship.")]));
        assert_eq!(told("We ship on Friday.", &[span(A, 1000, 1100)]), expect(&[(None, "We ship on Friday.")]));
    }

    #[test]
    fn a_soft_word_at_the_end_stays_with_its_speaker() {
        assert_eq!(
            told("We ship on Friday or so", &[span(A, 950, 2500)]),
            expect(&[(Some(0), "We ship on Friday or so")])
        );
    }

    #[test]
    fn without_words_all_of_it_is_of_who_was_heard_most() {
        let mut bare = utterance("We ship. On Friday.");
        bare.words.clear();
        let parts = share_out(bare, &[span(A, 950, 1400), span(B, 1400, 2300)]);
        assert_eq!(parts.len(), 1);
        assert_eq!((parts[0].voice, parts[0].text.as_str()), (Some(B), "We ship. On Friday."));
        let mut other = utterance("We ship.");
        other.words[1].text = Zeroizing::new("sail.".to_owned());
        let parts = share_out(other, &[span(A, 950, 1200), span(B, 1300, 1700)]);
        assert_eq!((parts.len(), parts[0].text.as_str(), parts[0].words.len()), (1, "We ship.", 2));
    }

    fn any_utterance() -> impl Strategy<Value = Utterance> {
        let word = ("[a-zé,.?]{1,6}", 0..200i64, 0..900i64, "[ \t]{1,3}");
        (prop::collection::vec(word, 0..25), "[ ]{0,2}").prop_map(|(words, before)| {
            let (mut text, mut at, mut timed) = (before, 500, Vec::new());
            for (word, gap, length, blank) in words {
                at += gap;
                timed.push(Word {
                    text: Zeroizing::new(word.clone()),
                    start_ms: at,
                    end_ms: at + length,
                    probability: 0.5,
                });
                text = text + &word + &blank;
                at += length / 2;
            }
            Utterance {
                party: PartyKey(1),
                start_ms: 480,
                end_ms: timed.iter().map(|w| w.end_ms).max().unwrap_or(480) + 20,
                text: Zeroizing::new(text.trim().to_owned()),
                confidence: 0.5,
                words: timed,
                language: None,
                voice: None,
                recogniser: "test".into(),
            }
        })
    }

    fn any_spans() -> impl Strategy<Value = Vec<VoiceSpan>> {
        let one = (0..8u8, 0..20_000i64, 1..4000i64);
        let spans = prop::collection::vec(one, 0..12);
        spans.prop_map(|all| all.into_iter().map(|(v, start, length)| span(Voice(v), start, start + length)).collect())
    }

    fn as_told(parts: &[Utterance]) -> Vec<(Option<Voice>, i64, i64, String)> {
        parts.iter().map(|part| (part.voice, part.start_ms, part.end_ms, part.text.to_string())).collect()
    }

    proptest! {
        #[test]
        fn all_words_come_once_in_order_within_their_stretch_and_the_same_each_time(
            whole in any_utterance(), spans in any_spans(),
        ) {
            let parts = share_out(whole.clone(), &spans);
            let words: Vec<Word> = parts.iter().flat_map(|part| part.words.iter().cloned()).collect();
            prop_assert!(words == whole.words);
            let said: Vec<&str> = parts.iter().flat_map(|part| part.text.split_whitespace()).collect();
            prop_assert_eq!(said, whole.text.split_whitespace().collect::<Vec<_>>());
            let mut behind = 0;
            for part in &parts {
                // Each text is a piece of the whole, with the blanks within it as they were.
                let at = whole.text[behind..].find(part.text.as_str());
                prop_assert!(at.is_some() && (part.text.trim() == part.text.as_str() || parts.len() == 1));
                behind += at.unwrap() + part.text.len();
                prop_assert!(part.start_ms <= part.end_ms);
                prop_assert!(part.start_ms >= whole.start_ms && part.end_ms <= whole.end_ms);
                for word in &part.words {
                    prop_assert!(part.start_ms <= word.start_ms && word.end_ms <= part.end_ms, "{part:?} {word:?}");
                }
                prop_assert!(parts.len() == 1 || !part.words.is_empty());
            }
            prop_assert_eq!(parts[0].start_ms, whole.start_ms);
            prop_assert_eq!(parts[parts.len() - 1].end_ms, whole.end_ms);
            prop_assert!(parts.windows(2).all(|pair| pair[0].voice != pair[1].voice && pair[0].start_ms <= pair[1].start_ms));
            let known: Vec<Voice> = spans.iter().map(|span| span.voice).collect();
            prop_assert!(parts.iter().filter_map(|part| part.voice).all(|voice| known.contains(&voice)));
            prop_assert_eq!(as_told(&share_out(whole, &spans)), as_told(&parts));
        }

        #[test]
        fn who_alone_was_heard_all_the_time_said_it_all(whole in any_utterance(), voice in 0..8u8) {
            let end_ms = whole.end_ms;
            let parts = share_out(whole, &[span(Voice(voice), 0, end_ms)]);
            prop_assert!(parts.len() == 1 && parts[0].voice == Some(Voice(voice)));
        }

        #[test]
        fn any_times_are_borne(times in prop::collection::vec((any::<i64>(), any::<i64>()), 1..6), spans in prop::collection::vec((0..8u8, any::<i64>(), any::<i64>()), 0..4)) {
            let mut strange = utterance("one two. three four, five six");
            strange.words.iter_mut().zip(&times).for_each(|(word, (start, end))| (word.start_ms, word.end_ms) = (*start, *end));
            let spans: Vec<VoiceSpan> = spans.into_iter().map(|(v, start, end)| span(Voice(v), start, end)).collect();
            let parts = share_out(strange, &spans);
            prop_assert_eq!(parts.iter().map(|part| part.words.len()).sum::<usize>(), 6);
        }
    }
}
