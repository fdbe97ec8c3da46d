//! Word error rate and real-time factor of a Whisper model on telephone prompts, as JSON on stdout.
//!
//! `cargo run -p models --example rtf -- [--weights base.en] [--every 12] [--floors 256,384,1500] [--threads 1] [--words]`
//!
//! Each prompt (8 kHz, every n-th of those with at least four words) is brought to 16 kHz, goes in 20 ms frames through
//! voice activity and endpointing as a live party does, and each utterance through Whisper and the guards. `--words` shows
//! on stderr where the words differ. Wall time depends on who else
//! has the cores; CPU time is given beside it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::eval::{self, WordErrors};
use models::speech::backend::whisper::Whisper;
use models::speech::endpoint::EndpointConfig;
use models::speech::listen::Listener;
use models::speech::recognise::{Hints, recognise};
use models::speech::silero::Silero;

#[derive(serde::Serialize)]
struct Row {
    context_floor: usize,
    prompts: usize,
    errors: WordErrors,
    word_error_rate: f64,
    /// Utterances that the guards threw away.
    doubted: usize,
    speech_seconds: f64,
    decode_seconds: f64,
    /// CPU time of it: what it costs when others have the cores too (with `--threads 1`; more threads are not counted).
    decode_cpu_seconds: f64,
    /// CPU time over length of the utterances.
    decode_cpu_real_time_factor: f64,
    /// Decoding time over length of the utterances.
    decode_real_time_factor: f64,
    /// Voice activity time over length of all sound.
    vad_real_time_factor: f64,
    /// Decoding time of an utterance, in ms.
    decode_ms_median: u128,
    decode_ms_p95: u128,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: &str| -> String {
        let at = arguments.iter().position(|a| a == name);
        at.and_then(|at| arguments.get(at + 1)).cloned().unwrap_or_else(|| default.to_owned())
    };
    let show = arguments.iter().any(|a| a == "--words");
    let folder = models::weights::default_folder();
    let weights = models::weights::named(&option("--weights", models::weights::DEFAULT_WHISPER))?;
    let whisper = Whisper::load(&models::weights::locate(&weights, &folder)?)?;
    let vad = models::weights::named(models::weights::DEFAULT_VAD)?;
    let silero = Arc::new(Silero::load(&models::weights::locate(&vad, &folder)?)?);
    let threads: usize = option("--threads", "1").parse()?;
    let mut decoder = whisper.with_threads(threads).decoder()?;
    let every: usize = option("--every", "12").parse()?;

    let prompts: Vec<_> = eval::installed_prompts()?
        .into_iter()
        .filter(|prompt| eval::normalise(&prompt.text).len() >= 4)
        .step_by(every.max(1))
        .collect();

    let mut rows = Vec::new();
    for floor in option("--floors", "384").split(',') {
        let floor: usize = floor.parse()?;
        decoder.set_context_floor(floor);
        let (mut errors, mut doubted) = (WordErrors::default(), 0);
        let (mut sound, mut speech) = (Duration::ZERO, Duration::ZERO);
        let (mut vad_time, mut cpu_time, mut times) = (Duration::ZERO, Duration::ZERO, Vec::new());
        for prompt in &prompts {
            let mut pcm = vec![0i16; 8000];
            pcm.extend(eval::upsample_8k_to_16k(&read_wav(&prompt.wav)?));
            pcm.extend(vec![0i16; 16_000]);
            sound += Duration::from_secs_f64(pcm.len() as f64 / 16_000.0);
            let mut listener = Listener::new(Arc::clone(&silero), EndpointConfig::default());
            let mut heard = Vec::new();
            let began = Instant::now();
            for (i, frame) in pcm.chunks(320).enumerate() {
                listener.push(i as i64 * 20, frame, &mut heard);
            }
            listener.flush(&mut heard);
            vad_time += began.elapsed();
            let mut words = String::new();
            for heard in heard {
                speech += Duration::from_millis(heard.length_ms());
                let began = Instant::now();
                let cpu_began = cpu();
                let outcome = recognise(&mut decoder, &heard, Hints { language: Some("en"), prompt: "" })?;
                cpu_time += cpu().saturating_sub(cpu_began);
                times.push(began.elapsed());
                match outcome {
                    Ok(found) => {
                        words.push_str(&found.text);
                        words.push(' ');
                    }
                    Err(doubt) => {
                        doubted += 1;
                        if show {
                            eprintln!("{}: {doubt:?}", prompt.name);
                        }
                    }
                }
            }
            let found = eval::word_errors(&prompt.text, &words);
            if show && found.rate() > 0.0 {
                eprintln!("{}: {found:?}\n  said  {}\n  heard {words}", prompt.name, prompt.text);
            }
            errors = errors.plus(found);
        }
        times.sort();
        let decode: Duration = times.iter().sum();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0, Duration::as_millis);
        rows.push(Row {
            context_floor: floor,
            prompts: prompts.len(),
            errors,
            word_error_rate: errors.rate(),
            doubted,
            speech_seconds: speech.as_secs_f64(),
            decode_seconds: decode.as_secs_f64(),
            decode_cpu_seconds: cpu_time.as_secs_f64(),
            decode_cpu_real_time_factor: cpu_time.as_secs_f64() / speech.as_secs_f64().max(1e-9),
            decode_real_time_factor: decode.as_secs_f64() / speech.as_secs_f64().max(1e-9),
            vad_real_time_factor: vad_time.as_secs_f64() / sound.as_secs_f64().max(1e-9),
            decode_ms_median: at(0.5),
            decode_ms_p95: at(0.95),
        });
    }
    let report = serde_json::json!({
        "weights": weights.file,
        "threads": threads,
        "sound": "asterisk-core-sounds-en-wav, 8 kHz, one voice",
        "rows": rows,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn read_wav(path: &Path) -> Result<Vec<i16>, Box<dyn std::error::Error>> {
    let mut reader = hound::WavReader::open(path)?;
    Ok(reader.samples::<i16>().collect::<Result<_, _>>()?)
}
