//! Money: what is attached to the calls, and what follows for rooms.
//!
//! [`attach`] opens the payments module as the configuration says: in this process, in one of its own, or not at all.
//! [`tell_rooms`] says in rooms what came in; [`keep_house`] deletes what is older than a room's plan keeps it.

mod history;
mod news;

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use payments::{
    NoCharge,
    attach::{Attached, Counter, Remote, Settings},
};
use secrecy::SecretString;

pub use history::keep_house;
pub use news::tell_rooms;

use crate::config::Config;

/// The payments module, as it is attached.
pub struct Payments {
    /// What is asked.
    pub attached: Arc<dyn Attached>,
    /// Where it is in this process: to be closed when all calls have ended.
    pub counter: Option<Arc<Counter>>,
}

/// Attaches what the configuration says.
///
/// # Errors
/// What cannot be opened, with its key.
pub async fn attach(config: &Config) -> anyhow::Result<Payments> {
    let Some(settings) = &config.payments else {
        return Ok(Payments { attached: Arc::new(NoCharge), counter: None });
    };
    if let Some(socket) = &settings.socket {
        let remote = Remote::new(socket.clone(), token(settings)?);
        tracing::info!(at = %socket, "payments are a process of their own");
        return Ok(Payments { attached: Arc::new(remote), counter: None });
    }
    let counter = open(settings, &config.data_dir).await?;
    Ok(Payments { attached: counter.clone(), counter: Some(counter) })
}

/// Opens the module in this process.
///
/// # Errors
/// What cannot be opened, with its key.
pub async fn open(settings: &Settings, data_dir: &Path) -> anyhow::Result<Arc<Counter>> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("data_dir {}", data_dir.display()))?;
    Ok(Counter::open(settings, data_dir).await?)
}

/// The secret that both processes know.
///
/// # Errors
/// The file cannot be read, or is empty.
pub fn token(settings: &Settings) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = &settings.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).with_context(|| format!("payments.token_file: {}", path.display()))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "payments.token_file: {} is empty", path.display());
    Ok(Some(token.to_owned().into()))
}
