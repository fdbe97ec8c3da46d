//! LND: somebody else's Lightning node, with a wallet.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    bitcoin::{Bitcoin, RPC, until},
    ports,
    server::Server,
    toolbox::Toolbox,
};

/// LND on a chain of ours.
#[derive(Debug)]
pub struct Lnd {
    rest: u16,
    folder: PathBuf,
    http: reqwest::Client,
    _server: Server,
}

impl Lnd {
    /// Starts it, with a bitcoin in its wallet.
    ///
    /// # Errors
    /// It is not installed, or does not come up.
    pub async fn start(toolbox: &Toolbox, dir: &Path, bitcoin: &Bitcoin) -> anyhow::Result<Self> {
        let program = toolbox.lnd.as_ref().context("LND is not installed")?;
        let folder = dir.join("lnd");
        let rest = ports::free();
        let mut command = Command::new(program);
        command.arg(format!("--lnddir={}", folder.display()));
        command.args(["--noseedbackup", "--bitcoin.regtest", "--bitcoin.node=bitcoind", "--nobootstrap"]);
        command.args(["--trickledelay=50", "--nolisten"]);
        command.arg(format!("--bitcoind.rpchost=127.0.0.1:{}", bitcoin.rpc));
        command.args([format!("--bitcoind.rpcuser={}", RPC.0), format!("--bitcoind.rpcpass={}", RPC.1)]);
        command.arg(format!("--bitcoind.zmqpubrawblock=tcp://127.0.0.1:{}", bitcoin.zmq[0]));
        command.arg(format!("--bitcoind.zmqpubrawtx=tcp://127.0.0.1:{}", bitcoin.zmq[1]));
        command.arg(format!("--rpclisten=127.0.0.1:{}", ports::free()));
        command.arg(format!("--restlisten=127.0.0.1:{rest}"));
        let server = Server::start("lnd", command, &dir.join("lnd.txt"))?;
        // The tests' own client: whoever answers at this port of this machine.
        let http = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).build()?;
        let this = Self { rest, folder, http, _server: server };
        this.knows_the_chain().await?;
        let address = this.ask("GET", "/v1/newaddress", None).await?;
        bitcoin.send_to(address["address"].as_str().context("LND has no address")?).await?;
        until("LND sees its bitcoin", async || {
            let balance = this.ask("GET", "/v1/balance/blockchain", None).await;
            balance.is_ok_and(|balance| balance["confirmed_balance"].as_str().is_some_and(|sat| sat != "0"))
        })
        .await?;
        Ok(this)
    }

    async fn knows_the_chain(&self) -> anyhow::Result<()> {
        until("LND knows the chain", async || {
            self.ask("GET", "/v1/getinfo", None).await.is_ok_and(|info| info["synced_to_chain"] == json!(true))
        })
        .await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let macaroon = std::fs::read(self.folder.join("data/chain/bitcoin/regtest/admin.macaroon"))?;
        let hex: String = macaroon.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = self.http.request(method.parse()?, format!("https://127.0.0.1:{}{path}", self.rest));
        let request = request.header("Grpc-Metadata-macaroon", hex);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await?;
        if !answer.status().is_success() {
            bail!("LND refuses {method} {path}: {}", answer.text().await.unwrap_or_default());
        }
        Ok(answer.json().await?)
    }

    /// Opens a channel to a node, and waits until it works.
    ///
    /// # Errors
    /// It does not come about.
    pub async fn open_channel(&self, bitcoin: &Bitcoin, key: &str, host: &str, sat: u64) -> anyhow::Result<()> {
        let peer = json!({ "addr": { "pubkey": key, "host": host }, "perm": true });
        // The answer says that it will connect, not that it has.
        self.ask("POST", "/v1/peers", Some(peer)).await?;
        until("LND has reached the other node", async || {
            let peers = self.ask("GET", "/v1/peers", None).await;
            let there = |peers: &Value| peers["peers"].as_array()?.iter().find(|peer| peer["pub_key"] == key).map(drop);
            peers.is_ok_and(|peers| there(&peers).is_some())
        })
        .await?;
        // Blocks were mined since its start.
        self.knows_the_chain().await?;
        let channel = json!({ "node_pubkey_string": key, "local_funding_amount": sat.to_string() });
        self.ask("POST", "/v1/channels", Some(channel)).await?;
        bitcoin.confirm().await?;
        until("the channel works", async || {
            let channels = self.ask("GET", "/v1/channels?active_only=true", None).await;
            channels.is_ok_and(|found| found["channels"].as_array().is_some_and(|found| !found.is_empty()))
        })
        .await
    }

    /// Pays an invoice.
    ///
    /// # Errors
    /// It says why it cannot.
    pub async fn pay(&self, bolt11: &str) -> anyhow::Result<()> {
        let payment = json!({
            "payment_request": bolt11, "timeout_seconds": 30, "fee_limit_sat": "100", "no_inflight_updates": true,
        });
        let paid = self.ask("POST", "/v2/router/send", Some(payment)).await?;
        match paid["result"]["status"].as_str() {
            Some("SUCCEEDED") => Ok(()),
            _ => bail!("LND cannot pay: {paid}"),
        }
    }
}
