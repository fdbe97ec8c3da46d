//! `roomtone models`.

use std::path::PathBuf;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use models::weights::{self, DEFAULT_VAD, DEFAULT_WHISPER, Progress};

use super::{Exit, complain, say};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Lists what there is, with size and licence, and whether it is here.
    List(Folder),
    /// Fetches weights; without a name what a default installation needs.
    Fetch {
        /// Names from `roomtone models list`.
        names: Vec<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Compares what is here with the manifest's checksums.
    Verify(Folder),
}

#[derive(Debug, clap::Args)]
pub(super) struct Folder {
    /// Where weights lie.
    #[arg(long, env = weights::FOLDER_VARIABLE)]
    folder: Option<PathBuf>,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(weights::default_folder)
    }
}

pub(super) async fn run(action: Action) -> Exit {
    match action {
        Action::List(folder) => {
            let folder = folder.path();
            for w in weights::manifest() {
                let here = if weights::locate(&w, &folder).is_ok() { "here" } else { "-" };
                say(&format!("{:<16} {:>6} MB  {:<12} {here:<5} {}", w.name, w.bytes / 1_000_000, w.licence, w.about));
            }
            Exit::Good
        }
        Action::Fetch { names, folder } => fetch(names, &folder.path()).await,
        Action::Verify(folder) => {
            let folder = folder.path();
            let mut exit = Exit::Good;
            for w in weights::manifest() {
                if weights::locate(&w, &folder).is_err() {
                    continue;
                }
                match weights::verify(&w, &folder) {
                    Ok(path) => say(&format!("{}: good ({})", w.name, path.display())),
                    Err(error) => {
                        complain(&error.to_string());
                        exit = Exit::Mend;
                    }
                }
            }
            exit
        }
    }
}

async fn fetch(mut names: Vec<String>, folder: &std::path::Path) -> Exit {
    if names.is_empty() {
        names = vec![DEFAULT_VAD.to_owned(), DEFAULT_WHISPER.to_owned()];
    }
    for name in names {
        let bar = ProgressBar::new(0);
        bar.set_style(style());
        let fetched = match weights::named(&name) {
            Ok(w) => {
                let shown = bar.clone();
                let told = move |p: Progress| {
                    shown.set_length(p.total);
                    shown.set_position(p.done);
                    shown.set_message(format!("{} from {}", p.file, p.source));
                };
                weights::fetch(&w, folder, told).await
            }
            Err(error) => Err(error),
        };
        bar.finish_and_clear();
        match fetched {
            Ok(path) => say(&format!("{name}: {}", path.display())),
            Err(error) => {
                complain(&error.to_string());
                return Exit::Mend;
            }
        }
    }
    Exit::Good
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
