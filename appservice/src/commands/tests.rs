//! Commands as people type them.

use payments::{Msat, plan::Plan};
use proptest::prelude::*;

use super::*;

const NAMES: &[&str] = &["Roomtone", "@roomtone:hs", "roomtone"];

fn heard(body: &str) -> Heard<'_> {
    Heard { body, direct: false, mentions_bot: false, bot_names: NAMES }
}

fn in_room(body: &str) -> Option<Result<Command, Mistake>> {
    read(&heard(body))
}

fn direct(body: &str) -> Option<Result<Command, Mistake>> {
    read(&Heard { direct: true, ..heard(body) })
}

fn mentioned(body: &str) -> Option<Result<Command, Mistake>> {
    read(&Heard { mentions_bot: true, ..heard(body) })
}

fn number(text: &str) -> E164 {
    E164::parse(text).unwrap()
}

fn sat(amount: u64) -> Msat {
    Msat::from_sat(amount).unwrap()
}

fn who(level: i64) -> Who {
    Who {
        level,
        settings_level: 50,
        link_level: 100,
        permitted: true,
        admin: false,
        charged: true,
        may_set: vec!["Bob".into(), "Carol".into()],
        may_link: vec!["Carol".into()],
    }
}

#[test]
fn every_command_is_read_as_it_is_typed() {
    for (body, want) in [
        ("!call link +15550100", Command::Link(number("+15550100"))),
        ("!CALL Link  0044 (20) 7946-0123 ", Command::Link(number("+442079460123"))),
        ("!call unlink", Command::Unlink(None)),
        ("!call unlink +1 555 0100", Command::Unlink(Some(number("+15550100")))),
        ("!call numbers", Command::Numbers),
        ("!call hangup", Command::HangUp),
        ("!call", Command::Help(Some(Group::Call))),
        ("!call help", Command::Help(Some(Group::Call))),
        ("!notes on", Command::NotesOn),
        ("!notes off", Command::NotesOff),
        ("!notes agree", Command::Agree),
        ("!notes stop", Command::Stop),
        ("!notes status", Command::Status),
        ("!notes policy", Command::Policy),
        ("!notes search mock-ups  Friday", Command::Search("mock-ups  Friday".into())),
        ("!notes list", Command::List),
        ("!notes forget me", Command::ForgetMe),
        ("!notes so far", Command::SoFar),
        ("!pay", Command::Help(Some(Group::Pay))),
        ("!pay balance", Command::Pay(PayAsk::Balance)),
        ("!pay topup 5 000 sat", Command::Pay(PayAsk::TopUp(sat(5_000)))),
        ("!pay statement", Command::Pay(PayAsk::Statement(10))),
        ("!pay rates +44 20", Command::Pay(PayAsk::Rates("+44 20".into()))),
        ("!pay plan", Command::Pay(PayAsk::Plan(None))),
        ("!pay plan Pro", Command::Pay(PayAsk::Plan(Some(Plan::Pro)))),
        ("!pay refund lnbc1 70", Command::Pay(PayAsk::Refund { to: "lnbc1".into(), amount: Some(sat(70)) })),
        ("!pay voucher 5000 30", Command::Pay(PayAsk::Voucher { amount: sat(5_000), days: Some(30) })),
        ("!pay voucher 5000", Command::Pay(PayAsk::Voucher { amount: sat(5_000), days: None })),
        ("!pay freeze", Command::Pay(PayAsk::Freeze(true))),
        ("!pay thaw", Command::Pay(PayAsk::Freeze(false))),
        ("!pay report", Command::Pay(PayAsk::Report)),
        ("!notes words", Command::Words(WordsAsk::Show)),
        (
            "!notes words add Kubernetes, Grace  Hopper,",
            Command::Words(WordsAsk::Add(vec!["Kubernetes".into(), "Grace Hopper".into()])),
        ),
        ("!notes words REMOVE Kubernetes", Command::Words(WordsAsk::Remove(vec!["Kubernetes".into()]))),
        ("!notes language DE", Command::Language(Spoken::Code("de".into()), None)),
        ("!notes language auto for phone", Command::Language(Spoken::Auto, Some(PartyName::Phones))),
        (
            "!notes language fr for +15550100",
            Command::Language(Spoken::Code("fr".into()), Some(PartyName::Number(number("+15550100")))),
        ),
        (
            "!notes language en for Bob Builder",
            Command::Language(Spoken::Code("en".into()), Some(PartyName::Person("Bob Builder".into()))),
        ),
        ("!notes live fast", Command::Live(true)),
        ("!notes live Normal", Command::Live(false)),
        ("!notes speakers phone several", Command::Speakers(PartyName::Phones, true)),
        ("!notes speakers +44 20 7946 0123 one", Command::Speakers(PartyName::Number(number("+442079460123")), false)),
        ("!notes name A Grace Hopper", Command::Name(None, Voice(0), "Grace Hopper".into())),
        ("!notes name speaker b: Ada", Command::Name(None, Voice(1), "Ada".into())),
        ("!notes name +15550100 C Ada", Command::Name(Some(number("+15550100")), Voice(2), "Ada".into())),
        ("!notes correct 1 We ship.", Command::Correct(Which::FromEnd(1), "We ship.".into())),
        ("!notes correct We ship.", Command::Correct(Which::Answered, "We ship.".into())),
        (
            "!notes correct https://matrix.to/#/!room:hs/%24one?via=hs We ship.",
            Command::Correct(Which::Event("$one".into()), "We ship.".into()),
        ),
        ("!notes fix 2 owner Bob", Command::Fix(2, Change::Owner(Some("Bob".into())))),
        ("!notes fix 2. owner nobody", Command::Fix(2, Change::Owner(None))),
        ("!notes fix 2 due Thursday at ten", Command::Fix(2, Change::Due(Some("Thursday at ten".into())))),
        ("!notes fix #2 text Send them", Command::Fix(2, Change::Text("Send them".into()))),
        ("!notes fix 2 drop", Command::Fix(2, Change::Drop)),
        ("!notes todo", Command::Todo(TodoFilter::Open)),
        ("!notes todo mine", Command::Todo(TodoFilter::Mine)),
        ("!notes done #3", Command::Done(3)),
        ("!notes reopen 3", Command::Reopen(3)),
        ("!notes drop 3", Command::Drop(3)),
        ("!notes help", Command::Help(Some(Group::Notes))),
    ] {
        assert_eq!(in_room(body), Some(Ok(want.clone())), "{body}");
        assert_eq!(direct(body.trim_start_matches('!')), Some(Ok(want)), "{body} in a direct room");
    }
}

