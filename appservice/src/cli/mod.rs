//! The command line.

mod check;
mod log;
mod panics;
mod payments;
mod run;
mod settlement;
mod transcribe;
mod weights;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{config::Config, registration::Registration};

/// Phone calls in end-to-end encrypted Matrix rooms, written down with consent.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the application service until SIGTERM or SIGINT.
    Run(Settings),
    /// Writes the registration file that the homeserver reads, with fresh tokens.
    Registration {
        #[command(flatten)]
        settings: Settings,
        /// Replace a registration that is there: the homeserver must be given the new one.
        #[arg(long)]
        force: bool,
    },
    /// Looks at the configuration and at everything that it names, and says what is wrong. Changes nothing.
    Check {
        #[command(flatten)]
        settings: Settings,
        /// Print the findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists, fetches and verifies the weights that speech and notes need.
    Models {
        #[command(subcommand)]
        action: weights::Action,
    },
    /// Charging for calls: as a process of its own, and what an operator does with its books.
    Payments {
        #[command(flatten)]
        settings: Settings,
        #[command(subcommand)]
        action: Option<payments::Action>,
    },
    /// Writes down what is said in recordings: transcript, subtitles, notes.
    Transcribe(transcribe::Arguments),
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// The configuration file.
    #[arg(short, long, env = "ROOMTONE_CONFIG", default_value = "roomtone.yaml")]
    config: PathBuf,
}

/// Stack of a runtime thread. Unoptimised builds of the WebRTC stack need more than the default of 2 MiB; what is not touched
/// takes no memory.
const STACK: usize = 16 << 20;

/// How the program ends: 0 good, 1 the user's to mend, 2 ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Good,
    Mend,
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => Self::SUCCESS,
            Exit::Mend => Self::from(1),
            Exit::Failed => Self::from(2),
        }
    }
}

impl Cli {
    /// Does what was asked for.
    #[must_use]
    pub fn run(self) -> ExitCode {
        log::start(matches!(self.command, Command::Run(_) | Command::Payments { action: None, .. }));
        panics::keep_private();
        match self.command {
            Command::Run(settings) => with_config(&settings, |config| block_on(run::run(config))),
            Command::Registration { settings, force } => with_config(&settings, |config| registration(&config, force)),
            Command::Check { settings, json } => check::run(&settings.config, json),
            Command::Payments { settings, action } => {
                with_config(&settings, |config| block_on(payments::run(config, action)))
            }
            Command::Models { action } => block_on(weights::run(action)),
            Command::Transcribe(arguments) => transcribe::run(&arguments),
        }
        .into()
    }
}

fn with_config(settings: &Settings, then: impl FnOnce(Config) -> Exit) -> Exit {
    match Config::load(&settings.config) {
        Ok(config) => then(config),
        Err(error) => {
            complain(&format!("{error}"));
            Exit::Mend
        }
    }
}

fn block_on(future: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            complain(&format!("the runtime cannot start: {error}"));
            Exit::Failed
        }
    }
}

fn registration(config: &Config, force: bool) -> Exit {
    let path = &config.appservice.registration;
    let written = Registration::fresh(config)
        .map_err(|e| e.to_string())
        .and_then(|r| r.write(path, force).map_err(|e| e.to_string()));
    match written {
        Ok(()) => {
            say(&format!(
                "wrote {}\nAdd it to the homeserver (Synapse: app_service_config_files), restart the homeserver, then `roomtone run`.",
                path.display()
            ));
            Exit::Good
        }
        Err(error) => {
            complain(&error);
            Exit::Mend
        }
    }
}

/// For people, on standard output.
#[allow(clippy::print_stdout, reason = "a command line talks to people")]
fn say(text: &str) {
    println!("{text}");
}

/// For people, on standard error.
#[allow(clippy::print_stderr, reason = "a command line talks to people")]
fn complain(text: &str) {
    eprintln!("roomtone: {text}");
}
