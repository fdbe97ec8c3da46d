//! Who speaks when on recordings of one line, and how much of it is wrong, as JSON lines on stdout.
//!
//! `cargo run -p models --example speakers -- [--show] [--onnxruntime LIB] [--segmentation FILE] [--embedding FILE] WAV…`
//!
//! Each recording (16 kHz, or 8 kHz which is brought to 16 kHz, mono) goes in 20 ms frames through voice activity and endpointing
//! as a live party does; when an utterance is finished its voices are asked for, as a call does. Beside `NAME.wav` there may be
//! `NAME.rttm` with the truth: then the errors are given, with and without the customary collar of 250 ms, as told then (`live`)
//! and as known at the end (`end`). `--show` prints the spans.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use models::eval;
use models::speakers::der::{Speech, diarisation_errors};
use models::speakers::{SpeakerConfig, SpeakerModels, SpeakerTracker, VoiceSpan, rttm};
use models::speech::endpoint::EndpointConfig;
use models::speech::listen::Listener;
use models::speech::silero::Silero;
use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error>;

#[derive(serde::Serialize)]
struct Row {
    recording: String,
    seconds: f64,
    utterances: usize,
    voices: usize,
    speakers: Option<usize>,
    live_collar_250: Option<f64>,
    live_collar_0: Option<f64>,
    end_collar_250: Option<f64>,
    end_collar_0: Option<f64>,
    /// Missed, false alarm and confused of the first, over speech.
    kinds: Option<[f64; 3]>,
    /// CPU time of the tracker over length of the recording.
    cpu_real_time_factor: f64,
    /// CPU time of the dearest question, in ms.
    dearest_answer_ms: f64,
    windows: u64,
    embeddings: u64,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (mut recordings, mut show) = (Vec::new(), false);
    let (mut onnxruntime, mut segmentation, mut embedding) = (None, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--show" => show = true,
            "--onnxruntime" => onnxruntime = arguments.next().map(PathBuf::from),
            "--segmentation" => segmentation = arguments.next().map(PathBuf::from),
            "--embedding" => embedding = arguments.next().map(PathBuf::from),
            recording => recordings.push(PathBuf::from(recording)),
        }
    }
    let folder = models::weights::default_folder();
    let config = match (segmentation, embedding, onnxruntime) {
        (Some(segmentation), Some(embedding), Some(onnxruntime)) => {
            SpeakerConfig { segmentation, embedding, onnxruntime }
        }
        _ => SpeakerConfig::in_folder(&folder)?,
    };
    let speakers = SpeakerModels::load(&config)?;
    let vad = models::weights::named(models::weights::DEFAULT_VAD)?;
    let silero = Arc::new(Silero::load(&models::weights::locate(&vad, &folder)?)?);
    for recording in &recordings {
        let row =
            run(recording, &speakers, &silero, show).map_err(|error| format!("{}: {error}", recording.display()))?;
        println!("{}", serde_json::to_string(&row)?);
    }
    Ok(())
}

fn run(recording: &Path, models: &Arc<SpeakerModels>, silero: &Arc<Silero>, show: bool) -> Result<Row, Failure> {
    let pcm = sound(recording)?;
    let mut tracker = SpeakerTracker::new(Arc::clone(models));
    let mut listener = Listener::new(Arc::clone(silero), EndpointConfig::default());
    let (mut live, mut end, mut utterances) = (Vec::<VoiceSpan>::new(), Vec::new(), Vec::new());
    let (mut spent, mut dearest) = (0.0, 0.0f64);
    let length = pcm.len().div_ceil(320);
    for (number, frame) in pcm.chunks(320).enumerate() {
        let at = number as i64 * 20;
        let mut heard = Vec::new();
        listener.push(at, frame, &mut heard);
        if number + 1 == length {
            listener.flush(&mut heard);
        }
        let from = cpu();
        tracker.push(at, frame);
        spent += cpu() - from;
        for utterance in heard {
            let from = cpu();
            live.extend(tracker.voices(utterance.start_ms, utterance.end_ms));
            let took = cpu() - from;
            spent += took;
            dearest = dearest.max(took);
            utterances.push((utterance.start_ms, utterance.end_ms));
        }
    }
    for (start_ms, end_ms) in &utterances {
        end.extend(tracker.voices(*start_ms, *end_ms));
    }
    if show {
        for span in &live {
            eprintln!("{:8.2} {:8.2}  {}", span.start_ms as f64 / 1000.0, span.end_ms as f64 / 1000.0, span.voice);
        }
    }
    let truth = recording.with_extension("rttm");
    let truth: Option<Vec<Speech>> = match truth.exists() {
        true => Some(rttm::read(&std::fs::read_to_string(truth)?)?.into_iter().map(Speech::from).collect()),
        false => None,
    };
    let speech = |spans: &[VoiceSpan]| -> Vec<Speech> { spans.iter().copied().map(Speech::from).collect() };
    let (live, end) = (speech(&live), speech(&end));
    let errors = |said: &[Speech], collar| truth.as_ref().map(|truth| diarisation_errors(truth, said, collar));
    let rate = |said: &[Speech], collar| errors(said, collar).map(|e| e.rate());
    let voices: std::collections::BTreeSet<_> = live.iter().map(|s| s.speaker.as_str()).collect();
    let seconds = pcm.len() as f64 / 16_000.0;
    Ok(Row {
        recording: recording.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        seconds,
        utterances: utterances.len(),
        voices: voices.len(),
        speakers: truth.as_ref().map(|t| t.iter().map(|s| &s.speaker).collect::<std::collections::BTreeSet<_>>().len()),
        live_collar_250: rate(&live, 250),
        live_collar_0: rate(&live, 0),
        end_collar_250: rate(&end, 250),
        end_collar_0: rate(&end, 0),
        kinds: errors(&live, 250)
            .map(|e| [e.missed_ms, e.false_alarm_ms, e.confused_ms].map(|ms| ms as f64 / e.speech_ms.max(1) as f64)),
        cpu_real_time_factor: spent / seconds,
        dearest_answer_ms: dearest * 1000.0,
        windows: tracker.stats().windows,
        embeddings: tracker.stats().embeddings,
    })
}

fn sound(path: &Path) -> Result<Vec<i16>, Failure> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 || ![8000, 16_000].contains(&spec.sample_rate) {
        return Err("not 16 bit mono at 8 or 16 kHz".into());
    }
    let pcm: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>()?;
    Ok(if spec.sample_rate == 8000 { eval::upsample_8k_to_16k(&pcm) } else { pcm })
}

/// CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
