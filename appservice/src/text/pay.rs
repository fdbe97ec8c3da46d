//! Money in words.

use std::time::Duration;

use payments::{
    Msat,
    attach::{
        Invoice, News, NewsKind, NodeStanding, PartnerLine, PartnerWindow, Payout, PayoutStep, RateLine, Refused,
        Report, Standing, StatementLine, Transcription,
    },
    charge::Means,
    ledger::Purpose,
    plan::Plan,
    rates::Quote,
};
use serde_json::Value;

use super::{Doc, Zone, duration, notice, plain_answer};
use bridge::time::UnixMillis;

/// A sum, and what it is worth where that is known: `412 sat (0.36 EUR)`.
#[must_use]
pub fn money(amount: Msat, quote: Option<&Quote>) -> String {
    match quote.and_then(|quote| quote.shown(amount)) {
        Some(worth) => format!("{amount} ({worth})"),
        None => amount.to_string(),
    }
}

/// A change with its sign.
fn signed(change: i64) -> String {
    let amount = Msat::new(change.unsigned_abs()).unwrap_or(Msat::MAX);
    if change < 0 { format!("\u{2212}{amount}") } else { format!("+{amount}") }
}

/// In the thread of a call: what pays for it ends in so much time; `None`: it goes on after all.
#[must_use]
pub fn credit_left(left: Option<Duration>) -> Value {
    let mut doc = Doc::new();
    match left {
        Some(left) => {
            // A timer is a little late: 59.99 s are 60.
            let seconds = (left + Duration::from_millis(500)).as_secs();
            doc.say(&format!("The credit of this room ends in {seconds} s; then the phone is hung up. "));
            doc.code("!pay topup 5000").say(" lets the call go on without a break.");
        }
        None => {
            doc.say("There is credit again: the call goes on.");
        }
    }
    notice(&doc)
}

/// A phone rang and was not put through, because nobody pays for it.
#[must_use]
pub fn declined(label: &str, means: Means, why: &str) -> Value {
    let mut doc = Doc::new();
    doc.bold(&format!("Call from {label}")).say(" · missed: ");
    match means {
        Means::NoMoney => {
            doc.say("the credit of this room does not pay for it. ").code("!pay topup 5000").say(" adds some.");
        }
        Means::NotAllowed => {
            doc.say(&format!("{why}."));
        }
        Means::Failed => {
            doc.say("it could not be charged, and no call is put through then. The operator's log says why.");
        }
    }
    notice(&doc)
}

/// `!pay balance`.
#[must_use]
pub fn standing(has: &Standing, quote: Option<&Quote>, zone: &Zone) -> Value {
    let mut doc = Doc::new();
    doc.bold(&money(has.available, quote)).say(" can be spent by this room");
    if !has.reserved.is_zero() {
        doc.say(&format!("; {} more are held back for calls and payouts", has.reserved));
    }
    doc.say(".");
    if has.frozen {
        doc.say(" The account is frozen: nothing goes in or out until the operator thaws it.");
    }
    doc.line().say(&plan_words(has, zone));
    notice(&doc)
}

fn plan_words(has: &Standing, zone: &Zone) -> String {
    let mut words = format!("Plan: {}", has.plan);
    if let Some(paid) = has.subscription.as_ref().filter(|_| has.plan != Plan::Free) {
        let until = zone.day_and_clock(UnixMillis(paid.until.0));
        let then = if paid.renews { "then the next month is paid" } else { "then it ends" };
        words.push_str(&format!(", paid until {until}, {then}"));
    }
    let Transcription { left, history, users } = has.transcription;
    words.push_str(&match left {
        Some(left) => format!("; {} may still be written down this month", duration(left)),
        None => "; as much is written down as is spoken".to_owned(),
    });
    words.push_str(&match history {
        Some(days) => format!("; notes are kept {days} days"),
        None => "; notes are kept until somebody deletes them".to_owned(),
    });
    if users > 1 {
        words.push_str(&format!("; for {users} people"));
    }
    words.push('.');
    words
}

/// `!pay plan`, after a change.
#[must_use]
pub fn plan(has: &Standing, quote: Option<&Quote>, zone: &Zone) -> Value {
    let mut doc = Doc::new();
    doc.say(&plan_words(has, zone)).line().say(&format!("{} can be spent by this room.", money(has.available, quote)));
    notice(&doc)
}

/// `!pay statement`.
#[must_use]
pub fn statement(lines: &[StatementLine], zone: &Zone) -> Value {
    let mut doc = Doc::new();
    if lines.is_empty() {
        return plain_answer("Nothing was paid into this room's account or taken from it yet.");
    }
    doc.bold("Statement").say(", newest first:");
    let items: Vec<Doc> = lines
        .iter()
        .map(|line| {
            let mut item = Doc::new();
            item.say(&format!("{} · {} ", zone.day_and_clock(UnixMillis(line.at.0)), purpose(line.purpose)));
            item.bold(&signed(line.change)).say(&format!(" · {} left", line.left));
            item
        })
        .collect();
    doc.list(&items);
    notice(&doc)
}

