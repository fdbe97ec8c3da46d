//! The payments module on real databases: SQLite in a folder, PostgreSQL of our own on a socket.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "child processes tell their parent what they did")]

/// Makes of each of these a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(crate::support::Kind::Sqlite).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(crate::support::Kind::Postgres).await; })* }
    };
}

mod attach;
mod bench;
mod book;
mod cdr;
mod charge;
mod child;
mod crashes;
mod decks;
mod lightning;
mod migrations;
mod notes;
mod plans;
mod postgres;
mod prepaid;
mod rates;
mod sdks;
mod stellar;
mod store;
mod support;
