//! The queue of finished utterances: who is decoded next. Sans-IO.
//!
//! Oldest first, but one utterance per ear at a time, so that the utterances of a party come out in the order in which
//! they were said even with several workers. Bounded by the sound that waits.

use std::collections::{HashSet, VecDeque};

use super::PartyKey;
use super::listen::Heard;

/// Names one opening of an ear; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EarId(pub u64);

/// An utterance that waits for a worker.
pub struct Final {
    /// Whose ear.
    pub ear: EarId,
    /// Whose words, for the result.
    pub party: PartyKey,
    /// How often the ear was discarded when this was heard; a result of an older count is thrown away.
    pub epoch: u64,
    /// The sound.
    pub heard: Heard,
}

/// The queue.
pub struct Finals {
    waiting: VecDeque<Final>,
    decoding: HashSet<EarId>,
    waiting_ms: u64,
    limit_ms: u64,
}

impl Finals {
    /// An empty queue that holds at most `limit_ms` of sound (a single longer utterance is taken when it is empty).
    pub fn new(limit_ms: u64) -> Self {
        Self { waiting: VecDeque::new(), decoding: HashSet::new(), waiting_ms: 0, limit_ms }
    }

    /// Adds an utterance; gives it back if there is no room.
    pub fn push(&mut self, utterance: Final) -> Result<(), Final> {
        let length = utterance.heard.length_ms();
        if !self.waiting.is_empty() && self.waiting_ms + length > self.limit_ms {
            return Err(utterance);
        }
        self.waiting_ms += length;
        self.waiting.push_back(utterance);
        Ok(())
    }

    /// The oldest utterance whose ear no worker is busy with. Until [`Finals::done`] its ear is busy.
    pub fn start(&mut self) -> Option<Final> {
        let at = self.waiting.iter().position(|utterance| !self.decoding.contains(&utterance.ear))?;
        let utterance = self.waiting.remove(at)?;
        self.waiting_ms -= utterance.heard.length_ms();
        self.decoding.insert(utterance.ear);
        Some(utterance)
    }

    /// A worker is done with what [`Finals::start`] gave it for this ear.
    pub fn done(&mut self, ear: EarId) {
        self.decoding.remove(&ear);
    }

    /// Drops all that waits for this ear.
    pub fn discard(&mut self, ear: EarId) {
        self.waiting.retain(|utterance| utterance.ear != ear);
        self.waiting_ms = self.waiting.iter().map(|utterance| utterance.heard.length_ms()).sum();
    }

    /// Whether anything of this ear waits or is being decoded.
    pub fn pending(&self, ear: EarId) -> bool {
        self.decoding.contains(&ear) || self.waiting.iter().any(|utterance| utterance.ear == ear)
    }

    /// Sound that waits, in ms.
    pub fn waiting_ms(&self) -> u64 {
        self.waiting_ms
    }

    /// Utterances that workers have in hand.
    pub fn decoding(&self) -> usize {
        self.decoding.len()
    }

    /// Utterances that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utterance(ear: u64, start_ms: i64, length_ms: usize) -> Final {
        let heard = Heard {
            pcm: vec![0; length_ms * 16].into(),
            start_ms,
            end_ms: start_ms + length_ms as i64,
            voiced_ms: length_ms as i64,
            voice: 0.9,
        };
        Final { ear: EarId(ear), party: PartyKey(ear), epoch: 0, heard }
    }

    #[test]
    fn the_oldest_goes_first_but_a_party_never_overtakes_itself() {
        let mut finals = Finals::new(100_000);
        for (ear, start) in [(1, 0), (1, 10), (2, 20)] {
            assert!(finals.push(utterance(ear, start, 1000)).is_ok());
        }
        let order: Vec<i64> = std::iter::from_fn(|| finals.start().map(|f| f.heard.start_ms)).collect();
        assert_eq!(order, [0, 20], "the second of party 1 waits for the first");
        finals.done(EarId(1));
        assert_eq!(finals.start().map(|f| f.heard.start_ms), Some(10));
    }

    #[test]
    fn what_does_not_fit_is_given_back_and_room_returns() {
        let mut finals = Finals::new(2000);
        assert!(finals.push(utterance(1, 0, 1500)).is_ok());
        assert!(finals.push(utterance(2, 0, 1500)).is_err());
        assert!(finals.start().is_some());
        assert_eq!(finals.waiting_ms(), 0);
        assert!(finals.push(utterance(2, 0, 1500)).is_ok());
    }

    #[test]
    fn a_discarded_party_has_nothing_waiting_and_others_keep_theirs() {
        let mut finals = Finals::new(100_000);
        for ear in [1, 2, 1, 2] {
            assert!(finals.push(utterance(ear, 0, 500)).is_ok());
        }
        finals.discard(EarId(1));
        assert!(!finals.pending(EarId(1)));
        assert_eq!((finals.waiting(), finals.waiting_ms()), (2, 1000));
    }
}
