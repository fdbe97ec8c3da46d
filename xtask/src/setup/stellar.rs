//! The Stellar SDKs that make the same transactions as Roomtone: of PyPI and of npm, each pinned with all that it needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use scenarios::toolbox;

use crate::shell::Work;

/// The folder with npm's `@stellar/stellar-sdk` in its `node_modules`.
pub(super) fn node_modules(cache: &Path, logs: &Path) -> anyhow::Result<PathBuf> {
    let (from, dir) = (toolbox::peers_dir().join("stellar"), cache.join("stellar"));
    let lock = fs::read(from.join("package-lock.json")).with_context(|| from.display().to_string())?;
    let stamp = dir.join("installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) && dir.join("node_modules").exists() {
        return Ok(dir);
    }
    let work = Work::begin(logs, "the Stellar SDK from npm", "its transactions must be ours byte for byte")?;
    fs::create_dir_all(&dir)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(from.join(name), dir.join(name)).with_context(|| name.to_owned())?;
    }
    // The lock file has each package's hash. No package's own script is run.
    work.run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir))?;
    fs::write(&stamp, lock)?;
    work.end();
    Ok(dir)
}
