//! The card: the one message of a call in the timeline, kept true by edits.

use payments::Msat;
use serde_json::Value;

use super::{Doc, Zone, duration, notice, problem, why};
use crate::desk::{CardView, NotesView, PhoneState, PhoneView};

/// What a card says beyond what the desk knows.
#[derive(Debug, Clone)]
pub struct CardContext<'a> {
    /// The room's time zone.
    pub zone: &'a Zone,
    /// The trunk that phones come in by.
    pub trunk: Option<&'a str>,
    /// Whether notes stand in the thread.
    pub notes_posted: bool,
    /// What the call cost.
    pub cost: Option<Msat>,
    /// Other machines that see what is said.
    pub seen_by: &'a [&'a str],
}

/// The card as it stands now.
#[must_use]
pub fn card(view: &CardView, context: &CardContext<'_>) -> Value {
    let mut doc = Doc::new();
    doc.bold(&title(view));
    for fact in facts(view, context) {
        doc.say(" · ").say(&fact);
    }
    if view.ended.is_none() {
        notes_line(&mut doc, view, context.seen_by);
        keys_line(&mut doc, view);
    }
    notice(&doc)
}

fn title(view: &CardView) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for phone in &view.phones {
        if !labels.contains(&phone.label.as_str()) {
            labels.push(&phone.label);
        }
    }
    if labels.is_empty() { "Call".into() } else { format!("Call with {}", and(&labels)) }
}

fn facts(view: &CardView, context: &CardContext<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    let answered = view.since.is_some();
    match (view.since, view.ended) {
        (Some(since), Some(ended)) => {
            facts.push(format!("{} ({})", context.zone.span(since, ended), duration(ended.since(since))));
        }
        (Some(since), None) => facts.push(format!("since {}", context.zone.clock(since))),
        (None, Some(ended)) => facts.push(context.zone.clock(ended)),
        (None, None) => facts.push("ringing…".into()),
    }
    if answered {
        let names = names(view);
        if !names.is_empty() {
            facts.push(names.join(", "));
        }
        if view.ended.is_none() && view.phones.iter().any(live) {
            let trunk = context.trunk.map(|t| format!(" (trunk \"{t}\")")).unwrap_or_default();
            facts.push(format!("phone leg: not encrypted{trunk}"));
        }
        if view.ended.is_none() {
            let ringing: Vec<&str> = view.phones.iter().filter(|p| rings(p)).map(|p| p.label.as_str()).collect();
            if !ringing.is_empty() {
                facts.push(format!("{} ringing…", and(&ringing)));
            }
        }
    }
    facts.extend(reasons(view));
    if let (Some(_), Some(mos), true) = (view.ended, view.mos_tenths, answered) {
        facts.push(format!("sound {} (MOS {}.{})", quality(mos), mos / 10, mos % 10));
    }
    if let Some(cost) = context.cost {
        facts.push(format!("cost {cost}"));
    }
    if context.notes_posted {
        facts.push("notes in the thread".into());
    }
    facts
}

/// Why phones did not get through or fell out, once each.
fn reasons(view: &CardView) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for phone in &view.phones {
        let PhoneState::Ended { answered, outcome } = &phone.state else { continue };
        let reason = match (answered, why(outcome)) {
            (false, reason) => format!("missed: {}", reason.unwrap_or_else(|| "the caller gave up".into())),
            (true, Some(reason)) => reason,
            (true, None) => continue,
        };
        if !out.contains(&reason) {
            out.push(reason);
        }
    }
    out
}

const fn quality(mos_tenths: u8) -> &'static str {
    match mos_tenths {
        40.. => "good",
        36..=39 => "fair",
        31..=35 => "poor",
        _ => "bad",
    }
}

const fn live(phone: &PhoneView) -> bool {
    matches!(phone.state, PhoneState::Up | PhoneState::Answering)
}

const fn rings(phone: &PhoneView) -> bool {
    matches!(phone.state, PhoneState::Arriving | PhoneState::Ringing)
}

/// Who is in the call; of an ended one, who was.
fn names(view: &CardView) -> Vec<String> {
    let over = view.ended.is_some();
    let mut out: Vec<String> = view.people.iter().filter(|p| over || p.present).map(|p| p.name.clone()).collect();
    let phones = view.phones.iter().filter(|p| match &p.state {
        PhoneState::Ended { answered, .. } => over && *answered,
        _ => live(p),
    });
    out.extend(phones.map(|p| phone_name(view, p)));
    out
}

fn phone_name(view: &CardView, phone: &PhoneView) -> String {
    if view.phones.iter().all(|p| p.label == phone.label) { "phone".into() } else { phone.label.clone() }
}

fn notes_line(doc: &mut Doc, view: &CardView, seen_by: &[&str]) {
    match &view.notes {
        NotesView::Off => {}
        NotesView::Failed(cause) => {
            let (what, do_this) = problem(cause);
            doc.line().say("Notes: none. ").say(&format!("I could not join the call: {what}. "));
            doc.say("The call goes on without notes. ").say(do_this);
        }
        NotesView::On => {
            let people = view.people.iter().filter(|p| p.present).map(|p| (p.name.clone(), p.granted));
            let phones = view.phones.iter().filter(|p| live(p)).map(|p| (phone_name(view, p), p.granted));
            let (heard, unheard): (Vec<_>, Vec<_>) = people.chain(phones).partition(|(_, granted)| *granted);
            let list = |who: Vec<(String, bool)>| who.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            doc.line().say("Notes: on. Heard: ");
            doc.say(&if heard.is_empty() { "nobody yet".into() } else { list(heard) }).say(". ");
            if !unheard.is_empty() {
                doc.say("Not heard: ").say(&list(unheard)).say(". ");
            }
            if !seen_by.is_empty() {
                doc.say(&format!("What is heard is also seen by {}. ", and(seen_by)));
            }
            doc.say("React ✅ to be heard, take it back at any time, or ");
            doc.code("!notes agree").say(" / ").code("!notes stop").say(".");
        }
    }
}

fn keys_line(doc: &mut Doc, view: &CardView) {
    let names: Vec<String> = view
        .keyless
        .iter()
        .map(|party| {
            let person = view.people.iter().find(|p| p.party == *party).map(|p| p.name.clone());
            person.or_else(|| view.phones.iter().find(|p| p.party == *party).map(|p| phone_name(view, p)))
        })
        .map(|name| name.unwrap_or_else(|| "somebody".into()))
        .collect();
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        doc.line().say(&format!(
            "No sound of {}: the media key has not come, so what is said there is silence. Leaving the call and joining it again helps.",
            and(&names)
        ));
    }
}

/// `A`, `A and B`, `A, B and C`.
pub(super) fn and(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
