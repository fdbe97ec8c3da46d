//! Tells rooms what came in by itself.

use std::{sync::Arc, time::Duration};

use matrix_sdk::ruma::RoomId;
use payments::{
    attach::{Ask, News, Refused, Told},
    rates::Quote,
};
use tokio_util::sync::CancellationToken;

use crate::{
    archive::{Archive, EffectId},
    call::House,
    journal::{Effect, Lane, NewEffect, Purpose},
    text,
};

/// The name under which the archive remembers how far was read.
const CURSOR: &str = "payments";
/// After an error it is asked again so much later.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells rooms what came in until `stop`. What was told is recorded in the journal with how far was read, so that a crash
/// leaves out nothing; what is read twice has the same name and is sent once.
pub async fn tell_rooms(house: Arc<House>, stop: CancellationToken) {
    if !house.payments.charges() {
        return;
    }
    let mut complained = false;
    loop {
        let round = tokio::select! {
            round = round(&house) => round,
            () = stop.cancelled() => return,
        };
        match round {
            Ok(()) => complained = false,
            Err(error) => {
                // Once, not at each try.
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!(%error, "it is not known what money came in; rooms are told later");
                }
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

async fn round(house: &House) -> anyhow::Result<()> {
    let archive = &house.archive;
    let after = archive.cursor(CURSOR).await?;
    let answer =
        house.payments.ask(Ask::News { after }).await.map_err(|refused: Refused| anyhow::anyhow!("{refused}"))?;
    let Told::News { after: next, news } = answer.told else { anyhow::bail!("an answer to another question") };
    if !news.is_empty() || after != Some(next) {
        tell(house, archive, &news, answer.quote.as_ref(), next).await?;
    }
    Ok(())
}

async fn tell(house: &House, archive: &Archive, all: &[News], quote: Option<&Quote>, next: i64) -> anyhow::Result<()> {
    let mut tx = archive.begin().await?;
    for news in all {
        let Ok(room) = RoomId::parse(&news.room) else { continue };
        let effect = Effect::SendEvent {
            as_user: house.matrix.bot().user_id().to_owned(),
            room: room.clone(),
            event_type: "m.room.message".to_owned(),
            content: text::news(news, quote),
            relation: None,
            purpose: Purpose::Notice,
        };
        let id = EffectId::answering(&news.id, "money came in");
        tx.record(&NewEffect { id, call: None, lane: Lane::room(&room), party: None, effect }).await?;
    }
    tx.set_cursor(CURSOR, next).await?;
    Ok(tx.commit().await?)
}