const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::TopUp => "top-up",
        Purpose::Call => "call",
        Purpose::Plan => "plan",
        Purpose::Voucher => "voucher",
        Purpose::Refund => "refund",
        Purpose::RoutingFee => "fee of a refund",
        Purpose::Settlement => "settlement",
        Purpose::Credit => "credit by the operator",
        Purpose::Correction => "correction",
    }
}

/// `!pay rates`.
#[must_use]
pub fn rates(digits: &str, lines: &[RateLine], quote: Option<&Quote>) -> Value {
    if lines.is_empty() {
        return plain_answer(&format!("There is no price for {digits}: such calls are not put through."));
    }
    let mut doc = Doc::new();
    doc.bold("Calls").say(", by the beginning of the number that is dialled:");
    let items: Vec<Doc> = lines.iter().map(|line| rate(line, quote)).collect();
    doc.list(&items);
    notice(&doc)
}

fn rate(line: &RateLine, quote: Option<&Quote>) -> Doc {
    let mut item = Doc::new();
    item.code(&format!("+{}", line.prefix));
    if !line.destination.is_empty() {
        item.say(&format!(" {}", line.destination));
    }
    let terms = &line.terms;
    item.say(&format!(": {} a minute", money(terms.per_minute, quote)));
    if !terms.connect_fee.is_zero() {
        item.say(&format!(", {} for the answer", money(terms.connect_fee, quote)));
    }
    item.say(&format!(", in steps of {} s", terms.increments));
    item
}

/// What goes into the direct message with an invoice, before its picture.
#[must_use]
pub fn invoice(invoice: &Invoice, room: &str, quote: Option<&Quote>, zone: &Zone) -> Value {
    let mut doc = Doc::new();
    doc.bold(&money(invoice.amount, quote)).say(&format!(" for {room}, to be paid by Lightning until "));
    doc.say(&zone.clock(UnixMillis(invoice.expires.0))).say(":").line().code(&invoice.bolt11);
    notice(&doc)
}

/// `!pay refund`, `!pay approve`.
#[must_use]
pub fn payout(payout: &Payout, quote: Option<&Quote>) -> Value {
    let mut doc = Doc::new();
    let amount = money(payout.amount, quote);
    match &payout.step {
        PayoutStep::Waiting => {
            doc.say(&format!("{amount} are held back until an admin of this Roomtone approves the refund: "));
            doc.code(&format!("!pay approve {}", payout.id)).say(".");
        }
        PayoutStep::OnItsWay => {
            doc.say(&format!("{amount} are on their way, for a fee of at most {}.", payout.fee_limit));
            doc.say(" What becomes of it stands in ").code("!pay statement").say(".");
        }
        PayoutStep::Paid { fee } => {
            doc.say(&format!("{amount} were paid out, for a fee of {fee}."));
        }
        PayoutStep::Failed { why } => {
            doc.say(&format!("{amount} could not be paid out: {why}. They are back on the room's account."));
        }
    }
    notice(&doc)
}

/// A sum came on the room's account.
#[must_use]
pub fn credited(amount: Msat, available: Msat, quote: Option<&Quote>) -> Value {
    plain_answer(&format!("{} credited. {} can be spent now.", money(amount, quote), money(available, quote)))
}

/// The same, or how a refund has ended, told to a room by itself.
#[must_use]
pub fn news(news: &News, quote: Option<&Quote>) -> Value {
    let mut doc = Doc::new();
    doc.bold(&money(news.amount, quote)).say(&match news.kind {
        NewsKind::CameIn => format!(
            " came in by {}. ",
            match news.purpose {
                Purpose::TopUp => "Lightning",
                other => purpose(other),
            }
        ),
        NewsKind::PaidOut => " were paid out: the refund has arrived. ".to_owned(),
        NewsKind::NotPaidOut => " could not be paid out: the refund has failed, and they are back. ".to_owned(),
    });
    doc.say(&format!("{} can be spent now.", money(news.available, quote)));
    notice(&doc)
}

/// `!pay voucher`: worth money to whoever reads it first.
#[must_use]
pub fn voucher(code: &str, amount: Msat) -> Value {
    let mut doc = Doc::new();
    doc.say(&format!("A voucher of {amount}, for whoever redeems it first: ")).code(code).say(". ");
    doc.code(&format!("!pay redeem {code}")).say(" in the room that is to have it. It is shown this once.");
    notice(&doc)
}

