//! What the databases are made of, and who may open them.

use std::collections::BTreeSet;
use std::sync::Arc;

use payments::UnixMillis;
use payments::database::OpenError;
use payments::ledger::{Ledger, LedgerError, Period};

use crate::child;
use crate::support::{Database, Kind, account, available, post, reserve, settle, top_up};

on_both! {
    processes_that_make_a_new_database_at_once_all_open_it
    a_database_of_a_newer_roomtone_is_refused
    what_is_written_cannot_be_changed
    books_that_somebody_wrote_into_are_found_out
}

/// Runs SQL past the ledger.
pub(crate) async fn tamper(kind: Kind, url: &str, statement: &'static str) -> Result<(), sqlx::Error> {
    match kind {
        Kind::Sqlite => {
            let pool = sqlx::SqlitePool::connect(url).await.unwrap();
            sqlx::query(statement).execute(&pool).await.map(drop)
        }
        Kind::Postgres => {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            sqlx::query(statement).execute(&pool).await.map(drop)
        }
    }
}

async fn processes_that_make_a_new_database_at_once_all_open_it(kind: Kind) {
    let database = Database::new(kind).await;
    let mut others: Vec<_> = (0..4).map(|n| child::start(&database.url, &format!("{n}"), "open")).collect();
    for other in &mut others {
        assert_eq!(other.says("opened ").as_deref(), Some("it"));
    }
    assert!(others.into_iter().all(child::Other::ends_well));
}

async fn a_database_of_a_newer_roomtone_is_refused(kind: Kind) {
    let database = Database::new(kind).await;
    drop(database.ledger().await);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of tomorrow', TRUE, '', 0)";
    tamper(kind, &database.url, newer).await.unwrap();
    let refused = Ledger::open(&database.url, Arc::new(|| UnixMillis(0))).await.unwrap_err();
    assert!(matches!(refused, OpenError::Migrate(_)) && refused.to_string().contains("9999"), "{refused}");
}

async fn what_is_written_cannot_be_changed(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    ledger.apply(vec![reserve("r", 10, None)]).await.unwrap();
    ledger.apply(vec![settle("s", "r", 10)]).await.unwrap();
    for statement in [
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "DELETE FROM reservations",
        "UPDATE reservations SET resolution = 2",
        "DELETE FROM accounts",
        "UPDATE accounts SET debits_posted = 5000 WHERE kind = 1",
        "UPDATE accounts SET debits_posted = -1",
    ] {
        assert!(tamper(kind, &database.url, statement).await.is_err(), "{statement}");
    }
}

async fn books_that_somebody_wrote_into_are_found_out(kind: Kind) {
    let database = Database::new(kind).await;
    let ledger = database.ledger().await;
    top_up(&ledger, 1000).await;
    tamper(kind, &database.url, "UPDATE accounts SET credits_posted = 2000 WHERE kind = 1").await.unwrap();
    let found = ledger.unbalanced().await.unwrap();
    assert_eq!(found.iter().map(|a| a.id).collect::<Vec<_>>(), [account("ada")]);
    assert_eq!(ledger.total().await.unwrap(), 1000);
    // A row that no ledger wrote is named, and stops nobody but those who need it.
    tamper(kind, &database.url, "UPDATE accounts SET kind = 77 WHERE kind = 2").await.unwrap();
    let (bad, good) = tokio::join!(
        ledger.apply(vec![post("fee", "ada", "revenue", 1)]),
        ledger.apply(vec![post("in", "node", "ada", 1)])
    );
    let Err(LedgerError::Unsure(why)) = bad else { panic!("{bad:?}") };
    assert!(why.to_string().contains("77"), "{why}");
    good.unwrap();
    assert_eq!(available(&ledger, "ada").await, 2001);
}

#[tokio::test]
async fn both_databases_are_made_of_the_same_tables() {
    let mut made = Vec::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::new(kind).await;
        drop(database.ledger().await);
        let columns: Vec<(String, String)> = match kind {
            Kind::Sqlite => {
                let pool = sqlx::SqlitePool::connect(&database.url).await.unwrap();
                let sql = "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'";
                sqlx::query_as(sql).fetch_all(&pool).await.unwrap()
            }
            Kind::Postgres => {
                let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
                let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'";
                sqlx::query_as(sql).fetch_all(&pool).await.unwrap()
            }
        };
        made.push(
            columns
                .into_iter()
                .filter(|(t, _)| !t.starts_with("_sqlx") && !t.starts_with("sqlite_"))
                .collect::<BTreeSet<_>>(),
        );
    }
    assert!(made[0].len() > 30, "{:?}", made[0]);
    assert_eq!(made[0], made[1]);
}

#[tokio::test]
async fn an_address_that_names_no_database_is_refused_without_telling_its_secrets() {
    let error = Ledger::open("mysql://root:secret@host/db", Arc::new(|| UnixMillis(0))).await.unwrap_err().to_string();
    assert!(error.contains("mysql") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_statement_of_nobody_is_empty() {
    let database = Database::new(Kind::Sqlite).await;
    let ledger = database.ledger().await;
    let all = Period { from: UnixMillis(0), until: UnixMillis(u64::MAX) };
    assert_eq!(ledger.statement(account("nobody"), all, 10).await.unwrap(), []);
}
