//! The log: filtered, to standard error, masked ([`crate::masked`]).

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::masked;

/// What is logged unless `ROOMTONE_LOG` says otherwise.
const DEFAULT: &str = "info,matrix_sdk=warn,matrix_sdk::http_client=off,matrix_sdk_base=warn,matrix_sdk_crypto=warn,\
    matrix_sdk_crypto::backups=error,matrix_sdk_crypto::identities=error,livekit_signaling=warn,str0m=warn,dimpl=warn,\
    rsipstack=warn,sqlx=warn";

/// As much of commands that people wait for, who are told the rest themselves.
const QUIET: &str = "warn,matrix_sdk::http_client=off,symphonia=error,symphonia_core=error";

/// Starts the log, of the service or of a command. `ROOMTONE_LOG` filters it, `ROOMTONE_LOG_FORMAT=json` makes it JSON.
pub(super) fn start(service: bool) {
    let filter = EnvFilter::try_from_env("ROOMTONE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(if service { DEFAULT } else { QUIET }));
    let registry = tracing_subscriber::registry().with(filter);
    if std::env::var("ROOMTONE_LOG_FORMAT").is_ok_and(|f| f == "json") {
        registry.with(fmt::layer().json().with_writer(masked::stderr)).init();
    } else {
        registry.with(fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(masked::stderr)).init();
    }
}
