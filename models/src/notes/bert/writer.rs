//! [`BertWriter`]: prose by checkpoints, items by quotation, all of it under the evidence check.

use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::BertConfig;
use super::checkpoint::{Architecture, Checkpoint};
use super::engine::{Engine, Fault};
use super::entities::{Entities, Marked};
use super::segments::{self, Line};
use super::seq2seq::Seq2Seq;
use crate::notes::evidence::Said;
use crate::notes::orders::Orders;
use crate::notes::{
    Cited, ExtractiveWriter, Name, NameKind, NoteWriter, Notes, SaidUtterance, Transcript, WriteError, keep_supported,
    merge, sentences,
};

/// Most sentences of a whole call's summary.
const MOST: usize = 8;
/// Tokens of a title.
const TITLE_TOKENS: i64 = 20;
/// Titles are made from so many tokens at most: more only takes longer.
const TITLE_SOURCE: usize = 192;

/// Writes notes with BART, T5 and BERT, each where its folder is configured. Weights are loaded once, at first use, on a
/// low-priority thread of its own.
pub struct BertWriter {
    name: String,
    summary: Option<Architecture>,
    title: Option<Architecture>,
    names: Option<Architecture>,
    join_time: Duration,
    engine: Engine<Models>,
}

impl fmt::Debug for BertWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BertWriter").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What lives on the engine's thread.
struct Models {
    summary: Option<Seq2Seq>,
    title: Option<Seq2Seq>,
    entities: Option<Entities>,
    pace: Pace,
}

/// How long writing takes here: seconds per token, a written one counted once for each hypothesis.
#[derive(Debug, Clone, Copy, Default)]
struct Pace(Option<f64>);

impl Pace {
    fn learn(&mut self, tokens: usize, took: Duration) {
        let seen = took.as_secs_f64() / tokens.max(1) as f64;
        self.0 = Some(self.0.map_or(seen, |known| 0.7 * known + 0.3 * seen));
    }

    /// Unknown: not expected to end in time.
    fn expects(self, tokens: usize) -> Duration {
        self.0.map_or(Duration::MAX, |pace| Duration::from_secs_f64((pace * tokens as f64).clamp(0.0, 1e6)))
    }
}

/// What a part or a call is written from.
struct Material {
    lines: Vec<Line>,
    /// Sentences to look for names in, and the utterances that they are from.
    sentences: Vec<Zeroizing<String>>,
    ids: Vec<u64>,
}

/// What came back.
#[derive(Default)]
struct Prose {
    summary: Vec<Zeroizing<String>>,
    /// Best first.
    titles: Vec<Zeroizing<String>>,
    names: Vec<Marked>,
}

impl BertWriter {
    /// Reads the folders' small files, and starts the thread. Quick: weights are loaded at first use.
    ///
    /// # Errors
    /// [`WriteError::Unavailable`]: no folder is configured, or a file is missing or wrong; it is named.
    pub fn load(config: &BertConfig) -> Result<Self, WriteError> {
        let writes = &[Architecture::Bart, Architecture::T5][..];
        let open = |folder: &Option<std::path::PathBuf>, wanted: &[Architecture]| {
            folder.as_deref().map(|folder| Checkpoint::open(folder, wanted)).transpose()
        };
        let opened = || -> Result<_, String> {
            Ok((
                open(&config.summary_dir, writes)?,
                open(&config.title_dir, writes)?,
                open(&config.entities_dir, &[Architecture::Bert])?,
            ))
        };
        let unavailable = |what| WriteError::Unavailable { writer: "bart and t5".to_owned(), what };
        if config.is_empty() {
            return Err(unavailable("no folder with a checkpoint is configured".to_owned()));
        }
        let (summary, title, entities) = opened().map_err(unavailable)?;
        let of = |checkpoint: &Option<Checkpoint>| checkpoint.as_ref().map(|c| c.architecture);
        let by = [of(&summary), of(&title), of(&entities)];
        let folders: Vec<_> =
            [&summary, &title, &entities].into_iter().flatten().map(|c| c.folder.display().to_string()).collect();
        let load = move || Models::load(summary.as_ref(), title.as_ref(), entities.as_ref());
        let engine = Engine::start(config.threads, config.niceness, folders.join(", "), load).map_err(unavailable)?;
        let [summary, title, names] = by;
        Ok(Self { name: together(&by), summary, title, names, join_time: config.join_time, engine })
    }

