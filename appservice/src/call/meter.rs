//! What pays for a phone's leg: tells credit control when the leg was answered and when it ended, and the call what credit
//! control says.

use std::time::{Duration, Instant};

use bridge::{ids::LegId, sip::CallOutcome};
use payments::{
    Msat,
    cdr::{Ending, Party},
    charge::{CallCredit, Happened, Length},
};
use tokio::{sync::mpsc, task::JoinSet};

/// The notes wait so long for what the call cost.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// What credit control says of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metered {
    /// What pays for it ends in so much time.
    Low(Duration),
    /// It goes on after all.
    Extended,
    /// It is used up.
    Gone,
    /// The leg is over and cost so much.
    Settled(Msat),
}

#[derive(Debug)]
enum ToMeter {
    Answered,
    Ended(Length, Ending),
}

/// A leg that is paid for. Dropped, the leg has ended for credit control.
#[derive(Debug)]
pub(crate) struct Meter {
    to: mpsc::Sender<ToMeter>,
    answered: Option<Instant>,
    ended: bool,
}

impl Meter {
    pub(crate) fn start(
        leg: LegId,
        credit: CallCredit,
        tasks: &mut JoinSet<()>,
        told: mpsc::Sender<(LegId, Metered)>,
    ) -> Self {
        // Answered and ended: there is room for both.
        let (to, from_call) = mpsc::channel(2);
        tasks.spawn(run(leg, credit, from_call, told));
        Self { to, answered: None, ended: false }
    }

    /// The phone was answered: it costs from now on.
    pub(crate) fn answered(&mut self) {
        if self.answered.is_none() {
            self.answered = Some(Instant::now());
            let _ = self.to.try_send(ToMeter::Answered);
        }
    }

    /// The leg has ended. Said once, whoever notices first.
    pub(crate) fn ended(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.ended, true) {
            let length = self.answered.map_or(Length::Unanswered, |since| Length::Of(since.elapsed()));
            let _ = self.to.try_send(ToMeter::Ended(length, ending));
        }
    }
}

async fn run(
    leg: LegId,
    mut credit: CallCredit,
    mut from_call: mpsc::Receiver<ToMeter>,
    told: mpsc::Sender<(LegId, Metered)>,
) {
    let mut listening = true;
    loop {
        let metered = tokio::select! {
            what = from_call.recv() => match what {
                Some(ToMeter::Answered) => {
                    credit.answered().await;
                    continue;
                }
                Some(ToMeter::Ended(length, ending)) => {
                    let cost = credit.settle(length, ending, SETTLED_WITHIN).await;
                    let _ = told.send((leg, Metered::Settled(cost))).await;
                    return;
                }
                None => return,
            },
            happened = credit.happened(), if listening => match happened {
                Some(Happened::Warn(left)) => Metered::Low(left),
                Some(Happened::Extended) => Metered::Extended,
                Some(Happened::Cut) => Metered::Gone,
                None => {
                    // Nobody pays any more: credit control has ended the call by itself.
                    listening = false;
                    Metered::Gone
                }
            },
        };
        if told.send((leg, metered)).await.is_err() {
            return;
        }
    }
}

/// How a phone's leg ended, for its record. Causes by ITU-T Q.850.
pub(crate) fn ending(outcome: &CallOutcome, mos_tenths: Option<u8>) -> Ending {
    let (cause, side) = match outcome {
        CallOutcome::Completed => (16, Party::Roomtone),
        CallOutcome::CallerHungUp | CallOutcome::Cancelled => (16, Party::Caller),
        CallOutcome::UnknownNumber => (1, Party::Roomtone),
        CallOutcome::NobodyAnswered => (19, Party::Callee),
        CallOutcome::Busy => (17, Party::Callee),
        CallOutcome::Unavailable => (20, Party::Callee),
        CallOutcome::NoCommonCodec => (88, Party::Roomtone),
        CallOutcome::Overloaded => (42, Party::Roomtone),
        CallOutcome::Refused { .. } => (21, Party::Roomtone),
        CallOutcome::NoAck | CallOutcome::MediaTimeout => (27, Party::Caller),
        CallOutcome::Failed { .. } => (41, Party::Roomtone),
    };
    let sip = match outcome {
        CallOutcome::Refused { status } => Some(*status),
        _ => None,
    };
    let mos = mos_tenths.map(|tenths| u16::from(tenths) * 10);
    Ending { cause: Some(cause), sip, side: Some(side), mos, ..Ending::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_who_ended_and_why() {
        let gone = ending(&CallOutcome::CallerHungUp, Some(42));
        assert_eq!((gone.cause, gone.side, gone.mos), (Some(16), Some(Party::Caller), Some(420)));
        let cut = ending(&CallOutcome::Refused { status: 402 }, None);
        assert_eq!((cut.cause, cut.sip, cut.side), (Some(21), Some(402), Some(Party::Roomtone)));
    }
}
