//! What parties and voices of a call are called.

use std::collections::HashMap;

use models::Voice;

use crate::archive::{PartyRecord, StoredUtterance, VoiceName};

/// The names of one call.
#[derive(Clone, Default)]
pub(crate) struct Names {
    parties: HashMap<String, String>,
    voices: HashMap<(String, u8), String>,
}

impl Names {
    pub(crate) fn new(parties: &[PartyRecord], voices: &[VoiceName]) -> Self {
        Self {
            parties: parties.iter().map(|p| (p.user.clone(), p.name.clone())).collect(),
            voices: voices.iter().map(|v| ((v.party.clone(), v.voice), v.name.clone())).collect(),
        }
    }

    /// A party's name, of a shared line that of the voice: "Grace" once somebody said so, "Phone (Speaker A)" before.
    pub(crate) fn of(&self, party: &str, voice: Option<u8>) -> String {
        let line = self.parties.get(party).map_or(party, String::as_str);
        let Some(voice) = voice else { return line.to_owned() };
        let named = self.voices.get(&(party.to_owned(), voice));
        named.cloned().unwrap_or_else(|| format!("{line} ({})", Voice(voice)))
    }

    /// Who said it.
    pub(crate) fn speaker(&self, said: &StoredUtterance) -> String {
        self.of(&said.party, said.details.voice)
    }
}

#[cfg(test)]
mod tests {
    use bridge::time::UnixMillis;

    use super::*;
    use crate::archive::PartyKind;

    #[test]
    fn a_voice_has_its_letter_until_somebody_names_it() {
        let phone = PartyRecord {
            user: "@g:hs".into(),
            kind: PartyKind::Phone,
            name: "Front desk".into(),
            number: None,
            joined: UnixMillis(1),
            left: None,
        };
        let grace = VoiceName { party: "@g:hs".into(), voice: 1, name: "Grace".into() };
        let names = Names::new(&[phone], &[grace]);
        let called: Vec<String> = [None, Some(0), Some(1)].into_iter().map(|voice| names.of("@g:hs", voice)).collect();
        assert_eq!(called, ["Front desk", "Front desk (Speaker A)", "Grace"]);
        assert_eq!(names.of("@unknown:hs", None), "@unknown:hs");
    }
}
