//! What a record tells.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::charge::Snapshot;
use crate::ledger::{AccountId, TransferId};
use crate::tariff::{Number, Price, Rate};
use crate::{Msat, UnixMillis};

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A phone rings a room.
    #[default]
    Inbound,
    /// A room rings a phone.
    Outbound,
}

/// Whose leg of the call a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// What the customer pays us.
    Customer,
    /// What we pay the carrier.
    Carrier,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
    /// We: no money, an operator, the end of the program.
    Roomtone,
}

impl Leg {
    /// As it is stored.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Carrier => "carrier",
        }
    }
}

/// The trunk that carries a call, and what it takes for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// The trunk's name.
    pub trunk: String,
    /// What it costs us, as its deck said when the call began.
    pub rate: Rate,
}

impl Carrier {
    /// The account that what we owe the carrier stands in, until its bill is paid.
    #[must_use]
    pub fn account(&self) -> AccountId {
        Self::account_of(&self.trunk)
    }

    /// The same for the trunk of this name.
    #[must_use]
    pub fn account_of(trunk: &str) -> AccountId {
        AccountId::named(&["trunk", trunk])
    }

    /// The account that what all carriers take is an expense of.
    #[must_use]
    pub fn expenses() -> AccountId {
        AccountId::named(&["expense", "trunks"])
    }

    /// What it takes for a call of this length; `None`: nobody answered.
    #[must_use]
    pub fn cost(&self, length: Option<Duration>) -> Msat {
        Charged::at(&self.rate.price, length).cost
    }
}

/// What is known of a call when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Whose Roomtone it is, where several share one; empty: there is one.
    pub tenant: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Who calls; `None`: withheld, or no phone.
    #[serde(with = "whole")]
    pub caller: Option<Number>,
    /// Who is called.
    #[serde(with = "whole")]
    pub callee: Option<Number>,
    /// Over which trunk; `None`: it costs us nothing, or is not known yet.
    pub carrier: Option<Carrier>,
    /// When it began to be set up.
    pub setup: UnixMillis,
    /// Which of our machines has it.
    pub node: String,
    /// The SIP Call-ID between us and the other operator: theirs has the same, and by it a settlement names the call. `None`: not
    /// known, as in records of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_call_id: Option<String>,
    /// The machine that handed us a call that came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// What a bitcoin was worth in other money. In the record it is [`Cdr::fx_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fx_rate: Option<String>,
}

/// What is known of a call when it has ended. What is not known is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ending {
    /// Why, by ITU-T Q.850: 16 is a normal end.
    pub cause: Option<u8>,
    /// The final SIP status, if it was not answered.
    pub sip: Option<u16>,
    /// Who hung up.
    pub side: Option<Party>,
    /// What it was spoken in.
    pub codec: Option<String>,
    /// Mean opinion score in hundredths, 100 to 500.
    pub mos: Option<u16>,
    /// Packets of ten thousand that were lost.
    pub lost: Option<u16>,
    /// The trunk that carried it in the end, where it is another than [`About::carrier`].
    pub carrier: Option<Carrier>,
}

impl Ending {
    /// Of a call whose desk has died: Q.850 cause 41, temporary failure.
    #[must_use]
    pub fn lost() -> Self {
        Self { cause: Some(41), side: Some(Party::Roomtone), ..Self::default() }
    }
}

/// The record of one leg. See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cdr {
    /// The call's name.
    pub call: String,
    /// Which leg.
    pub leg: Leg,
    /// 0 when the call ended; one more each time that it was rated anew.
    pub revision: u32,
    /// Who rated it anew, or why, as they named it; `None` at revision 0.
    pub reference: Option<String>,
    /// 0: the record tells the whole call. Kept for exchanges that write a long call in parts.
    pub partial: u32,
    /// Who pays, or whom we pay: the customer's account, or the one that a trunk's name gives.
    pub account: AccountId,
    /// Who is paid on the customer's leg. The carrier's leg has it too, for those who sum by it.
    pub payee: AccountId,
    /// All that was known when it began.
    pub about: About,
    /// What it was charged by.
    pub rate: Rate,
    /// When it was answered; `None`: nobody did.
    pub answered: Option<UnixMillis>,
    /// When it ended.
    pub ended: UnixMillis,
    /// From the answer to the end, as it was charged.
    pub length: Duration,
    /// For how many seconds it was billed.
    pub billed_seconds: u64,
    /// What this leg cost.
    pub cost: Msat,
    /// What the other leg cost, on the customer's leg: the carrier's.
    pub carrier_cost: Option<Msat>,
    /// What a bitcoin was worth in other money when the call began ([`crate::rates::Quote::reference`]), for those who keep books in
    /// that; the call was charged in millisatoshi whatever it was. `None`: no rates were set up, or none was believed.
    pub fx_rate: Option<String>,
    /// All that was reserved for it, again and again.
    pub reserved: Msat,
    /// What was taken; on the carrier's leg what was booked as owed to it.
    pub charged: Msat,
    /// What should have been taken (or booked) and could not.
    pub unpaid: Msat,
    /// The transfers that took or gave back.
    pub transfers: Vec<TransferId>,
    /// How it ended.
    pub ending: Ending,
}

