//! The user agent: one UDP socket, many calls. Tokio and rsipstack live here and in `call.rs`, and nowhere else.
//!
//! The receiving task reads each datagram itself (the stack's own reader would log it), turns strangers away at the door
//! ([`super::guard`]), gives the rest to the stack's transactions, and starts a task for each call. That task owns the
//! dialog until its last retransmission.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rsipstack::EndpointBuilder;
use rsipstack::dialog::dialog::Dialog;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Method, Request, SipMessage, StatusCode, Uri};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportLayer};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::address;
use super::api::{IncomingCall, PhoneMedia, SipConfig, SipError, SipEvent, SipStats};
use super::call::{Call, Command};
use super::guard::Guard;
use super::outcome::CallOutcome;
use super::ports::PortPool;
use super::quiet::{quiet, quietly};
use super::sdp::{Chosen, Offer};
use super::stateless;
use crate::ids::LegId;

/// Methods answered with more than a refusal.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO";
/// Extensions that a caller may require of us.
const KNOWN: [&str; 1] = ["timer"];
/// Events waiting for the desk; an INVITE beyond that is answered 503.
const EVENTS: usize = 256;
/// Commands waiting for one call.
const COMMANDS: usize = 8;
/// Seconds in Retry-After.
const RETRY_AFTER: u32 = 10;

static NEXT_LEG: AtomicU64 = AtomicU64::new(1);

#[derive(Default)]
pub(super) struct Counters {
    incoming: AtomicU64,
    refused: AtomicU64,
    garbage: AtomicU64,
    throttled: AtomicU64,
}

/// One call as the endpoint knows it.
struct Known {
    commands: mpsc::Sender<Command>,
    call_id: String,
    from_tag: String,
    source: IpAddr,
    answered: bool,
}

/// What the receiving task, the calls and the handles share.
pub(super) struct Shared {
    pub(super) config: SipConfig,
    local: SocketAddr,
    pub(super) ports: PortPool,
    pub(super) layer: DialogLayer,
    pub(super) events: mpsc::Sender<SipEvent>,
    pub(super) tasks: TaskTracker,
    calls: Mutex<HashMap<LegId, Known>>,
    counters: Counters,
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, HashMap<LegId, Known>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call takes no more commands.
    pub(super) fn forget(&self, leg: LegId) {
        self.calls().remove(&leg);
    }

    /// The call has left the crowd of those that only ring.
    pub(super) fn answered(&self, leg: LegId) {
        if let Some(known) = self.calls().get_mut(&leg) {
            known.answered = true;
        }
    }

    /// How long an ACK, or an answer to BYE, is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.config.t1 * 64
    }

    /// The address of ours that `peer` reaches.
    fn facing(&self, peer: SocketAddr) -> IpAddr {
        if let Some(ip) = self.config.advertised {
            return ip;
        }
        if !self.local.ip().is_unspecified() {
            return self.local.ip();
        }
        // Connecting a UDP socket sends nothing; it only asks for the route.
        let route = std::net::UdpSocket::bind(SocketAddr::new(self.local.ip(), 0))
            .and_then(|s| s.connect(peer).and_then(|()| s.local_addr()));
        route.map_or(self.local.ip(), |a| a.ip())
    }
}

/// Takes calls over SIP. A handle; the last one dropped stops it all.
#[derive(Clone)]
pub struct SipEndpoint {
    shared: Arc<Shared>,
    stop: CancellationToken,
    _guard: Arc<DropGuard>,
}

