//! Who is who: speakers of single windows are joined to the voices of the call by how alike they sound.
//!
//! Online and sans-IO: [`Voices::hear`] takes the (up to three) speakers of one window and says which voice each is. Two
//! speakers of one window are never the same voice. A new voice needs enough speech that is like none of the known; each
//! voice's centre is the mean of what was heard of it, weighted by its duration. Voices that turn out to be one are joined
//! ([`Voices::join`]). A voice has a place (0 to 7, reused) and gets its number, "Speaker A", when it is first told
//! ([`Voices::tell`]); a number is never given to another voice.

use std::ops::Range;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{MAX_VOICES, assign};
use crate::Voice;

/// From this similarity on, speech is of a voice that is known: the first where one of the two is short, the second where both
/// are long ([`same`]). Measured on telephone prompts of seven voices at 8 kHz, short against long: one voice is above 0.44
/// (1 s), 0.60 (2 s) and 0.66 (4 s) in 98 of 100 pairs, two voices are below 0.43 in as many, however long.
const SAME: Range<f32> = 0.42..0.52;
/// What is short and long there, in ms.
const SHORT_TO_LONG_MS: Range<f32> = 1200.0..3500.0;
/// Below this it is another voice, whatever the windows before say.
const OTHER: f32 = 0.15;
/// What full agreement with earlier windows is worth, in similarity.
const AGREEMENT: f32 = 0.3;
/// With too little speech for a new voice, or no place for one, the likeliest voice is taken from here on, else none.
const WEAK: f32 = 0.3;
/// Speech without an embedding goes where earlier windows put at least this share of it.
const FOLLOWS: f32 = 0.3;
/// A voice begins with at least so much clean speech.
const NEW_MS: u32 = 1200;
/// Centres that are this alike are one voice ...
const JOINED: f32 = 0.70;
/// ... and this alike, if they were told apart within one window.
const JOINED_BESIDE: f32 = 0.84;
/// Two that spoke within one window for this long each are taken to have been told apart by the network.
const BESIDE_MS: u32 = 1000;
/// A centre is joined only when it rests on this much speech.
const JOIN_MS: f32 = 1500.0;
/// How much speech a centre remembers: a voice may change in the course of an hour.
const MEMORY_MS: f32 = 60_000.0;

/// From which similarity on speech of these lengths is of one voice.
fn same(ms: f32, other_ms: f32) -> f32 {
    let (short, long) = (SHORT_TO_LONG_MS.start, SHORT_TO_LONG_MS.end);
    let share = ((ms.min(other_ms) - short) / (long - short)).clamp(0.0, 1.0);
    SAME.start + share * (SAME.end - SAME.start)
}

/// The print of a voice. Never shown, stored or copied; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Of length 1 in the direction of `values`, which are wiped. `None` if they have no direction.
    pub fn take(values: &mut [f32]) -> Option<Self> {
        let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let embedding =
            (length.is_finite() && length > 1e-6).then(|| Self(values.iter().map(|v| v / length).collect()));
        values.zeroize();
        #[cfg(test)]
        embedding.iter().for_each(|made: &Self| note_for_tests(&made.0));
        embedding
    }

    /// The mean of several, by weight. `None` of none.
    pub fn mean<'a>(several: impl Iterator<Item = (&'a Self, f32)>) -> Option<Self> {
        let mut sum: Option<Zeroizing<Vec<f32>>> = None;
        for (embedding, weight) in several {
            let sum = sum.get_or_insert_with(|| Zeroizing::new(vec![0.0; embedding.0.len()]));
            sum.iter_mut().zip(&embedding.0).for_each(|(sum, value)| *sum += value * weight);
        }
        Self::take(&mut sum?)
    }

    /// Cosine of the angle between two: 1 is the same voice, around 0.2 another.
    pub fn similarity(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    /// Moves towards another: `weight` of this and `other_weight` of that.
    fn blend(&mut self, weight: f32, other: &Self, other_weight: f32) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = *mine * weight + theirs * other_weight;
        }
        let length = self.0.iter().map(|v| v * v).sum::<f32>().sqrt();
        // Two opposite voices would cancel out; neither similarity lets them meet.
        if length > 1e-6 {
            self.0.iter_mut().for_each(|v| *v /= length);
        }
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> &[f32] {
        &self.0
    }
}

