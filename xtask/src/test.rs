//! The tests, in the order in which they fail fastest.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::bail;
use clap::{Args, ValueEnum};
use scenarios::toolbox::Toolbox;

use crate::{setup, shell};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// `cargo fmt --check`.
    Fmt,
    /// `cargo clippy`, where a warning is an error.
    Clippy,
    /// Licences, sources, duplicates; advisories where their database can be reached.
    Deny,
    /// Tests of each part alone.
    Unit,
    /// Whole calls with the real peers.
    Scenarios,
    /// A real language model's server and a real recogniser's: large, slow, and only when asked for.
    Servers,
}

const ALL: [Step; 6] = [Step::Fmt, Step::Clippy, Step::Deny, Step::Unit, Step::Scenarios, Step::Servers];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these steps; can be given several times, or with commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Step>,
    /// Only tests whose name contains this (unit tests and scenarios).
    #[arg(long)]
    name: Option<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    let wanted =
        |step: &Step| if options.only.is_empty() { *step != Step::Servers } else { options.only.contains(step) };
    for step in ALL.into_iter().filter(wanted) {
        let since = Instant::now();
        println!("\n=== {step:?} ===");
        let done = match step {
            Step::Fmt => shell::openly(shell::cargo().args(["fmt", "--all", "--check"])),
            Step::Clippy => clippy(),
            Step::Deny => deny(),
            Step::Unit => unit(options.name.as_deref()),
            Step::Scenarios => scenarios(options.name.as_deref()),
            Step::Servers => servers(),
        };
        println!(
            "--- {step:?}: {} in {:.0} s",
            if done.is_ok() { "good" } else { "FAILED" },
            since.elapsed().as_secs_f32()
        );
        if let Err(error) = done {
            println!("{error:#}");
            failed.push(format!("{step:?}"));
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("\nall good");
    Ok(())
}

fn clippy() -> anyhow::Result<()> {
    setup::run()?; // libclang and cmake: without them the workspace does not build
    let clippy = |features: &[&str]| {
        let mut command = shell::cargo();
        command
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(features)
            .args(["--", "-D", "warnings"]);
        shell::openly(&mut command)
    };
    clippy(shell::features())?;
    // What `cargo build` alone makes, without libtorch.
    if shell::features().is_empty() { Ok(()) } else { clippy(&[]) }
}

fn deny() -> anyhow::Result<()> {
    let program = setup::cargo_deny()?;
    let deny = |what: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(crate::root()).args(["--locked", "check"]).args(what);
        command
    };
    shell::openly(&mut deny(&["bans", "licenses", "sources"]))?;
    // The database of advisories lies on a code host, which not every machine reaches.
    let fetched = shell::succeeds(
        Command::new("timeout").args(["60"]).arg(&program).args(["fetch", "db"]).current_dir(crate::root()),
    );
    if fetched {
        shell::openly(&mut deny(&["advisories"]))
    } else {
        println!("advisories: not checked, their database cannot be fetched from here");
        Ok(())
    }
}

fn with_name(command: &mut Command, name: Option<&str>) {
    if let Some(name) = name {
        command.arg(name);
    }
}

/// All of it, also when something is red on the way: one run names all that is.
fn unit(name: Option<&str>) -> anyhow::Result<()> {
    let toolbox = setup::run()?;
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--exclude", "scenarios", "--locked", "--no-fail-fast"]);
    command.args(shell::features());
    with_name(&mut command, name);
    let mut outcomes = vec![shell::openly(&mut command)];
    if name.is_none() {
        outcomes.extend([livekits_own_client(&toolbox), stellar_sdks(&toolbox), lightning_nodes(&toolbox)]);
    }
    let mut command = shell::cargo();
    command.args(["test", "--package", "scenarios", "--lib", "--locked"]);
    with_name(&mut command, name);
    outcomes.push(shell::openly(&mut command));
    outcomes.into_iter().collect()
}

/// Ignored where cargo alone runs it: it needs a peer that set-up installs.
fn livekits_own_client(toolbox: &Toolbox) -> anyhow::Result<()> {
    let mut command = shell::cargo();
    command.args("test --workspace --exclude scenarios --locked --test it".split(' ')).args(shell::features());
    command.args(["livekits_own_client", "--", "--ignored"]);
    command.env("ROOMTONE_LIVEKIT_PYTHON", &toolbox.livekit_python);
    shell::openly(&mut command)
}