impl SipEndpoint {
    /// Binds the signalling port and begins to listen. Take the events: while nobody does, calls are refused.
    ///
    /// # Errors
    /// [`SipError::Bind`].
    pub async fn bind(config: SipConfig) -> Result<(Self, mpsc::Receiver<SipEvent>), SipError> {
        let listen = config.listen;
        let bind = |source| SipError::Bind { listen, source };
        let socket = Arc::new(UdpSocket::bind(listen).await.map_err(bind)?);
        let local = socket.local_addr().map_err(bind)?;
        let stop = CancellationToken::new();
        let external = config.advertised.map(|ip| SocketAddr::new(ip, local.port()));
        let other = |e: rsipstack::Error| bind(std::io::Error::other(e.to_string()));
        let connection = quiet(UdpConnection::from_socket(socket.clone(), external, Some(stop.child_token())))
            .await
            .map_err(other)?;
        let transport = TransportLayer::new(stop.child_token());
        transport.add_transport(connection.clone().into());
        let stack = EndpointBuilder::new()
            .with_user_agent(concat!("Roomtone/", env!("CARGO_PKG_VERSION")))
            .with_cancel_token(stop.child_token())
            .with_transport_layer(transport)
            .with_option(EndpointOption { t1: config.t1, t1x64: config.t1 * 64, ..EndpointOption::default() })
            .build();
        let incoming = stack.incoming_transactions().map_err(other)?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let shared = Arc::new(Shared {
            ports: PortPool::new(local.ip(), config.rtp_ports.clone()),
            layer: DialogLayer::new(stack.inner.clone()),
            config,
            local,
            events,
            tasks: TaskTracker::new(),
            calls: Mutex::default(),
            counters: Counters::default(),
        });
        let door = Door {
            shared: shared.clone(),
            socket,
            connection: connection.into(),
            stack: stack.inner,
            guard: Guard::new(Instant::now()),
            stop: stop.clone(),
        };
        shared.tasks.spawn(door.run(incoming));
        tracing::info!(%local, "SIP listens");
        Ok((Self { shared, _guard: Arc::new(stop.clone().drop_guard()), stop }, receiver))
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// Sends 180: the caller hears ringing. May be repeated.
    ///
    /// # Errors
    /// [`SipError::NoSuchLeg`].
    pub async fn ring(&self, leg: LegId) -> Result<(), SipError> {
        let (done, wait) = oneshot::channel();
        self.command(leg, Command::Ring(done)).await?;
        wait.await.map_err(|_| SipError::NoSuchLeg(leg))
    }

    /// Answers: binds the media ports and sends 200. Where the call came without an offer, this waits for the ACK that
    /// carries its answer.
    ///
    /// # Errors
    /// The call is over, answered already, or has no media; then it was refused too.
    pub async fn answer(&self, leg: LegId) -> Result<PhoneMedia, SipError> {
        let (done, wait) = oneshot::channel();
        self.command(leg, Command::Answer(done)).await?;
        wait.await.map_err(|_| SipError::NoSuchLeg(leg))?
    }

    /// Ends the call as `outcome` says: refused with its status before the answer, BYE after. [`SipEvent::Ended`] follows.
    ///
    /// # Errors
    /// [`SipError::NoSuchLeg`]: it is over already.
    pub async fn reject(&self, leg: LegId, outcome: CallOutcome) -> Result<(), SipError> {
        let (done, wait) = oneshot::channel();
        self.command(leg, Command::End(outcome, done)).await?;
        wait.await.map_err(|_| SipError::NoSuchLeg(leg))
    }

    /// Hangs up: BYE, or 480 where it was not answered yet. [`SipEvent::Ended`] follows.
    ///
    /// # Errors
    /// [`SipError::NoSuchLeg`]: it is over already.
    pub async fn hang_up(&self, leg: LegId) -> Result<(), SipError> {
        self.reject(leg, CallOutcome::Completed).await
    }

    /// Hangs up all calls, then closes the port. Waits for the peers at most `limit`.
    pub async fn shut_down(&self, limit: Duration) {
        let legs: Vec<LegId> = self.shared.calls().keys().copied().collect();
        for leg in legs {
            let _ = self.hang_up(leg).await;
        }
        let until = tokio::time::Instant::now() + limit;
        // The receiving task is the one that stays.
        while self.shared.tasks.len() > 1 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.cancel();
        self.shared.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.shared.tasks.wait()).await;
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> SipStats {
        let c = &self.shared.counters;
        SipStats {
            calls: self.shared.calls().len(),
            incoming: c.incoming.load(Ordering::Relaxed),
            refused: c.refused.load(Ordering::Relaxed),
            garbage: c.garbage.load(Ordering::Relaxed),
            throttled: c.throttled.load(Ordering::Relaxed),
        }
    }

    async fn command(&self, leg: LegId, command: Command) -> Result<(), SipError> {
        let commands = self.shared.calls().get(&leg).map(|k| k.commands.clone()).ok_or(SipError::NoSuchLeg(leg))?;
        commands.send(command).await.map_err(|_| SipError::NoSuchLeg(leg))
    }
}

/// The receiving task.
struct Door {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    connection: SipConnection,
    stack: EndpointInnerRef,
    guard: Guard,
    stop: CancellationToken,
}

impl Door {
    async fn run(mut self, mut incoming: TransactionReceiver) {
        let stack = self.stack.clone();
        let timers = quiet(stack.process_timer());
        tokio::pin!(timers);
        let socket = self.socket.clone();
        let stop = self.stop.clone();
        let mut buffer = vec![0; 65_535];
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = &mut timers => return,
                Some(tx) = incoming.recv() => self.transaction(tx),
                received = socket.recv_from(&mut buffer) => match received {
                    Ok((len, source)) => self.datagram(&buffer[..len], source).await,
                    Err(error) => {
                        // ICMP errors of answers to peers that are gone; if it is the socket itself, do not spin.
                        tracing::debug!(%error, "SIP socket");
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                },
            }
        }
    }

