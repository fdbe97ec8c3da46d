//! What rooms are to be told: money that came in by itself. Read from the ledger, so that no crash loses any.

use std::time::Duration;

use super::ask::{News, Refused, Told};
use super::counter::{Counter, ROOMS};
use crate::ledger::{Movement, Purpose, Record};

/// Who asks waits so long for something new. Less than the other side's patience.
const WAIT: Duration = Duration::from_secs(5);
/// At most so many at a time.
const PAGE: u32 = 100;

/// What came in behind a number; `None`: nothing yet, and where to begin.
pub(super) async fn since(counter: &Counter, after: Option<i64>) -> Result<Told, Refused> {
    let mut top_ups = counter.service().watch_top_ups();
    let Some(after) = after else {
        return Ok(Told::News { after: counter.ledger().last_number().await?, news: Vec::new() });
    };
    let mut found = counter.ledger().posted(Purpose::TopUp, after, PAGE).await?;
    if found.iter().all(|(number, _)| *number <= after) {
        // Another process may have written it: then nobody here is woken, and the next question finds it.
        let _ = tokio::time::timeout(WAIT, top_ups.changed()).await;
        found = counter.ledger().posted(Purpose::TopUp, after, PAGE).await?;
    }
    let last = found.iter().map(|(number, _)| *number).fold(after, i64::max);
    let mut news = Vec::new();
    for (_, record) in found {
        news.extend(of(counter, record).await?);
    }
    Ok(Told::News { after: last, news })
}

/// `None`: no room's.
async fn of(counter: &Counter, record: Record) -> Result<Option<News>, Refused> {
    let Movement::Post { credit, amount, .. } = record.transfer.movement else { return Ok(None) };
    let note = counter.ledger().note(&format!("{ROOMS}{credit}")).await?;
    let Some(room) = note.and_then(|note| note.body) else { return Ok(None) };
    let sums = record.sides.and_then(|sides| sides.sums_of(credit)).unwrap_or_default();
    let (id, purpose) = (record.transfer.id.to_string(), record.transfer.purpose);
    Ok(Some(News { id, room, purpose, amount, available: sums.available() }))
}
