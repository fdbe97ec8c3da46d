//! The speech of one window in pieces of one breath, and which pieces are one speaker's.
//!
//! The segmentation network hears changes of speaker well, but takes two people who sound alike and take turns quickly for
//! one. So each piece has its own embedding, and pieces are put together by how alike they sound; that the network thinks
//! them one speaker's, or two's, counts for a little, and that they are heard at once parts them for good.

use std::ops::Range;

use super::cluster::Embedding;
use super::segment::{Activity, HEARD, LOCAL};

/// Pauses up to this many frames (200 ms) do not end a piece.
const BRIDGED: usize = 12;
/// Shorter speech (150 ms) is no piece.
const SHORTEST: usize = 9;
/// A longer one (3 s) is cut, so that a change of speaker within it can be found ...
const LONGEST: usize = 178;
/// ... into pieces of this length (2 s), the last one longer.
const CUT: usize = 119;
/// Pieces that are this alike, on average, are one speaker's.
const ALIKE: f32 = 0.48;
/// What the network's opinion is worth, in similarity.
const OPINION: f32 = 0.08;
/// Two that are heard at once for this many frames (150 ms) are two people.
const AT_ONCE: usize = 9;

/// Uninterrupted speech of one of the network's speakers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which speaker of the window, as the network has it.
    pub speaker: usize,
    /// Frames of the window.
    pub frames: Range<usize>,
}

/// The pieces of the first `frames` frames of a window.
pub fn pieces(activity: &Activity, frames: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for speaker in 0..LOCAL {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for frame in (0..frames).filter(|frame| activity.probability(*frame, speaker) > HEARD) {
            match runs.last_mut() {
                Some(run) if frame - run.end <= BRIDGED => run.end = frame + 1,
                _ => runs.push(frame..frame + 1),
            }
        }
        for mut run in runs.into_iter().filter(|run| run.len() >= SHORTEST) {
            while run.len() > LONGEST {
                pieces.push(Piece { speaker, frames: run.start..run.start + CUT });
                run.start += CUT;
            }
            pieces.push(Piece { speaker, frames: run });
        }
    }
    pieces
}

/// What is known of a piece when pieces are put together.
pub struct Sound<'a> {
    /// The piece.
    pub piece: &'a Piece,
    /// Its voice, where there was enough of it.
    pub embedding: Option<&'a Embedding>,
}

