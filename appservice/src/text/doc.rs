//! A small document that is written as HTML and as plain text in one go, so that both say the same.

use std::fmt::Write as _;

use super::{MARK_CLOSE, MARK_OPEN};

/// Text under way in both forms. Everything that comes from people passes through [`clean`] and is escaped here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doc {
    html: String,
    plain: String,
}

/// One line's worth of what people say or are called: control and direction-changing characters, line breaks and the
/// marks of unknown events taken out; white space run together. Words of other scripts stay as they are.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let kept = word.chars().filter(|c| !is_trick(*c));
        let before = out.len();
        if before > 0 {
            out.push(' ');
        }
        out.extend(kept);
        if out.len() == before + usize::from(before > 0) {
            out.truncate(before);
        }
    }
    out
}

/// Marks of ours, and characters that change how the text around them is read: embeddings, overrides, isolates, the
/// invisible tags, separators.
const fn is_trick(c: char) -> bool {
    matches!(c, MARK_OPEN | MARK_CLOSE | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{2028}' | '\u{2029}')
}

/// The text as HTML shows it.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

impl Doc {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plain words of ours or of people.
    pub fn say(&mut self, words: &str) -> &mut Self {
        let words = self.fit(words);
        self.html.push_str(&escape(&words));
        self.plain.push_str(&words);
        self
    }

    /// Words that matter.
    pub fn bold(&mut self, words: &str) -> &mut Self {
        self.tagged("strong", words)
    }

    /// Words that stand back.
    pub fn italic(&mut self, words: &str) -> &mut Self {
        self.tagged("em", words)
    }

    /// Something to type. In plain text as it is.
    pub fn code(&mut self, words: &str) -> &mut Self {
        self.tagged("code", words)
    }

    fn tagged(&mut self, tag: &str, words: &str) -> &mut Self {
        let words = clean(words);
        let _ = write!(self.html, "<{tag}>{}</{tag}>", escape(&words));
        self.plain.push_str(&words);
        self
    }

    /// A link. In plain text the words and then the address.
    pub fn link(&mut self, words: &str, address: &str) -> &mut Self {
        let words = clean(words);
        let _ = write!(self.html, "<a href=\"{}\">{}</a>", escape(address), escape(&words));
        let _ = write!(self.plain, "{words} {address}");
        self
    }

    /// The next line.
    pub fn line(&mut self) -> &mut Self {
        self.html.push_str("<br/>");
        self.plain.push('\n');
        self
    }

    /// A list, an item for each.
    pub fn list<'a>(&mut self, items: impl IntoIterator<Item = &'a Doc>) -> &mut Self {
        self.html.push_str("<ul>");
        for item in items {
            let _ = write!(self.html, "<li>{}</li>", item.html);
            let _ = write!(self.plain, "\n- {}", item.plain.replace('\n', "\n  "));
        }
        self.html.push_str("</ul>");
        self
    }

    /// Another document after this one.
    pub fn append(&mut self, other: &Doc) -> &mut Self {
        self.html.push_str(&other.html);
        self.plain.push_str(&other.plain);
        self
    }

    /// The next block: a paragraph's distance in HTML, a line in plain text.
    pub fn block(&mut self, of: &Doc) -> &mut Self {
        let _ = write!(self.html, "<p>{}</p>", of.html);
        if !self.plain.is_empty() {
            self.plain.push('\n');
        }
        self.plain.push_str(&of.plain);
        self
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// As `formatted_body`.
    #[must_use]
    pub fn html(&self) -> &str {
        &self.html
    }

    /// As `body`.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Cleans words but keeps the single space at their ends that joins them to their neighbours.
    fn fit(&self, words: &str) -> String {
        let cleaned = clean(words);
        let head = if words.starts_with(' ') { " " } else { "" };
        let tail = if words.ends_with(' ') && !cleaned.is_empty() { " " } else { "" };
        format!("{head}{cleaned}{tail}")
    }
}
