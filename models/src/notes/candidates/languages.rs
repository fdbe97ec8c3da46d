//! The wording by which people decide and take on in German, French, Spanish and Italian. Plainer than the English one: what is
//! taken on has a day or answers a question, what is decided has a day, draws a conclusion or is agreed to.

use std::sync::LazyLock;

use regex::Regex;

use super::super::languages::small_words;
use super::super::sentences::{as_line, words};
use super::super::{Action, Cited, Deadline, ItemId};
use super::clauses::without_due;
use super::{ANSWER_MS, Call, Drawn, Sentence, cites, is_question};

/// Verbs by which one takes something on, as they stand with "ich", "je", "yo", "io".
const PROMISES: [&str; 4] = [
    "schicke|sende|schreibe|rufe|frage|kläre|prüfe|mache|besorge|bestelle|bringe|hole|buche|reserviere|organisiere|\
     überweise|zahle|bezahle|melde|gebe|kümmere|erledige|übernehme|bereite|leite|informiere|kontaktiere|liefere|\
     vereinbare|stelle|trage|hänge|räume|repariere|teste|baue|suche|vergleiche|kaufe|packe|koche|fahre|werde",
    "envoie|appelle|rappelle|demande|vide|prépare|vérifie|fais|apporte|commande|réserve|occupe|contacte|règle|paie|\
     paye|écris|transmets|mets|prends|passe|amène|corrige|termine|finis|livre|imprime|invite|informe|préviens|\
     cherche|organise|achète|signe|renvoie|vais",
    "mando|envío|llamo|pregunto|pago|preparo|reviso|compro|llevo|traigo|reservo|escribo|aviso|pido|entrego|busco|\
     confirmo|recojo|organizo|arreglo|hago|paso|encargo|voy a",
    "mando|invio|chiamo|richiamo|chiedo|avviso|preparo|controllo|porto|compro|prenoto|scrivo|pago|faccio|passo|ordino|\
     spedisco|confermo|organizzo|sistemo|verifico|occupo",
];
/// Verbs of what several do, as they stand with "wir", "on", "nous" or with nothing.
const PLANS: [&str; 4] = [
    "nehmen|machen|bleiben|verschieben|beginnen|starten|ziehen|lassen|kaufen|buchen|bestellen|fahren|gehen|streichen|\
     behalten|kündigen|verzichten|wählen|beauftragen|mieten|zahlen|liefern|ändern|setzen|legen|verwenden",
    "prend|prenons|fait|faisons|pose|posons|garde|gardons|commence|commençons|choisit|choisissons|part|partons|reste|\
     restons|annule|annulons|reporte|reportons|signe|signons|loue|louons|achète|achetons|réserve|réservons|met|mettons|\
     supprime|supprimons|change|changeons",
    "elegimos|escogemos|cogemos|tomamos|hacemos|dejamos|cambiamos|empezamos|compramos|reservamos|cancelamos|\
     aplazamos|pagamos|usamos|contratamos|quedamos",
    "scegliamo|prendiamo|facciamo|lasciamo|cambiamo|cominciamo|iniziamo|compriamo|prenotiamo|annulliamo|rimandiamo|\
     paghiamo|usiamo|teniamo|rinviamo",
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a test compiles this pattern, which is made of constants")
}