/// Puts together what is one speaker's: the number of its group for each piece, from 0. A piece without embedding goes with the
/// one of its speaker that is nearest in time.
pub fn group(sounds: &[Sound<'_>]) -> Vec<usize> {
    let mut groups: Vec<Vec<usize>> =
        (0..sounds.len()).filter(|i| sounds[*i].embedding.is_some()).map(|i| vec![i]).collect();
    loop {
        let mut best: Option<(f32, usize, usize)> = None;
        for a in 0..groups.len() {
            for b in a + 1..groups.len() {
                let alike = alike(sounds, &groups[a], &groups[b]);
                if alike >= ALIKE && best.is_none_or(|(most, ..)| alike > most) {
                    best = Some((alike, a, b));
                }
            }
        }
        let Some((_, a, b)) = best else { break };
        let more = groups.swap_remove(b);
        groups[a].extend(more);
    }
    let mut given: Vec<Option<usize>> = vec![None; sounds.len()];
    for (group, members) in groups.iter().enumerate() {
        members.iter().for_each(|member| given[*member] = Some(group));
    }
    let mut count = groups.len();
    for i in 0..sounds.len() {
        if sounds[i].embedding.is_some() {
            continue;
        }
        let own = sounds[i].piece;
        let distance = |other: &Piece| {
            other.frames.start.saturating_sub(own.frames.end).max(own.frames.start.saturating_sub(other.frames.end))
        };
        let same =
            (0..sounds.len()).filter(|j| *j != i && sounds[*j].piece.speaker == own.speaker && given[*j].is_some());
        given[i] = same.min_by_key(|j| distance(sounds[*j].piece)).and_then(|j| given[j]).or_else(|| {
            count += 1;
            Some(count - 1)
        });
    }
    given.into_iter().flatten().collect()
}

/// How alike two groups are on average; nothing if two of them are heard at once.
fn alike(sounds: &[Sound<'_>], a: &[usize], b: &[usize]) -> f32 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for one in a.iter().map(|i| &sounds[*i]) {
        for two in b.iter().map(|i| &sounds[*i]) {
            let (Some(e), Some(f)) = (one.embedding, two.embedding) else { continue };
            let (p, q) = (one.piece, two.piece);
            let at_once = p.frames.end.min(q.frames.end).saturating_sub(p.frames.start.max(q.frames.start));
            if p.speaker != q.speaker && at_once >= AT_ONCE {
                return 0.0;
            }
            let opinion = if p.speaker == q.speaker { OPINION } else { -OPINION };
            let length = (p.frames.len() * q.frames.len()) as f32;
            sum += (e.similarity(f) + opinion) * length;
            weight += length;
        }
    }
    if weight > 0.0 { sum / weight } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(person: usize, bend: f32) -> Embedding {
        let mut values = [0.0; 8];
        values[person] = 1.0;
        values[7] = bend;
        Embedding::take(&mut values).unwrap()
    }

    fn piece(speaker: usize, frames: Range<usize>) -> Piece {
        Piece { speaker, frames }
    }

    #[test]
    fn two_people_whom_the_network_takes_for_one_are_parted_by_their_voices() {
        let pieces = [piece(0, 0..100), piece(0, 110..200), piece(0, 210..300), piece(1, 320..400)];
        let voices = [voice(1, 0.2), voice(2, 0.1), voice(1, -0.1), voice(2, 0.0)];
        let sounds: Vec<_> = pieces.iter().zip(&voices).map(|(piece, e)| Sound { piece, embedding: Some(e) }).collect();
        let given = group(&sounds);
        assert!(given[0] == given[2] && given[1] == given[3] && given[0] != given[1], "{given:?}");
    }

    #[test]
    fn who_is_heard_at_once_is_two_however_alike() {
        let pieces = [piece(0, 0..100), piece(1, 80..180)];
        let one = voice(1, 0.0);
        let sounds: Vec<_> = pieces.iter().map(|piece| Sound { piece, embedding: Some(&one) }).collect();
        assert_eq!(group(&sounds), [0, 1]);
    }

    #[test]
    fn a_word_goes_with_the_nearest_speech_of_its_speaker() {
        let pieces = [piece(0, 0..100), piece(0, 400..500), piece(0, 510..520), piece(2, 530..545)];
        let (one, two) = (voice(1, 0.0), voice(2, 0.0));
        let voices = [Some(&one), Some(&two), None, None];
        let sounds: Vec<_> = pieces.iter().zip(voices).map(|(piece, embedding)| Sound { piece, embedding }).collect();
        assert_eq!(group(&sounds), [0, 1, 1, 2]);
    }

    #[test]
    fn long_speech_is_cut_and_short_pauses_are_bridged() {
        let mut frames = vec![[-30.0f32, 0.0, -30.0, -30.0, -30.0, -30.0, -30.0]; 500];
        for silent in (100..108).chain(300..320).chain(325..480) {
            frames[silent] = [0.0, -30.0, -30.0, -30.0, -30.0, -30.0, -30.0];
        }
        let activity = Activity::of(&frames.concat()).unwrap();
        let expected = [piece(0, 0..119), piece(0, 119..238), piece(0, 238..300), piece(0, 480..500)];
        let found = pieces(&activity, 500);
        assert_eq!(found[0], expected[0]);
        assert_eq!(found.last(), expected.last());
        assert!(found.iter().all(|p| (SHORTEST..=LONGEST).contains(&p.frames.len())), "{found:?}");
    }
}
