//! Utterances become turns: one message for each stretch of one speaker, edited while it goes on.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bridge::time::{Now, UnixMillis};

use super::PartyId;

/// A turn's message is edited at most this often.
const EDIT_EVERY: Duration = Duration::from_secs(2);
/// Silence after which the same speaker begins a new turn.
const NEW_TURN_AFTER: Duration = Duration::from_secs(30);
/// Characters after which a turn is full.
const FULL_TURN: usize = 600;

/// Unfinished words of which nothing more is heard for so long were none, or were lost.
const UNFINISHED_FOR: Duration = Duration::from_secs(15);

/// One stretch of one speaker as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Number of the turn in its call, from 0.
    pub number: u64,
    /// Whose line.
    pub party: PartyId,
    /// Which of several people on it.
    pub voice: Option<u8>,
    /// When the turn began.
    pub started: UnixMillis,
    /// Archive ids of its utterances, in order.
    pub utterances: Vec<i64>,
    /// What was said, utterance by utterance.
    pub text: Vec<String>,
    /// Words of an utterance that goes on.
    pub unfinished: Option<String>,
}

/// What to do with a turn's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptionOutput {
    /// Send the message.
    Post(Turn),
    /// Edit the message.
    Edit(Turn),
    /// Take the message away: what stood in it was no words.
    Retract(Turn),
}

/// A finished utterance.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Archive id.
    pub id: i64,
    /// Whose line.
    pub party: &'a PartyId,
    /// Which of several people on it.
    pub voice: Option<u8>,
    /// When it began.
    pub start: UnixMillis,
    /// When it ended.
    pub end: UnixMillis,
    /// The words.
    pub text: &'a str,
}

/// Builds turns; see the module's text. Drain [`Captions::poll_output`] after each call.
#[derive(Debug, Default)]
pub struct Captions {
    open: Option<Open>,
    /// Turns that somebody else's words ended while their own last utterance went on: they wait for its end.
    cut_short: Vec<Open>,
    next: u64,
    output: VecDeque<CaptionOutput>,
}

#[derive(Debug)]
struct Open {
    turn: Turn,
    last_end: UnixMillis,
    sent: Instant,
    dirty: bool,
    /// When its unfinished words last grew.
    grew: Instant,
}

impl Open {
    fn takes(&self, party: &PartyId, voice: Option<u8>, start: UnixMillis) -> bool {
        self.turn.party == *party
            && (self.turn.voice == voice || self.turn.utterances.is_empty())
            && start.since(self.last_end) < NEW_TURN_AFTER
            && self.turn.text.iter().map(String::len).sum::<usize>() < FULL_TURN
    }

    fn add(&mut self, said: &Said<'_>) {
        self.turn.utterances.push(said.id);
        self.turn.text.push(said.text.to_owned());
        self.turn.voice = said.voice;
        self.turn.unfinished = None;
        self.last_end = said.end;
        self.dirty = true;
    }

    /// Takes unfinished words off again. What is left to show.
    fn settle(mut self) -> Option<CaptionOutput> {
        let had = self.turn.unfinished.take().is_some();
        if self.turn.text.is_empty() {
            return Some(CaptionOutput::Retract(self.turn));
        }
        (self.dirty || had).then_some(CaptionOutput::Edit(self.turn))
    }
}

impl Captions {
    /// A finished utterance: it takes the place of the unfinished words of its line.
    pub fn handle_utterance(&mut self, now: Now, said: &Said<'_>) {
        if let Some(at) = self.cut_short.iter().position(|o| o.turn.party == *said.party) {
            let mut open = self.cut_short.remove(at);
            // Another voice of the same line: the words were that one's.
            if open.takes(said.party, said.voice, said.start) {
                open.add(said);
                self.output.push_back(CaptionOutput::Edit(open.turn));
                return;
            }
            self.output.extend(open.settle());
        }
        if !self.open.as_ref().is_some_and(|o| o.takes(said.party, said.voice, said.start)) {
            self.end_turn();
        }
        if let Some(open) = &mut self.open {
            open.add(said);
            self.handle_timeout(now);
            return;
        }
        self.begin(now, said.party, said.voice, said.start, said.end, None);
        if let Some(open) = &mut self.open {
            open.add(said);
            open.dirty = false;
            self.output.push_back(CaptionOutput::Post(open.turn.clone()));
        }
    }

