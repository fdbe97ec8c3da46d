//! What `cargo xtask eval` and `cargo xtask bench speech` run: the tables of docs/accuracy.md, and what is measured of speed.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]
#![allow(unreachable_pub, reason = "one program, no library: pub says what a file gives to the others")]

mod bench;
mod conversation;
mod dialogue;
mod hear;
mod line;
mod live;
mod report;
mod score;
mod sounds;
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use report::{Figures, Section};

#[derive(Debug, Parser)]
#[command(
    about = "Measures recognition, captions, speakers and notes. `cargo xtask eval` and `cargo xtask bench speech` run it."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The tables of docs/accuracy.md, held against eval/baseline.json.
    Tables(Tables),
    /// One part of the speed measurements, as JSON.
    #[command(subcommand)]
    Bench(bench::Part),
}

#[derive(Debug, Args)]
struct Tables {
    /// A folder of one's own: audio, text, RTTM, reference notes; its layout is told in docs/accuracy.md.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Small samples: under three minutes on two idle cores.
    #[arg(long)]
    quick: bool,
    /// Only these tables; can be given several times, or with commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Table>,
    /// Stores the figures in eval/baseline.json and, of a full run, the tables in docs/accuracy.md.
    #[arg(long)]
    update: bool,
    /// Notes also by a language model at this OpenAI-compatible endpoint.
    #[arg(long, requires = "llm_model")]
    llm: Option<String>,
    /// Its model.
    #[arg(long)]
    llm_model: Option<String>,
    /// Prints what is wrong with the notes of the dialogues on which code may be tuned.
    #[arg(long)]
    faults: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Word error rate.
    Speech,
    /// Caption stability and delay.
    Captions,
    /// Words invented where nobody speaks.
    Nonspeech,
    /// Several people on one line.
    Speakers,
    /// Who said it, with eight parties.
    Attribution,
    /// Notes against references.
    Notes,
    /// One's own data.
    Own,
}

impl Table {
    /// The mark in docs/accuracy.md.
    fn mark(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Captions => "captions",
            Self::Nonspeech => "nonspeech",
            Self::Speakers => "speakers",
            Self::Attribution => "attribution",
            Self::Notes => "notes",
            Self::Own => "own",
        }
    }
}

/// The checkout's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Tables(options) => tables(&options),
        Command::Bench(part) => bench::run(&part),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner:.cyan} {elapsed:>4} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn measure(table: Table, options: &Tables, faults: &mut Vec<String>) -> anyhow::Result<Section> {
    let (quick, bar) = (options.quick, bar());
    let section = match table {
        Table::Speech => tables::speech::run(quick, &bar),
        Table::Captions => tables::captions::run(quick, &bar),
        Table::Nonspeech => tables::nonspeech::run(quick, &bar),
        Table::Speakers => tables::speakers::run(quick, &bar),
        Table::Attribution => tables::attribution::run(quick, &bar),
        Table::Notes => {
            let both = options.llm.clone().zip(options.llm_model.clone());
            let llm = both.map(|(url, model)| tables::notes::Llm { url, model });
            tables::notes::run(&root().join("eval/dialogues"), llm.as_ref(), faults, &bar)
        }
        Table::Own => tables::own::run(options.data.as_deref(), &bar),
    };
    bar.finish_and_clear();
    section
}

fn tables(options: &Tables) -> anyhow::Result<()> {
    let baseline = root().join("eval/baseline.json");
    let stored = report::stored(&baseline)?;
    let chosen: Vec<Table> = Table::value_variants()
        .iter()
        .copied()
        .filter(|table| options.only.is_empty() || options.only.contains(table))
        .collect();
    let (mut all, mut failed, mut faults) = (Figures::new(), Vec::new(), Vec::new());
    let mut placed = Vec::new();
    for table in chosen {
        let began = Instant::now();
        println!("\n## {}", table.mark());
        match measure(table, options, &mut faults) {
            Ok(section) => {
                println!("{}", section.text);
                println!("({:.0} s)", began.elapsed().as_secs_f32());
                all.extend(section.figures.clone());
                placed.push((table, section.text));
            }
            Err(error) => {
                println!("failed: {error:#}");
                failed.push(format!("{}: {error:#}", table.mark()));
            }
        }
    }
    if options.faults {
        println!("\n{}", faults.join("\n"));
    }
    let worse = report::worse(&stored, &all);
    if options.update {
        report::store(&baseline, &all)?;
        if !options.quick {
            write_document(&placed)?;
        }
        println!("\nstored {} figures", all.len());
    } else if !worse.is_empty() {
        failed.push(format!("worse than stored, beyond noise:\n  {}", worse.join("\n  ")));
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    let known = all.keys().filter(|name| stored.contains_key(*name)).count();
    println!("\n{} figures, {known} of them held against stored ones: none worse beyond noise", all.len());
    Ok(())
}

/// Puts the tables into docs/accuracy.md. One's own are nobody else's and stay out.
fn write_document(placed: &[(Table, String)]) -> anyhow::Result<()> {
    let path = root().join("docs/accuracy.md");
    let mut document = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let measured = format!("Measured {} on {}.", jiff::Zoned::now().date(), machine());
    for (table, text) in placed.iter().filter(|(table, _)| *table != Table::Own) {
        document = report::place(&document, table.mark(), text, &measured)?;
    }
    std::fs::write(&path, document).with_context(|| path.display().to_string())
}

/// Processor and cores.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cores} cores of {}", model.trim_start_matches([' ', '\t', ':']))
}
