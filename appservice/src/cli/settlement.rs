//! `roomtone payments settlement`: settling with other operators. What is sent to them and comes from them are files.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use clap::Subcommand;
use jiff::Timestamp;
use payments::{
    Msat, UnixMillis,
    attach::Settings,
    ledger::Ledger,
    qr,
    settlement::{Imported, Office, PartnerStanding, PaymentEnd, Shown, Standing, files},
    stellar::TxHash,
};

use super::say;
use crate::config::Config;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum Settlement {
    /// Lists the partners: what is owed, and where the newest window stands.
    List,
    /// Shows a window: what each has carried, and the calls on which the two differ.
    Show {
        /// The partner.
        partner: String,
        /// The window's number. Default: the newest.
        #[arg(long)]
        window: Option<u32>,
    },
    /// Writes what the partner needs from us now, signed: our statement, and what we have agreed to.
    Export {
        /// The partner.
        partner: String,
        /// The file. Default: standard output.
        #[arg(long, short)]
        out: Option<PathBuf>,
    },
    /// Takes in a partner's file, as their `export` wrote it. Only what they have signed counts.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Pays what we owe a partner now, whatever the configuration says of when. A running process makes the payment.
    Pay {
        /// The partner.
        partner: String,
    },
    /// Lets a payment that was not made be tried again.
    Retry {
        /// The partner.
        partner: String,
    },
    /// Shows the link by which what is owed is paid out of a wallet (SEP-7), and its QR code.
    Link {
        /// The partner.
        partner: String,
        /// A file for the QR code as a picture (PNG), instead of one made of letters.
        #[arg(long)]
        qr: Option<PathBuf>,
    },
    /// Takes in that we have paid a partner out of a wallet.
    Paid {
        /// The partner.
        partner: String,
        /// The hash of the transaction that did: 64 hexadecimal digits.
        tx: String,
    },
    /// Lists what came in and cannot be told whose it is.
    Suspense,
    /// Says whose something is that came in: it counts for what they owe now.
    Assign {
        /// The transaction, as `suspense` lists it.
        tx: String,
        /// Its operation, as `suspense` lists it.
        operation: u32,
        /// The partner.
        partner: String,
    },
    /// Goes on reading behind a ledger that the server has forgotten meanwhile, once people have looked up what came in between.
    ReadBehind {
        /// The ledger's number.
        ledger: u32,
    },
}

/// At most so many lines of what lies in suspense.
const LINES: u32 = 1_000;

pub(super) async fn run(config: &Config, settings: &Settings, action: Settlement) -> anyhow::Result<()> {
    let office = open(config, settings).await?;
    match action {
        Settlement::List => list(&office).await,
        Settlement::Show { partner, window } => {
            let shown = office.show(&partner, window).await?;
            show(&shown);
            Ok(())
        }
        Settlement::Export { partner, out } => export(&office, &partner, out.as_deref()).await,
        Settlement::Import { file } => import(&office, &file).await,
        Settlement::Pay { partner } => {
            let payment = office.pay(&partner).await?;
            let asset = payment.asset;
            say(&format!(
                "{} {asset} to {partner} are ordered; `settlement list` says what became of it",
                payment.stroops
            ));
            Ok(())
        }
        Settlement::Retry { partner } => {
            let retried = office.retry(&partner).await?;
            say(if retried { "it may be paid again" } else { "there is no payment that was not made" });
            Ok(())
        }
        Settlement::Link { partner, qr } => link(&office, &partner, qr.as_deref()).await,
        Settlement::Paid { partner, tx } => {
            let payment = office.paid(&partner, hash(&tx)?).await?;
            say(&format!("taken in: it pays {} up to window {}", payment.amount, payment.windows.end()));
            Ok(())
        }
        Settlement::Suspense => suspense(&office).await,
        Settlement::Assign { tx, operation, partner } => {
            let reference = office.assign(hash(&tx)?, operation, &partner).await?;
            say(&match reference {
                Some(number) => format!("it is {partner}'s, and counts as if it had come under {number}"),
                None => format!("it is {partner}'s, and stands in their account: they owe nothing over agreed windows"),
            });
            Ok(())
        }
        Settlement::ReadBehind { ledger } => {
            office.read_behind(ledger).await?;
            say(&format!("what comes in is read from behind ledger {ledger} on"));
            Ok(())
        }
    }
}

