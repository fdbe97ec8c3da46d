//! Our transactions beside those that two other SDKs make of the same words: every byte must be the same.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use payments::stellar::{Asset, Draft, FeeRate, Memo, Network, PathPay, Pay, SigningKey, TimeBounds, fee_bump};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PYTHON: &str = "ROOMTONE_STELLAR_PYTHON";
const NODE: &str = "ROOMTONE_NODE";
const NODE_MODULES: &str = "ROOMTONE_STELLAR_NODE";

#[derive(Serialize)]
struct Case {
    network: String,
    seed: String,
    sequence: String,
    fee: u32,
    min: u64,
    max: u64,
    memo: MemoWords,
    operations: Vec<OperationWords>,
    bump: Option<Bump>,
}

#[derive(Serialize)]
struct MemoWords {
    kind: &'static str,
    value: String,
}

#[derive(Serialize)]
struct OperationWords {
    to: String,
    asset: String,
    amount: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    path: Option<PathWords>,
}

#[derive(Serialize)]
struct PathWords {
    send_asset: String,
    send_max: String,
    path: Vec<String>,
}

#[derive(Serialize)]
struct Bump {
    seed: String,
    fee: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Made {
    address: String,
    hash: String,
    envelope: String,
    bump_hash: Option<String>,
    bump_envelope: Option<String>,
}

/// Numbers for a table that is the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn seed(&mut self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        seed.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_be_bytes()));
        seed
    }

    fn amount(&mut self) -> String {
        let stroops = match self.below(5) {
            0 => 1,
            1 => i64::MAX,
            2 => 10_000_000,
            _ => i64::try_from(self.next() >> (1 + self.below(40))).unwrap().max(1),
        };
        payments::stellar::Stroops::new(stroops).unwrap().to_string()
    }

    fn destination(&mut self, part: bool) -> String {
        let account = SigningKey::from_seed(&self.seed()).address();
        let part = part.then(|| self.next());
        payments::stellar::Destination { account, part }.to_string()
    }

    fn asset(&mut self) -> String {
        let code = ["", "A", "USD", "USDC", "EURCX", "ROOMTONE1234"][usize::try_from(self.below(6)).unwrap()];
        if code.is_empty() { "native".to_owned() } else { format!("{code}:{}", self.destination(false)) }
    }

    fn memo(&mut self) -> MemoWords {
        let (kind, value) = match self.below(5) {
            0 => ("none", String::new()),
            1 => ("text", "settle-2026-11 \u{e9}".to_owned()),
            2 => ("hash", hex::encode(*self.seed())),
            3 => ("return", hex::encode(*self.seed())),
            _ => ("id", [self.next(), 0, u64::MAX][usize::try_from(self.below(3)).unwrap()].to_string()),
        };
        MemoWords { kind, value }
    }

    fn operation(&mut self, may_be_part: bool) -> OperationWords {
        let part = may_be_part && self.below(2) == 0;
        let path = (self.below(2) == 0).then(|| PathWords {
            send_asset: self.asset(),
            send_max: self.amount(),
            path: (0..self.below(6)).map(|_| self.asset()).collect(),
        });
        OperationWords { to: self.destination(part), asset: self.asset(), amount: self.amount(), path }
    }

    fn case(&mut self) -> Case {
        let memo = self.memo();
        let fee = 100 + u32::try_from(self.below(10_000)).unwrap();
        let bump = (self.below(2) == 0).then(|| Bump {
            seed: hex::encode(*self.seed()),
            fee: fee + 1 + u32::try_from(self.below(100_000)).unwrap(),
        });
        let networks = [Network::PUBLIC, Network::TESTNET, "Standalone Network ; February 2017"];
        // What JavaScript's numbers hold exactly.
        let max = 1 + self.below(1 << 53);
        Case {
            network: networks[usize::try_from(self.below(3)).unwrap()].to_owned(),
            seed: hex::encode(*self.seed()),
            sequence: (1 + self.next() / 2).min(i64::MAX as u64).to_string(),
            fee,
            min: if self.below(2) == 0 { 0 } else { self.below(max) },
            max,
            operations: (0..=self.below(3)).map(|_| self.operation(memo.kind == "none")).collect(),
            memo,
            bump,
        }
    }
}

fn key(seed: &str) -> SigningKey {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(seed, &mut *bytes).unwrap();
    SigningKey::from_seed(&bytes)
}

fn ours(case: &Case) -> Made {
    let (network, key_of_source) = (Network::new(&case.network), key(&case.seed));
    let bounds = TimeBounds { min: case.min, max: case.max };
    let sequence = case.sequence.parse().unwrap();
    let draft = Draft::new(key_of_source.address(), sequence, FeeRate::new(case.fee).unwrap(), bounds);
    let hash = || {
        let mut hash = [0; 32];
        hex::decode_to_slice(&case.memo.value, &mut hash).unwrap();
        hash
    };
    let mut draft = draft.memo(match case.memo.kind {
        "id" => Memo::Id(case.memo.value.parse().unwrap()),
        "text" => Memo::Text(case.memo.value.clone()),
        "hash" => Memo::Hash(hash()),
        "return" => Memo::Return(hash()),
        _ => Memo::None,
    });
    for op in &case.operations {
        let asset: Asset = op.asset.parse().unwrap();
        let pay = Pay { destination: op.to.parse().unwrap(), asset, amount: op.amount.parse().unwrap() };
        draft = match &op.path {
            None => draft.pay(pay),
            Some(words) => draft.path_pay(PathPay {
                pay,
                send_asset: words.send_asset.parse().unwrap(),
                send_max: words.send_max.parse().unwrap(),
                path: words.path.iter().map(|asset| asset.parse().unwrap()).collect(),
            }),
        };
    }
    let signed = draft.sign(&network, &key_of_source).unwrap();
    let bump = case
        .bump
        .as_ref()
        .map(|bump| fee_bump(&signed, FeeRate::new(bump.fee).unwrap(), &network, &key(&bump.seed)).unwrap());
    Made {
        address: key_of_source.address().to_string(),
        hash: signed.hash.to_string(),
        envelope: BASE64.encode(&signed.envelope),
        bump_hash: bump.as_ref().map(|b| b.hash.to_string()),
        bump_envelope: bump.as_ref().map(|b| BASE64.encode(&b.envelope)),
    }
}

fn theirs(mut command: Command, cases: &str) -> Vec<Made> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(cases.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{command:?}");
    serde_json::from_slice(&out.stdout).unwrap()
}

fn compare(command: Command) {
    let mut numbers = Numbers(20_261_121);
    let cases: Vec<Case> = (0..300).map(|_| numbers.case()).collect();
    let made = theirs(command, &serde_json::to_string(&cases).unwrap());
    assert_eq!(made.len(), cases.len());
    for (case, theirs) in cases.iter().zip(made) {
        assert_eq!(ours(case), theirs, "{}", serde_json::to_string(case).unwrap());
    }
}

fn from_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `cargo xtask test` sets it"))
}

fn script(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/stellar").join(name).canonicalize().unwrap()
}

#[test]
#[ignore = "needs stellar-sdk from PyPI: cargo xtask test runs it"]
fn pythons_sdk_makes_the_same_transactions() {
    let mut command = Command::new(from_environment(PYTHON));
    command.arg(script("sdk.py"));
    compare(command);
}

#[test]
#[ignore = "needs @stellar/stellar-sdk from npm: cargo xtask test runs it"]
fn javascripts_sdk_makes_the_same_transactions() {
    let mut command = Command::new(from_environment(NODE));
    command.arg(script("sdk.js")).current_dir(from_environment(NODE_MODULES));
    compare(command);
}
