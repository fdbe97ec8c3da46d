//! A folder for everything one run writes: kept when something failed, so that one can look why.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;

/// The folder of one run. It goes when the run ends well, unless `ROOMTONE_KEEP_LOGS` is set.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    keep: bool,
}

impl RunDir {
    /// Makes `<target>/scenarios/<name>-<unix time>`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let path = target_dir()?.join("scenarios").join(format!("{name}-{at}"));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, keep: std::env::var_os("ROOMTONE_KEEP_LOGS").is_some() })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder when the run ends.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.keep || std::thread::panicking() {
            tracing::info!(dir = %self.path.display(), "logs and recordings of this run are kept");
            #[expect(clippy::print_stderr, reason = "whoever looks at a failed test needs the path")]
            {
                eprintln!("logs and recordings: {}", self.path.display());
            }
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Cargo's target folder, from where the running test or program lies.
///
/// # Errors
/// The program's own path is not known.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("where this program lies")?;
    let profile = exe
        .ancestors()
        .skip(1)
        .find(|p| p.file_name().is_some_and(|n| n == "debug" || n == "release"))
        .context("this program does not lie in a target folder of cargo")?;
    Ok(profile.parent().unwrap_or(profile).to_path_buf())
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Has all later stages run this `roomtone` instead of the one that [`roomtone_program`] would find. The first call counts.
pub fn use_program(path: PathBuf) {
    let _ = PROGRAM.set(path);
}

/// The `roomtone` program built beside this one; `ROOMTONE_BIN` names another.
///
/// # Errors
/// It is not built; the message says how.
pub fn roomtone_program() -> anyhow::Result<PathBuf> {
    if let Some(path) = PROGRAM.get() {
        return Ok(path.clone());
    }
    if let Some(path) = std::env::var_os("ROOMTONE_BIN") {
        return Ok(path.into());
    }
    let target = target_dir()?;
    ["debug", "release"]
        .iter()
        .map(|profile| target.join(profile).join("roomtone"))
        .find(|p| p.exists())
        .with_context(|| format!("no roomtone in {}: `cargo build -p appservice`", target.display()))
}
