//! The scribe's ears in one call: frames of the SFU become 16 kHz sound, sound of those who have granted becomes
//! utterances.
//!
//! The SFU connection drops the frames of all others before they are decrypted; here [`Grants::admit`] is asked again
//! for each 20 ms. Withdrawing drops what is queued, half recognised and not yet told.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bridge::{
    audio::Listener,
    livekit::RemoteFrame,
    matrixrtc::Member,
    time::{Now, UnixMillis},
};
use models::{EarOptions, PartyEar, PartyKey, Recognised, Utterance};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{hearing::Hearing, letters::Letters};
use crate::desk::{GrantedPcm, Grants, PartyId, PartyPcm};

/// Frames between the SFU connection and the ears: a second of ten parties.
const FRAMES: usize = 512;

/// What the ears tell the call's task.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A finished utterance; its times are those of the wall clock.
    Utterance { party: PartyId, start: UnixMillis, end: UnixMillis, said: Box<Utterance> },
    /// Words of one that goes on.
    Unfinished { party: PartyId, start: UnixMillis, text: zeroize::Zeroizing<String> },
    /// Sound of a party was lost because the machine is too slow.
    FellBehind { party: PartyId, lost_ms: u64 },
    /// After [`Scribe::finish`]: all has been told.
    Finished,
}

/// Handle of a call's ears.
pub(crate) struct Scribe {
    frames: mpsc::Sender<(Member, RemoteFrame)>,
    finish: mpsc::Sender<()>,
}

impl Scribe {
    /// Opens the ears of a call that began at `started`. They close when the handle is dropped.
    pub(crate) fn start(
        hearing: Hearing,
        grants: watch::Receiver<Grants>,
        plan: watch::Receiver<Arc<EarPlan>>,
        started: Now,
        tasks: &mut JoinSet<()>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        let (frames, inbox) = mpsc::channel(FRAMES);
        let (finish, finished) = mpsc::channel(1);
        let (results, from_models) = mpsc::unbounded_channel();
        let ears = Ears {
            hearing,
            grants,
            plan,
            started,
            ears: HashMap::new(),
            ending: Vec::new(),
            letters: Letters::default(),
            results,
            heard,
            finishing: false,
        };
        tasks.spawn(ears.run(inbox, finished, from_models));
        Self { frames, finish }
    }

    /// Where the SFU connection puts its frames.
    pub(crate) fn frames(&self) -> mpsc::Sender<(Member, RemoteFrame)> {
        self.frames.clone()
    }

    /// No more sound comes: write down what is left, then [`Heard::Finished`].
    pub(crate) async fn finish(&self) {
        let _ = self.finish.send(()).await;
    }
}

/// How to listen to whom.
#[derive(Debug, Default)]
pub(crate) struct EarPlan(pub(crate) HashMap<PartyId, EarOptions>);

impl EarPlan {
    fn of(&self, party: &PartyId) -> EarOptions {
        self.0.get(party).cloned().unwrap_or_default()
    }
}

/// What of a plan needs another ear when it changes. Names that are learned while people join do not.
fn differs(a: &EarOptions, b: &EarOptions) -> bool {
    (a.captions, &a.language, a.several_voices) != (b.captions, &b.language, b.several_voices)
}

struct Ear {
    key: PartyKey,
    party: PartyId,
    options: EarOptions,
    listener: Listener,
    /// `None` once it was finished.
    ear: Option<PartyEar>,
}

impl Ear {
    /// The recogniser's only door: it takes what was admitted and nothing else.
    fn hear(&mut self, sound: &GrantedPcm) {
        if let Some(ear) = &mut self.ear {
            ear.push(sound.at_ms(), sound.pcm());
        }
    }
}

struct Ears {
    hearing: Hearing,
    grants: watch::Receiver<Grants>,
    plan: watch::Receiver<Arc<EarPlan>>,
    started: Now,
    ears: HashMap<Member, Ear>,
    /// Ears that hear no more, but have words to tell yet.
    ending: Vec<Ear>,
    /// What the voices of shared lines are called.
    letters: Letters,
    results: mpsc::UnboundedSender<Recognised>,
    heard: mpsc::Sender<Heard>,
    finishing: bool,
}

