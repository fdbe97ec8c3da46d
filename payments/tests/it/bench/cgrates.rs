//! CGRateS, another charging engine, as a process of this measurement: JSON-RPC over TCP on loopback, its balances in Redis.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TENANT: &str = "cgrates.org";
/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(20);

/// The engine, and the Redis that its balances are in. Both are gone with this.
pub(crate) struct Engine {
    folder: tempfile::TempDir,
    program: PathBuf,
    rpc: u16,
    engine: Child,
    _redis: Redis,
}

struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Tries until it goes well.
fn until<T>(what: &str, mut tried: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(done) = tried() {
            return done;
        }
        assert!(began.elapsed() < START, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where its tariffs are.
fn tariffs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/cgrates/tp").canonicalize().unwrap()
}

fn config(rpc: u16, redis: u16) -> Value {
    let port = |port: u16| format!("127.0.0.1:{port}");
    let internal = json!(["*internal"]);
    json!({
        "general": {"logger": "*stdout", "log_level": 4, "default_timezone": "UTC", "tpexport_dir": ".", "failed_posts_dir": "."},
        "listen": {"rpc_json": port(rpc), "rpc_gob": port(free_port()), "http": port(free_port()), "rpc_json_tls": port(free_port()),
            "rpc_gob_tls": port(free_port()), "http_tls": port(free_port())},
        "data_db": {"db_type": "*redis", "db_host": "127.0.0.1", "db_port": redis},
        "stor_db": {"db_type": "*internal"},
        "rals": {"enabled": true},
        "schedulers": {"enabled": true},
        "attributes": {"enabled": true},
        "chargers": {"enabled": true, "attributes_conns": internal},
        "cdrs": {"enabled": true, "chargers_conns": internal, "rals_conns": internal},
        "sessions": {"enabled": true, "listen_bijson": port(free_port()), "chargers_conns": internal, "rals_conns": internal,
            "cdrs_conns": internal, "attributes_conns": internal},
        "apiers": {"enabled": true, "scheduler_conns": internal},
    })
}

impl Engine {
    /// Starts Redis, which writes each change to the disk before it answers (the only setting to compare durable charging with),
    /// and the engine, and loads its tariffs.
    pub(crate) fn start(program: &Path, redis_server: &Path) -> Self {
        // It takes no configuration from a folder whose name begins with a point.
        let folder = tempfile::Builder::new().prefix("cgrates").tempdir().unwrap();
        let (redis, rpc) = (free_port(), free_port());
        let server = Command::new(redis_server)
            .args(["--port", &redis.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Redis(server);
        until("Redis", || TcpStream::connect(("127.0.0.1", redis)).ok());
        std::fs::write(folder.path().join("cgrates.json"), config(rpc, redis).to_string()).unwrap();
        let engine = spawn(program, folder.path());
        let mut it = Self { folder, program: program.to_owned(), rpc, engine, _redis: server };
        it.answers();
        // Its services register one by one behind the open port.
        until("loading tariffs", || {
            it.connect().ask("APIerSv1.LoadTariffPlanFromFolder", &json!({"FolderPath": tariffs()})).ok()
        });
        it
    }

    fn answers(&mut self) {
        until("CGRateS", || Connection::new(self.rpc)?.ask("CoreSv1.Ping", &json!({})).ok());
    }

    /// Kills it as `kill -9` does, and starts it again on the same Redis.
    pub(crate) fn kill_and_start(&mut self) {
        self.engine.kill().unwrap();
        self.engine.wait().unwrap();
        self.engine = spawn(&self.program, self.folder.path());
        self.answers();
        let event = event("nobody", "warm-up", "1s");
        until("its sessions", || match self.connect().session("AuthorizeEvent", "GetMaxUsage", &event) {
            Err(error) if error.to_uppercase().contains("SERVICE") || error.contains("find") => None,
            _ => Some(()),
        });
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::new(self.rpc).unwrap()
    }
}

fn spawn(program: &Path, folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(program);
    command.arg("-config_path").arg(folder).current_dir(folder);
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// One TCP connection: JSON objects back to back.
pub(crate) struct Connection {
    socket: BufReader<TcpStream>,
    asked: u64,
}

/// A prepaid call to a mobile number: 0.05 for the answer, 0.1 a minute in steps of 6 s.
pub(crate) fn event(account: &str, call: &str, usage: &str) -> Value {
    json!({"Tenant": TENANT, "ID": call, "Event": {
        "Tenant": TENANT, "ToR": "*voice", "RequestType": "*prepaid", "Category": "call", "Account": account, "Subject": account,
        "Destination": "31612345678", "OriginID": call, "OriginHost": "bench", "SetupTime": "2026-11-20T12:00:00Z",
        "AnswerTime": "2026-11-20T12:00:01Z", "Usage": usage}})
}

impl Connection {
    fn new(port: u16) -> Option<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        socket.set_nodelay(true).ok()?;
        Some(Self { socket: BufReader::new(socket), asked: 0 })
    }

    pub(crate) fn ask(&mut self, method: &str, argument: &Value) -> Result<Value, String> {
        self.asked += 1;
        let request = json!({"method": method, "params": [argument], "id": self.asked}).to_string();
        self.socket.get_mut().write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.socket.read_line(&mut line).map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line:?}"))?;
        match &answer["error"] {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error.to_string()),
        }
    }

    /// `flag` says what the verb is to do.
    pub(crate) fn session(&mut self, verb: &str, flag: &str, event: &Value) -> Result<Value, String> {
        let mut argument = event.clone();
        argument[flag] = json!(true);
        self.ask(&format!("SessionSv1.{verb}"), &argument)
    }

    pub(crate) fn set_balance(&mut self, account: &str, value: f64) {
        let balance = json!({"Tenant": TENANT, "Account": account, "BalanceType": "*monetary", "Value": value, "Balance": {"ID": "main"}});
        self.ask("APIerSv2.SetBalance", &balance).unwrap();
    }

    /// Its balances are floats.
    pub(crate) fn balance(&mut self, account: &str) -> f64 {
        let account = self.ask("APIerSv2.GetAccount", &json!({"Tenant": TENANT, "Account": account})).unwrap();
        account["BalanceMap"]["*monetary"][0]["Value"].as_f64().unwrap()
    }

    /// What a call to a fixed number costs: 0.01 a minute, 60/1.
    pub(crate) fn cost(&mut self, seconds: u64) -> f64 {
        let asked = json!({"Tenant": TENANT, "Category": "call", "Subject": "x", "AnswerTime": "2026-11-20T12:00:00Z",
            "Destination": "31201234567", "Usage": format!("{seconds}s")});
        self.ask("APIerSv1.GetCost", &asked).unwrap()["Cost"].as_f64().unwrap()
    }

    /// Begin, end, record: what a prepaid call takes at least.
    pub(crate) fn whole_call(&mut self, account: &str, call: &str) {
        let event = event(account, call, "30s");
        self.session("InitiateSession", "InitSession", &event).unwrap();
        self.session("TerminateSession", "TerminateSession", &event).unwrap();
        self.ask("SessionSv1.ProcessCDR", &event).unwrap();
    }
}
