//! What the segmentation network says about 10 s of sound: for each 17 ms how likely each of three speakers is heard.
//!
//! It answers in a powerset: nobody, one of three, two of three. Who is the first, second and third is its own choice in each
//! window; [`super::cluster`] finds out who they are. Source: Plaquet and Bredin, "Powerset multi-class cross entropy loss for
//! neural speaker diarization", 2023.

use zeroize::Zeroizing;

/// Samples that go in, at 16 kHz.
pub const WINDOW: usize = 160_000;
/// Frames that come out.
pub const FRAMES: usize = 589;
/// Samples between two frames.
pub const STEP: usize = 270;
/// The middle of frame 0, in samples from the start of the window.
pub const FIRST_CENTRE: usize = 495;
/// Speakers told apart within one window.
pub const LOCAL: usize = 3;
/// Classes of the powerset.
pub const CLASSES: usize = 7;
/// Which speakers are heard in which class.
const POWERSET: [&[usize]; CLASSES] = [&[], &[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2]];
/// A speaker counts as heard above this probability.
pub const HEARD: f32 = 0.5;

/// Who is heard when in one window.
pub struct Activity(Zeroizing<Vec<f32>>);

impl Activity {
    /// Reads the network's answer, log probabilities of [`CLASSES`] for each frame. `None` if it is not of that shape.
    pub fn of(log_probabilities: &[f32]) -> Option<Self> {
        if log_probabilities.is_empty() || !log_probabilities.len().is_multiple_of(CLASSES) {
            return None;
        }
        let mut heard = Zeroizing::new(vec![0.0; log_probabilities.len() / CLASSES * LOCAL]);
        for (classes, heard) in log_probabilities.chunks_exact(CLASSES).zip(heard.chunks_exact_mut(LOCAL)) {
            // Normalised again: what the file gives is a log softmax, but a network that left it out would do as well.
            let most = classes.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = classes.iter().map(|class| (class - most).exp()).sum();
            for (class, speakers) in classes.iter().zip(POWERSET) {
                for speaker in speakers {
                    heard[*speaker] += (class - most).exp() / sum;
                }
            }
        }
        Some(Self(heard))
    }

    /// How many frames.
    pub fn frames(&self) -> usize {
        self.0.len() / LOCAL
    }

    /// How likely this speaker is heard in this frame, 0 to 1.
    pub fn probability(&self, frame: usize, speaker: usize) -> f32 {
        self.0[frame * LOCAL + speaker]
    }

    /// Whether this speaker is heard, and nobody else.
    pub fn alone(&self, frame: usize, speaker: usize) -> bool {
        (0..LOCAL).all(|other| (self.probability(frame, other) > HEARD) == (other == speaker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_speakers() {
        let certain = |class: usize| {
            let mut frame = [-30.0f32; CLASSES];
            frame[class] = 0.0;
            frame
        };
        let activity = Activity::of(&[certain(0), certain(2), certain(5)].concat()).unwrap();
        let heard = |frame| (0..LOCAL).map(|s| activity.probability(frame, s) > HEARD).collect::<Vec<_>>();
        assert_eq!(activity.frames(), 3);
        assert_eq!([heard(0), heard(1), heard(2)], [[false; 3], [false, true, false], [true, false, true]]);
        assert!(activity.alone(1, 1) && !activity.alone(1, 0) && !activity.alone(2, 0) && !activity.alone(0, 0));
    }

    #[test]
    fn probabilities_of_two_at_once_count_for_both() {
        let frame = [0.1f32, 0.3, 0.0, 0.0, 0.6, 0.0, 0.0].map(|p| p.max(1e-9).ln());
        let activity = Activity::of(&frame).unwrap();
        assert!((activity.probability(0, 0) - 0.9).abs() < 1e-3 && (activity.probability(0, 1) - 0.6).abs() < 1e-3);
        assert!(!activity.alone(0, 0));
    }

    #[test]
    fn answers_of_another_shape_are_refused() {
        assert!(Activity::of(&[]).is_none() && Activity::of(&[0.0; 8]).is_none());
    }
}
