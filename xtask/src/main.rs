//! `cargo xtask`: sets up what Roomtone's demo and tests need, runs them, and measures.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

mod bench;
mod demo;
mod eval;
mod prompts;
mod setup;
mod shell;
mod test;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Sets up what Roomtone's demo and tests need, runs them, and measures.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what is missing: servers, browser, softphones, speech, weights. Says what and why.
    Setup,
    /// One real call: a phone rings an encrypted room, a person answers in Element Call, notes come back.
    Demo(demo::Options),
    /// Format, lints, licences, unit tests, scenarios with the real peers.
    Test(test::Options),
    /// Measures words, speakers and notes against what is known to be true; fails where a figure got worse.
    Eval(eval::Options),
    /// Measures what docs/benchmarks.md tells, and prints it as its tables.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Whole calls through the real servers: setting up, sound, captions.
    Calls(bench::Options),
    /// The recogniser beside whisper.cpp and faster-whisper; delays, speakers at once, memory.
    Speech(eval::Speed),
    /// The ledger's durable pairs, rating, and whole prepaid calls and four faults beside CGRateS.
    Payments,
}

/// The checkout's root.
fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Setup => setup::up_to(setup::Reach::Everything).map(|_| ()),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Eval(options) => eval::run(&options),
        Command::Bench(Bench::Calls(options)) => bench::run(&options),
        Command::Bench(Bench::Speech(options)) => eval::speed(&options),
        Command::Bench(Bench::Payments) => bench::payments::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
