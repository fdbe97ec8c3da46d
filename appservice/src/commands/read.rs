//! From a message to a command.

use bridge::ids::E164;

use super::spec::{self, Group, Spec};
use super::{Command, Mistake, ask, nearest::nearest};

/// No command is longer; what is, is cut.
const LONGEST: usize = 4096;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Its plain body.
    pub body: &'a str,
    /// In a direct room with the bot: no prefix is needed.
    pub direct: bool,
    /// The message mentions the bot.
    pub mentions_bot: bool,
    /// What the bot is called at the start of such a message: display name, user id, local part.
    pub bot_names: &'a [&'a str],
}

/// What a message asks for. `None`: it is not for us.
///
/// # Errors
/// [`Mistake`]: it is for us, but no command.
pub fn read(heard: &Heard<'_>) -> Option<Result<Command, Mistake>> {
    let body = heard.body.trim();
    let body = &body[..body.floor_char_boundary(LONGEST)];
    if let Some(rest) = body.strip_prefix('!') {
        return prefixed(rest, heard.direct);
    }
    if let Some(rest) = addressed(body, heard.bot_names).filter(|_| heard.mentions_bot || heard.direct) {
        return Some(bare(rest));
    }
    if heard.direct && !body.is_empty() {
        return Some(bare(body));
    }
    // Named in passing: answered where it is plainly a command, else it is talk about us.
    if heard.mentions_bot {
        return bare(&without_names(body, heard.bot_names)).ok().map(Ok);
    }
    None
}

/// `call …` or `notes …` after an exclamation mark. Other words belong to other bots, but in a direct room.
fn prefixed(rest: &str, direct: bool) -> Option<Result<Command, Mistake>> {
    let (first, tail) = split(rest);
    if let Some(group) = group(first) {
        return Some(in_group(group, tail));
    }
    direct.then(|| bare(rest))
}

fn group(word: &str) -> Option<Group> {
    Group::ALL.into_iter().find(|g| g.word().eq_ignore_ascii_case(word))
}

/// Without the bot's name at the start and what people put after it.
fn addressed<'a>(body: &'a str, names: &[&str]) -> Option<&'a str> {
    let after = names
        .iter()
        .filter(|n| !n.is_empty())
        .filter_map(|name| strip_name(body, name))
        .min_by_key(|rest| rest.len())?;
    Some(after.trim_start_matches([':', ',', ' ', '\u{a0}', '!']))
}

fn strip_name<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let body = body.strip_prefix('@').filter(|_| !name.starts_with('@')).unwrap_or(body);
    let head = body.get(..name.len())?;
    let rest = &body[name.len()..];
    let ends = rest.chars().next().is_none_or(|c| !c.is_alphanumeric());
    (ends && head.to_lowercase() == name.to_lowercase()).then_some(rest)
}

fn without_names(body: &str, names: &[&str]) -> String {
    let mut out = body.to_owned();
    for name in names.iter().filter(|n| !n.is_empty()) {
        out = out.replace(name, " ");
    }
    out
}

/// A command with or without its group's word.
fn bare(text: &str) -> Result<Command, Mistake> {
    let text = text.trim().trim_start_matches('!');
    let (first, tail) = split(text);
    if let Some(group) = group(first) {
        return in_group(group, tail);
    }
    if first.is_empty() || first.eq_ignore_ascii_case("help") {
        return Ok(Command::Help(None));
    }
    match find(text, |_| true) {
        Some((found, arguments)) => build(found, arguments),
        None => Err(Mistake::Unknown { word: first.to_owned(), nearest: near(first, |_| true) }),
    }
}

fn in_group(group: Group, text: &str) -> Result<Command, Mistake> {
    let (first, _) = split(text);
    if first.is_empty() {
        return Ok(Command::Help(Some(group)));
    }
    match find(text, |s| s.group == group) {
        Some((found, arguments)) => build(found, arguments),
        None => Err(Mistake::Unknown {
            word: format!("!{} {first}", group.word()),
            nearest: near(first, |s| s.group == group).or_else(|| near(first, |_| true)),
        }),
    }
}

