//! `roomtone payments`: the payments module as a process of its own, and its books for operators.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};
use payments::{
    UnixMillis,
    attach::{Settings, server::Listener},
    cdr::{Cdr, export, store},
    database::Database,
    ledger::Period,
    tariff::{DeckKind, DeckStore, Import, Imported},
};
use tokio_util::sync::CancellationToken;

use super::{
    Exit, complain,
    run::shutdown_asked,
    say,
    settlement::{self, Settlement},
};
use crate::{config::Config, pay};

/// What is to be done with the books; nothing: they are served.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Writes the call detail records of a time as CSV or JSON: with whole numbers, for those who may see them.
    Cdrs {
        /// The first day (UTC), as in 2026-11-01.
        #[arg(long)]
        from: Date,
        /// The last day (UTC).
        #[arg(long)]
        until: Date,
        /// In which form.
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
        /// The file. Default: standard output.
        #[arg(long, short)]
        out: Option<PathBuf>,
    },
    /// Settling with other operators: statements of what each has carried for the other, and payments on Stellar.
    Settlement {
        #[command(subcommand)]
        action: Settlement,
    },
    /// Rate decks: what calls cost.
    Decks {
        #[command(subcommand)]
        action: Decks,
    },
}

/// What is to be done with rate decks.
#[derive(Debug, Subcommand)]
pub(super) enum Decks {
    /// Lists all versions.
    List,
    /// Imports a CSV file as another version; calls under way keep their price. A running process takes it within half a minute.
    Import {
        /// The file; docs/payments.md tells its columns.
        file: PathBuf,
        /// Its name. A cost deck has that of the trunk.
        #[arg(long, default_value = "retail")]
        name: String,
        /// It says what the trunk takes, not what rooms pay.
        #[arg(long)]
        cost: bool,
        /// From when on it holds, as in 2026-12-01T00:00:00Z. Default: now.
        #[arg(long)]
        valid_from: Option<Timestamp>,
        /// Who imports it.
        #[arg(long, env = "USER", default_value = "the operator")]
        by: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Csv,
    Json,
}

pub(super) async fn run(config: Config, action: Option<Action>) -> Exit {
    let Some(settings) = config.payments.clone() else {
        complain("payments: the configuration has no such section; docs/payments.md shows one");
        return Exit::Mend;
    };
    let done = match action {
        None => serve(&config, settings).await,
        Some(Action::Settlement { action }) => settlement::run(&config, &settings, action).await,
        Some(Action::Decks { action }) => decks(&config, &settings, action).await,
        Some(Action::Cdrs { from, until, format, out }) => cdrs(&config, &settings, (from, until), format, out).await,
    };
    match done {
        Ok(()) => Exit::Good,
        Err(error) => {
            complain(&format!("{error:#}"));
            Exit::Mend
        }
    }
}

async fn serve(config: &Config, settings: Settings) -> anyhow::Result<()> {
    let socket = settings.socket.clone().context(
        "payments.socket: is not set, so `roomtone run` charges by itself; set it for a process of its own (unix:FILE)",
    )?;
    let counter = pay::open(&settings, &config.data_dir).await?;
    let listener = Listener::bind(&socket, pay::token(&settings)?).await;
    let listener = listener.with_context(|| format!("payments.socket: {socket}"))?;
    tracing::info!(at = %socket, "payments are up");
    let stop = CancellationToken::new();
    let served = tokio::spawn(listener.serve(Arc::clone(&counter) as _, stop.clone()));
    shutdown_asked().await?;
    tracing::info!("ending: calls under way are settled; a second signal ends at once");
    stop.cancel();
    let orderly = async {
        let _ = served.await;
        counter.close().await;
    };
    tokio::select! {
        () = orderly => tracing::info!("ended in order"),
        asked = shutdown_asked() => asked?,
    }
    Ok(())
}

async fn cdrs(
    config: &Config,
    settings: &Settings,
    (from, until): (Date, Date),
    format: Format,
    out: Option<PathBuf>,
) -> anyhow::Result<()> {
    let ms = |day: Date| -> anyhow::Result<UnixMillis> {
        let begins: Zoned = day.to_zoned(TimeZone::UTC)?;
        Ok(UnixMillis(u64::try_from(begins.timestamp().as_millisecond()).unwrap_or_default()))
    };
    let period = Period { from: ms(from)?, until: ms(until.tomorrow()?)? };
    let database = Database::open(&settings.database_url(&config.data_dir)?).await?;
    let mut wanted = store::Wanted { period, account: None, after: 0, limit: store::PAGE };
    let mut records: Vec<Cdr> = Vec::new();
    loop {
        let page = store::records(&database, &wanted).await?;
        let Some(last) = page.last() else { break };
        wanted.after = last.seq;
        records.extend(page.into_iter().map(|written| written.cdr));
    }
    let mut bytes = Vec::new();
    match format {
        Format::Csv => export::csv(&records, &mut bytes)?,
        Format::Json => export::json(&records, &mut bytes)?,
    }
    match out {
        Some(path) => std::fs::write(&path, bytes).with_context(|| path.display().to_string()),
        None => Ok(std::io::stdout().lock().write_all(&bytes)?),
    }
}

async fn decks(config: &Config, settings: &Settings, action: Decks) -> anyhow::Result<()> {
    let decks = DeckStore::new(Database::open(&settings.database_url(&config.data_dir)?).await?);
    match action {
        Decks::List => {
            for deck in decks.list().await? {
                let from = Timestamp::from_millisecond(i64::try_from(deck.valid_from.0)?)?;
                say(&format!("{}: {} prefixes, from {from}, imported by {}", deck.id, deck.prefixes, deck.imported_by));
            }
        }
        Decks::Import { file, name, cost, valid_from, by } => {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let kind = if cost { DeckKind::TrunkCost } else { DeckKind::CustomerPrice };
            let ms = |at: Timestamp| u64::try_from(at.as_millisecond()).map(UnixMillis);
            let valid_from = valid_from.map(ms).transpose()?;
            let now = ms(Timestamp::now())?;
            let imported = decks.import(now, Import { kind, name, valid_from, by, file: bytes }).await;
            say(&match imported.with_context(|| file.display().to_string())? {
                Imported::New(deck) => format!("imported: {}, {} prefixes", deck.id, deck.prefixes),
                Imported::Exists(deck) => format!("nothing to do: {} is this very file", deck.id),
            });
        }
    }
    Ok(())
}
