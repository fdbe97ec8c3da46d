//! How a call ended: one place turns a cause into a verdict.

use serde::{Deserialize, Serialize};

/// How a phone call ended, or why it never began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// We hung up a call that was answered.
    Completed,
    /// The caller hung up a call that was answered.
    CallerHungUp,
    /// The caller gave up before anyone answered.
    Cancelled,
    /// Nobody has the number that was dialled.
    UnknownNumber,
    /// The room was rung, nobody answered.
    NobodyAnswered,
    /// The number is known but cannot take calls now.
    Unavailable,
    /// The room has as many calls as it can take.
    Busy,
    /// The phone offered nothing that we speak.
    NoCommonCodec,
    /// As many calls as this process takes, or no media port left.
    Overloaded,
    /// This caller may not call here.
    Refused {
        /// 400 to 699; anything else is sent as 603.
        status: u16,
    },
    /// The call was answered, the caller never confirmed it (RFC 3261 13.3.1.4).
    NoAck,
    /// The call was answered, then nothing was heard from the phone for too long.
    MediaTimeout,
    /// Something of ours broke.
    Failed {
        /// For logs; no numbers, no text of people.
        why: String,
    },
}

/// Whose doing it was. Alarms count [`Fault::Ours`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A call that went as calls go.
    Nobodys,
    /// The caller, or the caller's phone.
    Caller,
    /// The network between.
    Network,
    /// This program, its host or its configuration.
    Ours,
}

impl CallOutcome {
    /// The final SIP status with which an unanswered call is refused. An answered one ends with BYE; for those it is what
    /// a report would carry.
    #[must_use]
    pub fn sip_status(&self) -> u16 {
        match self {
            Self::Completed | Self::CallerHungUp => 200,
            Self::Cancelled => 487,
            Self::UnknownNumber => 404,
            Self::NobodyAnswered | Self::Unavailable => 480,
            Self::Busy => 486,
            Self::NoCommonCodec => 488,
            Self::Overloaded => 503,
            Self::Refused { status } if (400..700).contains(status) => *status,
            Self::Refused { .. } => 603,
            Self::NoAck | Self::MediaTimeout => 408,
            Self::Failed { .. } => 500,
        }
    }

    /// Whose doing it was.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Completed
            | Self::CallerHungUp
            | Self::Cancelled
            | Self::NobodyAnswered
            | Self::Unavailable
            | Self::Busy
            | Self::Refused { .. } => Fault::Nobodys,
            Self::UnknownNumber | Self::NoCommonCodec => Fault::Caller,
            Self::NoAck | Self::MediaTimeout => Fault::Network,
            Self::Overloaded | Self::Failed { .. } => Fault::Ours,
        }
    }

    /// Whether the caller is known to have seen it so. Where not, the caller may still believe in a running call.
    #[must_use]
    pub fn certain(&self) -> bool {
        !matches!(self, Self::NoAck | Self::MediaTimeout | Self::Failed { .. })
    }

    /// For BYE: the cause in a `Reason` header, RFC 3326. Q.850: 16 is normal clearing, 102 a timer, 41 a fault.
    pub(super) fn reason(&self) -> String {
        let (cause, text) = match self {
            Self::MediaTimeout | Self::NoAck => (102, "media timeout"),
            Self::Failed { .. } => (41, "temporary failure"),
            _ => (16, "normal call clearing"),
        };
        format!("Q.850;cause={cause};text=\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_status_fault_and_certainty() {
        let table = [
            (CallOutcome::Completed, 200, Fault::Nobodys, true),
            (CallOutcome::CallerHungUp, 200, Fault::Nobodys, true),
            (CallOutcome::Cancelled, 487, Fault::Nobodys, true),
            (CallOutcome::UnknownNumber, 404, Fault::Caller, true),
            (CallOutcome::NobodyAnswered, 480, Fault::Nobodys, true),
            (CallOutcome::Unavailable, 480, Fault::Nobodys, true),
            (CallOutcome::Busy, 486, Fault::Nobodys, true),
            (CallOutcome::NoCommonCodec, 488, Fault::Caller, true),
            (CallOutcome::Overloaded, 503, Fault::Ours, true),
            (CallOutcome::Refused { status: 403 }, 403, Fault::Nobodys, true),
            (CallOutcome::Refused { status: 200 }, 603, Fault::Nobodys, true),
            (CallOutcome::NoAck, 408, Fault::Network, false),
            (CallOutcome::MediaTimeout, 408, Fault::Network, false),
            (CallOutcome::Failed { why: "x".into() }, 500, Fault::Ours, false),
        ];
        for (outcome, status, fault, certain) in table {
            assert_eq!(
                (outcome.sip_status(), outcome.fault(), outcome.certain()),
                (status, fault, certain),
                "{outcome:?}"
            );
        }
    }
}
