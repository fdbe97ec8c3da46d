//! One party's ear: sound with time stamps in, finished utterances (still sound) out.
//!
//! Keeps the party's clock. Sound that follows on within [`TOLERANCE_MS`] is one stream; a gap up to [`BRIDGED_MS`] is
//! filled with silence, so that pauses keep their length; a longer one, or a jump back, ends the utterance and begins a
//! new stream. Without clock, thread or channel: the caller says when nothing has come for long ([`Listener::flush`]).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::endpoint::{EndpointConfig, Endpointer, Progress, Span, WINDOW_MS};
use super::silero::{Silero, SileroState, WINDOW};

/// Time stamps may wander this far from the count of samples, in ms.
pub const TOLERANCE_MS: i64 = 80;
/// Gaps up to this length are filled with silence, in ms.
pub const BRIDGED_MS: i64 = 1500;

const SAMPLES_PER_MS: i64 = 16;

/// An utterance as sound.
pub struct Heard {
    /// Counts the utterances of a [`Listener`].
    pub utterance: u64,
    /// 16 kHz, rolls included. Wiped when dropped.
    pub pcm: Zeroizing<Vec<i16>>,
    /// Time of its first sample on the caller's clock, in ms.
    pub sound_ms: i64,
    /// Start of speech, same clock.
    pub start_ms: i64,
    /// End of speech, same clock.
    pub end_ms: i64,
    /// How long there was voice in it, in ms.
    pub voiced_ms: i64,
    /// Mean voice probability of its voiced windows.
    pub voice: f32,
    /// Voice probability of each 32 ms of it.
    pub voices: Vec<f32>,
}

impl Heard {
    /// Length of the sound in ms.
    pub fn length_ms(&self) -> u64 {
        self.pcm.len() as u64 / SAMPLES_PER_MS as u64
    }
}

/// Voice activity and endpointing for one party.
pub struct Listener {
    silero: Arc<Silero>,
    config: EndpointConfig,
    stream: Option<Stream>,
    /// Nothing is reported before this, so that time never goes back.
    last_end_ms: i64,
    /// Number of the first utterance of the next stream.
    utterance: u64,
}

/// A stretch of sound without a break in time.
struct Stream {
    state: SileroState,
    endpointer: Endpointer,
    /// Time of window 0.
    origin_ms: i64,
    /// Samples taken, whole windows and rest.
    samples: i64,
    /// Sound from window `kept_from` on.
    kept: Zeroizing<Vec<i16>>,
    kept_from: u64,
    /// How much of `kept` has been through the network.
    analysed: usize,
}

impl Listener {
    /// An ear that has heard nothing.
    pub fn new(silero: Arc<Silero>, config: EndpointConfig) -> Self {
        Self { silero, config, stream: None, last_end_ms: i64::MIN, utterance: 0 }
    }

    /// Whether an utterance is under way.
    pub fn is_open(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.endpointer.is_open())
    }

    /// How the utterance under way stands.
    pub fn progress(&self) -> Option<Progress> {
        self.stream.as_ref()?.endpointer.progress()
    }

    /// The utterance under way as it will be if it has ended here; see [`Endpointer::if_ended`].
    pub fn if_ended(&self) -> Option<Heard> {
        let stream = self.stream.as_ref()?;
        Some(stream.heard(&stream.endpointer.if_ended()?, self.last_end_ms))
    }

    /// The utterance under way up to now.
    pub fn so_far(&self) -> Option<Heard> {
        let stream = self.stream.as_ref()?;
        Some(stream.heard(&stream.endpointer.so_far()?, self.last_end_ms))
    }

    /// Adds sound whose first sample was at `at` ms; completed utterances go into `out`.
    pub fn push(&mut self, at: i64, pcm: &[i16], out: &mut Vec<Heard>) {
        if pcm.is_empty() {
            return;
        }
        // Ten thousand years either way: sums below cannot overflow.
        let at = at.clamp(-(1 << 48), 1 << 48);
        if let Some(stream) = &mut self.stream {
            let drift = at.saturating_sub(stream.origin_ms + stream.samples / SAMPLES_PER_MS);
            if !(-BRIDGED_MS..=BRIDGED_MS).contains(&drift) {
                self.flush(out);
            } else if drift > TOLERANCE_MS {
                let silence = vec![0; (drift * SAMPLES_PER_MS) as usize];
                self.add(&silence, out);
            } else if drift < -TOLERANCE_MS || (drift != 0 && !stream.endpointer.is_open()) {
                stream.origin_ms += drift;
            }
        }
        if self.stream.is_none() {
            self.stream = Some(Stream {
                state: SileroState::default(),
                endpointer: Endpointer::counting_from(self.config.clone(), self.utterance),
                origin_ms: at,
                samples: 0,
                kept: Zeroizing::new(Vec::new()),
                kept_from: 0,
                analysed: 0,
            });
        }
        self.add(pcm, out);
    }

    /// Ends the stream: what is under way becomes an utterance.
    pub fn flush(&mut self, out: &mut Vec<Heard>) {
        let Some(stream) = &self.stream else { return };
        let rest = stream.kept.len() - stream.analysed;
        if rest > 0 {
            self.add(&vec![0; WINDOW - rest], out);
        }
        let Some(mut stream) = self.stream.take() else { return };
        if let Some(span) = stream.endpointer.flush() {
            let heard = stream.heard(&span, self.last_end_ms);
            self.last_end_ms = heard.end_ms;
            out.push(heard);
        }
        self.utterance = stream.endpointer.utterance();
    }

    fn add(&mut self, pcm: &[i16], out: &mut Vec<Heard>) {
        let Some(stream) = &mut self.stream else { return };
        stream.samples += pcm.len() as i64;
        // Grows by copying into a new buffer only here, and the old one is wiped.
        if stream.kept.capacity() < stream.kept.len() + pcm.len() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (stream.kept.len() + pcm.len())));
            larger.extend_from_slice(&stream.kept);
            stream.kept = larger;
        }
        stream.kept.extend_from_slice(pcm);
        let mut window = Zeroizing::new([0.0f32; WINDOW]);
        while stream.kept.len() - stream.analysed >= WINDOW {
            for (to, from) in window.iter_mut().zip(&stream.kept[stream.analysed..]) {
                *to = f32::from(*from) / 32768.0;
            }
            stream.analysed += WINDOW;
            let probability = self.silero.window(&mut stream.state, &window);
            if let Some(span) = stream.endpointer.window(probability) {
                let heard = stream.heard(&span, self.last_end_ms);
                self.last_end_ms = heard.end_ms;
                out.push(heard);
            }
        }
        stream.forget();
    }
}