/// "Ich schicke", "schicke ich", "je vous envoie", "te mando", "li avviso".
static TAKES_ON: LazyLock<Regex> = LazyLock::new(|| {
    let [german, french, spanish, italian] = PROMISES;
    pattern(&format!(
        r"(?i)(?:\bich (?:{german})\b|\b(?:{german}|muss) ich\b|\b(?:je |j')(?:(?:vous|te|le|la|les|lui|leur|m'en|m'|l'|y|en) ?)*(?:{french})\b|(?:^|[,.;:¡]\s*|\b(?:y|e|ya|luego|poi|allora|entonces|yo|io)\s)(?:(?:te|le|les|lo|la|los|las|os|me|ti|vi|li|gli|mi|se|te lo|ve lo|se lo)\s)*(?:{spanish}|{italian})\b)"
    ))
});
/// What follows these promises nothing: "je vais bien", "ich werde sehen", "muss ich sagen".
static IDLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:vais (?:bien|voir|y aller|mieux)|werde (?:ich )?(?:mal )?sehen|muss ich (?:sagen|zugeben|gehen|los|weg|jetzt (?:los|weg))|mache ich mir|nicht|nichts|kein|keine|keinen|voy a (?:ver|decir)|llamo por|chiamo per|appelle (?:pour|au sujet))\b",
    )
});
/// Somebody is asked to do something; what is behind it is the thing.
static ASKED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:können|könnten|würden) Sie|(?:kannst|könntest|würdest) du|(?:pouvez|pourriez)-vous|(?:peux|pourrais)-tu|(?:vous pouvez|vous pourriez|tu peux|tu pourrais)|puedes?|podrías?|può|puoi|potrebbe|potresti)\s+(?:bitte |mal |s'il vous plaît |por favor |per favore )*",
    )
});
/// Says that it is decided.
static DECIDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:wir haben (?:uns )?(?:[\w-]+ ){0,6}(?:beschlossen|entschieden|vereinbart|ausgemacht|geeinigt|abgemacht)|(?:ist|sind) (?:beschlossen|abgemacht|vereinbart|ausgemacht|entschieden)|es bleibt (?:also )?(?:dabei|bei)|c'est (?:décidé|convenu|entendu|réglé)|(?:nous avons|on a) (?:décidé|convenu)|on (?:part|reste) sur|(?:hemos|habíamos) (?:decidido|acordado|quedado)|(?:queda|está) (?:decidido|acordado)|quedamos en|nos quedamos con|abbiamo (?:deciso|stabilito|concordato)|(?:è|resta|rimane) (?:deciso|stabilito|concordato))\b",
    )
});
/// A plan of several.
static PLAN: LazyLock<Regex> = LazyLock::new(|| {
    let [german, french, spanish, italian] = PLANS;
    pattern(&format!(
        r"(?i)(?:\bwir (?:{german})\b|\b(?:{german}) wir\b|\b(?:on|nous) (?:{french})\b|\b(?:{spanish}|{italian})\b)"
    ))
});
/// Leads up to a conclusion.
static SO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:(?:gut|ja|okay|ok|na|bon|bien|oui|parfait|vale|bueno|sí|bene|va bene|sì)\W+)*(?:dann|also|alors|donc|entonces|pues|allora|quindi)\b",
    )
});
/// It is thought of, denied or a condition.
static OPEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:vielleicht|könnten|sollten|würden|wenn|falls|ob|nicht|nichts|nie|peut-être|pourrait|devrait|si|pas|jamais|quizás?|tal vez|podríamos|deberíamos|forse|potremmo|dovremmo|se|non)\b",
    )
});
/// Somebody agrees.
static YES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:ja|genau|gut|sehr gut|einverstanden|in ordnung|passt|abgemacht|gerne?|klar|natürlich|mache? ich|oui|d'accord|entendu|parfait|très bien|bien sûr|ça (?:marche|me va)|c'est bon|sí|vale|de acuerdo|perfecto|claro|muy bien|hecho|por supuesto|sì|va bene|d'accordo|perfetto|certo|benissimo|giusto|esatto|volentieri)\b",
    )
});
/// Somebody has a doubt.
static BUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:aber|nicht|nein|kein|keine|leider|mais|pas|non|pero|no|tampoco|però|ma non)\b")
});
/// Something has its day.
static HAS_DAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:kommt|kommen|fällig|endet|läuft|beginnt|beginnen|startet|frist|spätestens|muss|müssen|findet|öffnet|schließt|arrive|arrivent|échéance|commence|commencent|termine|expire|au plus tard|doit|doivent|ouvre|ferme|a lieu|vence|vencen|termina|empieza|empiezan|comienza|caduca|llega|llegan|plazo|a más tardar|abre|cierra|debe|tiene que|scade|scadono|comincia|cominciano|inizia|iniziano|finisce|arriva|arrivano|al più tardi|apre|chiude|deve)\b",
    )
});
/// Says when people mean to speak again.
pub(super) static AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:sprechen|hören|sehen|treffen) (?:wir )?uns|nächste[rsn]? (?:termin|treffen|besprechung|sitzung|gespräch)|on se (?:rappelle|reparle|revoit|voit|retrouve)|prochaine? (?:réunion|rendez-vous|appel|point)|hablamos|nos (?:vemos|reunimos)|próxim[ao] (?:reunión|llamada|cita)|ci (?:sentiamo|vediamo|risentiamo|troviamo)|prossim[ao] (?:riunione|incontro|chiamata))\b",
    )
});
/// A reply that is no answer.
pub(super) static NO_ANSWER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:keine ahnung|weiß (?:ich |es )?(?:noch )?nicht|(?:kann|muss) ich (?:noch nicht sagen|(?:erst )?(?:fragen|klären|nachsehen|prüfen))|mal (?:sehen|schauen)|steht noch nicht fest|noch offen|je ne (?:le )?sais pas|aucune idée|on verra|je ne peux pas (?:encore )?(?:vous |te )?(?:le )?dire|(?:todavía|aún) no|no (?:lo )?sé|ni idea|ya veremos|depende|non (?:lo )?so|nessuna idea|dipende|vedremo|non ancora)\b|^\W*(?:noch nicht|pas encore)\b)",
    )
});

