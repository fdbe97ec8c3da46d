//! A real Synapse for these tests: started on a free port of loopback, in a folder of its own, gone with its handle.
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use appservice::{
    config::{Config, OperatorKey},
    http::AppState,
    matrix::{Matrix, MatrixEvent},
    registration::Registration,
};
use matrix_sdk::{
    Client, SessionMeta, SessionTokens, authentication::matrix::MatrixSession, ruma::OwnedUserId,
    store::RoomLoadSettings,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child process, killed by its own pid when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/roomtone");
    std::env::var_os("ROOMTONE_CACHE").map_or_else(home, PathBuf::from)
}

async fn answers(url: &str) {
    let end = Instant::now() + PATIENCE;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    while !http.get(url).send().await.is_ok_and(|a| a.status().is_success()) {
        assert!(Instant::now() < end, "{url} does not answer; `cargo xtask setup` installs the peers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Synapse, the registration that it read, and Roomtone's HTTP side, served.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    pub(crate) url: String,
    pub(crate) config: Config,
    pub(crate) registration: Registration,
    pub(crate) http: AppState,
    pub(crate) http_url: String,
    _server: tokio_util::task::AbortOnDropHandle<()>,
    synapse: Option<Process>,
    port: u16,
    livekit: Option<Process>,
}

pub(crate) const SERVER: &str = "hs.test";
const LIVEKIT_SECRET: &str = "secret_of_a_test_of_32_characters";

/// What a lab is to be like.
pub(crate) struct Wish {
    pub(crate) msc4190: bool,
    pub(crate) delayed_events: bool,
    pub(crate) livekit: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self { msc4190: true, delayed_events: true, livekit: false }
    }
}

impl Lab {
    pub(crate) async fn start(wish: Wish) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let dir = tempfile::tempdir().unwrap();
        let (port, livekit_port) = (free_port(), free_port());
        let url = format!("http://127.0.0.1:{port}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http_url = format!("http://{}", listener.local_addr().unwrap());
        let mut registration = Registration::fresh_for(SERVER.try_into().unwrap(), &http_url).unwrap();
        registration.msc4190 = wish.msc4190;
        registration.write(&dir.path().join("registration.yaml"), false).unwrap();
        let config = format!(
            "homeserver: {{ url: '{url}', server_name: {SERVER} }}
data_dir: '{}'
appservice: {{ public_url: '{http_url}' }}
livekit: {{ url: 'ws://127.0.0.1:{livekit_port}', api_key: devkey, secret: {LIVEKIT_SECRET} }}
permissions: {{ '@alice:{SERVER}': user, '@mallory:{SERVER}': block }}",
            dir.path().join("data").display()
        );
        let config = Config::parse(Path::new("test.yaml"), &config, []).unwrap();
        let http = AppState::new(&config, &registration, &appservice::metrics::Metrics::default()).unwrap();
        let app = appservice::http::router(http.clone()).into_make_service_with_connect_info::<std::net::SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let synapse = start_synapse(dir.path(), port, &http_url, wish.delayed_events);
        let livekit = wish.livekit.then(|| start_livekit(dir.path(), livekit_port));
        answers(&format!("{url}/health")).await;
        if livekit.is_some() {
            answers(&format!("http://127.0.0.1:{livekit_port}/")).await;
        }
        let server = tokio_util::task::AbortOnDropHandle::new(server);
        Self { dir, url, config, registration, http, http_url, _server: server, synapse: Some(synapse), port, livekit }
    }

    /// Starts Roomtone's Matrix side.
    pub(crate) async fn matrix(&self) -> (Matrix, Events) {
        let key = OperatorKey::load_or_create(&self.config.operator_key_path(), &self.config.data_dir).unwrap();
        let (matrix, events) = Matrix::start(&self.config, &self.registration, &key).await.unwrap();
        (matrix, Events(events))
    }

    /// Kills the homeserver.
    pub(crate) fn homeserver_dies(&mut self) {
        self.synapse = None;
    }

    /// Starts it again, with the same data.
    pub(crate) async fn homeserver_comes_back(&mut self) {
        self.synapse = Some(start_synapse(self.dir.path(), self.port, &self.http_url, true));
        answers(&format!("{}/health", self.url)).await;
    }

    pub(crate) fn livekit_runs(&self) -> bool {
        self.livekit.is_some()
    }

    /// A person, made by Synapse's own registration.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let path = format!("{}/_synapse/admin/v1/register", self.url);
        let nonce: Value = http.get(&path).send().await.unwrap().json().await.unwrap();
        let nonce = nonce["nonce"].as_str().unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"test_shared_secret");
        let mac = aws_lc_rs::hmac::sign(&key, format!("{nonce}\0{name}\0pw\0notadmin").as_bytes());
        let body =
            json!({ "nonce": nonce, "username": name, "password": "pw", "admin": false, "mac": hex::encode(mac) });
        let made: Value = http.post(&path).json(&body).send().await.unwrap().json().await.unwrap();
        let word = |key: &str| made[key].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        Person {
            url: self.url.clone(),
            user: word("user_id").try_into().unwrap(),
            device: word("device_id"),
            token: word("access_token"),
            http,
        }
    }
}