fn find(text: &str, fits: impl Fn(&Spec) -> bool) -> Option<(&'static Spec, &str)> {
    let (first, rest) = split(text);
    let found =
        spec::all().iter().copied().filter(|s| fits(s)).find(|s| split(s.word).0.eq_ignore_ascii_case(first))?;
    Some((found, rest))
}

fn near(word: &str, fits: impl Fn(&Spec) -> bool) -> Option<&'static Spec> {
    nearest(word, spec::all().iter().copied().filter(|s| fits(s)).map(|s| (split(s.word).0, s)))
}

fn build(found: &'static Spec, arguments: &str) -> Result<Command, Mistake> {
    let arguments = arguments.trim();
    let number = |text: &str| E164::parse(text).map_err(|cause| Mistake::Number { spec: found, cause });
    let todo = || ask::number(arguments).ok_or(Mistake::Incomplete(found));
    Ok(match (found.group, found.word) {
        (Group::Call, "link") if arguments.is_empty() => return Err(Mistake::Incomplete(found)),
        (Group::Call, "link") => Command::Link(number(arguments)?),
        (Group::Call, "unlink") if arguments.is_empty() => Command::Unlink(None),
        (Group::Call, "unlink") => Command::Unlink(Some(number(arguments)?)),
        (Group::Call, "numbers") => Command::Numbers,
        (Group::Call, "hangup") => Command::HangUp,
        (Group::Notes, "on") => Command::NotesOn,
        (Group::Notes, "off") => Command::NotesOff,
        (Group::Notes, "agree") => Command::Agree,
        (Group::Notes, "stop") => Command::Stop,
        (Group::Notes, "status") => Command::Status,
        (Group::Notes, "policy") => Command::Policy,
        (Group::Notes, "search") if arguments.is_empty() => return Err(Mistake::Incomplete(found)),
        (Group::Notes, "search") => Command::Search(arguments.to_owned()),
        (Group::Notes, "list") => Command::List,
        (Group::Notes, "so far") if arguments.eq_ignore_ascii_case("far") => Command::SoFar,
        (Group::Notes, "so far") => return Err(Mistake::Incomplete(found)),
        (Group::Notes, "words" | "words add") => {
            Command::Words(ask::words(arguments).ok_or(Mistake::Incomplete(&spec::WORDS_CHANGE))?)
        }
        (Group::Notes, "language") => {
            let (spoken, who) = ask::language(arguments).ok_or(Mistake::Incomplete(found))?;
            Command::Language(spoken, who)
        }
        (Group::Notes, "live") => match arguments.to_ascii_lowercase().as_str() {
            "fast" => Command::Live(true),
            "normal" => Command::Live(false),
            _ => return Err(Mistake::Incomplete(found)),
        },
        (Group::Notes, "speakers") => {
            let (who, several) = ask::speakers(arguments).ok_or(Mistake::Incomplete(found))?;
            Command::Speakers(who, several)
        }
        (Group::Notes, "name") => {
            let (line, voice, name) = ask::name(arguments).ok_or(Mistake::Incomplete(found))?;
            Command::Name(line, voice, name)
        }
        (Group::Notes, "correct") => {
            let (which, text) = ask::correct(arguments).ok_or(Mistake::Incomplete(found))?;
            Command::Correct(which, text)
        }
        (Group::Notes, "fix") => {
            let (item, change) = ask::fix(arguments).ok_or(Mistake::Incomplete(found))?;
            Command::Fix(item, change)
        }
        (Group::Notes, "todo") => Command::Todo(ask::todo(arguments).ok_or(Mistake::Incomplete(found))?),
        (Group::Notes, "done") => Command::Done(todo()?),
        (Group::Notes, "reopen") => Command::Reopen(todo()?),
        (Group::Notes, "drop") => Command::Drop(todo()?),
        (Group::Notes, "forget me") if arguments.eq_ignore_ascii_case("me") => Command::ForgetMe,
        (Group::Notes, "forget me") => return Err(Mistake::Incomplete(found)),
        (Group::Pay, word) if word != "help" => Command::Pay(super::pay::read(found, word, arguments)?),
        (group, _) => Command::Help(Some(group)),
    })
}

/// The first word and the rest.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).map_or((text, ""), |(first, rest)| (first, rest.trim_start()))
}
