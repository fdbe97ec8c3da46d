//! baresip, by configuration files and its control port (netstrings of JSON).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Instant, sleep, timeout},
};

use super::{Answer, Softphone};
use crate::{ports, server::Server, toolbox::Toolbox};

const MODULES: &str = "/usr/lib/baresip/modules";

/// A baresip softphone. It plays the file that it was started for.
#[derive(Debug)]
pub struct Baresip {
    program: PathBuf,
    dir: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    _server: Server,
    control: TcpStream,
    read: Vec<u8>,
    closed: Option<u16>,
    established: bool,
    folder: PathBuf,
}

impl Baresip {
    /// A softphone whose files go to `dir`.
    ///
    /// # Errors
    /// The machine has no baresip.
    pub fn new(toolbox: &Toolbox, dir: &Path) -> anyhow::Result<Self> {
        let program = toolbox.baresip.clone().context("no baresip on this machine: run `cargo xtask setup`")?;
        Ok(Self { program, dir: dir.to_path_buf(), running: None })
    }

    fn running(&mut self) -> anyhow::Result<&mut Running> {
        self.running.as_mut().context("baresip is not in a call")
    }
}

impl Running {
    async fn command(&mut self, command: &str, params: &str) -> anyhow::Result<()> {
        let text = json!({ "command": command, "params": params, "token": "scenario" }).to_string();
        self.control.write_all(format!("{}:{text},", text.len()).as_bytes()).await.context("baresip's control port")
    }

    /// The next message from the control port.
    async fn message(&mut self) -> anyhow::Result<Value> {
        loop {
            if let Some(colon) = self.read.iter().position(|b| *b == b':') {
                let length: usize =
                    std::str::from_utf8(&self.read[..colon])?.parse().context("a netstring's length")?;
                if self.read.len() > colon + 1 + length {
                    let message = serde_json::from_slice(&self.read[colon + 1..colon + 1 + length])?;
                    self.read.drain(..colon + 2 + length);
                    return Ok(message);
                }
            }
            if self.control.read_buf(&mut self.read).await? == 0 {
                bail!("baresip has closed its control port");
            }
        }
    }

    async fn until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            let message =
                timeout(left, self.message()).await.with_context(|| format!("baresip: nothing within {limit:?}"))??;
            match message["type"].as_str() {
                Some("CALL_ESTABLISHED") => self.established = true,
                Some("CALL_CLOSED") => {
                    // "404 Not Found", or a reason in words when the call was up
                    let status = message["param"].as_str().unwrap_or_default().split(' ').next().unwrap_or_default();
                    self.closed = Some(status.parse().unwrap_or(200));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Softphone for Baresip {
    const NAME: &'static str = "baresip";

    async fn ring(&mut self, uri: &str, play: &Path) -> anyhow::Result<()> {
        let folder = self.dir.join(format!("baresip-{}", ports::free()));
        fs::create_dir_all(&folder)?;
        let (sip, control, rtp) = (ports::free_range(2), ports::free(), ports::free_range(10));
        let mut config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{sip}\ncall_local_timeout 120\naudio_source aufile,{}\n\
             audio_player aubridge,sink\naudio_alert aubridge,alert\nrtp_ports {rtp}-{}\nnet_interface 127.0.0.1\n\
             module_path {MODULES}\nctrl_tcp_listen 127.0.0.1:{control}\nsnd_path {}\n",
            play.display(),
            rtp + 9,
            folder.display()
        );
        for module in ["g711", "aufile", "aubridge", "sndfile"] {
            config.push_str(&format!("module {module}.so\n"));
        }
        config.push_str("module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n");
        fs::write(folder.join("config"), config)?;
        fs::write(folder.join("contacts"), "")?;
        let account = format!(
            "\"Ada Lovelace\" <sip:+442079460124@127.0.0.1:{sip}>;regint=0;audio_codecs=PCMA/8000/1,PCMU/8000/1\n"
        );
        fs::write(folder.join("accounts"), account)?;
        let mut command = Command::new(&self.program);
        command.arg("-4").arg("-f").arg(&folder);
        let server = Server::start("baresip", command, &folder.join("output.txt"))?;
        let end = Instant::now() + Duration::from_secs(15);
        let control = loop {
            match TcpStream::connect(("127.0.0.1", control)).await {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < end => sleep(Duration::from_millis(50)).await,
                Err(error) => bail!("baresip's control port: {error}: {}", server.log_end()),
            }
        };
        let mut running =
            Running { _server: server, control, read: Vec::new(), closed: None, established: false, folder };
        running.command("dial", uri).await?;
        self.running = Some(running);
        Ok(())
    }

    async fn answer(&mut self, limit: Duration) -> anyhow::Result<Answer> {
        let running = self.running()?;
        running.until(limit, |r| r.established || r.closed.is_some()).await?;
        Ok(running.closed.map_or(Answer::Answered, Answer::Refused))
    }

    async fn ended(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.running()?.until(limit, |r| r.closed.is_some()).await
    }

    async fn hang_up(&mut self) -> anyhow::Result<PathBuf> {
        let running = self.running()?;
        if running.closed.is_none() {
            running.command("hangup", "").await?;
            running.until(Duration::from_secs(10), |r| r.closed.is_some()).await?;
        }
        running.command("quit", "").await?;
        let folder = running.folder.clone();
        let heard = |folder: &Path| -> anyhow::Result<Option<PathBuf>> {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.to_string_lossy().ends_with("-dec.wav") {
                    return Ok(Some(path));
                }
            }
            Ok(None)
        };
        self.running = None;
        heard(&folder)?.with_context(|| format!("baresip recorded nothing in {}", folder.display()))
    }
}