    /// Loads the weights now instead of at first use: seconds, and memory for as long as the writer lives.
    ///
    /// # Errors
    /// [`WriteError::Unavailable`]: they cannot be loaded; the file is named.
    pub fn warm_up(&self) -> Result<(), WriteError> {
        self.run(|_| Ok(()))
    }

    fn run<T: Send + 'static>(
        &self,
        piece: impl FnOnce(&mut Models) -> Result<T, String> + Send + 'static,
    ) -> Result<T, WriteError> {
        let writer = self.name.clone();
        self.engine.run(piece).map_err(|fault| match fault {
            Fault::NotLoaded(what) => WriteError::Unavailable { writer, what },
            Fault::Failed(what) => WriteError::Failed { writer, what },
        })
    }

    /// `notes` with who wrote its prose in "Written by".
    fn signed(&self, mut notes: Notes, summary: bool, title: bool, names_marked: bool) -> Notes {
        let by = together(&[
            self.summary.filter(|_| summary),
            self.title.filter(|_| title),
            self.names.filter(|_| names_marked),
        ]);
        if !by.is_empty() {
            notes.written_by = by;
        }
        notes
    }
}

/// "bart + t5", each once.
fn together(of: &[Option<Architecture>]) -> String {
    let mut names: Vec<&str> = of.iter().flatten().map(|a| a.name()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    names.join(" + ")
}

impl NoteWriter for BertWriter {
    fn name(&self) -> &str {
        &self.name
    }

    fn draw(&self, part: &Transcript) -> Result<Notes, WriteError> {
        let mut notes = ExtractiveWriter.draw(part)?;
        let material = Material::of(part);
        if material.lines.is_empty() {
            return Ok(notes);
        }
        let ids = material.ids.clone();
        let prose = self.run(move |models| models.draw(&material))?;
        let said = Said::new(part);
        let summary = in_turn(prose.summary.iter().map(|text| cited(text, &said)).collect());
        let has_summary = !summary.is_empty();
        if has_summary {
            notes.summary = summary;
        }
        let has_title = take_title(&mut notes, prose.titles.iter().map(|t| t.as_str()), &said, part);
        let has_names = add_names(&mut notes.names, &prose.names, &ids);
        keep_supported(&mut notes, part);
        Ok(self.signed(notes, has_summary, has_title, has_names))
    }

    fn join(&self, whole: &Transcript, parts: &[Notes]) -> Result<Notes, WriteError> {
        let mut notes = merge(whole, parts);
        ExtractiveWriter.name().clone_into(&mut notes.written_by);
        let wrote =
            |architecture: Option<Architecture>| architecture.is_some_and(|a| parts.iter().any(|part| is_by(part, a)));
        let has_summary = wrote(self.summary);
        if has_summary && let Some(again) = self.condense(whole, parts)? {
            notes.summary = again;
        }
        let has_title = self.title_of(&mut notes, parts, whole)?;
        keep_supported(&mut notes, whole);
        Ok(self.signed(notes, has_summary, has_title, wrote(self.names)))
    }
}

/// Whether a model had a hand in these notes.
fn is_by(notes: &Notes, architecture: Architecture) -> bool {
    notes.written_by.split(" + ").any(|by| by == architecture.name())
}

impl BertWriter {
    /// The summaries of many parts written together, if there is time for it.
    fn condense(&self, whole: &Transcript, parts: &[Notes]) -> Result<Option<Vec<Cited>>, WriteError> {
        let sentences: Vec<&Cited> = parts.iter().flat_map(|part| &part.summary).collect();
        if sentences.len() <= MOST {
            return Ok(None);
        }
        let source = Zeroizing::new(sentences.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" "));
        let join_time = self.join_time;
        let Some(text) = self.run(move |models| models.summarise_again(&source, join_time))? else {
            return Ok(None);
        };
        // What it rests on is what the parts' summaries rested on.
        let mut rested_on = whole.clone();
        rested_on.utterances.retain(|u| sentences.iter().any(|s| s.cites.contains(&u.id)));
        let written = in_turn(vec![cited(&text, &Said::new(&rested_on))]);
        Ok(Some(written).filter(|w| w.len() >= 2))
    }

    /// Has the title written, from the summary; else that of a part stands for the whole, else the one of keywords.
    fn title_of(&self, notes: &mut Notes, parts: &[Notes], whole: &Transcript) -> Result<bool, WriteError> {
        let Some(architecture) = self.title else { return Ok(false) };
        let said = Said::new(whole);
        let lines = notes.summary.iter().map(|s| s.text.replace(['“', '”'], ""));
        let source = Zeroizing::new(lines.collect::<Vec<_>>().join("\n"));
        if !source.is_empty() {
            let titles = self.run(move |models| models.titles(&source))?;
            if take_title(notes, titles.iter().map(|t| t.as_str()), &said, whole) {
                return Ok(true);
            }
        }
        let drawn = parts.iter().filter(|part| is_by(part, architecture));
        let longest = drawn.max_by_key(|part| part.summary.iter().map(|s| s.cites.len()).sum::<usize>());
        Ok(longest.is_some_and(|part| take_title(notes, std::iter::once(part.title.as_str()), &said, whole)))
    }
}

