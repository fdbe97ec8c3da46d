//! Words for people: what stands in the room, and what errors say.

mod content;
mod doc;

pub use content::{MARK_CLOSE, MARK_OPEN, edit, notice, text};
pub use doc::{Doc, clean, escape};