    /// Words of an utterance that goes on. They never end somebody else's unfinished turn.
    pub fn handle_unfinished(&mut self, now: Now, party: &PartyId, start: UnixMillis, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let waiting = self.cut_short.iter_mut().find(|o| o.turn.party == *party);
        let theirs =
            waiting.or(self.open.as_mut().filter(|o| o.turn.party == *party && o.takes(party, o.turn.voice, start)));
        if let Some(open) = theirs {
            // What comes late is of an utterance that is finished.
            if start >= open.last_end && open.turn.unfinished.as_deref() != Some(text) {
                open.turn.unfinished = Some(text.to_owned());
                open.dirty = true;
                open.grew = now.mono;
                self.handle_timeout(now);
            }
            return;
        }
        if self.open.as_ref().is_some_and(|o| o.turn.unfinished.is_some()) {
            return;
        }
        self.end_turn();
        self.begin(now, party, None, start, start, Some(text.to_owned()));
        if let Some(open) = &self.open {
            self.output.push_back(CaptionOutput::Post(open.turn.clone()));
        }
    }

    fn begin(
        &mut self,
        now: Now,
        party: &PartyId,
        voice: Option<u8>,
        started: UnixMillis,
        last_end: UnixMillis,
        unfinished: Option<String>,
    ) {
        let turn = Turn {
            number: self.next,
            party: party.clone(),
            voice,
            started,
            utterances: Vec::new(),
            text: Vec::new(),
            unfinished,
        };
        self.next += 1;
        self.open = Some(Open { turn, last_end, sent: now.mono, dirty: false, grew: now.mono });
    }

    /// Somebody else speaks: what is not shown yet is shown; an utterance that goes on is waited for.
    fn end_turn(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.turn.unfinished.is_some() {
            self.cut_short.push(open);
        } else if open.dirty {
            self.output.push_back(CaptionOutput::Edit(open.turn));
        }
    }

    /// A timer ran out.
    pub fn handle_timeout(&mut self, now: Now) {
        let stale = |o: &Open| o.turn.unfinished.is_some() && now.mono >= o.grew + UNFINISHED_FOR;
        for open in self.cut_short.extract_if(.., |o| stale(o)).collect::<Vec<_>>() {
            self.output.extend(open.settle());
        }
        if let Some(open) = self.open.take_if(|o| stale(o) && o.turn.text.is_empty()) {
            self.output.extend(open.settle());
        }
        if let Some(open) = self.open.as_mut().filter(|o| stale(o)) {
            open.turn.unfinished = None;
            open.dirty = true;
        }
        for open in self.open.iter_mut().chain(&mut self.cut_short) {
            if open.dirty && now.mono >= open.sent + EDIT_EVERY {
                open.dirty = false;
                open.sent = now.mono;
                self.output.push_back(CaptionOutput::Edit(open.turn.clone()));
            }
        }
    }

    /// The call ends: what is not shown yet is shown, what was never finished is taken off.
    pub fn close(&mut self) {
        for open in self.cut_short.drain(..).chain(self.open.take()) {
            self.output.extend(open.settle());
        }
    }

    /// A party takes its grant back: its open turn is neither shown nor edited any more.
    pub fn discard(&mut self, party: &PartyId) {
        self.open.take_if(|o| o.turn.party == *party);
        self.cut_short.retain(|o| o.turn.party != *party);
        self.output.retain(|o| match o {
            CaptionOutput::Post(t) | CaptionOutput::Edit(t) | CaptionOutput::Retract(t) => t.party != *party,
        });
    }

