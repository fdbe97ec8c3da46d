//! Running other programs: quietly with a spinner and a log, or openly.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use scenarios::toolbox;

/// Looks for a program in `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|p| p.is_file())
}

/// Whether a command ends well; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// What a command prints, trimmed; `None` if it fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let out = command.stdin(Stdio::null()).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// One piece of work with a spinner, its lines in a log.
pub(crate) struct Work {
    bar: ProgressBar,
    name: String,
    log: PathBuf,
    since: Instant,
}

impl Work {
    /// Begins: says what is done and why.
    pub(crate) fn begin(logs: &Path, name: &str, why: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(logs).with_context(|| logs.display().to_string())?;
        let log = logs.join(format!("{}.log", name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")));
        let _ = fs::remove_file(&log);
        let bar = ProgressBar::new_spinner();
        if std::io::stderr().is_terminal() {
            bar.set_style(
                ProgressStyle::with_template("  {spinner:.cyan} {prefix} {elapsed:>4} {wide_msg:.dim}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(format!("{name} ({why})"));
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            println!("  {name}: {why} …");
        }
        Ok(Self { bar, name: name.to_owned(), log, since: Instant::now() })
    }

    /// Runs one command of it.
    pub(crate) fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        let mut log = File::options().create(true).append(true).open(&self.log)?;
        writeln!(log, "$ {command:?}")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("{:?} cannot be started", command.get_program()))?;
        if let Some(out) = child.stdout.take() {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                writeln!(log, "{line}")?;
                self.bar.set_message(line.chars().take(100).collect::<String>());
            }
        }
        let status = child.wait()?;
        if !status.success() {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            self.bar.finish_and_clear();
            bail!(
                "{} failed ({status}); the end of {}:\n{}",
                self.name,
                self.log.display(),
                lines[lines.len().saturating_sub(25)..].join("\n")
            );
        }
        Ok(())
    }

    /// Done.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
        println!("  \u{2713} {} ({:.0} s)", self.name, self.since.elapsed().as_secs_f32());
    }
}

/// Runs a command whose output people shall see.
pub(crate) fn openly(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{:?} cannot be started", command.get_program()))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The libtorch that set-up has made, unless the environment names another or this machine has none.
fn libtorch() -> Option<PathBuf> {
    toolbox::libtorch_dir()
        .ok()
        .filter(|dir| std::env::var_os("LIBTORCH").is_none() && dir.join("lib/libtorch.so").exists())
}

/// The features with which all is built, linted and tested, with `--workspace`: another set of them, or of packages, would
/// build the dependencies anew. Without libtorch, as set-up leaves it on some machines, there are none.
pub(crate) fn features() -> &'static [&'static str] {
    if libtorch().is_some() || std::env::var_os("LIBTORCH").is_some() {
        &["--features", "appservice/bert"]
    } else {
        &[]
    }
}

/// The `cargo` that runs us. It finds libtorch.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root());
    if let Some(libtorch) = libtorch() {
        // Python's wheels, which it is taken from, have C++'s strings of before 2011.
        command.env("LIBTORCH", libtorch).env("LIBTORCH_CXX11_ABI", "0");
    }
    command
}

/// The `cargo` that builds one program of the workspace.
pub(crate) fn build(program: &str) -> Command {
    build_one("--bin", program)
}

/// The `cargo` that builds one example.
pub(crate) fn build_example(name: &str) -> Command {
    build_one("--example", name)
}

fn build_one(kind: &str, name: &str) -> Command {
    let mut command = cargo();
    command.args(["build", "--workspace", kind, name, "--locked"]).args(features());
    command
}
