//! What happens in a call, brought to the desk: the switchboard's news, attendances, phones, words.

use std::sync::Arc;

use bridge::{
    ids::LegId,
    phone::PhoneEvent,
    sip::{CallOutcome, IncomingCall},
    time::UnixMillis,
};
use models::{Utterance, notes::SaidUtterance};
use payments::charge::CallCredit;

use super::{
    super::{
        attendance::{Command, Told},
        finish,
        meter::Meter,
        names::Names,
        scribe::{EarPlan, Heard},
        withdraw,
    },
    CallTask, ToCall,
};
use crate::{
    archive::{EffectId, How, NewUtterance, PartyKind, PartyRecord, SaidDetails, VoiceName, WordTime},
    desk::{Attendee, Input, PartyId, phone_label},
    journal::Relation,
    settings::OnLine,
};

impl CallTask {
    pub(super) async fn switchboard(&mut self, what: ToCall) {
        match what {
            ToCall::Phone(incoming, credit) => self.phone_rings(incoming, credit).await,
            ToCall::PhoneEnded(leg, outcome) => {
                self.stop_phone(leg).await;
                self.leg_ended(leg, &outcome);
                self.tell(Input::PhoneEnded(leg, outcome)).await;
            }
            ToCall::PhoneMoved(leg, remote, remote_rtcp, held) => {
                tracing::info!(%leg, held, "the phone moved its media or changed its hold");
                if let Some(phone) = self.legs.get(&leg).and_then(|l| l.phone.as_ref()) {
                    phone.remote_changed(remote, remote_rtcp, held);
                }
            }
            ToCall::People(people) => {
                for p in &people {
                    self.remember_party(p.party.as_str(), PartyKind::Matrix, &p.name, None).await;
                }
                self.tell(Input::People(people)).await;
            }
            ToCall::Key(to, key) => {
                if let Some(attendance) = self.attendance_of(&to) {
                    attendance.command(Command::Key(key)).await;
                }
            }
            ToCall::Agree(party) => self.grant(party, true, How::Command).await,
            ToCall::Withdraw(party) => self.grant(party, false, How::Command).await,
            ToCall::Tick { sender, event, target } => {
                if self.paper.is_card(&self.house, &target).await {
                    self.ticks.insert(event, sender.clone());
                    self.grant(PartyId::new(sender.as_str()), true, How::Reaction).await;
                }
            }
            ToCall::Redacted(event) => {
                if let Some(sender) = self.ticks.remove(&event)
                    && !self.ticks.values().any(|s| *s == sender)
                {
                    self.grant(PartyId::new(sender.as_str()), false, How::Reaction).await;
                }
            }
            ToCall::Notes(on) => self.tell(Input::Notes(on)).await,
            ToCall::Plan(plan) => {
                self.plan = plan;
                self.plan_ears();
            }
            ToCall::Corrected { of, first, text } => {
                if let Some(taking) = &self.taking {
                    let gone: Vec<u64> =
                        of.iter().filter(|id| **id != first).filter_map(|id| u64::try_from(*id).ok()).collect();
                    taking.withdraw(&gone);
                    taking.correct(u64::try_from(first).unwrap_or_default(), text.clone());
                }
                self.tell(Input::Corrected { of, first, text }).await;
            }
            ToCall::WordsGone(ids) => {
                if let Some(taking) = &self.taking {
                    taking.withdraw(&ids);
                }
            }
            ToCall::Named(name) => self.named(&name),
            ToCall::SoFar(id, relation) => self.so_far(id, relation).await,
            ToCall::HangUp => self.tell(Input::HangUp).await,
        }
    }

    pub(super) async fn grant(&mut self, party: PartyId, agreed: bool, how: How) {
        self.how.insert(party.clone(), how);
        self.tell(if agreed { Input::Agree(party) } else { Input::Withdraw(party) }).await;
    }

