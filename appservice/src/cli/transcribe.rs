//! `roomtone transcribe`.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use models::TranscriberConfig;
use models::files::{self, FileError, Options, Progress, Recording, Transcription};
use models::notes::NoteTaker;
use models::weights::{self, DEFAULT_VAD, DEFAULT_WHISPER, MULTILINGUAL_WHISPER};

use super::{Exit, complain, weights::Folder, weights::Place};

/// What a transcript is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Markdown: notes and turns, for people.
    Md,
    /// JSON: utterances, words, notes, for programs.
    Json,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// All of them, into a folder.
    All,
}

const EACH: [Format; 4] = [Format::Md, Format::Json, Format::Srt, Format::Vtt];

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Recordings that began together, one file per party; or one file of all. WAV, AIFF, FLAC, MP3, Ogg (Vorbis, Opus),
    /// MP4 and WebM.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to write; several with commas. Default: Markdown.
    #[arg(short, long, value_enum, value_delimiter = ',', default_value = "md")]
    format: Vec<Format>,
    /// The folder to write into; without it one format goes to standard output.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The name of the party in a file; once for each file, in their order. Default: the file's name.
    #[arg(long)]
    name: Vec<String>,
    /// Each channel of a file is a party of its own.
    #[arg(long)]
    channels: bool,
    /// Take notes too: summary, decisions, actions, questions.
    #[arg(long)]
    notes: bool,
    /// Names and terms that may be said, with commas, the most important first.
    #[arg(long, value_delimiter = ',', value_name = "TERMS")]
    words: Vec<String>,
    /// The Whisper model: a name from `roomtone models list`, or a ggml file.
    #[arg(long)]
    model: Option<String>,
    /// The spoken language as in `en`; without it the model finds out.
    #[arg(long)]
    language: Option<String>,
    /// When the recording was made, as in 2026-11-20T14:00: "on Thursday" is understood by it. Default: the first file's
    /// time of change.
    #[arg(long, value_name = "TIME")]
    started: Option<String>,
    /// The time zone in which people spoke, as in Europe/Berlin. Default: this machine's.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let prepared = arguments.folder.find().and_then(|place| prepare(arguments, &place));
    let (recordings, formats, options, notes) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            complain(&error);
            return Exit::Mend;
        }
    };
    let bar = progress_bar();
    let shown = bar.clone();
    let done = files::transcribe(&recordings, &options, notes, &mut |progress| show(&shown, progress));
    bar.finish_and_clear();
    let transcription = match done {
        Ok(transcription) => transcription,
        Err(error) => {
            complain(&error.to_string());
            return if matches!(error, FileError::Stopped) { Exit::Failed } else { Exit::Mend };
        }
    };
    for warning in &transcription.warnings {
        complain(warning);
    }
    match write(&transcription, &formats, arguments.output.as_deref(), &stem(&arguments.files)) {
        Ok(()) => Exit::Good,
        Err(error) => {
            complain(&error);
            Exit::Mend
        }
    }
}

type Prepared = (Vec<Recording>, Vec<Format>, Options, Option<NoteTaker>);

/// Everything that can be found wrong before the work begins.
fn prepare(arguments: &Arguments, place: &Place) -> Result<Prepared, String> {
    let formats = formats(arguments)?;
    if !arguments.name.is_empty() && arguments.name.len() != arguments.files.len() {
        let (names, files) = (arguments.name.len(), arguments.files.len());
        return Err(format!(
            "there are {names} names for {files} files; give --name once for each file, or not at all"
        ));
    }
    let recordings = arguments.files.iter().enumerate().map(|(number, path)| Recording {
        path: path.clone(),
        name: arguments.name.get(number).map(|name| name.trim().to_owned()),
    });
    let words = arguments.words.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty());
    let options = Options {
        recogniser: recogniser(arguments, place)?,
        terms: words.collect(),
        several_voices: false,
        channels_apart: arguments.channels,
    };
    let notes = if arguments.notes { Some(note_taker(arguments, &options.terms)?) } else { None };
    Ok((recordings.collect(), formats, options, notes))
}

