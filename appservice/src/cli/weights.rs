//! `roomtone models`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use models::weights::{self, DEFAULT_VAD, MULTILINGUAL_WHISPER, Progress, Weights};

use super::{Exit, complain, say};
use crate::config::{Config, Notes};

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
    Verify {
        /// Names from `roomtone models list`; without a name all that is here.
        names: Vec<String>,
        #[command(flatten)]
        folder: Folder,
    },
}

/// Where weights lie: as told, else as configured, else as `ROOMTONE_MODELS` says, else in the user's cache folder.
#[derive(Debug, clap::Args)]
pub(super) struct Folder {
    /// Where weights lie, whatever the configuration says.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The configuration file, whose `transcription.models_dir` holds [default: roomtone.yaml, if it is there].
    #[arg(short, long, env = "ROOMTONE_CONFIG")]
    config: Option<PathBuf>,
}

/// Where to look, and what the configuration wants recognition to use.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// `None` where no configuration is there.
    pub(super) model: Option<String>,
    /// How notes are to be written. `None` where no configuration is there.
    pub(super) notes: Option<Notes>,
}

impl Folder {
    pub(super) fn find(&self) -> Result<Place, String> {
        let usual = Path::new("roomtone.yaml");
        let config = match &self.config {
            Some(path) => Some(path.as_path()),
            None => Some(usual).filter(|path| path.exists() && self.folder.is_none()),
        };
        let Some(path) = config else {
            let folder = self.folder.clone().unwrap_or_else(weights::default_folder);
            return Ok(Place { folder, model: None, notes: None });
        };
        let config =
            Config::load(path).map_err(|error| format!("{error}\nTo do without it, name the folder with --folder."))?;
        let model = Some(config.transcription.model().to_owned());
        let configured = self.folder.clone().or(config.transcription.models_dir);
        let folder = configured.unwrap_or_else(weights::default_folder);
        Ok(Place { folder, model, notes: Some(config.notes) })
    }
}

pub(super) async fn run(action: Action) -> Exit {
    let (Action::List(folder) | Action::Fetch { folder, .. } | Action::Verify { folder, .. }) = &action;
    let place = match folder.find() {
        Ok(place) => place,
        Err(error) => {
            complain(&error);
            return Exit::Mend;
        }
    };
    match action {
        Action::List(_) => list(&place.folder),
        Action::Fetch { names, .. } => fetch(names, &place).await,
        Action::Verify { names, .. } => verify(&names, &place.folder),
    }
}

fn list(folder: &Path) -> Exit {
    say(&format!("{:<19} {:>8}  {:<12} {:<5} in {}", "name", "size", "licence", "here", folder.display()));
    for w in weights::manifest() {
        let here = if weights::locate(&w, folder).is_ok() { "here" } else { "-" };
        let size = w.bytes().map_or_else(|| "?".to_owned(), |bytes| format!("{} MB", bytes.div_ceil(1_000_000)));
        say(&format!("{:<19} {size:>8}  {:<12} {here:<5} {}", w.name, w.licence, w.about));
    }
    Exit::Good
}

fn verify(names: &[String], folder: &Path) -> Exit {
    let chosen = if names.is_empty() {
        weights::manifest().into_iter().filter(|w| w.path(folder).exists()).collect()
    } else {
        match names.iter().map(|name| weights::named(name)).collect::<Result<Vec<Weights>, _>>() {
            Ok(chosen) => chosen,
            Err(error) => {
                complain(&error.to_string());
                return Exit::Mend;
            }
        }
    };
    if chosen.is_empty() {
        complain(&format!("there are no weights in {}; `roomtone models fetch` brings them", folder.display()));
        return Exit::Mend;
    }
    let mut exit = Exit::Good;
    for w in chosen {
        match weights::verify(&w, folder) {
            Ok(path) => say(&format!("{}: good ({})", w.name, path.display())),
            Err(error) => {
                complain(&error.to_string());
                exit = Exit::Mend;
            }
        }
    }
    exit
}

async fn fetch(mut names: Vec<String>, place: &Place) -> Exit {
    if names.is_empty() {
        names = vec![DEFAULT_VAD.to_owned()];
        // A path of one's own needs no fetching.
        let configured = place.model.clone().filter(|model| weights::named(model).is_ok());
        names.push(configured.unwrap_or_else(|| MULTILINGUAL_WHISPER.to_owned()));
    }
    // All names are looked at before the first long download.
    let chosen = match names.iter().map(|name| weights::named(name)).collect::<Result<Vec<_>, _>>() {
        Ok(chosen) => chosen,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Mend;
        }
    };
    for w in chosen {
        let bar = progress_bar(&w);
        let shown = bar.clone();
        let told = move |p: Progress| {
            shown.set_position(p.done);
            shown.set_message(format!("{} from {}", p.file, p.source));
        };
        let fetched = weights::fetch(&w, &place.folder, told).await;
        bar.finish_and_clear();
        match fetched {
            Ok(path) => say(&format!("{}: {}", w.name, path.display())),
            Err(error) => {
                complain(&error.to_string());
                return Exit::Mend;
            }
        }
    }
    Exit::Good
}

/// On a terminal a bar, or a spinner where the size is not known; elsewhere a line that says what is going on.
fn progress_bar(w: &Weights) -> ProgressBar {
    let bar = match w.bytes() {
        Some(bytes) => ProgressBar::new(bytes).with_style(style("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")),
        None => ProgressBar::new_spinner().with_style(style("{spinner} {msg} {bytes}")),
    };
    if std::io::stderr().is_terminal() {
        bar.set_message(w.name.clone());
        bar.enable_steady_tick(Duration::from_millis(200));
    } else {
        let size = w.bytes().map(|bytes| format!(" ({} MB)", bytes.div_ceil(1_000_000))).unwrap_or_default();
        complain(&format!("looking after {}{size}", w.name));
    }
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
