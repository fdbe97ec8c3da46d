//! The `roomtone` program itself, as an operator runs it: a configuration file, a process, kill and restart.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{livekit, ports, rundir, server::Server, synapse, toolbox::Toolbox};

/// Roomtone's bot.
#[must_use]
pub fn bot() -> String {
    format!("@_roomtone_bot:{}", synapse::SERVER_NAME)
}

/// The ghost of a number such as `+442079460123`.
#[must_use]
pub fn ghost(number: &str) -> String {
    format!("@_roomtone_tel_{}:{}", number.trim_start_matches('+'), synapse::SERVER_NAME)
}

/// Where Roomtone and its peers listen. Known before anything is started, as they name one another.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The homeserver.
    pub homeserver: u16,
    /// LiveKit's signalling and API.
    pub livekit: u16,
    /// Roomtone's HTTP: transactions and token requests.
    pub http: u16,
    /// Roomtone's SIP.
    pub sip: u16,
    /// The first of its ports for media.
    pub rtp: u16,
}

/// How many ports for media a Roomtone of the scenarios has.
const RTP_PORTS: u16 = 40;

impl Ports {
    /// Free ones.
    #[must_use]
    pub fn free() -> Self {
        Self {
            homeserver: ports::free(),
            livekit: ports::free(),
            http: ports::free(),
            sip: ports::free(),
            rtp: ports::free_range(RTP_PORTS),
        }
    }

    /// The authorisation service that the homeserver names to clients.
    #[must_use]
    pub fn rtc_service(&self) -> String {
        format!("http://127.0.0.1:{}/livekit/jwt", self.http)
    }
}

/// A configured, perhaps running Roomtone.
#[derive(Debug)]
pub struct Roomtone {
    program: PathBuf,
    dir: PathBuf,
    ports: Ports,
    server: Option<Server>,
    payments: Option<Server>,
}

impl Roomtone {
    /// Writes configuration and registration into `dir`. `numbers`: number to room; `extra`: merged into the configuration.
    ///
    /// # Errors
    /// Roomtone is not built, or `roomtone registration` fails.
    pub async fn configure(
        toolbox: &Toolbox,
        dir: &Path,
        ports: &Ports,
        numbers: &[(&str, &str)],
        extra: Value,
    ) -> anyhow::Result<Self> {
        let this = Self {
            program: rundir::roomtone_program()?,
            dir: dir.join("roomtone"),
            ports: ports.clone(),
            server: None,
            payments: None,
        };
        fs::create_dir_all(&this.dir)?;
        fs::write(this.dir.join("livekit.secret"), livekit::SECRET)?;
        let numbers: serde_json::Map<String, Value> =
            numbers.iter().map(|(n, r)| ((*n).to_owned(), json!(r))).collect();
        let mut config = json!({
            "homeserver": { "url": format!("http://127.0.0.1:{}", ports.homeserver), "server_name": synapse::SERVER_NAME,
                            "federation_url": format!("http://127.0.0.1:{}", ports.homeserver) },
            "appservice": { "registration": this.registration(), "listen": format!("127.0.0.1:{}", ports.http),
                            "public_url": format!("http://127.0.0.1:{}", ports.http) },
            "data_dir": this.dir.join("data"),
            "sip": { "listen": format!("127.0.0.1:{}", ports.sip), "max_calls": RTP_PORTS / 2, "rtp_ports": format!("{}-{}", ports.rtp, ports.rtp + RTP_PORTS - 1), "max_calls": RTP_PORTS / 2 },
            "numbers": numbers,
            "livekit": { "url": format!("ws://127.0.0.1:{}", ports.livekit), "api_url": format!("http://127.0.0.1:{}", ports.livekit),
                         "api_key": livekit::KEY, "secret_file": this.dir.join("livekit.secret") },
            "permissions": { synapse::SERVER_NAME: "user" },
            "transcription": { "models_dir": toolbox.weights, "language": "en" },
        });
        merge(&mut config, extra);
        fs::write(this.config_file(), serde_json::to_vec_pretty(&config)?)?;
        let output = Command::new(&this.program)
            .args(["registration", "--config"])
            .arg(this.config_file())
            .output()
            .await
            .with_context(|| this.program.display().to_string())?;
        if !output.status.success() || !this.registration().exists() {
            bail!("roomtone registration: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(this)
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("roomtone.yaml")
    }

    /// The registration that the homeserver reads.
    #[must_use]
    pub fn registration(&self) -> PathBuf {
        self.dir.join("registration.yaml")
    }

    /// Where its databases and stores lie.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("output.txt")
    }

    /// Its folder: configuration, data and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its HTTP address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.http)
    }

    /// The SIP address of a number here.
    #[must_use]
    pub fn sip_uri(&self, number: &str) -> String {
        format!("sip:{number}@127.0.0.1:{}", self.ports.sip)
    }

    /// The ports it was configured with.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Starts `roomtone run` and waits until it is healthy.
    ///
    /// # Errors
    /// It ended or did not get healthy within a minute; the message has the end of its log.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["run", "--config"]).arg(self.config_file()).current_dir(&self.dir).env("NO_COLOR", "1");
        if std::env::var_os("ROOMTONE_LOG").is_none() {
            command.env(
                "ROOMTONE_LOG",
                "info,matrix_sdk=warn,matrix_sdk_crypto=error,appservice=debug,bridge=debug,models=debug",
            );
        }
        let mut server = Server::start("roomtone", command, &self.log())?;
        server.answers(&format!("{}/livekit/jwt/healthz", self.url()), Duration::from_secs(60)).await?;
        self.server = Some(server);
        Ok(())
    }

    /// Starts `roomtone payments`, the process that charges, at the socket that the configuration names.
    ///
    /// # Errors
    /// It ended, or its socket was not there within half a minute.
    pub async fn start_payments(&mut self, socket: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["payments", "--config"]).arg(self.config_file()).current_dir(&self.dir).env("NO_COLOR", "1");
        let mut server = Server::start("roomtone payments", command, &self.dir.join("payments.txt"))?;
        let end = tokio::time::Instant::now() + Duration::from_secs(30);
        while tokio::net::UnixStream::connect(socket).await.is_err() {
            if !server.runs() || tokio::time::Instant::now() > end {
                bail!("roomtone payments did not come up: see {}", self.dir.join("payments.txt").display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.payments = Some(server);
        Ok(())
    }

    /// What `roomtone` prints when it is run with these words and this configuration.
    ///
    /// # Errors
    /// It fails.
    pub async fn prints(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.program)
            .arg(words[0])
            .arg("--config")
            .arg(self.config_file())
            .args(&words[1..])
            .output()
            .await?;
        if !output.status.success() {
            bail!("roomtone {}: {}: {}", words.join(" "), output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Whether the process runs.
    pub fn runs(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::runs)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.take().context("roomtone does not run")?.kill().await
    }

    /// Ends it as an operator does (SIGTERM).
    ///
    /// # Errors
    /// It did not end within 20 s.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.server.take().context("roomtone does not run")?.stop(Duration::from_secs(20)).await
    }
}

/// Lays `over` over `base`, object by object.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (base, over) => *base = over,
    }
}