    async fn datagram(&mut self, datagram: &[u8], source: SocketAddr) {
        if datagram.iter().all(u8::is_ascii_whitespace) {
            // RFC 5626 3.5.1 keep-alive.
            if datagram == b"\r\n\r\n" {
                let _ = self.socket.send_to(b"\r\n", source).await;
            }
            return;
        }
        // A panic in the stack's parser must not take the port down.
        let parsed = std::panic::catch_unwind(|| {
            let message = quietly(|| SipMessage::try_from(datagram)).ok()?;
            SipConnection::update_msg_received(message, source, rsipstack::sip::Transport::Udp).ok()
        });
        let Ok(Some(message)) = parsed else {
            self.shared.counters.garbage.fetch_add(1, Ordering::Relaxed);
            if self.guard.admit(source.ip(), Instant::now()) {
                self.unreadable(datagram, source).await;
            }
            return;
        };
        let request = matches!(&message, SipMessage::Request(r) if r.method != Method::Ack);
        if request && !self.known(&message) && !self.guard.admit(source.ip(), Instant::now()) {
            self.shared.counters.throttled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let from = SipAddr { r#type: Some(rsipstack::sip::Transport::Udp), addr: source.into() };
        if quiet(self.stack.on_received_message(message, self.connection.clone(), &from)).await.is_err() {
            self.shared.counters.garbage.fetch_add(1, Ordering::Relaxed);
            if request && let Some(bytes) = stateless::answer(datagram, source, 400, "Bad Request", &[]) {
                let _ = self.socket.send_to(&bytes, source).await;
            }
        }
    }

    /// Reads as SIP to us but not to the stack: a method it does not know, most likely.
    async fn unreadable(&self, datagram: &[u8], source: SocketAddr) {
        let method = datagram.split(|b| *b == b' ').next().unwrap_or_default();
        let known = Method::try_from(method).is_ok();
        let (status, reason) = if known { (400, "Bad Request") } else { (501, "Not Implemented") };
        let allow = format!("Allow: {ALLOW}");
        if let Some(bytes) = stateless::answer(datagram, source, status, reason, &[&allow]) {
            let _ = self.socket.send_to(&bytes, source).await;
        }
    }

    /// It belongs to a running call.
    fn known(&self, message: &SipMessage) -> bool {
        let Ok(id) = message.call_id_header() else { return false };
        self.shared.calls().values().any(|k| k.call_id == id.value())
    }

    fn transaction(&mut self, mut tx: Transaction) {
        let in_dialog = tx.original.to_header().and_then(rsipstack::sip::To::tag).is_ok_and(|tag| tag.is_some());
        if in_dialog {
            let Some(mut dialog) = self.shared.layer.match_dialog(&tx) else {
                self.refuse(tx, StatusCode::CallTransactionDoesNotExist, vec![]);
                return;
            };
            self.shared.tasks.spawn(async move {
                let _ = quiet(dialog.handle(&mut tx)).await;
                if tx.last_response.is_none() && tx.original.method != Method::Ack {
                    let _ = quiet(tx.reply(StatusCode::ServerInternalError)).await;
                }
            });
            return;
        }
        match tx.original.method {
            Method::Invite => self.invite(tx),
            Method::Options => {
                let headers =
                    vec![allow(), Header::Accept("application/sdp".into()), Header::Supported(KNOWN.join(", ").into())];
                self.refuse(tx, StatusCode::OK, headers);
            }
            Method::Bye | Method::Update | Method::Info => {
                self.refuse(tx, StatusCode::CallTransactionDoesNotExist, vec![]);
            }
            _ => self.refuse(tx, StatusCode::MethodNotAllowed, vec![allow()]),
        }
    }

    fn invite(&self, mut tx: Transaction) {
        let (offer, source) = match self.examine(&tx) {
            Ok(ok) => ok,
            Err((status, headers)) => {
                self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
                self.refuse(tx, status, headers);
                return;
            }
        };
        let ip = self.shared.facing(source);
        let contact = Uri {
            scheme: Some(rsipstack::sip::Scheme::Sip),
            host_with_port: SocketAddr::new(ip, self.shared.local.port()).into(),
            ..Uri::default()
        };
        let (states_in, states) = mpsc::unbounded_channel();
        let layer = &self.shared.layer;
        let made = quietly(|| layer.get_or_create_server_invite(&tx, states_in, None, Some(contact)).ok());
        let Some(dialog) = made else {
            self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            self.refuse(tx, StatusCode::BadRequest, vec![]);
            return;
        };
        symmetric(&dialog, &tx.original, source);
        // The stack's own refusals (487 after CANCEL) shall carry the dialog's tag, not a new one.
        let id = dialog.id();
        if let Ok(to) = tx.original.to_header_mut() {
            let _ = to.mut_tag(id.local_tag.clone().into());
        }
        let leg = LegId(NEXT_LEG.fetch_add(1, Ordering::Relaxed));
        let incoming = self.describe(leg, &tx.original, source);
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let known =
            Known { commands, call_id: id.call_id, from_tag: id.remote_tag, source: source.ip(), answered: false };
        self.shared.calls().insert(leg, known);
        if self.shared.events.try_send(SipEvent::Incoming(incoming)).is_err() {
            tracing::warn!(%leg, "the desk takes no calls; refused");
            self.shared.forget(leg);
            self.shared.layer.remove_dialog(&dialog.id());
            self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            self.refuse(tx, StatusCode::ServiceUnavailable, vec![retry_after()]);
            return;
        }
        self.shared.counters.incoming.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%leg, %source, late_offer = offer.is_none(), "SIP call comes in");
        let timer = tx.original.header_contains_token("Supported", "timer")
            || tx.original.header_contains_token("Require", "timer");
        let session_expires = tx.original.session_expires_header().map(|h| h.value().to_owned()).filter(|_| timer);
        let call = Call::new(leg, self.shared.clone(), dialog, offer, ip, session_expires);
        self.shared.tasks.spawn(call.run(tx, states, receiver));
    }

    /// All that can be said of an INVITE before anybody is asked. `Ok`: its offer, if it has one, and where it is from.
    #[expect(clippy::type_complexity, reason = "used once, above")]
    fn examine(&self, tx: &Transaction) -> Result<(Option<(Offer, Chosen)>, SocketAddr), (StatusCode, Vec<Header>)> {
        let request = &tx.original;
        let bad = || (StatusCode::BadRequest, vec![]);
        let source = source_of(request).ok_or_else(bad)?;
        let call_id = request.call_id_header().map_err(|_| bad())?.value().to_owned();
        let from_tag = request.from_header().and_then(rsipstack::sip::From::tag).ok().flatten().ok_or_else(bad)?;
        {
            let calls = self.shared.calls();
            if calls.values().any(|k| k.call_id == call_id && k.from_tag == from_tag.value()) {
                return Err((StatusCode::LoopDetected, vec![])); // merged, RFC 3261 8.2.2.2
            }
            // One address may let half of what there is ring, so that others can call while it floods.
            let max = self.shared.config.max_calls;
            let ringing = calls.values().filter(|k| !k.answered && k.source == source.ip()).count();
            if calls.len() >= max || ringing >= (max / 2).max(1) {
                return Err((StatusCode::ServiceUnavailable, vec![retry_after()]));
            }
        }
        let required = request.header_value("Require").unwrap_or_default();
        let unknown: Vec<&str> = required
            .split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty() && !KNOWN.contains(&t.to_ascii_lowercase().as_str()))
            .collect();
        if !unknown.is_empty() {
            return Err((StatusCode::BadExtension, vec![Header::Unsupported(unknown.join(", ").into())]));
        }
        if request.body.is_empty() {
            return Ok((None, source));
        }
        let kind = request.header_value("Content-Type").unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/sdp") {
            return Err((StatusCode::UnsupportedMediaType, vec![Header::Accept("application/sdp".into())]));
        }
        let offer = Offer::parse(&request.body).map_err(|error| {
            tracing::info!(%source, %error, "INVITE refused");
            bad()
        })?;
        let chosen = offer.choose(None).map_err(|error| {
            tracing::info!(%source, %error, "INVITE refused");
            // 305: incompatible media format. RFC 3261 20.43.
            let text = format!("305 roomtone \"{error}\"");
            (StatusCode::NotAcceptableHere, vec![Header::Warning(text.into())])
        })?;
        Ok((Some((offer, chosen)), source))
    }

    fn describe(&self, leg: LegId, request: &Request, source: SocketAddr) -> IncomingCall {
        let called = address::user_of(&request.uri.to_string());
        let asserted = request.header_value("P-Asserted-Identity");
        let from = asserted.or_else(|| request.from_header().ok().map(|f| f.value().to_owned())).unwrap_or_default();
        let privacy = request.header_value("Privacy").unwrap_or_default().to_ascii_lowercase();
        let withheld = privacy.split(';').any(|p| matches!(p.trim(), "id" | "user" | "header"));
        let party = if withheld { address::Party::default() } else { address::parse(&from) };
        let bare = self.shared.config.bare_numbers;
        IncomingCall {
            leg,
            called_number: address::number(&called, bare),
            called,
            caller: address::number(&party.user, bare),
            caller_name: party.name.filter(|n| !n.eq_ignore_ascii_case("anonymous")),
            source,
            sip_call_id: request.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default(),
        }
    }

    /// Answers at once and stays for the ACK, if there is to be one.
    fn refuse(&self, mut tx: Transaction, status: StatusCode, headers: Vec<Header>) {
        let patience = self.shared.patience();
        self.shared.tasks.spawn(quiet(async move {
            if tx.reply_with(status, headers, None).await.is_ok() && tx.original.method == Method::Invite {
                let _ = tokio::time::timeout(patience, async { while tx.receive().await.is_some() {} }).await;
            }
        }));
    }
}

