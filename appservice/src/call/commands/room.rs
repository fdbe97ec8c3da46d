//! What a room sets: policy, glossary, languages, lines with several people.

use bridge::time::UnixMillis;
use serde_json::Value;

use super::{Ask, Reply, Run, notice, record};
use crate::{
    archive::EffectId,
    call::House,
    commands::{PartyName, WordsAsk},
    journal::Effect,
    matrix::{POLICY, RawStateEvent},
    settings::{Line, Policy, RoomSettings, Spoken},
    text::{self, PolicyView},
};

impl Run<'_> {
    /// Writes the policy as the bot. Everybody reads it; the announcement follows when it comes back by sync.
    async fn set_policy(&self, policy: &Policy, done: &str) -> anyhow::Result<Reply> {
        let room = &self.message.room;
        if !self.bot.may_send_state(room, POLICY).await? {
            let needed = self.bot.required_for_state(room, POLICY).await?;
            return Ok(Reply::say(&format!(
                "I have to write that into the room's settings, for all to read, and may not: give me power level {needed} \
                 (moderator, in most rooms) and ask again."
            )));
        }
        let effect = Effect::SetState {
            as_user: self.bot.user_id().to_owned(),
            room: room.clone(),
            event_type: POLICY.to_owned(),
            state_key: String::new(),
            content: policy.content(&self.message.sender),
        };
        self.record("policy", effect).await;
        Ok(Reply::say(done))
    }

    pub(super) async fn notes(&self, on: bool) -> anyhow::Result<Reply> {
        if self.facts.policy.notes == on && !(on && self.facts.asked_again) {
            return Ok(Reply::say(if on { "Notes are on already." } else { "Notes are off already." }));
        }
        if on && self.house.hearing.is_none() {
            return Ok(Reply::say(
                "There is no speech recogniser on this server. The operator can run `roomtone models fetch` and restart me.",
            ));
        }
        let mut policy = Policy { notes: on, ..self.facts.policy.clone() };
        if on {
            // Who turns them on is told where words go, and takes it.
            policy.seen_by = Some(self.house.notary.seen_by.clone());
        }
        self.set_policy(&policy, if on { "Turning notes on." } else { "Turning notes off." }).await
    }

    pub(super) async fn live(&self, fast: bool) -> anyhow::Result<Reply> {
        if self.facts.policy.live == fast {
            return Ok(Reply::say(if fast {
                "Captions come while people speak already."
            } else {
                "Captions come once a sentence is finished already."
            }));
        }
        let policy = Policy { live: fast, ..self.facts.policy.clone() };
        self.set_policy(&policy, "Changing how captions come.").await
    }

    pub(super) async fn language(&self, spoken: Spoken, who: Option<PartyName>) -> anyhow::Result<Reply> {
        if let Spoken::Code(code) = &spoken
            && !models::speech::backend::whisper::knows_language(code)
        {
            return Ok(Reply::say(&format!("I know no language {code:?}. A code such as en, de or fr, or auto.")));
        }
        let Some(who) = who else {
            if self.facts.policy.language.as_ref() == Some(&spoken) {
                return Ok(Reply::say("That is the language already."));
            }
            let policy = Policy { language: Some(spoken), ..self.facts.policy.clone() };
            return self.set_policy(&policy, "Changing the room's language.").await;
        };
        let (line, name) = match self.line(&who) {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        let mut settings = self.facts.settings.clone();
        let what = match &spoken {
            Spoken::Auto => format!("set: the language of {name} is found out."),
            Spoken::Code(code) => format!("set: {name} is heard in {code}."),
        };
        settings.languages.insert(line, spoken);
        self.save_settings(settings, &what).await
    }

    pub(super) async fn words(&self, ask: WordsAsk) -> anyhow::Result<Reply> {
        let mut settings = self.facts.settings.clone();
        match ask {
            WordsAsk::Show => Ok(Reply::new(text::words(&settings.terms))),
            WordsAsk::Add(terms) => match settings.add_terms(&terms).as_slice() {
                [] => Ok(Reply::say("I know these already, or know as many as I can.")),
                added => {
                    let what = format!("added to the terms that I know: {}.", added.join(", "));
                    self.save_settings(settings, &what).await
                }
            },
            WordsAsk::Remove(terms) => match settings.remove_terms(&terms).as_slice() {
                [] => Ok(Reply::say("I knew none of these.")),
                gone => {
                    let what = format!("took away from the terms that I know: {}.", gone.join(", "));
                    self.save_settings(settings, &what).await
                }
            },
        }
    }

    pub(super) async fn speakers(&self, who: PartyName, several: bool) -> anyhow::Result<Reply> {
        if several && !self.house.tells_voices {
            return Ok(Reply::say(
                "I cannot tell voices apart on this server. The operator can run `roomtone models fetch segmentation \
                 speaker-embedding onnxruntime` and restart me.",
            ));
        }
        let (line, name) = match self.line(&who) {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        let mut settings = self.facts.settings.clone();
        settings.several.insert(line, several);
        let what = if several {
            format!(
                "said that several people share {name}: I tell them apart within a call, as Speaker A, B and so on, and keep \
                 nothing about their voices. `!notes name A Grace` names one for the call."
            )
        } else {
            format!("said that one person is on {name}.")
        };
        self.save_settings(settings, &what).await
    }

    /// The line that people mean, and how it is called.
    fn line(&self, who: &PartyName) -> Result<(Line, String), Reply> {
        Ok(match who {
            PartyName::Phones => (Line::Phones, "phones".to_owned()),
            PartyName::Number(number) => (Line::Number(number.clone()), number.reveal().to_owned()),
            PartyName::Person(name) => {
                let called = |(user, shown): &(&String, &String)| *user == name || shown.eq_ignore_ascii_case(name);
                let mut found = self.facts.names.iter().filter(called);
                match (found.next(), found.next()) {
                    (Some((user, shown)), None) => (Line::User(user.clone()), shown.clone()),
                    (None, _) => return Err(Reply::say("I know nobody of that name in this room.")),
                    (Some(_), Some(_)) => {
                        return Err(Reply::say("Several people here have that name: use the user id (@name:server)."));
                    }
                }
            }
        })
    }

    /// Stores what the room has set; the answer says who changed what, in the timeline too where it was asked in a thread.
    async fn save_settings(&self, settings: RoomSettings, what: &str) -> anyhow::Result<Reply> {
        self.house.archive.save_room_settings(&self.message.room, &settings).await?;
        let sender = self.message.sender.as_str();
        let who = self.facts.names.get(sender).map_or(sender, String::as_str);
        let said = text::set(who, what);
        if self.message.thread.is_some() {
            let effect = notice(self.house, &self.message.room, said.clone());
            self.record("announce", effect).await;
        }
        Ok(Reply::new(said).ask(Ask::Settings(settings)))
    }

    pub(super) async fn policy(&self) -> anyhow::Result<Value> {
        let events = self.bot.room_state(&self.message.room, POLICY).await.unwrap_or_default();
        let set_by = events.iter().find(|e| e.state_key.is_empty()).map(|e| setter(self.house, e));
        let set_by = set_by.map(|by| self.facts.names.get(&by).cloned().unwrap_or(by));
        let settings = &self.facts.settings;
        let lines = lines(settings, |user| self.facts.names.get(user).cloned());
        Ok(text::policy(&PolicyView {
            notes: self.facts.notes,
            asked_again: self.facts.asked_again,
            terms: settings.terms.len(),
            lines: &lines,
            set_by: set_by.as_deref(),
            ..view(self.house, &self.facts.policy, &seen_by(self.house))
        }))
    }
}

/// What is set of single lines, in words.
fn lines(settings: &RoomSettings, name: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let called = |line: &Line| match line {
        Line::Phones => "Phones".to_owned(),
        Line::Number(number) => number.reveal().to_owned(),
        Line::User(user) => name(user).unwrap_or_else(|| user.clone()),
    };
    let languages = settings.languages.iter().map(|(line, spoken)| match spoken {
        Spoken::Auto => format!("{}: the language is found out.", called(line)),
        Spoken::Code(code) => format!("{}: heard in {code}.", called(line)),
    });
    let several = settings.several.iter().filter(|(_, several)| **several);
    languages.chain(several.map(|(line, _)| format!("{}: several people, told apart.", called(line)))).collect()
}

fn seen_by(house: &House) -> Vec<&str> {
    house.notary.seen_by.iter().map(String::as_str).collect()
}

fn view<'v>(house: &'v House, policy: &'v Policy, seen_by: &'v [&'v str]) -> PolicyView<'v> {
    PolicyView {
        notes: policy.notes,
        live: policy.live,
        language: policy.language.as_ref().map(Spoken::code),
        terms: 0,
        lines: &[],
        recogniser: &house.notary.recogniser,
        writer: house.notary.writers.name(),
        seen_by,
        asked_again: false,
        set_by: None,
    }
}

/// Who set a policy: whom the bot did it for, else who wrote it.
fn setter(house: &House, event: &RawStateEvent) -> String {
    let by = event.content["set_by"].as_str().filter(|_| house.matrix.is_ours(event.sender.as_str()));
    by.unwrap_or(event.sender.as_str()).to_owned()
}

/// Says in the room what its policy is now, and who changed it.
pub(crate) async fn announce_policy(
    house: &House,
    event: &RawStateEvent,
    before: &Policy,
    policy: &Policy,
    was_on: bool,
    on: bool,
) {
    let by = setter(house, event);
    let members = house.matrix.bot().members(&event.room).await.unwrap_or_default();
    let name = members.into_iter().find(|m| m.user.as_str() == by).and_then(|m| m.display_name).unwrap_or(by);
    let seen_by = seen_by(house);
    let view = PolicyView { notes: on, set_by: Some(&name), ..view(house, policy, &seen_by) };
    let live = (before.live != policy.live).then_some(policy.live);
    let language = policy.language.as_ref().filter(|_| before.language != policy.language).map(Spoken::code);
    if was_on == on && live.is_none() && language.is_none() {
        return;
    }
    let effect = notice(house, &event.room, text::policy_changed(&view, was_on != on, live, language));
    record(house, &event.room, EffectId::answering(event.event_id.as_str(), "announce"), effect).await;
}

/// Says once that notes wait, because words would now go where they did not when the policy was set.
pub(crate) async fn ask_again(house: &House, event: &RawStateEvent) {
    let seen_by = seen_by(house);
    let policy = Policy::read(&event.content, false);
    let effect = notice(house, &event.room, text::asked_again(&view(house, &policy, &seen_by)));
    let id = EffectId::answering(event.event_id.as_str(), &format!("asked again: {}", seen_by.join(" ")));
    record(house, &event.room, id, effect).await;
    tracing::debug!(room = %event.room, at = UnixMillis::now().0, "asked again");
}

#[cfg(test)]
mod tests {
    use bridge::ids::E164;

    use super::*;

    #[test]
    fn what_is_set_of_lines_is_told_in_words() {
        let mut settings = RoomSettings::default();
        settings.languages.insert(Line::Phones, Spoken::Code("fr".into()));
        settings.languages.insert(Line::User("@bob:hs".into()), Spoken::Auto);
        settings.several.insert(Line::Number(E164::parse("+15550100").unwrap()), true);
        settings.several.insert(Line::Phones, false);
        assert_eq!(
            lines(&settings, |user| (user == "@bob:hs").then(|| "Bob".into())),
            ["Phones: heard in fr.", "Bob: the language is found out.", "+15550100: several people, told apart."]
        );
    }
}