impl Models {
    fn load(
        summary: Option<&Checkpoint>,
        title: Option<&Checkpoint>,
        entities: Option<&Checkpoint>,
    ) -> Result<Self, String> {
        Ok(Self {
            summary: summary.map(Seq2Seq::load).transpose()?,
            title: title.map(Seq2Seq::load).transpose()?,
            entities: entities.map(Entities::load).transpose()?,
            pace: Pace::default(),
        })
    }

    fn draw(&mut self, material: &Material) -> Result<Prose, String> {
        let mut prose = Prose::default();
        if let Some(summary) = &self.summary {
            let lines = segments::fitting(material.lines.clone(), summary.budget(), &|text| summary.count(text));
            let costs: Vec<usize> = lines.iter().map(|line| summary.count(&line.shown())).collect();
            for piece in segments::split(&costs, summary.budget()) {
                let tokens = costs[piece.clone()].iter().sum();
                let text = shown(&lines[piece]);
                prose.summary.push(timed(&mut self.pace, summary, &text, tokens)?);
            }
        }
        prose.titles = self.titles(&shown(&material.lines))?;
        if let Some(entities) = &self.entities {
            let sentences: Vec<&str> = material.sentences.iter().map(|s| s.as_str()).collect();
            prose.names = entities.mark(&sentences);
        }
        Ok(prose)
    }

    /// Titles for a text, of which the beginning counts most; best first.
    fn titles(&self, text: &str) -> Result<Vec<Zeroizing<String>>, String> {
        let Some(model) = &self.title else { return Ok(Vec::new()) };
        let budget = model.budget().min(TITLE_SOURCE);
        let mut source = Zeroizing::new(String::new());
        let mut cost = 0;
        for line in text.lines() {
            cost += model.count(line);
            if cost > budget && !source.is_empty() {
                break;
            }
            source.push_str(line);
            source.push('\n');
        }
        let titles = model.hypotheses(source.trim(), TITLE_TOKENS, i64::MAX)?;
        Ok(titles.into_iter().map(Zeroizing::new).collect())
    }

    /// One summary of summaries, if it fits the window and is expected to take no longer than `time`.
    fn summarise_again(&mut self, source: &str, time: Duration) -> Result<Option<Zeroizing<String>>, String> {
        let Some(summary) = &self.summary else { return Ok(None) };
        let tokens = summary.count(source);
        if tokens > summary.budget() || self.pace.expects(tokens + summary.most_written()) > time {
            return Ok(None);
        }
        timed(&mut self.pace, summary, source, tokens).map(Some)
    }
}

/// Writes, and learns how long that takes.
fn timed(pace: &mut Pace, model: &Seq2Seq, source: &str, read: usize) -> Result<Zeroizing<String>, String> {
    let since = Instant::now();
    let text = Zeroizing::new(model.write(source, i64::MAX)?);
    pace.learn(read + model.written(&text), since.elapsed());
    Ok(text)
}

fn shown(lines: &[Line]) -> Zeroizing<String> {
    Zeroizing::new(lines.iter().map(Line::shown).collect::<Vec<_>>().join("\n"))
}

