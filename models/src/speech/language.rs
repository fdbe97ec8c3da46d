//! Which language a party speaks, where nobody has said it: evidence over its utterances, with hysteresis. Sans-IO.
//!
//! Each utterance's probabilities count by its length, older ones less and less. One utterance that sounds foreign does not
//! turn a party's language round, and a short one says next to nothing; two long ones do. A long utterance that is as good
//! as certain is written in its own language even so: people quote, and calls are mixed.

/// How much older evidence counts at each further utterance (of 2.5 s of voice; a shorter one pushes less back).
const FADE: f32 = 0.6;
/// No probability counts for less than this: one utterance can only say so much.
const LEAST: f32 = 0.02;
/// Above this, and [`LONG_MS`], an utterance is written in its own language whatever came before.
const CERTAIN: f32 = 0.97;
const LONG_MS: i64 = 3000;
/// Voice up to this length says nothing, in ms.
const SHORT_MS: i64 = 500;
/// A party whose language is known is asked about again at every so many utterances.
const AGAIN_EVERY: u32 = 4;
/// Until so many have been heard, each is asked about.
const FIRST: u32 = 3;

/// What is known of one party.
#[derive(Debug, Clone, Default)]
pub struct LanguageSense {
    /// Sum of faded, weighted log-probabilities per language, relative to [`LEAST`].
    evidence: Vec<(String, f32)>,
    heard: u32,
    since_asked: u32,
    doubtful: bool,
}

impl LanguageSense {
    /// The language of the party, if anything is known.
    pub fn current(&self) -> Option<&str> {
        self.best().map(|(code, _)| code)
    }

    /// Whether to find out the language of an utterance with so much voice, which costs as much as half a decode.
    pub fn asks(&self, voiced_ms: i64) -> bool {
        self.current().is_none()
            || (voiced_ms > SHORT_MS && (self.heard < FIRST || self.doubtful || self.since_asked + 1 >= AGAIN_EVERY))
    }

    /// Takes an utterance's probabilities (any order) and gives the language to write it in.
    pub fn hear(&mut self, probabilities: &[(String, f32)], voiced_ms: i64) -> Option<String> {
        let weight = ((voiced_ms - SHORT_MS).max(0) as f32 / 2000.0).min(1.0);
        for (_, evidence) in &mut self.evidence {
            *evidence *= FADE.powf(weight);
        }
        for (code, probability) in probabilities.iter().filter(|(_, p)| *p > LEAST) {
            let gain = weight * (probability.min(1.0) / LEAST).ln();
            match self.evidence.iter_mut().find(|(known, _)| known == code) {
                Some((_, evidence)) => *evidence += gain,
                None => self.evidence.push((code.clone(), gain)),
            }
        }
        self.evidence.retain(|(_, evidence)| *evidence > 0.01);
        (self.heard, self.since_asked) = (self.heard + 1, 0);
        let own = probabilities.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        match own {
            Some((code, probability)) if *probability >= CERTAIN && voiced_ms >= LONG_MS => Some(code.clone()),
            // Too short to count, and nothing is known yet: its own guess is all there is.
            Some((code, _)) if self.evidence.is_empty() => Some(code.clone()),
            _ => self.current().map(str::to_owned),
        }
    }

    /// Notes how an utterance went that was decoded: unlikely words may be words of another language.
    pub fn decoded(&mut self, mean_logprob: f32, asked: bool) {
        self.doubtful = mean_logprob < -0.6;
        if !asked {
            self.since_asked += 1;
        }
    }

    fn best(&self) -> Option<(&str, f32)> {
        self.evidence.iter().map(|(code, e)| (code.as_str(), *e)).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, probability: f32) -> Vec<(String, f32)> {
        vec![(code.to_owned(), probability), ("nn".to_owned(), 0.01)]
    }

    #[test]
    fn a_short_foreign_word_does_not_turn_the_language_round_and_two_long_utterances_do() {
        let mut sense = LanguageSense::default();
        assert!(sense.asks(400), "nothing is known");
        for _ in 0..5 {
            assert_eq!(sense.hear(&of("en", 0.95), 2500).as_deref(), Some("en"));
        }
        assert_eq!(sense.hear(&of("fr", 0.9), 600).as_deref(), Some("en"));
        assert_eq!(sense.hear(&of("fr", 0.9), 2500).as_deref(), Some("en"), "one is not enough");
        assert_eq!(sense.hear(&of("fr", 0.9), 2500).as_deref(), Some("fr"));
        assert_eq!(sense.current(), Some("fr"));
    }

    #[test]
    fn a_long_utterance_that_is_certain_is_written_in_its_own_language_at_once() {
        let mut sense = LanguageSense::default();
        for _ in 0..5 {
            sense.hear(&of("en", 0.99), 3000);
        }
        assert_eq!(sense.hear(&of("es", 0.99), 4000).as_deref(), Some("es"));
        assert_eq!(sense.current(), Some("en"), "the party's own language is still the other");
    }

    #[test]
    fn a_known_party_is_asked_about_seldom_and_sooner_when_its_words_are_unlikely() {
        let mut sense = LanguageSense::default();
        for _ in 0..3 {
            assert!(sense.asks(2000));
            sense.hear(&of("en", 0.95), 2000);
            sense.decoded(-0.2, true);
        }
        for _ in 0..3 {
            assert!(!sense.asks(2000));
            sense.decoded(-0.2, false);
        }
        assert!(sense.asks(2000), "now and then");
        sense.hear(&of("en", 0.95), 2000);
        sense.decoded(-0.9, true);
        assert!(sense.asks(2000), "its words were unlikely");
        assert!(!sense.asks(300), "of so little nothing can be told");
    }

    #[test]
    fn scattered_guesses_settle_on_the_commonest() {
        let mut sense = LanguageSense::default();
        for code in ["en", "de", "en", "nl", "en", "en"] {
            sense.hear(&of(code, 0.6), 2000);
        }
        assert_eq!(sense.current(), Some("en"));
    }
}
