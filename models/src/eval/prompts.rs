//! Recorded prompts with known text, from Debian's packages: real voices under a free licence (CC-BY-SA-3.0).
//!
//! They are read where the packages install them, or where `cargo xtask setup` unpacks them: `ROOMTONE_CACHE/prompts`, else
//! `~/.cache/roomtone/prompts`.

use std::io;
use std::path::{Path, PathBuf};

/// A telephone prompt with what is said in it.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Its name ("vm-options").
    pub name: String,
    /// What is said.
    pub text: String,
    /// Its 8 kHz WAV file.
    pub wav: PathBuf,
}

/// A voice of Debian's prompt packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Two-letter code of the language that is spoken.
    pub language: &'static str,
    /// A name for tables.
    pub name: &'static str,
    /// Folders below `/usr/share` that hold the sound, best first.
    folders: &'static [&'static str],
    /// The list of texts below `/usr/share`; `None`: nobody wrote them down.
    list: Option<&'static str>,
    /// Debian packages that have both.
    pub packages: &'static [&'static str],
}

/// The voice of the English prompts.
pub const ENGLISH: Speaker = SPEAKERS[0];

/// All voices. Those of one language are different people.
pub const SPEAKERS: &[Speaker] = &[
    Speaker {
        language: "en",
        name: "Allison (en)",
        folders: &["asterisk/sounds/en_US_f_Allison", "asterisk/sounds/en"],
        list: Some("doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"),
        packages: &["asterisk-core-sounds-en", "asterisk-core-sounds-en-wav", "asterisk-core-sounds-en-g722"],
    },
    Speaker {
        language: "fr",
        name: "June (fr)",
        folders: &["asterisk/sounds/fr_CA_f_June"],
        list: Some("doc/asterisk-core-sounds-fr/core-sounds-fr.txt.gz"),
        packages: &["asterisk-core-sounds-fr", "asterisk-core-sounds-fr-wav"],
    },
    Speaker {
        language: "es",
        name: "Allison (es)",
        folders: &["asterisk/sounds/es_MX_f_Allison"],
        list: Some("doc/asterisk-core-sounds-es/core-sounds-es.txt.gz"),
        packages: &["asterisk-core-sounds-es", "asterisk-core-sounds-es-wav"],
    },
    Speaker {
        language: "it",
        name: "Carlo (it)",
        folders: &["asterisk/sounds/it_IT_m_Carlo"],
        list: Some("doc/asterisk-core-sounds-it/core-sounds-it.txt.gz"),
        packages: &["asterisk-core-sounds-it", "asterisk-core-sounds-it-wav"],
    },
    Speaker {
        language: "ru",
        name: "Ivrvoice (ru)",
        folders: &["asterisk/sounds/ru_RU_f_IvrvoiceRU"],
        list: Some("doc/asterisk-core-sounds-ru/core-sounds-ru.txt.gz"),
        packages: &["asterisk-core-sounds-ru", "asterisk-core-sounds-ru-wav"],
    },
    Speaker {
        language: "it",
        name: "Menardi (it)",
        folders: &["asterisk/sounds/it_IT_f_Menardi"],
        list: None,
        packages: &["asterisk-prompt-it-menardi-wav"],
    },
];

/// Folders that stand for `/usr/share`: the system's, then the unpacked packages'.
fn shares() -> Vec<PathBuf> {
    let cache = std::env::var_os("ROOMTONE_CACHE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/roomtone")));
    let unpacked = cache.map(|cache| cache.join("prompts/usr/share"));
    std::iter::once(PathBuf::from("/usr/share")).chain(unpacked).collect()
}

/// A file or folder of a Debian package, by its path below `/usr/share`.
///
/// # Errors
/// It is neither installed nor unpacked; the message names it and what to do.
pub fn shared(relative: &str) -> io::Result<PathBuf> {
    shares().into_iter().map(|share| share.join(relative)).find(|path| path.exists()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("/usr/share/{relative} is neither installed nor unpacked; run `cargo xtask setup`"),
        )
    })
}

impl Speaker {
    /// The folder with this voice's sound (`NAME.wav` at 8 kHz, where the package is there `NAME.g722` at 16 kHz).
    ///
    /// # Errors
    /// The package is not there.
    pub fn folder(&self) -> io::Result<PathBuf> {
        let found = self.folders.iter().map(|folder| shared(folder));
        found.reduce(Result::or).unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
    }

    /// Whether somebody wrote down what is said.
    pub fn has_texts(&self) -> bool {
        self.list.is_some()
    }

    /// Its prompts, in the order of the package's list; those whose text is not known have an empty one.
    ///
    /// # Errors
    /// A package is not there, or its list cannot be read.
    pub fn prompts(&self) -> io::Result<Vec<Prompt>> {
        let folder = self.folder()?;
        let Some(list) = self.list else { return untold(&folder) };
        let file = std::fs::File::open(shared(list)?)?;
        let mut text = String::new();
        io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text)?;
        Ok(prompts(&text, &folder))
    }
}

/// The sound files of a folder, by name, without texts.
fn untold(folder: &Path) -> io::Result<Vec<Prompt>> {
    let mut found: Vec<Prompt> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "wav"))
        .map(|wav| Prompt {
            name: wav.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            text: String::new(),
            wav,
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Reads the prompts' texts (`name: text` per line, as in the package's `core-sounds-en.txt`), keeps those that are words
/// and whose WAV is in `folder`. In the order of the list.
pub fn prompts(list: &str, folder: &Path) -> Vec<Prompt> {
    list.lines()
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| line.split_once(": "))
        .filter(|(_, text)| !text.contains(['[', '(', '<']) && text.chars().any(char::is_alphabetic))
        .map(|(name, text)| Prompt {
            name: name.trim().to_owned(),
            text: text.trim().to_owned(),
            wav: folder.join(format!("{}.wav", name.trim())),
        })
        .filter(|prompt| prompt.wav.is_file())
        .collect()
}

/// The English prompts: Debian's packages `asterisk-core-sounds-en` (text) and `-wav` (sound).
///
/// # Errors
/// As [`Speaker::prompts`].
pub fn installed_prompts() -> io::Result<Vec<Prompt>> {
    ENGLISH.prompts()
}

/// Where weights are: `ROOMTONE_MODELS`, else `.cache/roomtone/models` in the home folder.
pub fn weights_folder() -> PathBuf {
    crate::weights::default_folder()
}

#[cfg(test)]
pub(crate) fn weights_for_tests(file: &str) -> PathBuf {
    let path = weights_folder().join(file);
    assert!(path.is_file(), "weights {file} are missing; run `cargo xtask setup` first");
    path
}

/// A prompt's sound at 16 kHz.
#[cfg(test)]
pub(crate) fn prompt_for_tests(name: &str) -> Vec<i16> {
    let folder = ENGLISH.folder().unwrap();
    let mut reader = hound::WavReader::open(folder.join(format!("{name}.wav"))).unwrap();
    let pcm: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    super::sound::upsample_8k_to_16k(&pcm)
}
