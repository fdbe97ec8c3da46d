//! What an echo canceller leaves of the other side: a voice, but faint and torn. Voice activity takes it for speech, and a
//! recogniser makes words of it that nobody said.
//!
//! It is told from faint speech by how it is torn. From one 10 ms to the next, speech seldom jumps by 12 dB: the prompts of
//! Debian do so 0 to 8 times a second (5th and 95th hundredth of stretches of 0.6 s), 0 to 5 times as faint as an echo, 0 to 7 times
//! with a tenth of it lost in bursts. Made residue ([`crate::eval::nonspeech::echo`]) does about ten times and more, but not in every
//! stretch: where it is faint and less torn Whisper may make words of it, and they are believed only if they are likely
//! ([`super::guard`]). Sound that is not faint is never taken for residue, whatever it does.

use super::silero::WINDOW;

/// Samples of 10 ms.
const FRAME: usize = 160;
/// At or above this probability a window is voice.
const VOICE: f32 = 0.5;
/// Root mean square of the loudest tenth of the voice, below which it is faint (-36 dBFS). The faintest prompt has 2450.
const FAINT: f32 = 500.0;
/// A jump, up or down: 12 dB.
const JUMP: f32 = 4.0;
/// Jumps per second from which it is torn.
const TORN: f32 = 9.5;
/// Frames of voice from which this can be told.
const LEAST: usize = 12;

/// Whether an utterance is residue. `pcm`: 16 kHz; `voices`: the voice probability of each [`WINDOW`] of it.
pub fn is_residue(pcm: &[i16], voices: &[f32]) -> bool {
    let levels = levels(pcm, voices);
    if !are_faint(&levels) {
        return false;
    }
    let pairs: Vec<f32> =
        levels.windows(2).filter_map(|pair| Some((pair[0]? / pair[1]?).max(pair[1]? / pair[0]?))).collect();
    let jumps = pairs.iter().filter(|ratio| **ratio > JUMP).count();
    jumps as f32 * 100.0 >= TORN * pairs.len().max(1) as f32
}

/// Whether the voice of an utterance is no louder than residue is. Such words need better evidence than others.
pub fn is_faint(pcm: &[i16], voices: &[f32]) -> bool {
    are_faint(&levels(pcm, voices))
}

/// Root mean square of each 10 ms; `None` where there is no voice.
fn levels(pcm: &[i16], voices: &[f32]) -> Vec<Option<f32>> {
    let level = |frame: &[i16]| {
        let sum: f32 = frame.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        // Digital silence is no further down than the least bit.
        (sum / frame.len() as f32).sqrt().max(1.0)
    };
    let is_voice = |at: usize| voices.get((at * FRAME + FRAME / 2) / WINDOW).is_some_and(|p| *p >= VOICE);
    pcm.chunks_exact(FRAME).enumerate().map(|(at, frame)| is_voice(at).then(|| level(frame))).collect()
}

fn are_faint(levels: &[Option<f32>]) -> bool {
    let mut voiced: Vec<f32> = levels.iter().flatten().copied().collect();
    voiced.sort_by(f32::total_cmp);
    voiced.len() >= LEAST && voiced[voiced.len() * 9 / 10] < FAINT
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::eval::nonspeech::{Dice, echo};
    use crate::eval::sound::narrow_band;
    use crate::eval::{prompt_for_tests, weights_for_tests};
    use crate::speech::endpoint::EndpointConfig;
    use crate::speech::listen::{Heard, Listener};
    use crate::speech::silero::Silero;

    fn heard(pcm: &[i16]) -> Vec<Heard> {
        let silero = Arc::new(Silero::load(&weights_for_tests("ggml-silero-v6.2.0.bin")).unwrap());
        let mut listener = Listener::new(silero, EndpointConfig::live());
        let mut out = Vec::new();
        listener.push(0, &[pcm, &[0; 16_000]].concat(), &mut out);
        listener.flush(&mut out);
        out
    }

    fn count(heard: &[Heard]) -> usize {
        heard.iter().filter(|h| is_residue(&h.pcm, &h.voices)).count()
    }

    // That no words come of it, `nothing_said` shows with a recogniser.
    #[test]
    fn what_an_echo_leaves_is_faint() {
        let voice = prompt_for_tests("agent-alreadyon");
        let mut all = 0;
        for seed in 1..4 {
            let left = echo(&voice, 30.0, seed);
            for pcm in [narrow_band(&left.pcm), left.pcm] {
                let heard = heard(&pcm);
                all += heard.len();
                assert!(heard.iter().all(|h| is_faint(&h.pcm, &h.voices)), "seed {seed}");
            }
        }
        assert!(all > 0, "nothing was heard at all");
    }

    #[test]
    fn speech_is_none_at_any_level() {
        let mut dice = Dice::new(7);
        for name in ["agent-alreadyon", "vm-options", "vm-saved"] {
            let prompt = prompt_for_tests(name);
            for gain in [1.0, 0.1, 0.03] {
                let mut faint = |s: &i16| (f64::from(*s) * gain + dice.between(-20.0, 20.0)) as i16;
                let pcm: Vec<i16> = prompt.iter().map(&mut faint).collect();
                let heard = heard(&pcm);
                assert_eq!(count(&heard), 0, "{name} at {gain}");
                assert!(!heard.is_empty() || gain < 0.1, "{name} at {gain}");
            }
        }
    }

    #[test]
    fn a_faint_torn_sound_is_residue_only_while_it_is_faint() {
        let torn = |loud: i16| -> Vec<i16> {
            (0..32_000).map(|i| if i / 640 % 2 == 0 { if i % 20 < 10 { loud } else { -loud } } else { 0 }).collect()
        };
        let voices = vec![0.9; 63];
        assert!(is_residue(&torn(200), &voices) && !is_residue(&torn(4000), &voices));
        assert!(!is_residue(&torn(200), &[0.1; 63]) && !is_residue(&[], &[]));
        assert!(is_faint(&torn(200), &voices) && !is_faint(&torn(4000), &voices) && !is_faint(&[], &[]));
    }
}
