//! A server that answers as a test says: also too late, too much, half, or not at all.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Asked {
    /// `POST /v1/chat/completions HTTP/1.1` and all headers, in small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server does.
pub(crate) enum Answer {
    /// Status, another header line or none, body.
    Full(u16, String, Vec<u8>),
    /// Promises more than it sends, and closes.
    Half,
    /// Sends without end.
    Endless,
    /// Keeps the connection open and says nothing.
    Silence,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Full(status, "content-type: application/json".to_owned(), body.to_string().into_bytes())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Full(status, String::new(), b"{}".to_vec())
    }
}

/// Listens on loopback until dropped.
pub(crate) struct Double {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl Double {
    /// `answer`: gets the request and how many came before it.
    pub(crate) fn new(answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (all, over, answer) = (Arc::clone(&asked), Arc::clone(&ended), Arc::new(answer));
        std::thread::spawn(move || {
            // Kept open: a silent server does not hang up.
            let mut silent = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                silent.push(stream.try_clone().unwrap());
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &all, answer.as_ref()));
            }
            for stream in silent {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        });
        Self { url, asked, ended }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// A url at which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn serve(mut stream: TcpStream, all: &Mutex<Vec<Asked>>, answer: &dyn Fn(usize, &Asked) -> Answer) {
    let Some(asked) = read(&stream) else { return };
    let before = {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(asked.clone());
        all.len() - 1
    };
    // Whoever asked may have gone: that is what some tests are about.
    let _ = match answer(before, &asked) {
        Answer::Full(status, header, body) => {
            let header = if header.is_empty() { header } else { format!("{header}\r\n") };
            let head =
                format!("HTTP/1.1 {status} x\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).and_then(|()| close(&stream))
        }
        Answer::Half => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\nconnection: close\r\n\r\n{\"choices\": [";
            stream.write_all(head).and_then(|()| close(&stream))
        }
        Answer::Endless => {
            let mut result = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            while result.is_ok() {
                result = stream.write_all(&[b' '; 65_536]);
            }
            result
        }
        Answer::Silence => Ok(()),
    };
}

fn close(stream: &TcpStream) -> std::io::Result<()> {
    stream.shutdown(std::net::Shutdown::Both)
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line.to_lowercase());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { head, body })
}