/// Masked pieces of all embeddings that were made in this process.
#[cfg(test)]
pub(super) static MADE: std::sync::Mutex<Vec<Vec<u8>>> = std::sync::Mutex::new(Vec::new());

#[cfg(test)]
fn note_for_tests(values: &[f32]) {
    if let Some(piece) = values.get(super::tests::PIECE) {
        MADE.lock().unwrap().push(super::tests::masked(piece.iter().flat_map(|value| value.to_ne_bytes())));
    }
}

/// One speaker of one window.
pub struct Local {
    /// Of its clean speech, where there was enough.
    pub embedding: Option<Embedding>,
    /// Speech that the embedding was made of, in ms.
    pub clean_ms: u32,
    /// Clean speech that no earlier window had, in ms.
    pub fresh_ms: u32,
    /// Share of its speech that earlier windows gave to the voice at each place, 0 to 1.
    pub agreement: [f32; MAX_VOICES],
}

struct Known {
    centre: Embedding,
    weight_ms: f32,
    number: Option<Voice>,
    /// How long it and the voice at each place were told apart within windows, in ms.
    beside_ms: [u32; MAX_VOICES],
}

/// The voices of one line.
#[derive(Default)]
pub struct Voices {
    places: [Option<Known>; MAX_VOICES],
    numbers: u8,
}

impl Voices {
    /// Whose voices these are: a place per speaker, or none where that cannot be told.
    pub fn hear(&mut self, locals: &[Local]) -> Vec<Option<usize>> {
        let gains: Vec<Vec<f64>> = locals
            .iter()
            .enumerate()
            .map(|(row, local)| {
                let known = (0..MAX_VOICES).map(|place| self.gain(local, place));
                // A column of its own for each that may be new.
                let new = (0..locals.len()).map(|column| if column == row { self.gain_of_new(local) } else { 0.0 });
                known.chain(new).map(f64::from).collect()
            })
            .collect();
        let mut given: Vec<Option<usize>> = Vec::new();
        for (local, column) in locals.iter().zip(assign::best(&gains)) {
            given.push(match column {
                Some(place) if place < MAX_VOICES => {
                    self.learn(place, local);
                    Some(place)
                }
                Some(_) => self.free_place(),
                None => None,
            });
            // Taken at once, so that the next new one gets another.
            if let (Some(place), Some(MAX_VOICES..)) = (given.last().copied().flatten(), column) {
                self.places[place] = Some(Known {
                    centre: Embedding(local.embedding.as_ref().map_or_else(Vec::new, |e| e.0.clone())),
                    weight_ms: local.clean_ms as f32,
                    number: None,
                    beside_ms: [0; MAX_VOICES],
                });
            }
        }
        self.note_beside(locals, &given);
        given
    }

    fn gain(&self, local: &Local, place: usize) -> f32 {
        let Some(known) = &self.places[place] else { return 0.0 };
        let agreed = AGREEMENT * local.agreement[place];
        match &local.embedding {
            None if local.agreement[place] >= FOLLOWS => agreed,
            None => 0.0,
            Some(embedding) => {
                let alike = embedding.similarity(&known.centre);
                if alike >= OTHER && alike + agreed >= WEAK { alike + agreed } else { 0.0 }
            }
        }
    }

