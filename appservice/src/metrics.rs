//! Counts for Prometheus. Nothing in them tells who called, where, or what was said.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use models::{Transcriber, TranscriberStats};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text::encode},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

/// Delays of captions are told in these steps, in seconds. The promise is 2.
const DELAYS: [f64; 10] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Who wrote notes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWriter {
    writer: String,
}

/// What is counted. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    calls: Gauge,
    caption_delay: Histogram,
    notes: Family<ByWriter, Counter>,
    late: Counter,
    reminders: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let inner = Inner {
            registry: Mutex::new(Registry::with_prefix("roomtone")),
            calls: Gauge::default(),
            caption_delay: Histogram::new(DELAYS),
            notes: Family::default(),
            late: Counter::default(),
            reminders: Counter::default(),
        };
        {
            let mut registry = inner.registry.lock().unwrap_or_else(PoisonError::into_inner);
            registry.register("calls", "Calls that go on", inner.calls.clone());
            registry.register_with_unit(
                "caption_delay",
                "From the end of an utterance to its caption's being recorded for sending",
                Unit::Seconds,
                inner.caption_delay.clone(),
            );
            registry.register("notes_written", "Notes stored, by who wrote them", inner.notes.clone());
            registry.register(
                "notes_late",
                "Notes of which a first version was extractive because the writers took too long",
                inner.late.clone(),
            );
            registry.register("reminders", "Reminders of to-dos", inner.reminders.clone());
        }
        Self(Arc::new(inner))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Tells what the recogniser counts, too.
    pub fn watch(&self, transcriber: &Transcriber) {
        let transcriber = transcriber.clone();
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Recogniser(Box::new(move || transcriber.stats()))));
    }

    /// A call began (1) or ended (-1).
    pub(crate) fn calls(&self, change: i64) {
        self.0.calls.inc_by(change);
    }

    /// A caption was recorded so long after its words were said.
    pub(crate) fn caption_after(&self, delay: std::time::Duration) {
        self.0.caption_delay.observe(delay.as_secs_f64());
    }

    /// Notes were stored. Names of writers are the configuration's, not people's.
    pub(crate) fn notes_written(&self, writer: &str) {
        self.0.notes.get_or_create(&ByWriter { writer: writer.to_owned() }).inc();
    }

    /// The writers took too long.
    pub(crate) fn notes_late(&self) {
        self.0.late.inc();
    }

    /// Somebody was reminded.
    pub(crate) fn reminded(&self) {
        self.0.reminders.inc();
    }

    /// All of it in the text form that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut out, &registry).is_err() {
            tracing::warn!("the metrics could not be written");
        }
        out
    }
}

/// The recogniser's counts, read when they are asked for.
struct Recogniser(Box<dyn Fn() -> TranscriberStats + Send + Sync>);

impl fmt::Debug for Recogniser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recogniser")
    }
}

impl Collector for Recogniser {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = (self.0)();
        let seconds = |ms: u64| std::time::Duration::from_millis(ms).as_secs_f64();
        let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for (name, help, value) in [
            ("speech_ears", "Parties that are listened to", whole(stats.ears)),
            ("speech_decoding", "Utterances in hand now", whole(stats.decoding)),
            ("speech_shared_lines", "Lines on which people are told apart", whole(stats.shared_lines)),
        ] {
            let told = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(told)?;
        }
        for (name, help, value) in [
            ("speech_waiting", "Sound that waits to be recognised", stats.waiting_ms),
            ("speech_behind", "How long the oldest utterance that waits has waited", stats.oldest_ms),
        ] {
            let told = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
            ConstGauge::new(seconds(value)).encode(told)?;
        }
        for (name, help, value) in [
            ("speech_utterances", "Utterances recognised", stats.utterances),
            ("speech_doubted", "Utterances thrown away because their words seemed invented", stats.doubted),
            ("speech_failed", "Utterances that could not be recognised", stats.failed),
            ("speech_retries", "Utterances that were tried again", stats.retries),
            ("speech_backend_failures", "Attempts at which the recogniser failed", stats.backend_failures),
            ("speech_captions", "Captions shown before their utterance was over", stats.captions),
            ("speech_captions_dropped", "Such captions dropped to keep utterances in time", stats.captions_dropped),
            ("speech_untold", "Utterances of a shared line whose voice was not told in time", stats.voices_untold),
        ] {
            let told = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(told)?;
        }
        for (name, help, value) in [
            ("speech_lost", "Sound dropped because the machine is too slow", stats.lost_ms),
            ("speech_voices_lost", "Sound of shared lines not looked at for voices", stats.voices_lost_ms),
            ("speech_recognised", "Sound recognised", stats.decoded_ms),
            ("speech_recognising", "Time that was spent on it", stats.decoding_ms),
        ] {
            let told = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
            ConstCounter::new(seconds(value)).encode(told)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counts_are_told_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.calls(1);
        metrics.caption_after(Duration::from_millis(600));
        metrics.notes_written("extractive");
        metrics.notes_late();
        let stats = TranscriberStats {
            utterances: 7,
            lost_ms: 1500,
            waiting_ms: 250,
            oldest_ms: 750,
            captions_dropped: 3,
            ..TranscriberStats::default()
        };
        metrics.0.registry.lock().unwrap().register_collector(Box::new(Recogniser(Box::new(move || stats))));
        let text = metrics.text();
        for line in [
            "roomtone_calls 1",
            "roomtone_caption_delay_seconds_bucket{le=\"0.75\"} 1",
            "roomtone_caption_delay_seconds_bucket{le=\"0.5\"} 0",
            "roomtone_notes_written_total{writer=\"extractive\"} 1",
            "roomtone_notes_late_total 1",
            "roomtone_speech_utterances_total 7",
            "roomtone_speech_lost_seconds_total 1.5",
            "roomtone_speech_waiting_seconds 0.25",
            "roomtone_speech_behind_seconds 0.75",
            "roomtone_speech_captions_dropped_total 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