async fn open(config: &Config, settings: &Settings) -> anyhow::Result<Office> {
    let section = settings
        .settlement
        .as_ref()
        .context("payments.settlement: the configuration has no such section; docs/settlement.md shows one")?;
    let agreed = section.check(&settings.tariffs)?;
    let now = || UnixMillis(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default());
    let ledger = Ledger::open(&settings.database_url(&config.data_dir)?, Arc::new(now)).await?;
    let (office, _engines) = Office::open(agreed, &ledger).await?;
    Ok(office)
}

async fn list(office: &Office) -> anyhow::Result<()> {
    say(&format!("our account: {}", office.account()));
    say(&match office.reading().await? {
        Some(reading) => format!("what comes in is read up to ledger {}", reading.ledger),
        None => "what comes in was never read: `roomtone payments` (or `run`) does it".to_owned(),
    });
    for standing in office.standings().await? {
        for line in partner(&standing) {
            say(&line);
        }
    }
    Ok(())
}

fn partner(has: &PartnerStanding) -> Vec<String> {
    let amount = Msat::new(has.balance.unsigned_abs()).unwrap_or(Msat::MAX);
    let mut lines = vec![
        String::new(),
        format!("{} ({}), paid in {}", has.name, has.account, has.asset),
        match has.balance.signum() {
            1 => format!("  they owe {amount}"),
            -1 => format!("  we owe {amount}"),
            _ => "  nothing is owed".to_owned(),
        },
    ];
    if let Some((due, by_us)) = &has.owed {
        let who = if *by_us { "we are to pay" } else { "they are to pay" };
        lines.push(format!("  {who} {} under {}", due.stroops, due.reference));
    }
    if let Some(payment) = &has.payment {
        let end = match &payment.end {
            None => "is under way".to_owned(),
            Some(PaymentEnd::Paid) => "is made".to_owned(),
            Some(PaymentEnd::NotPaid { why }) => {
                format!("was not made: {why}; `settlement retry` lets it be tried again, or pay by hand")
            }
            Some(PaymentEnd::LetGo { why }) => format!("was not made ({why}) and is let go"),
        };
        lines.push(format!("  our last payment, {} up to window {}, {end}", payment.stroops, payment.windows.end()));
    }
    lines.push(match &has.newest {
        None => "  no window yet".to_owned(),
        Some(kept) => format!("  window {} {}", kept.number, standing(kept.settlement.standing())),
    });
    let (from, until) = (files::shown(has.next.from), files::shown(has.next.until));
    lines.push(format!("  the next window is from {from} until {until}"));
    lines
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Proposed => "is made by us; their statement is waited for".to_owned(),
        Standing::Disputed(calls) => format!(
            "is not agreed: {} calls differ; what both have is agreed once they take in our file, and we theirs",
            calls.len()
        ),
        Standing::Agreed(agreement) if agreement.disputes.is_empty() => "is agreed".to_owned(),
        Standing::Agreed(agreement) => format!("is agreed, but for {} calls", agreement.disputes.len()),
    }
}

