//! A real Synapse on loopback, with SQLite, in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::json;
use tokio::process::Command;

use crate::{ports, server::Server, toolbox::Toolbox};

/// The shared secret with which the scenarios register users.
pub const REGISTRATION_SECRET: &str = "secret of the scenarios";
/// The homeserver's name: one that resolves nowhere, as nothing may look it up.
pub const SERVER_NAME: &str = "home.test";

/// What Synapse has to be told beforehand.
#[derive(Debug, Clone)]
pub struct SynapseConfig {
    /// Where it listens, on loopback.
    pub port: u16,
    /// Registrations of application services.
    pub registrations: Vec<PathBuf>,
    /// The address of the MatrixRTC authorisation service that it names to clients.
    pub rtc_service: String,
    /// Whether it knows delayed events (MSC4140).
    pub delayed_events: bool,
}

/// A running Synapse.
#[derive(Debug)]
pub struct Synapse {
    /// Its client API, without a slash at the end.
    pub url: String,
    server: Server,
}

impl Synapse {
    /// Writes its configuration into `dir`, starts it, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started; the message has the end of its log.
    pub async fn start(toolbox: &Toolbox, dir: &Path, config: &SynapseConfig) -> anyhow::Result<Self> {
        let mut this = Self::launch(toolbox, dir, config)?;
        this.ready().await?;
        Ok(this)
    }

    /// As [`Synapse::start`], without waiting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn launch(toolbox: &Toolbox, dir: &Path, config: &SynapseConfig) -> anyhow::Result<Self> {
        let dir = dir.join("synapse");
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let fast = json!({ "per_second": 10_000, "burst_count": 10_000 });
        // YAML takes JSON as it is.
        let mut yaml = json!({
            "server_name": SERVER_NAME,
            "public_baseurl": format!("http://127.0.0.1:{}/", config.port),
            "pid_file": dir.join("synapse.pid"),
            // `openid`: Roomtone's authorisation service asks here whose token it was shown.
            "listeners": [{ "port": config.port, "tls": false, "type": "http", "bind_addresses": ["127.0.0.1"],
                            "resources": [{ "names": ["client", "openid"] }] }],
            "database": { "name": "sqlite3", "args": { "database": dir.join("homeserver.db") } },
            "log_config": dir.join("log.yaml"),
            "media_store_path": dir.join("media"),
            "signing_key_path": dir.join("signing.key"),
            "registration_shared_secret": REGISTRATION_SECRET,
            "macaroon_secret_key": "macaroon", "form_secret": "form",
            "report_stats": false, "trusted_key_servers": [], "suppress_key_server_warning": true,
            "presence": { "enabled": false },
            "experimental_features": { "msc4143_enabled": true, "msc4222_enabled": true, "msc4354_enabled": true },
            "matrix_rtc": { "transports": [{ "type": "livekit", "livekit_service_url": config.rtc_service }] },
            "app_service_config_files": config.registrations,
            "rc_message": fast, "rc_delayed_event_mgmt": fast, "rc_registration": fast,
            "rc_login": { "address": fast, "account": fast, "failed_attempts": fast },
            "rc_joins": { "local": fast, "remote": fast },
            "rc_invites": { "per_room": fast, "per_user": fast, "per_issuer": fast },
        });
        if config.delayed_events {
            yaml["max_event_delay_duration"] = json!("24h");
        }
        fs::write(dir.join("homeserver.yaml"), serde_json::to_vec_pretty(&yaml)?)?;
        let log = json!({
            "version": 1, "disable_existing_loggers": false,
            "formatters": { "line": { "format": "%(asctime)s %(name)s %(levelname)s %(message)s" } },
            "handlers": { "file": { "class": "logging.FileHandler", "filename": dir.join("homeserver.log"), "formatter": "line" } },
            "root": { "level": "INFO", "handlers": ["file"] },
        });
        fs::write(dir.join("log.yaml"), serde_json::to_vec_pretty(&log)?)?;
        // Any 32 bytes are a signing key, and nobody but this server will ever check it: `--generate-keys` takes a second.
        fs::write(dir.join("signing.key"), "ed25519 a_test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n")?;
        let mut command = Command::new(&toolbox.synapse_python);
        command.args(["-m", "synapse.app.homeserver", "-c"]).arg(dir.join("homeserver.yaml")).current_dir(&dir);
        let server = Server::start("Synapse", command, &dir.join("output.txt"))?;
        Ok(Self { url: format!("http://127.0.0.1:{}", config.port), server })
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It has ended or does not answer within a minute.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/health", self.url);
        self.server.answers(&url, Duration::from_secs(60)).await
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }
}

/// A port for a Synapse that is started later.
#[must_use]
pub fn port() -> u16 {
    ports::free()
}
