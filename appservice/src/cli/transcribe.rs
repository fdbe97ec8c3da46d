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
use models::speakers::{SpeakerConfig, SpeakerModels};
use models::weights::{self, DEFAULT_VAD, DEFAULT_WHISPER, MULTILINGUAL_WHISPER};

use super::{Exit, complain, weights::Folder, weights::Place};
use crate::{call::Writers, config};

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
    /// Several people are on each file (or, with --channels, on each channel): tell them apart by their voices, as Speaker A,
    /// B and so on, up to eight.
    #[arg(long)]
    speakers: bool,
    /// Each channel of a file is a party of its own.
    #[arg(long)]
    channels: bool,
    /// Take notes too: summary, decisions, actions, questions. Written by whom the configuration names (`notes.writer`), else
    /// by what is here; the last line of the notes says who it was.
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
    /// When the recording was made, as in 2026-11-20 or 2026-11-20T14:00: "on Thursday" is understood by it. Default: the
    /// first file's time of change.
    #[arg(long, visible_alias = "date", value_name = "TIME")]
    started: Option<String>,
    /// The time zone in which people spoke, as in Europe/Berlin. Default: the configuration's `notes.time_zone`; without a
    /// configuration this machine's.
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
        several_voices: arguments.speakers,
        channels_apart: arguments.channels,
    };
    let notes = if arguments.notes { Some(note_taker(arguments, place, &options.terms)?) } else { None };
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
    if arguments.speakers {
        // What is wrong with them is told now, not after an hour of work.
        let networks = SpeakerConfig::in_folder(&place.folder).map_err(|error| error.to_string())?;
        config.speakers = Some(SpeakerModels::load(&networks).map_err(|error| error.to_string())?);
    }
    Ok(config)
}

