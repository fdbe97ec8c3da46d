//! What is left without the feature: types that cannot be made, and say why.

use std::convert::Infallible;
use std::path::Path;

use super::BertConfig;
use crate::notes::{Embed, NoteWriter, Notes, Transcript, WriteError};

fn not_built_in(writer: &str) -> WriteError {
    WriteError::Unavailable {
        writer: writer.to_owned(),
        what: "this program was built without it; build with `--features bert`".to_owned(),
    }
}

/// Writes with BART, T5 and BERT. Not in this build.
#[derive(Debug)]
pub struct BertWriter(Infallible);

impl BertWriter {
    /// Fails: it is not built in.
    ///
    /// # Errors
    /// Always.
    pub fn load(_config: &BertConfig) -> Result<Self, WriteError> {
        Err(not_built_in("bart and t5"))
    }

    /// Loads the weights now instead of at first use.
    ///
    /// # Errors
    /// Never: there is none.
    pub fn warm_up(&self) -> Result<(), WriteError> {
        match self.0 {}
    }
}

impl NoteWriter for BertWriter {
    fn name(&self) -> &str {
        match self.0 {}
    }

    fn draw(&self, _part: &Transcript) -> Result<Notes, WriteError> {
        match self.0 {}
    }

    fn join(&self, _whole: &Transcript, _parts: &[Notes]) -> Result<Notes, WriteError> {
        match self.0 {}
    }
}

/// Sentence vectors by MiniLM. Not in this build.
#[derive(Debug)]
pub struct MiniLm(Infallible);

impl MiniLm {
    /// Fails: it is not built in.
    ///
    /// # Errors
    /// Always.
    pub fn load(_folder: &Path, _threads: usize, _niceness: i32) -> Result<Self, WriteError> {
        Err(not_built_in("minilm"))
    }
}

impl Embed for MiniLm {
    fn name(&self) -> &str {
        match self.0 {}
    }

    fn embed(&self, _sentences: &[&str]) -> Result<Vec<Vec<f32>>, WriteError> {
        match self.0 {}
    }
}
