//! Figures, tables, the file that people read and the file that a later run is held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Errors, delays.
    Lower,
    /// Scores.
    Higher,
}

/// One measured figure, and how far it may wander by chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// As measured; shares are 0 to 1.
    pub value: f64,
    /// What lies within this of the stored value is no change. 0: must not get worse at all.
    pub noise: f64,
    /// Which way is good.
    pub better: Better,
}

impl Figure {
    /// The lower the better.
    pub fn lower(value: f64, noise: f64) -> Self {
        Self { value, noise, better: Better::Lower }
    }

    /// The higher the better.
    pub fn higher(value: f64, noise: f64) -> Self {
        Self { value, noise, better: Better::Higher }
    }

    /// Whether this is worse than what was stored, beyond the stored noise.
    fn is_worse_than(&self, stored: &Self) -> bool {
        let slack = stored.noise + 1e-9;
        match stored.better {
            Better::Lower => self.value > stored.value + slack,
            Better::Higher => self.value < stored.value - slack,
        }
    }
}

/// All figures by name (`speech/base.en/8 kHz/3 %`).
pub type Figures = BTreeMap<String, Figure>;

/// One section: its tables as Markdown, and the figures in it.
#[derive(Debug, Default)]
pub struct Section {
    /// Markdown, tables and remarks.
    pub text: String,
    /// What is held against the baseline.
    pub figures: Figures,
}

impl Section {
    /// Adds a table: head, then rows of as many cells.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let _ = writeln!(self.text, "\n| {} |", head.join(" | "));
        let _ = writeln!(self.text, "|{}", "---|".repeat(head.len()));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }

    /// Adds a remark.
    pub fn say(&mut self, remark: &str) {
        let _ = writeln!(self.text, "\n{remark}");
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: impl Into<String>, figure: Figure) {
        self.figures.insert(name.into(), figure);
    }
}

/// A share as people read it.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The figures that got worse, each in a sentence.
pub fn worse(stored: &Figures, now: &Figures) -> Vec<String> {
    now.iter()
        .filter_map(|(name, figure)| {
            let before = stored.get(name)?;
            figure
                .is_worse_than(before)
                .then(|| format!("{name}: {:.4}, was {:.4} (noise {:.4})", figure.value, before.value, before.noise))
        })
        .collect()
}

/// Reads stored figures; none where the file is not there.
///
/// # Errors
/// It is there and cannot be read.
pub fn stored(path: &Path) -> anyhow::Result<Figures> {
    if !path.exists() {
        return Ok(Figures::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a file of figures", path.display()))
}

/// Stores figures: those measured now replace theirs, others stay.
///
/// # Errors
/// The file cannot be written.
pub fn store(path: &Path, now: &Figures) -> anyhow::Result<()> {
    let mut all = stored(path)?;
    all.extend(now.iter().map(|(name, figure)| {
        let round = |x: f64| (x * 1e5).round() / 1e5;
        (name.clone(), Figure { value: round(figure.value), noise: round(figure.noise), ..*figure })
    }));
    let mut text = serde_json::to_string_pretty(&all)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// Puts a section between its marks in the document, with a line that says when and where it was measured.
///
/// # Errors
/// The document has no such marks.
pub fn place(document: &str, name: &str, text: &str, measured: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let from = document.find(&begin).with_context(|| format!("docs/accuracy.md has no mark `{begin}`"))? + begin.len();
    let to = document[from..].find(&end).with_context(|| format!("docs/accuracy.md has no mark `{end}`"))? + from;
    Ok(format!("{}\n{}\n\n{measured}\n\n{}", &document[..from], text.trim_end(), &document[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(figure: Figure) -> Figures {
        Figures::from([("wer".to_owned(), figure)])
    }

    #[test]
    fn only_what_is_worse_beyond_noise_is_named() {
        let stored = figures(Figure::lower(0.05, 0.01));
        assert!(worse(&stored, &figures(Figure::lower(0.0599, 0.0))).is_empty());
        assert!(worse(&stored, &figures(Figure::lower(0.01, 0.0))).is_empty());
        let named = worse(&stored, &figures(Figure::lower(0.07, 0.0)));
        assert!(named.len() == 1 && named[0].starts_with("wer: 0.07"), "{named:?}");
        let score = figures(Figure::higher(1.0, 0.0));
        assert_eq!(worse(&score, &figures(Figure::higher(0.99, 0.0))).len(), 1);
        assert!(worse(&Figures::new(), &score).is_empty(), "what was never measured cannot get worse");
    }

    #[test]
    fn storing_keeps_what_was_not_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.json");
        store(&path, &Figures::from([("a".into(), Figure::lower(1.0, 0.1)), ("b".into(), Figure::lower(2.0, 0.1))]))
            .unwrap();
        store(&path, &Figures::from([("b".into(), Figure::lower(3.0, 0.1))])).unwrap();
        let all = stored(&path).unwrap();
        assert_eq!((all["a"].value, all["b"].value), (1.0, 3.0));
    }

    #[test]
    fn a_section_replaces_only_itself() {
        let document = "# A\n<!-- begin x -->\nold\n<!-- end x -->\n<!-- begin y -->\nkept\n<!-- end y -->\n";
        let placed = place(document, "x", "new", "today").unwrap();
        assert!(placed.contains("new") && placed.contains("kept") && !placed.contains("old"));
        assert_eq!(place(&placed, "x", "new", "today").unwrap(), placed);
        assert!(place(document, "z", "", "").is_err());
    }
}
