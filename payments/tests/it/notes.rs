//! Words that are written in the commit of the transfers that they belong to.

use payments::ledger::{Applied, LedgerError, Note};

use crate::support::{Database, Kind, available, post, top_up};

on_both! {
    a_note_is_written_with_its_transfers_or_not_at_all
    notes_are_found_by_how_their_names_begin_in_the_order_of_their_bytes
    notes_of_one_name_in_one_commit_do_not_hinder_one_another
}

fn note(key: &str, body: &str) -> Note {
    Note { key: key.into(), body: Some(body.into()) }
}

async fn a_note_is_written_with_its_transfers_or_not_at_all(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 100).await;
    let fee = || vec![post("fee", "ada", "revenue", 60)];
    assert_eq!(ledger.apply_noted(fee(), note("n", "first")).await.unwrap(), Applied::New);
    // Done before: what did it wrote its note.
    assert_eq!(ledger.apply_noted(fee(), note("n", "second")).await.unwrap(), Applied::Exists);
    let refused = ledger.apply_noted(vec![post("more", "ada", "revenue", 60)], note("n", "third")).await;
    assert!(matches!(refused, Err(LedgerError::Refused { .. })), "{refused:?}");
    drop(ledger);
    let ledger = database.ledger().await;
    assert_eq!(ledger.note("n").await.unwrap(), Some(note("n", "first")));
    assert_eq!(available(&ledger, "ada").await, 40);
    // Alone, rewritten, and taken away.
    ledger.apply_noted(vec![], note("n", "it's {\"new\": \"\u{e9}\"}")).await.unwrap();
    assert_eq!(ledger.note("n").await.unwrap(), Some(note("n", "it's {\"new\": \"\u{e9}\"}")));
    ledger.apply_noted(vec![], Note { key: "n".into(), body: None }).await.unwrap();
    assert_eq!(ledger.note("n").await.unwrap(), None);
}

async fn notes_are_found_by_how_their_names_begin_in_the_order_of_their_bytes(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    for key in ["call/b", "call/B", "call/\u{fc}", "call/a b", "call", "calls/x", "cdr/1"] {
        ledger.apply_noted(vec![], note(key, "x")).await.unwrap();
    }
    let keys = async |after: &str, limit| {
        let notes = ledger.notes("call/", after, limit).await.unwrap();
        notes.into_iter().map(|note| note.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("", 10).await, ["call/B", "call/a b", "call/b", "call/\u{fc}"]);
    assert_eq!(keys("", 2).await, ["call/B", "call/a b"]);
    assert_eq!(keys("call/a b", 10).await, ["call/b", "call/\u{fc}"]);
}

async fn notes_of_one_name_in_one_commit_do_not_hinder_one_another(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    let all: Vec<_> = (0..100)
        .map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(
                async move { ledger.apply_noted(vec![], note(&format!("k/{}", n % 10), &n.to_string())).await },
            )
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(ledger.notes("k/", "", 100).await.unwrap().len(), 10);
}
