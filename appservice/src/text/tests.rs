//! What people read, to the letter.

use std::time::Duration;

use bridge::ids::LegId;
use bridge::sip::CallOutcome;
use bridge::time::UnixMillis;
use matrix_sdk::ruma::{event_id, owned_event_id, owned_user_id, room_id};
use models::notes::{Action, Cited, Due, NextMeeting, Notes};
use payments::Msat;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::archive::{CallId, EffectId, Hit, HitPlace, TodoState, UtteranceId};
use crate::desk::{AttendProblem, CardView, NotesView, PartyId, PersonView, PhoneState, PhoneView};
use crate::journal::EventRef;

/// Friday 20 November 2026, 13:08 UTC, 14:08 in Berlin.
const START: UnixMillis = UnixMillis(1_795_180_080_000);

fn berlin() -> Zone {
    Zone::named("Europe/Berlin")
}

fn after(minutes: u64) -> UnixMillis {
    START.plus(Duration::from_secs(minutes * 60))
}

fn phone(state: PhoneState) -> PhoneView {
    PhoneView {
        leg: LegId(1),
        party: PartyId::new("@_roomtone_442079460123:hs"),
        label: "+442079460123 (Ada Lovelace)".into(),
        state,
        granted: true,
    }
}

fn person(name: &str, granted: bool) -> PersonView {
    PersonView { party: PartyId::new(format!("@{name}:hs")), name: name.into(), present: true, granted }
}

fn view(state: PhoneState) -> CardView {
    CardView {
        phones: vec![phone(state)],
        people: Vec::new(),
        since: None,
        ended: None,
        notes: NotesView::Off,
        keyless: Vec::new(),
        mos_tenths: None,
    }
}

fn plain(view: &CardView) -> String {
    body(&card(
        view,
        &CardContext { zone: &berlin(), trunk: Some("office"), notes_posted: false, cost: None, seen_by: &[] },
    ))
}

fn body(content: &Value) -> String {
    content["body"].as_str().unwrap().to_owned()
}

fn ended(answered: bool, outcome: CallOutcome) -> PhoneState {
    PhoneState::Ended { answered, outcome }
}

#[test]
fn a_ringing_card_to_the_letter() {
    let content = card(
        &view(PhoneState::Ringing),
        &CardContext { zone: &berlin(), trunk: Some("office"), notes_posted: false, cost: None, seen_by: &[] },
    );
    assert_eq!(
        content,
        json!({
            "msgtype": "m.notice",
            "body": "Call with +442079460123 (Ada Lovelace) · ringing…",
            "format": "org.matrix.custom.html",
            "formatted_body": "<strong>Call with +442079460123 (Ada Lovelace)</strong> · ringing…",
            "m.mentions": {},
        })
    );
}

#[test]
fn a_live_card_says_who_is_in_and_who_is_heard() {
    let live = CardView {
        people: vec![person("Bob", true), person("Carol", false)],
        since: Some(START),
        notes: NotesView::On,
        ..view(PhoneState::Up)
    };
    assert_eq!(
        plain(&live),
        "Call with +442079460123 (Ada Lovelace) · since 14:08 · Bob, Carol, phone · phone leg: not encrypted (trunk \"office\")\n\
         Notes: on. Heard: Bob, phone. Not heard: Carol. React ✅ to be heard, take it back at any time, or !notes agree / !notes stop."
    );
    let nobody = CardView { phones: Vec::new(), people: vec![person("Bob", false)], ..live };
    assert!(plain(&nobody).starts_with("Call · since 14:08 · Bob\nNotes: on. Heard: nobody yet. Not heard: Bob. "));
}

#[test]
fn an_ended_card_says_how_long_and_how_good() {
    let over = CardView {
        people: vec![person("Bob", true), PersonView { present: false, ..person("Carol", false) }],
        since: Some(START),
        ended: Some(after(23)),
        notes: NotesView::On,
        mos_tenths: Some(42),
        ..view(ended(true, CallOutcome::CallerHungUp))
    };
    let context = CardContext {
        zone: &berlin(),
        trunk: Some("office"),
        notes_posted: true,
        cost: Msat::from_sat(412),
        seen_by: &[],
    };
    assert_eq!(
        body(&card(&over, &context)),
        "Call with +442079460123 (Ada Lovelace) · 14:08–14:31 (23 min) · Bob, Carol, phone · sound good (MOS 4.2) · cost 412 sat · \
         notes in the thread"
    );
}

