//! Runs [`CreditSession`]s on the ledger: a task a call.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Quota;
use super::seam::{Answer, CallTerms, Declined, Ended, Input, Length, Now, Output, Request};
use super::session::CreditSession;
use super::snapshot::{NOTES, Snapshot};
use crate::Msat;
use crate::cdr::store::CdrError;
use crate::cdr::{self, Carrier, Ending, Leg};
use crate::ledger::{AccountId, Ledger, LedgerError, Note, Resolution, StoreError};

/// How often reservations are looked for whose time has come, and records that could not be written.
const TIDY: Duration = Duration::from_secs(30);
/// How long after its reservation has expired a call is left to a desk that may come back.
const ABANDONED: Duration = Duration::from_secs(3600);
/// What may wait between a call and its desk: a call is answered once, ends once, and is warned twice a grant.
const WAITING: usize = 16;
/// Ended calls that may wait for their records; more of them are found in the ledger by the next tidying.
const RECORDS: usize = 1024;
/// Notes that are read at a time.
const PAGE: u32 = 1_000;

/// What a call is told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// What can be afforded ends in so much time.
    Warn(Duration),
    /// There is money again: the warning is taken back.
    Extended,
    /// It is used up: hang up.
    Cut,
}

/// A call that is paid for. Dropped without [`Self::settle`], it ends at that moment.
#[derive(Debug)]
pub struct CallCredit {
    inputs: mpsc::Sender<Input>,
    happened: mpsc::Receiver<Happened>,
    charged: watch::Receiver<Msat>,
    closed: oneshot::Receiver<Msat>,
}

/// What a [`CallCredit`] is the desk's end of.
pub(crate) struct FarEnd {
    /// What the desk says. Its end: the desk has let go of the call.
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// What it is told.
    pub(crate) tell: mpsc::Sender<Happened>,
    /// What was taken so far.
    pub(crate) charges: watch::Sender<Msat>,
    /// All is settled.
    pub(crate) close: oneshot::Sender<Msat>,
}

impl CallCredit {
    /// Both ends of what connects a call with its credit control.
    pub(crate) fn connected() -> (Self, FarEnd) {
        let (desk, inputs) = mpsc::channel(WAITING);
        let (tell, happened) = mpsc::channel(WAITING);
        let (charges, charged) = watch::channel(Msat::ZERO);
        let (close, closed) = oneshot::channel();
        (Self { inputs: desk, happened, charged, closed }, FarEnd { inputs, tell, charges, close })
    }

    /// Both ends for a desk elsewhere: what the call is told while it runs and what was taken, in the order in which it comes.
    pub(crate) fn apart(
        self,
    ) -> (mpsc::Sender<Input>, mpsc::Receiver<Happened>, watch::Receiver<Msat>, oneshot::Receiver<Msat>) {
        (self.inputs, self.happened, self.charged, self.closed)
    }

    /// The call was answered: it costs from now on.
    pub async fn answered(&self) {
        // The task is gone only when the call has ended.
        let _ = self.inputs.send(Input::Answered).await;
    }

    /// Waits for what happens next; `None`: all is settled. May be dropped and asked again, nothing is lost.
    pub async fn happened(&mut self) -> Option<Happened> {
        self.happened.recv().await
    }

    /// What was taken so far.
    #[must_use]
    pub fn charged(&self) -> Msat {
        *self.charged.borrow()
    }

    /// The call has ended after this length. Gives what it cost as soon as the ledger has it; where the ledger does not answer
    /// for longer than `patience`, what was taken until then. The rest is settled behind it.
    pub async fn settle(self, length: Length, ending: Ending, patience: Duration) -> Msat {
        let _ = self.inputs.send(Input::Ended(Box::new(Ended { length, ending }))).await;
        match tokio::time::timeout(patience, self.closed).await {
            Ok(Ok(charged)) => charged,
            _ => *self.charged.borrow(),
        }
    }
}

/// Why credit control does not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not known which calls were under way when the program ended.
    #[error("the calls that were under way cannot be read: {0}")]
    Calls(#[from] StoreError),
}

