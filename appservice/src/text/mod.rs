//! Words for people: what stands in the room, and what errors say.
//!
//! Everything here is a pure function from what is known to an event's content (without relation: the
//! [journal](crate::journal) adds it). Names and texts of people are cleaned and escaped in one place, [`Doc`], which
//! writes HTML and plain text in one go, so that both say the same. The words can be changed here and nowhere else.

mod answers;
mod caption;
mod card;
mod content;
mod doc;
mod notes;
mod pay;
mod reasons;
mod time;
mod todos;

#[cfg(test)]
mod tests;

pub use answers::{
    CallLine, PolicyView, TakenBack, asked_again, hits, list, numbers, plain_answer, policy, policy_changed, set,
    status, taken_back_words, words,
};
pub use caption::{caption, not_heard, not_transcribed, taken_back};
pub use card::{CardContext, card};
pub use content::{MARK_CLOSE, MARK_OPEN, edit, notice, permalink, text};
pub use doc::{Doc, clean, escape};
pub use notes::{NotesPaper, NotesParty, day_seen_from, notes, words_of_notes};
pub use pay::{
    address, credit_left, credited, declined, frozen, invoice, money, news, node, payout, plan, rates, refused, report,
    standing, statement, voucher,
};
pub use reasons::{problem, why};
pub use time::{Zone, duration};
pub use todos::{TodoLine, reminder, ticked, todos};