#[test]
fn what_is_not_for_us_is_left_alone() {
    for body in ["hello", "!ping", "notes on", "call me", "", "!", "we should search"] {
        assert_eq!(in_room(body), None, "{body:?}");
    }
    assert_eq!(mentioned("thanks roomtone, well done"), None, "talk about us is no command");
}

#[test]
fn a_direct_room_and_a_mention_need_no_prefix() {
    assert_eq!(direct("search friday"), Some(Ok(Command::Search("friday".into()))));
    assert_eq!(direct("help"), Some(Ok(Command::Help(None))));
    for body in ["Roomtone: notes on", "@roomtone:hs notes on", "roomtone, on", "@Roomtone !notes on"] {
        assert_eq!(mentioned(body), Some(Ok(Command::NotesOn)), "{body}");
    }
    assert_eq!(in_room("Roomtone: notes on"), None, "a name without a mention is only a name");
}

#[test]
fn a_mistyped_word_is_answered_with_the_nearest() {
    let nearest = |answer: Option<Result<Command, Mistake>>| match answer {
        Some(Err(Mistake::Unknown { nearest, .. })) => nearest.map(Spec::name),
        other => panic!("{other:?}"),
    };
    assert_eq!(nearest(in_room("!notes serach friday")).as_deref(), Some("!notes search"));
    assert_eq!(nearest(in_room("!notes agre")).as_deref(), Some("!notes agree"));
    assert_eq!(nearest(in_room("!notes hangpu")).as_deref(), Some("!call hangup"));
    assert_eq!(nearest(in_room("!call hippopotamus")), None);
    assert_eq!(nearest(direct("good morning")), None);
}

