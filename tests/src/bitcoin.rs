//! A Bitcoin chain of one's own, by Bitcoin's own node.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{ports, server::Server, toolbox::Toolbox};

/// Name and password of its RPC user.
pub const RPC: (&str, &str) = ("u", "p");

/// bitcoind on a regtest chain.
#[derive(Debug)]
pub struct Bitcoin {
    /// The port of its RPC.
    pub rpc: u16,
    /// Where it tells of blocks and of transactions.
    pub zmq: [u16; 2],
    address: String,
    http: reqwest::Client,
    _server: Server,
}

impl Bitcoin {
    /// Starts it in a folder, with a wallet that has mined a hundred blocks.
    ///
    /// # Errors
    /// It is not installed, or does not come up.
    pub async fn start(toolbox: &Toolbox, dir: &Path) -> anyhow::Result<Self> {
        let program = toolbox.bitcoind.as_ref().context("bitcoind is not installed")?;
        let data = dir.join("bitcoin");
        std::fs::create_dir_all(&data)?;
        let (rpc, zmq) = (ports::free(), [ports::free(), ports::free()]);
        let mut command = Command::new(program);
        command.arg(format!("-datadir={}", data.display()));
        command.args(["-regtest", "-server", "-rest", "-txindex", "-listen=0", "-fallbackfee=0.0002"]);
        command.args(["-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1"]);
        command.args([format!("-rpcport={rpc}"), format!("-rpcuser={}", RPC.0), format!("-rpcpassword={}", RPC.1)]);
        command.arg(format!("-zmqpubrawblock=tcp://127.0.0.1:{}", zmq[0]));
        command.arg(format!("-zmqpubrawtx=tcp://127.0.0.1:{}", zmq[1]));
        let server = Server::start("bitcoind", command, &dir.join("bitcoin.txt"))?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut this = Self { rpc, zmq, address: String::new(), http, _server: server };
        until("bitcoind answers", async || this.call("getblockchaininfo", json!([])).await.is_ok()).await?;
        this.call("createwallet", json!(["tests"])).await?;
        let address = this.call("getnewaddress", json!([])).await?;
        address.as_str().context("no address")?.clone_into(&mut this.address);
        this.mine(101).await?;
        Ok(this)
    }

    /// Asks it.
    ///
    /// # Errors
    /// It refuses, or does not answer.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let body = json!({ "jsonrpc": "1.0", "id": 1, "method": method, "params": params });
        let url = format!("http://127.0.0.1:{}/", self.rpc);
        let mut answer: Value =
            self.http.post(url).basic_auth(RPC.0, Some(RPC.1)).json(&body).send().await?.json().await?;
        if !answer["error"].is_null() {
            bail!("bitcoind refuses {method}: {}", answer["error"]);
        }
        Ok(answer["result"].take())
    }

    /// Mines blocks.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn mine(&self, blocks: u32) -> anyhow::Result<()> {
        self.call("generatetoaddress", json!([blocks, self.address])).await.map(drop)
    }

    /// A whole bitcoin to this address, confirmed.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn send_to(&self, address: &str) -> anyhow::Result<()> {
        self.call("sendtoaddress", json!([address, 1.0])).await?;
        self.mine(6).await
    }

    /// Waits for a transaction, and confirms it.
    ///
    /// # Errors
    /// None comes.
    pub async fn confirm(&self) -> anyhow::Result<()> {
        let known = async || {
            let pool = self.call("getrawmempool", json!([])).await;
            pool.is_ok_and(|pool| pool.as_array().is_some_and(|found| !found.is_empty()))
        };
        until("a transaction is known", known).await?;
        self.mine(6).await
    }
}

/// Asks until the answer is yes: other programs tell nobody when they are ready.
pub(crate) async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while !asked().await {
        anyhow::ensure!(tokio::time::Instant::now() < end, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