fn start_synapse(dir: &Path, port: u16, service: &str, delayed_events: bool) -> Process {
    let fast = json!({ "per_second": 10_000, "burst_count": 10_000 });
    let mut yaml = json!({
        "server_name": SERVER,
        "public_baseurl": format!("http://127.0.0.1:{port}/"),
        "pid_file": dir.join("synapse.pid"),
        "listeners": [{ "port": port, "tls": false, "type": "http", "bind_addresses": ["127.0.0.1"],
                        "resources": [{ "names": ["client", "openid"] }] }],
        "database": { "name": "sqlite3", "args": { "database": dir.join("homeserver.db") } },
        "log_config": dir.join("log.yaml"),
        "media_store_path": dir.join("media"),
        "signing_key_path": dir.join("signing.key"),
        "registration_shared_secret": "test_shared_secret",
        "macaroon_secret_key": "macaroon", "form_secret": "form",
        "report_stats": false, "trusted_key_servers": [], "suppress_key_server_warning": true,
        "presence": { "enabled": false },
        "experimental_features": { "msc4143_enabled": true, "msc4222_enabled": true },
        "matrix_rtc": { "transports": [{ "type": "livekit", "livekit_service_url": service }] },
        "app_service_config_files": [dir.join("registration.yaml")],
        "rc_message": fast, "rc_delayed_event_mgmt": fast, "rc_registration": fast,
        "rc_joins": { "local": fast, "remote": fast },
        "rc_invites": { "per_room": fast, "per_user": fast, "per_issuer": fast },
    });
    if delayed_events {
        yaml["max_event_delay_duration"] = json!("24h");
    }
    std::fs::write(dir.join("homeserver.yaml"), yaml.to_string()).unwrap();
    let log = json!({ "version": 1, "disable_existing_loggers": false,
        "handlers": { "file": { "class": "logging.FileHandler", "filename": dir.join("homeserver.log") } },
        "root": { "level": "INFO", "handlers": ["file"] } });
    std::fs::write(dir.join("log.yaml"), log.to_string()).unwrap();
    std::fs::write(dir.join("signing.key"), "ed25519 a_test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap();
    let venv = std::env::var_os("ROOMTONE_SYNAPSE_VENV").map_or_else(|| cache().join("venv-synapse"), PathBuf::from);
    let out = std::fs::File::create(dir.join("synapse.txt")).unwrap();
    let child = Command::new(venv.join("bin/python"))
        .args(["-m", "synapse.app.homeserver", "-c"])
        .arg(dir.join("homeserver.yaml"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn();
    Process(child.expect("Synapse starts; `cargo xtask setup` installs it"))
}

fn start_livekit(dir: &Path, port: u16) -> Process {
    let config = json!({
        "port": port, "bind_addresses": ["127.0.0.1"], "keys": { "devkey": LIVEKIT_SECRET }, "room": { "auto_create": false },
        "rtc": { "udp_port": free_port(), "tcp_port": 0, "use_external_ip": false, "node_ip": "127.0.0.1",
                 "enable_loopback_candidate": true, "stun_servers": ["127.0.0.1:9"] },
        "logging": { "level": "info", "json": false },
    });
    std::fs::write(dir.join("livekit.yaml"), config.to_string()).unwrap();
    let toolbox: Value = std::fs::read(cache().join("toolbox.json"))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let server = std::env::var_os("ROOMTONE_LIVEKIT_SERVER").map(PathBuf::from);
    let server = server.or_else(|| toolbox["livekit_server"].as_str().map(PathBuf::from));
    let out = std::fs::File::create(dir.join("livekit.txt")).unwrap();
    let child = Command::new(server.expect("`cargo xtask setup` installs LiveKit"))
        .arg("--config")
        .arg(dir.join("livekit.yaml"))
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn();
    Process(child.expect("LiveKit starts"))
}

/// What Roomtone's Matrix side tells.
pub(crate) struct Events(mpsc::Receiver<MatrixEvent>);

impl Events {
    /// Waits for an event that `pick` takes; others are passed over.
    pub(crate) async fn wait<T>(&mut self, what: &str, pick: impl Fn(&MatrixEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.0.recv().await.expect("the channel is open");
                if let Some(found) = pick(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    /// What has come so far.
    pub(crate) fn drain(&mut self) -> Vec<MatrixEvent> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// Somebody with an access token.
pub(crate) struct Person {
    url: String,
    pub(crate) user: OwnedUserId,
    pub(crate) device: String,
    token: String,
    http: reqwest::Client,
}

impl Person {
    /// One request to the client-server API: status and body.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_matrix/client/v3/{path}", self.url);
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token);
        let answer = if method == "GET" { request } else { request.json(&body) }.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// As [`Person::ask`], which must work.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A Matrix client of theirs, with encryption, that syncs.
    pub(crate) async fn client(&self) -> Client {
        self.client_by(&self.url).await
    }

    /// As [`Person::client`], by another address of the homeserver.
    pub(crate) async fn client_by(&self, url: &str) -> Client {
        let client = Client::builder().homeserver_url(url).build().await.unwrap();
        let session = MatrixSession {
            meta: SessionMeta { user_id: self.user.clone(), device_id: self.device.as_str().into() },
            tokens: SessionTokens { access_token: self.token.clone(), refresh_token: None },
        };
        client.matrix_auth().restore_session(session, RoomLoadSettings::default()).await.unwrap();
        client.encryption().wait_for_e2ee_initialization_tasks().await;
        client.sync_once(matrix_sdk::config::SyncSettings::default().timeout(Duration::ZERO)).await.unwrap();
        client
    }

    /// An encrypted room of theirs with open calls.
    pub(crate) async fn encrypted_room(&self, invite: &[&str]) -> matrix_sdk::ruma::OwnedRoomId {
        let body = json!({
            "preset": "private_chat", "invite": invite,
            "initial_state": [{ "type": "m.room.encryption", "state_key": "", "content": { "algorithm": "m.megolm.v1.aes-sha2" } }],
            "power_level_content_override": { "events": { "org.matrix.msc3401.call.member": 0 } },
        });
        self.done("POST", "createRoom", body).await["room_id"].as_str().unwrap().try_into().unwrap()
    }
}