    pub(super) async fn phone_rings(&mut self, incoming: IncomingCall, credit: Option<CallCredit>) {
        let leg = incoming.leg;
        let ghost = self.house.matrix.ghost_id(incoming.caller.as_ref());
        let party = PartyId::new(ghost.as_str());
        if self.desk.has_phone(&party) {
            let _ = self.house.sip.reject(leg, CallOutcome::Busy).await;
            return;
        }
        let label = phone_label(incoming.caller.as_ref(), incoming.caller_name.as_deref());
        self.remember_party(ghost.as_str(), PartyKind::Phone, &label, incoming.caller.clone()).await;
        let input =
            Input::PhoneRings { leg, party, number: incoming.caller.clone(), name: incoming.caller_name.clone() };
        if let Some(credit) = credit {
            let meter = Meter::start(leg, credit, &mut self.tasks, self.metered.0.clone());
            self.meters.insert(leg, meter);
        }
        self.waiting.insert(leg, incoming);
        self.tell(input).await;
    }

    pub(super) async fn attendance(&mut self, who: Attendee, told: Told) {
        match told {
            Told::In { membership_event, participant } => {
                if let Attendee::Phone(leg) = &who
                    && let Some(leg) = self.legs.get_mut(leg)
                {
                    leg.media = Some(participant);
                    leg.membership_event = Some(membership_event);
                }
                self.tell(Input::Attending(who)).await;
            }
            Told::KeyMissing(member)
                if who != Attendee::Scribe || self.desk.grants().granted(&PartyId::new(&member.user)) =>
            {
                self.tell(Input::KeyMissing(PartyId::new(member.user))).await;
            }
            Told::KeyMissing(_) => {}
            Told::KeyWorks(member) => self.tell(Input::KeyWorks(PartyId::new(member.user))).await,
            Told::Speaks(member) => self.tell(Input::UnheardSpeaks(PartyId::new(member.user))).await,
            Told::NotIn(problem) => {
                self.forget_attendance(&who);
                self.tell(Input::NotAttending(who, problem)).await;
            }
            Told::Out => {
                self.forget_attendance(&who);
                self.tell(Input::Departed(who)).await;
            }
        }
    }

    pub(super) fn forget_attendance(&mut self, who: &Attendee) {
        match who {
            Attendee::Phone(leg) => drop(self.legs.remove(leg)),
            Attendee::Scribe => self.bot = None,
        }
    }

    pub(super) async fn phone(&mut self, leg: LegId, event: PhoneEvent) {
        match event {
            PhoneEvent::Digit(digit) => {
                if let Some(leg) = self.legs.get(&leg) {
                    self.how.insert(PartyId::new(leg.ghost.as_str()), How::Digit);
                }
                self.tell(Input::Digit(leg, digit)).await;
            }
            PhoneEvent::FirstAudioFromPhone => tracing::info!(%leg, "first sound from the phone"),
            PhoneEvent::FirstAudioToPhone => tracing::info!(%leg, "first sound to the phone"),
            PhoneEvent::MediaTimeout => {
                tracing::warn!(%leg, "the phone sends no sound any more");
                let _ = self.house.sip.hang_up(leg).await;
                self.stop_phone(leg).await;
                self.leg_ended(leg, &CallOutcome::MediaTimeout);
                self.tell(Input::PhoneEnded(leg, CallOutcome::MediaTimeout)).await;
            }
            PhoneEvent::PromptsOver => {}
            PhoneEvent::Stats(stats) => {
                if let Some(mos) = stats.mos() {
                    self.tell(Input::PhoneQuality(leg, tenths(mos))).await;
                }
            }
        }
    }

