//! Plans: free, pro and team. A plan is paid for a month ahead, and runs out where the next month cannot be paid.
//!
//! What an account has is a note of the ledger, written in the commit that takes the month's fee: no crash takes a fee without
//! giving the month, or gives it twice.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::usage::{self, Month};
use crate::ledger::{
    AccountId, Ledger, LedgerError, Movement, Note, Purpose, Refusal, StoreError, Transfer, TransferId,
};
use crate::{Msat, UnixMillis};

/// What the notes of subscriptions begin with.
const NOTES: &str = "plan/";
/// Notes that are read at a time.
const PAGE: u32 = 1_000;

/// What one can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// 30 minutes of transcription a month, 7 days of history, one user.
    #[default]
    Free,
    /// Transcription and history without limit, one user.
    Pro,
    /// The same for ten users.
    Team,
}

/// How long transcripts and notes are kept in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// So many days.
    Days(u32),
    /// As long as nobody deletes them.
    Unlimited,
}

/// How much may still be transcribed in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So much; zero: nothing.
    Left(Duration),
    /// As much as is spoken.
    Unlimited,
}

impl Plan {
    /// How much may be transcribed in a month.
    #[must_use]
    pub const fn transcription(self) -> Allowance {
        match self {
            Self::Free => Allowance::Left(Duration::from_secs(30 * 60)),
            Self::Pro | Self::Team => Allowance::Unlimited,
        }
    }

    /// How long the archive keeps what was said.
    #[must_use]
    pub const fn history(self) -> History {
        match self {
            Self::Free => History::Days(7),
            Self::Pro | Self::Team => History::Unlimited,
        }
    }

    /// How many people may use it.
    #[must_use]
    pub const fn users(self) -> u32 {
        match self {
            Self::Free | Self::Pro => 1,
            Self::Team => 10,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Team => "team",
        }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let known = [Self::Free, Self::Pro, Self::Team].into_iter().find(|plan| plan.word() == text.trim());
        known.ok_or_else(|| PlanError::Unknown(text.trim().chars().take(20).collect()))
    }
}

/// What plans cost a month. Nothing for free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// For pro.
    pub pro: Msat,
    /// For team.
    pub team: Msat,
}

impl Prices {
    const fn of(&self, plan: Plan) -> Msat {
        match plan {
            Plan::Free => Msat::ZERO,
            Plan::Pro => self.pro,
            Plan::Team => self.team,
        }
    }
}

/// What an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub plan: Plan,
    /// When the first month of it began; the later ones begin on that day, or on the last of a shorter month.
    pub since: UnixMillis,
    /// How many months were paid.
    pub months: u32,
    /// Up to when it is paid; then the next month is due.
    pub until: UnixMillis,
    /// Whether the next month is to be paid; else it ends then.
    pub renews: bool,
}

/// Why a plan is not had.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No plan of this name.
    #[error("{0:?} is no plan; there are free, pro and team")]
    Unknown(String),
    /// The ledger did not take the fee.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What the database said.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was written by somebody else.
    #[error("the note {key:?} of a plan cannot be read: {error}")]
    Note {
        /// Its name.
        key: String,
        /// Why.
        error: serde_json::Error,
    },
}

impl From<sqlx::Error> for PlanError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What became of a month that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// It was paid.
    Paid(Subscription),
    /// It could not be paid, or was not wanted: the account has the free plan.
    Ended(Subscription),
}

/// All accounts' plans. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plans {
    ledger: Ledger,
    prices: Prices,
    payee: AccountId,
}

impl Plans {
    /// Plans at these prices; `payee` gets the fees.
    #[must_use]
    pub fn new(ledger: Ledger, prices: Prices, payee: AccountId) -> Self {
        Self { ledger, prices, payee }
    }

    fn key(account: AccountId) -> String {
        format!("{NOTES}{account}")
    }

