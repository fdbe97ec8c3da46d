//! A real LiveKit server for the tests, on loopback and free ports, and a front that can be an older server or a broken
//! line.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use livekit_token::{AccessToken, VideoGrants};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const KEY: &str = "devkey";
const SECRET: &str = "secret-secret-secret-secret-secret-0";

/// The server's program: `ROOMTONE_LIVEKIT_SERVER`, else where `cargo xtask setup` puts it.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("ROOMTONE_LIVEKIT_SERVER") {
        return named.into();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let found = home.join(".cache/roomtone/livekit-1.13.5/server");
    assert!(
        found.exists(),
        "no LiveKit server at {}: run `cargo xtask setup`, or name one in ROOMTONE_LIVEKIT_SERVER",
        found.display()
    );
    found
}

pub struct Server {
    child: Child,
    ports: (u16, u16),
    dir: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let tcp = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        Self::start_at((tcp, udp)).await
    }

    async fn start_at(ports: (u16, u16)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("livekit.yaml");
        let (tcp, udp) = ports;
        let text = format!(
            "port: {tcp}\nbind_addresses: [\"127.0.0.1\"]\nkeys: {{ {KEY}: {SECRET} }}\nroom: {{ auto_create: true }}\n\
             logging: {{ level: info, json: false }}\nrtc:\n  udp_port: {udp}\n  tcp_port: 0\n  node_ip: 127.0.0.1\n  \
             use_external_ip: false\n  enable_loopback_candidate: true\n  interfaces: {{ includes: [lo] }}\n  \
             ips: {{ includes: [\"127.0.0.1/32\"] }}\n  stun_servers: [\"127.0.0.1:9\"]\n"
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(program())
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("the LiveKit server starts");
        let mut server = Self { child, ports, dir };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, tcp)).await.is_err() {
            if Instant::now() > until || server.child.try_wait().unwrap().is_some() {
                panic!("the LiveKit server did not start:\n{}", server.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.0).into()
    }

    /// As kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops or goes on, as a machine that hangs.
    pub fn hang(&self, hangs: bool) {
        let signal = if hangs { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn start_again(mut self) -> Self {
        self.kill();
        Self::start_at(self.ports).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn token(identity: &str, room: &str) -> SecretString {
    let grants = VideoGrants { room_join: true, room: room.into(), ..Default::default() };
    AccessToken::with_api_key(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt().unwrap().into()
}

/// Stands before the server. Old: knows no `/rtc/v1`. [`Front::cut`] breaks all its lines.
pub struct Front {
    address: SocketAddr,
    cut: watch::Sender<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Front {
    pub async fn before(server: &Server, old: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = server.address();
        let (cut, cuts) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = cuts.changed() => {}
                        _ = carry(client, behind, old) => {}
                    }
                });
            }
        });
        Self { address, cut, task }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, behind: SocketAddr, old: bool) -> std::io::Result<()> {
    let mut head = vec![0; 4096];
    let read = client.read(&mut head).await?;
    if old && head.starts_with(b"GET /rtc/v1") {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(behind).await?;
    server.write_all(&head[..read]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}
