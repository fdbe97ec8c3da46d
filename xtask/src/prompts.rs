//! Recorded prompts and hold music from Debian's packages: real voices with known words, under free licences. They are taken
//! out of the packages into the cache, not installed: that needs no root, and leaves the system as it is.

use std::{fs, path::Path, process::Command};

use anyhow::bail;

use crate::{setup::is_root, shell::Work};

/// A package and a file of it below `/usr/share` by which it is known to be there.
type Package = (&'static str, &'static str);

/// What demo and tests need: the words and the sound of the English prompts, CC-BY-SA-3.0.
pub(crate) const FOR_TESTS: &[Package] = &[
    ("asterisk-core-sounds-en", "doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"),
    ("asterisk-core-sounds-en-wav", "asterisk/sounds/en_US_f_Allison/ss-noservice.wav"),
    ("asterisk-core-sounds-en-g722", "asterisk/sounds/en_US_f_Allison/ss-noservice.g722"),
    // Two more voices: who tells people apart by their voices needs people.
    ("asterisk-core-sounds-fr-wav", "asterisk/sounds/fr_CA_f_June/ss-noservice.wav"),
    ("asterisk-core-sounds-it-wav", "asterisk/sounds/it_IT_m_Carlo/ss-noservice.wav"),
];

/// What measuring needs beyond it: other voices and languages (CC-BY-SA-3.0), and hold music (CC-BY-SA-3.0).
pub(crate) const FOR_EVALUATION: &[Package] = &[
    ("asterisk-core-sounds-fr", "doc/asterisk-core-sounds-fr/core-sounds-fr.txt.gz"),
    ("asterisk-core-sounds-fr-wav", "asterisk/sounds/fr_CA_f_June/ss-noservice.wav"),
    ("asterisk-core-sounds-es", "doc/asterisk-core-sounds-es/core-sounds-es.txt.gz"),
    ("asterisk-core-sounds-es-wav", "asterisk/sounds/es_MX_f_Allison/ss-noservice.wav"),
    ("asterisk-core-sounds-it", "doc/asterisk-core-sounds-it/core-sounds-it.txt.gz"),
    ("asterisk-core-sounds-it-wav", "asterisk/sounds/it_IT_m_Carlo/ss-noservice.wav"),
    ("asterisk-core-sounds-ru", "doc/asterisk-core-sounds-ru/core-sounds-ru.txt.gz"),
    ("asterisk-core-sounds-ru-wav", "asterisk/sounds/ru_RU_f_IvrvoiceRU/ss-noservice.wav"),
    ("asterisk-prompt-it-menardi-wav", "asterisk/sounds/it_IT_f_Menardi/ss-noservice.wav"),
    ("asterisk-moh-opsound-wav", "asterisk/moh/reno_project-system.wav"),
];

/// Those that are neither installed nor unpacked.
pub(crate) fn missing(cache: &Path, packages: &[Package]) -> Vec<&'static str> {
    let there = |file: &str| {
        let unpacked = cache.join("prompts/usr/share").join(file);
        Path::new("/usr/share").join(file).exists() || unpacked.exists()
    };
    packages.iter().filter(|(_, file)| !there(file)).map(|(package, _)| *package).collect()
}

/// Downloads packages and unpacks them into `prompts` in the cache.
///
/// # Errors
/// There is no `apt-get`, or a package cannot be downloaded or unpacked.
pub(crate) fn fetch(work: &Work, cache: &Path, packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if crate::shell::which("apt-get").is_none() {
        bail!(
            "these are Debian packages and this machine has no apt-get: unpack them into {}: {}",
            cache.join("prompts").display(),
            packages.join(" ")
        );
    }
    let unpacked = cache.join("prompts");
    fs::create_dir_all(&unpacked)?;
    if is_root() {
        work.run(Command::new("apt-get").args(["update", "-q"]))?;
    }
    work.run(
        Command::new("apt-get")
            .args(["download", "-q"])
            .args(packages)
            .args(["-o", "APT::Sandbox::User=root"])
            .current_dir(&unpacked),
    )?;
    for entry in fs::read_dir(&unpacked)?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "deb") {
            work.run(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&unpacked))?;
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