    /// What it is worth to take this speaker for a new voice: as much as being the same as a known one just so.
    fn gain_of_new(&self, local: &Local) -> f32 {
        let Some(embedding) = &local.embedding else { return 0.0 };
        if local.clean_ms < NEW_MS || self.free_place().is_none() {
            return 0.0;
        }
        let is_known = self.places.iter().flatten().any(|known| {
            let alike = embedding.similarity(&known.centre);
            alike >= same(local.clean_ms as f32, known.weight_ms)
        });
        if is_known { 0.0 } else { same(local.clean_ms as f32, f32::MAX) }
    }

    /// A place for a new voice, as long as there is a number left for it.
    fn free_place(&self) -> Option<usize> {
        let untold = self.places.iter().flatten().filter(|known| known.number.is_none()).count();
        if usize::from(self.numbers) + untold >= MAX_VOICES {
            return None;
        }
        self.places.iter().position(Option::is_none)
    }

    fn learn(&mut self, place: usize, local: &Local) {
        let (Some(known), Some(embedding)) = (&mut self.places[place], &local.embedding) else { return };
        let alike = embedding.similarity(&known.centre);
        let sure =
            alike >= same(local.clean_ms as f32, known.weight_ms) || (alike >= WEAK && local.agreement[place] >= 0.5);
        if sure && local.fresh_ms > 0 {
            let fresh = local.fresh_ms as f32;
            known.centre.blend(known.weight_ms, embedding, fresh);
            known.weight_ms = (known.weight_ms + fresh).min(MEMORY_MS);
        }
    }

    fn note_beside(&mut self, locals: &[Local], given: &[Option<usize>]) {
        for (a, place) in given.iter().enumerate() {
            for (b, other) in given.iter().enumerate() {
                let (Some(place), Some(other)) = (place, other) else { continue };
                if a != b
                    && let Some(known) = &mut self.places[*place]
                {
                    known.beside_ms[*other] =
                        known.beside_ms[*other].saturating_add(locals[a].clean_ms.min(locals[b].clean_ms));
                }
            }
        }
    }

    /// Joins two voices that turn out to be one, if there are such: (gone, stays). What was at the first place is from now on
    /// at the second. Of two that were told, the earlier number stays.
    pub fn join(&mut self) -> Option<(usize, usize)> {
        let (gone, stays) = self.likest()?;
        let gone_voice = self.places[gone].take()?;
        let stays_voice = self.places[stays].as_mut()?;
        stays_voice.centre.blend(stays_voice.weight_ms, &gone_voice.centre, gone_voice.weight_ms);
        stays_voice.weight_ms = (stays_voice.weight_ms + gone_voice.weight_ms).min(MEMORY_MS);
        for (sum, ms) in stays_voice.beside_ms.iter_mut().zip(gone_voice.beside_ms) {
            *sum = sum.saturating_add(ms);
        }
        stays_voice.beside_ms[stays] = 0;
        for known in self.places.iter_mut().flatten() {
            known.beside_ms[stays] = known.beside_ms[stays].saturating_add(known.beside_ms[gone]);
            known.beside_ms[gone] = 0;
        }
        Some((gone, stays))
    }

    /// The two that are most alike, if that is enough to be one.
    fn likest(&self) -> Option<(usize, usize)> {
        let mut likest: Option<(f32, usize, usize)> = None;
        for (a, one) in self.places.iter().enumerate() {
            for (b, two) in self.places.iter().enumerate().skip(a + 1) {
                let (Some(one), Some(two)) = (one, two) else { continue };
                let alike = one.centre.similarity(&two.centre);
                let apart = one.beside_ms[b].max(two.beside_ms[a]) >= BESIDE_MS;
                let enough = one.weight_ms.min(two.weight_ms) >= JOIN_MS;
                if enough
                    && alike >= if apart { JOINED_BESIDE } else { JOINED }
                    && likest.is_none_or(|(most, ..)| alike > most)
                {
                    // A number that was told stays; of two, the earlier.
                    let first_stays = match (one.number, two.number) {
                        (Some(one), Some(two)) => one < two,
                        (one, two) => one.is_some() || two.is_none(),
                    };
                    likest = Some(if first_stays { (alike, b, a) } else { (alike, a, b) });
                }
            }
        }
        likest.map(|(_, gone, stays)| (gone, stays))
    }

