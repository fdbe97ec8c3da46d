//! SIP user agents that others wrote, behind one trait, so that a scenario runs with each of them.

mod baresip;
mod pjsua;

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

pub use baresip::Baresip;
pub use pjsua::Pjsua;

/// How a call that was rung ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was answered.
    Answered,
    /// It was refused with this SIP status.
    Refused(u16),
}

/// A telephone.
pub trait Softphone: Sized + Send {
    /// The program's name.
    const NAME: &'static str;

    /// Rings `uri`. From the answer on it plays the 8 kHz WAV `play` again and again, and records what it hears.
    fn ring(&mut self, uri: &str, play: &Path) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Waits for the end of ringing.
    fn answer(&mut self, limit: Duration) -> impl Future<Output = anyhow::Result<Answer>> + Send;

    /// Waits until the other side has hung up.
    fn ended(&mut self, limit: Duration) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Hangs up. Gives the WAV of what was heard.
    fn hang_up(&mut self) -> impl Future<Output = anyhow::Result<PathBuf>> + Send;
}
