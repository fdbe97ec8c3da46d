//! Against a server on this machine and packages made here.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::tests::weights;
use super::*;

/// A server that answers each request as it is told: the bytes to send, after breaking off at a limit. It honours
/// ranges, and hands back what ranges it was asked for.
async fn server(body: Vec<u8>, limits: Vec<usize>) -> (Source, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
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
    (Source::Web { url }, asked)
}

/// A real npm package made here: npm packs a folder as it does a published one.
fn package(files: &[(&str, &[u8])]) -> (tempfile::TempDir, impl Fn(&str) -> Source + use<>) {
    let package = tempfile::tempdir().unwrap();
    std::fs::write(package.path().join("package.json"), r#"{"name":"weights-test","version":"1.0.0"}"#).unwrap();
    for (name, bytes) in files {
        std::fs::write(package.path().join(name), bytes).unwrap();
    }
    let npm = package.path().display().to_string();
    (package, move |name: &str| Source::Npm { npm: npm.clone(), member: format!("package/{name}") })
}

fn nowhere() -> Source {
    Source::Npm { npm: "file:./there-is-no-such-package".to_owned(), member: "package/x".to_owned() }
}

fn of(body: &[u8], sources: Vec<Source>) -> Weights {
    let mut weights = weights(&[("test.bin", body)]);
    weights.files[0].sources = sources;
    weights
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    let (source, asked) = server(body.clone(), vec![40_000, usize::MAX]).await;
    let weights = of(&body, vec![source]);
    assert!(fetch(&weights, folder.path(), |_| {}).await.is_err());
    assert!(!folder.path().join("test.bin").exists());
    let path = fetch(&weights, folder.path(), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), body);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked[0], None);
    assert!(asked[1].is_some_and(|from| from > 0), "{asked:?}");
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away_and_the_next_source_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (vec![1u8; 5000], vec![2u8; 5000]);
    let (bad, _) = server(wrong, vec![usize::MAX]).await;
    let error = fetch(&of(&right, vec![bad]), folder.path(), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("SHA-256"), "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".test.bin.lock"]);
    let (bad, _) = server(vec![2u8; 5000], vec![usize::MAX]).await;
    let (good, _) = server(right.clone(), vec![usize::MAX]).await;
    let path = fetch(&of(&right, vec![bad, good]), folder.path(), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), right);
}

#[tokio::test]
async fn a_file_that_no_source_has_leaves_nothing_under_the_final_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&of(b"never", vec![nowhere()]), folder.path(), |_| {}).await.unwrap_err();
    assert!(matches!(error, WeightsError::NoSource { .. }), "{error}");
    assert!(!folder.path().join("test.bin").exists());
}

#[tokio::test]
async fn members_of_a_package_are_taken_out_checked_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (vec![7u8; 300_000], vec![9u8; 50_000]);
    let (_package, member) = package(&[("a.bin", &one), ("b.bin", &two)]);
    let mut weights = weights(&[("set/a", &one), ("set/b", &two)]);
    weights.files[0].sources = vec![member("a.bin")];
    weights.files[1].sources = vec![member("b.bin")];
    let seen = Arc::new(Mutex::new((0, 0)));
    let told = Arc::clone(&seen);
    let path = fetch(&weights, folder.path(), move |p| *told.lock().unwrap() = (p.done, p.total)).await.unwrap();
    assert_eq!(std::fs::read(path.join("a")).unwrap(), one);
    assert_eq!(std::fs::read(path.join("b")).unwrap(), two);
    assert_eq!(*seen.lock().unwrap(), (350_000, 350_000));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "only the folder and its lock stay: {left:?}");
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
}

#[tokio::test]
async fn parts_are_joined_and_a_later_try_goes_on_with_the_part_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let whole: Vec<u8> = (0..90_000u32).map(|i| (i % 241) as u8).collect();
    let (_package, member) = package(&[("1", &whole[..40_000]), ("2", &whole[40_000..])]);
    let (first, asked) = server(whole[..40_000].to_vec(), vec![usize::MAX]).await;
    let broken = of(&whole, vec![Source::Join { join: vec![first.clone(), nowhere()] }]);
    assert!(fetch(&broken, folder.path(), |_| {}).await.is_err());
    assert!(!folder.path().join("test.bin").exists());
    // The first part is not asked for again: its server would not answer.
    let mended = of(&whole, vec![Source::Join { join: vec![first, member("2")] }]);
    let path = fetch(&mended, folder.path(), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), whole);
    assert_eq!(asked.lock().unwrap().len(), 1);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "only the file and its lock stay: {left:?}");
}

#[tokio::test]
async fn an_unpinned_file_must_stay_what_the_first_fetch_brought() {
    let folder = tempfile::tempdir().unwrap();
    let (source, asked) = server(b"first".to_vec(), vec![usize::MAX]).await;
    let mut weights = of(b"", vec![source]);
    weights.files[0].pinned = None;
    let path = fetch(&weights, folder.path(), |_| {}).await.unwrap();
    fetch(&weights, folder.path(), |_| {}).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
    std::fs::write(&path, b"other").unwrap();
    let error = super::super::verify(&weights, folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::Wrong { .. }), "{error}");
}

#[tokio::test]
async fn a_file_of_the_manifest_itself_is_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let weights = of(b"{}", vec![Source::Text { text: "{}".to_owned() }]);
    let path = fetch(&weights, folder.path(), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"{}");
}

#[tokio::test]
async fn what_cannot_be_converted_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_package, member) = package(&[("m", b"no model at all")]);
    let source = Source::Convert {
        convert: convert::Conversion::T5OnnxToSafetensors,
        from: vec![member("m"), member("m")],
        vocabulary: None,
    };
    let error = fetch(&of(b"never", vec![source]), folder.path(), |_| {}).await.unwrap_err();
    assert!(matches!(error, WeightsError::NoSource { .. }), "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".test.bin.lock"]);
}