#[test]
fn what_is_missing_or_wrong_is_said_with_an_example() {
    let said = |body: &str| match in_room(body) {
        Some(Err(m)) => mistake(&m).plain().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(said("!call link"), "It takes a little more: !call link <number>, as in !call link +15550100.");
    assert_eq!(
        said("!notes search "),
        "It takes a little more: !notes search <words>, as in !notes search mock-ups friday."
    );
    assert_eq!(
        said("!call link 15550100"),
        "That is no number: a number starts with + and the country code, as in +15550100. As in !call link +15550100."
    );
    assert_eq!(
        said("!notes words frobnicate x"),
        "It takes a little more: !notes words add <term, term>, as in !notes words add Kubernetes, Grace Hopper."
    );
    for wrong in [
        "!notes language",
        "!notes language german",
        "!notes language de to Bob",
        "!notes live",
        "!notes speakers Bob several",
        "!notes name Ada",
        "!notes name A",
        "!notes correct",
        "!notes fix owner Bob",
        "!notes fix 2",
        "!notes fix 2 owner",
        "!notes fix 0 drop",
        "!notes todo yours",
        "!notes done",
        "!notes done x",
        "!notes so",
    ] {
        assert!(said(wrong).starts_with("It takes a little more: "), "{wrong}");
    }
    assert_eq!(said("!pay topup"), "It takes a little more: !pay topup <sat>, as in !pay topup 5000.");
    assert_eq!(said("!pay topup -5"), "That cannot be: an amount cannot be negative. As in !pay topup 5000.");
    assert_eq!(
        said("!pay plan gold"),
        "That cannot be: \"gold\" is no plan; there are free, pro and team. As in !pay plan."
    );
    assert_eq!(said("!notes lsit"), "I know no !notes lsit. Did you mean !notes list?");
    assert_eq!(said("!notes <b>x"), "I know no !notes <b>x. !call help and !notes help say what there is.");
}

#[test]
fn a_refusal_names_the_level_and_who_has_it() {
    assert_eq!(may(&who(50), &Command::NotesOn), Ok(()));
    let refused = may(&who(0), &Command::NotesOn).unwrap_err();
    assert_eq!(
        refusal(&refused).plain(),
        "!notes on takes power level 50 in this room; you have 0. Who has it: Bob, Carol."
    );
    assert!(may(&who(50), &Command::Link(number("+15550100"))).is_err());
    let stranger = Who { permitted: false, ..who(100) };
    assert!(matches!(may(&stranger, &Command::NotesOn), Err(Refusal::NotPermitted(_))));
    for right in [Command::Agree, Command::Stop, Command::ForgetMe, Command::Policy] {
        assert_eq!(may(&stranger, &right), Ok(()), "{right:?} is everyone's right");
    }
    let alone = Who { may_set: Vec::new(), ..who(0) };
    assert!(refusal(&may(&alone, &Command::NotesOff).unwrap_err()).plain().ends_with("Nobody here has it."));
}

#[test]
fn help_offers_what_may_be_run_and_nothing_else() {
    let commands = [
        Command::Link(number("+15550100")),
        Command::Unlink(None),
        Command::Numbers,
        Command::HangUp,
        Command::NotesOn,
        Command::NotesOff,
        Command::Agree,
        Command::Stop,
        Command::Status,
        Command::Policy,
        Command::Search("x".into()),
        Command::List,
        Command::ForgetMe,
        Command::SoFar,
        Command::Words(WordsAsk::Add(vec!["x".into()])),
        Command::Language(Spoken::Auto, None),
        Command::Live(true),
        Command::Speakers(PartyName::Phones, true),
        Command::Fix(1, Change::Drop),
        Command::Done(1),
        Command::Pay(PayAsk::Balance),
        Command::Pay(PayAsk::TopUp(sat(1))),
        Command::Pay(PayAsk::Refund { to: "x".into(), amount: None }),
        Command::Pay(PayAsk::Credit(sat(1))),
        Command::Pay(PayAsk::Report),
    ];
    let admin = Who { admin: true, ..who(0) };
    let free = Who { charged: false, admin: true, ..who(100) };
    for who in [who(0), who(50), who(100), Who { permitted: false, ..who(100) }, admin, free] {
        let text = help(None, &who, false);
        for command in &commands {
            let name = spec::of(command).name();
            let offered = text.html().contains(&format!("<code>{name}"))
                && text.plain().lines().any(|l| l.starts_with(&format!("- {name} ")));
            assert_eq!(offered, may(&who, command).is_ok(), "{name} at {who:?}");
        }
    }
    assert!(!help(Some(Group::Call), &who(0), false).plain().contains("!notes"));
}

#[test]
fn every_example_is_a_command_of_its_own_line() {
    for spec in all() {
        let Some(Ok(command)) = in_room(spec.example) else { panic!("{} is no command", spec.example) };
        assert_eq!(spec::of(&command), *spec);
    }
}

#[test]
fn the_help_reads_well() {
    let text = help(Some(Group::Call), &who(100), true);
    assert_eq!(
        text.plain(),
        "Phones (here you may leave out the first word)\n\
         - !call link <number> – lets a number ring this room, as in !call link +15550100\n\
         - !call unlink [number] – takes the number away again, or all of them, as in !call unlink +15550100\n\
         - !call numbers – says which numbers ring this room\n\
         - !call hangup – hangs up the phones in this room's call\n\
         - !call help – says what there is about phones"
    );
    assert!(text.html().starts_with("<p><strong>Phones</strong> (here you may leave out the first word)</p><ul><li><code>!call link &lt;number&gt;</code>"));
}

proptest! {
    #[test]
    fn no_message_panics(body in any::<String>(), direct in any::<bool>(), mentions_bot in any::<bool>()) {
        let names = ["Roomtone", "ß", ""];
        if let Some(Err(m)) = read(&Heard { body: &body, direct, mentions_bot, bot_names: &names }) {
            let doc = mistake(&m);
            prop_assert!(!doc.plain().is_empty());
        }
    }

    #[test]
    fn no_command_line_panics(group in "!?(call|notes|Roomtone:?) ", rest in "[a-zA-Z0-9+ äß🙂!<>-]{0,40}") {
        let body = format!("{group}{rest}");
        for direct in [false, true] {
            for mentions_bot in [false, true] {
                let _ = read(&Heard { body: &body, direct, mentions_bot, bot_names: NAMES });
            }
        }
    }
}