fn formats(arguments: &Arguments) -> Result<Vec<Format>, String> {
    let chosen = &arguments.format;
    let formats: Vec<Format> =
        EACH.into_iter().filter(|f| chosen.contains(f) || chosen.contains(&Format::All)).collect();
    if formats.len() > 1 && arguments.output.is_none() {
        return Err("standard output takes one format; name a folder for several with --output".to_owned());
    }
    Ok(formats)
}

fn recogniser(arguments: &Arguments, place: &Place) -> Result<TranscriberConfig, String> {
    let language = arguments.language.clone().map(|code| code.trim().to_lowercase());
    let foreign = language.as_deref().is_some_and(|code| code != "en");
    // A name of the manifest, or any ggml file.
    let find = |model: &str| {
        let own = [PathBuf::from(model), place.folder.join(model)].into_iter().find(|path| path.is_file());
        own.map_or_else(|| weights::named(model).and_then(|w| weights::locate(&w, &place.folder)), Ok)
    };
    let configured = place.model.clone().filter(|model| !(foreign && model.ends_with(".en")));
    let whisper = match (arguments.model.clone().or(configured), language.as_deref()) {
        (Some(model), _) if foreign && model.ends_with(".en") => {
            return Err(format!("{model} knows English only; for other languages take --model {MULTILINGUAL_WHISPER}"));
        }
        (Some(model), _) => find(&model),
        (None, Some("en")) => find(DEFAULT_WHISPER).or_else(|_| find(MULTILINGUAL_WHISPER)),
        (None, Some(_)) => find(MULTILINGUAL_WHISPER),
        // Where the one for all languages is missing, English is better than nothing, if people know.
        (None, None) => find(MULTILINGUAL_WHISPER).or_else(|missing| {
            let english = find(DEFAULT_WHISPER).map_err(|_| missing)?;
            complain("only English is recognised; `roomtone models fetch base` brings the other languages");
            Ok(english)
        }),
    };
    let whisper = whisper.map_err(|error| error.to_string())?;
    let vad = find(DEFAULT_VAD).map_err(|error| error.to_string())?;
    let mut config = TranscriberConfig::new(whisper, vad);
    config.language = language;
    // Nobody waits for captions, and all cores are ours.
    config.workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 16);
    Ok(config)
}

fn note_taker(arguments: &Arguments, terms: &[String]) -> Result<NoteTaker, String> {
    let zone = match &arguments.time_zone {
        Some(name) => jiff::tz::TimeZone::get(name)
            .map_err(|_| format!("{name:?} is no time zone; write it as in Europe/Berlin"))?,
        None => jiff::tz::TimeZone::system(),
    };
    let started_ms = match &arguments.started {
        Some(text) => moment(text, &zone)?,
        None => arguments.files.first().and_then(|path| changed_ms(path)).unwrap_or(0),
    };
    let name = zone.iana_name().unwrap_or("UTC").to_owned();
    Ok(NoteTaker::new(Vec::new(), started_ms, name, terms.to_vec()))
}

/// Unix time in ms of a moment with an offset, or of a time or a day in a zone.
fn moment(text: &str, zone: &jiff::tz::TimeZone) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let local = text.parse::<jiff::civil::DateTime>().ok().and_then(|at| zone.to_timestamp(at).ok());
    local
        .map(jiff::Timestamp::as_millisecond)
        .ok_or_else(|| format!("{text:?} is no time; write it as in 2026-11-20T14:00"))
}