#[test]
fn a_missed_call_says_why_in_a_word_that_a_person_uses() {
    for (outcome, words) in [
        (CallOutcome::NobodyAnswered, "missed: nobody answered"),
        (CallOutcome::Cancelled, "missed: the caller gave up"),
        (CallOutcome::Busy, "missed: line busy"),
        (CallOutcome::UnknownNumber, "missed: the number does not exist"),
        (CallOutcome::Refused { status: 503 }, "missed: refused (503)"),
        (CallOutcome::Failed { why: "media_server".into() }, "missed: the media server does not answer"),
        (
            CallOutcome::Failed { why: "panicked at src/x.rs".into() },
            "missed: something failed here; the operator's log has more",
        ),
    ] {
        let missed = CardView { ended: Some(START), ..view(ended(false, outcome)) };
        assert_eq!(plain(&missed), format!("Call with +442079460123 (Ada Lovelace) · 14:08 · {words}"));
    }
    let lost = CardView { since: Some(START), ended: Some(after(1)), ..view(ended(true, CallOutcome::MediaTimeout)) };
    assert!(plain(&lost).ends_with(" · phone · no more sound came from the phone"));
}

#[test]
fn a_card_tells_what_hinders_and_what_to_do() {
    let live = CardView { people: vec![person("Bob", true)], since: Some(START), ..view(PhoneState::Up) };
    let failed = NotesView::Failed(AttendProblem::MediaServer("rtc.example.org".into()));
    assert!(plain(&CardView { notes: failed, ..live.clone() }).ends_with(
        "\nNotes: none. I could not join the call: the media server at rtc.example.org does not answer. The call goes on without notes. \
         The operator can run `roomtone check`."
    ));
    let keyless = CardView { keyless: vec![PartyId::new("@Bob:hs")], ..live };
    assert!(plain(&keyless).ends_with(
        "\nNo sound of Bob: the media key has not come, so what is said there is silence. Leaving the call and joining it again helps."
    ));
}

#[test]
fn captions_to_the_letter() {
    let said = ["We ship on Friday".to_owned(), "if the mock-ups are there.".to_owned()];
    assert_eq!(
        caption("Bob", after(1), &said, None, &berlin()),
        json!({
            "msgtype": "m.text",
            "body": "Bob (14:09) We ship on Friday if the mock-ups are there.",
            "format": "org.matrix.custom.html",
            "formatted_body": "<strong>Bob</strong> (14:09) We ship on Friday if the mock-ups are there.",
            "m.mentions": {},
        })
    );
    assert_eq!(body(&not_transcribed("Carol")), "Carol [not transcribed]");
    assert_eq!(
        body(&not_heard("Phone", after(4), after(5), "connection lost", &berlin())),
        "Phone [not heard 14:12–14:13: connection lost]"
    );
    assert_eq!(body(&taken_back("Carol")), "Carol [taken back]");
}

fn cited(text: &str, cites: &[u64]) -> Cited {
    Cited { text: text.into(), cites: cites.to_vec(), ..Cited::default() }
}

fn due(said: &str, date: &str, time: Option<&str>) -> Due {
    Due { said: said.into(), date: date.parse().unwrap(), time: time.map(|t| t.parse().unwrap()) }
}

fn sample() -> Notes {
    Notes {
        title: "Release planning".into(),
        summary: vec![cited("The mock-ups are due on Thursday.", &[1]), cited("The budget is with the CFO.", &[2])],
        decisions: vec![cited("Ship on Friday, 27 November, if the mock-ups are there.", &[1, 2])],
        actions: vec![
            Action {
                id: models::notes::ItemId(1),
                text: "mock-ups".into(),
                owner: Some("Bob".into()),
                due: Some(due("Thursday, end of day", "2026-11-26", None)),
                cites: vec![1],
            },
            Action {
                id: models::notes::ItemId(2),
                text: "ask the CFO about the budget".into(),
                owner: None,
                due: None,
                cites: vec![9],
            },
        ],
        questions: vec![cited("Who tells the customers?", &[3])],
        next_meeting: Some(NextMeeting {
            id: models::notes::ItemId(3),
            when: due("Saturday the second at ten", "2027-01-02", Some("10:00")),
            cites: vec![3],
        }),
        keywords: vec!["mock-ups".into()],
        written_by: "extractive".into(),
        ..Notes::default()
    }
}

