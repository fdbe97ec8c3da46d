//! One call: a task from INVITE to the last retransmission.
//!
//! ```text
//!            100             ring: 180          answer: 200          ACK
//!  INVITE ---------> trying ----------> early --------------> wait --------> confirmed
//!                      |  CANCEL: 487     |                     | 64 T1: BYE     | BYE either way
//!                      |  reject: 4xx     |                     |                | re-INVITE, UPDATE: 200
//!                      v                  v                     v                v
//!                                        Ended, once
//! ```

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver, TerminatedReason, TransactionHandle};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Method, Request, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::api::{PhoneMedia, SipError, SipEvent};
use super::endpoint::{ALLOW, Shared};
use super::outcome::CallOutcome;
use super::quiet::{quiet, quietly};
use super::sdp::{self, Chosen, Direction, Local, Offer, SdpError};
use crate::ids::LegId;
use crate::rtp::RtpConfig;

/// Provisional answers are repeated each minute, or proxies give up. RFC 3261 13.3.1.1.
const RING_AGAIN: Duration = Duration::from_secs(60);

/// What the desk wants of a call.
pub(super) enum Command {
    Ring(oneshot::Sender<()>),
    Answer(oneshot::Sender<Result<PhoneMedia, SipError>>),
    End(CallOutcome, oneshot::Sender<()>),
}

/// The agreed media.
struct Session {
    local: Local,
    /// `None` until the ACK of a call without offer.
    chosen: Option<Chosen>,
    /// What we said last.
    said: String,
}

/// Answered, but what the peer takes is not known before its ACK.
struct Awaiting {
    done: oneshot::Sender<Result<PhoneMedia, SipError>>,
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

pub(super) struct Call {
    leg: LegId,
    shared: Arc<Shared>,
    dialog: InviteDialog,
    offer: Option<(Offer, Chosen)>,
    ip: IpAddr,
    session_expires: Option<String>,
    session: Option<Session>,
    awaiting: Option<Awaiting>,
    ringing: bool,
    confirmed: bool,
}

/// What is left to do when the loop ends.
struct Ending {
    outcome: CallOutcome,
    /// We end it, with this still to be sent.
    bye: bool,
}

impl Call {
    pub(super) fn new(
        leg: LegId,
        shared: Arc<Shared>,
        dialog: InviteDialog,
        offer: Option<(Offer, Chosen)>,
        ip: IpAddr,
        session_expires: Option<String>,
    ) -> Self {
        Self {
            leg,
            shared,
            dialog,
            offer,
            ip,
            session_expires,
            session: None,
            awaiting: None,
            ringing: false,
            confirmed: false,
        }
    }

    pub(super) async fn run(
        mut self,
        mut tx: Transaction,
        mut states: DialogStateReceiver,
        mut commands: mpsc::Receiver<Command>,
    ) {
        let leg = self.leg;
        let ending = {
            let mut dialog = self.dialog.clone();
            let invite = quiet(dialog.handle(&mut tx));
            tokio::pin!(invite);
            self.drive(invite, &mut states, &mut commands).await
        };
        self.shared.forget(leg);
        // Whoever still waits is told by the dropped channel.
        drop(commands);
        self.awaiting = None;
        tracing::info!(%leg, outcome = ?ending.outcome, fault = ?ending.outcome.fault(), "SIP call ended");
        let reason = ending.outcome.reason();
        let _ = self.shared.events.send(SipEvent::Ended { leg, outcome: ending.outcome }).await;
        if let Some(session) = &self.session {
            self.shared.ports.release(session.local.rtp);
        }
        let patience = self.shared.patience();
        let unanswered = tx.last_response.as_ref().is_none_or(|r| r.status_code.code() < 200);
        let dialog = self.dialog.clone();
        let bye = quiet(async {
            if ending.bye {
                let _ = tokio::time::timeout(patience, dialog.bye_with_reason(reason)).await;
            }
        });
        let rest = quiet(async {
            // BYE or the like came before any answer: the INVITE must not stay open.
            if unanswered && !ending.bye && dialog.state().is_terminated() && self.session.is_none() && !self.declined()
            {
                let _ = tx.reply(StatusCode::RequestTerminated).await;
            }
            let _ = tokio::time::timeout(patience, async { while tx.receive().await.is_some() {} }).await;
        });
        tokio::join!(bye, rest);
        quietly(|| self.shared.layer.remove_dialog(&self.dialog.id()));
    }

    fn declined(&self) -> bool {
        matches!(self.dialog.state(), DialogState::Terminated(_, TerminatedReason::UasDecline))
    }