/// Our Stellar transactions beside those of two other SDKs.
fn stellar_sdks(toolbox: &Toolbox) -> anyhow::Result<()> {
    let (Some(python), Some(modules)) = (&toolbox.stellar_python, &toolbox.stellar_node) else {
        println!("the SDKs of Stellar: not compared with, set-up has none here");
        return Ok(());
    };
    let mut command = shell::cargo();
    command.args("test --workspace --exclude scenarios --locked --test it".split(' ')).args(shell::features());
    command.args(["sdk_makes_the_same_transactions", "--", "--ignored"]);
    command.env("ROOMTONE_STELLAR_PYTHON", python).env("ROOMTONE_STELLAR_NODE", modules);
    shell::openly(command.env("ROOMTONE_NODE", &toolbox.node))
}

/// Payments over real Lightning nodes on a chain of the tests' own.
fn lightning_nodes(toolbox: &Toolbox) -> anyhow::Result<()> {
    let Some(bitcoind) = &toolbox.bitcoind else {
        println!("Lightning: no real node was tried, set-up has no bitcoind here");
        return Ok(());
    };
    let mut command = shell::cargo();
    command.args("test --workspace --exclude scenarios --locked --test it".split(' ')).args(shell::features());
    command.env("ROOMTONE_BITCOIND", bitcoind);
    let mut tests = vec!["the_embedded_lightning_node"];
    match &toolbox.lnd {
        Some(lnd) => {
            command.env("ROOMTONE_LND", lnd);
            tests.push("lnd_as_lightning_node");
        }
        None => println!("LND: not tried, set-up could not build it here"),
    }
    match &toolbox.electrumx_python {
        Some(python) => {
            command.env("ROOMTONE_ELECTRUMX_PYTHON", python);
            tests.push("over_an_electrum_server");
        }
        None => println!("an Electrum server: not tried, set-up could not install one here"),
    }
    shell::openly(command.args(["--", "--ignored", "--test-threads=1"]).args(tests))
}

/// Notes and words over HTTP, from servers that set-up installs where it can.
fn servers() -> anyhow::Result<()> {
    let toolbox = setup::up_to(setup::Reach::Everything)?;
    let mut tests = Vec::new();
    let mut command = shell::cargo();
    command.args("test --workspace --exclude scenarios --locked --test it".split(' ')).args(shell::features());
    match (&toolbox.llamacpp_python, toolbox.language_model()) {
        (Some(python), Some(model)) => {
            command.env("ROOMTONE_LLAMACPP_PYTHON", python).env("ROOMTONE_GGUF", model);
            tests.push("real_servers::a_real_server_with_a_real_model");
        }
        _ => println!("a language model's notes: not tested, set-up has no server or no model here"),
    }
    let has_server =
        |python: &&PathBuf| shell::succeeds(Command::new(python).args(["-c", "import faster_whisper_server"]));
    match toolbox.fasterwhisper_python.as_ref().filter(has_server) {
        Some(python) => {
            command.env("ROOMTONE_FASTERWHISPER_PYTHON", python);
            command.env("ROOMTONE_GGML2CT2", crate::root().join("eval/peers/ggml2ct2.py"));
            tests.push("real_servers::a_real_recogniser_behind_http");
        }
        None => println!("a recogniser over HTTP: not tested, set-up has none here"),
    }
    if tests.is_empty() {
        return Ok(());
    }
    // One at a time: each has a server beside it that takes all there is.
    shell::openly(command.args(["--", "--ignored", "--test-threads=1"]).args(tests))
}

fn scenarios(name: Option<&str>) -> anyhow::Result<()> {
    setup::run()?;
    shell::openly(&mut shell::build("roomtone"))?;
    let mut command = shell::cargo();
    command.args(["test", "--package", "scenarios", "--test", "it", "--locked"]);
    with_name(&mut command, name);
    // One at a time: each takes a browser, a homeserver and a media server. What is printed tells how far a failed one got.
    command.args(["--", "--test-threads=1", "--nocapture"]);
    shell::openly(&mut command)
}

/// For the benchmarks: the program as operators run it.
pub(crate) fn release(root: &Path) -> anyhow::Result<()> {
    shell::openly(shell::build("roomtone").current_dir(root).arg("--release"))
}
