//! Other processes on the same database: this program once more, told by its environment what to do.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use payments::ledger::Ledger;

use crate::charge;
use crate::support::{is_refused, now, post, reserve, settle};

const URL: &str = "ROOMTONE_TEST_LEDGER";
const NAME: &str = "ROOMTONE_TEST_NAME";
const WORK: &str = "ROOMTONE_TEST_WORK";

/// A child process, killed when dropped.
pub(crate) struct Other {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// Starts a child that does this work.
pub(crate) fn start(url: &str, name: &str, work: &str) -> Other {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child::does_what_its_parent_says", "--exact", "--ignored", "--nocapture"])
        .env(URL, url)
        .env(NAME, name)
        .env(WORK, work)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Other { child, lines }
}

impl Other {
    /// Its next line with this word, what is behind it; `None`: it has ended.
    pub(crate) fn says(&mut self, word: &str) -> Option<String> {
        // What the kill cut off has no end of line, but is read as one: only a line that ends in a full stop counts.
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once(word)?.1.strip_suffix('.')?.trim().to_owned())).next()
    }

    /// Kills it as `kill -9` does, and gives all that it had still said.
    pub(crate) fn kill(&mut self, word: &str) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.says(word)).collect()
    }

    pub(crate) fn ends_well(mut self) -> bool {
        while self.says("\n").is_some() {}
        self.child.wait().unwrap().success()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child process of other tests"]
async fn does_what_its_parent_says() {
    let Some(url) = std::env::var(URL).ok() else { return };
    let name = std::env::var(NAME).unwrap();
    let ledger = Ledger::open(&url, Arc::new(now)).await.unwrap();
    match std::env::var(WORK).unwrap().as_str() {
        "open" => println!("opened it."),
        "debit" => println!("succeeded {}.", debit(&ledger, &name, 100).await),
        charge if charge.starts_with("charge ") => charge::one_call_until(&ledger, &name, charge).await,
        "calls" => charge::calls_for_ever(&ledger, &name).await,
        "pairs" => {
            let writers: Vec<_> = (0..8).map(|n| tokio::spawn(pairs(ledger.clone(), format!("{name} {n}")))).collect();
            for writer in writers {
                writer.await.unwrap();
            }
        }
        "hold" => {
            let expires = now().0 + 60_000;
            ledger.apply(vec![reserve(&name, 400, Some(expires))]).await.unwrap();
            println!("holds {expires}.");
            std::future::pending::<()>().await;
        }
        "lightning" => crate::lightning::kills::child_goes_on(&ledger, &name).await,
        "withdraw" => crate::lightning::kills::child_withdraws(&ledger, &name).await,
        "pay" => crate::stellar::child_pays(ledger.database(), &name).await,
        "watch" => crate::stellar::arriving::child_watches(ledger.database(), &name).await,
        "settle" => crate::stellar::settling::child_settles(ledger.database(), &name).await,
        "operate" => crate::stellar::operating::child_operates(ledger.database(), &name).await,
        other => panic!("no work {other:?}"),
    }
}

/// Reserves and settles for ever, and says each when it was answered.
async fn pairs(ledger: Ledger, name: String) {
    for n in 0.. {
        let (hold, pay) = (format!("{name} hold {n}"), format!("{name} pay {n}"));
        ledger.apply(vec![reserve(&hold, 10, None)]).await.unwrap();
        println!("done {hold}.");
        ledger.apply(vec![settle(&pay, &hold, 7)]).await.unwrap();
        println!("done {pay}.");
    }
}

/// So many debits of 10 msat at once; how many went through.
pub(crate) async fn debit(ledger: &Ledger, name: &str, count: u64) -> u64 {
    let asked: Vec<_> = (0..count)
        .map(|n| {
            let (ledger, transfer) = (ledger.clone(), post(&format!("{name} {n}"), "ada", "revenue", 10));
            tokio::spawn(async move { ledger.apply(vec![transfer]).await })
        })
        .collect();
    let mut succeeded = 0;
    for answer in asked {
        let answer = answer.await.unwrap();
        assert!(answer.is_ok() || is_refused(&answer), "{answer:?}");
        succeeded += u64::from(answer.is_ok());
    }
    succeeded
}
