//! Small words of some languages, so that notes of calls in them have telling keywords and sentences.

/// A language with the words that carry no topic in it, sorted.
struct Language {
    words: &'static [&'static str],
}

const GERMAN: &[&str] = &[
    "aber", "alle", "alles", "als", "also", "am", "an", "auch", "auf", "aus", "bei", "bin", "bis", "bitte", "da",
    "damit", "danke", "dann", "das", "dass", "dem", "den", "denn", "der", "des", "die", "dies", "diese", "dir", "doch",
    "du", "durch", "ein", "eine", "einem", "einen", "einer", "er", "es", "etwas", "euch", "für", "gar", "ganz",
    "genau", "gut", "habe", "haben", "hallo", "hat", "hatte", "heute", "hier", "ich", "ihm", "ihn", "ihr", "ihre",
    "im", "immer", "in", "ist", "ja", "jetzt", "kann", "kein", "keine", "können", "könnte", "machen", "mal", "man",
    "mein", "meine", "mich", "mir", "mit", "morgen", "muss", "müssen", "nach", "nein", "nicht", "nichts", "noch",
    "nur", "ob", "oder", "okay", "schon", "sehr", "sein", "sich", "sie", "sind", "so", "soll", "sollen", "sollte",
    "tschüss", "um", "und", "uns", "unser", "vom", "von", "vor", "wann", "war", "waren", "warum", "was", "weil",
    "wenn", "wer", "werden", "wie", "wieder", "will", "wir", "wird", "wo", "wollen", "zu", "zum", "zur", "über",
];
const FRENCH: &[&str] = &[
    "a", "ai", "ainsi", "alors", "après", "au", "aussi", "aux", "avec", "avez", "avons", "bien", "bon", "bonjour",
    "c'est", "ce", "cela", "ces", "cette", "chez", "comme", "d'accord", "d'un", "d'une", "dans", "de", "demain", "des",
    "deux", "devait", "dire", "donc", "du", "elle", "en", "encore", "est", "est-ce", "et", "être", "faire", "fait",
    "faites", "hier", "ici", "il", "ils", "j'ai", "je", "jour", "la", "le", "les", "leur", "lui", "là", "madame",
    "mais", "matin", "me", "merci", "mes", "moi", "mon", "monsieur", "même", "n'est", "ne", "non", "nos", "notre",
    "nous", "on", "ont", "ou", "oui", "où", "par", "parce", "parfait", "pas", "peu", "peut", "peux", "plus", "pour",
    "pourquoi", "qu'il", "qu'on", "quand", "que", "quel", "quelle", "qui", "quoi", "revoir", "rien", "sa", "sans",
    "se", "sera", "seront", "ses", "si", "son", "sont", "suis", "sujet", "sur", "tard", "tout", "toute", "trop",
    "très", "tu", "un", "une", "va", "vais", "voilà", "vos", "votre", "vous", "y", "à", "ça", "était",
];
const SPANISH: &[&str] = &[
    "a", "al", "algo", "antes", "ahora", "aquí", "así", "aunque", "bien", "bueno", "buenos", "como", "con", "cuando",
    "cuál", "cómo", "de", "del", "desde", "después", "donde", "dónde", "días", "el", "ella", "en", "entonces", "era",
    "es", "esa", "ese", "eso", "esta", "estamos", "este", "esto", "está", "están", "favor", "fue", "gracias", "ha",
    "hacer", "hasta", "hay", "he", "hola", "hoy", "la", "las", "le", "lo", "los", "luego", "mañana", "me", "mi",
    "mucho", "muy", "más", "nada", "ni", "no", "nos", "nosotros", "o", "otra", "otro", "para", "pero", "poco", "por",
    "porque", "pues", "puede", "puedo", "que", "quién", "qué", "se", "ser", "si", "sin", "sobre", "son", "soy", "su",
    "sus", "sí", "también", "tan", "te", "tengo", "tenemos", "tiene", "todo", "todos", "tu", "un", "una", "uno",
    "usted", "va", "vale", "vamos", "voy", "y", "ya", "yo", "él",
];
const ITALIAN: &[&str] = &[
    "a",
    "adesso",
    "ai",
    "al",
    "alla",
    "allora",
    "anche",
    "ancora",
    "bene",
    "buongiorno",
    "che",
    "chi",
    "ci",
    "ciao",
    "come",
    "con",
    "cosa",
    "così",
    "da",
    "dal",
    "dalla",
    "dei",
    "del",
    "della",
    "di",
    "domani",
    "dopo",
    "dove",
    "due",
    "e",
    "ecco",
    "era",
    "fare",
    "fatto",
    "gli",
    "grazie",
    "ha",
    "hanno",
    "ho",
    "i",
    "il",
    "in",
    "io",
    "l'ho",
    "la",
    "le",
    "lei",
    "li",
    "lo",
    "loro",
    "lui",
    "ma",
    "me",
    "meno",
    "mi",
    "mio",
    "molto",
    "ne",
    "nei",
    "nel",
    "nella",
    "niente",
    "no",
    "noi",
    "non",
    "nostro",
    "o",
    "oggi",
    "ogni",
    "per",
    "perché",
    "però",
    "più",
    "poco",
    "poi",
    "possiamo",
    "posso",
    "può",
    "qua",
    "quando",
    "quanto",
    "quello",
    "questa",
    "questo",
    "qui",
    "se",
    "sei",
    "sempre",
    "senza",
    "si",
    "siamo",
    "sono",
    "sta",
    "su",
    "sul",
    "sulla",
    "suo",
    "sì",
    "ti",
    "tra",
    "tu",
    "tutti",
    "tutto",
    "un",
    "una",
    "uno",
    "va",
    "vi",
    "voi",
    "è",
];

const ALL: [Language; 4] =
    [Language { words: GERMAN }, Language { words: FRENCH }, Language { words: SPANISH }, Language { words: ITALIAN }];

/// The small words of the language in which most of this was said; none for English, whose are always left out.
pub(super) fn small_words<'w>(all: impl Iterator<Item = &'w str>) -> &'static [&'static str] {
    let mut hits = [0usize; ALL.len()];
    let mut english = 0;
    for word in all {
        for (count, language) in hits.iter_mut().zip(&ALL) {
            *count += usize::from(language.words.contains(&word));
        }
        english += usize::from(super::sentences::is_english_small(word));
    }
    let best = (0..ALL.len()).max_by_key(|at| (hits[*at], usize::MAX - at)).filter(|at| hits[*at] > english);
    best.map_or(&[], |at| ALL[at].words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_small_words() {
        let of = |text: &str| small_words(text.split(' ')).len();
        assert_eq!(of("we have to send it to the office on monday"), 0);
        assert_eq!(of("wir müssen das am montag an die firma schicken und dann ist es gut"), GERMAN.len());
        assert_eq!(of("je vais appeler l'usine demain matin et je vous rappelle"), FRENCH.len());
        assert_eq!(of(""), 0);
    }
}
