//! The table of commands.

use super::{Command, PayAsk, Refusal, Who, WordsAsk};

/// The first word of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// `!call`.
    Call,
    /// `!notes`.
    Notes,
    /// `!pay`.
    Pay,
}

impl Group {
    /// The word after the exclamation mark.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Notes => "notes",
            Self::Pay => "pay",
        }
    }

    /// What the group is about.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Call => "Phones",
            Self::Notes => "Notes of calls",
            Self::Pay => "What calls cost",
        }
    }

    /// All of them, in the order of the help.
    pub(super) const ALL: [Self; 3] = [Self::Call, Self::Notes, Self::Pay];
}

/// What a command asks of who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// To be in the room.
    Nothing,
    /// To be allowed by the operator.
    Permission,
    /// That, and the level of the room's settings.
    Settings,
    /// That, and the level for numbers.
    Linking,
    /// To be an admin of this Roomtone.
    Admin,
}

/// One command as it is read and explained.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its group.
    pub group: Group,
    /// Its word after the group's (may be two: `forget me`).
    pub word: &'static str,
    /// What follows, `[optional] <required>`.
    pub arguments: &'static str,
    /// What it does, half a sentence.
    pub does: &'static str,
    /// The whole line of an example.
    pub example: &'static str,
    pub(super) needs: Needs,
}

impl Spec {
    /// As it is typed, without arguments: `!notes search`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("!{} {}", self.group.word(), self.word)
    }

    pub(super) fn may(&'static self, who: &Who) -> Result<(), Refusal> {
        if self.group == Group::Pay && !who.charged {
            return Err(Refusal::NotCharged);
        }
        if self.needs == Needs::Nothing {
            return Ok(());
        }
        if !who.permitted {
            return Err(Refusal::NotPermitted(self));
        }
        let (needed, others) = match self.needs {
            Needs::Settings => (who.settings_level, &who.may_set),
            Needs::Linking => (who.link_level, &who.may_link),
            Needs::Admin => return if who.admin { Ok(()) } else { Err(Refusal::NotAdmin(self)) },
            Needs::Nothing | Needs::Permission => return Ok(()),
        };
        if who.level >= needed {
            return Ok(());
        }
        Err(Refusal::Power { spec: self, needed, has: who.level, who: others.clone() })
    }
}

macro_rules! table {
    ($($name:ident: $group:ident $word:literal $arguments:literal $needs:ident $does:literal $example:literal;)*) => {
        $(pub(super) static $name: Spec = Spec {
            group: Group::$group, word: $word, arguments: $arguments, does: $does, example: $example, needs: Needs::$needs,
        };)*
        static ALL: &[&Spec] = &[$(&$name),*];
    };
}

