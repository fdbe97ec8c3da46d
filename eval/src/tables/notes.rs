//! Notes against references: `eval/dialogues`, and one's own.

use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;
use models::eval::weights_folder;
use models::notes::bert::{BertConfig, BertWriter, MiniLm};
use models::notes::llm::{LlmConfig, LlmWriter};
use models::notes::{Embed, EmbeddingWriter, NoteWriter};
use models::weights;

use crate::dialogue::Dialogue;
use crate::report::{Figure, Section, percent};
use crate::score::{Hits, Score, score};

/// A way to take notes.
struct Way {
    /// In the tables.
    name: String,
    writers: Vec<Arc<dyn NoteWriter>>,
    embed: Option<Arc<dyn Embed>>,
    /// Whether its figures hold on every machine, so that they are stored.
    stored: bool,
}

/// A language model somewhere, which is not set up by the harness.
#[derive(Debug, Clone)]
pub struct Llm {
    /// OpenAI-compatible endpoint (`http://127.0.0.1:8080/v1`).
    pub url: String,
    /// Its model.
    pub model: String,
}

/// The ways that are there: extractive alone always, others where built in and where their weights are.
fn ways(llm: Option<&Llm>, remarks: &mut Vec<String>) -> anyhow::Result<Vec<Way>> {
    let mut ways = vec![Way { name: "extractive".into(), writers: Vec::new(), embed: None, stored: true }];
    let folder = weights_folder();
    let mut embed: Option<Arc<dyn Embed>> = None;
    match MiniLm::load(&folder.join(weights::SENTENCES), 2, 0) {
        Ok(minilm) => {
            let minilm: Arc<dyn Embed> = Arc::new(minilm);
            let writer: Arc<dyn NoteWriter> = Arc::new(EmbeddingWriter::new(Arc::clone(&minilm)));
            embed = Some(minilm);
            let name = "extractive, MiniLM".to_owned();
            ways.push(Way { name, writers: vec![writer], embed: embed.clone(), stored: true });
        }
        Err(error) => remarks.push(format!("Extractive with MiniLM: not measured ({error}).")),
    }
    match BertWriter::load(&BertConfig::default().fill_from(&folder)) {
        Ok(bert) => {
            let writers: Vec<Arc<dyn NoteWriter>> = vec![Arc::new(bert)];
            let name = writers[0].name().to_owned();
            ways.push(Way { name, writers, embed: embed.clone(), stored: true });
        }
        Err(error) => remarks.push(format!("BART and T5: not measured ({error}).")),
    }
    match llm {
        Some(llm) => {
            let writer: Arc<dyn NoteWriter> = Arc::new(LlmWriter::new(LlmConfig::new(&llm.url, &llm.model))?);
            ways.push(Way { name: writer.name().to_owned(), writers: vec![writer], embed, stored: false });
        }
        None => remarks.push("A language model: not measured; give one with `--llm URL --llm-model NAME`.".to_owned()),
    }
    Ok(ways)
}

fn both(hits: Hits) -> String {
    format!("{} / {}", percent(hits.precision()), percent(hits.recall()))
}

fn figures(section: &mut Section, prefix: &str, score: &Score) {
    let calls = score.calls.max(1) as f64;
    let mut higher = |name: &str, value: f64, noise: f64| {
        section.figure(format!("{prefix}/{name}"), Figure::higher(value, noise));
    };
    // Without chance in it: a rule that is changed moves a figure by whole items; less than half an item of thirty is none.
    higher("rouge-1", score.rouge.one / calls, 0.01);
    higher("rouge-l", score.rouge.longest / calls, 0.01);
    for (name, hits) in [("decisions", score.decisions), ("actions", score.actions), ("dates", score.dates)] {
        higher(&format!("{name}/precision"), hits.precision(), 0.015);
        higher(&format!("{name}/recall"), hits.recall(), 0.015);
    }
    higher("owners", score.owners.recall(), 0.015);
    higher("evidence", score.evidence.recall(), 0.015);
    section.figure(format!("{prefix}/without evidence"), Figure::lower(score.uncited as f64, 0.0));
    section.figure(format!("{prefix}/obeyed"), Figure::lower(score.obeyed as f64, 0.0));
}

/// The tables of notes; `faults` gets what went wrong in the dialogues on which code may be tuned.
///
/// # Errors
/// A dialogue cannot be read.
pub fn run(folder: &Path, llm: Option<&Llm>, faults: &mut Vec<String>, bar: &ProgressBar) -> anyhow::Result<Section> {
    let dialogues = Dialogue::all(folder)?;
    let mut section = Section::default();
    let (mut prose, mut items, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for way in ways(llm, &mut remarks)? {
        let writer = &way.name;
        for split in ["dev", "test"] {
            let mut sum = Score::default();
            for dialogue in dialogues.iter().filter(|d| d.split == split) {
                bar.set_message(format!("notes by {writer}: {}", dialogue.name));
                let notes = dialogue.notes(way.writers.clone(), way.embed.clone())?;
                sum = sum.plus(score(dialogue, &notes));
            }
            let calls = sum.calls.max(1) as f64;
            prose.push(vec![
                writer.clone(),
                split.to_owned(),
                sum.calls.to_string(),
                format!(
                    "{:.3} / {:.3} / {:.3}",
                    sum.rouge.one / calls,
                    sum.rouge.two / calls,
                    sum.rouge.longest / calls
                ),
                percent(sum.evidence.recall()),
                sum.uncited.to_string(),
                percent(sum.owners.recall()),
                percent(sum.dues.recall()),
                sum.obeyed.to_string(),
            ]);
            items.push(vec![
                writer.clone(),
                split.to_owned(),
                both(sum.decisions),
                both(sum.actions),
                both(sum.questions),
                both(sum.dates),
                both(sum.names),
                both(sum.amounts),
            ]);
            if way.stored {
                figures(&mut section, &format!("notes/{writer}/{split}"), &sum);
            }
            if split == "dev" {
                faults.extend(sum.faults.iter().map(|fault| format!("{writer}: {fault}")));
            }
        }
    }
    section.table(
        &[
            "writer",
            "split",
            "calls",
            "ROUGE-1 / 2 / L",
            "right evidence",
            "items without evidence",
            "owner right",
            "day right",
            "orders to the machine obeyed",
        ],
        &prose,
    );
    section.say("Items: precision / recall.");
    section.table(&["writer", "split", "decisions", "actions", "questions", "dates", "names", "amounts"], &items);
    section.say(
        "Seventy-six calls written for this (`eval/dialogues`, CC0), as if recognised without a mistake. An item is right if it rests on the same \
         utterance as one of the reference and shares words with it, or shares half of its words. \"Right evidence\": of those, how \
         many cite an utterance in which the reference says it is said. Owners and days are of the matched actions. One writer \
         made each reference: another would differ.",
    );
    remarks.iter().for_each(|remark| section.say(remark));
    Ok(section)
}
