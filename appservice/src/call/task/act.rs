//! What the desk decides, done.

use std::{collections::HashSet, sync::Arc};

use bridge::{
    ids::{E164, LegId},
    livekit::{Admitted, ParticipantIdentity},
    phone::{Over, PhoneLeg, Prompt as Sounded},
    sip::CallOutcome,
    time::{Now, UnixMillis},
};
use matrix_sdk::ruma::OwnedUserId;

use super::{
    super::{
        attendance::{Attendance, Command, Entrant, Setup, Sink, Told},
        finish,
        scribe::{Heard, Scribe},
    },
    CallTask, Leg,
};
use crate::{
    archive::{CallState, How, PartyKind, PartyRecord},
    desk::{AttendProblem, Attendee, CaptionOutput, Input, Output, PartyId, Prompt},
};

impl CallTask {
    pub(super) async fn act(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Attend(who) => self.attend(who).await,
            Output::Depart(who) => match self.attendance_for(&who) {
                Some(attendance) => attendance.command(Command::Leave).await,
                // It fell out by itself before.
                None => self.desk.handle(Now::read(), Input::Departed(who)),
            },
            Output::RingRoom(leg) => {
                if let Some(leg) = self.legs.get(&leg)
                    && let Some(event) = &leg.membership_event
                {
                    self.paper.ring(&self.house, &leg.ghost, event).await?;
                }
            }
            Output::SipRing(leg) => self.house.sip.ring(leg).await?,
            Output::SipAnswer(leg) => self.answer(leg).await,
            Output::SipReject(leg, outcome) => {
                self.leg_ended(leg, &outcome);
                self.house.sip.reject(leg, outcome).await?;
            }
            Output::SipHangUp(leg) => {
                self.stop_phone(leg).await;
                self.leg_ended(leg, &CallOutcome::Completed);
                self.house.sip.hang_up(leg).await?;
            }
            Output::Prompt(leg, prompt) => {
                if let Some(phone) = self.legs.get(&leg).and_then(|l| l.phone.as_ref()) {
                    self.sound(phone, prompt);
                }
            }
            Output::ToneToOthers(but) => {
                for phone in self.legs.iter().filter(|(leg, _)| **leg != but).filter_map(|(_, l)| l.phone.as_ref()) {
                    self.sound(phone, Prompt::GrantChanged);
                }
            }
            Output::Grants(grants) => {
                self.grants.send_replace(grants);
                self.hear_granted().await;
            }
            Output::RecordGrant(party, granted) => {
                let how = self.how.remove(&party).unwrap_or(How::Policy);
                self.house.archive.record_grant(self.id, party.as_str(), granted, how, UnixMillis::now()).await?;
                tracing::info!(party = %party, granted, "grant");
            }
            Output::Card => {
                let card = self.desk.card();
                if card.ended.is_some() {
                    self.settled().await;
                }
                self.paper.card(&self.house, &card, self.cost).await?;
            }
            Output::Credit(left) => self.paper.credit(&self.house, left).await?,
            Output::Caption(caption) => {
                let turn = match caption {
                    CaptionOutput::Retract(turn) => return self.paper.retract(&self.house, turn.number).await,
                    CaptionOutput::Post(turn) | CaptionOutput::Edit(turn) => turn,
                };
                let name = match turn.voice {
                    Some(voice) => self.names().of(turn.party.as_str(), Some(voice)),
                    None => self.name_of(&turn.party),
                };
                self.paper.caption(&self.house, &turn, &name).await?;
            }
            Output::TakeBack(party) => self.take_back(&party).await?,
            Output::NotTranscribed(party) => {
                let name = self.name_of(&party);
                self.paper.not_transcribed(&self.house, &party, &name).await?;
            }
            Output::FinishEars => {
                self.live.send_replace(false);
                match &self.scribe {
                    Some(scribe) => scribe.finish().await,
                    None => self.heard.0.send(Heard::Finished).await?,
                }
            }
            Output::Finish => {
                self.live.send_replace(false);
                self.over = true;
                self.settled().await;
                self.note_cost().await?;
                let taking = self.taking.take();
                finish::finish(&self.house.notary, self.id, UnixMillis::now(), CallState::Ended, taking).await?;
            }
        }
        Ok(())
    }

    async fn attend(&mut self, who: Attendee) {
        let (entrant, publish, hear) = match &who {
            Attendee::Phone(leg) => {
                let Some(incoming) = self.waiting.remove(leg) else { return };
                (Entrant::Ghost { number: incoming.caller, name: incoming.caller_name }, true, Admitted::All)
            }
            Attendee::Scribe => {
                let problem = match self.house.hearing {
                    None => Some(AttendProblem::NoRecogniser),
                    Some(_) => self.quota_problem().await,
                };
                if let Some(problem) = problem {
                    let _ = self.told.0.send((who, Told::NotIn(problem))).await;
                    return;
                }
                (Entrant::Bot, false, self.granted_identities())
            }
        };
        let setup = Setup {
            who: who.clone(),
            house: Arc::clone(&self.house),
            entrant,
            room: self.room.clone(),
            publish,
            hear,
            roster: self.roster.clone(),
        };
        let attendance = Attendance::start(setup, &mut self.tasks, self.told.0.clone());
        match who {
            Attendee::Phone(leg) => {
                let ghost = self.desk.card().phones.iter().rev().find(|p| p.leg == leg).map(|p| p.party.clone());
                let Some(ghost) = ghost.and_then(|g| OwnedUserId::try_from(g.as_str()).ok()) else { return };
                let leg_state = Leg { ghost, attendance, media: None, membership_event: None, phone: None };
                self.legs.insert(leg, leg_state);
            }
            Attendee::Scribe => {
                if let (None, Some(hearing)) = (&self.scribe, &self.house.hearing) {
                    let scribe = Scribe::start(
                        hearing.clone(),
                        self.grants.subscribe(),
                        self.ears.subscribe(),
                        self.started,
                        &mut self.tasks,
                        self.heard.0.clone(),
                    );
                    self.scribe = Some(scribe);
                }
                if let Some(scribe) = &self.scribe {
                    attendance.command(Command::Sink(Sink::Scribe(scribe.frames()))).await;
                }
                self.bot = Some(attendance);
            }
        }
    }

    /// Answers a phone: 200 with our media, and sound both ways.
    async fn answer(&mut self, leg: LegId) {
        let Some(media) = self.legs.get(&leg).and_then(|l| l.media.clone()) else { return };
        let answered = match self.house.sip.answer(leg).await {
            Ok(answered) => answered,
            Err(error) => {
                // The caller gave up in this moment, or no port is free; the endpoint tells the end of the leg.
                tracing::warn!(%leg, %error, "the phone could not be answered");
                return;
            }
        };
        let (phone, mut events) = PhoneLeg::start(answered, media);
        let to = self.phones.0.clone();
        self.tasks.spawn(async move {
            while let Some(event) = events.recv().await {
                if to.send((leg, event)).await.is_err() {
                    return;
                }
            }
        });
        if let Some(state) = self.legs.get_mut(&leg) {
            state.attendance.command(Command::Sink(Sink::Phone(phone.clone()))).await;
            state.phone = Some(phone);
        }
        if let Some(meter) = self.meters.get_mut(&leg) {
            meter.answered();
        }
        self.desk.handle(Now::read(), Input::PhoneUp(leg));
    }

    pub(super) fn sound(&self, phone: &PhoneLeg, prompt: Prompt) {
        if !phone.play(Sounded { pcm: self.house.prompts.pcm(prompt), over: Over::Duck }) {
            tracing::warn!(?prompt, "a prompt was not played: too many wait");
        }
    }

    pub(super) async fn stop_phone(&mut self, leg: LegId) {
        if let Some(phone) = self.legs.get_mut(&leg).and_then(|l| l.phone.take()) {
            phone.stop().await;
        }
    }

    /// Tells the scribe's SFU connection whose frames it may open.
    pub(super) async fn hear_granted(&self) {
        if let Some(bot) = &self.bot {
            bot.command(Command::Hear(self.granted_identities())).await;
        }
    }

    fn granted_identities(&self) -> Admitted {
        let roster = self.roster.borrow();
        let granted = roster.members().filter(|m| self.desk.grants().granted(&PartyId::new(&m.member.user)));
        Admitted::Only(granted.map(|m| ParticipantIdentity(m.member.identity())).collect::<HashSet<_>>())
    }

    pub(super) fn attendance_for(&self, who: &Attendee) -> Option<&Attendance> {
        match who {
            Attendee::Phone(leg) => self.legs.get(leg).map(|l| &l.attendance),
            Attendee::Scribe => self.bot.as_ref(),
        }
    }

    pub(super) fn attendance_of(&self, user: &OwnedUserId) -> Option<&Attendance> {
        if *user == *self.house.matrix.bot().user_id() {
            return self.bot.as_ref();
        }
        self.legs.values().find(|l| l.ghost == *user).map(|l| &l.attendance)
    }

    pub(super) fn name_of(&self, party: &PartyId) -> String {
        let card = self.desk.card();
        let phone = card.phones.iter().rev().find(|p| p.party == *party).map(|p| p.label.clone());
        phone
            .or_else(|| card.people.iter().find(|p| p.party == *party).map(|p| p.name.clone()))
            .unwrap_or_else(|| party.as_str().to_owned())
    }

    pub(super) async fn remember_party(&mut self, user: &str, kind: PartyKind, name: &str, number: Option<E164>) {
        if !self.paper.first_seen(user) {
            return;
        }
        let party = PartyRecord {
            user: user.to_owned(),
            kind,
            name: name.to_owned(),
            number,
            joined: UnixMillis::now(),
            left: None,
        };
        if let Err(error) = self.house.archive.upsert_party(self.id, &party).await {
            tracing::error!(%error, "a party could not be stored");
        }
        self.parties.push(party);
        self.plan_ears();
    }
}
