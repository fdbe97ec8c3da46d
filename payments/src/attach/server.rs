//! The module as a process of its own: it serves [`super::Remote`]s over a socket.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Attached;
use super::ask::Refused;
use super::wire::{self, Address, Replied, Said, Stream, WireError};
use crate::charge::{CallCredit, Input, Length};
use crate::{ChargeRequest, cdr};

/// What listens.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    token: Option<SecretString>,
}

#[derive(Debug)]
enum Kind {
    Unix(UnixListener),
    Loopback(TcpListener),
}

impl Listener {
    /// Listens at an address. A Unix socket is for the user alone whose process this is (or its group, where the folder lets
    /// it in); one that an earlier process left is replaced.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: &Address, token: Option<SecretString>) -> io::Result<Self> {
        let kind = match address {
            Address::Unix(file) => Kind::Unix(unix(file)?),
            Address::Loopback(address) => Kind::Loopback(TcpListener::bind(address).await?),
        };
        Ok(Self { kind, token })
    }

    /// The port, of a loopback address.
    ///
    /// # Errors
    /// Of a Unix socket: there is none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.kind {
            Kind::Loopback(listener) => listener.local_addr(),
            Kind::Unix(_) => Err(io::Error::other("a Unix socket has no port")),
        }
    }

    /// Serves until `stop`, then waits until all calls that are under way are told to end.
    pub async fn serve(self, module: Arc<dyn Attached>, stop: CancellationToken) {
        let talks = TaskTracker::new();
        let token = Arc::new(self.token);
        loop {
            let stream = tokio::select! {
                stream = self.kind.accept() => stream,
                () = stop.cancelled() => break,
            };
            match stream {
                Ok(stream) => {
                    let talk = Talk { module: Arc::clone(&module), token: Arc::clone(&token), stop: stop.clone() };
                    talks.spawn(async move {
                        if let Err(error) = talk.run(stream).await {
                            tracing::debug!(%error, "a talk about payments broke off");
                        }
                    });
                }
                Err(error) => {
                    // Too many open files, say: those who are connected go on.
                    tracing::warn!(%error, "nobody can connect to payments");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        talks.close();
        talks.wait().await;
    }
}

impl Kind {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Loopback(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

fn unix(file: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(file) {
        Ok(there) if there.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(file).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process serves there"));
            }
            std::fs::remove_file(file)?;
        }
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(file)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

struct Talk {
    module: Arc<dyn Attached>,
    token: Arc<Option<SecretString>>,
    stop: CancellationToken,
}

type From = BufReader<ReadHalf<Box<dyn Stream>>>;
type To = WriteHalf<Box<dyn Stream>>;

impl Talk {
    async fn run(self, stream: Box<dyn Stream>) -> Result<(), WireError> {
        let (from, mut to) = tokio::io::split(stream);
        let mut from = BufReader::new(from);
        match wire::read_soon(&mut from).await? {
            Some(Said::Hello { token }) if wire::is_right((*self.token).as_ref(), &token) => {}
            Some(_) => {
                // What was asked is read too: a socket that is closed with something unread takes the answer with it.
                let _ = wire::read_soon::<Said>(&mut from).await;
                return wire::write(&mut to, &Replied::Refused(wrong_token())).await;
            }
            None => return Ok(()),
        }
        match wire::read_soon(&mut from).await? {
            Some(Said::Ask(ask)) => {
                let replied = match self.module.ask(ask).await {
                    Ok(answer) => Replied::Answer(Box::new(answer)),
                    Err(refused) => Replied::Refused(refused),
                };
                wire::write(&mut to, &replied).await
            }
            Some(Said::Reserve(request)) => self.call(&request, from, to).await,
            Some(_) => wire::write(&mut to, &Replied::Refused(Refused::Mistake("that is no question".into()))).await,
            None => Ok(()),
        }
    }

    async fn call(self, request: &ChargeRequest, from: From, mut to: To) -> Result<(), WireError> {
        let credit = match self.module.reserve(request).await {
            Ok(Some(credit)) => credit,
            Ok(None) => return wire::write(&mut to, &Replied::Free).await,
            Err(declined) => {
                let declined = Replied::Declined { means: declined.means(), text: declined.to_string() };
                return wire::write(&mut to, &declined).await;
            }
        };
        wire::write(&mut to, &Replied::Reserved).await?;
        self.while_it_lasts(credit, from, to).await
    }

    /// Passes on what is said from both sides. Whatever breaks drops the credit, and with it the call ends at that moment.
    async fn while_it_lasts(self, credit: CallCredit, mut from: From, mut to: To) -> Result<(), WireError> {
        let (inputs, mut happened, mut charged, mut closed) = credit.apart();
        // Reading a line must not be broken off half way.
        let (lines, mut heard) = tokio::sync::mpsc::channel(4);
        let reader = tokio::spawn(async move {
            while let Ok(Some(said)) = wire::read::<Said>(&mut from).await {
                if lines.send(said).await.is_err() {
                    return;
                }
            }
        });
        let reader = tokio_util::task::AbortOnDropHandle::new(reader);
        let mut inputs = Some(inputs);
        loop {
            tokio::select! {
                said = heard.recv(), if inputs.is_some() => {
                    let input = match said {
                        Some(Said::Answered) => Input::Answered,
                        Some(Said::Ended(ended)) => Input::Ended(ended),
                        // The desk is gone, or does not know what it says.
                        _ => return Ok(()),
                    };
                    let last = matches!(input, Input::Ended(_));
                    if let Some(to_call) = &inputs {
                        let _ = to_call.send(input).await;
                    }
                    if last {
                        inputs = None;
                    }
                }
                what = happened.recv() => {
                    if let Some(what) = what {
                        wire::write(&mut to, &Replied::Happened(what)).await?;
                    } else {
                        let charged = closed.try_recv().unwrap_or(*charged.borrow());
                        drop(reader);
                        return wire::write(&mut to, &Replied::Closed(charged)).await;
                    }
                }
                Ok(()) = charged.changed() => {
                    let so_far = *charged.borrow_and_update();
                    wire::write(&mut to, &Replied::Charged(so_far)).await?;
                }
                // The module ends: so do the calls that it pays for.
                () = self.stop.cancelled(), if inputs.is_some() => {
                    if let Some(to_call) = inputs.take() {
                        let ended = crate::charge::Ended { length: Length::UntilNow, ending: cdr::Ending::lost() };
                        let _ = to_call.send(Input::Ended(Box::new(ended))).await;
                    }
                }
            }
        }
    }
}

fn wrong_token() -> Refused {
    Refused::Unavailable(
        "the token is not that of the payments process; both must name the same payments.token_file".into(),
    )
}