impl<'a> Call<'_, 'a> {
    /// The reply by which another agrees, or says the same day again.
    fn agreed_abroad(&self, at: usize) -> Option<(usize, u64, &'a str)> {
        let said = &self.sentences[at];
        let place = (at + 1..self.sentences.len()).find(|i| self.sentences[*i].speaker != said.speaker)?;
        let reply = &self.sentences[place];
        let same_day =
            self.dates[at].iter().any(|new| self.dates[place].iter().any(|old| old.due.date == new.due.date));
        let soon = reply.start_ms - said.start_ms <= ANSWER_MS && !is_question(reply);
        let agrees = (YES.is_match(reply.text) || same_day) && !BUT.is_match(reply.text);
        (soon && agrees).then_some((place, reply.id, reply.speaker))
    }

    /// "Va bene, allora scegliamo Marchetti." "D'accordo."
    pub(super) fn decision_abroad(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        if sentence.words.len() < 4 || is_question(sentence) || !is_abroad(sentence) {
            return None;
        }
        let agreed = self.agreed_abroad(at).filter(|(place, ..)| self.sentences[*place].words.len() <= 8);
        let concludes = SO.is_match(sentence.text) || !self.dates[at].is_empty();
        let certain = agreed.is_some() || concludes && !OPEN.is_match(sentence.text);
        if !(DECIDED.is_match(sentence.text) || PLAN.is_match(sentence.text) && certain) {
            return None;
        }
        let mut ids = vec![sentence.id];
        ids.extend(agreed.map(|(_, id, _)| id));
        let topic = self.topic(sentence.text, at);
        let item = Cited { id: ItemId::default(), text: as_line(sentence.text), cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }

    /// "Je vous envoie le devis demain", or "können Sie mich anrufen?" "Ja, das mache ich am Freitag."
    pub(super) fn action_abroad(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        if !is_abroad(sentence) {
            return None;
        }
        if is_question(sentence) { self.request_abroad(at) } else { self.promise_abroad(at) }
    }

    fn promise_abroad(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        let takes = TAKES_ON.find(sentence.text)?;
        let from = takes.start() + takes.as_str().find(char::is_alphabetic)?;
        let end = sentence.text[takes.end()..].find([';', ':']).map_or(sentence.text.len(), |end| takes.end() + end);
        let start = clause_start(sentence.text, from);
        let clause = &sentence.text[start..end];
        let found = self.dates[at].iter().find(|found| found.range.end <= end);
        if IDLE.is_match(clause) || words(clause).len() < 3 {
            return None;
        }
        let answers = (at.saturating_sub(2)..at).rev().find(|before| {
            let asked = &self.sentences[*before];
            asked.speaker != sentence.speaker && is_question(asked) && sentence.start_ms - asked.start_ms <= ANSWER_MS
        });
        let keeps = answers.is_some_and(|place| self.request_abroad(place).is_some());
        if found.is_none() && answers.is_none() || keeps {
            return None;
        }
        let local = found.filter(|f| f.range.start >= start).map(|f| f.range.start - start..f.range.end - start);
        let text = match without_lead(&without_due(clause, local, None, self.speakers)) {
            // "Pago antes del veinte": the day says what is promised.
            short if words(short).len() < 2 => without_due(clause, None, None, self.speakers),
            text => text.to_owned(),
        };
        let mut ids = vec![sentence.id];
        // "Das mache ich am Freitag" says what only with the question.
        ids.extend(answers.map(|place| self.sentences[place].id));
        let owner = sentence.speaker.to_owned();
        let topic = self.topic(&text, at);
        let due = found.map(|found| found.due.clone());
        let item = Action { id: ItemId::default(), text, owner: Some(owner.clone()), due, cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: owner, withdrawn: false })
    }

    fn request_abroad(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        let asked = ASKED.find(sentence.text)?;
        let (place, id, speaker) = self.agreed_abroad(at)?;
        let text = sentence.text[asked.end()..].trim_end_matches(['?', ' ']);
        if words(text).len() < 2 {
            return None;
        }
        let dated = self.dates[at].first().or_else(|| self.dates[place].first());
        let topic = self.topic(text, at);
        let item = Action {
            id: ItemId::default(),
            text: text.to_owned(),
            owner: Some(speaker.to_owned()),
            due: dated.map(|found| found.due.clone()),
            cites: cites(&[sentence.id, id]),
        };
        Some(Drawn { item, at, topic, by: speaker.to_owned(), withdrawn: false })
    }

    /// "La factura vence el veinte de febrero."
    pub(super) fn deadline_abroad(&self, at: usize) -> Option<Drawn<Deadline>> {
        let sentence = &self.sentences[at];
        let found = self.dates[at].iter().find(|found| !found.only_hour)?;
        if is_question(sentence) || !is_abroad(sentence) || !HAS_DAY.is_match(sentence.text) {
            return None;
        }
        let item = Deadline {
            id: ItemId::default(),
            text: as_line(sentence.text),
            due: found.due.clone(),
            cites: vec![sentence.id],
        };
        let topic = self.topic(sentence.text, at);
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }
}