impl Stream {
    fn heard(&self, span: &Span, last_end_ms: i64) -> Heard {
        let offset = |window: u64| {
            let samples = window.saturating_sub(self.kept_from) as usize * WINDOW;
            samples.min(self.kept.len())
        };
        let time = |window: u64| self.origin_ms + window as i64 * WINDOW_MS;
        let start_ms = time(span.voiced.start).max(last_end_ms);
        let end_ms = time(span.voiced.end).max(start_ms);
        Heard {
            utterance: span.utterance,
            pcm: Zeroizing::new(self.kept[offset(span.sound.start)..offset(span.sound.end)].to_vec()),
            sound_ms: time(span.sound.start),
            start_ms,
            end_ms,
            voiced_ms: span.voiced_windows as i64 * WINDOW_MS,
            voice: span.mean_probability,
            voices: span.probabilities.clone(),
        }
    }

    /// Drops sound that no utterance can ask for any more (half a second at a time, it costs a move).
    fn forget(&mut self) {
        let windows = self.endpointer.needed_from().saturating_sub(self.kept_from) as usize;
        let samples = windows * WINDOW;
        if windows < 16 || samples > self.analysed {
            return;
        }
        let left = self.kept.len() - samples;
        self.kept.copy_within(samples.., 0);
        self.kept[left..].fill(0);
        self.kept.truncate(left);
        self.analysed -= samples;
        self.kept_from += windows as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{prompt_for_tests, weights_for_tests};

    fn listener() -> Listener {
        let silero = Silero::load(&weights_for_tests("ggml-silero-v6.2.0.bin")).unwrap();
        Listener::new(Arc::new(silero), EndpointConfig::default())
    }

    /// Silence, prompt, silence, given in 20 ms frames; `skip` says which frames never come.
    fn hear(listener: &mut Listener, from_ms: i64, skip: impl Fn(i64) -> bool) -> Vec<Heard> {
        let mut pcm = vec![0i16; 16_000];
        pcm.extend(prompt_for_tests("vm-options"));
        pcm.extend(vec![0i16; 16_000]);
        let mut out = Vec::new();
        for (i, frame) in pcm.chunks(320).enumerate() {
            if !skip(i as i64 * 20) {
                listener.push(from_ms + i as i64 * 20, frame, &mut out);
            }
        }
        out
    }

    #[test]
    fn speech_is_found_where_it_is_on_the_callers_clock() {
        let mut listener = listener();
        let heard = hear(&mut listener, 60_000, |_| false);
        let first = &heard[0];
        assert!((60_950..61_400).contains(&first.start_ms), "starts at {}", first.start_ms);
        assert!(first.voiced_ms > 1000 && first.voice > 0.6);
        let spoken: i64 = heard.iter().map(|h| h.end_ms - h.start_ms).sum();
        let length = prompt_for_tests("vm-options").len() as i64 / 16;
        assert!(spoken > length / 2 && spoken <= length + 500, "{spoken} of {length} ms");
    }

    #[test]
    fn frames_that_never_came_keep_the_clock_true() {
        let (mut whole, mut holed) = (listener(), listener());
        let expected = hear(&mut whole, 0, |_| false);
        let got = hear(&mut holed, 0, |ms| (1000..3000).contains(&(ms - 3000)) && ms % 400 < 20);
        let (last, same) = (expected.last().unwrap(), got.last().unwrap());
        assert!((last.end_ms - same.end_ms).abs() < 150, "{} {}", last.end_ms, same.end_ms);
    }

    #[test]
    fn a_party_that_was_muted_in_mid_word_gets_two_utterances_with_true_times() {
        let mut listener = listener();
        let mut heard = hear(&mut listener, 0, |ms| ms > 2000);
        heard.extend(hear(&mut listener, 100_000, |ms| ms < 2000));
        assert!(heard.len() >= 2);
        assert!(heard[0].end_ms <= 2100, "{}", heard[0].end_ms);
        assert!(heard[1].start_ms >= 102_000 - 32, "{}", heard[1].start_ms);
    }

    #[test]
    fn a_clock_that_jumps_back_neither_panics_nor_turns_time_round() {
        let mut listener = listener();
        let mut heard = hear(&mut listener, 500_000, |_| false);
        heard.extend(hear(&mut listener, 0, |_| false));
        listener.push(i64::MAX, &[0; 320], &mut heard);
        listener.push(i64::MIN, &[0; 320], &mut heard);
        assert!(heard.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
    }

    #[test]
    fn an_hour_of_silence_keeps_no_sound() {
        let mut listener = listener();
        let mut out = Vec::new();
        for second in 0..120 {
            listener.push(second * 1000, &[0; 16_000], &mut out);
        }
        assert!(out.is_empty());
        assert!(listener.stream.as_ref().unwrap().kept.len() < 16_000 * 2);
    }
}