/// Who carried a call in the end.
pub(crate) fn carrier_of<'a>(ending: &'a Ending, about: &'a About) -> Option<&'a Carrier> {
    ending.carrier.as_ref().or(about.carrier.as_ref())
}

impl Cdr {
    /// The records of a call that has ended: the customer's leg, and the carrier's if one carried it.
    #[must_use]
    pub fn of(call: &Snapshot) -> Vec<Self> {
        let carrier = carrier_of(&call.ending, &call.about).cloned();
        let price = |price: &Price| Charged::of(price, call);
        let sold = price(&call.rate.price);
        let bought = carrier.as_ref().map(|carrier| price(&carrier.rate.price));
        let customer = Self {
            call: call.name.clone(),
            leg: Leg::Customer,
            revision: 0,
            reference: None,
            partial: 0,
            account: call.payer,
            payee: call.payee,
            about: About { carrier: carrier.clone(), fx_rate: None, ..call.about.clone() },
            rate: call.rate.clone(),
            answered: call.answered,
            ended: call.ended.unwrap_or_default(),
            length: call.length,
            billed_seconds: sold.seconds,
            cost: sold.cost,
            carrier_cost: bought.map(|bought| bought.cost),
            fx_rate: call.about.fx_rate.clone(),
            reserved: call.reserved,
            charged: call.charged,
            unpaid: call.unpaid,
            transfers: call.moved.clone(),
            ending: call.ending.clone(),
        };
        let booked = call.carried.map_or(Msat::ZERO, |carried| carried.amount);
        let other = carrier.zip(bought).map(|(carrier, bought)| Self {
            leg: Leg::Carrier,
            account: carrier.account(),
            rate: carrier.rate,
            billed_seconds: bought.seconds,
            cost: bought.cost,
            carrier_cost: None,
            reserved: Msat::ZERO,
            charged: booked,
            unpaid: bought.cost.saturating_sub(booked),
            transfers: call.carried.iter().map(|carried| carried.transfer).collect(),
            ..customer.clone()
        });
        std::iter::once(customer).chain(other).collect()
    }

    /// What we gain by the call, below zero where we lose; `None` where the carrier's cost is not known. In millisatoshi.
    #[must_use]
    pub fn margin(&self) -> Option<i128> {
        Some(i128::from(self.cost.msat()) - i128::from(self.carrier_cost?.msat()))
    }

    /// What was reserved and not taken.
    #[must_use]
    pub fn released(&self) -> Msat {
        self.reserved.saturating_sub(self.charged)
    }

    /// The same leg by another rate: what it should have cost. The next revision; what was taken is still to be corrected.
    #[must_use]
    pub fn rated_by(&self, rate: Rate, reference: &str) -> Self {
        let charged = Charged::at(&rate.price, self.answered.map(|_| self.length));
        let (cost, billed_seconds, reference) = (charged.cost, charged.seconds, Some(reference.to_owned()));
        Self { revision: self.revision.saturating_add(1), rate, cost, billed_seconds, reference, ..self.clone() }
    }

    /// Stands for the record and all that is in it: SHA-256 of its JSON. Two partners compare these, not the numbers.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.json()).into()
    }

    /// As it is stored.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("it has no maps, and a string takes what is written")
    }
}

/// What a leg costs.
#[derive(Debug, Clone, Copy)]
struct Charged {
    seconds: u64,
    cost: Msat,
}

impl Charged {
    fn of(price: &Price, call: &Snapshot) -> Self {
        Self::at(price, call.answered.map(|_| call.length))
    }

    /// `None`: nobody answered.
    fn at(price: &Price, length: Option<Duration>) -> Self {
        match length {
            Some(length) => Self { seconds: price.billed_seconds(length), cost: price.cost(length) },
            None => Self { seconds: 0, cost: Msat::ZERO },
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Whole numbers, for those who may see them: a record without them charges nobody.
mod whole {
    use super::{Deserialize, Deserializer, Number, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &Option<Number>, to: S) -> Result<S::Ok, S::Error> {
        number.map(Number::reveal).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Number>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}
