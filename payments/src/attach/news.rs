//! What rooms are to be told: money that came in by itself, and how refunds have ended. Read from the ledger, so that no crash loses any.

use std::time::Duration;

use super::ask::{News, NewsKind, Refused, Told};
use super::counter::{Counter, ROOMS};
use crate::ledger::{Movement, Purpose, Record};

/// Who asks waits so long for something new. Less than the other side's patience.
const WAIT: Duration = Duration::from_secs(5);
/// At most so many at a time.
const PAGE: u32 = 100;

/// What happened behind a number; `None`: nothing yet, and where to begin.
pub(super) async fn since(counter: &Counter, after: Option<i64>) -> Result<Told, Refused> {
    let mut top_ups = counter.service().watch_top_ups();
    let Some(after) = after else {
        return Ok(Told::News { after: counter.ledger().last_number().await?, news: Vec::new() });
    };
    let mut found = moved(counter, after).await?;
    if found.iter().all(|(number, _)| *number <= after) {
        // Another process may have written it: then nobody here is woken, and the next question finds it.
        let _ = tokio::time::timeout(WAIT, top_ups.changed()).await;
        found = moved(counter, after).await?;
    }
    let last = found.iter().map(|(number, _)| *number).fold(after, i64::max);
    let mut news = Vec::new();
    for (_, record) in found {
        news.extend(of(counter, record).await?);
    }
    Ok(Told::News { after: last, news })
}

/// Money that came in, and refunds that have ended, in the order of their numbers.
async fn moved(counter: &Counter, after: i64) -> Result<Vec<(i64, Record)>, Refused> {
    let came_in = counter.ledger().posted(Purpose::TopUp, after, PAGE).await?;
    let ended = counter.ledger().resolved(Purpose::Refund, after, PAGE).await?;
    // Behind the end of a full page of one there may be more of it: the other waits for that.
    let full = [&came_in, &ended].into_iter().filter(|page| page.len() == PAGE as usize);
    let read = full.filter_map(|page| page.last()).map(|(number, _)| *number).min().unwrap_or(i64::MAX);
    let mut all: Vec<_> = came_in.into_iter().chain(ended).filter(|(number, _)| *number <= read).collect();
    all.sort_by_key(|(number, _)| *number);
    Ok(all)
}

/// `None`: no room's.
async fn of(counter: &Counter, record: Record) -> Result<Option<News>, Refused> {
    let Some(sides) = record.sides else { return Ok(None) };
    let (account, amount, kind) = match record.transfer.movement {
        Movement::Post { credit, amount, .. } => (credit, amount, NewsKind::CameIn),
        Movement::Settle { amount, .. } => (sides.debit.account, amount, NewsKind::PaidOut),
        Movement::Void { reservation } => {
            let held = counter.ledger().reservation(reservation).await?;
            let Some(held) = held else { return Ok(None) };
            (held.debit, held.amount, NewsKind::NotPaidOut)
        }
        _ => return Ok(None),
    };
    let note = counter.ledger().note(&format!("{ROOMS}{account}")).await?;
    let Some(room) = note.and_then(|note| note.body) else { return Ok(None) };
    let sums = sides.sums_of(account).unwrap_or_default();
    let (id, purpose) = (record.transfer.id.to_string(), record.transfer.purpose);
    Ok(Some(News { id, room, purpose, kind, amount, available: sums.available() }))
}