fn note_taker(arguments: &Arguments, place: &Place, terms: &[String]) -> Result<NoteTaker, String> {
    let configured = place.notes.as_ref().map(|notes| &notes.time_zone);
    let zone = match arguments.time_zone.as_ref().or(configured) {
        Some(name) => jiff::tz::TimeZone::get(name)
            .map_err(|_| format!("{name:?} is no time zone; write it as in Europe/Berlin"))?,
        None => jiff::tz::TimeZone::system(),
    };
    let started_ms = match &arguments.started {
        Some(text) => moment(text, &zone)?,
        None => arguments.files.first().and_then(|path| changed_ms(path)).unwrap_or(0),
    };
    let notes = place.notes.clone().unwrap_or_default();
    for host in config::seen_by(&config::Transcription::default(), &notes) {
        complain(&format!("the notes are written by a language model on {host}, which sees what was said"));
    }
    let writers = Writers::load(&notes, &place.folder);
    Ok(writers.taker_at(started_ms, zone.iana_name().unwrap_or("UTC"), terms.to_vec()))
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
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::net::{TcpListener, TcpStream};

    use clap::Parser as _;
    use models::eval::calls::release_planning;

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
        let place = Place { folder: folder.path().to_owned(), model: Some("base.en".to_owned()), notes: None };
        let error = prepare(&parsed("a.wav b.wav --name Ada"), &place).err().unwrap();
        assert!(error.contains("1 names for 2 files"), "{error}");
        let error = prepare(&parsed("a.wav --language de --model base.en"), &place).err().unwrap();
        assert!(error.contains("--model base"), "{error}");
        let error = prepare(&parsed("a.wav --language de"), &place).err().unwrap();
        assert!(error.contains("models fetch base"), "{error}");
    }

    #[test]
    fn who_wants_voices_told_apart_hears_at_once_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().to_owned(), model: None, notes: None };
        for file in [MULTILINGUAL_WHISPER, DEFAULT_VAD] {
            fs::write(folder.path().join(file), b"").unwrap();
        }
        assert!(prepare(&parsed("a.wav"), &place).is_ok());
        let error = prepare(&parsed("a.wav --speakers --channels"), &place).err().unwrap();
        assert!(error.contains("models fetch") && error.contains("segmentation"), "{error}");
    }

    #[test]
    fn a_moment_is_understood_with_an_offset_or_in_the_zone() {
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(moment("2026-11-20T13:00:00Z", &berlin), moment("2026-11-20T14:00", &berlin));
        assert!(moment("2026-11-20", &berlin).is_ok());
        assert!(moment("yesterday", &berlin).is_err());
    }

    /// A configuration whose notes are so.
    fn place(folder: &Path, notes: &str) -> Place {
        let text = format!(
            "homeserver: {{ url: 'http://a', server_name: hs.test }}\n\
             livekit: {{ url: 'ws://a', api_key: k, secret: 0123456789abcdef0123456789abcdef }}\nnotes: {notes}"
        );
        let config = config::Config::parse(Path::new("test.yaml"), &text, []).unwrap();
        Place { folder: folder.to_owned(), model: None, notes: Some(config.notes) }
    }

    #[test]
    fn days_are_understood_by_the_call_s_date_and_zone_as_told_or_configured_or_found() {
        let folder = tempfile::tempdir().unwrap();
        let recording = folder.path().join("talk.wav");
        let changed = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        fs::File::create(&recording).unwrap().set_modified(changed).unwrap();
        let taken = |more: &str, place: &Place| {
            let mut arguments = parsed(&format!("talk.wav --notes{more}"));
            arguments.files = vec![recording.clone()];
            let taker = note_taker(&arguments, place, &["Roomtone".to_owned()])?;
            let transcript = taker.transcript();
            assert_eq!(transcript.terms, ["Roomtone"]);
            Ok::<_, String>((transcript.started_ms, transcript.time_zone.clone()))
        };
        let berlin = place(folder.path(), "{ time_zone: Europe/Berlin }");
        assert_eq!(taken("", &berlin).unwrap(), (1_700_000_000_000, "Europe/Berlin".to_owned()));
        let told = taken(" --date 2026-11-20 --time-zone America/New_York", &berlin).unwrap();
        let midnight: jiff::Timestamp = "2026-11-20T00:00:00-05:00".parse().unwrap();
        assert_eq!(told, (midnight.as_millisecond(), "America/New_York".to_owned()));
        let before_1970 = taken(" --started 1965-06-01T12:00:00Z", &berlin).unwrap();
        assert!(before_1970.0 < 0, "{before_1970:?}");
        let none = Place { folder: folder.path().to_owned(), model: None, notes: None };
        assert_eq!(taken(" --time-zone UTC", &none).unwrap().1, "UTC");
        assert!(taken(" --time-zone Mars/Base", &none).unwrap_err().contains("Europe/Berlin"));
        assert!(taken(" --date soon", &none).unwrap_err().contains("2026-11-20"));
    }

    /// Answers one request in the manner of a language model's server. False: it was told to stop.
    fn answer(connection: TcpStream) -> bool {
        let mut reader = BufReader::new(connection);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            if line == "stop\r\n" {
                return false;
            }
            let header = line.to_ascii_lowercase();
            length = header.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let notes = serde_json::json!({
            "title": "Release on Friday",
            "summary": [{"text": "The release ships on Friday if the mock-ups are there.", "cites": [3]}],
            "decisions": [], "actions": [], "questions": [], "deadlines": [], "next_meeting": null, "names": [],
        });
        let message = serde_json::json!({"role": "assistant", "content": notes.to_string()});
        let choice = serde_json::json!({"index": 0, "message": message, "finish_reason": "stop"});
        let answer = serde_json::json!({"object": "chat.completion", "choices": [choice]}).to_string();
        let length = answer.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        write!(reader.get_mut(), "{head}\r\nContent-Length: {length}\r\n\r\n{answer}").unwrap();
        true
    }

    #[test]
    fn the_configured_model_writes_the_notes_and_they_say_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || while answer(listener.accept().unwrap().0) {});
        let folder = tempfile::tempdir().unwrap();
        let written = |notes: &str| {
            let arguments = parsed("talk.wav --notes --started 2026-11-23T14:08 --time-zone Europe/London");
            let mut taker = note_taker(&arguments, &place(folder.path(), notes), &[]).unwrap();
            release_planning().utterances.into_iter().for_each(|said| taker.add(said));
            while taker.work() {}
            let mut transcription = Transcription::default();
            transcription.notes = Some(taker.finish(None));
            transcription.to_markdown()
        };
        let llm = format!("llm: {{ url: 'http://{address}/v1', model: tiny }}");
        let by_model = written(&format!("{{ {llm} }}"));
        assert!(
            by_model.contains("# Release on Friday\n") && by_model.contains("*Notes written by llm tiny*"),
            "{by_model}"
        );
        let quoted = written(&format!("{{ writer: extractive, {llm} }}"));
        assert!(quoted.contains("*Notes written by extractive*") && quoted.contains("due 2026-11-26"), "{quoted}");
        TcpStream::connect(address).unwrap().write_all(b"stop\r\n").unwrap();
        server.join().unwrap();
        let by_none = written(&format!("{{ {llm} }}"));
        assert!(by_none.contains("*Notes written by extractive*"), "{by_none}");
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
