//! What a call has to do with money: what pays for its legs, what it cost, how much of it may be written down.

use std::time::Duration;

use bridge::{ids::LegId, sip::CallOutcome};
use payments::{
    Msat,
    attach::{Ask, Refused, Told},
};

use super::{
    super::{
        meter::{self, Metered},
        paper::COST,
    },
    CallTask,
};
use crate::{
    desk::{AttendProblem, Input},
    text,
};

/// Longer than a meter waits for what its leg cost.
const SETTLED_WITHIN: Duration = Duration::from_secs(4);
/// An answer is waited for so long before the call goes on without it.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// So much speech is written down before it is counted at the latest, should the process die then.
const COUNTED_EVERY: Duration = Duration::from_secs(10);

/// How much of the call may be written down.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// So much in all; `None`: as much as is spoken.
    most: Option<Duration>,
    /// So much was.
    so_far: Duration,
    /// So much of it was counted.
    counted: Duration,
}

impl CallTask {
    pub(super) async fn metered(&mut self, leg: LegId, metered: Metered) {
        match metered {
            Metered::Low(left) => self.tell(Input::CreditLow(leg, left)).await,
            Metered::Extended => self.tell(Input::CreditExtended(leg)).await,
            Metered::Gone => self.tell(Input::CreditGone(leg)).await,
            Metered::Settled(cost) => self.leg_cost(leg, cost),
        }
    }

    fn leg_cost(&mut self, leg: LegId, cost: Msat) {
        self.meters.remove(&leg);
        self.cost = Some(self.cost.unwrap_or_default().checked_add(cost).unwrap_or(Msat::MAX));
        tracing::info!(%leg, %cost, "a leg was charged");
    }

    /// The leg is over: nobody pays for it any longer.
    pub(super) fn leg_ended(&mut self, leg: LegId, outcome: &CallOutcome) {
        if let Some(meter) = self.meters.get_mut(&leg) {
            meter.ended(meter::ending(outcome, self.desk.card().mos_tenths));
        }
    }

    /// Waits until what the legs cost is known, or has been waited for long enough.
    pub(super) async fn settled(&mut self) {
        for meter in self.meters.values_mut() {
            meter.ended(meter::ending(&CallOutcome::Completed, None));
        }
        let until = tokio::time::Instant::now() + SETTLED_WITHIN;
        while !self.meters.is_empty() {
            match tokio::time::timeout_at(until, self.metered.1.recv()).await {
                // What is told of a leg that is over is of no use any more.
                Ok(Some((leg, Metered::Settled(cost)))) => self.leg_cost(leg, cost),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    tracing::warn!("what the call cost is not known yet: its notes do not say it");
                    return self.meters.clear();
                }
            }
        }
    }

    /// Writes down what the call cost, for its notes.
    pub(super) async fn note_cost(&mut self) -> anyhow::Result<()> {
        self.count().await;
        let Some(cost) = self.cost else { return Ok(()) };
        let Some(call) = self.house.archive.call(self.id).await? else { return Ok(()) };
        let balance = Ask::Balance { room: self.room.to_string() };
        let quote = match tokio::time::timeout(ASK_WITHIN, self.house.payments.ask(balance)).await {
            Ok(Ok(answer)) => answer.quote,
            _ => None,
        };
        let mut facts = call.facts;
        facts[COST] = text::money(cost, quote.as_ref()).into();
        Ok(self.house.archive.set_facts(self.id, &facts).await?)
    }

    /// Why no word may be written down; `None`: words may be, so many as are left.
    pub(super) async fn quota_problem(&mut self) -> Option<AttendProblem> {
        if !self.house.payments.charges() {
            return None;
        }
        self.count().await;
        let ask = Ask::Transcription { room: self.room.to_string() };
        match tokio::time::timeout(ASK_WITHIN, self.house.payments.ask(ask)).await {
            Ok(Ok(answer)) => match answer.told {
                Told::Transcription(allowed) => {
                    self.quota.most = allowed.left.map(|left| left.saturating_add(self.quota.counted));
                    allowed.left.is_some_and(|left| left.is_zero()).then_some(AttendProblem::QuotaGone)
                }
                _ => Some(AttendProblem::Payments),
            },
            Ok(Err(Refused::NotCharged)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "it is not known how much may be written down: nothing is");
                Some(AttendProblem::Payments)
            }
            Err(_) => Some(AttendProblem::Payments),
        }
    }

    /// So much more was written down.
    pub(super) async fn was_written_down(&mut self, length: Duration) {
        self.quota.so_far = self.quota.so_far.saturating_add(length);
        let gone = self.quota.most.is_some_and(|most| self.quota.so_far >= most);
        if gone || self.quota.so_far.saturating_sub(self.quota.counted) >= COUNTED_EVERY {
            self.count().await;
        }
        if gone {
            tracing::info!("as much was written down as the room's plan allows this month");
            self.tell(Input::QuotaGone).await;
        }
    }

    /// Counts what was written down.
    async fn count(&mut self) {
        if !self.house.payments.charges() || self.quota.so_far == self.quota.counted {
            return;
        }
        let (room, call, in_all) = (self.room.to_string(), self.id.to_string(), self.quota.so_far);
        let ask = self.house.payments.ask(Ask::Transcribed { room, call, in_all });
        match tokio::time::timeout(ASK_WITHIN, ask).await {
            Ok(Ok(_)) => self.quota.counted = in_all,
            Ok(Err(error)) => tracing::warn!(%error, "what was written down could not be counted; it will be"),
            Err(_) => tracing::warn!("what was written down could not be counted in time; it will be"),
        }
    }
}
