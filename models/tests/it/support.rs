//! Weights, prompts, made sound, and a log that remembers everything.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use models::eval;
use models::{PartyEar, Recognised, Transcriber, TranscriberConfig};
use tokio::sync::mpsc::Receiver;

/// Long enough for any test's words on a busy machine with two cores.
const PATIENCE: Duration = Duration::from_secs(240);

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static START: Once = Once::new();

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All that was logged by any test so far, at every level.
pub(crate) fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// From here on all that is logged is kept.
pub(crate) fn keep_log() {
    START.call_once(|| {
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log).with_ansi(false).init();
    });
}

pub(crate) fn config() -> TranscriberConfig {
    keep_log();
    let folder = eval::weights_folder();
    let file = |name: &str| {
        let weights = models::weights::named(name).unwrap();
        match models::weights::locate(&weights, &folder) {
            Ok(path) => path,
            Err(error) => panic!("{error} (run `cargo xtask setup` first)"),
        }
    };
    let mut config = TranscriberConfig::new(file(models::weights::DEFAULT_WHISPER), file(models::weights::DEFAULT_VAD));
    // Tests give sound faster than it is spoken.
    config.inbox_ms = 600_000;
    config
}

/// A prompt's text and its sound at 16 kHz.
pub(crate) fn prompt(name: &str) -> (String, Vec<i16>) {
    let prompts = eval::installed_prompts().unwrap_or_else(|error| {
        panic!("telephone prompts are missing ({error}); `cargo xtask setup` installs asterisk-core-sounds-en(-wav)")
    });
    let prompt = prompts.into_iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no prompt {name}"));
    let mut reader = hound::WavReader::open(&prompt.wav).unwrap();
    let pcm: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    (prompt.text, eval::upsample_8k_to_16k(&pcm))
}

pub(crate) fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 16]
}

/// Gives sound in 20 ms frames whose times begin at `at`; returns the time behind it.
pub(crate) fn say(ear: &PartyEar, at: i64, pcm: &[i16]) -> i64 {
    for (i, frame) in pcm.chunks(320).enumerate() {
        ear.push(at + i as i64 * 20, frame);
    }
    at + pcm.len() as i64 / 16
}

pub(crate) async fn next(results: &mut Receiver<Recognised>) -> Recognised {
    tokio::time::timeout(PATIENCE, results.recv())
        .await
        .expect("nothing was recognised in time")
        .expect("the recogniser ended")
}

/// All that comes until as many ears have finished.
pub(crate) async fn until_finished(results: &mut Receiver<Recognised>, ears: usize) -> Vec<Recognised> {
    let mut all = Vec::new();
    let mut finished = 0;
    while finished < ears {
        let result = next(results).await;
        finished += usize::from(matches!(result, Recognised::Finished { .. }));
        all.push(result);
    }
    all
}

pub(crate) async fn load(config: TranscriberConfig) -> (Transcriber, Receiver<Recognised>) {
    tokio::task::spawn_blocking(|| Transcriber::load(config)).await.unwrap().unwrap()
}