/// Credit control on a ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    ledger: Ledger,
    quota: Quota,
    calls: TaskTracker,
    tasks: TaskTracker,
    stop: CancellationToken,
    topped_up: watch::Sender<()>,
    ended: mpsc::Sender<Snapshot>,
    /// Carriers' accounts that are open.
    carriers: Arc<Mutex<HashSet<AccountId>>>,
}

impl Service {
    /// Begins to serve the calls of this `node`, which is the name of one process and of no other on this database. The calls that
    /// it had under way when it died are settled first.
    ///
    /// # Errors
    /// [`StartError`]; no paid call may be set up then.
    pub async fn start(ledger: Ledger, quota: Quota, node: &str) -> Result<Self, StartError> {
        let (calls, tasks, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let (ended, waiting) = mpsc::channel(RECORDS);
        let (topped_up, carriers) = (watch::Sender::new(()), Arc::default());
        let service = Self { ledger, quota, calls, tasks, stop, topped_up, ended, carriers };
        service.tasks.spawn(records(service.ledger.clone(), waiting, service.stop.clone()));
        service.recover(node).await?;
        service.tasks.spawn(tidy(service.clone()));
        Ok(service)
    }

    /// The ledger that it is on.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reserves the beginning of a call. `name` is the call's, for ever. `over` is called when all is settled, with what it cost.
    ///
    /// # Errors
    /// [`Declined`]: it must not be set up.
    pub async fn begin(
        &self,
        name: String,
        terms: CallTerms,
        over: impl FnOnce(Msat) + Send + 'static,
    ) -> Result<CallCredit, Declined> {
        let over: Over = Box::new(over);
        match self.is_known(&name).await {
            Ok(false) => {}
            known => {
                over(Msat::ZERO);
                return Err(if known.is_ok() { Declined::Again } else { Declined::Ledger });
            }
        }
        let (credit, FarEnd { inputs, tell, charges, close }) = CallCredit::connected();
        let (start, started) = oneshot::channel();
        let machine = CreditSession::begin(self.read(), name, terms, self.quota);
        let desk = Desk { start: Some(start), tell, charges, close: Some(close), over: Some(over) };
        let call = Call { service: self.clone(), machine, asked: JoinSet::new(), desk };
        self.calls.spawn(call.run(inputs, self.topped_up.subscribe()));
        started.await.unwrap_or(Err(Declined::Ledger))?;
        Ok(credit)
    }

    /// Whether a call of this name is under way, or has its record.
    async fn is_known(&self, name: &str) -> Result<bool, CdrError> {
        Ok(self.ledger.note(&Snapshot::key(name)).await?.is_some()
            || !cdr::store::revisions(self.ledger.database(), name, Leg::Customer).await?.is_empty())
    }

    /// Money came in on some account: calls that could not be extended ask again at once.
    pub fn topped_up(&self) {
        self.topped_up.send_replace(());
    }

    /// Told each time that money came in.
    #[must_use]
    pub fn watch_top_ups(&self) -> watch::Receiver<()> {
        self.topped_up.subscribe()
    }

    /// Waits until all calls are settled and their records written: they must have been told that they ended. Takes no new work.
    pub async fn close(&self) {
        self.calls.close();
        self.calls.wait().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Settles calls of a process that died.
    async fn recover(&self, node: &str) -> Result<(), StoreError> {
        let mut over = Vec::new();
        for snapshot in calls(&self.ledger).await?.into_iter().filter(|call| call.about.node == node) {
            if snapshot.ended.is_some() {
                let _ = self.ended.send(snapshot).await;
                continue;
            }
            over.push(self.end_lost(snapshot));
        }
        for closed in over {
            // An error is a task that broke: its note stays, and the next start finds it.
            let _ = closed.await;
        }
        Ok(())
    }

    /// Settles a call whose desk has died.
    fn end_lost(&self, snapshot: Snapshot) -> oneshot::Receiver<Msat> {
        tracing::warn!(call = %snapshot.name, charged = %snapshot.charged, "a call was under way when its desk died");
        let (close, closed) = oneshot::channel();
        let (tell, _) = mpsc::channel(1);
        let (charges, _) = watch::channel(snapshot.charged);
        let desk = Desk { start: None, tell, charges, close: Some(close), over: None };
        let machine = CreditSession::recover(self.read(), snapshot);
        let call = Call { service: self.clone(), machine, asked: JoinSet::new(), desk };
        let (gone, from_desk) = mpsc::channel(1);
        drop(gone);
        self.calls.spawn(call.run(from_desk, self.topped_up.subscribe()));
        closed
    }

    /// Frees what dead desks have held, and writes the records that they left unwritten: of calls that have ended, and of those
    /// whose reservation expired an hour ago and whose desk never came back. It is done every half minute by itself.
    ///
    /// # Errors
    /// What the ledger says; what was not done is done the next time.
    pub async fn tidy(&self) -> Result<(), CdrError> {
        match self.ledger.expire_due().await {
            Ok(0) => {}
            Ok(freed) => tracing::info!(freed, "reservations of calls that nobody ended have expired"),
            Err(error) => tracing::warn!(%error, "reservations could not be looked through"),
        }
        cdr::store::flush(&self.ledger).await?;
        let (mut ended, mut lost) = (Vec::new(), Vec::new());
        for call in calls(&self.ledger).await? {
            if call.ended.is_some() {
                ended.push(call);
            } else if self.is_abandoned(&call).await? {
                lost.push(self.end_lost(call));
            }
        }
        for closed in lost {
            let _ = closed.await;
        }
        if !ended.is_empty() {
            cdr::store::close(&self.ledger, &ended).await?;
        }
        Ok(())
    }

    /// Whether nobody can be charging the call any more: who does keeps its reservation alive.
    async fn is_abandoned(&self, call: &Snapshot) -> Result<bool, StoreError> {
        let Some(held) = call.held else { return Ok(false) };
        let now = self.ledger.now();
        let reservation = self.ledger.reservation(held.id).await?;
        Ok(reservation.is_some_and(|held| {
            held.resolved == Some(Resolution::Expired) && held.expires.is_some_and(|at| at.after(ABANDONED) <= now)
        }))
    }

    /// Opens the accounts that a carrier's cost is booked in. If that fails the booking is refused, and the call's record says so.
    async fn open_carrier(&self, carrier: &Carrier) {
        let opened = || self.carriers.lock().unwrap_or_else(PoisonError::into_inner);
        let account = carrier.account();
        if opened().contains(&account) {
            return;
        }
        match cdr::store::open_carrier(&self.ledger, account).await {
            Ok(()) => _ = opened().insert(account),
            Err(error) => {
                tracing::warn!(%error, trunk = %carrier.trunk, "the account of a carrier could not be opened");
            }
        }
    }

    fn read(&self) -> Now {
        Now { mono: tokio::time::Instant::now().into_std(), wall: self.ledger.now() }
    }
}

/// All calls that the ledger has notes of. One that cannot be read is told of and passed over.
async fn calls(ledger: &Ledger) -> Result<Vec<Snapshot>, StoreError> {
    let mut calls = Vec::new();
    let mut after = NOTES.to_owned();
    loop {
        let notes = ledger.notes(NOTES, &after, PAGE).await?;
        let Some(last) = notes.last() else { return Ok(calls) };
        after.clone_from(&last.key);
        for Note { key, body } in notes {
            match serde_json::from_str(&body.unwrap_or_default()) {
                Ok(call) => calls.push(call),
                Err(error) => tracing::error!(%key, %error, "the note of a call cannot be read"),
            }
        }
    }
}

/// Writes the records of calls that have ended, many in one commit when many end.
async fn records(ledger: Ledger, mut ended: mpsc::Receiver<Snapshot>, stop: CancellationToken) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = ended.recv_many(&mut batch, RECORDS) => {}
            () = stop.cancelled() => batch.extend(std::iter::from_fn(|| ended.try_recv().ok())),
        }
        if batch.is_empty() {
            return;
        }
        if let Err(error) = cdr::store::close(&ledger, &batch).await {
            tracing::error!(%error, calls = batch.len(), "records could not be written; they will be");
        }
        batch.clear();
    }
}

