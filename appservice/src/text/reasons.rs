//! Causes in words that a person uses.

use bridge::sip::CallOutcome;

use crate::desk::AttendProblem;

/// Why a phone's call did not come about or ended, as it stands on the card: `nobody answered`. `None`: somebody hung up,
/// nothing to explain.
#[must_use]
pub fn why(outcome: &CallOutcome) -> Option<String> {
    Some(match outcome {
        CallOutcome::Completed | CallOutcome::CallerHungUp => return None,
        CallOutcome::Cancelled => "the caller gave up".into(),
        CallOutcome::UnknownNumber => "the number does not exist".into(),
        CallOutcome::NobodyAnswered => "nobody answered".into(),
        CallOutcome::Unavailable => "not available".into(),
        CallOutcome::Busy => "line busy".into(),
        CallOutcome::NoCommonCodec => "the phone and Roomtone have no way of sending sound in common".into(),
        CallOutcome::Overloaded => "too many calls at once".into(),
        CallOutcome::Refused { status: crate::desk::PAYMENT_REQUIRED } => "the credit was used up".into(),
        CallOutcome::Refused { status } => format!("refused ({status})"),
        CallOutcome::NoAck => "the phone took the answer but never confirmed it".into(),
        CallOutcome::MediaTimeout => "no more sound came from the phone".into(),
        CallOutcome::Failed { why } => match why.as_str() {
            "media_server" => "the media server does not answer".into(),
            "no_transport" => "no media server is set up".into(),
            "power_level" => "this room does not let the phone into its calls".into(),
            "not_in_room" => "the phone's user could not enter the room".into(),
            "homeserver" => "the homeserver did not answer".into(),
            _ => "something failed here; the operator's log has more".into(),
        },
    })
}

/// What keeps one of our devices out of a call: what happened, and what to do.
#[must_use]
pub fn problem(problem: &AttendProblem) -> (String, &'static str) {
    match problem {
        AttendProblem::NoTransport => (
            "no media server is named by the homeserver or by my configuration".into(),
            "The operator can run `roomtone check`.",
        ),
        AttendProblem::MediaServer(address) => {
            (format!("the media server at {address} does not answer"), "The operator can run `roomtone check`.")
        }
        AttendProblem::PowerLevel(needed) => (
            format!("this room asks for power level {needed} to join its calls"),
            "An admin of the room can allow it: room settings, permissions, \"Join calls\" (org.matrix.msc3401.call.member), \
             set to 0.",
        ),
        AttendProblem::NotInRoom => ("I could not enter the room".into(), "An admin of the room can invite me again."),
        AttendProblem::Homeserver => ("the homeserver did not answer".into(), "I will try again with the next call."),
        AttendProblem::NoRecogniser => {
            ("there is no speech recogniser on this server".into(), "The operator can run `roomtone models fetch`.")
        }
        AttendProblem::QuotaGone => (
            "as much was written down this month as the plan of this room allows".into(),
            "`!pay plan` says what there is; with a new month it goes on.",
        ),
        AttendProblem::Payments => (
            "the payments service does not say what the plan of this room allows".into(),
            "I will try again with the next call; the operator's log has more.",
        ),
    }
}