fn paper_of(notes_of: &Notes, seen_by: &[&str]) -> Value {
    let link = |id: u64| match id {
        1 => Some(EventRef::Event(owned_event_id!("$one"))),
        2 => Some(EventRef::Event(owned_event_id!("$two"))),
        3 => Some(EventRef::Effect(EffectId::from_bytes([3; 16]))),
        _ => None,
    };
    notes(&NotesPaper {
        notes: notes_of,
        parties: &[
            NotesParty { name: "Bob", phone: false, heard: true, user: Some(owned_user_id!("@bob:hs")) },
            NotesParty { name: "Carol", phone: false, heard: false, user: Some(owned_user_id!("@carol:hs")) },
            NotesParty { name: "Ada Lovelace", phone: true, heard: true, user: None },
        ],
        started: START,
        length: Some(Duration::from_secs(23 * 60)),
        zone: &berlin(),
        interrupted: false,
        recogniser: "whisper base.en",
        seen_by,
        cost: None,
        room: room_id!("!room:hs"),
        via: &["hs".into()],
        link: &link,
        state: &|item| (item == 2).then_some(TodoState::Done),
    })
}

#[test]
fn notes_to_the_letter() {
    let content = paper_of(&sample(), &[]);
    let third = EventRef::Effect(EffectId::from_bytes([3; 16])).placeholder();
    let (one, two, three) = (
        "https://matrix.to/#/!room:hs/$one?via=hs".to_owned(),
        "https://matrix.to/#/!room:hs/$two?via=hs".to_owned(),
        format!("https://matrix.to/#/!room:hs/{third}?via=hs"),
    );
    assert_eq!(
        body(&content),
        format!(
            "Release planning · 23 min · Bob, Carol (not heard), Ada Lovelace (phone)\n\
             The mock-ups are due on Thursday. The budget is with the CFO.\n\
             Decided\n\
             - Ship on Friday, 27 November, if the mock-ups are there. ↗ {one} ↗ {two}\n\
             To do\n\
             - ☐ 1. Bob: mock-ups, by Thursday 26 November (\"Thursday, end of day\") ↗ {one}\n\
             - ☑ 2. (no owner): ask the CFO about the budget\n\
             Open\n\
             - Who tells the customers? ↗ {three}\n\
             Next call\n\
             - 3. Saturday 2 January 2027, 10:00 (\"Saturday the second at ten\") ↗ {three}\n\
             Written by: extractive, whisper base.en; on this server only. !notes fix 1 … · !notes todo · !notes forget me · !notes help"
        )
    );
    assert_eq!(
        content["formatted_body"].as_str().unwrap(),
        format!(
            "<p><strong>Release planning</strong> · 23 min · Bob, Carol (not heard), Ada Lovelace (phone)</p>\
             <p>The mock-ups are due on Thursday. The budget is with the CFO.</p>\
             <p><strong>Decided</strong></p><ul><li>Ship on Friday, 27 November, if the mock-ups are there. \
             <a href=\"{one}\">↗</a> <a href=\"{two}\">↗</a></li></ul>\
             <p><strong>To do</strong></p><ul><li>☐ 1. Bob: mock-ups, by Thursday 26 November (&quot;Thursday, end of day&quot;) \
             <a href=\"{one}\">↗</a></li><li>☑ 2. (no owner): ask the CFO about the budget</li></ul>\
             <p><strong>Open</strong></p><ul><li>Who tells the customers? <a href=\"{three}\">↗</a></li></ul>\
             <p><strong>Next call</strong></p><ul><li>3. Saturday 2 January 2027, 10:00 (&quot;Saturday the second at ten&quot;) \
             <a href=\"{three}\">↗</a></li></ul>\
             <p><em>Written by: extractive, whisper base.en; on this server only.</em> \
             <code>!notes fix 1 …</code> · <code>!notes todo</code> · <code>!notes forget me</code> · <code>!notes help</code></p>"
        )
    );
    assert_eq!(
        (content["msgtype"].as_str(), &content["m.mentions"]),
        (Some("m.text"), &json!({ "user_ids": ["@bob:hs"] }))
    );
}

