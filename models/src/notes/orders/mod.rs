//! Words of a call that are meant for whoever writes its notes. They stay in the transcript and go nowhere else: no item, no
//! sentence, no title rests on them, whoever writes.
//!
//! 1. Unmistakable ones ([`wording::is_unmistakable`]): the machine is addressed, its instructions are overridden, what the notes
//!    are to say is dictated, or the output of a program is read out.
//! 2. Doubtful ones ([`wording::doubtful`]): "write down that we ship on Friday" may be said to a person. It was if another takes it
//!    on ("sure"), or if somebody says of themselves that they will. Else it is an order.
//! 3. What the same speaker goes on to say: in the same utterance, in the next breath, or as the dictation that was announced
//!    ("note taker?" – "who are you talking to?" – "Ann owes me a million").
//! 4. The same claim again by the speaker who wanted it written.
//!
//! Others' answers to an order are honest speech and stay; only prose does not quote a denial of what nobody said before.

mod languages;
mod wording;

use std::collections::{HashMap, HashSet};

use super::evidence::denies;
use super::roots::root;
use super::sentences::{Sentence, is_stop_word, split, words};
use super::{SaidUtterance, Transcript};

/// The same speaker without another in between goes on within this time.
const BREATH_MS: i64 = 3000;
/// What was announced comes within this time, whoever asks in between.
const ANNOUNCED_MS: i64 = 20_000;
/// An order goes on over so many utterances at most: a mistake of ours must not silence a speaker.
const GOES_ON: u32 = 2;
/// Utterances of others behind an order that may deny it.
const DENIALS: usize = 3;
/// How long behind an order somebody answers it.
const ANSWER_MS: i64 = 30_000;
/// Telling words in common that make a later sentence the same claim.
const SAME_WORDS: usize = 3;
/// Share of a sentence's telling words that the order has too.
const SAME_SHARE: f32 = 0.6;

/// Whether a sentence alone is an order to the machine, as far as it tells without what others answer.
pub(crate) fn is_order(sentence: &str) -> bool {
    wording::is_unmistakable(sentence) || wording::doubtful(sentence).is_some_and(|order| !order.of_oneself)
}

/// The words of an utterance up to where it speaks to the machine, without looking at what others say.
pub(super) fn without_orders(text: &str) -> &str {
    let order = split(text).into_iter().find(|sentence| is_order(sentence));
    &text[..order.map_or(text.len(), |sentence| place(text, sentence))]
}

/// Where a part begins in its text, in bytes.
fn place(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// What of a call was said to the machine.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Utterance: from which byte on.
    from: HashMap<u64, usize>,
    /// Sentences that deny an order, by utterance and byte.
    denials: HashSet<(u64, usize)>,
}

/// An order that may go on.
struct Open<'t> {
    speaker: &'t str,
    ends_ms: i64,
    /// What is to be written has not been said yet.
    announced: bool,
    /// Over how many utterances it has gone on.
    gone_on: u32,
    /// Others spoke since.
    answered: bool,
}

/// What somebody wanted written.
struct Claim<'t> {
    speaker: &'t str,
    roots: HashSet<String>,
    ends_ms: i64,
    /// Utterances since.
    age: usize,
}

impl Orders {
    /// Looks through a whole call: some ms for an hour.
    pub(crate) fn of(transcript: &Transcript) -> Self {
        let mut order: Vec<&SaidUtterance> = transcript.utterances.iter().collect();
        order.sort_by_key(|u| (u.start_ms, u.id));
        let mut orders = Self::default();
        let mut open: Option<Open<'_>> = None;
        let mut claims: Vec<Claim<'_>> = Vec::new();
        for (at, said) in order.iter().enumerate() {
            let speaks_on = open.as_ref().is_some_and(|open| open.goes_on_in(said));
            let from = if speaks_on { Some(0) } else { begins(said, &order[at + 1..], &claims) };
            let Some(from) = from else {
                orders.note_denials(said, &claims);
                claims.iter_mut().for_each(|claim| claim.age += 1);
                match &mut open {
                    Some(order) if order.speaker != said.speaker => order.answered = true,
                    _ => open = None,
                }
                continue;
            };
            orders.from.insert(said.id, from);
            let text = &said.text[from..];
            let before = open.take().filter(|_| speaks_on).map_or(0, |open| open.gone_on + 1);
            open = Some(Open {
                speaker: &said.speaker,
                ends_ms: said.end_ms.max(said.start_ms),
                announced: before < GOES_ON && announces(text),
                gone_on: before,
                answered: false,
            });
            claims.push(Claim { speaker: &said.speaker, roots: telling(text), ends_ms: said.end_ms, age: 0 });
        }
        orders
    }