/// `!pay freeze`, `!pay thaw`.
#[must_use]
pub fn frozen(has: &Standing) -> Value {
    plain_answer(if has.frozen {
        "This room's account is frozen: no call that costs is put through, nothing goes in or out. `!pay thaw` ends it."
    } else {
        "This room's account is open."
    })
}

/// `!pay node`.
#[must_use]
pub fn node(node: &NodeStanding) -> Value {
    let mut doc = Doc::new();
    doc.bold("Lightning node").say(" ").code(&node.id);
    doc.say(&format!(" · {} on the chain, for new channels", node.on_chain));
    let items: Vec<Doc> = node
        .channels
        .iter()
        .map(|channel| {
            let mut item = Doc::new();
            item.code(&channel.id).say(" with ").code(&channel.peer);
            let works = if channel.usable { "" } else { " · not usable now" };
            item.say(&format!(" · can pay out {}, can receive {}{works}", channel.can_send, channel.can_receive));
            item
        })
        .collect();
    if items.is_empty() {
        doc.line().say("No channel yet. ").code("!pay node address").say(" says where to send bitcoin, ");
        doc.code("!pay node open").say(" opens one.");
    } else {
        doc.list(&items);
    }
    notice(&doc)
}

/// `!pay node address`.
#[must_use]
pub fn address(address: &str) -> Value {
    let mut doc = Doc::new();
    doc.say("Bitcoin sent to ").code(address).say(" is on the node's chain wallet once it is confirmed.");
    notice(&doc)
}

/// `!pay report`.
#[must_use]
pub fn report(report: &Report, quote: Option<&Quote>) -> Value {
    let mut doc = Doc::new();
    let mut lines = vec![
        format!("{} rooms, {} of them frozen", report.rooms, report.frozen),
        format!("owed to rooms: {}, of it held back: {}", money(report.owed, quote), report.reserved),
        format!("earned by calls and plans: {}", signed(report.earned)),
        format!("given away: {}", signed(report.given)),
    ];
    if report.suspense != 0 {
        lines.push(format!("came in and cannot be told whose it is: {}", signed(report.suspense)));
    }
    lines.extend(report.partners.iter().map(partner));
    lines.push(match &report.payouts_stopped {
        Some(why) => format!("payouts are stopped: {why}"),
        None => "payouts go".to_owned(),
    });
    lines.push(if report.balanced { "the books balance" } else { "THE BOOKS DO NOT BALANCE: see the log" }.to_owned());
    let items: Vec<Doc> = lines
        .iter()
        .map(|line| {
            let mut item = Doc::new();
            item.say(line);
            item
        })
        .collect();
    doc.bold("The books").list(&items);
    notice(&doc)
}

/// How things stand with another operator, in a line.
fn partner(line: &PartnerLine) -> String {
    let PartnerLine { name, balance, newest, not_paid } = line;
    let amount = Msat::new(balance.unsigned_abs()).unwrap_or(Msat::MAX);
    let mut words = match balance.signum() {
        1 => format!("{name} owes {amount}"),
        -1 => format!("owed to {name}: {amount}"),
        _ => format!("nothing is owed to {name}, or by them"),
    };
    words.push_str(&match newest {
        None => "; their first window has not ended".to_owned(),
        Some(PartnerWindow::Proposed) => "; their statement of the last window is waited for".to_owned(),
        Some(PartnerWindow::Disputed(calls)) => format!("; the last window is not agreed: {calls} calls differ"),
        Some(PartnerWindow::Agreed(0)) => "; the last window is agreed".to_owned(),
        Some(PartnerWindow::Agreed(calls)) => format!("; the last window is agreed but for {calls} calls"),
    });
    if let Some(why) = not_paid {
        words.push_str(&format!("; OUR PAYMENT WAS NOT MADE: {why}"));
    }
    words
}

/// Why something about money was not done.
#[must_use]
pub fn refused(refused: &Refused) -> Value {
    let mut doc = Doc::new();
    match refused {
        Refused::NotCharged => {
            doc.say("Nobody is charged here, so there are no accounts.");
        }
        Refused::NotSetUp(what) => {
            doc.say(&format!("{what} is not set up on this Roomtone. The operator's docs/payments.md says how."));
        }
        Refused::Mistake(why) => {
            doc.say(&format!("That cannot be done: {why}."));
        }
        Refused::NotEnough { available } => {
            doc.say(&format!("That takes more than this room has: {available}. "))
                .code("!pay topup")
                .say(" adds some.");
        }
        Refused::Frozen => {
            doc.say("This room's account is frozen. Only the operator can thaw it.");
        }
        Refused::Unavailable(_) => {
            doc.say(
                "The payments service does not answer as it should; nothing was lost. Please try again in a while.",
            );
        }
    }
    notice(&doc)
}

#[cfg(test)]
mod tests;
