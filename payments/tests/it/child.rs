//! Other processes on the same database: this program once more, told by its environment what to do.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use payments::ledger::Ledger;

use crate::support::{is_refused, now, post};

const URL: &str = "ROOMTONE_TEST_LEDGER";
const NAME: &str = "ROOMTONE_TEST_NAME";
const WORK: &str = "ROOMTONE_TEST_WORK";

/// Starts a child that does this work.
pub(crate) fn start(url: &str, name: &str, work: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child::does_what_its_parent_says", "--exact", "--ignored", "--nocapture"])
        .env(URL, url)
        .env(NAME, name)
        .env(WORK, work)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The child's next lines that begin with this word, without it.
pub(crate) fn lines(child: &mut Child, word: &'static str) -> impl Iterator<Item = String> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(move |line| line.split_once(word).map(|(_, rest)| rest.trim().to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child process of other tests"]
async fn does_what_its_parent_says() {
    let Some(url) = std::env::var(URL).ok() else { return };
    let name = std::env::var(NAME).unwrap();
    let ledger = Ledger::open(&url, Arc::new(now)).await.unwrap();
    match std::env::var(WORK).unwrap().as_str() {
        "debit" => println!("succeeded {}", debit(&ledger, &name, 100).await),
        "for ever" => {
            for n in 0.. {
                let told = format!("{name} {n}");
                ledger.apply(vec![post(&told, "node", "ada", 7)]).await.unwrap();
                println!("done {told}");
            }
        }
        other => panic!("no work {other:?}"),
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