impl Ears {
    async fn run(
        mut self,
        mut frames: mpsc::Receiver<(Member, RemoteFrame)>,
        mut finish: mpsc::Receiver<()>,
        mut results: mpsc::UnboundedReceiver<Recognised>,
    ) {
        let mut tick = tokio::time::interval(Duration::from_millis(bridge::audio::FRAME_MS));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut grants_open, mut plan_open) = (true, true);
        loop {
            tokio::select! {
                biased;
                changed = self.grants.changed(), if grants_open => match changed {
                    Ok(()) => self.forget_withdrawn(),
                    Err(_) => grants_open = false,
                },
                changed = self.plan.changed(), if plan_open && !self.finishing => match changed {
                    Ok(()) => self.replan(),
                    Err(_) => plan_open = false,
                },
                Some(result) = results.recv() => if self.recognised(result).await { return },
                frame = frames.recv(), if !self.finishing => match frame {
                    Some((member, frame)) => self.frame(&member, frame),
                    None => if self.finish().await { return },
                },
                Some(()) = finish.recv(), if !self.finishing => if self.finish().await { return },
                now = tick.tick(), if !self.finishing => self.tick(now.into_std()),
            }
        }
    }

    fn frame(&mut self, member: &Member, frame: RemoteFrame) {
        let party = PartyId::new(&member.user);
        if !self.grants.borrow().granted(&party) {
            return;
        }
        if !self.ears.contains_key(member) {
            let options = self.plan.borrow().of(&party);
            let (key, ear) = self.hearing.open(options.clone(), self.results.clone());
            self.ears.insert(member.clone(), Ear { key, party, options, listener: Listener::new(), ear: Some(ear) });
        }
        if let Some(ear) = self.ears.get_mut(member) {
            ear.listener.frame(frame);
        }
    }

    fn tick(&mut self, now: Instant) {
        let at_ms = i64::try_from(now.saturating_duration_since(self.started.mono).as_millis()).unwrap_or(i64::MAX);
        let grants = self.grants.borrow().clone();
        for ear in self.ears.values_mut() {
            let Some(pcm) = ear.listener.tick(now) else { continue };
            if let Some(sound) = grants.admit(PartyPcm { party: ear.party.clone(), at_ms, pcm }) {
                ear.hear(&sound);
            }
        }
    }

    /// Listens otherwise to those of whom the room has set something else: what they said so far is written down as it was
    /// to be.
    fn replan(&mut self) {
        let plan = Arc::clone(&self.plan.borrow_and_update());
        for ear in self.ears.values_mut() {
            let options = plan.of(&ear.party);
            if !differs(&options, &ear.options) {
                continue;
            }
            let (key, opened) = self.hearing.open(options.clone(), self.results.clone());
            let fresh = Ear { key, party: ear.party.clone(), options, listener: Listener::new(), ear: Some(opened) };
            let mut old = std::mem::replace(ear, fresh);
            std::mem::swap(&mut ear.listener, &mut old.listener);
            if let Some(ear) = old.ear.take() {
                ear.finish();
            }
            self.ending.push(old);
        }
    }

    fn forget_withdrawn(&mut self) {
        let grants = self.grants.borrow_and_update().clone();
        let hearing = self.hearing.clone();
        let letters = &mut self.letters;
        let mut keep = |ear: &mut Ear| {
            let keep = grants.granted(&ear.party);
            if !keep {
                letters.forget(&ear.party);
                if let Some(ear) = &mut ear.ear {
                    ear.discard();
                }
                hearing.close(ear.key);
            }
            keep
        };
        self.ears.retain(|_, ear| keep(ear));
        self.ending.retain_mut(&mut keep);
    }

    /// Asks every ear for its last words. `true`: there are none to wait for.
    async fn finish(&mut self) -> bool {
        self.finishing = true;
        for ear in self.ears.values_mut() {
            if let Some(ear) = ear.ear.take() {
                ear.finish();
            }
        }
        self.done().await
    }

    async fn recognised(&mut self, result: Recognised) -> bool {
        let told = match result {
            Recognised::Utterance(mut u) => self.by_key(u.party).map(|party| {
                u.voice = u.voice.and_then(|voice| self.letters.of(&party, u.party, voice));
                let (start, end) = (self.wall(u.start_ms), self.wall(u.end_ms));
                Heard::Utterance { party, start, end, said: Box::new(u) }
            }),
            Recognised::Caption(c) => {
                let start = self.wall(c.start_ms);
                self.by_key(c.party).map(|party| Heard::Unfinished { party, start, text: c.agreed })
            }
            Recognised::FellBehind { party, lost_ms } => {
                self.by_key(party).map(|party| Heard::FellBehind { party, lost_ms })
            }
            Recognised::Finished { party } => {
                self.ears.retain(|_, e| e.key != party);
                self.ending.retain(|e| e.key != party);
                None
            }
        };
        if let Some(told) = told {
            let _ = self.heard.send(told).await;
        }
        self.done().await
    }

    async fn done(&mut self) -> bool {
        let done = self.finishing && self.ears.is_empty() && self.ending.is_empty();
        if done {
            let _ = self.heard.send(Heard::Finished).await;
        }
        done
    }

    fn by_key(&self, key: PartyKey) -> Option<PartyId> {
        self.ears.values().chain(&self.ending).find(|e| e.key == key).map(|e| e.party.clone())
    }

    fn wall(&self, at_ms: i64) -> UnixMillis {
        UnixMillis(self.started.wall.0.saturating_add_signed(at_ms))
    }
}