    /// Somebody corrected what stands in a turn: `first` has the words of all of `of` now. Only a turn that goes on learns
    /// of it here; what is over was edited by whoever corrected it.
    pub fn correct(&mut self, of: &[i64], first: i64, text: &str) {
        for open in self.open.iter_mut().chain(&mut self.cut_short) {
            let turn = &mut open.turn;
            let Some(at) = turn.utterances.iter().position(|id| *id == first) else { continue };
            turn.text[at] = text.to_owned();
            let keep: Vec<bool> = turn.utterances.iter().map(|id| *id == first || !of.contains(id)).collect();
            let mut keeps = keep.iter();
            turn.text.retain(|_| keeps.next().copied().unwrap_or(true));
            let mut keeps = keep.iter();
            turn.utterances.retain(|_| keeps.next().copied().unwrap_or(true));
            open.dirty = true;
        }
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<CaptionOutput> {
        self.output.pop_front()
    }

    /// When [`Captions::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let of = |o: &Open| {
            let edit = o.dirty.then(|| o.sent + EDIT_EVERY);
            let stale = o.turn.unfinished.is_some().then(|| o.grew + UNFINISHED_FOR);
            [edit, stale].into_iter().flatten().min()
        };
        self.open.iter().chain(&self.cut_short).filter_map(of).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(c: &mut Captions, now: Now, id: i64, who: &str, text: &str) -> Vec<CaptionOutput> {
        let start = now.wall;
        let party = PartyId::new(who);
        let end = start.plus(Duration::from_millis(500));
        c.handle_utterance(now, &Said { id, party: &party, voice: None, start, end, text });
        drain(c)
    }

    fn goes_on(c: &mut Captions, now: Now, who: &str, text: &str) -> Vec<CaptionOutput> {
        c.handle_unfinished(now, &PartyId::new(who), now.wall, text);
        drain(c)
    }

    fn drain(c: &mut Captions) -> Vec<CaptionOutput> {
        std::iter::from_fn(|| c.poll_output()).collect()
    }

    fn start() -> Now {
        Now { mono: Instant::now(), wall: UnixMillis(0) }
    }

    #[test]
    fn the_first_utterance_is_posted_and_the_next_edited_in_at_most_every_two_seconds() {
        let (mut c, now) = (Captions::default(), start());
        assert!(matches!(&said(&mut c, now, 1, "bob", "One.")[..], [CaptionOutput::Post(t)] if t.text == ["One."]));
        assert!(said(&mut c, now.plus(Duration::from_secs(1)), 2, "bob", "Two.").is_empty());
        assert_eq!(c.poll_timeout(), Some(now.mono + EDIT_EVERY));
        c.handle_timeout(now.plus(EDIT_EVERY));
        assert!(
            matches!(c.poll_output(), Some(CaptionOutput::Edit(t)) if t.text == ["One.", "Two."] && t.utterances == [1, 2])
        );
        assert_eq!(c.poll_timeout(), None);
    }

    #[test]
    fn another_speaker_ends_the_turn_and_what_was_held_back_is_shown_first() {
        let (mut c, now) = (Captions::default(), start());
        said(&mut c, now, 1, "bob", "One.");
        said(&mut c, now, 2, "bob", "Two.");
        let out = said(&mut c, now, 3, "carol", "Three.");
        assert!(matches!(&out[..], [CaptionOutput::Edit(b), CaptionOutput::Post(c)] if b.number == 0 && c.number == 1));
    }

    #[test]
    fn a_long_pause_begins_a_new_turn() {
        let (mut c, now) = (Captions::default(), start());
        said(&mut c, now, 1, "bob", "One.");
        assert!(matches!(
            &said(&mut c, now.plus(Duration::from_secs(31)), 2, "bob", "Two.")[..],
            [CaptionOutput::Post(_)]
        ));
    }

    #[test]
    fn words_taken_back_are_never_shown() {
        let (mut c, now) = (Captions::default(), start());
        said(&mut c, now, 1, "bob", "One.");
        said(&mut c, now, 2, "bob", "Two.");
        c.discard(&PartyId::new("bob"));
        c.close();
        assert_eq!((c.poll_output(), c.poll_timeout()), (None, None));
    }

