//! Sends what the journal holds, lane by lane, each in its order.
//!
//! An effect is `Sent` on the disk before anybody acts; its Matrix transaction id is made from its own id, so that a
//! crash between acting and writing that down leads to the same event.

use std::{collections::HashSet, sync::Arc, time::Duration};

use matrix_sdk::ruma::{OwnedEventId, UserId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    archive::Archive,
    journal::{Action, Due, Failure, Lane},
    matrix::{Matrix, MatrixError, VirtualUser},
};

/// First pause after a failure; doubles.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// The task that sends. See the module's text.
pub struct Outbox {
    archive: Archive,
    matrix: Matrix,
}

impl Outbox {
    /// An outbox over this journal.
    #[must_use]
    pub fn new(archive: Archive, matrix: Matrix) -> Self {
        Self { archive, matrix }
    }

    /// Sends until `stop`; what is under way then is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let journal = this.archive.journal();
        let mut recorded = journal.watch();
        recorded.mark_changed();
        let mut busy: HashSet<Lane> = HashSet::new();
        let mut lanes: JoinSet<(Lane, u64)> = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = recorded.changed() => if changed.is_err() { break },
                Some(lane) = lanes.join_next(), if !lanes.is_empty() => {
                    match lane {
                        Ok((lane, began)) => {
                            busy.remove(&lane);
                            // What was recorded since is looked for below. Where there is nothing new, the lane is empty,
                            // or waits for an event of another lane: that one's record will wake us.
                            if *recorded.borrow() == began {
                                continue;
                            }
                        }
                        // The error would quote the panic's message; where it was is in the log.
                        Err(error) => {
                            tracing::error!(task = %error.id(), "a lane of the outbox panicked: this is a bug");
                        }
                    }
                }
            }
            let now = *recorded.borrow_and_update();
            match journal.lanes().await {
                Ok(waiting) => {
                    for lane in waiting {
                        if busy.insert(lane.clone()) {
                            let (this, stop) = (Arc::clone(&this), stop.clone());
                            lanes.spawn(async move {
                                this.lane(&lane, &stop).await;
                                (lane, now)
                            });
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "the journal cannot be read"),
            }
        }
        while lanes.join_next().await.is_some() {}
    }

    /// Sends a lane until it is empty, waits for another lane, or `stop`.
    async fn lane(&self, lane: &Lane, stop: &CancellationToken) {
        let journal = self.archive.journal();
        let mut pause = RETRY_FIRST;
        while !stop.is_cancelled() {
            let due = match journal.next_ready(lane).await {
                Ok(Some(due)) => due,
                Ok(None) => return,
                Err(error) => return tracing::error!(lane = lane.as_str(), %error, "the journal cannot be read"),
            };
            let outcome = self.act(&due).await;
            while let Err(error) = match &outcome {
                Ok(event) => journal.done(due.id, event.as_deref()).await,
                Err(failure) => journal.failed(due.id, failure).await,
            } {
                // Until it is written the lane stands still. After a restart the effect is sent again under the same id.
                tracing::error!(effect = %due.id, %error, "the journal cannot be written, trying again");
                tokio::select! {
                    () = tokio::time::sleep(RETRY_LONGEST) => {}
                    () = stop.cancelled() => return,
                }
            }
            match outcome {
                Ok(_) => pause = RETRY_FIRST,
                Err(Failure::Refused(reason)) => {
                    tracing::warn!(lane = lane.as_str(), effect = %due.id, reason, "refused for good");
                }
                Err(_) => {
                    tracing::warn!(lane = lane.as_str(), effect = %due.id, attempt = due.attempt, "not sent, trying again");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return,
                    }
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
    }

    async fn act(&self, due: &Due) -> Result<Option<OwnedEventId>, Failure> {
        let txn = due.transaction_id.as_str();
        match due.action.clone() {
            Action::SendEvent { as_user, room, event_type, content, .. } => {
                let user = self.user(&as_user).await?;
                user.send(&room, txn, &event_type, content).await.map(Some).map_err(|e| failure(&e))
            }
            Action::SetState { as_user, room, event_type, state_key, content } => {
                let user = self.user(&as_user).await?;
                user.send_state(&room, &event_type, &state_key, content).await.map(Some).map_err(|e| failure(&e))
            }
            Action::Redact { as_user, room, event, reason } => {
                let user = self.user(&as_user).await?;
                user.redact(&room, &event, txn, reason.as_deref()).await.map(Some).map_err(|e| failure(&e))
            }
        }
    }

    async fn user(&self, id: &UserId) -> Result<VirtualUser, Failure> {
        self.matrix.user(id).await.map_err(|e| failure(&e))
    }
}

fn failure(error: &MatrixError) -> Failure {
    match error {
        MatrixError::Refused { errcode, .. } if errcode == "M_LIMIT_EXCEEDED" => Failure::NotDone,
        MatrixError::Refused { errcode, .. } => Failure::Refused(errcode.clone()),
        MatrixError::NotJoined { .. } => Failure::Refused("not in the room".to_owned()),
        error if error.certain() => Failure::NotDone,
        _ => Failure::Unknown,
    }
}
