//! A real LiveKit server on loopback.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tokio::process::Command;

use crate::{ports, server::Server, toolbox::Toolbox};

/// The API key of the scenarios' LiveKit.
pub const KEY: &str = "scenarios";
/// Its secret.
pub const SECRET: &str = "a secret of the scenarios, at least 32 characters";

/// A running LiveKit server.
#[derive(Debug)]
pub struct LiveKit {
    /// Its address for clients, `ws://…`.
    pub url: String,
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    server: Server,
}

impl LiveKit {
    /// Starts it in `dir`. `webhook`: where it tells of those who come and go.
    ///
    /// # Errors
    /// It cannot be started, or does not answer.
    pub async fn start(toolbox: &Toolbox, dir: &Path, port: u16, webhook: Option<&str>) -> anyhow::Result<Self> {
        let mut this = Self::launch(toolbox, dir, port, webhook)?;
        this.ready().await?;
        Ok(this)
    }

    /// As [`LiveKit::start`], without waiting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn launch(toolbox: &Toolbox, dir: &Path, port: u16, webhook: Option<&str>) -> anyhow::Result<Self> {
        let dir = dir.join("livekit");
        fs::create_dir_all(&dir)?;
        let mut yaml = json!({
            "port": port, "bind_addresses": ["127.0.0.1"], "keys": { KEY: SECRET },
            "room": { "auto_create": false }, // the authorisation service makes rooms
            "rtc": {
                "udp_port": ports::free(),
                "tcp_port": 0, // else 7881 on every interface, whatever bind_addresses says
                "use_external_ip": false, "node_ip": "127.0.0.1", "enable_loopback_candidate": true,
                "interfaces": { "includes": ["lo"] }, "ips": { "includes": ["127.0.0.1/32"] },
                // Else clients ask public servers. Not the SFU's own port: Chromium would take its media for STUN answers.
                "stun_servers": ["127.0.0.1:9"],
            },
            "logging": { "level": "info", "json": false },
        });
        if let Some(url) = webhook {
            yaml["webhook"] = json!({ "api_key": KEY, "urls": [url] });
        }
        fs::write(dir.join("livekit.yaml"), serde_json::to_vec_pretty(&yaml)?)?;
        let program = toolbox.livekit_server.clone();
        let server = Self::spawn(&program, &dir)?;
        Ok(Self { url: format!("ws://127.0.0.1:{port}"), program, dir, port, server })
    }

    fn spawn(program: &Path, dir: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(program);
        command.arg("--config").arg(dir.join("livekit.yaml"));
        Server::start("LiveKit", command, &dir.join("output.txt"))
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It has ended or does not answer within 20 s.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/", self.port);
        self.server.answers(&url, Duration::from_secs(20)).await
    }

    /// Kills it.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill().await
    }

    /// Starts it again, on the same ports.
    ///
    /// # Errors
    /// As [`LiveKit::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.server = Self::spawn(&self.program, &self.dir)?;
        self.ready().await
    }
}
