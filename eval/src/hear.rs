//! The recogniser as the product runs it: ears, voice activity, scheduler, guards. Sound goes in faster than it was spoken.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use models::{EarOptions, PartyKey, Recognised, Transcriber, TranscriberConfig, Utterance, weights};
use tokio::sync::mpsc::Receiver;

/// Samples of 20 ms at 16 kHz.
pub const FRAME: usize = 320;
/// How many ears are open at once: enough to keep all workers busy, little enough for their queues.
const AT_ONCE: usize = 8;

/// One piece of sound for an ear of its own, at 16 kHz.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// What is heard.
    pub pcm: Vec<i16>,
    /// Two-letter code; `None`: to be detected.
    pub language: Option<String>,
    /// Several people speak on it.
    pub several_voices: bool,
}

/// A loaded recogniser.
pub struct Hearer {
    transcriber: Transcriber,
    results: Receiver<Recognised>,
    next: u64,
}

/// Settings for these weights (by their name in the manifest) with queues for sound that comes faster than it was spoken.
///
/// # Errors
/// The weights are not there or not right.
pub fn config(name: &str) -> anyhow::Result<TranscriberConfig> {
    let folder = weights::default_folder();
    let path =
        |name: &str| -> anyhow::Result<std::path::PathBuf> { Ok(weights::locate(&weights::named(name)?, &folder)?) };
    let mut config = TranscriberConfig::new(path(name)?, path(weights::DEFAULT_VAD)?);
    config.inbox_ms = 3_600_000;
    config.backlog_ms = 7_200_000;
    Ok(config)
}

/// Whether these weights are there.
pub fn is_there(name: &str) -> bool {
    weights::named(name).ok().and_then(|w| weights::locate(&w, &weights::default_folder()).ok()).is_some()
}

impl Hearer {
    /// Loads these weights.
    ///
    /// # Errors
    /// They are not there or not right.
    pub fn load(config: TranscriberConfig) -> anyhow::Result<Self> {
        let (transcriber, results) = Transcriber::load(config)?;
        Ok(Self { transcriber, results, next: 0 })
    }

    /// What is heard in each piece, in their order.
    ///
    /// # Errors
    /// The recogniser lost sound or ended: then a figure would be wrong.
    pub fn hear(&mut self, pieces: &[Piece]) -> anyhow::Result<Vec<Vec<Utterance>>> {
        let mut heard = Vec::with_capacity(pieces.len());
        for batch in pieces.chunks(AT_ONCE) {
            heard.extend(self.batch(batch)?);
        }
        Ok(heard)
    }

    fn batch(&mut self, pieces: &[Piece]) -> anyhow::Result<Vec<Vec<Utterance>>> {
        let first = self.next;
        self.next += pieces.len() as u64;
        for (number, piece) in pieces.iter().enumerate() {
            let options = EarOptions {
                language: piece.language.clone(),
                several_voices: piece.several_voices,
                ..EarOptions::default()
            };
            let ear = self.transcriber.open_with(PartyKey(first + number as u64), options);
            // Half a second of silence before and a second behind, as in a call.
            let lead = vec![0i16; 8000];
            let tail = vec![0i16; 16_000];
            let sound = [&lead[..], &piece.pcm, &tail].concat();
            for (i, frame) in sound.chunks(FRAME).enumerate() {
                ear.push(i as i64 * 20, frame);
            }
            ear.finish();
        }
        let mut heard = vec![Vec::new(); pieces.len()];
        let mut left = pieces.len();
        while left > 0 {
            match self.results.blocking_recv().context("the recogniser ended")? {
                Recognised::Utterance(utterance) => {
                    let number = utterance.party.0.checked_sub(first).and_then(|n| usize::try_from(n).ok());
                    let place = number.and_then(|n| heard.get_mut(n)).context("words of a party that is not there")?;
                    place.push(utterance);
                }
                Recognised::Finished { .. } => left -= 1,
                Recognised::FellBehind { party, lost_ms } => {
                    bail!("the recogniser lost {lost_ms} ms of party {}: nothing was measured", party.0)
                }
                _ => {}
            }
        }
        Ok(heard)
    }
}

/// The words of all utterances as one text.
pub fn text(utterances: &[Utterance]) -> String {
    let mut text = String::new();
    for utterance in utterances {
        text.push_str(&utterance.text);
        text.push(' ');
    }
    text
}

/// CPU time of this process so far, user and system, all threads.
pub fn cpu() -> Duration {
    // Fields 14 and 15 behind the program's name, in ticks of 10 ms (USER_HZ is 100 on every Linux).
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

/// What a piece of work took.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub struct Cost {
    /// CPU seconds, user and system, all threads.
    pub cpu: f64,
    /// Seconds on the wall's clock.
    pub wall: f64,
}

/// Runs something and says what it cost this process.
pub fn costing<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (cpu_before, began) = (cpu(), Instant::now());
    let done = work();
    let cost = Cost { cpu: cpu().saturating_sub(cpu_before).as_secs_f64(), wall: began.elapsed().as_secs_f64() };
    (done, cost)
}
