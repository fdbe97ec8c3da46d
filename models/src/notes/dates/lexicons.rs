//! The words by which German, French, Spanish and Italian name days and hours.

/// How one language names days. Words of a phrase are parted by a space, as [`super::tokens`] parts them.
pub(super) struct Language {
    /// From Monday on.
    pub(super) weekdays: [&'static str; 7],
    pub(super) months: [&'static str; 12],
    /// One to thirty-one, parted by a comma; their spellings parted by a bar.
    pub(super) numbers: &'static str,
    /// Days counted from the one on which it is said.
    pub(super) near: &'static [(&'static str, i64)],
    /// Ends of periods.
    pub(super) periods: &'static [(&'static str, Period)],
    /// "In two weeks": what leads, and what is counted with how many days it has (0: a month).
    pub(super) counted: (&'static [&'static str], &'static [(&'static str, i64)]),
    /// Articles between a weekday and its number.
    pub(super) articles: &'static [&'static str],
    /// Behind these a number alone is a day.
    pub(super) until: &'static [&'static str],
    /// "The coming", which changes nothing of a weekday.
    pub(super) coming: &'static [&'static str],
    /// In front of or behind a day that lies behind.
    pub(super) past: &'static [&'static str],
    /// In front of a word of `near` that means something else ("guten Morgen").
    pub(super) not_near: &'static [&'static str],
    /// In front of an hour.
    pub(super) at: &'static [&'static str],
    /// Behind an hour.
    pub(super) oclock: &'static [&'static str],
    /// Parts of the day, and whether they are those behind noon.
    pub(super) parts: &'static [(&'static str, bool)],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Period {
    /// Its first day.
    NextWeek,
    /// Its Friday.
    Week,
    /// Its last day.
    Month,
}

const GERMAN: Language = Language {
    weekdays: ["montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"],
    months: [
        "januar",
        "februar",
        "märz",
        "april",
        "mai",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "dezember",
    ],
    numbers: "ersten|erste|erster, zweiten|zweite, dritten|dritte, vierten|vierte, fünften|fünfte, \
        sechsten|sechste, siebten|siebte|siebenten, achten|achte, neunten|neunte, zehnten|zehnte, \
        elften|elfte, zwölften|zwölfte, dreizehnten|dreizehnte, vierzehnten|vierzehnte, \
        fünfzehnten|fünfzehnte, sechzehnten|sechzehnte, siebzehnten|siebzehnte, \
        achtzehnten|achtzehnte, neunzehnten|neunzehnte, zwanzigsten|zwanzigste, \
        einundzwanzigsten|einundzwanzigste, zweiundzwanzigsten|zweiundzwanzigste, \
        dreiundzwanzigsten|dreiundzwanzigste, vierundzwanzigsten|vierundzwanzigste, \
        fünfundzwanzigsten|fünfundzwanzigste, sechsundzwanzigsten|sechsundzwanzigste, \
        siebenundzwanzigsten|siebenundzwanzigste, achtundzwanzigsten|achtundzwanzigste, \
        neunundzwanzigsten|neunundzwanzigste, dreißigsten|dreißigste|dreissigsten, \
        einunddreißigsten|einunddreißigste|einunddreissigsten",
    near: &[("heute", 0), ("morgen", 1), ("übermorgen", 2)],
    periods: &[
        ("nächste woche", Period::NextWeek),
        ("nächster woche", Period::NextWeek),
        ("kommende woche", Period::NextWeek),
        ("ende der woche", Period::Week),
        ("ende dieser woche", Period::Week),
        ("ende des monats", Period::Month),
        ("monatsende", Period::Month),
    ],
    counted: (
        &["in", "innerhalb von"],
        &[("tagen", 1), ("tag", 1), ("wochen", 7), ("woche", 7), ("monaten", 0), ("monat", 0)],
    ),
    articles: &["den", "dem", "der"],
    until: &["bis", "bis zum", "vor dem", "am", "ab dem", "spätestens am", "zum", "den"],
    coming: &["nächsten", "kommenden", "diesen", "nächster", "kommender"],
    past: &["letzten", "letzter", "vergangenen", "vorigen", "seit"],
    not_near: &["guten", "jeden", "am", "der", "den", "diesen"],
    at: &["um", "gegen"],
    oclock: &["uhr"],
    parts: &[
        ("früh", false),
        ("morgen", false),
        ("vormittag", false),
        ("vormittags", false),
        ("mittag", false),
        ("nachmittag", true),
        ("nachmittags", true),
        ("abend", true),
        ("abends", true),
    ],
};

