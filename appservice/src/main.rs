//! `roomtone`: phone calls in end-to-end encrypted Matrix rooms.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]

use std::process::ExitCode;

use appservice::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    Cli::parse().run()
}
