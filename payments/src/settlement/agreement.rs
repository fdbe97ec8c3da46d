//! Two sides on their way to one statement: a state machine for each, whose messages may be lost, doubled, forged or late.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};

use super::{CallLine, CallName, Side, Statement, StatementError, StatementHash, Terms, Totals};
use crate::stellar::{Address, SigningKey};

/// Goes before what is signed, so that the key's signature of a statement is never one of anything else (a transaction, say).
const SIGNED: &[u8] = b"roomtone settlement signature 1\n";

/// Begins every proposal that is sent. Another form gets another number.
const HEAD: &[u8] = b"roomtone settlement proposal 1\n";

/// A statement with one side's signature: what is sent to the partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What is claimed.
    pub statement: Statement,
    /// By whom.
    pub by: Address,
    /// That it was them.
    pub signature: [u8; 64],
}

impl Proposal {
    fn sign(statement: Statement, key: &SigningKey) -> Self {
        let signature = key.sign(&signed_bytes(statement.hash()));
        Self { statement, by: key.address(), signature }
    }

    /// As it is sent: as a file, or in a message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [HEAD, self.by.bytes(), &self.signature[..], &self.statement.bytes()].concat()
    }

    /// Reads what [`Proposal::bytes`] has written. Whose it is, [`Settlement::receive`] looks at.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn read(bytes: &[u8]) -> Result<Self, StatementError> {
        let cut = StatementError::Bytes("cut off");
        let rest = bytes.strip_prefix(HEAD).ok_or(StatementError::Bytes("another beginning"))?;
        let (by, rest) = rest.split_first_chunk::<32>().ok_or_else(|| cut.clone())?;
        let (signature, rest) = rest.split_first_chunk::<64>().ok_or(cut)?;
        Ok(Self { statement: Statement::read(rest)?, by: Address::from_bytes(*by), signature: *signature })
    }

    /// Whether the signature is that key's, of this statement.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        is_signed(self.statement.hash(), self.by, &self.signature)
    }
}

fn signed_bytes(hash: StatementHash) -> Vec<u8> {
    [SIGNED, &hash.0].concat()
}

fn is_signed(hash: StatementHash, by: Address, signature: &[u8; 64]) -> bool {
    // Strict: no second form of the same signature, no weak keys.
    VerifyingKey::from_bytes(by.bytes())
        .is_ok_and(|key| key.verify_strict(&signed_bytes(hash), &Signature::from_bytes(signature)).is_ok())
}

/// A call on which the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispute {
    /// Only we have it.
    OnlyOurs(CallLine),
    /// Only they have it.
    OnlyTheirs(CallLine),
    /// Both have it, and not alike.
    Differs {
        /// As we have it.
        ours: CallLine,
        /// As they have it.
        theirs: CallLine,
    },
}

impl Dispute {
    /// Which call.
    #[must_use]
    pub const fn call(&self) -> CallName {
        match self {
            Self::OnlyOurs(line) | Self::OnlyTheirs(line) | Self::Differs { ours: line, .. } => line.call,
        }
    }
}

impl fmt::Display for Dispute {
    /// A line for people, without a number: `1f00… only ours: by A, 60 s, 700 msat`. Each finds the call in its own CDRs by
    /// making the names of its calls.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |line: &CallLine| format!("by {:?}, {} s, {} msat", line.carrier, line.seconds, line.amount.msat());
        write!(f, "{} ", self.call())?;
        match self {
            Self::OnlyOurs(ours) => write!(f, "only ours: {}", line(ours)),
            Self::OnlyTheirs(theirs) => write!(f, "only theirs: {}", line(theirs)),
            Self::Differs { ours, theirs } => write!(f, "ours: {}; theirs: {}", line(ours), line(theirs)),
        }
    }
}

/// A statement that both have signed. Either can show it to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// What is agreed.
    pub statement: Statement,
    /// Signed by `A`.
    pub by_a: [u8; 64],
    /// Signed by `B`.
    pub by_b: [u8; 64],
    /// What is not: for people, and for a later window.
    pub disputes: Vec<Dispute>,
}

impl Agreement {
    /// Whether both signatures are what they should be.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        let (hash, terms) = (self.statement.hash(), &self.statement.terms);
        is_signed(hash, terms.key(Side::A), &self.by_a) && is_signed(hash, terms.key(Side::B), &self.by_b)
    }

    /// What each has carried, undisputed.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.statement.totals()
    }
}

/// How far a window is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// We have told ours and wait.
    Proposed,
    /// They have told theirs, and it is not the same: these calls differ. We have signed what both have, and wait for the same
    /// from them.
    Disputed(Vec<Dispute>),
    /// Both have signed. Nothing changes it any more.
    Agreed(Box<Agreement>),
}