    /// The number under which a voice is told; the first time it gets the next one. `None` if no voice is at this place.
    pub fn tell(&mut self, place: usize) -> Option<Voice> {
        let known = self.places.get_mut(place)?.as_mut()?;
        if known.number.is_none() {
            // `free_place` keeps one back for each voice, so that there are never more than eight.
            known.number = Some(Voice(self.numbers));
            self.numbers += 1;
        }
        known.number
    }

    /// How many voices there are now, told or not.
    pub fn count(&self) -> usize {
        self.places.iter().flatten().count()
    }

    #[cfg(test)]
    pub(super) fn centres(&self) -> impl Iterator<Item = &Embedding> {
        self.places.iter().flatten().map(|known| &known.centre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u32 = 1000;

    /// A direction of its own per person, the last two numbers bend it.
    fn embedding(person: usize, x: f32, y: f32) -> Embedding {
        let mut values = [0.0; 24];
        values[person] = 1.0;
        (values[22], values[23]) = (x, y);
        Embedding::take(&mut values).unwrap()
    }

    fn local(embedding: Embedding, ms: u32) -> Local {
        Local { embedding: Some(embedding), clean_ms: ms, fresh_ms: ms, agreement: [0.0; MAX_VOICES] }
    }

    fn hear(voices: &mut Voices, people: &[usize]) -> Vec<Option<usize>> {
        voices.hear(&people.iter().map(|p| local(embedding(*p, 0.1, 0.0), 3 * SECOND)).collect::<Vec<_>>())
    }

    #[test]
    fn each_person_keeps_the_place_that_it_got() {
        let mut voices = Voices::default();
        let first = hear(&mut voices, &[4, 2]);
        assert!(first.iter().all(Option::is_some) && first[0] != first[1]);
        assert_eq!(hear(&mut voices, &[2, 4]), [first[1], first[0]]);
        let third = hear(&mut voices, &[7, 2])[0];
        assert!(third.is_some() && !first.contains(&third));
        assert_eq!(voices.count(), 3);
        assert_eq!(voices.tell(third.unwrap()), Some(Voice(0)), "numbers go by who is told first");
        assert_eq!(voices.tell(first[0].unwrap()), Some(Voice(1)));
        assert_eq!(voices.tell(third.unwrap()), Some(Voice(0)));
    }

    #[test]
    fn a_word_is_no_new_voice_but_goes_to_the_one_it_sounds_like() {
        let mut voices = Voices::default();
        assert_eq!(voices.hear(&[local(embedding(0, 0.0, 0.0), 600)]), [None]);
        let ann = hear(&mut voices, &[0])[0];
        assert_eq!(voices.hear(&[local(embedding(0, 0.5, 0.5), 600)]), [ann]);
        assert_eq!(voices.hear(&[local(embedding(1, 0.0, 0.0), 600)]), [None]);
        let follows = Local {
            embedding: None,
            clean_ms: 0,
            fresh_ms: 0,
            agreement: std::array::from_fn(|p| if Some(p) == ann { 0.9 } else { 0.0 }),
        };
        assert_eq!(voices.hear(&[follows]), [ann]);
    }

    #[test]
    fn the_ninth_person_is_nobody() {
        let mut voices = Voices::default();
        for person in 0..8 {
            assert!(hear(&mut voices, &[person])[0].is_some());
        }
        assert_eq!(hear(&mut voices, &[8]), [None]);
        assert_eq!(voices.count(), 8);
    }

    #[test]
    fn two_that_become_alike_are_joined_and_the_number_that_was_told_stays() {
        let mut voices = Voices::default();
        // One person, first from two sides that are not alike, then from between them.
        let side = |x: f32| local(embedding(0, x, 0.0), 2 * SECOND);
        let one = voices.hear(&[side(1.6)])[0].unwrap();
        let two = voices.hear(&[side(-1.6)])[0].unwrap();
        assert_ne!(one, two);
        assert_eq!(voices.tell(two), Some(Voice(0)));
        assert_eq!(voices.join(), None);
        for x in [0.3, -0.3].repeat(6) {
            voices.hear(&[local(embedding(0, x, 0.0), 8 * SECOND)]);
        }
        assert_eq!(voices.join(), Some((one, two)));
        assert_eq!((voices.count(), voices.tell(two), voices.tell(one)), (1, Some(Voice(0)), None));
        assert_eq!(voices.join(), None);
    }

    #[test]
    fn two_who_spoke_in_the_same_windows_are_not_joined_for_being_alike() {
        let mut voices = Voices::default();
        let one = || local(embedding(0, 0.0, 0.0), 2 * SECOND);
        let two = |x: f32| local(embedding(0, x, 0.0), 2 * SECOND);
        voices.hear(&[one(), two(2.4)]);
        for x in [[1.6, 1.2, 1.0].as_slice(), &[0.8; 14]].concat() {
            voices.hear(&[one(), two(x)]);
        }
        let centres: Vec<_> = voices.centres().collect();
        assert!(centres[0].similarity(centres[1]) > JOINED, "the test shows nothing");
        assert_eq!(voices.join(), None);
    }

    /// Person and variation, clean speech in ms, agreement with each place.
    type Given = (Option<(usize, f32, f32)>, u32, [f32; MAX_VOICES]);

    fn locals() -> impl Strategy<Value = Vec<Given>> {
        let embedding = prop::option::of((0..14usize, -2.0..2.0f32, -2.0..2.0f32));
        prop::collection::vec((embedding, 0..6000u32, prop::array::uniform8(0.0..1.0f32)), 0..=3)
    }

    proptest! {
        #[test]
        fn in_any_order_of_speech_there_are_at_most_eight_numbers_and_none_ever_changes(
            windows in prop::collection::vec((locals(), any::<bool>()), 0..80),
        ) {
            let mut voices = Voices::default();
            // What each place is called; a place that was freed is forgotten.
            let mut called: [Option<Voice>; MAX_VOICES] = [None; MAX_VOICES];
            let mut given_out: Vec<Voice> = Vec::new();
            for (window, tell) in windows {
                let given = voices.hear(&window.into_iter().map(|(e, ms, agreement)| Local {
                    embedding: e.map(|(person, x, y)| embedding(person, x, y)),
                    clean_ms: ms,
                    fresh_ms: ms / 2,
                    agreement,
                }).collect::<Vec<_>>());
                let mut places: Vec<usize> = given.iter().flatten().copied().collect();
                for place in places.iter().filter(|_| tell) {
                    let voice = voices.tell(*place).unwrap();
                    prop_assert!(usize::from(voice.0) < MAX_VOICES);
                    match called[*place] {
                        Some(before) => prop_assert_eq!(before, voice),
                        None => {
                            prop_assert!(!given_out.contains(&voice), "a number was given twice");
                            given_out.push(voice);
                            called[*place] = Some(voice);
                        }
                    }
                }
                places.sort_unstable();
                places.dedup();
                prop_assert_eq!(places.len(), given.iter().flatten().count(), "two of one window are one voice");
                while let Some((gone, stays)) = voices.join() {
                    let (was, is) = (called[gone].take(), called[stays]);
                    let expected = match (was, is) { (Some(a), Some(b)) => Some(a.min(b)), (a, b) => a.or(b) };
                    prop_assert_eq!(is, expected, "a told number was lost");
                }
                prop_assert!(voices.count() <= MAX_VOICES);
            }
        }
    }
}