async fn tidy(service: Service) {
    loop {
        if let Err(error) = service.tidy().await {
            tracing::warn!(%error, "records could not be looked through");
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY) => {}
            () = service.stop.cancelled() => return,
        }
    }
}

type Over = Box<dyn FnOnce(Msat) + Send>;

/// The ends of what connects a call with its desk.
struct Desk {
    start: Option<oneshot::Sender<Result<(), Declined>>>,
    tell: mpsc::Sender<Happened>,
    charges: watch::Sender<Msat>,
    close: Option<oneshot::Sender<Msat>>,
    over: Option<Over>,
}

struct Call {
    service: Service,
    machine: CreditSession,
    asked: JoinSet<(u32, Answer)>,
    desk: Desk,
}

impl Call {
    async fn run(mut self, mut from_desk: mpsc::Receiver<Input>, mut topped_up: watch::Receiver<()>) {
        let mut desk_there = true;
        if let Some(carrier) = self.machine.carrier().cloned() {
            self.service.open_carrier(&carrier).await;
        }
        self.drain();
        while !self.machine.closed() {
            let due = self.machine.poll_timeout();
            let input = tokio::select! {
                input = from_desk.recv(), if desk_there => {
                    // A desk that lets go of the call has ended it.
                    desk_there = input.is_some();
                    let gone = || Ended { length: Length::UntilNow, ending: Ending::lost() };
                    Some(input.unwrap_or_else(|| Input::Ended(Box::new(gone()))))
                }
                Some(told) = self.asked.join_next() => {
                    told.ok().map(|(number, answer)| Input::Told(number, answer))
                }
                Ok(()) = topped_up.changed() => Some(Input::ToppedUp),
                () = sleep_until(due), if due.is_some() => None,
            };
            if let Some(Input::Ended(ended)) = &input
                && let Some(carrier) = &ended.ending.carrier
            {
                self.service.open_carrier(carrier).await;
            }
            let now = self.service.read();
            match input {
                Some(input) => self.machine.handle(now, input),
                None => self.machine.handle_timeout(now),
            }
            self.drain();
        }
        if let Some(record) = self.machine.record() {
            // Full: it is in the ledger, and the next tidying finds it.
            let _ = self.service.ended.try_send(record.clone());
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Ask(request) => drop(self.asked.spawn(ask(self.service.ledger.clone(), *request))),
                Output::Start => self.desk.started(Ok(())),
                Output::Decline(why) => self.desk.started(Err(why)),
                Output::Warn(left) => self.desk.tell(Happened::Warn(left)),
                Output::Extended => self.desk.tell(Happened::Extended),
                Output::Cut => self.desk.tell(Happened::Cut),
                Output::Closed { charged, unpaid } => self.desk.closed(charged, unpaid),
            }
        }
        self.desk.charges.send_replace(self.machine.charged());
    }
}