/// Why a partner's message changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not from them, or changed on the way.
    #[error("the statement is not signed by the partner's key {partner}: it is not theirs, or was changed on the way")]
    NotTheirs {
        /// Whose signature it should be.
        partner: Address,
    },
    /// Of another window, pair, rate or chain: an old one sent again, or a misunderstanding that people must clear up.
    #[error("the partner's statement has another {0} than ours; compare the agreement with them")]
    Other(&'static str),
    /// The window is over.
    #[error("this window is agreed already on another statement")]
    Closed,
    /// What both agree on cannot be put together.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// One window at one side.
#[derive(Debug)]
pub struct Settlement {
    ours: Statement,
    partner: Address,
    /// All that we have, signed.
    claim: Proposal,
    /// What both have, signed by us.
    common: Option<Proposal>,
    standing: Standing,
}

impl Settlement {
    /// Begins with what our own CDRs say. `None`: the key belongs to neither side.
    #[must_use]
    pub fn new(ours: Statement, key: &SigningKey) -> Option<Self> {
        let partner = match ours.terms.side(key.address())? {
            Side::A => ours.terms.key(Side::B),
            Side::B => ours.terms.key(Side::A),
        };
        let claim = Proposal::sign(ours.clone(), key);
        Some(Self { ours, partner, claim, common: None, standing: Standing::Proposed })
    }

    /// What the partner is to be sent, as often as it takes, in any order: all that we have, and what both have once we know
    /// it. The first tells them the disputes, the second is what they need to agree.
    pub fn proposals(&self) -> impl Iterator<Item = &Proposal> {
        std::iter::once(&self.claim).chain(&self.common)
    }

    /// What we claim.
    #[must_use]
    pub const fn ours(&self) -> &Statement {
        &self.ours
    }

    /// How far it is.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The partner's statement has come. The same one twice changes nothing.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn receive(&mut self, theirs: &Proposal, key: &SigningKey) -> Result<&Standing, Refused> {
        if theirs.by != self.partner || !theirs.is_genuine() {
            return Err(Refused::NotTheirs { partner: self.partner });
        }
        self.same_terms(&theirs.statement)?;
        let (both, disputes) = compare(&self.ours, &theirs.statement);
        match &mut self.standing {
            Standing::Agreed(agreed) => {
                // Behind an agreement comes what led to it, late or twice; anything else is news that comes too late.
                if both != agreed.statement.lines() {
                    return Err(Refused::Closed);
                }
                add(&mut agreed.disputes, disputes);
            }
            Standing::Proposed | Standing::Disputed(_) => self.answer(theirs, both, disputes, key)?,
        }
        Ok(&self.standing)
    }

    fn answer(
        &mut self,
        theirs: &Proposal,
        both: Vec<CallLine>,
        disputes: Vec<Dispute>,
        key: &SigningKey,
    ) -> Result<(), Refused> {
        let common = Statement::new(self.ours.terms, self.ours.window, self.ours.previous, both)?;
        // They claim nothing but what we have too: their signature is all that it takes.
        let agreed = common == theirs.statement;
        let mine = Proposal::sign(common, key);
        let mut all = if let Standing::Disputed(before) = &self.standing { before.clone() } else { Vec::new() };
        add(&mut all, disputes);
        self.standing = if agreed {
            Standing::Agreed(Box::new(self.agreement(theirs, &mine, all)))
        } else {
            Standing::Disputed(all)
        };
        self.common = Some(mine);
        Ok(())
    }

    fn agreement(&self, theirs: &Proposal, mine: &Proposal, disputes: Vec<Dispute>) -> Agreement {
        let statement = mine.statement.clone();
        let (by_a, by_b) = if statement.terms.key(Side::A) == self.partner {
            (theirs.signature, mine.signature)
        } else {
            (mine.signature, theirs.signature)
        };
        Agreement { statement, by_a, by_b, disputes }
    }

    fn same_terms(&self, theirs: &Statement) -> Result<(), Refused> {
        let (Terms { asset, rate, .. }, other) = (self.ours.terms, theirs.terms);
        let pair = |terms: &Terms| (terms.key(Side::A), terms.key(Side::B));
        for (same, what) in [
            (pair(&self.ours.terms) == pair(&other), "pair of partners"),
            (asset == other.asset, "asset"),
            (rate == other.rate, "rate"),
            (self.ours.window == theirs.window, "window"),
            (self.ours.previous == theirs.previous, "statement before it"),
        ] {
            if !same {
                return Err(Refused::Other(what));
            }
        }
        Ok(())
    }
}

/// Adds what was learnt of the disputed calls. A call that only we seem to have may turn out to be one that they have otherwise:
/// they have told us so far what is common.
fn add(disputes: &mut Vec<Dispute>, more: Vec<Dispute>) {
    for dispute in more {
        match disputes.iter_mut().find(|known| known.call() == dispute.call()) {
            None => disputes.push(dispute),
            Some(known @ Dispute::OnlyOurs(_)) => *known = dispute,
            Some(_) => {}
        }
    }
    disputes.sort_by_key(Dispute::call);
}

/// What both have alike, and what they have not, call by call. Both are in the order of the calls' names.
fn compare(ours: &Statement, theirs: &Statement) -> (Vec<CallLine>, Vec<Dispute>) {
    let (mut both, mut disputes) = (Vec::new(), Vec::new());
    let (mut mine, mut other) = (ours.lines().iter().peekable(), theirs.lines().iter().peekable());
    loop {
        match (mine.peek(), other.peek()) {
            (None, None) => return (both, disputes),
            (Some(line), None) => {
                disputes.push(Dispute::OnlyOurs(**line));
                mine.next();
            }
            (None, Some(line)) => {
                disputes.push(Dispute::OnlyTheirs(**line));
                other.next();
            }
            (Some(a), Some(b)) if a.call < b.call => {
                disputes.push(Dispute::OnlyOurs(**a));
                mine.next();
            }
            (Some(a), Some(b)) if a.call > b.call => {
                disputes.push(Dispute::OnlyTheirs(**b));
                other.next();
            }
            (Some(a), Some(b)) => {
                if a == b {
                    both.push(**a);
                } else {
                    disputes.push(Dispute::Differs { ours: **a, theirs: **b });
                }
                mine.next();
                other.next();
            }
        }
    }
}

#[cfg(test)]
mod tests;
