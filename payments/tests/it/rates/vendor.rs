//! A vendor's server on this machine.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// 200 with this body.
    Json(String),
    /// Another status, with headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// Never.
    Silence,
}

struct Inner {
    answer: Mutex<Answer>,
    asked: AtomicU32,
}

/// A server that is gone with this.
pub(crate) struct Vendor {
    pub(crate) url: String,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Vendor {
    pub(crate) async fn start(answer: Answer) -> Self {
        let inner = Arc::new(Inner { answer: Mutex::new(answer), asked: AtomicU32::new(0) });
        let router = axum::Router::new().route("/", axum::routing::get(answered)).with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, server }
    }

    /// From now on.
    pub(crate) fn answers(&self, answer: Answer) {
        *self.inner.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u32 {
        self.inner.asked.load(Ordering::Relaxed)
    }
}

async fn answered(State(inner): State<Arc<Inner>>) -> Response<Body> {
    inner.asked.fetch_add(1, Ordering::Relaxed);
    let answer = inner.answer.lock().unwrap().clone();
    match answer {
        Answer::Json(text) => Response::new(Body::from(text)),
        Answer::Status(status, headers) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        Answer::Silence => std::future::pending().await,
    }
}

/// A server that begins an answer and never ends it. Gone when the handle is aborted.
pub(crate) async fn that_drips() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let dripping = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":").await.unwrap();
        std::future::pending::<()>().await;
    });
    (url, dripping)
}

/// A server with a certificate that it has made itself; what became of the first handshake.
pub(crate) async fn with_its_own_certificate(
    body: &'static str,
) -> (String, tokio::task::JoinHandle<std::io::Result<()>>) {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let handshake = tokio::spawn(async move {
        let (socket, _) = listener.accept().await?;
        let mut socket = acceptor.accept(socket).await?;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await
    });
    (url, handshake)
}