impl Material {
    /// What was said in order, without what was said to the machine: a model would obey it.
    fn of(transcript: &Transcript) -> Self {
        let mut material = Self { lines: Vec::new(), sentences: Vec::new(), ids: Vec::new() };
        let mut last = None;
        for sentence in Orders::of(transcript).withhold(sentences::sentences(transcript)) {
            let text = sentence.text.split_whitespace().collect::<Vec<_>>().join(" ");
            match material.lines.last_mut().filter(|_| last == Some(sentence.id)) {
                Some(line) => {
                    line.text.push(' ');
                    line.text.push_str(&text);
                }
                None => material.lines.push(Line { speaker: sentence.speaker.to_owned(), text: text.clone() }),
            }
            last = Some(sentence.id);
            material.sentences.push(Zeroizing::new(text));
            material.ids.push(sentence.id);
        }
        material
    }
}

/// The sentences of a written text with the utterances that support them; others are dropped.
fn cited(text: &str, said: &Said<'_>) -> Vec<Cited> {
    let prose = Transcript {
        utterances: vec![SaidUtterance {
            id: 0,
            speaker: String::new(),
            start_ms: 0,
            end_ms: 0,
            text: text.to_owned(),
        }],
        started_ms: 0,
        time_zone: String::new(),
        terms: Vec::new(),
    };
    let mut out: Vec<Cited> = Vec::new();
    for sentence in sentences::sentences(&prose) {
        let line = sentences::as_line(sentence.text);
        if !out.iter().any(|known| known.text == line)
            && let Some(cites) = said.align(&line)
        {
            out.push(Cited { text: line, cites, ..Cited::default() });
        }
    }
    out
}

/// The first sentence of each piece, then the second of each, until there are enough; in the order of the call.
fn in_turn(pieces: Vec<Vec<Cited>>) -> Vec<Cited> {
    let mut ranked: Vec<(usize, usize, Cited)> = Vec::new();
    for (piece, sentences) in pieces.into_iter().enumerate() {
        ranked.extend(sentences.into_iter().enumerate().map(|(rank, sentence)| (rank, piece, sentence)));
    }
    ranked.sort_by_key(|(rank, piece, _)| (*rank, *piece));
    ranked.truncate(MOST);
    ranked.sort_by_key(|(rank, piece, _)| (*piece, *rank));
    ranked.into_iter().map(|(.., sentence)| sentence).collect()
}

/// Takes the first that is a title: two to twelve words of which all that tell were said, together. Who does what is no
/// matter of a title: a small model gets it wrong, and the words alone do not show it.
fn take_title<'a>(
    notes: &mut Notes,
    titles: impl Iterator<Item = &'a str>,
    said: &Said<'_>,
    transcript: &Transcript,
) -> bool {
    const PRONOUNS: [&str; 12] = ["i", "we", "you", "me", "us", "my", "our", "your", "he", "she", "him", "her"];
    let names =
        |word: &str| transcript.utterances.iter().any(|u| sentences::words(&u.speaker).iter().any(|n| n == word));
    for title in titles {
        let title = title.trim().trim_end_matches('.').trim();
        let words = sentences::words(title);
        let of_persons = |word: &String| {
            let plain = word.split('\'').next().unwrap_or(word);
            PRONOUNS.contains(&plain) || names(plain)
        };
        let mut telling = words.iter().filter(|word| !sentences::is_stop_word(word)).peekable();
        if (2..=12).contains(&words.len())
            && !words.iter().any(of_persons)
            && telling.peek().is_some()
            && telling.all(|word| said.heard(word))
            && said.align(title).is_some()
        {
            let mut characters = title.chars();
            notes.title = characters.next().map(|c| c.to_uppercase().chain(characters).collect()).unwrap_or_default();
            return true;
        }
    }
    false
}

fn add_names(names: &mut Vec<Name>, marked: &[Marked], ids: &[u64]) -> bool {
    let mut any = false;
    for mark in marked {
        if let Some(id) = ids.get(mark.sentence) {
            any |= add_name(names, mark.kind, &mark.text, &[*id]);
        }
    }
    any
}

/// Adds a name or its citations. What it stands for is the model's word, but for sums.
fn add_name(names: &mut Vec<Name>, kind: NameKind, text: &str, cites: &[u64]) -> bool {
    match names.iter_mut().find(|n| n.text.eq_ignore_ascii_case(text)) {
        Some(known) if known.kind == NameKind::Amount => false,
        Some(known) => {
            known.kind = kind;
            known.cites.extend(cites);
            known.cites.sort_unstable();
            known.cites.dedup();
            true
        }
        None => {
            names.push(Name { kind, text: text.to_owned(), cites: cites.to_vec() });
            true
        }
    }
}
