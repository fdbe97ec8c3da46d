//! Pieces of work on notes, done apart from the [`NoteTaker`](super::NoteTaker).

use std::fmt;
use std::sync::Arc;

use super::{Kept, Key};
use crate::notes::{Embed, ExtractiveWriter, NoteWriter, Transcript, WriteError, evidence};

/// One bounded piece of work, cut off from the taker so that utterances can come in while it is done.
/// See [`NoteTaker::next_piece`]. Wiped when dropped.
pub struct Piece(pub(super) Task);

pub(super) enum Task {
    Draw { key: Key, part: Transcript, writers: Vec<(usize, Arc<dyn NoteWriter>)> },
    Embed { texts: Vec<(u64, zeroize::Zeroizing<String>)>, embed: Arc<dyn Embed> },
}

/// What came of a [`Piece`]. Wiped when dropped.
pub struct Done(pub(super) Outcome);

pub(super) enum Outcome {
    Drawn { key: Key, notes: Box<Kept>, failed: Vec<(usize, WriteError)>, by: Option<usize> },
    Embedded { vectors: Vec<(u64, Vec<f32>)> },
    NoEmbedding { error: WriteError },
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Piece")
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

impl Piece {
    /// Does the work. Blocks for as long as a writer takes.
    #[must_use]
    pub fn run(self) -> Done {
        Done(match self.0 {
            Task::Draw { key, part, writers } => draw(key, &part, writers),
            Task::Embed { texts, embed } => {
                let sentences: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
                match embed.embed(&sentences) {
                    Ok(vectors) if vectors.len() == texts.len() => {
                        Outcome::Embedded { vectors: texts.iter().map(|(id, _)| *id).zip(vectors).collect() }
                    }
                    Ok(_) => Outcome::NoEmbedding {
                        error: WriteError::Unusable {
                            writer: embed.name().to_owned(),
                            what: "not one vector for each sentence".to_owned(),
                        },
                    },
                    Err(error) => Outcome::NoEmbedding { error },
                }
            }
        })
    }
}

fn draw(key: Key, part: &Transcript, writers: Vec<(usize, Arc<dyn NoteWriter>)>) -> Outcome {
    let mut failed = Vec::new();
    for (index, writer) in writers {
        match writer.draw(part) {
            Ok(mut notes) => {
                evidence::keep_supported(&mut notes, part);
                if notes.written_by.is_empty() {
                    writer.name().clone_into(&mut notes.written_by);
                }
                return Outcome::Drawn { key, notes: Box::new(Kept(notes)), failed, by: Some(index) };
            }
            Err(error) => failed.push((index, error)),
        }
    }
    Outcome::Drawn { key, notes: Box::new(Kept(ExtractiveWriter.write(part))), failed, by: None }
}
