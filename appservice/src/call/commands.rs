//! What commands do: each message that asks something is answered once, in the thread where it was asked.

use bridge::{ids::E164, time::UnixMillis};
use matrix_sdk::ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde_json::Value;

use super::{House, finish, paper, switchboard::policy_content};
use crate::{
    archive::{CallId, EffectId},
    commands::{self, Command, Heard, Who, may},
    journal::{Effect, EventRef, Lane, NewEffect, Purpose, Relation},
    matrix::{Message, POLICY, RawStateEvent, VirtualUser},
    text::{self, CallLine, PolicyView, Zone},
};

/// Places that a search shows.
const HITS: u32 = 10;
/// Calls that a list shows.
const CALLS: u32 = 10;

/// What a command asks of a call.
#[derive(Debug)]
pub(crate) enum Ask {
    /// The sender agrees to be heard.
    Agree(OwnedUserId),
    /// The sender takes it back.
    Withdraw(OwnedUserId),
    /// Hang up the phones.
    HangUp,
    /// Notes were turned on: what held the scribe back is over.
    NotesOn,
}

/// What the switchboard knows of a room.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Notes are on.
    pub(crate) notes: bool,
    /// The call that goes on.
    pub(crate) call: Option<CallId>,
    /// Users in the room's call, ours too.
    pub(crate) in_call: Vec<String>,
    /// Numbers that the configuration links.
    pub(crate) configured: Vec<E164>,
}

/// Reads a message; where it is a command, does it and answers. Gives what the room's call is to be told.
pub(crate) async fn answer(
    house: &House,
    message: Message,
    facts: impl FnOnce(&OwnedRoomId) -> Facts,
) -> Option<(OwnedRoomId, Ask)> {
    if message.edits.is_some() || message.msgtype == "m.notice" {
        return None;
    }
    let bot = house.matrix.bot();
    let names = [bot.user_id().as_str(), bot.user_id().localpart(), &house.config.appservice.bot_display_name];
    let heard =
        Heard { body: &message.body, direct: message.direct, mentions_bot: message.mentions_bot, bot_names: &names };
    let command = commands::read(&heard)?;
    match house.archive.handle_once(&message.event_id, UnixMillis::now()).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => {
            tracing::error!(%error, "a command cannot be taken: the archive cannot be written");
            return None;
        }
    }
    let run = Run { house, bot: &bot, message: &message, facts: facts(&message.room) };
    let (reply, ask) = match command {
        Err(mistake) => (text::notice(&commands::mistake(&mistake)), None),
        Ok(command) => run.command(command).await,
    };
    run.reply(reply).await;
    ask.map(|ask| (message.room.clone(), ask))
}

struct Run<'a> {
    house: &'a House,
    bot: &'a VirtualUser,
    message: &'a Message,
    facts: Facts,
}

