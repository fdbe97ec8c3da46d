//! A Bitcoin chain of one's own, and real Lightning nodes on it: bitcoind, ldk-node, LND. All on this machine, in a folder, and
//! gone with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use payments::lightning::Chain;
use payments::lightning::config::{ChainSource, LdkConfig, LndConfig};
use payments::lightning::ldk::{Labels, Ldk};
use payments::lightning::lnd::Lnd;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use crate::support::now;

/// How long something may take that another program does.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program that is killed with this.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::run(command, log)
    }

    fn run(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log).spawn().unwrap();
        Self(child)
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A port that nobody listens on at this moment.
pub(crate) fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is yes: other programs tell nobody when they are ready.
pub(crate) async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !asked().await {
        assert!(tokio::time::Instant::now() < end, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// bitcoind on a chain of its own.
pub(crate) struct Bitcoin {
    pub(crate) folder: tempfile::TempDir,
    rpc: u16,
    zmq: [u16; 2],
    address: String,
    http: reqwest::Client,
    electrum: Option<Electrum>,
    _program: Program,
}

impl Bitcoin {
    pub(crate) async fn start() -> Self {
        let program = PathBuf::from(std::env::var_os("ROOMTONE_BITCOIND").expect("set by cargo xtask test"));
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("bitcoin");
        std::fs::create_dir(&data).unwrap();
        let (rpc, zmq) = (port(), [port(), port()]);
        let arguments = [
            "-regtest".to_owned(),
            format!("-datadir={}", data.display()),
            "-server".into(),
            "-rest".into(),
            "-txindex".into(),
            "-listen=0".into(),
            "-rpcbind=127.0.0.1".into(),
            "-rpcallowip=127.0.0.1".into(),
            format!("-rpcport={rpc}"),
            "-rpcuser=u".into(),
            "-rpcpassword=p".into(),
            "-fallbackfee=0.0002".into(),
            format!("-zmqpubrawblock=tcp://127.0.0.1:{}", zmq[0]),
            format!("-zmqpubrawtx=tcp://127.0.0.1:{}", zmq[1]),
        ];
        let running = Program::start(&program, &arguments, &folder.path().join("bitcoin.log"));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut bitcoin = Self { folder, rpc, zmq, address: String::new(), http, electrum: None, _program: running };
        until("bitcoind answers", async || bitcoin.ask("getblockchaininfo", json!([])).await.is_some()).await;
        bitcoin.rpc("createwallet", json!(["tests"])).await;
        bitcoin.address = bitcoin.rpc("getnewaddress", json!([])).await.as_str().unwrap().to_owned();
        bitcoin.mine(101).await;
        bitcoin
    }

    async fn ask(&self, method: &str, params: Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "1.0", "id": 1, "method": method, "params": params });
        let url = format!("http://127.0.0.1:{}/", self.rpc);
        let answer = self.http.post(url).basic_auth("u", Some("p")).json(&body).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["error"].is_null().then(|| answer["result"].clone())
    }

    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Value {
        self.ask(method, params.clone()).await.unwrap_or_else(|| panic!("bitcoind refuses {method} {params}"))
    }

    pub(crate) async fn mine(&self, blocks: u32) {
        self.rpc("generatetoaddress", json!([blocks, self.address])).await;
        if let Some(electrum) = &self.electrum {
            let height = self.rpc("getblockcount", json!([])).await.as_u64();
            until("the Electrum server has the last block", async || electrum.height().await == height).await;
        }
    }

    /// Puts an Electrum server in front of it, and says where.
    pub(crate) async fn with_electrum(&mut self) -> ChainSource {
        let electrum = Electrum::start(self);
        until("the Electrum server answers", async || electrum.height().await.is_some()).await;
        let url = format!("tcp://127.0.0.1:{}", electrum.port);
        self.electrum = Some(electrum);
        ChainSource::Electrum { url }
    }

    /// A whole bitcoin to this address, confirmed.
    pub(crate) async fn send_to(&self, address: &str) {
        self.rpc("sendtoaddress", json!([address, 1.0])).await;
        self.mine(6).await;
    }

    /// Waits for a transaction, and confirms it.
    pub(crate) async fn confirm(&self) {
        until("a transaction is known", async || {
            self.rpc("getrawmempool", json!([])).await.as_array().is_some_and(|found| !found.is_empty())
        })
        .await;
        self.mine(6).await;
    }

    /// What the embedded node is told of it, in a folder of that name.
    pub(crate) fn ldk_config(&self, name: &str, rest: bool) -> LdkConfig {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = |what: &str, bytes: &[u8]| {
            let path = folder.join(what);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            path
        };
        let mut seed = [0; 64];
        seed[..name.len()].copy_from_slice(name.as_bytes());
        LdkConfig {
            seed_file: file("seed", &seed),
            source: ChainSource::Bitcoind {
                host: "127.0.0.1".to_owned(),
                port: self.rpc,
                user: "u".to_owned(),
                password_file: file("password", b"p\n"),
                rest,
            },
            folder,
            listen: vec![format!("127.0.0.1:{}", port())],
            alias: Some(name.to_owned()),
        }
    }
}

