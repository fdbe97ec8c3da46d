//! What the voices of a shared line are called through a call: A, B, C, … in the order in which they are first told.
//!
//! Each ear counts its voices from the first, and a line can have several ears in one call: one for each time it joins, and a
//! new one where the room sets another language. "Speaker A" of two ears may be two people, so each voice of each ear has a
//! letter of its own, which no other has before the line's words are taken back.

use std::collections::HashMap;

use models::{PartyKey, Voice};

use crate::desk::PartyId;

/// Letters are A to Z: who comes after that has none.
const LETTERS: usize = 26;

/// The letters of one call.
#[derive(Default)]
pub(super) struct Letters(HashMap<PartyId, Vec<(PartyKey, Voice)>>);

impl Letters {
    /// The call's number of a voice that an ear has told.
    pub(super) fn of(&mut self, party: &PartyId, ear: PartyKey, voice: Voice) -> Option<Voice> {
        let told = self.0.entry(party.clone()).or_default();
        let at = told.iter().position(|known| *known == (ear, voice)).unwrap_or_else(|| {
            if told.len() < LETTERS {
                told.push((ear, voice));
                told.len() - 1
            } else {
                LETTERS
            }
        });
        u8::try_from(at).ok().filter(|at| usize::from(*at) < LETTERS).map(Voice)
    }

    /// All that the line has said is taken back.
    pub(super) fn forget(&mut self, party: &PartyId) {
        self.0.remove(party);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ears_of_a_line_never_give_two_people_one_letter() {
        let (hall, desk) = (PartyId::new("@hall:hs"), PartyId::new("@desk:hs"));
        let mut letters = Letters::default();
        let mut of = |party: &PartyId, ear: u64, voice: u8| letters.of(party, PartyKey(ear), Voice(voice)).map(|v| v.0);
        assert_eq!((of(&hall, 1, 0), of(&hall, 1, 1), of(&hall, 1, 0)), (Some(0), Some(1), Some(0)));
        // Another language was set: the ear is new, and the old one has words to tell yet.
        assert_eq!((of(&hall, 2, 0), of(&hall, 1, 2), of(&hall, 2, 0)), (Some(2), Some(3), Some(2)));
        assert_eq!(of(&desk, 3, 0), Some(0));
        letters.forget(&hall);
        assert_eq!(letters.of(&hall, PartyKey(4), Voice(0)), Some(Voice(0)));
    }

    #[test]
    fn who_comes_after_the_last_letter_has_none() {
        let line = PartyId::new("@hall:hs");
        let mut letters = Letters::default();
        for ear in 0..26 {
            assert!(letters.of(&line, PartyKey(ear), Voice(0)).is_some());
        }
        assert_eq!(letters.of(&line, PartyKey(26), Voice(0)), None);
        assert_eq!(letters.of(&line, PartyKey(25), Voice(0)), Some(Voice(25)));
    }
}