impl Run<'_> {
    async fn command(&self, command: Command) -> (Value, Option<Ask>) {
        let room = &self.message.room;
        // In an encrypted room a clear event could be anybody's, the homeserver's too.
        if !self.message.encrypted && self.bot.is_encrypted(room).await.unwrap_or(true) {
            return (
                text::plain_answer("That message came unencrypted into an encrypted room, so I did not act on it."),
                None,
            );
        }
        let who = match self.who().await {
            Ok(who) => who,
            Err(error) => {
                tracing::warn!(%room, %error, "the power levels cannot be read");
                return (text::plain_answer("I could not read this room's power levels. Please try again."), None);
            }
        };
        if let Err(refusal) = may(&who, &command) {
            return (text::notice(&commands::refusal(&refusal)), None);
        }
        match self.run(command, &who).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%room, %error, "a command failed");
                (
                    text::plain_answer("That did not work: something failed on my side. The operator's log says what."),
                    None,
                )
            }
        }
    }

    async fn run(&self, command: Command, who: &Who) -> anyhow::Result<(Value, Option<Ask>)> {
        let (archive, room, sender) = (&self.house.archive, &self.message.room, &self.message.sender);
        let zone = Zone::named(&self.house.config.notes.time_zone);
        let via = [self.house.config.homeserver.server_name.to_string()];
        let say = text::plain_answer;
        Ok(match command {
            Command::Link(number) => {
                let taken = archive.room_of_number(&number).await?.is_some_and(|other| other != *room);
                if taken {
                    return Ok((
                        say("That number rings another room already. It has to be unlinked there first."),
                        None,
                    ));
                }
                archive.link_number(&number, room, Some(sender), UnixMillis::now()).await?;
                (say(&format!("{} rings this room from now on.{}", number.reveal(), self.power_hint().await)), None)
            }
            Command::Unlink(number) => (self.unlink(number).await?, None),
            Command::Numbers => (text::numbers(&self.numbers().await?), None),
            Command::HangUp => match self.facts.call {
                Some(_) => (say("Hanging up."), Some(Ask::HangUp)),
                None => (say("There is no call to hang up."), None),
            },
            Command::NotesOn => (self.notes(true).await?, Some(Ask::NotesOn)),
            Command::NotesOff => (self.notes(false).await?, None),
            Command::Agree if !self.facts.notes => (say("Notes are off in this room: nobody is heard."), None),
            Command::Agree if !self.in_call(sender.as_str()) => {
                (say("You are not in this room's call. Join it, then agree."), None)
            }
            Command::Agree => {
                (say("You are heard from now on. `!notes stop` ends it."), Some(Ask::Agree(sender.clone())))
            }
            Command::Stop => (say("You are not heard from now on."), Some(Ask::Withdraw(sender.clone()))),
            Command::Status => (self.status().await?, None),
            Command::Policy => (text::policy(&self.policy_view(self.facts.notes, None)), None),
            Command::Search(words) => {
                let hits = archive.search(room, &words, HITS).await?;
                (text::hits(&words, &hits, room, &via, &zone), None)
            }
            Command::List => (text::list(&self.calls().await?, room, &via, &zone), None),
            Command::ForgetMe => (self.forget().await?, Some(Ask::Withdraw(sender.clone()))),
            Command::Help(group) => (text::notice(&commands::help(group, who, self.message.direct)), None),
        })
    }

    async fn who(&self) -> anyhow::Result<Who> {
        let (room, sender) = (&self.message.room, &self.message.sender);
        let settings_level = self.bot.required_for_state(room, POLICY).await?;
        // Linking a number decides who rings the room: as much as its settings.
        let link_level = settings_level;
        let mut may_set = Vec::new();
        for member in self.bot.members(room).await? {
            if !self.house.matrix.is_ours(member.user.as_str())
                && self.bot.user_power(room, &member.user).await? >= settings_level
            {
                may_set.push(member.display_name.unwrap_or_else(|| member.user.to_string()));
            }
        }
        Ok(Who {
            level: self.bot.user_power(room, sender).await?,
            settings_level,
            link_level,
            permitted: self.house.config.permissions.may_use(sender),
            may_link: may_set.clone(),
            may_set,
        })
    }

    fn in_call(&self, user: &str) -> bool {
        self.facts.in_call.iter().any(|u| u == user)
    }

    /// What to change in a room that does not let ghosts into its calls.
    async fn power_hint(&self) -> String {
        match self.bot.required_for_state(&self.message.room, bridge::matrixrtc::MEMBER_EVENT).await {
            Ok(0) => String::new(),
            Ok(needed) => format!(
                " But this room asks for power level {needed} to join its calls, and phones have 0: set \
                 org.matrix.msc3401.call.member to 0 in the room's permissions."
            ),
            Err(_) => String::new(),
        }
    }

    async fn unlink(&self, number: Option<E164>) -> anyhow::Result<Value> {
        let room = &self.message.room;
        let linked = self.house.archive.numbers_of_room(room).await?;
        let gone: Vec<E164> =
            linked.into_iter().map(|l| l.number).filter(|n| number.as_ref().is_none_or(|wanted| wanted == n)).collect();
        for n in &gone {
            self.house.archive.unlink_number(n).await?;
        }
        Ok(text::plain_answer(&match (gone.as_slice(), number) {
            ([], Some(n)) if self.facts.configured.contains(&n) => {
                "That number is linked by the operator's configuration; only the operator can change it.".to_owned()
            }
            ([], _) => "No such number was linked to this room.".to_owned(),
            (gone, _) => {
                format!("No longer linked: {}.", gone.iter().map(E164::reveal).collect::<Vec<_>>().join(", "))
            }
        }))
    }

    async fn numbers(&self) -> anyhow::Result<Vec<E164>> {
        let linked = self.house.archive.numbers_of_room(&self.message.room).await?;
        let mut all: Vec<E164> =
            linked.into_iter().map(|l| l.number).chain(self.facts.configured.iter().cloned()).collect();
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// Writes the policy as the bot. Everybody reads it; the announcement follows when it comes back by sync.
    async fn notes(&self, on: bool) -> anyhow::Result<Value> {
        let room = &self.message.room;
        if self.facts.notes == on {
            return Ok(text::plain_answer(if on { "Notes are on already." } else { "Notes are off already." }));
        }
        if on && self.house.hearing.is_none() {
            return Ok(text::plain_answer(
                "There is no speech recogniser on this server. The operator can run `roomtone models fetch` and restart me.",
            ));
        }
        if !self.bot.may_send_state(room, POLICY).await? {
            let needed = self.bot.required_for_state(room, POLICY).await?;
            return Ok(text::plain_answer(&format!(
                "I have to write that into the room's settings, for all to read, and may not: give me power level {needed} \
                 (moderator, in most rooms) and ask again."
            )));
        }
        let effect = Effect::SetState {
            as_user: self.bot.user_id().to_owned(),
            room: room.clone(),
            event_type: POLICY.to_owned(),
            state_key: String::new(),
            content: policy_content(on, &self.message.sender),
        };
        self.record("policy", effect).await;
        Ok(text::plain_answer(if on { "Turning notes on." } else { "Turning notes off." }))
    }

    async fn status(&self) -> anyhow::Result<Value> {
        let Some(call) = self.facts.call else { return Ok(text::status(self.facts.notes, None)) };
        let parties = self.house.archive.parties(call).await?;
        let grants = self.house.archive.grants(call).await?;
        let (heard, unheard): (Vec<_>, Vec<_>) = parties
            .into_iter()
            .filter(|p| self.in_call(&p.user))
            .partition(|p| grants.iter().any(|g| g.party == p.user && g.granted));
        let names = |who: Vec<crate::archive::PartyRecord>| who.into_iter().map(|p| p.name).collect::<Vec<_>>();
        let (heard, unheard) = (names(heard), names(unheard));
        Ok(text::status(self.facts.notes, Some((&heard, &unheard))))
    }

    fn policy_view<'v>(&self, notes: bool, set_by: Option<&'v str>) -> PolicyView<'v> {
        PolicyView { notes, recogniser: "whisper", writer: "extractive", set_by }
    }

    async fn calls(&self) -> anyhow::Result<Vec<CallLine>> {
        let archive = &self.house.archive;
        let mut lines = Vec::new();
        for call in archive.list_calls(&self.message.room, CALLS).await? {
            let notes = archive.notes(call.id).await?;
            lines.push(CallLine {
                started: call.started,
                length: call.ended.map(|e| e.since(call.started)),
                title: notes.and_then(|n| n.body["title"].as_str().map(str::to_owned)),
                parties: archive.parties(call.id).await?.into_iter().map(|p| p.name).collect(),
                card: call.card.map(EventRef::Event),
                notes: call.notes.map(EventRef::Event),
            });
        }
        Ok(lines)
    }

    /// Takes the sender's words out of every call of the room: archive, captions, notes.
    async fn forget(&self) -> anyhow::Result<Value> {
        let (archive, room, sender) = (&self.house.archive, &self.message.room, &self.message.sender);
        let (mut calls, mut utterances) = (0_usize, 0_usize);
        for call in archive.list_calls(room, u32::MAX).await? {
            // Words and what is to be mended outside go in one transaction: a crash forgets neither.
            let mut tx = archive.begin().await?;
            let gone = tx.withdraw_party_words(call.id, sender.as_str()).await?;
            let mut shown: Vec<EventRef> = gone.captions.into_iter().map(EventRef::Event).collect();
            shown.extend(gone.under_way.into_iter().map(EventRef::Effect));
            shown.extend(call.notes.filter(|_| gone.notes).map(EventRef::Event));
            for event in shown {
                tx.record(&self.redaction(event)).await?;
            }
            tx.commit().await?;
            if gone.utterances > 0 {
                calls += 1;
                utterances += gone.utterances;
            }
            if gone.notes {
                finish::again(self.house, call.id).await?;
            }
        }
        Ok(text::plain_answer(&if utterances == 0 {
            "Nothing that you said is written down in this room's calls.".to_owned()
        } else {
            format!(
                "Deleted: {utterances} utterances of yours in {calls} {}. Their captions are redacted and the notes made again \
                 without them. What others have copied or their clients have kept I cannot take back.",
                if calls == 1 { "call" } else { "calls" }
            )
        }))
    }

    fn redaction(&self, event: EventRef) -> NewEffect {
        let id = EffectId::answering(self.message.event_id.as_str(), &format!("redact {}", event.placeholder()));
        let effect = Effect::Redact {
            as_user: self.bot.user_id().to_owned(),
            room: self.message.room.clone(),
            event,
            reason: Some("words were taken back".to_owned()),
        };
        NewEffect { id, call: None, lane: Lane::room(&self.message.room), party: None, effect }
    }

    /// Answers, in the thread where it was asked.
    async fn reply(&self, content: Value) {
        let relation = self.message.thread.clone().map(|root| Relation::Thread {
            root: EventRef::Event(root),
            latest: Some(EventRef::Event(self.message.event_id.clone())),
        });
        let effect = Effect::SendEvent {
            as_user: self.bot.user_id().to_owned(),
            room: self.message.room.clone(),
            event_type: "m.room.message".to_owned(),
            content,
            relation,
            purpose: Purpose::Notice,
        };
        self.record("reply", effect).await;
    }

    async fn record(&self, name: &str, effect: Effect) {
        record(self.house, &self.message.room, EffectId::answering(self.message.event_id.as_str(), name), effect).await;
    }
}

