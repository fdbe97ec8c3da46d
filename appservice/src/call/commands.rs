//! What commands do: each message that asks something is answered once, in the thread where it was asked.

mod mend;
mod pay;
mod room;
mod todos;

use std::{collections::HashMap, sync::Arc};

use bridge::{ids::E164, time::UnixMillis};
use matrix_sdk::ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde_json::Value;

use super::{House, task::ToCall, withdraw};
use crate::{
    archive::{CallId, EffectId, TodoState},
    commands::{self, Command, Heard, Who, may},
    config::Level,
    journal::{Effect, EventRef, Lane, NewEffect, Purpose, Relation},
    matrix::{Message, POLICY, VirtualUser},
    settings::{Policy, RoomSettings},
    text::{self, CallLine, TakenBack, Zone},
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
    /// What the room has set has changed.
    Settings(RoomSettings),
    /// Something for the call that goes on.
    Tell(Box<ToCall>),
    /// Notes of these calls are to be made again.
    Again(Vec<CallId>),
}

/// An answer, and what is to follow from the command.
struct Reply {
    /// `None`: it comes from elsewhere.
    content: Option<Value>,
    asks: Vec<Ask>,
    /// To-dos that the answer shows, for reactions on it.
    shows: Vec<u32>,
}

impl Reply {
    fn new(content: Value) -> Self {
        Self { content: Some(content), asks: Vec::new(), shows: Vec::new() }
    }

    fn say(words: &str) -> Self {
        Self::new(text::plain_answer(words))
    }

    fn ask(mut self, ask: Ask) -> Self {
        self.asks.push(ask);
        self
    }
}

/// What the switchboard knows of a room.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Notes are on.
    pub(crate) notes: bool,
    /// What the room's state says.
    pub(crate) policy: Policy,
    /// Notes wait until the policy is set again.
    pub(crate) asked_again: bool,
    /// What the room has set beside.
    pub(crate) settings: RoomSettings,
    /// Names of the room's people.
    pub(crate) names: HashMap<String, String>,
    /// The call that goes on.
    pub(crate) call: Option<CallId>,
    /// Users in the room's call, ours too.
    pub(crate) in_call: Vec<String>,
    /// Numbers that the configuration links.
    pub(crate) configured: Vec<E164>,
}

/// Reads a message; where it is a command, does it and answers. Gives what the room's call is to be told.
pub(crate) async fn answer(
    house: &Arc<House>,
    message: Message,
    facts: impl FnOnce(&OwnedRoomId) -> Facts,
) -> Option<(OwnedRoomId, Vec<Ask>)> {
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
    let Reply { content, asks, shows } = match command {
        Err(mistake) => Reply::new(text::notice(&commands::mistake(&mistake))),
        Ok(command) => run.command(command).await,
    };
    if let Some(content) = content {
        run.reply(content, &shows).await;
    }
    Some((message.room.clone(), asks))
}

struct Run<'a> {
    house: &'a Arc<House>,
    bot: &'a VirtualUser,
    message: &'a Message,
    facts: Facts,
}

