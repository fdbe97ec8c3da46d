//! One file per table of docs/accuracy.md.

pub mod attribution;
pub mod captions;
pub mod nonspeech;
pub mod notes;
pub mod own;
pub mod speakers;
pub mod speech;