    #[test]
    fn unfinished_words_stand_in_the_turn_until_the_final_ones_come() {
        let (mut c, now) = (Captions::default(), start());
        let out = goes_on(&mut c, now, "bob", "We ship");
        assert!(
            matches!(&out[..], [CaptionOutput::Post(t)] if t.text.is_empty() && t.unfinished.as_deref() == Some("We ship"))
        );
        assert!(goes_on(&mut c, now.plus(Duration::from_secs(1)), "bob", "We ship on").is_empty(), "at most every 2 s");
        c.handle_timeout(now.plus(EDIT_EVERY));
        assert!(
            matches!(&drain(&mut c)[..], [CaptionOutput::Edit(t)] if t.unfinished.as_deref() == Some("We ship on"))
        );
        let out = said(&mut c, now.plus(EDIT_EVERY * 2), 1, "bob", "We ship on Friday.");
        assert!(
            matches!(&out[..], [CaptionOutput::Edit(t)] if t.text == ["We ship on Friday."] && t.unfinished.is_none() && t.number == 0),
            "{out:?}"
        );
    }

    #[test]
    fn words_of_another_do_not_tear_an_unfinished_turn_apart() {
        let (mut c, now) = (Captions::default(), start());
        goes_on(&mut c, now, "bob", "We ship");
        assert!(goes_on(&mut c, now, "carol", "Well").is_empty(), "Bob is still speaking");
        let out = said(&mut c, now, 1, "carol", "Well, yes.");
        assert!(matches!(&out[..], [CaptionOutput::Post(t)] if t.number == 1 && t.text == ["Well, yes."]), "{out:?}");
        let out = said(&mut c, now.plus(Duration::from_secs(3)), 2, "bob", "We ship on Friday.");
        assert!(
            matches!(&out[..], [CaptionOutput::Edit(t)] if t.number == 0 && t.text == ["We ship on Friday."] && t.unfinished.is_none()),
            "{out:?}"
        );
        let out = said(&mut c, now.plus(Duration::from_secs(4)), 3, "carol", "Good.");
        assert!(matches!(&out[..], [CaptionOutput::Edit(t)] if t.number == 1), "Carol's turn goes on: {out:?}");
    }

    #[test]
    fn unfinished_words_that_come_to_nothing_are_taken_away() {
        let (mut c, now) = (Captions::default(), start());
        goes_on(&mut c, now, "bob", "Thank you");
        assert_eq!(c.poll_timeout(), Some(now.mono + UNFINISHED_FOR));
        c.handle_timeout(now.plus(UNFINISHED_FOR));
        assert!(matches!(&drain(&mut c)[..], [CaptionOutput::Retract(t)] if t.number == 0));
        // Behind words that were said, only they stay.
        said(&mut c, now, 1, "bob", "One.");
        goes_on(&mut c, now.plus(Duration::from_secs(3)), "bob", "and");
        c.close();
        assert!(
            matches!(drain(&mut c).last(), Some(CaptionOutput::Edit(t)) if t.text == ["One."] && t.unfinished.is_none())
        );
        assert_eq!(c.poll_timeout(), None);
    }

    #[test]
    fn each_voice_of_a_shared_line_has_turns_of_its_own() {
        let (mut c, now) = (Captions::default(), start());
        let party = PartyId::new("phone");
        let mut out = Vec::new();
        for (id, voice) in [(1, 0), (2, 0), (3, 1)] {
            let end = now.wall.plus(Duration::from_millis(10));
            let said = Said { id, party: &party, voice: Some(voice), start: now.wall, end, text: "Words." };
            c.handle_utterance(now, &said);
            out.extend(drain(&mut c));
        }
        let turns: Vec<_> = out
            .iter()
            .map(|o| match o {
                CaptionOutput::Post(t) | CaptionOutput::Edit(t) | CaptionOutput::Retract(t) => (t.number, t.voice),
            })
            .collect();
        assert_eq!(turns, [(0, Some(0)), (0, Some(0)), (1, Some(1))]);
    }

    #[test]
    fn a_correction_stays_when_the_turn_goes_on() {
        let (mut c, now) = (Captions::default(), start());
        said(&mut c, now, 1, "bob", "We sheep");
        said(&mut c, now, 2, "bob", "on Friday.");
        c.correct(&[1, 2], 1, "We ship on Friday.");
        let out = said(&mut c, now.plus(EDIT_EVERY), 3, "bob", "Or later.");
        assert!(
            matches!(&out[..], [CaptionOutput::Edit(t)] if t.text == ["We ship on Friday.", "Or later."] && t.utterances == [1, 3]),
            "{out:?}"
        );
    }
}