    async fn drive<F: Future>(
        &mut self,
        invite: F,
        states: &mut DialogStateReceiver,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Ending {
        tokio::pin!(invite);
        let mut open = true;
        let mut again = tokio::time::interval_at(tokio::time::Instant::now() + RING_AGAIN, RING_AGAIN);
        loop {
            tokio::select! {
                biased;
                Some(state) = states.recv() => {
                    if let Some(outcome) = self.state(state).await {
                        return Ending { outcome, bye: false };
                    }
                }
                _ = &mut invite, if open => open = false,
                Some(command) = commands.recv() => {
                    if let Some(ending) = self.command(command) {
                        return ending;
                    }
                }
                _ = again.tick(), if self.ringing && self.session.is_none() => {
                    quietly(|| self.dialog.ringing(None, None).ok());
                }
            }
        }
    }

    /// The stack tells what happened. `Some`: the call is over.
    async fn state(&mut self, state: DialogState) -> Option<CallOutcome> {
        match state {
            DialogState::Confirmed(..) if !self.confirmed => {
                self.confirmed = true;
                tracing::info!(leg = %self.leg, "SIP call confirmed");
                if let Some(awaiting) = self.awaiting.take()
                    && let Err(source) = self.take_answer(awaiting)
                {
                    tracing::info!(leg = %self.leg, error = %source, "no media in common");
                    let dialog = self.dialog.clone();
                    self.shared.tasks.spawn(quiet(async move {
                        let _ = dialog.bye_with_reason(CallOutcome::NoCommonCodec.reason()).await;
                    }));
                    return Some(CallOutcome::NoCommonCodec);
                }
            }
            DialogState::Updated(_, request, handle) => self.update(&request, &handle).await,
            DialogState::Info(_, request, handle) => {
                // A keep-alive is empty. Keys come by RFC 4733 only.
                let status = if request.body.is_empty() { StatusCode::OK } else { StatusCode::UnsupportedMediaType };
                let _ = handle.reply(status).await;
            }
            DialogState::Options(_, _, handle) => {
                let _ = handle.respond(StatusCode::OK, Some(vec![Header::Allow(ALLOW.into())]), None).await;
            }
            DialogState::Refer(_, _, handle)
            | DialogState::Notify(_, _, handle)
            | DialogState::Message(_, _, handle) => {
                let allow = Some(vec![Header::Allow(ALLOW.into())]);
                let _ = handle.respond(StatusCode::MethodNotAllowed, allow, None).await;
            }
            DialogState::Terminated(_, reason) => {
                return Some(match reason {
                    TerminatedReason::UacCancel => CallOutcome::Cancelled,
                    TerminatedReason::UacBye if self.session.is_some() => CallOutcome::CallerHungUp,
                    TerminatedReason::UacBye => CallOutcome::Cancelled,
                    TerminatedReason::Timeout => CallOutcome::NoAck,
                    other => CallOutcome::Failed { why: format!("dialog ended: {other:?}") },
                });
            }
            _ => {}
        }
        None
    }

    fn command(&mut self, command: Command) -> Option<Ending> {
        match command {
            Command::Ring(done) => {
                if self.session.is_none() {
                    self.ringing = true;
                    if let Err(error) = quietly(|| self.dialog.ringing(None, None).map_err(|e| e.to_string())) {
                        tracing::warn!(leg = %self.leg, %error, "180 not sent");
                    }
                }
                let _ = done.send(());
                None
            }
            Command::Answer(done) => self.answer(done),
            Command::End(outcome, done) => {
                let ending = self.end(outcome);
                let _ = done.send(());
                Some(ending)
            }
        }
    }

    /// Refuses an unanswered call at once; an answered one is left to get its BYE.
    fn end(&mut self, outcome: CallOutcome) -> Ending {
        if self.session.is_some() {
            return Ending { outcome, bye: true };
        }
        let status = match &outcome {
            // Hung up before it was answered.
            CallOutcome::Completed => CallOutcome::Unavailable.sip_status(),
            other => other.sip_status(),
        };
        quietly(|| self.dialog.reject(Some(StatusCode::from(status)), None).ok());
        Ending { outcome, bye: false }
    }

    fn answer(&mut self, done: oneshot::Sender<Result<PhoneMedia, SipError>>) -> Option<Ending> {
        let leg = self.leg;
        if self.session.is_some() {
            let _ = done.send(Err(SipError::Answered(leg)));
            return None;
        }
        let (rtp, rtcp) = match self.shared.ports.bind() {
            Ok(pair) => pair,
            Err(source) => {
                let _ = done.send(Err(SipError::NoPorts { leg, source }));
                return Some(self.end(CallOutcome::Overloaded));
            }
        };
        let port = |s: &UdpSocket| s.local_addr().map_or(0, |a| a.port());
        let id = u64::from(random_u32());
        let local = Local { ip: self.ip, rtp: port(&rtp), rtcp: port(&rtcp), id, version: 1 };
        let offer = self.offer.take();
        let said = match &offer {
            Some((offer, chosen)) => sdp::answer(offer, chosen, &local),
            None => sdp::offer(&local),
        };
        let headers = self.sdp_headers();
        let body = said.clone().into_bytes();
        if let Err(why) = quietly(|| self.dialog.accept(Some(headers), Some(body)).map_err(|e| e.to_string())) {
            let _ = done.send(Err(SipError::Stack { leg, why: why.clone() }));
            return Some(self.end(CallOutcome::Failed { why }));
        }
        let chosen = offer.map(|(_, chosen)| chosen);
        match &chosen {
            Some(chosen) => {
                let config = rtp_config(chosen);
                let _ = done.send(Ok(PhoneMedia { rtp, rtcp, config }));
            }
            None => self.awaiting = Some(Awaiting { done, rtp, rtcp }),
        }
        self.session = Some(Session { local, chosen, said });
        self.shared.answered(leg);
        None
    }

    /// The ACK of a call without offer carries the answer to ours.
    fn take_answer(&mut self, awaiting: Awaiting) -> Result<(), SdpError> {
        let body = self.dialog.last_remote_ack().map(|ack| ack.body).unwrap_or_default();
        match Offer::parse(&body).and_then(|answer| answer.choose(None)) {
            Ok(chosen) => {
                let config = rtp_config(&chosen);
                if let Some(session) = &mut self.session {
                    session.chosen = Some(chosen);
                }
                let _ = awaiting.done.send(Ok(PhoneMedia { rtp: awaiting.rtp, rtcp: awaiting.rtcp, config }));
                Ok(())
            }
            Err(source) => {
                let _ = awaiting.done.send(Err(SipError::Media { leg: self.leg, source: source.clone() }));
                Err(source)
            }
        }
    }

    /// re-INVITE or UPDATE: hold, resume, refresh, move. The same codec, or 488 and all stays as it is.
    async fn update(&mut self, request: &Request, handle: &TransactionHandle) {
        let Some(session) = &mut self.session else {
            let _ = handle.reply(StatusCode::RequestPending).await;
            return;
        };
        if request.body.is_empty() {
            // A refresh, or a re-INVITE that wants our offer: what we said last, still true.
            let (headers, body) = if request.method == Method::Invite {
                (self.sdp_headers(), self.session.as_ref().map(|s| s.said.clone().into_bytes()))
            } else {
                (self.timer_headers(), None)
            };
            let _ = handle.respond(StatusCode::OK, Some(headers), body).await;
            return;
        }
        let keep = session.chosen.as_ref().map(|c| c.codec);
        let read = Offer::parse(&request.body).and_then(|offer| offer.choose(keep).map(|chosen| (offer, chosen)));
        let (offer, chosen) = match read {
            Ok(ok) => ok,
            Err(error) => {
                tracing::info!(leg = %self.leg, %error, "change of media refused");
                let _ = handle.reply(StatusCode::NotAcceptableHere).await;
                return;
            }
        };
        let before = session.chosen.as_ref().map(target);
        session.local.version += 1;
        let said = sdp::answer(&offer, &chosen, &session.local);
        session.said.clone_from(&said);
        let after = target(&chosen);
        session.chosen = Some(chosen);
        let headers = self.sdp_headers();
        let _ = handle.respond(StatusCode::OK, Some(headers), Some(said.into_bytes())).await;
        if before != Some(after) {
            let (remote, remote_rtcp, held) = after;
            tracing::info!(leg = %self.leg, held, "media changed");
            let _ = self.shared.events.send(SipEvent::MediaChanged { leg: self.leg, remote, remote_rtcp, held }).await;
        }
    }

    fn sdp_headers(&self) -> Vec<Header> {
        let mut headers = vec![Header::ContentType("application/sdp".into()), Header::Allow(ALLOW.into())];
        headers.extend(self.timer_headers());
        headers
    }

    /// The caller refreshes, RFC 4028; if it stops, silence on the media ends the call.
    fn timer_headers(&self) -> Vec<Header> {
        let Some(expires) = &self.session_expires else { return vec![] };
        let seconds: String = expires.chars().take_while(char::is_ascii_digit).take(9).collect();
        if seconds.is_empty() {
            return vec![];
        }
        vec![
            Header::SessionExpires(format!("{seconds};refresher=uac").into()),
            Header::Require("timer".into()),
            Header::Supported("timer".into()),
        ]
    }
}

fn target(chosen: &Chosen) -> (SocketAddr, SocketAddr, bool) {
    let held = matches!(chosen.direction, Direction::SendOnly | Direction::Inactive);
    (chosen.remote, chosen.remote_rtcp, held)
}

fn rtp_config(chosen: &Chosen) -> RtpConfig {
    let (a, b) = (random_u32(), random_u32());
    RtpConfig {
        codec: chosen.codec,
        payload_type: chosen.payload_type,
        telephone_event: chosen.telephone_event,
        remote: chosen.remote,
        remote_rtcp: chosen.remote_rtcp,
        rtcp_mux: chosen.rtcp_mux,
        ssrc: random_u32(),
        // In the lower half, so that the first wrap is some way off. RFC 3550 5.1 asks for random only.
        first_sequence: (a & 0x7fff) as u16,
        first_timestamp: b,
        cname: format!("{:08x}{:08x}", random_u32(), random_u32()),
    }
}

fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    // Without the system's randomness TLS could not work either; a fixed number here harms nobody's secrets.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system has no randomness");
    }
    u32::from_be_bytes(bytes)
}
