//! Words kept beside the books, of the same commit.

/// Words under a name, for whoever asked for the transfers that they are written with: what it must know after a crash and
/// what the transfers do not tell. Written, rewritten or taken away in the commit of the transfers, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its name: `call/1`.
    pub key: String,
    /// What it says; `None`: it is taken away.
    pub body: Option<String>,
}
