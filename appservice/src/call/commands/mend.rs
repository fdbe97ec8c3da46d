//! What people put right: captions, lines of the notes, names of voices.

use bridge::{ids::E164, time::UnixMillis};
use matrix_sdk::ruma::OwnedEventId;
use models::{
    Voice,
    notes::{Change as Mend, Fix, FixError, ItemId, Notes, fix, resolve},
};

use super::{Ask, Reply, Run};
use crate::{
    archive::{CallId, CallRecord, CallState, PartyKind, StoredUtterance, VoiceName},
    call::{finish, names::Names, paper, task::ToCall},
    commands::{Change, Which, Who},
    journal::EventRef,
    text,
};

impl Run<'_> {
    /// The call that is meant: that of the thread, else the one that goes on, else the last one.
    async fn meant(&self) -> anyhow::Result<Option<CallRecord>> {
        let (archive, room) = (&self.house.archive, &self.message.room);
        let of_thread = match &self.message.thread {
            Some(root) => archive.call_of_card(room, root).await?,
            None => None,
        };
        if let Some(id) = of_thread.or(self.facts.call) {
            return Ok(archive.call(id).await?);
        }
        Ok(archive.list_calls(room, 1).await?.into_iter().next())
    }

    fn goes_on(&self, call: CallId) -> bool {
        self.facts.call == Some(call)
    }

    pub(super) fn so_far(&self) -> Reply {
        match self.facts.call {
            None => Reply::say("There is no call now."),
            Some(_) => {
                let ask = Ask::Tell(Box::new(ToCall::SoFar(self.effect_id("reply"), self.in_thread())));
                Reply { content: None, asks: vec![ask], shows: Vec::new() }
            }
        }
    }

    pub(super) async fn correct(&self, which: Which, said: String, who: &Who) -> anyhow::Result<Reply> {
        let archive = &self.house.archive;
        let Some(call) = self.meant().await? else { return Ok(Reply::say("There was no call in this room yet.")) };
        let utterances = archive.utterances(call.id).await?;
        let Some(event) = self.caption(&which, &utterances) else {
            return Ok(Reply::say(
                "I do not know which caption you mean: answer it with `!notes correct …`, give its link, or count from the \
                 end (1 is the last one).",
            ));
        };
        let of: Vec<&StoredUtterance> =
            utterances.iter().filter(|u| u.caption_event.as_ref() == Some(&event)).collect();
        let Some(first) = of.first() else {
            return Ok(Reply::say("That message is no caption of this call, or its words were taken back."));
        };
        if first.party != self.message.sender.as_str() && who.level < who.settings_level {
            return Ok(Reply::say(
                "Those are somebody else's words: they can correct them, or who may change the room's settings.",
            ));
        }
        let names = Names::new(&archive.parties(call.id).await?, &archive.voices(call.id).await?);
        let content =
            text::caption(&names.speaker(first), first.start, std::slice::from_ref(&said), None, &self.zone());
        let effect = paper::corrected(&self.house.notary, &call, EventRef::Event(event), &first.party, content)?;
        let mut tx = archive.begin().await?;
        tx.correct_utterance(call.id, first, &said).await?;
        for rest in of.iter().skip(1) {
            tx.delete_utterance(call.id, rest.id).await?;
        }
        tx.record(&effect).await?;
        let ended = call.state != CallState::Open;
        if ended {
            tx.notes_due(call.id, None).await?;
        }
        tx.commit().await?;
        let done = Reply::say(if ended {
            "Corrected. The notes are made again with these words."
        } else {
            "Corrected. The notes will have these words."
        });
        Ok(if self.goes_on(call.id) {
            let of = of.iter().map(|u| u.id.0).collect();
            done.ask(Ask::Tell(Box::new(ToCall::Corrected { of, first: first.id.0, text: said })))
        } else {
            done.ask(Ask::Again(vec![call.id]))
        })
    }

    fn caption(&self, which: &Which, utterances: &[StoredUtterance]) -> Option<OwnedEventId> {
        match which {
            Which::Event(id) => OwnedEventId::try_from(id.as_str()).ok(),
            Which::Answered => self.message.answers.clone(),
            Which::FromEnd(n) => {
                let mut shown: Vec<&OwnedEventId> = Vec::new();
                for event in utterances.iter().rev().filter_map(|u| u.caption_event.as_ref()) {
                    if !shown.contains(&event) {
                        shown.push(event);
                    }
                }
                shown.get(usize::try_from(n.checked_sub(1)?).ok()?).map(|e| (*e).clone())
            }
        }
    }

    pub(super) async fn fix(&self, item: u32, change: Change) -> anyhow::Result<Reply> {
        let archive = &self.house.archive;
        let Some(call) = self.meant().await? else { return Ok(Reply::say("There was no call in this room yet.")) };
        let Some(stored) = archive.notes(call.id).await? else {
            return Ok(Reply::say(if self.goes_on(call.id) {
                "The notes of this call are written when it is over; then their lines can be mended."
            } else {
                "That call has no notes."
            }));
        };
        let mut notes: Notes = serde_json::from_value(stored.body)?;
        let change = match change {
            Change::Owner(owner) => Mend::Owner(owner),
            Change::Text(text) => Mend::Text(text),
            Change::Drop => Mend::Drop,
            Change::Due(None) => Mend::Due(None),
            Change::Due(Some(said)) => {
                let now = i64::try_from(UnixMillis::now().0).unwrap_or(i64::MAX);
                match resolve(&said, now, &self.house.notary.time_zone) {
                    Some(due) => Mend::Due(Some(due)),
                    None => {
                        return Ok(Reply::say(
                            "I do not know which day that is. Such as: Thursday, tomorrow, 2 December, in two weeks.",
                        ));
                    }
                }
            }
        };
        let one = Fix { item: ItemId(item), change };
        match fix::apply_one(&mut notes, &one) {
            Ok(()) => {}
            Err(FixError::NoSuchItem(_)) => {
                return Ok(Reply::say(&format!(
                    "There is no line {item} in those notes: the number stands before the line."
                )));
            }
            Err(FixError::NotOfThisKind(_)) => {
                return Ok(Reply::say(&format!("Line {item} has nothing of that kind to mend.")));
            }
        }
        let mut fixes = finish::fixes(&self.house.notary, call.id).await?;
        fixes.push(one);
        let mut tx = archive.begin().await?;
        tx.save_fixes(call.id, &serde_json::to_value(&fixes)?).await?;
        tx.commit().await?;
        finish::show(&self.house.notary, call.id).await?;
        Ok(Reply::say(&format!("Line {item} is mended, and stays so when the notes are made again.")))
    }

    pub(super) async fn name_voice(&self, line: Option<E164>, voice: Voice, name: String) -> anyhow::Result<Reply> {
        let archive = &self.house.archive;
        let Some(call) = self.meant().await? else { return Ok(Reply::say("There was no call in this room yet.")) };
        let utterances = archive.utterances(call.id).await?;
        let parties = archive.parties(call.id).await?;
        let speaks = |user: &str| utterances.iter().any(|u| u.party == user && u.details.voice == Some(voice.0));
        let mut lines = parties
            .iter()
            .filter(|p| p.kind == PartyKind::Phone && (line.is_none() || p.number == line) && speaks(&p.user));
        let party = match (lines.next(), lines.next()) {
            (Some(party), None) => party.user.clone(),
            (None, _) => return Ok(Reply::say(&format!("I have heard no {voice} in that call."))),
            (Some(one), Some(_)) => {
                let number = one.number.as_ref().map_or("+15550100", |n| n.reveal());
                return Ok(Reply::say(&format!(
                    "Several lines have a {voice}: say which, as in !notes name {number} {} {name}.",
                    char::from(b'A' + voice.0.min(25))
                )));
            }
        };
        let named = VoiceName { party, voice: voice.0, name: name.clone() };
        let ended = call.state != CallState::Open;
        let mut tx = archive.begin().await?;
        tx.name_voice(call.id, &named).await?;
        if ended {
            tx.notes_due(call.id, None).await?;
        }
        tx.commit().await?;
        let done = Reply::say(&format!("{voice} is {name} in this call. Of the voice itself I keep nothing."));
        Ok(if self.goes_on(call.id) {
            done.ask(Ask::Tell(Box::new(ToCall::Named(named))))
        } else {
            done.ask(Ask::Again(vec![call.id]))
        })
    }
}
