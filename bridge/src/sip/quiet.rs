//! Keeps the SIP stack's own log lines out of ours.
//!
//! rsipstack 0.7 writes every message whole into the log at `info`: numbers, names, session descriptions. Operators are
//! promised logs without them, so all of it runs without a subscriber, and what matters is logged by us.

use std::future::Future;

use tracing::instrument::{WithDispatch, WithSubscriber};
use tracing::subscriber::NoSubscriber;

/// `future` without a log.
pub(super) fn quiet<F: Future>(future: F) -> WithDispatch<F> {
    future.with_subscriber(NoSubscriber::default())
}

/// `f` without a log.
pub(super) fn quietly<T>(f: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(NoSubscriber::default(), f)
}