impl Run<'_> {
    async fn command(&self, command: Command) -> Reply {
        let room = &self.message.room;
        // In an encrypted room a clear event could be anybody's, the homeserver's too.
        if !self.message.encrypted && self.bot.is_encrypted(room).await.unwrap_or(true) {
            return Reply::say("That message came unencrypted into an encrypted room, so I did not act on it.");
        }
        let who = match self.who().await {
            Ok(who) => who,
            Err(error) => {
                tracing::warn!(%room, %error, "the power levels cannot be read");
                return Reply::say("I could not read this room's power levels. Please try again.");
            }
        };
        if let Err(refusal) = may(&who, &command) {
            return Reply::new(text::notice(&commands::refusal(&refusal)));
        }
        match self.run(command, &who).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%room, %error, "a command failed");
                Reply::say("That did not work: something failed on my side. The operator's log says what.")
            }
        }
    }

    async fn run(&self, command: Command, who: &Who) -> anyhow::Result<Reply> {
        let (archive, room, sender) = (&self.house.archive, &self.message.room, &self.message.sender);
        let (zone, via) = (self.zone(), self.via());
        let say = Reply::say;
        Ok(match command {
            Command::Link(number) => self.link(&number).await?,
            Command::Unlink(number) => Reply::new(self.unlink(number).await?),
            Command::Numbers => Reply::new(text::numbers(&self.numbers().await?)),
            Command::HangUp => match self.facts.call {
                Some(_) => say("Hanging up.").ask(Ask::HangUp),
                None => say("There is no call to hang up."),
            },
            Command::NotesOn => self.notes(true).await?.ask(Ask::NotesOn),
            Command::NotesOff => self.notes(false).await?,
            Command::Live(fast) => self.live(fast).await?,
            Command::Language(spoken, line) => self.language(spoken, line).await?,
            Command::Words(ask) => self.words(ask).await?,
            Command::Speakers(line, several) => self.speakers(line, several).await?,
            Command::Agree if !self.facts.notes => say("Notes are off in this room: nobody is heard."),
            Command::Agree if !self.in_call(sender.as_str()) => {
                say("You are not in this room's call. Join it, then agree.")
            }
            Command::Agree => {
                say("You are heard from now on. `!notes stop` ends it and deletes what you said in this call.")
                    .ask(Ask::Agree(sender.clone()))
            }
            Command::Stop if self.facts.call.is_none() => {
                say("There is no call now, so I hear nobody. `!notes forget me` deletes what you said in earlier ones.")
            }
            Command::Stop => say(
                "You are not heard from now on, and what you said in this call is deleted: captions, transcript, notes. \
                 What others have copied or their clients have kept I cannot take back. `!notes agree` lets you be heard again.",
            )
            .ask(Ask::Withdraw(sender.clone())),
            Command::Status => Reply::new(self.status().await?),
            Command::Policy => Reply::new(self.policy().await?),
            Command::SoFar => self.so_far(),
            Command::Name(line, voice, name) => self.name_voice(line, voice, name).await?,
            Command::Correct(which, said) => self.correct(which, said, who).await?,
            Command::Fix(item, change) => self.fix(item, change).await?,
            Command::Todo(filter) => self.todos(filter).await?,
            Command::Done(number) => self.turn(number, TodoState::Done).await?,
            Command::Reopen(number) => self.turn(number, TodoState::Open).await?,
            Command::Drop(number) => self.turn(number, TodoState::Dropped).await?,
            Command::Search(words) => {
                let hits = archive.search(room, &words, HITS).await?;
                Reply::new(text::hits(&words, &hits, room, &via, &zone))
            }
            Command::List => Reply::new(text::list(&self.calls().await?, room, &via, &zone)),
            Command::ForgetMe => self.forget().await?,
            Command::Pay(ask) => self.pay(ask).await?,
            Command::Help(group) => Reply::new(text::notice(&commands::help(group, who, self.message.direct))),
        })
    }

    fn zone(&self) -> Zone {
        self.house.notary.zone()
    }

    fn via(&self) -> [String; 1] {
        self.house.notary.via()
    }

    async fn link(&self, number: &E164) -> anyhow::Result<Reply> {
        let (archive, room) = (&self.house.archive, &self.message.room);
        if archive.room_of_number(number).await?.is_some_and(|other| other != *room) {
            return Ok(Reply::say("That number rings another room already. It has to be unlinked there first."));
        }
        archive.link_number(number, room, Some(&self.message.sender), UnixMillis::now()).await?;
        let hint = self.power_hint().await;
        Ok(Reply::say(&format!("{} rings this room from now on.{hint}", number.reveal())))
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
            admin: self.house.config.permissions.of(sender) >= Some(Level::Admin),
            charged: self.house.payments.charges(),
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

    /// Takes the sender's words out of every call of the room: archive, captions, notes, to-dos.
    async fn forget(&self) -> anyhow::Result<Reply> {
        let (archive, room, sender) = (&self.house.archive, &self.message.room, &self.message.sender);
        let mut taken = TakenBack { utterances: 0, calls: 0 };
        let (mut again, mut asks) = (Vec::new(), Vec::new());
        for call in archive.list_calls(room, u32::MAX).await? {
            let gone = withdraw::take_back(&self.house.notary, &call, sender.as_str()).await?;
            if !gone.ids.is_empty() {
                taken.calls += 1;
                taken.utterances += gone.ids.len();
            }
            if gone.notes {
                again.push(call.id);
            }
            if self.facts.call == Some(call.id) {
                asks.push(Ask::Tell(Box::new(ToCall::WordsGone(gone.ids))));
            }
        }
        let words = if taken.utterances == 0 {
            "Nothing that you said is written down in this room's calls.".to_owned()
        } else {
            text::taken_back_words(taken)
        };
        asks.extend([Ask::Withdraw(sender.clone()), Ask::Again(again)]);
        Ok(Reply { asks, ..Reply::say(&words) })
    }

    /// How an answer hangs on the question: in the thread where it was asked.
    fn in_thread(&self) -> Option<Relation> {
        self.message.thread.clone().map(|root| Relation::Thread {
            root: EventRef::Event(root),
            latest: Some(EventRef::Event(self.message.event_id.clone())),
        })
    }

    fn effect_id(&self, name: &str) -> EffectId {
        EffectId::answering(self.message.event_id.as_str(), name)
    }

    /// Answers. `shows`: to-dos that the answer shows.
    async fn reply(&self, content: Value, shows: &[u32]) {
        let effect = Effect::SendEvent {
            as_user: self.bot.user_id().to_owned(),
            room: self.message.room.clone(),
            event_type: "m.room.message".to_owned(),
            content,
            relation: self.in_thread(),
            purpose: Purpose::Notice,
        };
        let id = self.effect_id("reply");
        if !shows.is_empty() {
            let shown = async {
                let mut tx = self.house.archive.begin().await?;
                tx.shows_todos(id, &self.message.room, shows, UnixMillis::now()).await?;
                tx.commit().await
            };
            if let Err(error) = shown.await {
                tracing::error!(%error, "reactions on a to-do list will not tick");
            }
        }
        record(self.house, &self.message.room, id, effect).await;
    }

    async fn record(&self, name: &str, effect: Effect) {
        record(self.house, &self.message.room, self.effect_id(name), effect).await;
    }
}

async fn record(house: &House, room: &OwnedRoomId, id: EffectId, effect: Effect) {
    let new = NewEffect { id, call: None, lane: Lane::room(room), party: None, effect };
    if let Err(error) = house.archive.journal().record(&new).await {
        tracing::error!(%room, %error, "an answer could not be recorded");
    }
}

pub(crate) use room::{announce_policy, ask_again};

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

/// Tells a room something, once for each name.
pub(crate) async fn tell_room(house: &House, room: &OwnedRoomId, name: &str, content: Value) {
    record(house, room, EffectId::answering(room.as_str(), name), notice(house, room, content)).await;
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
