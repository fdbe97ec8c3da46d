//! `roomtone payments settlement` as two operators use it: two programs with books of their own, and files between them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Keys of nobody: they sign in this test only.
const ADA: (&str, &str) = (
    "SAMCNVTR7VUU6Z5EG557A4TPOVAZADNWMGCZMBNPMDSNH3FTH2JCTLCQ",
    "GDJZG7I62LFOI3B575TXMOUQJOEGTO2DUD7GY3DOXXUO6ATU7FXC3A4X",
);
const BOB: (&str, &str) = (
    "SCZQVKMFYS5MQYC55LKNHSGGVRV7TNB5F67PRG7ROMPRUMS5OICKGUOD",
    "GBQUCQLDPDJFIOKXKXOYRQ5QN7XT423BQ6ZRMQHV4NNDTXNHDWWPEVV6",
);
const ISSUER: &str = "GBM6I63MNOPP5BVMBDNMZETUGFDSLC52QNE2R4HSAFVQJZK7ZOGLLFSS";

struct Operator {
    dir: tempfile::TempDir,
}

impl Operator {
    fn new((secret, _): (&str, &str), partner: &str, (_, account): (&str, &str)) -> Self {
        let operator = Self { dir: tempfile::tempdir().unwrap() };
        operator.write("stellar.key", secret);
        operator.write("pair.secret", &"5a".repeat(32));
        operator.write("livekit.secret", "secret-secret-secret-secret-secret-0");
        operator.write("prices.csv", "prefix,rate_sat,increments,destination\n44,10,1/1,United Kingdom\n");
        let dir = operator.dir.path().display();
        operator.write(
            "roomtone.yaml",
            &format!(
                r#"
homeserver: {{ url: "http://127.0.0.1:8008", server_name: ada.test }}
appservice: {{ registration: registration.yaml, public_url: "https://rtc.ada.test" }}
livekit: {{ url: "wss://sfu.ada.test", api_key: roomtone, secret_file: "{dir}/livekit.secret" }}
data_dir: "{dir}/data"
payments:
  database: "sqlite://{dir}/payments.sqlite"
  decks:
    - {{ name: {partner}-pays, file: "{dir}/prices.csv" }}
  settlement:
    network: testnet
    rpc: http://127.0.0.1:9
    key_file: "{dir}/stellar.key"
    partners:
      - name: {partner}
        account: {account}
        asset: "USDC:{ISSUER}"
        per_bitcoin: "68000"
        secret_file: "{dir}/pair.secret"
        from: [203.0.113.7]
        price: {partner}-pays
        since: 2026-11-01
"#
            ),
        );
        operator
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn settlement(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roomtone"));
        command.args(["payments", "--config", "roomtone.yaml", "settlement"]).args(arguments);
        command.current_dir(self.dir.path()).env_remove("ROOMTONE_CONFIG").output().unwrap()
    }

    fn does(&self, arguments: &[&str]) -> String {
        let output = self.settlement(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.settlement(arguments);
        assert!(!output.status.success(), "{arguments:?} is done");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn two_operators_agree_on_a_window_by_files() {
    let (ada, bob) = (Operator::new(ADA, "bob", BOB), Operator::new(BOB, "ada", ADA));
    let files = tempfile::tempdir().unwrap();
    let (to_bob, to_ada) = (files.path().join("for-bob.txt"), files.path().join("for-ada.txt"));
    let (for_bob, for_ada) = (to_bob.to_str().unwrap(), to_ada.to_str().unwrap());
    assert!(ada.does(&["list"]).contains(&format!("our account: {}", ADA.1)));
    ada.does(&["export", "bob", "--out", for_bob]);
    assert!(bob.does(&["import", for_bob]).contains("ada: the window from 2026-11-01T00:00:00Z is agreed"));
    bob.does(&["export", "ada", "--out", for_ada]);
    assert!(ada.does(&["import", for_ada]).contains("bob: the window from 2026-11-01T00:00:00Z is agreed"));
    assert!(ada.does(&["import", for_ada]).contains("was agreed before"), "a file may be taken in again");
    assert!(ada.refuses(&["pay", "bob"]).contains("nothing is owed"));
}

#[test]
fn what_is_no_statement_of_the_partners_changes_nothing() {
    let (ada, bob) = (Operator::new(ADA, "bob", BOB), Operator::new(BOB, "ada", ADA));
    assert!(ada.refuses(&["import", "prices.csv"]).contains("BEGIN ROOMTONE SETTLEMENT"));
    ada.does(&["export", "bob", "--out", "for-bob.txt"]);
    let file = read(&ada.dir.path().join("for-bob.txt"));
    // Its last block's last line holds the end of the statement.
    let (before, after) = file.rsplit_once("AA").unwrap();
    bob.write("forged.txt", &format!("{before}AB{after}"));
    bob.refuses(&["import", "forged.txt"]);
    assert!(!bob.does(&["list"]).contains("is agreed"));
    // Our own statement is not theirs.
    ada.refuses(&["import", "for-bob.txt"]);
}

#[test]
fn a_mistake_in_the_section_is_named_by_its_key() {
    let ada = Operator::new(ADA, "bob", BOB);
    let text = read(&ada.dir.path().join("roomtone.yaml"));
    ada.write("roomtone.yaml", &text.replace("\"68000\"", "\"much\""));
    assert!(ada.refuses(&["list"]).contains("payments.settlement.partners[0].per_bitcoin"));
    ada.write("roomtone.yaml", &text.replace(BOB.1, ADA.1));
    assert!(ada.refuses(&["list"]).contains("payments.settlement"));
}