async fn record(house: &House, room: &OwnedRoomId, id: EffectId, effect: Effect) {
    let new = NewEffect { id, call: None, lane: Lane::room(room), party: None, effect };
    if let Err(error) = house.archive.journal().record(&new).await {
        tracing::error!(%room, %error, "an answer could not be recorded");
    }
}

/// Says in the room what its policy is now, and who changed it.
pub(crate) async fn announce_policy(house: &House, event: &RawStateEvent, notes: bool) {
    let by = event.content["set_by"].as_str().filter(|_| house.matrix.is_ours(event.sender.as_str()));
    let by = by.unwrap_or(event.sender.as_str()).to_owned();
    let members = house.matrix.bot().members(&event.room).await.unwrap_or_default();
    let name = members.into_iter().find(|m| m.user.as_str() == by).and_then(|m| m.display_name).unwrap_or(by);
    let recogniser = paper::recogniser(house);
    let view = PolicyView { notes, recogniser: &recogniser, writer: "extractive", set_by: Some(&name) };
    let effect = notice(house, &event.room, text::policy_changed(&view));
    record(house, &event.room, EffectId::answering(event.event_id.as_str(), "announce"), effect).await;
}

/// Says once, where a room does not let phones into its calls, what to change.
pub(crate) async fn greet(house: &House, room: &OwnedRoomId) {
    let Ok(needed) = house.matrix.bot().required_for_state(room, bridge::matrixrtc::MEMBER_EVENT).await else { return };
    if needed <= 0 {
        return;
    }
    let words = format!(
        "This room asks for power level {needed} to join its calls, so that I cannot bring phones in or write notes. An admin \
         can allow it: set org.matrix.msc3401.call.member to 0 in the room's permissions."
    );
    let effect = notice(house, room, text::plain_answer(&words));
    record(house, room, EffectId::answering(room.as_str(), &format!("power-{needed}")), effect).await;
}

fn notice(house: &House, room: &RoomId, content: Value) -> Effect {
    Effect::SendEvent {
        as_user: house.matrix.bot().user_id().to_owned(),
        room: room.to_owned(),
        event_type: "m.room.message".to_owned(),
        content,
        relation: None,
        purpose: Purpose::Notice,
    }
}