fn show(shown: &Shown) {
    let settlement = &shown.kept.settlement;
    let ours = settlement.ours();
    let window = ours.window;
    say(&format!(
        "window {}, from {} until {}, {}",
        shown.kept.number,
        files::shown(window.from),
        files::shown(window.until),
        standing(settlement.standing())
    ));
    let totals = |statement: &payments::settlement::Statement| {
        let sums = statement.totals();
        format!("{} calls, {} carried by A, {} by B", statement.lines().len(), sums.to_a, sums.to_b)
    };
    for side in [payments::settlement::Side::A, payments::settlement::Side::B] {
        say(&format!("{side:?} is {}", ours.terms.key(side)));
    }
    say(&format!("by our records: {}", totals(ours)));
    if let Standing::Agreed(agreement) = settlement.standing() {
        say(&format!("agreed: {}; statement {:?}", totals(&agreement.statement), agreement.statement.hash()));
    }
    for (dispute, call) in &shown.disputes {
        let call = call.as_ref().map_or_else(String::new, |call| {
            format!(" (our call {:?}, ended {})", call.call, files::shown(call.ended))
        });
        say(&format!("differs: {dispute}{call}"));
    }
    for call in &shown.left_out {
        say(&format!("in no statement, for it has no SIP Call-ID of its own: our call {call:?}"));
    }
}

async fn export(office: &Office, partner: &str, out: Option<&Path>) -> anyhow::Result<()> {
    let text = office.export(partner).await?;
    match out {
        Some(path) => {
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
            say(&format!("{} is for {partner}: they take it in with `settlement import`", path.display()));
            Ok(())
        }
        None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
    }
}

async fn import(office: &Office, file: &Path) -> anyhow::Result<()> {
    let text = read(file).with_context(|| file.display().to_string())?;
    let mut refused = 0;
    for said in office.import(&text).await? {
        match said {
            Ok(Imported { partner, window, standing: how }) => {
                let how = how.as_ref().map_or_else(|| "was agreed before".to_owned(), standing);
                say(&format!("{partner}: the window from {} {how}", files::shown(window.from)));
            }
            Err(error) => {
                refused += 1;
                super::complain(&error.to_string());
            }
        }
    }
    anyhow::ensure!(refused == 0, "{refused} statements in {} changed nothing", file.display());
    Ok(())
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let most = files::MOST_BYTES;
    let length = if file == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_string(&mut text)?
    } else {
        std::fs::File::open(file)?.take(most + 1).read_to_string(&mut text)?
    };
    if length as u64 > most {
        return Err(std::io::Error::other(format!("it is longer than {most} bytes, and no statement is")));
    }
    Ok(text)
}

async fn link(office: &Office, partner: &str, picture: Option<&Path>) -> anyhow::Result<()> {
    let (link, by_us) = office.link(partner).await?;
    let words = if by_us { "we are to pay; for a wallet of ours:" } else { "they are to pay; for a wallet of theirs:" };
    say(words);
    say(&link.to_string());
    match picture {
        Some(path) => {
            std::fs::write(path, link.qr_png()?).with_context(|| path.display().to_string())?;
            say(&format!("its QR code is in {}", path.display()));
        }
        None => say(&qr::letters(&link.to_string())?),
    }
    if by_us {
        say(&format!("once it is paid: roomtone payments settlement paid {partner} TRANSACTION"));
    }
    Ok(())
}

async fn suspense(office: &Office) -> anyhow::Result<()> {
    let lying = office.suspense(LINES).await?;
    if lying.is_empty() {
        say("nothing lies in suspense");
    }
    for kept in lying {
        let arrival = kept.arrival;
        let asset = arrival.asset.map_or_else(|| "an unknown asset".to_owned(), |asset| asset.to_string());
        let under = arrival.reference.map_or_else(|| "no number".to_owned(), |number| number.to_string());
        say(&format!(
            "{} {}: {} {asset} from {} under {under}, in ledger {}",
            arrival.tx, arrival.operation, arrival.amount, arrival.from, arrival.ledger
        ));
    }
    Ok(())
}

fn hash(text: &str) -> anyhow::Result<TxHash> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .with_context(|| format!("{text:?} is no transaction's hash: it has 64 hexadecimal digits"))?;
    Ok(TxHash::from_bytes(bytes))
}