const FRENCH: Language = Language {
    weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    numbers: "premier|1er, deux, trois, quatre, cinq, six, sept, huit, neuf, dix, onze, douze, treize, \
        quatorze, quinze, seize, dix sept, dix huit, dix neuf, vingt, vingt et un, vingt deux, \
        vingt trois, vingt quatre, vingt cinq, vingt six, vingt sept, vingt huit, vingt neuf, trente, \
        trente et un",
    near: &[
        ("aujourd'hui", 0),
        ("ce matin", 0),
        ("cet après midi", 0),
        ("ce soir", 0),
        ("demain", 1),
        ("après demain", 2),
    ],
    periods: &[
        ("semaine prochaine", Period::NextWeek),
        ("fin de semaine", Period::Week),
        ("fin de la semaine", Period::Week),
        ("fin du mois", Period::Month),
    ],
    counted: (&["dans", "sous"], &[("jours", 1), ("jour", 1), ("semaines", 7), ("semaine", 7), ("mois", 0)]),
    articles: &["le"],
    until: &["avant le", "jusqu'au", "d'ici le", "d'ici au", "pour le"],
    coming: &["prochain", "ce"],
    past: &["dernier", "depuis", "passé"],
    not_near: &[],
    at: &["à", "vers"],
    oclock: &["heures", "heure", "h"],
    parts: &[("matin", false), ("midi", false), ("après midi", true), ("soir", true)],
};

const SPANISH: Language = Language {
    weekdays: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    months: [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    numbers: "uno|primero, dos, tres, cuatro, cinco, seis, siete, ocho, nueve, diez, once, doce, trece, \
        catorce, quince, dieciséis, diecisiete, dieciocho, diecinueve, veinte, veintiuno, veintidós, \
        veintitrés, veinticuatro, veinticinco, veintiséis, veintisiete, veintiocho, veintinueve, \
        treinta, treinta y uno",
    near: &[("hoy", 0), ("esta tarde", 0), ("esta noche", 0), ("mañana", 1), ("pasado mañana", 2)],
    periods: &[
        ("próxima semana", Period::NextWeek),
        ("semana que viene", Period::NextWeek),
        ("fin de semana", Period::Week),
        ("fin de mes", Period::Month),
        ("final de mes", Period::Month),
    ],
    counted: (
        &["en", "dentro de"],
        &[("días", 1), ("día", 1), ("semanas", 7), ("semana", 7), ("meses", 0), ("mes", 0)],
    ),
    articles: &["el", "día"],
    until: &["antes del", "hasta el", "para el", "antes del día", "el día"],
    coming: &["próximo", "este"],
    past: &["pasado", "desde"],
    not_near: &["la", "de", "cada"],
    at: &["a las", "a la", "sobre las"],
    oclock: &["horas"],
    parts: &[
        ("por la mañana", false),
        ("a mediodía", false),
        ("por la tarde", true),
        ("por la noche", true),
        ("de la mañana", false),
        ("de la tarde", true),
        ("de la noche", true),
    ],
};

const ITALIAN: Language = Language {
    weekdays: ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
    months: [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ],
    numbers: "primo|uno, due, tre, quattro, cinque, sei, sette, otto, nove, dieci, undici, dodici, tredici, \
        quattordici, quindici, sedici, diciassette, diciotto, diciannove, venti, ventuno, ventidue, \
        ventitré|ventitre, ventiquattro, venticinque, ventisei, ventisette, ventotto, ventinove, \
        trenta, trentuno",
    near: &[("oggi", 0), ("stasera", 0), ("domani", 1), ("dopodomani", 2)],
    periods: &[
        ("settimana prossima", Period::NextWeek),
        ("prossima settimana", Period::NextWeek),
        ("fine settimana", Period::Week),
        ("fine della settimana", Period::Week),
        ("fine mese", Period::Month),
        ("fine del mese", Period::Month),
    ],
    counted: (
        &["tra", "fra", "entro"],
        &[("giorni", 1), ("giorno", 1), ("settimane", 7), ("settimana", 7), ("mesi", 0), ("mese", 0)],
    ),
    articles: &["il"],
    until: &["entro il", "prima del", "fino al", "dal"],
    coming: &["prossimo", "questo"],
    past: &["scorso", "scorsa"],
    not_near: &[],
    at: &["alle", "verso le"],
    oclock: &[],
    parts: &[("mattina", false), ("pomeriggio", true), ("sera", true)],
};

pub(super) const ALL: [&Language; 4] = [&GERMAN, &FRENCH, &SPANISH, &ITALIAN];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_counts_to_thirty_one() {
        for language in ALL {
            assert_eq!(language.numbers.split(", ").count(), 31, "{}", language.numbers);
        }
    }
}
