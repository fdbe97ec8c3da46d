//! Plans of several as decisions: "we ship on Friday", "so we take the hall", "we're postponing it".

use super::Call;
use super::patterns::WE_DO;

/// What follows "we" without being something that was decided.
pub(super) const NOT_DECIDED: &[&str] = &[
    "should",
    "could",
    "can",
    "can't",
    "cannot",
    "may",
    "might",
    "must",
    "need",
    "have",
    "had",
    "has",
    "are",
    "were",
    "was",
    "do",
    "don't",
    "did",
    "didn't",
    "would",
    "wouldn't",
    "want",
    "wanted",
    "see",
    "think",
    "thought",
    "know",
    "knew",
    "hope",
    "talk",
    "talked",
    "hear",
    "heard",
    "be",
    "get",
    "got",
    "never",
    "always",
    "just",
    "still",
    "say",
    "look",
    "wait",
    "find",
    "figure",
    "went",
    "met",
    "lost",
    "discussed",
    "discuss",
    "said",
    "saw",
    "came",
    "used",
    "probably",
    "maybe",
    "already",
    "all",
    "both",
    "only",
    "really",
    "also",
    "shipped",
    "launched",
    "tried",
    "owe",
    "hardly",
    "usually",
    "often",
    "like",
    "love",
    "hate",
    "mean",
    "understand",
    "remember",
    "agree",
    "sat",
    "made",
    "took",
    "sent",
    "won't",
    "wait",
    "seem",
    "expect",
    "lose",
    "feel",
    "believe",
    "appreciate",
    "stopped",
    "ran",
    "were",
    "finished",
    "worked",
    "thank",
    "cross",
    "come",
    "nearly",
    "almost",
];
/// The same where a conclusion leads up to it ("all right, we wait until then").
const NOT_CONCLUDED: &[&str] = &["cross", "wait", "look", "find", "get", "only", "just", "do", "say", "talk"];

/// Verbs that say by themselves that something was decided.
const FIRM: &[&str] = &[
    "postpone",
    "cancel",
    "drop",
    "scrap",
    "ditch",
    "shelve",
    "freeze",
    "pause",
    "halt",
    "extend",
    "renew",
    "terminate",
    "switch",
    "stick",
    "reject",
    "accept",
    "approve",
    "adopt",
    "pick",
    "choose",
    "opt",
    "settle",
    "waive",
    "delay",
    "skip",
    "revert",
];
/// Verbs of what is to be done rather than decided.
const TO_BE_DONE: &[&str] = &[
    "ask", "call", "ring", "check", "email", "mail", "text", "tell", "let", "follow", "contact", "write", "remind",
    "try", "need", "have", "sort",
];

/// "We closed it": what was, not what is to be.
pub(super) fn is_past(verb: &str) -> bool {
    verb.ends_with("ed") && !["need", "feed", "proceed", "speed", "breed"].contains(&verb)
}

impl Call<'_, '_> {
    /// "So we wait until March", "we ship on Friday", "we postpone it".
    pub(super) fn is_plan(&self, at: usize, dated: bool) -> bool {
        let sentence = &self.sentences[at];
        WE_DO.captures(sentence.text).is_some_and(|plan| {
            let verb = plan["verb"].to_lowercase();
            let concludes = !plan["so"].is_empty();
            if FIRM.contains(&verb.as_str()) {
                return true;
            }
            // "We won't solve that today."
            let not_now = ["won", "shan"].contains(&verb.as_str())
                && ["today", "now", "tonight"].iter().any(|word| sentence.words.iter().any(|w| w == word));
            let idle = verb == "don"
                && ["wait", "know", "have", "need", "see", "think", "want"]
                    .iter()
                    .any(|idle| sentence.words.iter().any(|w| w == idle));
            if not_now || idle || is_past(&verb) || TO_BE_DONE.contains(&verb.as_str()) {
                return false;
            }
            let accepted = plan["will"].len() > 2 && (self.agreement(at).is_some() || self.is_unopposed(at));
            if accepted && !NOT_DECIDED.contains(&verb.as_str()) {
                return true;
            }
            let known = if concludes && dated {
                NOT_DECIDED.contains(&verb.as_str()) && !NOT_CONCLUDED.contains(&verb.as_str())
            } else if concludes {
                NOT_DECIDED.contains(&verb.as_str()) && verb != "wait"
            } else {
                NOT_DECIDED.contains(&verb.as_str())
            };
            (dated || concludes) && !known
        })
    }
}
