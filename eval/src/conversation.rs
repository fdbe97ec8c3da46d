//! Conversations made of recorded prompts: real voices, made pauses, known words and times.

use models::eval::nonspeech::Dice;
use models::eval::prompts::Prompt;
use models::eval::upsample_8k_to_16k;
use serde::{Deserialize, Serialize};

use crate::sounds;

/// One stretch of one party's speech.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// Which party, from 0.
    pub party: usize,
    /// Its words.
    pub text: String,
    /// Where its sound begins, in ms.
    pub start_ms: i64,
    /// Where its sound ends.
    pub end_ms: i64,
}

/// Parties on lines of their own, all of the same length, at 16 kHz.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// The sound of each.
    pub lines: Vec<Vec<i16>>,
    /// Who says what when, in order.
    pub turns: Vec<Turn>,
}

impl Conversation {
    /// All that a party says.
    pub fn text(&self, party: usize) -> String {
        let mine = self.turns.iter().filter(|turn| turn.party == party).map(|turn| turn.text.as_str());
        mine.collect::<Vec<_>>().join(" ")
    }

    /// Share of the time in which a party speaks.
    pub fn share(&self, party: usize) -> f64 {
        let spoken: i64 = self.turns.iter().filter(|t| t.party == party).map(|t| t.end_ms - t.start_ms).sum();
        let length = self.lines.first().map_or(1, |line| line.len().max(1)) as f64 / 16.0;
        spoken as f64 / length
    }

    fn say(&mut self, party: usize, at_ms: i64, prompt: &Prompt, pcm: &[i16]) -> i64 {
        let from = usize::try_from(at_ms).unwrap_or(0) * 16;
        for line in &mut self.lines {
            line.resize(line.len().max(from + pcm.len()), 0);
        }
        for (to, sample) in self.lines[party][from..].iter_mut().zip(pcm) {
            *to = to.saturating_add(*sample);
        }
        let end_ms = at_ms + pcm.len() as i64 / 16;
        self.turns.push(Turn { party, text: prompt.text.clone(), start_ms: at_ms, end_ms });
        end_ms
    }

    fn end(mut self, tail_ms: usize) -> Self {
        let length = self.lines.iter().map(Vec::len).max().unwrap_or(0) + tail_ms * 16;
        self.lines.iter_mut().for_each(|line| line.resize(length, 0));
        self
    }
}

/// Two people who take turns, as people do on the phone: each speaks some 40 % of the time, in turns of one to three
/// sentences, with pauses of 0.2 to 1.6 s between and, now and then, into the other's last words. The first party is heard by
/// telephone (8 kHz), the second in wideband.
///
/// # Errors
/// The prompts are not there.
pub fn of_two(seconds: f64, seed: u64) -> anyhow::Result<Conversation> {
    let prompts = sounds::english(200)?;
    let mut dice = Dice::new(seed);
    let mut conversation = Conversation { lines: vec![Vec::new(); 2], turns: Vec::new() };
    let (mut at, mut party, mut next) = (600_i64, 0, 0);
    while (at as f64) < seconds * 1000.0 {
        for _ in 0..=dice.pick(3) {
            let prompt = &prompts[next % prompts.len()];
            next += 1;
            let pcm = if party == 0 { upsample_8k_to_16k(&sounds::at_8k(prompt)?) } else { sounds::at_16k(prompt)? };
            at = conversation.say(party, at, prompt, &pcm) + dice.between(250.0, 900.0) as i64;
        }
        // One in eight begins before the other has quite ended.
        at += if dice.unit() < 0.125 { -dice.between(300.0, 700.0) as i64 } else { dice.between(0.0, 900.0) as i64 };
        party = 1 - party;
    }
    Ok(conversation.end(1500))
}

/// People who speak at the same time, each on a line of their own and nearly without rest: the worst that can come.
///
/// # Errors
/// The prompts are not there.
pub fn of_many(parties: usize, seconds: f64, seed: u64) -> anyhow::Result<Conversation> {
    let prompts = sounds::english(300)?;
    let mut dice = Dice::new(seed);
    let mut conversation = Conversation { lines: vec![Vec::new(); parties], turns: Vec::new() };
    for party in 0..parties {
        let (mut at, mut next) = (dice.between(300.0, 2500.0) as i64, dice.pick(prompts.len()));
        while (at as f64) < seconds * 1000.0 {
            let prompt = &prompts[next % prompts.len()];
            next += 1;
            let pcm = upsample_8k_to_16k(&sounds::at_8k(prompt)?);
            at = conversation.say(party, at, prompt, &pcm) + dice.between(700.0, 1500.0) as i64;
        }
    }
    conversation.turns.sort_by_key(|turn| turn.start_ms);
    Ok(conversation.end(1500))
}
