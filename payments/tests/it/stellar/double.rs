//! A Stellar RPC server in front of a [`Chain`]: JSON-RPC over HTTP on this machine, which can lose answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use payments::stellar::Network;
use serde_json::{Value, json};
use stellar_xdr as xdr;
use stellar_xdr::ReadXdr as _;
use tokio::sync::watch;

use super::chain::{Account, Chain, Said, base64, code};

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What was asked is done, and the answer never comes.
    Silent,
    /// Nothing is done: HTTP 503.
    Unavailable,
    /// What was asked is done: HTTP 504.
    TimedOut,
    /// What was asked is done, and the answer is no JSON.
    Nonsense,
}

struct Inner {
    chain: Chain,
    faults: VecDeque<(&'static str, Fault)>,
    /// Closes a ledger whenever somebody asks for a transaction that is in none yet, so many seconds behind the last.
    closes: Option<u64>,
    /// All envelopes that were handed in.
    sent: Vec<Vec<u8>>,
    /// The passphrase that it tells, where it lies.
    lies: Option<String>,
    /// A transaction whose envelope it cannot tell.
    garbled: Option<[u8; 32]>,
}

/// A server that is gone with this.
#[derive(Clone)]
pub(crate) struct Double {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
    asked: Asked,
    _server: Arc<Server>,
}

struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Double {
    pub(crate) async fn start(network: &Network, close: u64) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            chain: Chain::new(network, close),
            faults: VecDeque::new(),
            closes: Some(5),
            sent: Vec::new(),
            lies: None,
            garbled: None,
        }));
        let asked = Asked::new(BTreeMap::new());
        let router =
            axum::Router::new().route("/", axum::routing::post(answer)).with_state((Arc::clone(&inner), asked.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, asked, _server: Arc::new(Server(server)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The network behind it.
    pub(crate) fn chain<T>(&self, what: impl FnOnce(&mut Chain) -> T) -> T {
        what(&mut self.lock().chain)
    }

    /// The next answer to this method goes wrong.
    pub(crate) fn fault(&self, method: &'static str, fault: Fault) {
        self.lock().faults.push_back((method, fault));
    }

    /// Whether a ledger closes when somebody asks for what is in none yet.
    pub(crate) fn closes(&self, seconds: Option<u64>) {
        self.lock().closes = seconds;
    }

    pub(crate) fn lies(&self, passphrase: Option<&str>) {
        self.lock().lies = passphrase.map(str::to_owned);
    }

    pub(crate) fn garble(&self, hash: [u8; 32]) {
        self.lock().garbled = Some(hash);
    }

    /// All that was ever handed in, in order.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.lock().sent.clone()
    }

    /// Waits until this method was asked for once more than now, when this is called.
    pub(crate) fn asked(&self, method: &'static str) -> impl Future<Output = ()> + use<> {
        let mut seen = self.asked.subscribe();
        let times = move |asked: &BTreeMap<String, u32>| asked.get(method).copied().unwrap_or_default();
        let before = times(&seen.borrow());
        async move {
            seen.wait_for(|asked| times(asked) > before).await.unwrap();
        }
    }
}

/// How often each method was asked for.
type Asked = watch::Sender<BTreeMap<String, u32>>;
type Shared = (Arc<Mutex<Inner>>, Asked);

async fn answer(State((inner, asked)): State<Shared>, body: String) -> Response {
    let Ok(request) = serde_json::from_str::<Value>(&body) else {
        return error(-32700, "no JSON").into_response();
    };
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    let (fault, answer) = {
        let mut inner = inner.lock().unwrap();
        let place = inner.faults.iter().position(|(name, _)| *name == method);
        let fault = place.and_then(|place| inner.faults.remove(place)).map(|(_, fault)| fault);
        if fault == Some(Fault::Unavailable) {
            (fault, Value::Null)
        } else {
            (fault, inner.answer(&method, &request["params"]))
        }
    };
    asked.send_modify(|asked| *asked.entry(method).or_default() += 1);
    match fault {
        None => axum::Json(answer).into_response(),
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Unavailable) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::TimedOut) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        Some(Fault::Nonsense) => "<html>".into_response(),
    }
}