    pub(super) async fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Utterance { party, start, end, said } => self.utterance(party, start, end, &said).await,
            Heard::Unfinished { party, start, text } => {
                self.tell(Input::Unfinished { party, start, text: text.to_string() }).await;
            }
            Heard::FellBehind { party, lost_ms } => {
                tracing::warn!(party = %party, lost_ms, "the recogniser is too slow: sound was lost");
            }
            Heard::Finished => {
                self.scribe = None;
                self.tell(Input::EarsFinished).await;
            }
        }
    }

    async fn utterance(&mut self, party: PartyId, start: UnixMillis, end: UnixMillis, said: &Utterance) {
        if !self.desk.grants().granted(&party) {
            return;
        }
        let voice = said.voice.map(|v| v.0);
        let utterance = NewUtterance {
            party: party.as_str().to_owned(),
            start,
            end,
            text: said.text.to_string(),
            details: details(said),
        };
        let id = match self.house.archive.add_utterance(self.id, &utterance).await {
            Ok(id) => id,
            Err(error) => return tracing::error!(%error, "an utterance could not be stored and is not shown"),
        };
        let behind = UnixMillis::now().since(end);
        tracing::debug!(party = %party, length_ms = end.since(start).as_millis(), behind_ms = behind.as_millis(), confidence = said.confidence, "utterance");
        let text = said.text.to_string();
        self.tell(Input::Utterance { id: id.0, party: party.clone(), voice, start, end, text }).await;
        self.house.metrics.caption_after(UnixMillis::now().since(end));
        self.was_written_down(end.since(start)).await;
        if let Some(taking) = &self.taking {
            taking.add(SaidUtterance {
                id: u64::try_from(id.0).unwrap_or_default(),
                speaker: self.names().of(party.as_str(), voice),
                start_ms: finish::offset(start, self.started.wall),
                end_ms: finish::offset(end, self.started.wall),
                text: said.text.to_string(),
            });
        }
    }

    /// A voice has a name: captions to come and the notes use it.
    pub(super) fn named(&mut self, name: &VoiceName) {
        let before = self.names().of(&name.party, Some(name.voice));
        self.voices.retain(|v| (v.party.as_str(), v.voice) != (name.party.as_str(), name.voice));
        self.voices.push(name.clone());
        let after = self.names().of(&name.party, Some(name.voice));
        if let Some(taking) = &self.taking {
            taking.rename(&before, &after);
        }
    }

    pub(super) fn names(&self) -> Names {
        Names::new(&self.parties, &self.voices)
    }

    pub(super) async fn so_far(&self, id: EffectId, relation: Option<Relation>) {
        let draft = match &self.taking {
            Some(taking) => taking.draft().await,
            None => None,
        };
        if let Err(error) = finish::so_far(&self.house.notary, self.id, draft, id, relation).await {
            tracing::error!(%error, "the notes so far could not be told");
        }
    }

    /// How to listen to whom, by what the room has set and who is there.
    pub(super) fn plan_ears(&self) {
        let mut names: Vec<String> = self.parties.iter().map(|p| without_number(&p.name)).collect();
        names.extend(self.plan.name.clone());
        let tells_voices = self.house.tells_voices;
        let ear = |p: &PartyRecord| {
            let line = OnLine { user: &p.user, phone: p.kind == PartyKind::Phone, number: p.number.as_ref() };
            let mut options =
                self.plan.settings.ear(&self.plan.policy, &line, &names, self.house.config.transcription.spoken());
            options.several_voices &= tells_voices;
            (PartyId::new(&p.user), options)
        };
        self.ears.send_replace(Arc::new(EarPlan(self.parties.iter().map(ear).collect())));
    }

    pub(super) async fn take_back(&mut self, party: &PartyId) -> anyhow::Result<()> {
        let Some(call) = self.house.archive.call(self.id).await? else { return Ok(()) };
        let gone = withdraw::take_back(&self.house.notary, &call, party.as_str()).await?;
        if let Some(taking) = &self.taking {
            taking.withdraw(&gone.ids);
        }
        tracing::info!(party = %party, utterances = gone.ids.len(), "words were taken back");
        Ok(())
    }
}

/// What is stored of an utterance beside its words.
fn details(said: &Utterance) -> SaidDetails {
    let since = |at: i64| u32::try_from(at - said.start_ms).unwrap_or(0);
    let word = |w: &models::Word| WordTime {
        text: w.text.to_string(),
        from_ms: since(w.start_ms),
        to_ms: since(w.end_ms),
        percent: percent(w.probability),
    };
    SaidDetails {
        voice: said.voice.map(|v| v.0),
        language: said.language.clone(),
        recogniser: Some(said.recogniser.to_string()),
        words: said.words.iter().map(word).collect(),
        corrected: false,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100")]
fn percent(probability: f32) -> u8 {
    (probability * 100.0).round().clamp(0.0, 100.0) as u8
}

/// A phone's label without its number, which nobody says: "+44… (Ada Lovelace)" is "Ada Lovelace".
fn without_number(label: &str) -> String {
    match label.strip_prefix('+').and_then(|rest| rest.split_once(" (")) {
        Some((_, name)) => name.trim_end_matches(')').to_owned(),
        None if label.starts_with('+') => String::new(),
        None => label.to_owned(),
    }
}

/// A mean opinion score, 1 to 5, in tenths.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 10..=50")]
fn tenths(mos: f32) -> u8 {
    (mos * 10.0).round().clamp(10.0, 50.0) as u8
}
