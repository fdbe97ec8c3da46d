//! What runs in a process of its own.

use std::path::PathBuf;

use models::speech::endpoint::EndpointConfig;
use models::{EarOptions, PartyKey, Transcriber};
use serde::{Deserialize, Serialize};

use crate::conversation::{of_many, of_two};
use crate::hear::{Cost, FRAME, Hearer, Piece, config, costing, text};
use crate::live::{play, quantile};
use crate::sounds;

/// Weights that all are compared with.
pub const WEIGHTS: &str = "base.en";

/// Words and cost of one recogniser.
#[derive(Debug, Serialize, Deserialize)]
pub struct Heard {
    /// Without loading weights.
    #[serde(flatten)]
    pub cost: Cost,
    /// What was heard in each file.
    pub texts: Vec<String>,
}

/// Files through the recogniser: ears, voice activity, scheduler, guards; no captions.
pub fn hear(files: &[PathBuf], threads: usize, live: bool) -> anyhow::Result<Heard> {
    let pieces = files
        .iter()
        .map(|file| Ok(Piece { pcm: sounds::wav(file, 16_000)?, ..Piece::default() }))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut settings = config(WEIGHTS)?;
    settings.workers = threads;
    settings.threads_per_worker = 1;
    if live {
        settings.endpoint = EndpointConfig::live();
    }
    let mut hearer = Hearer::load(settings)?;
    let (heard, cost) = costing(|| hearer.hear(&pieces));
    Ok(Heard { cost, texts: heard?.iter().map(|heard| text(heard)).collect() })
}

/// Delays in real time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delays {
    /// Utterances.
    pub utterances: usize,
    /// End of an utterance to its final words, ms.
    pub median: Option<f64>,
    /// The same, 95th percentile.
    pub p95: Option<f64>,
    /// The worst.
    pub worst: Option<f64>,
    /// End of an utterance to all its words being shown, in a caption or for good, ms.
    pub shown_median: Option<f64>,
    /// The same, 95th percentile.
    pub shown_p95: Option<f64>,
    /// Captions.
    pub captions: usize,
    /// Last word of a caption behind its being said, ms.
    pub caption_median: Option<f64>,
    /// The same, 95th percentile.
    pub caption_p95: Option<f64>,
    /// Sound that was lost, ms.
    pub lost_ms: u64,
    /// CPU seconds per second.
    pub cpu_share: f64,
}

/// People who speak in real time.
pub fn live(speakers: usize, seconds: f64, workers: usize, captions: bool) -> anyhow::Result<Delays> {
    let conversation = if speakers == 0 { of_two(seconds, 5)? } else { of_many(speakers, seconds, 6)? };
    let mut settings = config(WEIGHTS)?;
    settings.inbox_ms = 30_000;
    settings.workers = workers;
    settings.endpoint = EndpointConfig::live();
    let (seen, cost) = costing(|| play(settings, &conversation.lines, captions));
    let seen = seen?;
    let (delays, shown, lag) = (seen.delays(), seen.shown_delays(), seen.caption_delays());
    for said in &seen.utterances {
        let length = said.what.end_ms - said.what.start_ms;
        let (shown, good) = (seen.shown_ms(said), said.at_ms);
        let behind = |at_ms: f64| at_ms - said.what.end_ms as f64;
        eprintln!(
            "{length} ms of party {}: shown {:.0}, for good {:.0} ms behind",
            said.what.party.0,
            behind(shown),
            behind(good)
        );
    }
    Ok(Delays {
        utterances: delays.len(),
        median: quantile(&delays, 0.5),
        p95: quantile(&delays, 0.95),
        worst: delays.last().copied(),
        shown_median: quantile(&shown, 0.5),
        shown_p95: quantile(&shown, 0.95),
        captions: seen.captions.len(),
        caption_median: quantile(&lag, 0.5),
        caption_p95: quantile(&lag, 0.95),
        lost_ms: seen.lost_ms,
        cpu_share: cost.cpu / cost.wall.max(1e-9),
    })
}

/// Memory of this process with live ears.
#[derive(Debug, Serialize, Deserialize)]
pub struct Memory {
    /// How many.
    pub ears: usize,
    /// Most that was resident at any time, MB.
    pub peak_mb: f64,
}

/// Opens ears, lets all of them hear eight seconds of speech at once, with captions on, and waits until all is said.
pub fn memory(ears: usize) -> anyhow::Result<Memory> {
    let (transcriber, mut results) = Transcriber::load(config(WEIGHTS)?)?;
    let conversation = of_many(1, 8.0, 7)?;
    let sound = &conversation.lines[0];
    let options = EarOptions { captions: true, ..EarOptions::default() };
    let open: Vec<_> = (0..ears as u64).map(|party| transcriber.open_with(PartyKey(party), options.clone())).collect();
    // In steps of a second, as fast as it goes: queues are as full as they get.
    for (second, part) in sound.chunks(16_000).enumerate() {
        for ear in &open {
            for (i, frame) in part.chunks(FRAME).enumerate() {
                ear.push(second as i64 * 1000 + i as i64 * 20, frame);
            }
        }
    }
    open.into_iter().for_each(models::PartyEar::finish);
    let mut left = ears;
    while left > 0 {
        match results.blocking_recv() {
            Some(models::Recognised::Finished { .. }) => left -= 1,
            Some(_) => {}
            None => anyhow::bail!("the recogniser ended"),
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes: f64 = peak.split_whitespace().next().unwrap_or("0").parse()?;
    Ok(Memory { ears, peak_mb: kilobytes / 1024.0 })
}