#[test]
fn notes_leave_out_what_has_no_content() {
    let content = paper_of(&Notes { written_by: "extractive".into(), ..Notes::default() }, &["llm.example"]);
    assert_eq!(
        body(&content),
        "Notes · 23 min · Bob, Carol (not heard), Ada Lovelace (phone)\n\
         Written by: extractive, whisper base.en; words seen by llm.example. !notes forget me · !notes help"
    );
    assert_eq!(content["m.mentions"], json!({}));
}

#[test]
fn hits_link_to_their_messages() {
    let hit = Hit {
        call: CallId::from_bytes([1; 16]),
        started: START,
        place: HitPlace::Utterance(UtteranceId(1)),
        speaker: Some("Ada <Lovelace>".into()),
        snippet: "we ship on Friday".into(),
        event: Some(owned_event_id!("$one")),
        at: after(1),
    };
    let content = hits("friday", std::slice::from_ref(&hit), room_id!("!room:hs"), &[], &berlin());
    assert_eq!(
        content["formatted_body"],
        "<strong>&quot;friday&quot;</strong> in one place:<ul><li>Friday 20 November, 14:09 · <strong>Ada &lt;Lovelace&gt;</strong>: \
         we ship on Friday <a href=\"https://matrix.to/#/!room:hs/$one\">↗</a></li></ul>"
    );
    assert_eq!(
        content["body"],
        "\"friday\" in one place:\n- Friday 20 November, 14:09 · Ada <Lovelace>: we ship on Friday ↗ https://matrix.to/#/!room:hs/$one"
    );
    assert!(body(&hits("x", &[], room_id!("!room:hs"), &[], &berlin())).starts_with("Nobody said \"x\""));
}

fn policy_view<'v>() -> PolicyView<'v> {
    PolicyView {
        notes: true,
        live: false,
        language: None,
        terms: 0,
        lines: &[],
        recogniser: "whisper base.en",
        writer: "extractive",
        seen_by: &[],
        asked_again: false,
        set_by: Some("Bob"),
    }
}

#[test]
fn the_policy_is_told_in_words() {
    let view = policy_view();
    assert!(
        body(&policy_changed(&view, true, None, None))
            .starts_with("Bob turned notes on. In a call I am there for all to see.")
    );
    assert!(
        body(&policy(&PolicyView { notes: false, ..view.clone() }))
            .starts_with("Notes are off in this room. Set by Bob.\n")
    );
    assert_eq!(
        body(&policy_changed(&view, false, Some(true), Some("de"))),
        "Bob changed this room's settings. Captions come while people still speak, and may change until a sentence is finished. \
         The language spoken here is de."
    );
    let lines = ["Phones: several people, told apart.".to_owned()];
    let set = PolicyView { live: true, language: Some("auto"), terms: 2, lines: &lines, ..view };
    assert!(body(&policy(&set)).ends_with(
        "\nCaptions come while people still speak. The language is found out while people speak. Phones: several people, told \
         apart. I know 2 terms of yours: !notes words."
    ));
}

#[test]
fn words_that_leave_the_server_are_told_wherever_people_agree() {
    let here = "recognised by whisper base.en and the notes are written by extractive, both on this server; nothing goes elsewhere.";
    assert!(body(&policy(&policy_view())).contains(here));
    let hosts = ["asr.example", "llm.example"];
    let away = PolicyView { seen_by: &hosts, writer: "llm q", recogniser: "http w", ..policy_view() };
    let told = "recognised by http w and the notes are written by llm q. What is heard is also seen by asr.example and llm.example.";
    for content in [policy(&away), policy_changed(&away, true, None, None)] {
        assert!(body(&content).contains(told) && !body(&content).contains("nothing goes elsewhere"));
    }
    let live = CardView {
        people: vec![person("Bob", true)],
        since: Some(START),
        notes: NotesView::On,
        ..view(PhoneState::Up)
    };
    let context = CardContext { zone: &berlin(), trunk: None, notes_posted: false, cost: None, seen_by: &hosts };
    assert!(
        body(&card(&live, &context)).contains("What is heard is also seen by asr.example and llm.example. React ✅")
    );
    let again = body(&asked_again(&PolicyView { asked_again: true, ..away.clone() }));
    assert!(again.starts_with("Notes wait.") && again.contains("llm.example") && again.ends_with("says !notes on."));
    let waits = body(&policy(&PolicyView { notes: false, asked_again: true, ..away }));
    assert!(waits.contains("I hear nobody until somebody"), "{waits}");
}

