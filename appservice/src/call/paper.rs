//! What a call writes into its room, as effects of the journal: one card, its edits, the thread.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use bridge::{
    matrixrtc::{RING_EVENT, ring_content},
    time::UnixMillis,
};
use matrix_sdk::ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use models::notes::Notes;
use payments::Msat;
use serde_json::Value;

use super::{House, Notary, names::Names};
use crate::{
    archive::{
        CallId, CallRecord, CallState, EffectId, PartyKind, PartyRecord, StoredUtterance, TodoState, UtteranceId,
    },
    desk::{CardView, NotesView, PartyId, RING_FOR, Turn},
    journal::{Effect, EventRef, Lane, NewEffect, Purpose, Relation},
    text::{self, CardContext, NotesPaper, NotesParty, Zone},
};

/// Where a call's facts hold what it cost, in words.
pub(crate) const COST: &str = "cost";
/// Type of the messages.
const MESSAGE: &str = "m.room.message";

/// Writes for one call.
pub(crate) struct Paper {
    call: CallId,
    room: OwnedRoomId,
    bot: OwnedUserId,
    zone: Zone,
    /// Edits of the card so far; 0: it is not sent.
    cards: u64,
    invited: bool,
    /// Edits of each turn's message so far.
    turn_edits: HashMap<u64, u64>,
    seen: HashSet<String>,
    /// What was said of credit so far.
    credits: u64,
    card_event: Option<OwnedEventId>,
}

/// The effect that posts a call's card.
fn card_effect(call: CallId) -> EffectId {
    EffectId::named(call, "card")
}

/// The effect that posts a turn.
fn turn_effect(call: CallId, turn: u64) -> EffectId {
    EffectId::named(call, &format!("turn-{turn}"))
}

impl Paper {
    pub(crate) fn new(house: &House, call: CallId, room: OwnedRoomId) -> Self {
        Self {
            call,
            room,
            bot: house.matrix.bot().user_id().to_owned(),
            zone: Zone::named(&house.config.notes.time_zone),
            cards: 0,
            invited: false,
            turn_edits: HashMap::new(),
            seen: HashSet::new(),
            credits: 0,
            card_event: None,
        }
    }

    /// The effect that posts the card.
    pub(crate) fn card_effect(&self) -> EffectId {
        card_effect(self.call)
    }

    /// Whether this user is new to the call.
    pub(crate) fn first_seen(&mut self, user: &str) -> bool {
        self.seen.insert(user.to_owned())
    }

    /// Whether this event is the call's card.
    pub(crate) async fn is_card(&mut self, house: &House, event: &EventId) -> bool {
        if self.card_event.is_none() {
            self.card_event = house.archive.call(self.call).await.ok().flatten().and_then(|c| c.card);
        }
        self.card_event.as_deref() == Some(event)
    }

