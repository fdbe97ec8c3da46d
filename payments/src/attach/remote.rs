//! The module where it is a process of its own.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};

use super::ask::{Answer, Ask, Refused};
use super::wire::{self, Address, PATIENCE, Replied, Said, Stream, WireError};
use super::{Asking, Attached};
use crate::ChargeRequest;
use crate::charge::{CallCharging, CallCredit, Declined, FarEnd, Happened, Input, Means, Reserving};

/// An answer may take so long: a database waits for others, a node for its peers.
const ANSWER: Duration = Duration::from_secs(30);

/// A payments process, by its address. Each question and each call has a connection of its own, so that a process that ended and
/// began again is found without more ado.
#[derive(Debug, Clone)]
pub struct Remote {
    address: Address,
    token: Option<SecretString>,
}

impl Remote {
    /// Asks there. Nothing is connected yet.
    #[must_use]
    pub fn new(address: Address, token: Option<SecretString>) -> Self {
        Self { address, token }
    }

    async fn connect(&self) -> Result<(From, To), WireError> {
        let stream: Box<dyn Stream> = match &self.address {
            Address::Unix(file) => Box::new(UnixStream::connect(file).await?),
            Address::Loopback(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        };
        let (from, mut to) = tokio::io::split(stream);
        let token = self.token.as_ref().map(|token| token.expose_secret().to_owned()).unwrap_or_default();
        wire::write(&mut to, &Said::Hello { token }).await?;
        Ok((BufReader::new(from), to))
    }

    async fn asked(&self, ask: Ask) -> Result<Result<Answer, Refused>, WireError> {
        let (mut from, mut to) = self.connect().await?;
        wire::write(&mut to, &Said::Ask(ask)).await?;
        let reply = tokio::time::timeout(ANSWER, wire::read(&mut from)).await.map_err(|_| WireError::Slow)??;
        Ok(match reply {
            Some(Replied::Answer(answer)) => Ok(*answer),
            Some(Replied::Refused(refused)) => Err(refused),
            Some(_) | None => Err(Refused::Unavailable("it broke off".into())),
        })
    }

    async fn begun(&self, request: &ChargeRequest) -> Result<Result<Option<CallCredit>, Declined>, WireError> {
        let (mut from, mut to) = self.connect().await?;
        wire::write(&mut to, &Said::Reserve(request.clone())).await?;
        Ok(match wire::read_soon(&mut from).await? {
            Some(Replied::Reserved) => {
                let (credit, far) = CallCredit::connected();
                tokio::spawn(carry(from, to, far));
                Ok(Some(credit))
            }
            Some(Replied::Free) => Ok(None),
            Some(Replied::Declined { means, text }) => Err(Declined::Elsewhere { means, text }),
            Some(Replied::Refused(refused)) => Err(failed(&refused)),
            Some(_) | None => Err(failed(&"it broke off")),
        })
    }

    fn gone(&self, error: &WireError) -> String {
        format!("the payments process at {}: {error}", self.address)
    }
}

type From = BufReader<ReadHalf<Box<dyn Stream>>>;
type To = WriteHalf<Box<dyn Stream>>;

fn failed(why: &impl ToString) -> Declined {
    Declined::Elsewhere { means: Means::Failed, text: why.to_string() }
}

impl CallCharging for Remote {
    fn reserve<'a>(&'a self, request: &'a ChargeRequest) -> Reserving<'a> {
        Box::pin(async { self.begun(request).await.unwrap_or_else(|error| Err(failed(&self.gone(&error)))) })
    }
}

impl Attached for Remote {
    fn ask(&self, ask: Ask) -> Asking<'_> {
        Box::pin(async { self.asked(ask).await.unwrap_or_else(|error| Err(Refused::Unavailable(self.gone(&error)))) })
    }
}

/// Carries a call's credit over the connection. Where it breaks the call is cut: nobody pays for it any more.
async fn carry(mut from: From, mut to: To, far: FarEnd) {
    let FarEnd { mut inputs, tell, charges, close } = far;
    let (lines, mut heard) = tokio::sync::mpsc::channel(4);
    let reader = tokio::spawn(async move {
        while let Ok(Some(replied)) = wire::read::<Replied>(&mut from).await {
            if lines.send(replied).await.is_err() {
                return;
            }
        }
    });
    let _reader = tokio_util::task::AbortOnDropHandle::new(reader);
    let mut desk_there = true;
    let mut patience = std::pin::pin!(tokio::time::sleep(Duration::MAX / 4));
    loop {
        tokio::select! {
            input = inputs.recv(), if desk_there => {
                let said = match input {
                    Some(Input::Answered) => Said::Answered,
                    Some(Input::Ended(ended)) => Said::Ended(ended),
                    // What the ledger says does not come from here.
                    Some(Input::ToppedUp | Input::Told(..)) => continue,
                    // A desk that lets go of the call: so does the connection.
                    None => return,
                };
                let last = matches!(said, Said::Ended(_));
                if wire::write(&mut to, &said).await.is_err() {
                    let _ = tell.try_send(Happened::Cut);
                    return;
                }
                if last {
                    desk_there = false;
                    patience.as_mut().reset(tokio::time::Instant::now() + ANSWER + PATIENCE);
                }
            }
            replied = heard.recv() => match replied {
                Some(Replied::Happened(what)) => {
                    let _ = tell.try_send(what);
                }
                Some(Replied::Charged(so_far)) => drop(charges.send_replace(so_far)),
                Some(Replied::Closed(charged)) => {
                    charges.send_replace(charged);
                    let _ = close.send(charged);
                    return;
                }
                _ => {
                    tracing::warn!("the payments process is gone: a call that it paid for is cut");
                    let _ = tell.try_send(Happened::Cut);
                    return;
                }
            },
            () = &mut patience => return,
        }
    }
}