#[test]
fn a_caption_shows_unfinished_words_as_such() {
    let said = ["One.".to_owned()];
    assert_eq!(body(&caption("Bob", after(1), &said, Some("and we"), &berlin())), "Bob (14:09) One. and we…");
    assert_eq!(body(&caption("Bob", after(1), &[], Some("We ship..."), &berlin())), "Bob (14:09) We ship…");
}

#[test]
fn an_edit_has_the_new_content_and_the_fallback_for_old_clients() {
    let new = caption("Bob", START, &["Two.".into()], None, &berlin());
    assert_eq!(
        edit(event_id!("$first"), new.clone()),
        json!({
            "msgtype": "m.text",
            "body": "* Bob (14:08) Two.",
            "format": "org.matrix.custom.html",
            "formatted_body": "* <strong>Bob</strong> (14:08) Two.",
            "m.mentions": {},
            "m.new_content": new,
            "m.relates_to": { "rel_type": "m.replace", "event_id": "$first" },
        })
    );
}

#[test]
fn hostile_names_and_words_stay_words() {
    let name = "Eve\u{202e}<img src=x onerror=alert(1)>\n</strong>";
    let forged = EventRef::Effect(EffectId::from_bytes([3; 16])).placeholder();
    let content =
        caption(name, START, &[format!("<script>& \"quoted\" 'it' {forged}\u{0}\u{1b}[31m")], None, &berlin());
    let html = content["formatted_body"].as_str().unwrap();
    assert_eq!(html.matches('<').count(), 2, "{html}");
    assert!(html.starts_with("<strong>Eve&lt;img src=x onerror=alert(1)&gt; &lt;/strong&gt;</strong> (14:08) &lt;script&gt;&amp; &quot;quoted&quot; &#39;it&#39;"));
    for text in [html, content["body"].as_str().unwrap()] {
        assert!(!text.contains([MARK_OPEN, MARK_CLOSE, '\u{202e}', '\0', '\u{1b}', '\n']), "{text:?}");
    }
    assert!(
        permalink(room_id!("!a\"b/<c>:hs"), &EventRef::Event(owned_event_id!("$x")), &["\"><b".into()])
            .chars()
            .all(|c| !"\"<>".contains(c))
    );
}

#[test]
fn lengths_are_said_as_people_do() {
    let said: Vec<String> =
        [0, 59, 60, 23 * 60 + 59, 3600, 3900].into_iter().map(|s| duration(Duration::from_secs(s))).collect();
    assert_eq!(said, ["0 s", "59 s", "1 min", "23 min", "1 h", "1 h 5 min"]);
}

proptest! {
    #[test]
    fn html_and_plain_say_the_same_for_any_words(name in any::<String>(), words in any::<String>()) {
        let mut doc = Doc::new();
        doc.bold(&name).say(" (14:09) ").say(&words).list(&[{ let mut d = Doc::new(); d.italic(&words); d }]);
        let seen = doc
            .html()
            .replace("<ul>", "").replace("</ul>", "").replace("<li>", "\n- ").replace("</li>", "")
            .replace("<strong>", "").replace("</strong>", "").replace("<em>", "").replace("</em>", "");
        prop_assert!(!seen.contains(['<', '>']));
        let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
        prop_assert_eq!(seen, doc.plain());
    }

    #[test]
    fn clean_text_is_one_line_and_stays_clean(text in any::<String>()) {
        let once = clean(&text);
        prop_assert!(!once.chars().any(char::is_control));
        prop_assert!(!once.contains("  ") && once.trim() == once);
        prop_assert_eq!(clean(&once), once.clone());
    }
}