fn allow() -> Header {
    Header::Allow(ALLOW.into())
}

fn retry_after() -> Header {
    Header::RetryAfter(RETRY_AFTER.to_string().into())
}

/// The topmost Via tells where the request came from: we wrote `received` and `rport` there ourselves.
fn source_of(request: &Request) -> Option<SocketAddr> {
    let (_, target) = SipConnection::parse_target_from_via(request.via_header().ok()?).ok()?;
    target.try_into().ok()
}

/// A Contact behind NAT leads nowhere: requests of ours then go where the INVITE came from.
fn symmetric(dialog: &rsipstack::dialog::invite_dialog::InviteDialog, request: &Request, source: SocketAddr) {
    if !request.record_route_headers().is_empty() {
        return;
    }
    let Some(contact) = request.typed_contact_headers().ok().and_then(|c| c.into_iter().next()) else { return };
    let lost = match &contact.uri.host_with_port.host {
        rsipstack::sip::Host::IpAddr(ip) => ip.is_unspecified() || (private(*ip) && !private(source.ip())),
        rsipstack::sip::Host::Domain(name) => name.to_string().ends_with(".invalid"),
    };
    if lost {
        let uri = Uri { host_with_port: source.into(), ..contact.uri };
        quietly(|| Dialog::Invite(dialog.clone()).set_remote_target(uri, None));
    }
}

fn private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