/// `ElectrumX` in front of bitcoind.
struct Electrum {
    port: u16,
    _program: Program,
}

impl Electrum {
    fn start(bitcoin: &Bitcoin) -> Self {
        let python = PathBuf::from(std::env::var_os("ROOMTONE_ELECTRUMX_PYTHON").expect("set by cargo xtask test"));
        let folder = bitcoin.folder.path().join("electrumx");
        std::fs::create_dir(&folder).unwrap();
        let port = port();
        let variables = [
            ("DB_ENGINE", "leveldb".to_owned()),
            ("COIN", "Bitcoin".into()),
            ("NET", "regtest".into()),
            ("DAEMON_URL", format!("http://u:p@127.0.0.1:{}", bitcoin.rpc)),
            ("DB_DIRECTORY", folder.display().to_string()),
            ("SERVICES", format!("tcp://127.0.0.1:{port}")),
            ("PEER_DISCOVERY", "off".into()),
            ("PEER_ANNOUNCE", String::new()),
            ("CACHE_MB", "50".into()),
            // It does as root what it does as anybody: containers have nobody else.
            ("ALLOW_ROOT", "1".into()),
            // In milliseconds: the tests' blocks come when they are asked for.
            ("DAEMON_POLL_INTERVAL_BLOCKS", "100".into()),
            ("DAEMON_POLL_INTERVAL_MEMPOOL", "100".into()),
            // One asks quickly here, and is nobody's attacker.
            ("COST_SOFT_LIMIT", "0".into()),
            ("COST_HARD_LIMIT", "0".into()),
        ];
        let mut command = Command::new(python.with_file_name("electrumx_server"));
        command.envs(variables);
        Self { port, _program: Program::run(command, &folder.join("log")) }
    }

    /// The height of its last block; `None`: it does not answer.
    async fn height(&self) -> Option<u64> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let (read, mut write) = stream.split();
        let mut lines = tokio::io::BufReader::new(read).lines();
        for (id, method, params) in
            [(1, "server.version", json!(["tests", "1.4"])), (2, "blockchain.headers.subscribe", json!([]))]
        {
            let asked = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            write.write_all(format!("{asked}\n").as_bytes()).await.ok()?;
            let answer: Value = serde_json::from_str(&lines.next_line().await.ok()??).ok()?;
            if id == 2 {
                return answer["result"]["height"].as_u64();
            }
        }
        None
    }
}

/// An embedded node of this configuration.
pub(crate) async fn ldk(config: &LdkConfig, labels: Labels) -> Ldk {
    Ldk::start(config, Chain::Regtest, labels, Arc::new(now)).await.unwrap()
}

/// The wallet of an embedded node sees the chain as it is.
pub(crate) async fn synced(node: &Ldk) {
    let node = node.ldk();
    tokio::task::spawn_blocking(move || node.sync_wallets().unwrap()).await.unwrap();
}

/// LND, and its keys.
pub(crate) struct LndProgram {
    pub(crate) p2p: u16,
    rest: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    binary: PathBuf,
    http: Option<reqwest::Client>,
    program: Program,
}

