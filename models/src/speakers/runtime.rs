//! onnxruntime, found and checked before it is loaded, and the two networks on it.
//!
//! The library is loaded at run time (`ort` with `load-dynamic`), once per process: from its Python wheel, from the system, or
//! from where an operator has it. Whatever is at the path, the answer is a working library or an error: a file that is cut
//! off would otherwise end the process while it is loaded, and `ort` itself panics where it finds none. A library with telemetry
//! built in is refused: all here works offline.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::CPU;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use zeroize::{Zeroize, Zeroizing};

use super::cluster::Embedding;
use super::fbank::BANDS;
use super::segment::{Activity, FRAMES, WINDOW};
use super::{SpeakerConfig, SpeakerError};

/// The one onnxruntime of this process. `ort` allows one environment, so it is kept until the process ends.
static RUNTIME: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// The networks that tell voices apart: 33 MB of weights, loaded once and shared by all lines. A run of one holds its lock: lines
/// that ask at the same time wait for one another, for about 0.2 s at most.
pub struct SpeakerModels {
    segmentation: Mutex<Session>,
    embedding: Mutex<Session>,
}

impl std::fmt::Debug for SpeakerModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpeakerModels").finish_non_exhaustive()
    }
}

impl SpeakerModels {
    /// Loads the library and both networks, and tries each. Takes about a second; blocks.
    ///
    /// # Errors
    /// A file is missing, is something else, or another onnxruntime is loaded already.
    pub fn load(config: &SpeakerConfig) -> Result<Arc<Self>, SpeakerError> {
        for weights in [&config.segmentation, &config.embedding] {
            readable(weights)?;
        }
        let environment = environment(&config.onnxruntime)?;
        let models = Self {
            segmentation: Mutex::new(session(&environment, &config.segmentation)?),
            embedding: Mutex::new(session(&environment, &config.embedding)?),
        };
        let bad = |path: &Path, what: String| SpeakerError::BadModel { path: path.to_owned(), what };
        let activity = models.segment(&vec![0.0; WINDOW]).map_err(|what| bad(&config.segmentation, what))?;
        if activity.frames() != FRAMES {
            let what = format!("it gives {} frames for 10 s, not {FRAMES}", activity.frames());
            return Err(bad(&config.segmentation, what));
        }
        // Some sound: of silence there is no direction.
        let some: Vec<f32> = (0..50 * BANDS).map(|i| (i as f32 * 0.37).sin()).collect();
        models.embed(&some).map_err(|what| bad(&config.embedding, what))?;
        Ok(Arc::new(models))
    }

    /// Who of up to three speaks in which frame of [`WINDOW`] samples (-1 to 1).
    pub(super) fn segment(&self, samples: &[f32]) -> Result<Activity, String> {
        let answer = run(&self.segmentation, [1, 1, samples.len()], samples)?;
        Activity::of(&answer).ok_or_else(|| format!("it gives {} numbers, which are no powerset", answer.len()))
    }

    /// The voice in these features (rows of [`BANDS`]).
    pub(super) fn embed(&self, features: &[f32]) -> Result<Embedding, String> {
        let mut answer = run(&self.embedding, [1, features.len() / BANDS, BANDS], features)?;
        Embedding::take(&mut answer).ok_or_else(|| "it gives no direction".to_owned())
    }
}

/// One run: a tensor in, the first output out. The runtime's own copy of the answer is wiped.
fn run(session: &Mutex<Session>, shape: [usize; 3], values: &[f32]) -> Result<Zeroizing<Vec<f32>>, String> {
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    // Borrowed: the runtime reads our memory, which we wipe.
    let input = TensorRef::from_array_view((shape, values)).map_err(|error| error.to_string())?;
    let mut outputs = session.run(ort::inputs![input]).map_err(|error| error.to_string())?;
    let mut output = outputs.values_mut().next().ok_or("it has no output")?;
    let (_, values) = output.try_extract_tensor_mut::<f32>().map_err(|error| error.to_string())?;
    let answer = Zeroizing::new(values.to_vec());
    values.zeroize();
    Ok(answer)
}

