//! What is said about commands: help, mistakes, refusals.

use super::spec::{Group, Spec, all};
use super::{Mistake, Refusal, Who};
use crate::text::Doc;

/// No refusal names more people than this.
const MOST_NAMES: usize = 5;

/// Help for a group, or all of it: what `who` may run here, nothing else, with an example each. `direct`: no prefix is needed.
#[must_use]
pub fn help(group: Option<Group>, who: &Who, direct: bool) -> Doc {
    let mut doc = Doc::new();
    let groups = Group::ALL.into_iter().filter(|g| *g != Group::Pay || who.charged);
    for (n, group) in groups.filter(|g| group.is_none_or(|only| only == *g)).enumerate() {
        let mut head = Doc::new();
        head.bold(group.about());
        if n == 0 && direct {
            head.say(" (here you may leave out the first word)");
        }
        let items: Vec<Doc> =
            all().iter().filter(|s| s.group == group && s.may(who).is_ok()).map(|s| line(s)).collect();
        doc.block(&head).list(&items);
    }
    doc
}

fn line(spec: &Spec) -> Doc {
    let mut out = Doc::new();
    out.code(usage(spec).trim_end()).say(" – ").say(spec.does);
    if !spec.arguments.is_empty() {
        out.say(", as in ").code(spec.example);
    }
    out
}

fn usage(spec: &Spec) -> String {
    format!("{} {}", spec.name(), spec.arguments)
}

/// What to say to a mistake.
#[must_use]
pub fn mistake(mistake: &Mistake) -> Doc {
    let mut out = Doc::new();
    match mistake {
        Mistake::Unknown { word, nearest } => {
            out.say("I know no ").code(word).say(". ");
            match nearest {
                Some(spec) => out.say("Did you mean ").code(&spec.name()).say("?"),
                None => out.code("!call help").say(" and ").code("!notes help").say(" say what there is."),
            };
        }
        Mistake::Incomplete(spec) => {
            out.say("It takes a little more: ").code(&usage(spec)).say(", as in ").code(spec.example).say(".");
        }
        Mistake::Number { spec, cause } => {
            out.say("That is no number: ").say(&cause.to_string()).say(". As in ").code(spec.example).say(".");
        }
        Mistake::Argument { spec, cause } => {
            out.say("That cannot be: ").say(cause).say(". As in ").code(spec.example).say(".");
        }
    }
    out
}

/// What to say to somebody who may not.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Doc {
    let mut out = Doc::new();
    match refusal {
        Refusal::NotPermitted(spec) => {
            out.code(&spec.name())
                .say(" is for users whom the operator of this Roomtone allows. You are not one of them.");
        }
        Refusal::NotAdmin(spec) => {
            out.code(&spec.name()).say(" is for admins of this Roomtone, whom its operator names.");
        }
        Refusal::NotCharged => {
            out.say("Nobody is charged here, so there are no accounts.");
        }
        Refusal::Power { spec, needed, has, who } => {
            out.code(&spec.name()).say(&format!(" takes power level {needed} in this room; you have {has}. "));
            let more = who.len().saturating_sub(MOST_NAMES);
            let names = who.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
            match (who.is_empty(), more) {
                (true, _) => out.say("Nobody here has it."),
                (false, 0) => out.say("Who has it: ").say(&names).say("."),
                (false, more) => out.say("Who has it: ").say(&names).say(&format!(" and {more} more.")),
            };
        }
    }
    out
}