fn changed_ms(path: &Path) -> Option<i64> {
    let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// What written files are called: as the recording, where there is one.
fn stem(files: &[PathBuf]) -> String {
    match files {
        [one] => one.file_stem().map_or_else(|| "transcript".to_owned(), |stem| stem.to_string_lossy().into_owned()),
        _ => "transcript".to_owned(),
    }
}

fn write(transcription: &Transcription, formats: &[Format], output: Option<&Path>, stem: &str) -> Result<(), String> {
    for format in formats {
        let (text, extension) = match format {
            Format::Md | Format::All => (transcription.to_markdown(), "md"),
            Format::Json => (transcription.to_json(), "json"),
            Format::Srt => (transcription.to_srt(), "srt"),
            Format::Vtt => (transcription.to_vtt(), "vtt"),
        };
        match output {
            Some(folder) => write_file(folder, &format!("{stem}.{extension}"), &text)?,
            None => match std::io::stdout().write_all(text.as_bytes()) {
                // The reader has seen enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                done => done.map_err(|error| format!("cannot write to standard output: {error}"))?,
            },
        }
    }
    Ok(())
}

/// Whole under its name, or not at all.
fn write_file(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    let half = folder.join(format!(".{name}.{}", std::process::id()));
    let written =
        fs::create_dir_all(folder).and_then(|()| fs::write(&half, text)).and_then(|()| fs::rename(&half, &path));
    written.map_err(|error| {
        let _ = fs::remove_file(&half);
        format!("cannot write {}: {error}", path.display())
    })?;
    complain(&format!("wrote {}", path.display()));
    Ok(())
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if std::io::stderr().is_terminal() {
        bar.set_message("reading");
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    let style = |template: &str| {
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    };
    let seconds = |ms: i64| u64::try_from(ms / 1000).unwrap_or(0);
    if bar.length().is_none()
        && let Some(total) = progress.total_ms
    {
        bar.set_length(seconds(total));
        style("{msg} {wide_bar} {percent} % {eta}");
    }
    bar.set_position(seconds(progress.done_ms));
    bar.set_message(match progress.writing_notes {
        true => "writing notes".to_owned(),
        false => format!("{} s of sound, {} utterances", seconds(progress.done_ms), progress.utterances),
    });
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parsed(line: &str) -> Arguments {
        Line::parse_from(["transcribe"].into_iter().chain(line.split(' '))).arguments
    }

    #[test]
    fn several_formats_need_a_folder() {
        assert_eq!(formats(&parsed("a.wav")).unwrap(), [Format::Md]);
        assert!(formats(&parsed("a.wav --format all")).is_err());
        assert_eq!(formats(&parsed("a.wav --format all -o out")).unwrap(), EACH);
        assert_eq!(formats(&parsed("a.wav -f vtt,json -o out")).unwrap(), [Format::Json, Format::Vtt]);
    }

    #[test]
    fn names_must_fit_the_files_and_languages_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().to_owned(), model: Some("base.en".to_owned()) };
        let error = prepare(&parsed("a.wav b.wav --name Ada"), &place).err().unwrap();
        assert!(error.contains("1 names for 2 files"), "{error}");
        let error = prepare(&parsed("a.wav --language de --model base.en"), &place).err().unwrap();
        assert!(error.contains("--model base"), "{error}");
        let error = prepare(&parsed("a.wav --language de"), &place).err().unwrap();
        assert!(error.contains("models fetch base"), "{error}");
    }

    #[test]
    fn a_moment_is_understood_with_an_offset_or_in_the_zone() {
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(moment("2026-11-20T13:00:00Z", &berlin), moment("2026-11-20T14:00", &berlin));
        assert!(moment("2026-11-20", &berlin).is_ok());
        assert!(moment("yesterday", &berlin).is_err());
    }

    #[test]
    fn files_are_written_whole_and_replace_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        let transcription = Transcription::default();
        write(&transcription, &[Format::Md], Some(&out), "talk").unwrap();
        write(&transcription, &[Format::Md, Format::Vtt], Some(&out), "talk").unwrap();
        let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["talk.md", "talk.vtt"]);
        assert!(fs::read_to_string(out.join("talk.vtt")).unwrap().starts_with("WEBVTT"));
    }
}