fn error(code: i32, message: &str) -> axum::Json<Value> {
    axum::Json(json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": code, "message": message } }))
}

impl Inner {
    fn answer(&mut self, method: &str, params: &Value) -> Value {
        let answer = match method {
            "getNetwork" => {
                let passphrase = self.lies.clone().unwrap_or_else(|| self.chain.network.passphrase().to_owned());
                Ok(json!({ "passphrase": passphrase, "protocolVersion": 23 }))
            }
            "getLatestLedger" => Ok(json!({ "id": "00", "protocolVersion": 23, "sequence": self.chain.ledger })),
            "getFeeStats" => {
                let fee = self.chain.asked_fee.to_string();
                Ok(json!({ "inclusionFee": { "p50": fee, "p90": fee, "p99": fee }, "latestLedger": self.chain.ledger }))
            }
            "getLedgerEntries" => self.entries(params),
            "sendTransaction" => self.send(params),
            "getTransaction" => Ok(self.transaction(params)),
            "getTransactions" => self.transactions(params),
            _ => Err("no such method"),
        };
        match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": 1, "result": result }),
            Err(why) => error(-32602, why).0,
        }
    }

    fn entries(&self, params: &Value) -> Result<Value, &'static str> {
        let mut entries = Vec::new();
        for key in params["keys"].as_array().ok_or("no keys")? {
            let limits = xdr::Limits { depth: 10, len: 1_000 };
            let key = xdr::LedgerKey::from_xdr_base64(key.as_str().unwrap_or_default(), limits);
            let (id, data) = match key.map_err(|_| "no ledger key")? {
                xdr::LedgerKey::Account(key) => (key.account_id, None),
                xdr::LedgerKey::Data(key) => (key.account_id, Some(key.data_name)),
                _ => return Err("not a key that this server knows"),
            };
            let xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256(bytes))) = id.clone();
            let Some(account) = self.chain.accounts.get(&bytes) else { continue };
            let entry = match data {
                None => xdr::LedgerEntryData::Account(entry(id, account)),
                Some(name) if account.memo_required && name.0.as_slice() == b"config.memo_required" => {
                    xdr::LedgerEntryData::Data(xdr::DataEntry {
                        account_id: id,
                        data_name: name,
                        data_value: xdr::DataValue(b"1".to_vec().try_into().unwrap()),
                        ext: xdr::DataEntryExt::V0,
                    })
                }
                Some(_) => continue,
            };
            entries.push(json!({ "key": "", "xdr": base64(&entry), "lastModifiedLedgerSeq": 1 }));
        }
        Ok(json!({ "entries": entries, "latestLedger": self.chain.ledger }))
    }

    fn send(&mut self, params: &Value) -> Result<Value, &'static str> {
        let bytes = BASE64.decode(params["transaction"].as_str().unwrap_or_default()).map_err(|_| "no base64")?;
        self.sent.push(bytes.clone());
        let mut answer =
            json!({ "latestLedger": self.chain.ledger, "latestLedgerCloseTime": self.chain.close.to_string() });
        let status = match self.chain.submit(&bytes) {
            Said::Pending => "PENDING",
            Said::Duplicate => "DUPLICATE",
            Said::TryAgainLater => "TRY_AGAIN_LATER",
            Said::Error(result) => {
                answer["errorResultXdr"] = base64(&result).into();
                "ERROR"
            }
            Said::NotXdr => return Err("no XDR"),
        };
        answer["status"] = status.into();
        Ok(answer)
    }

    fn ranges(&self) -> Value {
        json!({
            "latestLedger": self.chain.ledger, "latestLedgerCloseTime": self.chain.close.to_string(),
            "oldestLedger": self.chain.oldest, "oldestLedgerCloseTime": "1",
        })
    }

    fn transaction(&mut self, params: &Value) -> Value {
        let mut hash = [0; 32];
        let known = hex::decode_to_slice(params["hash"].as_str().unwrap_or_default(), &mut hash).is_ok();
        let mut answer = self.ranges();
        if let Some(tx) = self.chain.find(hash).filter(|_| known) {
            answer["status"] = if tx.success { "SUCCESS" } else { "FAILED" }.into();
            answer["ledger"] = tx.ledger.into();
            answer["createdAt"] = tx.closed.to_string().into();
            answer["envelopeXdr"] = base64(&tx.envelope).into();
            answer["resultXdr"] = base64(&tx.result).into();
            return answer;
        }
        answer["status"] = "NOT_FOUND".into();
        if let Some(seconds) = self.closes {
            self.chain.close(seconds);
        }
        answer
    }

    fn transactions(&self, params: &Value) -> Result<Value, &'static str> {
        let limit = usize::try_from(params["pagination"]["limit"].as_u64().unwrap_or(50)).unwrap();
        // A cursor is the ledger and the place of the last transaction that was read, as one number.
        let behind = match (params["startLedger"].as_u64(), params["pagination"]["cursor"].as_str()) {
            (Some(ledger), None) => ledger << 32,
            (None, Some(cursor)) => cursor.parse().map_err(|_| "no cursor")?,
            _ => return Err("either startLedger or a cursor"),
        };
        let ledger = behind >> 32;
        if ledger < u64::from(self.chain.oldest) || ledger > u64::from(self.chain.ledger) + 1 {
            return Err("the start must be between the oldest ledger and the latest");
        }
        let number = |place: usize| {
            let tx = &self.chain.applied[place];
            let in_ledger = self.chain.applied[..=place].iter().filter(|other| other.ledger == tx.ledger).count();
            u64::from(tx.ledger) << 32 | in_ledger as u64
        };
        let places: Vec<usize> =
            (0..self.chain.applied.len()).filter(|place| number(*place) > behind).take(limit).collect();
        let transactions: Vec<_> = places
            .iter()
            .map(|place| {
                let tx = &self.chain.applied[*place];
                let garbled = self.garbled.is_some_and(|hash| tx.names.contains(&hash));
                json!({
                    "status": if tx.success { "SUCCESS" } else { "FAILED" }, "txHash": hex::encode(tx.names[0]),
                    "ledger": tx.ledger, "createdAt": tx.closed, "resultXdr": base64(&tx.result),
                    "envelopeXdr": if garbled { "AAAA".to_owned() } else { base64(&tx.envelope) }, "feeBump": tx.names.len() > 1,
                })
            })
            .collect();
        let cursor = match places.last() {
            Some(place) if places.len() == limit => number(*place),
            _ => u64::from(self.chain.ledger) << 32 | 0xFFFF_FFFF,
        };
        Ok(json!({
            "transactions": transactions, "latestLedger": self.chain.ledger, "oldestLedger": self.chain.oldest,
            "latestLedgerCloseTimestamp": self.chain.close, "oldestLedgerCloseTimestamp": 1, "cursor": cursor.to_string(),
        }))
    }
}

fn entry(account_id: xdr::AccountId, account: &Account) -> xdr::AccountEntry {
    xdr::AccountEntry {
        account_id,
        balance: account.lumens,
        seq_num: xdr::SequenceNumber(account.sequence),
        num_sub_entries: u32::try_from(account.lines.len()).unwrap(),
        inflation_dest: None,
        flags: 0,
        home_domain: xdr::String32::default(),
        thresholds: xdr::Thresholds([1, 0, 0, 0]),
        signers: xdr::VecM::default(),
        ext: xdr::AccountEntryExt::V0,
    }
}

/// What a chain says to an envelope, as one word.
pub(crate) fn word(said: &Said) -> &'static str {
    match said {
        Said::Pending => "PENDING",
        Said::Duplicate => "DUPLICATE",
        Said::TryAgainLater => "TRY_AGAIN_LATER",
        Said::Error(result) => code(result),
        Said::NotXdr => "no XDR",
    }
}
