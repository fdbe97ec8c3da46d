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

/// One stretch of one speaker as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Number of the turn in its call, from 0.
    pub number: u64,
    /// Who speaks.
    pub party: PartyId,
    /// When the turn began.
    pub started: UnixMillis,
    /// Archive ids of its utterances, in order.
    pub utterances: Vec<i64>,
    /// What was said, utterance by utterance.
    pub text: Vec<String>,
}

/// What to do with a turn's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptionOutput {
    /// Send the message.
    Post(Turn),
    /// Edit the message.
    Edit(Turn),
}

/// Builds turns; see the module's text. Drain [`Captions::poll_output`] after each call.
#[derive(Debug, Default)]
pub struct Captions {
    open: Option<Open>,
    next: u64,
    output: VecDeque<CaptionOutput>,
}

#[derive(Debug)]
struct Open {
    turn: Turn,
    last_end: UnixMillis,
    sent: Instant,
    dirty: bool,
}

impl Captions {
    /// A finished utterance.
    pub fn handle_utterance(
        &mut self,
        now: Now,
        id: i64,
        party: &PartyId,
        start: UnixMillis,
        end: UnixMillis,
        text: &str,
    ) {
        let goes_on = self.open.as_ref().is_some_and(|o| {
            o.turn.party == *party
                && start.since(o.last_end) < NEW_TURN_AFTER
                && o.turn.text.iter().map(String::len).sum::<usize>() < FULL_TURN
        });
        if !goes_on {
            self.close();
        }
        if let Some(open) = &mut self.open {
            open.turn.utterances.push(id);
            open.turn.text.push(text.to_owned());
            open.last_end = end;
            open.dirty = true;
            self.handle_timeout(now);
            return;
        }
        let turn = Turn {
            number: self.next,
            party: party.clone(),
            started: start,
            utterances: vec![id],
            text: vec![text.to_owned()],
        };
        self.next += 1;
        self.output.push_back(CaptionOutput::Post(turn.clone()));
        self.open = Some(Open { turn, last_end: end, sent: now.mono, dirty: false });
    }

    /// A timer ran out.
    pub fn handle_timeout(&mut self, now: Now) {
        if let Some(open) = self.open.as_mut().filter(|o| o.dirty && now.mono >= o.sent + EDIT_EVERY) {
            open.dirty = false;
            open.sent = now.mono;
            self.output.push_back(CaptionOutput::Edit(open.turn.clone()));
        }
    }

    /// The call ends, or somebody else speaks: what is not shown yet is shown.
    pub fn close(&mut self) {
        if let Some(open) = self.open.take().filter(|o| o.dirty) {
            self.output.push_back(CaptionOutput::Edit(open.turn));
        }
    }

    /// A party takes its grant back: its open turn is neither shown nor edited any more.
    pub fn discard(&mut self, party: &PartyId) {
        self.open.take_if(|o| o.turn.party == *party);
        self.output.retain(|o| match o {
            CaptionOutput::Post(t) | CaptionOutput::Edit(t) => t.party != *party,
        });
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<CaptionOutput> {
        self.output.pop_front()
    }

    /// When [`Captions::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.open.as_ref().filter(|o| o.dirty).map(|o| o.sent + EDIT_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(c: &mut Captions, now: Now, id: i64, who: &str, text: &str) -> Vec<CaptionOutput> {
        let start = now.wall;
        c.handle_utterance(now, id, &PartyId::new(who), start, start.plus(Duration::from_millis(500)), text);
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
}
