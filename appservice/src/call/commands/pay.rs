//! What `!pay` does.

use bridge::time::UnixMillis;
use matrix_sdk::ruma::OwnedRoomId;
use payments::attach::{Answer, Ask, Invoice, Told};
use serde_json::{Value, json};

use super::{Reply, Run, record};
use crate::{
    commands::PayAsk,
    journal::{Effect, Purpose},
    text,
};

impl Run<'_> {
    pub(super) async fn pay(&self, what: PayAsk) -> anyhow::Result<Reply> {
        let room = || self.message.room.to_string();
        let name = || self.message.event_id.to_string();
        let ask = match what.clone() {
            PayAsk::Balance | PayAsk::Plan(None) => Ask::Balance { room: room() },
            PayAsk::TopUp(amount) => Ask::TopUp { room: room(), amount, name: name() },
            PayAsk::Statement(lines) => Ask::Statement { room: room(), lines },
            PayAsk::Rates(digits) => Ask::Rates { digits },
            PayAsk::Plan(Some(plan)) => Ask::Plan { room: room(), plan },
            PayAsk::Redeem(code) => Ask::Redeem { room: room(), code },
            PayAsk::Refund { to, amount } => Ask::Refund { room: room(), to, amount, name: name() },
            PayAsk::Credit(amount) => Ask::Credit { room: room(), amount, name: name() },
            PayAsk::Voucher { amount, days } => Ask::Voucher { amount, days },
            PayAsk::Freeze(frozen) => Ask::Freeze { room: room(), frozen },
            PayAsk::Approve(payout) => Ask::Approve { payout, by: self.message.sender.to_string() },
            PayAsk::Node(ask) => Ask::Node(ask),
            PayAsk::Report => Ask::Report,
        };
        match self.house.payments.ask(ask).await {
            Ok(answer) => self.paid(&what, answer).await,
            Err(refused) => {
                tracing::info!(%refused, "a question about money was refused");
                Ok(Reply::new(text::refused(&refused)))
            }
        }
    }

    async fn paid(&self, what: &PayAsk, Answer { told, quote }: Answer) -> anyhow::Result<Reply> {
        let (zone, quote) = (self.zone(), quote.as_ref());
        Ok(Reply::new(match (told, what) {
            (Told::Standing(has), PayAsk::Plan(_)) => text::plan(&has, quote, &zone),
            (Told::Standing(has), PayAsk::Freeze(_)) => text::frozen(&has),
            (Told::Standing(has), _) => text::standing(&has, quote, &zone),
            (Told::Statement(lines), _) => text::statement(&lines, &zone),
            (Told::Rates(lines), PayAsk::Rates(digits)) => text::rates(digits, &lines, quote),
            (Told::Credited { amount, available }, _) => text::credited(amount, available, quote),
            (Told::Payout(payout), _) => text::payout(&payout, quote),
            (Told::Node(node), _) => text::node(&node),
            (Told::Address(address), _) => text::address(&address),
            (Told::Report(report), _) => text::report(&report, quote),
            (Told::Voucher(code), PayAsk::Voucher { amount, .. }) => {
                let sent = self.privately(&[("voucher", text::voucher(&code, *amount))]).await?;
                return Ok(self.or_said(&sent, "The voucher is in our direct conversation."));
            }
            (Told::Invoice(invoice), _) => {
                let words = text::invoice(&invoice, &self.room_name().await, quote, &zone);
                let sent = self.privately(&[("invoice", words), ("qr", self.picture(&invoice).await?)]).await?;
                return Ok(self.or_said(&sent, "The invoice is in our direct conversation."));
            }
            (told, _) => anyhow::bail!("an answer to another question: {told:?}"),
        }))
    }

    /// What is for the sender alone: into this room if nobody else is in it, else into one of the two of us.
    async fn privately(&self, contents: &[(&str, Value)]) -> anyhow::Result<OwnedRoomId> {
        let here = &self.message.room;
        let to = if self.bot.is_of_two(here) { here.clone() } else { self.bot.room_with(&self.message.sender).await? };
        for (name, content) in contents {
            let effect = Effect::SendEvent {
                as_user: self.bot.user_id().to_owned(),
                room: to.clone(),
                event_type: "m.room.message".to_owned(),
                content: content.clone(),
                relation: None,
                purpose: Purpose::Notice,
            };
            record(self.house, &to, self.effect_id(name), effect).await;
        }
        Ok(to)
    }

    fn or_said(&self, sent_to: &OwnedRoomId, words: &str) -> Reply {
        if *sent_to == self.message.room {
            Reply { content: None, asks: Vec::new(), shows: Vec::new() }
        } else {
            Reply::say(words)
        }
    }

    /// The invoice as a picture for a wallet's camera, encrypted before it leaves the process.
    async fn picture(&self, invoice: &Invoice) -> anyhow::Result<Value> {
        // BOLT 11 is in one case: in capitals the code has fewer squares, and cameras read it from farther.
        let png = payments::qr::png(&format!("LIGHTNING:{}", invoice.bolt11.to_uppercase()))?;
        let size = png.len();
        let file = self.bot.upload_encrypted(png).await?;
        let until = self.zone().clock(UnixMillis(invoice.expires.0));
        Ok(json!({
            "msgtype": "m.image",
            "body": format!("QR code of the invoice of {}, to be paid until {until}", invoice.amount),
            "filename": "invoice.png",
            "file": file,
            "info": { "mimetype": "image/png", "size": size },
            "m.mentions": {},
        }))
    }

    async fn room_name(&self) -> String {
        let names = self.bot.room_state(&self.message.room, "m.room.name").await.unwrap_or_default();
        let name = names.first().and_then(|e| e.content["name"].as_str()).map(text::clean);
        name.filter(|name| !name.is_empty())
            .map_or_else(|| "this room".to_owned(), |name| format!("\u{201c}{name}\u{201d}"))
    }
}