impl Desk {
    fn started(&mut self, how: Result<(), Declined>) {
        if let Some(start) = self.start.take() {
            // Who asked may be gone; then its end of the channel is, and the call ends.
            let _ = start.send(how);
        }
    }

    fn tell(&self, what: Happened) {
        // A desk that is gone hears nothing; one that does not listen must not hold up the money.
        if let Err(mpsc::error::TrySendError::Full(what)) = self.tell.try_send(what) {
            tracing::error!(?what, "a call does not listen to its credit control");
        }
    }

    fn closed(&mut self, charged: Msat, unpaid: Msat) {
        if !unpaid.is_zero() {
            tracing::error!(%unpaid, "a call could not be charged in full: its reservation was gone");
        }
        if let Some(over) = self.over.take() {
            over(charged);
        }
        if let Some(close) = self.close.take() {
            let _ = close.send(charged);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
    }
}

async fn ask(ledger: Ledger, request: Request) -> (u32, Answer) {
    let answer = match ledger.apply_noted(request.transfers, request.snapshot.note()).await {
        Ok(_) => Answer::Done,
        Err(LedgerError::Refused { refusal, .. }) => Answer::Refused(refusal),
        Err(error @ (LedgerError::Unsure(_) | LedgerError::Closed)) => {
            tracing::warn!(%error, "credit control has no answer");
            Answer::Unknown
        }
    };
    (request.number, answer)
}
