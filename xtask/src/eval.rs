//! How right the words, the speakers and the notes are: the tables of docs/accuracy.md. And how fast, beside other recognisers.

use std::{path::PathBuf, process::Command};

use clap::Args;
use scenarios::{rundir, toolbox::Toolbox};

use crate::{
    prompts, setup,
    shell::{self, Work},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A folder of one's own: audio, text, RTTM, reference notes. docs/accuracy.md tells its layout.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Small samples: under three minutes on two idle cores; a full run takes up to twenty.
    #[arg(long)]
    quick: bool,
    /// Only these tables, with commas: speech, captions, nonspeech, speakers, attribution, notes, own.
    #[arg(long)]
    only: Option<String>,
    /// Stores the figures in eval/baseline.json and, of a full run, the tables in docs/accuracy.md.
    #[arg(long)]
    update: bool,
    /// Notes also by a language model at this OpenAI-compatible endpoint (`http://127.0.0.1:8080/v1`).
    #[arg(long, requires = "llm_model")]
    llm: Option<String>,
    /// Its model.
    #[arg(long)]
    llm_model: Option<String>,
    /// Prints what is wrong with the notes of the dialogues on which code may be tuned.
    #[arg(long)]
    faults: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Speed {
    /// Threads that each recogniser gets.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Only these parts, with commas: cost, latency, crowd, memory.
    #[arg(long)]
    only: Option<String>,
}

/// Measures, prints, holds against what was stored.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let toolbox = setup::up_to(setup::Reach::Everything)?;
    recordings(&toolbox)?;
    let mut command = program(&toolbox)?;
    command.arg("tables");
    if let Some(data) = &options.data {
        command.arg("--data").arg(std::path::absolute(data)?);
    }
    if let Some(only) = &options.only {
        command.args(["--only", only]);
    }
    for (flag, value) in [("--llm", &options.llm), ("--llm-model", &options.llm_model)] {
        if let Some(value) = value {
            command.args([flag, value]);
        }
    }
    for (flag, given) in [("--quick", options.quick), ("--update", options.update), ("--faults", options.faults)] {
        if given {
            command.arg(flag);
        }
    }
    shell::openly(&mut command)
}

/// Measures the recogniser's speed beside whisper.cpp and faster-whisper.
pub(crate) fn speed(options: &Speed) -> anyhow::Result<()> {
    let toolbox = setup::up_to(setup::Reach::Everything)?;
    recordings(&toolbox)?;
    let mut command = program(&toolbox)?;
    command.args(["bench", "speech", "--threads", &options.threads.to_string()]);
    command.arg("--folder").arg(toolbox.cache.join("bench-speech"));
    for (flag, python) in
        [("--whispercpp", &toolbox.whispercpp_python), ("--fasterwhisper", &toolbox.fasterwhisper_python)]
    {
        if let Some(python) = python {
            command.arg(flag).arg(python);
        }
    }
    if let Some(only) = &options.only {
        command.args(["--only", only]);
    }
    shell::openly(&mut command)
}

/// The measuring program, built as the tests build: recogniser and codecs are optimised in that profile too.
fn program(toolbox: &Toolbox) -> anyhow::Result<Command> {
    shell::openly(shell::build("evaluation").arg("--quiet"))?;
    let mut command = Command::new(rundir::target_dir()?.join("debug/evaluation"));
    command.current_dir(crate::root());
    command.env("ROOMTONE_MODELS", &toolbox.weights).env("ROOMTONE_CACHE", &toolbox.cache);
    Ok(command)
}

/// Voices of other languages and hold music, which only measuring needs.
fn recordings(toolbox: &Toolbox) -> anyhow::Result<()> {
    let missing = prompts::missing(&toolbox.cache, prompts::FOR_EVALUATION);
    if missing.is_empty() {
        return Ok(());
    }
    let work = Work::begin(&toolbox.cache.join("logs"), "more recordings", "other voices and languages, hold music")?;
    prompts::fetch(&work, &toolbox.cache, &missing)?;
    work.end();
    Ok(())
}