/// Whether a sentence is in one of the languages that are known here.
fn is_abroad(sentence: &Sentence<'_>) -> bool {
    !small_words(sentence.words.iter().map(String::as_str)).is_empty()
}

/// A clause without what led to its day ("bis", "antes del"), which is gone.
fn without_lead(clause: &str) -> &str {
    const LEADS: &[&str] = &[
        "bis",
        "zum",
        "am",
        "den",
        "dem",
        "vor",
        "ab",
        "spätestens",
        "le",
        "avant",
        "pour",
        "d'ici",
        "el",
        "antes",
        "del",
        "hasta",
        "para",
        "il",
        "entro",
        "prima",
    ];
    let mut text = clause.trim_end();
    while let Some((before, last)) = text.rsplit_once(' ') {
        if !LEADS.contains(&last.to_lowercase().as_str()) {
            break;
        }
        text = before.trim_end_matches([' ', ',']);
    }
    text
}

/// Where the clause begins in which something stands.
fn clause_start(text: &str, at: usize) -> usize {
    let before = &text[..at];
    let comma = before.rfind([',', ';', ':', '.']).map_or(0, |comma| comma + 1);
    comma + before[comma..].len() - before[comma..].trim_start().len()
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use crate::eval::calls::call;
    use crate::notes::{ExtractiveWriter, Notes};

    fn notes(said: &[(&str, &str)]) -> Notes {
        ExtractiveWriter.write(&call(said))
    }

    fn actions(notes: &Notes) -> Vec<(&str, &str, Option<Date>)> {
        let owner = |a: &'_ crate::notes::Action| a.due.as_ref().map(|due| due.date);
        notes.actions.iter().map(|a| (a.owner.as_deref().unwrap_or("-"), a.text.as_str(), owner(a))).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        for pattern in [
            &super::TAKES_ON,
            &super::IDLE,
            &super::ASKED,
            &super::DECIDED,
            &super::PLAN,
            &super::SO,
            &super::OPEN,
            &super::YES,
            &super::BUT,
            &super::HAS_DAY,
            &super::AGAIN,
            &super::NO_ANSWER,
        ] {
            assert!(!pattern.as_str().is_empty());
        }
    }

    // The call is on Monday, 23 November 2026.
    #[test]
    fn what_has_a_day_is_taken_on_in_four_more_languages() {
        let friday = Some(date(2026, 11, 27));
        for (said, text) in [
            ("Ich schicke Ihnen das Angebot bis Freitag.", "Ich schicke Ihnen das Angebot"),
            ("Gut, dann räume ich am Freitag die Küche aus.", "dann räume ich am Freitag die Küche aus"),
            ("Je vous envoie le contrat vendredi.", "Je vous envoie le contrat"),
            ("Vale, te mando las cajas el viernes.", "te mando las cajas"),
            ("Ti mando il contratto venerdì.", "Ti mando il contratto"),
        ] {
            assert_eq!(actions(&notes(&[("Bob", said)])), [("Bob", text, friday)], "{said}");
        }
        for idle in [
            "Ich glaube, es regnet am Freitag.",
            "Je vais bien, merci.",
            "Ich schicke am Freitag nichts.",
            "Llamo por el pedido de naranjas.",
        ] {
            assert_eq!(actions(&notes(&[("Bob", idle)])), [], "{idle}");
        }
    }

    #[test]
    fn a_request_is_whose_who_says_yes_to_it() {
        let called = notes(&[
            ("Bob", "Können Sie mich anrufen, wenn der Aufzug fährt?"),
            ("Ruth", "Ja, das mache ich am Freitag."),
        ]);
        let wanted = ("Ruth", "mich anrufen, wenn der Aufzug fährt", Some(date(2026, 11, 27)));
        assert_eq!(actions(&called), [wanted]);
        let refused = notes(&[("Bob", "Können Sie mich anrufen?"), ("Ruth", "Nein, das geht leider nicht.")]);
        assert_eq!(actions(&refused), []);
    }

    #[test]
    fn what_is_agreed_or_concluded_is_decided() {
        for (said, cites) in [
            (vec![("Bob", "Va bene, allora scegliamo la ditta Marchetti."), ("Ruth", "D'accordo.")], vec![1, 2]),
            (vec![("Bob", "On pose les meubles jeudi.")], vec![1]),
            (vec![("Bob", "Wir nehmen die Spedition Huber."), ("Ruth", "Einverstanden.")], vec![1, 2]),
            (vec![("Bob", "Entonces reservamos la sala grande.")], vec![1]),
            (vec![("Bob", "Wir haben gestern die neue Farbe beschlossen.")], vec![1]),
        ] {
            let decided: Vec<_> = notes(&said).decisions.into_iter().map(|d| d.cites).collect();
            assert_eq!(decided, [cites], "{said:?}");
        }
        for said in [
            vec![("Bob", "Vielleicht nehmen wir am Freitag die Spedition Huber.")],
            vec![("Bob", "Wir nehmen die Spedition Huber."), ("Ruth", "Das finde ich nicht gut.")],
            vec![("Bob", "Allora quanto paghiamo per il tetto?"), ("Ruth", "Mille euro.")],
        ] {
            assert!(notes(&said).decisions.is_empty(), "{said:?}");
        }
    }

    #[test]
    fn days_and_open_questions_are_noted() {
        let spanish = notes(&[("Bob", "La factura vence el veinte de diciembre."), ("Ruth", "Hablamos el lunes.")]);
        assert_eq!(spanish.deadlines.iter().map(|d| d.due.date).collect::<Vec<_>>(), [date(2026, 12, 20)]);
        assert_eq!(spanish.next_meeting.unwrap().when.date, date(2026, 11, 30));
        for answer in ["Das weiß ich noch nicht.", "On verra.", "Non lo so.", "Ni idea."] {
            let open = notes(&[("Bob", "Wer bezahlt die Spedition?"), ("Ruth", answer)]).questions;
            assert_eq!(open.len(), 1, "{answer}");
        }
    }
}