    /// The words of an utterance up to where it speaks to the machine.
    pub(crate) fn without<'t>(&self, said: &'t SaidUtterance) -> &'t str {
        &said.text[..self.from.get(&said.id).copied().unwrap_or(said.text.len())]
    }

    /// Leaves out what was said to the machine.
    pub(crate) fn withhold<'t>(&self, sentences: Vec<Sentence<'t>>) -> Vec<Sentence<'t>> {
        sentences.into_iter().filter(|s| self.from.get(&s.id).is_none_or(|from| s.at < *from)).collect()
    }

    /// Whether a sentence denies what somebody wanted written: true, but no matter of the call.
    pub(crate) fn is_denial(&self, sentence: &Sentence<'_>) -> bool {
        self.denials.contains(&(sentence.id, sentence.at))
    }

    fn note_denials(&mut self, said: &SaidUtterance, claims: &[Claim<'_>]) {
        let recent = |claim: &&Claim<'_>| {
            claim.speaker != said.speaker && claim.age < DENIALS && said.start_ms - claim.ends_ms <= ANSWER_MS
        };
        for claim in claims.iter().filter(recent) {
            for sentence in split(&said.text) {
                let roots = telling(sentence);
                let shared = roots.intersection(&claim.roots).count();
                let asks = sentence.ends_with('?') && !wording::is_request(sentence);
                if shared > 0 && shared * 2 >= roots.len() && (asks || denies(sentence)) {
                    self.denials.insert((said.id, place(&said.text, sentence)));
                }
            }
        }
    }
}

impl Open<'_> {
    /// Whether an utterance is what the order goes on with.
    fn goes_on_in(&self, said: &SaidUtterance) -> bool {
        let pause = said.start_ms - self.ends_ms;
        let soon = if self.announced { pause <= ANNOUNCED_MS } else { pause <= BREATH_MS && !self.answered };
        soon && self.speaker == said.speaker && self.gone_on < GOES_ON && !wording::turns_away(&said.text)
    }
}

/// From which byte on an utterance is an order. `behind`: what follows it.
fn begins(said: &SaidUtterance, behind: &[&SaidUtterance], claims: &[Claim<'_>]) -> Option<usize> {
    let sentences = split(&said.text);
    let is_order = |index: usize, sentence: &str| {
        if wording::is_unmistakable(sentence) || again(sentence, &said.speaker, claims) {
            return true;
        }
        let Some(order) = wording::doubtful(sentence) else { return false };
        // Whoever goes on in the same utterance does not wait for an answer.
        let last = index + 1 == sentences.len();
        !(order.of_oneself || last && is_taken_on(said, behind))
    };
    let first = sentences.iter().enumerate().find(|(index, sentence)| is_order(*index, sentence))?;
    Some(place(&said.text, first.1))
}

/// Whether the first thing that another says is that they will do it.
fn is_taken_on(said: &SaidUtterance, behind: &[&SaidUtterance]) -> bool {
    let reply = behind.iter().find(|other| other.speaker != said.speaker);
    reply.is_some_and(|reply| {
        reply.start_ms - said.end_ms <= ANSWER_MS && split(&reply.text).first().is_some_and(|s| wording::takes_on(s))
    })
}

/// Whether a speaker says again what they wanted written.
fn again(sentence: &str, speaker: &str, claims: &[Claim<'_>]) -> bool {
    let roots = telling(sentence);
    claims.iter().filter(|claim| claim.speaker == speaker).any(|claim| {
        let shared = roots.intersection(&claim.roots).count();
        shared >= SAME_WORDS && shared as f32 >= roots.len() as f32 * SAME_SHARE
    })
}

/// Whether an order says only that something is to be written, not what.
fn announces(text: &str) -> bool {
    telling(text).iter().filter(|word| !wording::is_of_orders(word)).count() < 2
}

fn telling(text: &str) -> HashSet<String> {
    words(text).iter().filter(|w| !is_stop_word(w)).map(|w| root(w)).collect()
}

#[cfg(test)]
mod tests;
