//! What stands behind `!pay`.

use payments::{Msat, attach::NodeAsk, plan::Plan};

use super::Mistake;
use super::read::split;
use super::spec::Spec;

/// Lines of a statement where nobody says how many.
const LINES: u32 = 10;

/// Something that is asked about money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayAsk {
    /// What the room has.
    Balance,
    /// An invoice of so much.
    TopUp(Msat),
    /// The latest lines.
    Statement(u32),
    /// What calls cost where the number begins so.
    Rates(String),
    /// Which plan the room has; `Some`: another one.
    Plan(Option<Plan>),
    /// Redeems a voucher.
    Redeem(String),
    /// Pays back.
    Refund {
        /// Where to.
        to: String,
        /// How much; `None`: what the invoice says.
        amount: Option<Msat>,
    },
    /// Gives the room money.
    Credit(Msat),
    /// Makes a voucher.
    Voucher {
        /// What it is worth.
        amount: Msat,
        /// How long it can be redeemed.
        days: Option<u32>,
    },
    /// Freezes the account, or thaws it.
    Freeze(bool),
    /// Lets a payout go.
    Approve(String),
    /// Looks after the embedded Lightning node.
    Node(NodeAsk),
    /// The books in short.
    Report,
}

/// Reads what stands behind the command's word.
pub(super) fn read(spec: &'static Spec, word: &str, arguments: &str) -> Result<PayAsk, Mistake> {
    let wrong = |cause: &dyn ToString| Mistake::Argument { spec, cause: cause.to_string() };
    if arguments.is_empty() && spec.arguments.starts_with('<') {
        return Err(Mistake::Incomplete(spec));
    }
    let amount = |text: &str| match text.parse::<Msat>() {
        Ok(amount) if amount.is_zero() => Err(wrong(&"nothing is no amount")),
        Ok(amount) => Ok(amount),
        Err(error) => Err(wrong(&error)),
    };
    let whole = |text: &str| text.parse::<u32>().map_err(|_| wrong(&format!("{text:?} is no whole number")));
    Ok(match word {
        "balance" => PayAsk::Balance,
        "topup" => PayAsk::TopUp(amount(arguments)?),
        "statement" if arguments.is_empty() => PayAsk::Statement(LINES),
        "statement" => PayAsk::Statement(whole(arguments)?),
        "rates" => PayAsk::Rates(arguments.to_owned()),
        "redeem" => PayAsk::Redeem(arguments.to_owned()),
        "refund" => match split(arguments) {
            (to, "") => PayAsk::Refund { to: to.to_owned(), amount: None },
            (to, sum) => PayAsk::Refund { to: to.to_owned(), amount: Some(amount(sum)?) },
        },
        "credit" => PayAsk::Credit(amount(arguments)?),
        "voucher" => match arguments.rsplit_once(char::is_whitespace) {
            // "5 000" is one number: the days stand behind a sum with its unit, or behind one word.
            Some((sum, days)) if !sum.trim().contains(' ') || sum.ends_with("sat") => {
                PayAsk::Voucher { amount: amount(sum)?, days: Some(whole(days)?) }
            }
            _ => PayAsk::Voucher { amount: amount(arguments)?, days: None },
        },
        "freeze" => PayAsk::Freeze(true),
        "thaw" => PayAsk::Freeze(false),
        "approve" => PayAsk::Approve(arguments.to_owned()),
        "report" => PayAsk::Report,
        "node" => PayAsk::Node(match split(arguments) {
            ("", _) => NodeAsk::Standing,
            ("address", "") => NodeAsk::Address,
            ("open", rest) => match split(rest) {
                (peer, sum) if !sum.is_empty() => NodeAsk::Open { peer: peer.to_owned(), amount: amount(sum)? },
                _ => return Err(Mistake::Incomplete(spec)),
            },
            ("close", channel) if !channel.is_empty() => NodeAsk::Close { channel: channel.to_owned() },
            _ => return Err(Mistake::Incomplete(spec)),
        }),
        _ if arguments.is_empty() => PayAsk::Plan(None),
        _ => PayAsk::Plan(Some(arguments.to_ascii_lowercase().parse().map_err(|error| wrong(&error))?)),
    })
}