fn session(environment: &Environment, path: &Path) -> Result<Session, SpeakerError> {
    let bad = |what: String| SpeakerError::BadModel { path: path.to_owned(), what };
    let build = || -> ort::Result<Session> {
        Session::builder(environment)?
            // One thread: what waits in busy loops would take the cores of calls.
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_memory_pattern(false)?
            // Without the arena working memory goes back to the allocator after each run, instead of lying there unused.
            .with_execution_providers([CPU::default().with_arena_allocator(false).build()])?
            .commit_from_file(path)
    };
    let session = build().map_err(|error| bad(error.to_string()))?;
    match (session.inputs().len(), session.outputs().len()) {
        (1, 1) => Ok(session),
        (inputs, outputs) => Err(bad(format!("it has {inputs} inputs and {outputs} outputs, not one each"))),
    }
}

fn readable(path: &Path) -> Result<File, SpeakerError> {
    let unreadable = |source| SpeakerError::Unreadable { path: path.to_owned(), source };
    // Not opened unless it is a file: a pipe would keep us waiting.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("not a file")));
    }
    File::open(path).map_err(unreadable)
}

fn environment(path: &Path) -> Result<Environment, SpeakerError> {
    let bad = |what: String| SpeakerError::BadRuntime { path: path.to_owned(), what };
    let file = readable(path)?;
    let whole = path.canonicalize().map_err(|source| SpeakerError::Unreadable { path: path.to_owned(), source })?;
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    match &*runtime {
        Some((loaded, environment)) if *loaded == whole => return Ok(environment.clone()),
        Some((loaded, _)) => {
            return Err(SpeakerError::OtherRuntime { path: path.to_owned(), loaded: loaded.clone() });
        }
        None => {}
    }
    check_library(file).map_err(bad)?;
    let environment = ort::init_from(&whole)
        .map_err(|error| bad(error.to_string()))?
        .with_name("roomtone")
        .with_telemetry(false)
        // Its messages go where ours go, and no further; they name nodes and shapes, never values.
        .with_logger(Arc::new(|level, _, _, _, message: &str| {
            tracing::debug!(?level, message, "onnxruntime");
        }))
        .build()
        .map_err(|error| bad(error.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Error);
    *runtime = Some((whole, environment.clone()));
    Ok(environment)
}

/// The address to which the wheels of 1.29 and later report who runs which model. That is on unless the process was started
/// with `ORT_DISABLE_TELEMETRY`; whatever is set, they write a session file into the folder for temporary files.
const REPORTS_TO: &[u8] = b"events.data.microsoft.com";

/// Whether this is a whole shared library for this machine that keeps to itself. The segments are looked into in ELF only; other
/// systems' loaders say it themselves.
fn check_library(mut file: File) -> Result<(), String> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if cfg!(target_os = "linux") {
        check_elf(&bytes, bytes.len() as u64)?;
    }
    let first = REPORTS_TO[0];
    if bytes.windows(REPORTS_TO.len()).any(|place| place[0] == first && place == REPORTS_TO) {
        return Err("it is made to report to its maker over the network, which nothing here does".to_owned());
    }
    Ok(())
}

/// Reads the header and the table of segments of an ELF file of this length from its (first) bytes.
fn check_elf(head: &[u8], length: u64) -> Result<(), String> {
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = head.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err("it is no shared library (64 bit ELF)".to_owned());
    }
    let cut_off = || "it is cut off".to_owned();
    let machine = number(18, 2).ok_or_else(cut_off)?;
    let ours = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) && machine != ours {
        return Err(format!("it is made for another kind of processor (ELF machine {machine}, not {ours})"));
    }
    if number(16, 2) != Some(3) {
        return Err("it is an ELF file, but no shared library".to_owned());
    }
    let (table, entry, count) = (number(32, 8), number(54, 2), number(56, 2));
    let (Some(table), Some(entry), Some(count)) = (table, entry, count) else { return Err(cut_off()) };
    for segment in 0..count {
        let at = usize::try_from(table.saturating_add(segment * entry)).map_err(|_| cut_off())?;
        let (Some(kind), Some(offset), Some(size)) =
            (number(at, 4), number(at.saturating_add(8), 8), number(at.saturating_add(32), 8))
        else {
            return Err(cut_off());
        };
        const LOAD: u64 = 1;
        if kind == LOAD && offset.saturating_add(size) > length {
            return Err(cut_off());
        }
    }
    Ok(())
}