    /// Shows the card as it stands; once people can agree, the bot's ✅ makes that one tap.
    pub(crate) async fn card(&mut self, house: &House, view: &CardView, cost: Option<Msat>) -> anyhow::Result<()> {
        let words = !house.archive.utterances(self.call).await?.is_empty();
        let context = CardContext {
            zone: &self.zone,
            trunk: None,
            notes_posted: view.ended.is_some() && words,
            cost: cost.filter(|_| view.ended.is_some()),
            seen_by: &house.notary.seen_by.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        let content = text::card(view, &context);
        let card = card_effect(self.call);
        let effect = if self.cards == 0 {
            self.effect(card, None, self.message(content, None, Purpose::Card))
        } else {
            let id = EffectId::named(self.call, &format!("card-edit-{}", self.cards));
            let relation = Relation::Replace { of: EventRef::Effect(card) };
            self.effect(id, None, self.message(content, Some(relation), Purpose::CardEdit))
        };
        self.cards += 1;
        house.archive.journal().record(&effect).await?;
        if view.notes == NotesView::On && view.since.is_some() && !std::mem::replace(&mut self.invited, true) {
            let tick = Effect::SendEvent {
                as_user: self.bot.clone(),
                room: self.room.clone(),
                event_type: "m.reaction".to_owned(),
                content: serde_json::json!({}),
                relation: Some(Relation::Annotate { to: EventRef::Effect(card), key: "✅".to_owned() }),
                purpose: Purpose::Reaction,
            };
            house.archive.journal().record(&self.effect(EffectId::named(self.call, "tick"), None, tick)).await?;
        }
        Ok(())
    }

    /// Posts a turn, or edits it.
    pub(crate) async fn caption(&mut self, house: &House, turn: &Turn, name: &str) -> anyhow::Result<()> {
        let content = text::caption(name, turn.started, &turn.text, turn.unfinished.as_deref(), &self.zone);
        let first = turn_effect(self.call, turn.number);
        let edits = self.turn_edits.entry(turn.number).or_default();
        let party = Some(turn.party.as_str().to_owned());
        let effect = if *edits == 0 {
            let thread = Relation::Thread { root: EventRef::Effect(card_effect(self.call)), latest: None };
            self.effect(first, party, self.message(content, Some(thread), Purpose::Caption))
        } else {
            let id = EffectId::named(self.call, &format!("turn-{}-edit-{edits}", turn.number));
            let relation = Relation::Replace { of: EventRef::Effect(first) };
            self.effect(id, party, self.message(content, Some(relation), Purpose::CaptionEdit))
        };
        *self.turn_edits.entry(turn.number).or_default() += 1;
        let shown: Vec<UtteranceId> = turn.utterances.iter().copied().map(UtteranceId).collect();
        let mut tx = house.archive.begin().await?;
        tx.record(&effect).await?;
        tx.shown_by(self.call, &shown, first).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a turn's message away: what stood in it was no words after all.
    pub(crate) async fn retract(&mut self, house: &House, turn: u64) -> anyhow::Result<()> {
        let first = turn_effect(self.call, turn);
        let effect = Effect::Redact {
            as_user: self.bot.clone(),
            room: self.room.clone(),
            event: EventRef::Effect(first),
            reason: None,
        };
        let id = EffectId::named(self.call, &format!("turn-{turn}-retracted"));
        house.archive.journal().record(&self.effect(id, None, effect)).await?;
        Ok(())
    }

    /// Says once that a party is not written down.
    pub(crate) async fn not_transcribed(&self, house: &House, party: &PartyId, name: &str) -> anyhow::Result<()> {
        let thread = Relation::Thread { root: EventRef::Effect(card_effect(self.call)), latest: None };
        let id = EffectId::named(self.call, &format!("not-transcribed-{party}"));
        let message = self.message(text::not_transcribed(name), Some(thread), Purpose::Notice);
        house.archive.journal().record(&self.effect(id, None, message)).await?;
        Ok(())
    }

    /// Says that what pays for a phone ends in so much time; `None`: that it goes on after all.
    pub(crate) async fn credit(&mut self, house: &House, left: Option<Duration>) -> anyhow::Result<()> {
        let thread = Relation::Thread { root: EventRef::Effect(card_effect(self.call)), latest: None };
        let id = EffectId::named(self.call, &format!("credit-{}", self.credits));
        self.credits += 1;
        let message = self.message(text::credit_left(left), Some(thread), Purpose::Notice);
        house.archive.journal().record(&self.effect(id, None, message)).await?;
        Ok(())
    }

    /// Rings the room, as the ghost whose membership it is.
    pub(crate) async fn ring(&self, house: &House, ghost: &UserId, membership_event: &str) -> anyhow::Result<()> {
        let people: Vec<String> = match house.matrix.bot().members(&self.room).await {
            Ok(members) => {
                members.into_iter().map(|m| m.user.to_string()).filter(|user| !house.matrix.is_ours(user)).collect()
            }
            Err(_) => Vec::new(),
        };
        let content = ring_content(membership_event, &people, UnixMillis::now(), RING_FOR);
        let effect = Effect::SendEvent {
            as_user: ghost.to_owned(),
            room: self.room.clone(),
            event_type: RING_EVENT.to_owned(),
            content,
            relation: Some(Relation::Reference { to: EventRef::Event(membership_event.try_into()?) }),
            purpose: Purpose::Ring,
        };
        let ring = NewEffect {
            id: EffectId::named(self.call, &format!("ring-{membership_event}")),
            call: Some(self.call),
            lane: Lane::presence(self.call),
            party: None,
            effect,
        };
        house.archive.journal().record(&ring).await?;
        Ok(())
    }

    fn message(&self, content: Value, relation: Option<Relation>, purpose: Purpose) -> Effect {
        message(&self.bot, &self.room, content, relation, purpose)
    }

    fn effect(&self, id: EffectId, party: Option<String>, effect: Effect) -> NewEffect {
        NewEffect { id, call: Some(self.call), lane: Lane::thread(self.call), party, effect }
    }
}

fn message(bot: &UserId, room: &RoomId, content: Value, relation: Option<Relation>, purpose: Purpose) -> Effect {
    Effect::SendEvent {
        as_user: bot.to_owned(),
        room: room.to_owned(),
        event_type: MESSAGE.to_owned(),
        content,
        relation,
        purpose,
    }
}

/// Posts the captions of utterances that a crash kept from being shown: stored, but no caption recorded.
pub(crate) async fn late_captions(
    house: &House,
    call: &CallRecord,
    utterances: &[StoredUtterance],
) -> anyhow::Result<()> {
    let zone = Zone::named(&house.config.notes.time_zone);
    let names = Names::new(&house.archive.parties(call.id).await?, &house.archive.voices(call.id).await?);
    for said in utterances.iter().filter(|u| u.caption.is_none()) {
        let content = text::caption(&names.speaker(said), said.start, std::slice::from_ref(&said.text), None, &zone);
        let thread = Relation::Thread { root: EventRef::Effect(card_effect(call.id)), latest: None };
        let effect = NewEffect {
            id: EffectId::named(call.id, &format!("late-{}", said.id.0)),
            call: Some(call.id),
            lane: Lane::thread(call.id),
            party: Some(said.party.clone()),
            effect: message(house.matrix.bot().user_id(), &call.room, content, Some(thread), Purpose::Caption),
        };
        let mut tx = house.archive.begin().await?;
        tx.record(&effect).await?;
        tx.shown_by(call.id, &[said.id], effect.id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// What stands around the notes of a call.
pub(crate) struct Page {
    pub(crate) parties: Vec<PartyRecord>,
    /// Users who agreed, silent or not, and whose words there are.
    heard: HashSet<String>,
    links: HashMap<u64, EventRef>,
    recognisers: Vec<String>,
    seen_by: BTreeSet<String>,
}

impl Page {
    /// From the archive.
    pub(crate) async fn of(notary: &Notary, call: &CallRecord) -> anyhow::Result<Self> {
        let utterances = notary.archive.utterances(call.id).await?;
        let agreed = notary.archive.grants(call.id).await?;
        let said = utterances.iter().map(|u| u.party.clone());
        let heard = said.chain(agreed.into_iter().filter(|g| g.granted).map(|g| g.party)).collect();
        let link = |u: &StoredUtterance| {
            let event = u.caption_event.clone().map(EventRef::Event).or_else(|| u.caption.map(EventRef::Effect))?;
            Some((u64::try_from(u.id.0).ok()?, event))
        };
        let mut recognisers: Vec<String> = Vec::new();
        for name in utterances.iter().filter_map(|u| u.details.recogniser.as_ref()) {
            if !recognisers.contains(name) {
                recognisers.push(name.clone());
            }
        }
        if recognisers.is_empty() {
            recognisers.push(notary.recogniser.clone());
        }
        // Where words could have gone when they were said, and where they can go now that they are written of.
        let then = call.facts["seen_by"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Ok(Self {
            parties: notary.archive.parties(call.id).await?,
            heard,
            links: utterances.iter().filter_map(link).collect(),
            recognisers,
            seen_by: then.chain(notary.seen_by.iter().cloned()).collect(),
        })
    }

    /// The content of the notes' message. `states`: of the to-dos, by item.
    pub(crate) fn notes(
        &self,
        notary: &Notary,
        call: &CallRecord,
        notes: &Notes,
        states: &HashMap<u32, TodoState>,
    ) -> Value {
        let parties: Vec<NotesParty<'_>> = self
            .parties
            .iter()
            .map(|p| NotesParty {
                name: &p.name,
                phone: p.kind == PartyKind::Phone,
                heard: self.heard.contains(&p.user),
                user: (p.kind == PartyKind::Matrix).then(|| UserId::parse(&p.user).ok()).flatten(),
            })
            .collect();
        let seen_by: Vec<&str> = self.seen_by.iter().map(String::as_str).collect();
        text::notes(&NotesPaper {
            notes,
            parties: &parties,
            started: call.started,
            length: call.ended.map(|ended| ended.since(call.started)),
            zone: &notary.zone(),
            interrupted: call.state == CallState::Interrupted,
            recogniser: &self.recognisers.join(", "),
            seen_by: &seen_by,
            cost: call.facts[COST].as_str(),
            room: &call.room,
            via: &notary.via(),
            link: &|id| self.links.get(&id).cloned(),
            state: &|item| states.get(&item).copied(),
        })
    }
}

/// The effect that posts a call's notes or puts them in the place of those that stand there.
pub(crate) fn notes(
    notary: &Notary,
    call: &CallRecord,
    id: EffectId,
    replaces: Option<Relation>,
    content: Value,
) -> NewEffect {
    let purpose = if replaces.is_some() { Purpose::NotesEdit } else { Purpose::Notes };
    let relation = replaces.unwrap_or(Relation::Thread { root: EventRef::Effect(card_effect(call.id)), latest: None });
    NewEffect {
        id,
        call: Some(call.id),
        lane: Lane::thread(call.id),
        party: None,
        effect: message(&notary.bot, &call.room, content, Some(relation), purpose),
    }
}

/// An answer that holds words of a call: sealed with its key, gone with it.
pub(crate) fn answer(
    notary: &Notary,
    call: &CallRecord,
    id: EffectId,
    relation: Option<Relation>,
    content: Value,
) -> NewEffect {
    let effect = message(&notary.bot, &call.room, content, relation, Purpose::Notice);
    NewEffect { id, call: Some(call.id), lane: Lane::room(&call.room), party: None, effect }
}

/// Puts other words into the message that shows these utterances.
pub(crate) fn corrected(
    notary: &Notary,
    call: &CallRecord,
    shown: EventRef,
    party: &str,
    content: Value,
) -> Result<NewEffect, getrandom::Error> {
    Ok(NewEffect {
        id: EffectId::random()?,
        call: Some(call.id),
        lane: Lane::thread(call.id),
        party: Some(party.to_owned()),
        effect: message(&notary.bot, &call.room, content, Some(Relation::Replace { of: shown }), Purpose::CaptionEdit),
    })
}