impl LndProgram {
    pub(crate) async fn start(bitcoin: &Bitcoin) -> Self {
        let binary = PathBuf::from(std::env::var_os("ROOMTONE_LND").expect("set by cargo xtask test"));
        let folder = bitcoin.folder.path().join("lnd");
        let (p2p, rpc, rest) = (port(), port(), port());
        let mut arguments = vec![format!("--lnddir={}", folder.display())];
        for fixed in
            ["--noseedbackup", "--bitcoin.regtest", "--bitcoin.node=bitcoind", "--nobootstrap", "--trickledelay=50"]
        {
            arguments.push(fixed.to_owned());
        }
        arguments.extend([
            format!("--bitcoind.rpchost=127.0.0.1:{}", bitcoin.rpc),
            "--bitcoind.rpcuser=u".to_owned(),
            "--bitcoind.rpcpass=p".to_owned(),
            format!("--bitcoind.zmqpubrawblock=tcp://127.0.0.1:{}", bitcoin.zmq[0]),
            format!("--bitcoind.zmqpubrawtx=tcp://127.0.0.1:{}", bitcoin.zmq[1]),
            format!("--listen=127.0.0.1:{p2p}"),
            format!("--rpclisten=127.0.0.1:{rpc}"),
            format!("--restlisten=127.0.0.1:{rest}"),
        ]);
        let program = Program::start(&binary, &arguments, &bitcoin.folder.path().join("lnd.log"));
        let mut lnd = Self { p2p, rest, folder, arguments, binary, http: None, program };
        until("LND has made its keys", async || lnd.macaroon("admin").exists() && lnd.certificate().exists()).await;
        // The tests' own client: whoever answers at this port of this machine.
        let http = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).build().unwrap();
        lnd.http = Some(http);
        lnd.is_synced().await;
        lnd
    }

    pub(crate) async fn is_synced(&self) {
        until("LND knows the chain", async || {
            self.ask("GET", "/v1/getinfo", None).await.is_some_and(|info| info["synced_to_chain"] == json!(true))
        })
        .await;
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("tls.cert")
    }

    fn macaroon(&self, name: &str) -> PathBuf {
        self.folder.join(format!("data/chain/bitcoin/regtest/{name}.macaroon"))
    }

    /// `None`: it does not answer, or refuses.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let macaroon = hex::encode(std::fs::read(self.macaroon("admin")).ok()?);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.as_ref()?.request(method, format!("https://127.0.0.1:{}{path}", self.rest));
        let request = request.header("Grpc-Metadata-macaroon", macaroon);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    pub(crate) async fn must(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.ask(method, path, body).await.unwrap_or_else(|| panic!("LND refuses {method} {path}"))
    }

    /// A macaroon that can do just this, in a file of its owner's alone.
    async fn bake(&self, name: &str, permissions: &[(&str, &str)]) -> PathBuf {
        let permissions: Vec<_> =
            permissions.iter().map(|(entity, action)| json!({ "entity": entity, "action": action })).collect();
        let baked = self.must("POST", "/v1/macaroon", Some(json!({ "permissions": permissions }))).await;
        let path = self.folder.join(name);
        std::fs::write(&path, hex::decode(baked["macaroon"].as_str().unwrap()).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// What an operator writes down of it: the least that is needed.
    pub(crate) async fn config(&self) -> LndConfig {
        let invoices =
            [("info", "read"), ("invoices", "read"), ("invoices", "write"), ("offchain", "read"), ("onchain", "read")];
        let payouts = [("uri", "/routerrpc.Router/SendPaymentV2"), ("uri", "/routerrpc.Router/TrackPaymentV2")];
        LndConfig {
            url: format!("https://127.0.0.1:{}", self.rest),
            certificate_file: Some(self.certificate()),
            macaroon_file: self.bake("invoices", &invoices).await,
            payout_macaroon_file: Some(self.bake("payouts", &payouts).await),
        }
    }

    pub(crate) async fn node(&self) -> Lnd {
        Lnd::new(&self.config().await, Arc::new(now)).unwrap()
    }

    /// Killed as `kill -9` does, and started anew.
    pub(crate) async fn kill_and_start(&mut self) {
        self.program.kill();
        let log = self.folder.join("again.log");
        self.program = Program::start(&self.binary, &self.arguments, &log);
        self.is_synced().await;
    }

    pub(crate) async fn public_key(&self) -> String {
        self.must("GET", "/v1/getinfo", None).await["identity_pubkey"].as_str().unwrap().to_owned()
    }

    /// Its router knows a way to this node. Channels are active a moment before.
    pub(crate) async fn has_a_way_to(&self, key: &str) {
        let path = format!("/v1/graph/routes/{key}/2000");
        until("LND knows a way", async || {
            self.ask("GET", &path, None)
                .await
                .is_some_and(|found| found["routes"].as_array().is_some_and(|r| !r.is_empty()))
        })
        .await;
    }

    /// Bytes as LND takes them.
    pub(crate) fn bytes(bytes: &[u8]) -> Value {
        json!(BASE64.encode(bytes))
    }
}
