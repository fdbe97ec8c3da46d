//! Names and terms that may be said, as Whisper is told them, and how it is noticed when it writes them down unsaid.
//!
//! Whisper takes a text that might have come before. A list of names there makes it spell them right; on near-silence it
//! may also make it say them. Such a hypothesis is looked at again without the list ([`echoes`]).

/// At most so many characters of terms are told: some 160 of the 224 tokens that Whisper takes.
const LONGEST: usize = 480;
/// One term is no longer than this.
const LONGEST_TERM: usize = 60;
const LEAD: &str = "Glossary: ";

/// The terms as one short text, most important first, whole terms only; empty for none.
pub fn prompt(terms: &[String]) -> String {
    let mut out = String::new();
    let mut seen: Vec<String> = Vec::new();
    for term in terms {
        let term: String = term.split_whitespace().collect::<Vec<_>>().join(" ");
        let term = term.trim_matches([',', '.', ';', ':']).replace('\0', "");
        let key = term.to_lowercase();
        if !term.chars().any(char::is_alphanumeric) || term.chars().count() > LONGEST_TERM || seen.contains(&key) {
            continue;
        }
        let more = term.len() + 2;
        if LEAD.len() + out.len() + more > LONGEST {
            break;
        }
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&term);
        seen.push(key);
    }
    if out.is_empty() { out } else { format!("{LEAD}{out}.") }
}

/// Whether a text looks like the prompt said back: three or more of its words in its order with nothing between and
/// nothing else, or the list's own heading, or, where there is little to hear (`faint`), nothing but words of the list.
pub fn echoes(text: &str, prompt: &str, faint: bool) -> bool {
    let (said, told) = (words(text), words(prompt));
    if said.is_empty() || told.is_empty() {
        return false;
    }
    if said[0] == told[0] && said.len() > 1 {
        return true;
    }
    let whole = said.len() >= 3 && told.windows(said.len()).any(|part| part == said);
    // A list of three or more terms in the list's order among other words.
    let run = said.len() >= 5 && said.windows(5).any(|part| told.windows(5).any(|other| other == part));
    whole || run || (faint && said.iter().all(|word| told.contains(word)))
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(list: &[&str]) -> Vec<String> {
        list.iter().map(|term| (*term).to_owned()).collect()
    }

    #[test]
    fn the_most_important_terms_fit_and_rubbish_does_not_go_in() {
        assert_eq!(prompt(&[]), "");
        let list = terms(&["Roomtone", " Anna\n Meier ", "roomtone", "...", "", "a\0b"]);
        assert_eq!(prompt(&list), "Glossary: Roomtone, Anna Meier, ab.");
        let many: Vec<String> = (0..500).map(|n| format!("Term{n}")).collect();
        let told = prompt(&many);
        assert!(told.len() <= LONGEST + 2 && told.contains("Term0, ") && told.ends_with('.'), "{told}");
        let long = "x".repeat(5000);
        assert_eq!(prompt(&[long]), "");
    }

    #[test]
    fn a_list_said_back_is_noticed_and_a_sentence_with_its_names_is_not() {
        let told = prompt(&terms(&["Roomtone", "Anna Meier", "Kubernetes", "Zürich"]));
        assert!(echoes("Glossary: Roomtone.", &told, false));
        assert!(echoes("Roomtone, Anna Meier, Kubernetes", &told, false));
        assert!(echoes("Anna Meier.", &told, true));
        assert!(!echoes("Anna Meier.", &told, false), "that may be said");
        assert!(!echoes("We run Roomtone on Kubernetes in Zürich.", &told, true));
        assert!(!echoes("", &told, true));
        assert!(!echoes("Yes.", "", true));
    }
}