table! {
    LINK: Call "link" "<number>" Linking "lets a number ring this room" "!call link +15550100";
    UNLINK: Call "unlink" "[number]" Linking "takes the number away again, or all of them" "!call unlink +15550100";
    NUMBERS: Call "numbers" "" Permission "says which numbers ring this room" "!call numbers";
    HANG_UP: Call "hangup" "" Permission "hangs up the phones in this room's call" "!call hangup";
    CALL_HELP: Call "help" "" Nothing "says what there is about phones" "!call help";
    AGREE: Notes "agree" "" Nothing "lets your words be part of the notes of the call that goes on" "!notes agree";
    STOP: Notes "stop" "" Nothing "takes that back, at any time, and deletes what you said in the call" "!notes stop";
    STATUS: Notes "status" "" Nothing "says who is heard now" "!notes status";
    POLICY: Notes "policy" "" Nothing "says what is written in this room, by whom and where" "!notes policy";
    SO_FAR: Notes "so far" "" Nothing "shows the notes of the call that goes on, as they stand now" "!notes so far";
    TODO: Notes "todo" "[all|mine]" Nothing "shows what is to be done; a reaction ✅ ticks" "!notes todo mine";
    DONE: Notes "done" "<number>" Nothing "ticks a to-do" "!notes done 3";
    REOPEN: Notes "reopen" "<number>" Nothing "opens it again" "!notes reopen 3";
    DROP: Notes "drop" "<number>" Nothing "takes a to-do off the list" "!notes drop 3";
    FIX: Notes "fix" "<number> owner|due|text|drop [what]" Nothing "mends a line of the notes" "!notes fix 2 owner Bob";
    CORRECT: Notes "correct" "[link] <words>" Nothing "puts right what you said in a caption (the link's, or the one you answer)" "!notes correct 1 We ship on Friday.";
    NAME: Notes "name" "<speaker> <name>" Nothing "names a voice on a line that several people share, for this call" "!notes name A Grace";
    SEARCH: Notes "search" "<words>" Nothing "finds where words were said, with links" "!notes search mock-ups friday";
    LIST: Notes "list" "" Nothing "lists the latest calls, with links" "!notes list";
    FORGET_ME: Notes "forget me" "" Nothing "deletes what you said in this room's calls" "!notes forget me";
    WORDS: Notes "words" "" Nothing "shows the names and terms that I should know" "!notes words";
    WORDS_CHANGE: Notes "words add" "<term, term>" Settings "adds some; `words remove` takes them away" "!notes words add Kubernetes, Grace Hopper";
    LANGUAGE: Notes "language" "<code|auto> [for party]" Settings "says which language is spoken" "!notes language de for phone";
    LIVE: Notes "live" "<fast|normal>" Settings "shows captions while people still speak, or once they have spoken" "!notes live fast";
    SPEAKERS: Notes "speakers" "<phone|number> <several|one>" Settings "tells apart several people on one line" "!notes speakers phone several";
    NOTES_ON: Notes "on" "" Settings "has notes written of this room's calls, of who agrees" "!notes on";
    NOTES_OFF: Notes "off" "" Settings "ends that" "!notes off";
    NOTES_HELP: Notes "help" "" Nothing "says what there is about notes" "!notes help";
    BALANCE: Pay "balance" "" Nothing "says what this room can spend, and its plan" "!pay balance";
    TOP_UP: Pay "topup" "<sat>" Permission "sends you an invoice for this room, to be paid by Lightning" "!pay topup 5000";
    STATEMENT: Pay "statement" "[lines]" Nothing "shows what came in and what was spent" "!pay statement 20";
    RATES: Pay "rates" "<number>" Nothing "says what calls cost where the dialled number begins so" "!pay rates +44";
    PLAN: Pay "plan" "" Nothing "says which plan this room has" "!pay plan";
    PLAN_CHANGE: Pay "plan free|pro|team" "" Settings "takes another plan" "!pay plan pro";
    REDEEM: Pay "redeem" "<voucher>" Nothing "credits a voucher to this room" "!pay redeem 7Q2M-0XKD-9A4T-ZZ3R";
    REFUND: Pay "refund" "<invoice> [sat]" Settings "pays what this room has to a Lightning invoice or offer" "!pay refund lnbc50u1p…";
    CREDIT: Pay "credit" "<sat>" Admin "gives this room money" "!pay credit 5000";
    VOUCHER: Pay "voucher" "<sat> [days]" Admin "makes a voucher" "!pay voucher 5000 30";
    FREEZE: Pay "freeze" "" Admin "lets nothing in or out of this room's account" "!pay freeze";
    THAW: Pay "thaw" "" Admin "ends that" "!pay thaw";
    APPROVE: Pay "approve" "<payout>" Admin "lets a refund go that waits for it" "!pay approve 3f2a";
    NODE: Pay "node" "[address | open <key@host:port> <sat> | close <channel>]" Admin "looks after the embedded Lightning node" "!pay node address";
    REPORT: Pay "report" "" Admin "shows the books in short" "!pay report";
    PAY_HELP: Pay "help" "" Nothing "says what there is about money" "!pay help";
}

/// Every command, in the order of the help.
#[must_use]
pub fn all() -> &'static [&'static Spec] {
    ALL
}

/// The command's line in the table.
pub(super) fn of(command: &Command) -> &'static Spec {
    match command {
        Command::Link(_) => &LINK,
        Command::Unlink(_) => &UNLINK,
        Command::Numbers => &NUMBERS,
        Command::HangUp => &HANG_UP,
        Command::NotesOn => &NOTES_ON,
        Command::NotesOff => &NOTES_OFF,
        Command::Agree => &AGREE,
        Command::Stop => &STOP,
        Command::Status => &STATUS,
        Command::Policy => &POLICY,
        Command::SoFar => &SO_FAR,
        Command::Todo(_) => &TODO,
        Command::Done(_) => &DONE,
        Command::Reopen(_) => &REOPEN,
        Command::Drop(_) => &DROP,
        Command::Fix(..) => &FIX,
        Command::Correct(..) => &CORRECT,
        Command::Name(..) => &NAME,
        Command::Words(WordsAsk::Show) => &WORDS,
        Command::Words(_) => &WORDS_CHANGE,
        Command::Language(..) => &LANGUAGE,
        Command::Live(_) => &LIVE,
        Command::Speakers(..) => &SPEAKERS,
        Command::Search(_) => &SEARCH,
        Command::List => &LIST,
        Command::ForgetMe => &FORGET_ME,
        Command::Help(Some(Group::Call)) => &CALL_HELP,
        Command::Help(Some(Group::Pay)) => &PAY_HELP,
        Command::Pay(ask) => pay(ask),
        Command::Help(_) => &NOTES_HELP,
    }
}

const fn pay(ask: &PayAsk) -> &'static Spec {
    match ask {
        PayAsk::Balance => &BALANCE,
        PayAsk::TopUp(_) => &TOP_UP,
        PayAsk::Statement(_) => &STATEMENT,
        PayAsk::Rates(_) => &RATES,
        PayAsk::Plan(None) => &PLAN,
        PayAsk::Plan(Some(_)) => &PLAN_CHANGE,
        PayAsk::Redeem(_) => &REDEEM,
        PayAsk::Refund { .. } => &REFUND,
        PayAsk::Credit(_) => &CREDIT,
        PayAsk::Voucher { .. } => &VOUCHER,
        PayAsk::Freeze(true) => &FREEZE,
        PayAsk::Freeze(false) => &THAW,
        PayAsk::Approve(_) => &APPROVE,
        PayAsk::Node(_) => &NODE,
        PayAsk::Report => &REPORT,
    }
}