    /// What an account has at this moment: free, unless it has paid for another.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plan(&self, account: AccountId) -> Result<Plan, PlanError> {
        let now = self.ledger.now();
        Ok(self.subscription(account).await?.filter(|has| now < has.until).map_or(Plan::Free, |has| has.plan))
    }

    /// What an account has paid for; `None`: nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn subscription(&self, account: AccountId) -> Result<Option<Subscription>, PlanError> {
        self.ledger.note(&Self::key(account)).await?.map(|note| read(&note)).transpose()
    }

    /// Takes a plan: the first month is paid at once. Another plan before it ends the month of that one without giving anything
    /// back; the same plan again, or free, is no new month: it only says whether there is a next.
    ///
    /// # Errors
    /// [`PlanError::Ledger`] where the account cannot pay: it keeps what it has.
    pub async fn choose(&self, account: AccountId, plan: Plan) -> Result<Option<Subscription>, PlanError> {
        let now = self.ledger.now();
        let has = self.subscription(account).await?.filter(|has| now < has.until);
        if plan == Plan::Free || has.is_some_and(|has| has.plan == plan) {
            let Some(has) = has else { return Ok(None) };
            let has = Subscription { renews: plan != Plan::Free, ..has };
            self.ledger.apply_noted(Vec::new(), self.note(&has)).await?;
            return Ok(Some(has));
        }
        let new = Subscription { account, plan, since: now, months: 0, until: now, renews: true };
        self.pay(new).await.map(Some)
    }

    /// Pays the next months of all that are due, and ends those that cannot be paid. Call it every few minutes.
    ///
    /// # Errors
    /// What the database says; who was not looked at is the next time.
    pub async fn renew(&self) -> Result<Vec<Renewed>, PlanError> {
        let now = self.ledger.now();
        let (mut done, mut after) = (Vec::new(), String::new());
        loop {
            let notes = self.ledger.notes(NOTES, &after, PAGE).await?;
            let Some(last) = notes.last() else { return Ok(done) };
            after.clone_from(&last.key);
            for note in &notes {
                let has = read(note)?;
                if has.until <= now {
                    done.push(self.next_month(has).await?);
                }
            }
        }
    }

    async fn next_month(&self, has: Subscription) -> Result<Renewed, PlanError> {
        // Nobody pays for a month that is over: then the program did not run, and there was no plan.
        if has.renews && self.ledger.now() < month_of(has.since, has.months.saturating_add(1)) {
            match self.pay(has).await {
                Ok(has) => return Ok(Renewed::Paid(has)),
                Err(PlanError::Ledger(LedgerError::Refused {
                    refusal: Refusal::NotEnough { .. } | Refusal::Frozen { .. },
                    ..
                })) => {}
                Err(error) => return Err(error),
            }
        }
        let gone = Note { key: Self::key(has.account), body: None };
        self.ledger.apply_noted(Vec::new(), gone).await?;
        Ok(Renewed::Ended(has))
    }

    /// Pays one month on top of those that were paid.
    async fn pay(&self, has: Subscription) -> Result<Subscription, PlanError> {
        let amount = self.prices.of(has.plan);
        let months = has.months.saturating_add(1);
        let has = Subscription { months, until: month_of(has.since, months), ..has };
        // Of one beginning each month is paid once, whoever asks and how often.
        let (account, since, months) = (has.account.to_string(), has.since.0.to_string(), has.months.to_string());
        let id = TransferId::named(&["plan", &account, has.plan.word(), &since, &months]);
        let movement = Movement::Post { debit: has.account, credit: self.payee, amount };
        let fee = (!amount.is_zero()).then_some(Transfer { id, purpose: Purpose::Plan, movement });
        self.ledger.apply_noted(fee.into_iter().collect(), self.note(&has)).await?;
        Ok(has)
    }

    fn note(&self, has: &Subscription) -> Note {
        let body = serde_json::to_string(has).expect("it has no maps, and a string takes what is written");
        Note { key: Self::key(has.account), body: Some(body) }
    }

    /// How much may still be transcribed for an account this month (UTC).
    ///
    /// # Errors
    /// What the database says; nothing may be transcribed then beyond what is allowed already.
    pub async fn transcription(&self, account: AccountId) -> Result<Allowance, PlanError> {
        let Allowance::Left(most) = self.plan(account).await?.transcription() else { return Ok(Allowance::Unlimited) };
        let used = usage::used(self.ledger.database(), account, Month::of(self.ledger.now())).await?;
        Ok(Allowance::Left(most.saturating_sub(used)))
    }

    /// So much of a call was transcribed in all so far this month. `what` names the call (or a file); who says it twice, or says
    /// less than before, changes nothing.
    ///
    /// # Errors
    /// What the database says; say it again.
    pub async fn transcribed(&self, account: AccountId, what: &str, in_all: Duration) -> Result<(), PlanError> {
        let month = Month::of(self.ledger.now());
        Ok(usage::note(self.ledger.database(), account, month, what, in_all).await?)
    }
}

fn read(note: &Note) -> Result<Subscription, PlanError> {
    let body = note.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| PlanError::Note { key: note.key.clone(), error })
}

/// So many months later, on the same day of the month or the last there is (UTC). Where that cannot be told, thirty days each.
fn month_of(since: UnixMillis, months: u32) -> UnixMillis {
    let began = i64::try_from(since.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let later = began.and_then(|began| began.to_zoned(TimeZone::UTC).checked_add(i64::from(months).months()).ok());
    let later = later.and_then(|later| u64::try_from(later.timestamp().as_millisecond()).ok());
    later.map_or_else(|| since.after(Duration::from_secs(u64::from(months) * 30 * 24 * 3600)), UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond().try_into().unwrap())
    }

    #[test]
    fn months_begin_on_the_day_of_the_first_or_the_last_there_is() {
        let since = at("2027-01-31T10:00:00Z");
        for (months, until) in [(1, "2027-02-28T10:00:00Z"), (2, "2027-03-31T10:00:00Z"), (13, "2028-02-29T10:00:00Z")]
        {
            assert_eq!(month_of(since, months), at(until));
        }
        assert!(month_of(UnixMillis(u64::MAX), 1) >= UnixMillis(u64::MAX), "no panic at the end of time");
    }

    #[test]
    fn plans_are_read_by_their_names() {
        for plan in [Plan::Free, Plan::Pro, Plan::Team] {
            assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
        }
        let error = "gold".parse::<Plan>().unwrap_err().to_string();
        assert_eq!(error, r#""gold" is no plan; there are free, pro and team"#);
    }
}
