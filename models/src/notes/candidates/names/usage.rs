//! What the words around a large word say about it: whether it names somebody, a company, a thing or only a place.

use super::super::super::NameKind;
use super::large_words::KIN_AND_ROLES;

/// In front of a place, and hardly ever of anything else.
const PLACED: &[&str] =
    &["in", "near", "outside", "around", "across", "into", "towards", "through", "visit", "visiting", "of", "within"];
/// Behind the name of a place.
const OF_PLACES: &[&str] = &[
    "road",
    "street",
    "lane",
    "avenue",
    "square",
    "park",
    "station",
    "airport",
    "services",
    "bridge",
    "beach",
    "office",
    "depot",
    "branch",
    "harbour",
    "county",
    "area",
    "time",
    "shop",
    "store",
    "site",
    "plant",
    "warehouse",
    "factory",
];
/// Somebody is on the way: what "to" and "from" name is a place then.
const MOVES: &[&str] = &[
    "go",
    "goes",
    "going",
    "gone",
    "went",
    "drive",
    "drives",
    "driving",
    "drove",
    "fly",
    "flies",
    "flying",
    "flew",
    "flight",
    "train",
    "trip",
    "tour",
    "travel",
    "travelling",
    "traveling",
    "come",
    "comes",
    "coming",
    "came",
    "back",
    "collect",
    "pick",
    "picked",
    "deliver",
    "delivery",
    "ship",
    "shipped",
    "arrive",
    "arrives",
    "arrived",
    "move",
    "moves",
    "moving",
    "moved",
    "ferry",
    "bus",
    "headed",
    "heading",
    "way",
    "miles",
    "hours",
    "road",
];
/// Something is said or given: what "to" names is somebody then.
const GIVES: &[&str] = &[
    "talk",
    "talks",
    "talked",
    "talking",
    "speak",
    "speaks",
    "spoke",
    "spoken",
    "speaking",
    "write",
    "send",
    "sends",
    "sent",
    "say",
    "said",
    "give",
    "gave",
    "given",
    "forward",
    "forwarded",
    "report",
    "reports",
    "explain",
    "explained",
    "show",
    "showed",
    "shown",
    "email",
    "emailed",
    "sell",
    "sold",
    "belongs",
    "owe",
    "owes",
    "pay",
    "paid",
    "take",
    "took",
    "hand",
    "handed",
    "according",
    "thanks",
    "break",
    "mention",
    "mentioned",
    "leave",
    "switch",
    "switching",
    "switched",
    "listen",
    "listening",
    "married",
    "pass",
    "passed",
    "put",
    "bring",
    "brought",
];
/// What is done to people, and what stands between one and one's people.
pub(super) const TO_PEOPLE: &[&str] = &[
    "ask", "asked", "asking", "tell", "told", "ring", "phone", "text", "message", "bother", "remind", "chase", "thank",
    "poke", "ping", "pinged", "invite", "invited", "named", "let", "get", "have", "had", "give", "gave", "drop",
    "poor", "dear", "meet", "met", "see", "call", "called", "email", "cc", "brief", "warn", "loop",
];
/// What people do, and things do not.
const OF_PEOPLE: &[&str] = &[
    "said",
    "says",
    "told",
    "knows",
    "wants",
    "wanted",
    "thinks",
    "thought",
    "did",
    "promised",
    "called",
    "rang",
    "asked",
    "wrote",
    "reckons",
    "swears",
    "opened",
    "sent",
    "mentioned",
    "agreed",
    "loves",
    "hates",
    "signed",
    "wrote",
    "brought",
    "noticed",
    "suggested",
    "offered",
];
/// In front of what is done.
const HELPERS: &[&str] = &["can", "could", "will", "would", "should", "might", "does", "always", "never"];
/// What people can do, behind one of them.
const DEEDS: &[&str] =
    &["do", "ask", "call", "send", "tell", "have", "ring", "write", "check", "bring", "help", "know"];
/// What a person may be in.
const DEPARTMENTS: &[&str] = &[
    "sales",
    "legal",
    "finance",
    "accounts",
    "accounting",
    "payables",
    "hr",
    "marketing",
    "support",
    "purchasing",
    "engineering",
    "ops",
    "operations",
    "transport",
    "logistics",
    "it",
    "procurement",
    "compliance",
    "billing",
    "design",
    "reception",
    "security",
    "underwriting",
    "admin",
    "payroll",
];
/// What companies do, of which people say "they".
const OF_COMPANIES: &[&str] =
    &["owes", "owe", "are", "have", "charge", "charges", "quoted", "deliver", "delivers", "want"];
/// Behind the name of a product.
const OF_PRODUCTS: &[&str] = &[
    "app",
    "account",
    "module",
    "cluster",
    "instance",
    "instances",
    "contract",
    "licence",
    "license",
    "page",
    "server",
    "database",
    "plan",
    "version",
    "update",
    "thing",
    "channel",
    "board",
    "folder",
    "link",
    "integration",
    "plugin",
];

/// One word of a sentence as it was said.
pub(super) struct Said<'t> {
    /// Without punctuation and the "'s" of possession.
    pub(super) core: &'t str,
    pub(super) small: String,
    /// "'s", "'ll" and the like, as it stands behind.
    pub(super) tail: &'t str,
    /// Something ends in front of it: a sentence, a quotation.
    pub(super) starts: bool,
    /// A comma or so stands between it and the next.
    pub(super) parted: bool,
}

/// The words of a sentence.
pub(super) fn said(text: &str) -> Vec<Said<'_>> {
    let mut out: Vec<Said<'_>> = Vec::new();
    let mut ended = true;
    for token in text.split_whitespace() {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        if word.is_empty() {
            ended |= token.contains(['–', '—', '…', '"', '“']);
            continue;
        }
        let cut =
            word.find(['\'', '’']).filter(|at| matches!(word[*at..].trim_start_matches(['\'', '’']), "s" | "ll" | "d"));
        let (core, tail) = word.split_at(cut.unwrap_or(word.len()));
        let quoted = token.starts_with(['"', '“', '‘', '„', '«']);
        out.push(Said {
            core,
            small: core.to_lowercase(),
            tail: tail.trim_start_matches(['\'', '’']),
            starts: ended || quoted,
            parted: !token.ends_with(char::is_alphanumeric),
        });
        ended = token.ends_with(['.', '?', '!', ':', '…', '"', '”', '—', '–']);
    }
    out
}

/// Where a word stands in its sentence.
struct Place<'p, 't> {
    words: &'p [Said<'t>],
    at: usize,
}

impl Place<'_, '_> {
    fn word(&self) -> &Said<'_> {
        &self.words[self.at]
    }

    /// The word so far behind, whatever stands between.
    fn ahead(&self, far: usize) -> &str {
        self.words.get(self.at + far).map_or("", |w| w.small.as_str())
    }

    /// The word behind, if nothing parts it.
    fn after(&self) -> &str {
        if self.word().parted { "" } else { self.ahead(1) }
    }

    /// The word in front, if nothing parts it.
    fn before(&self) -> &str {
        let last = self.at.checked_sub(1).map(|place| &self.words[place]);
        last.filter(|w| !w.parted).map_or("", |w| w.small.as_str())
    }

    /// Whether one of these stands a little before.
    fn is_after_one_of(&self, list: &[&str]) -> bool {
        self.words[self.at.saturating_sub(6)..self.at].iter().any(|w| list.contains(&w.small.as_str()))
    }

    /// "My sister Ann", "ask Ann", "Ann says", "Ann in sales", "Ann, my planner".
    fn is_person(&self) -> bool {
        let (word, last, after) = (self.word(), self.before(), self.after());
        let away: &[&str] =
            if word.starts { &["got", "away"] } else { &["got", "away", "off", "been", "gone", "out", "back"] };
        OF_PEOPLE.contains(&after)
            || TO_PEOPLE.contains(&last)
            || KIN_AND_ROLES.contains(&last)
            || ["in", "from"].contains(&after) && DEPARTMENTS.contains(&self.ahead(2))
            || word.parted
                && (is_own(self.ahead(1)) || self.ahead(1) == "the")
                && KIN_AND_ROLES.contains(&self.ahead(2))
            || last == "to" && self.is_after_one_of(GIVES) && !self.is_after_one_of(MOVES)
            || word.tail == "ll"
            || word.tail == "s" && away.contains(&after)
    }

    /// "At Tesco", "they owe", "should have the valve".
    fn is_company(&self) -> bool {
        let after = self.after();
        OF_COMPANIES.contains(&after)
            || after == "should" && self.ahead(2) == "have"
            || ["at", "from", "by", "try"].contains(&self.before())
    }

    fn is_product(&self) -> bool {
        OF_PRODUCTS.contains(&self.after()) || ["on", "via", "a", "an", "the", "use", "using"].contains(&self.before())
    }

    /// "In Leeds", "the Leeds shop", "the tour to Leeds".
    fn is_place(&self) -> bool {
        let last = self.before();
        PLACED.contains(&last) && !OF_PRODUCTS.contains(&self.after())
            || OF_PLACES.contains(&self.after()) && !self.is_person()
            || last == "to" && !self.is_after_one_of(GIVES)
            || ["to", "from", "for"].contains(&last) && self.is_after_one_of(MOVES) && !self.is_person()
    }

    /// "Ruben can do that", "Heatmerchants should have it", "Vikram, yes": what begins a sentence and is a name all the same.
    fn is_actor(&self) -> bool {
        let (after, ahead) = (self.after(), self.ahead(2));
        self.is_person()
            || HELPERS.contains(&after) && (self.is_company() || DEEDS.contains(&ahead))
            || self.word().parted && ["he", "she", "yes"].contains(&self.ahead(1))
    }

    /// "Your Hannover load" may be anything, "WhatsApp it to me" names what is done.
    fn is_open(&self) -> bool {
        let after = self.after();
        is_own(self.before()) && !after.is_empty() && self.word().tail.is_empty()
            || ["it", "me", "them", "us"].contains(&after)
    }
}

fn is_own(word: &str) -> bool {
    ["my", "your", "our", "his", "her", "their"].contains(&word)
}

/// What the words of a call say for one large word.
#[derive(Default)]
pub(super) struct Votes {
    name: usize,
    place: usize,
    person: usize,
    company: usize,
    product: usize,
    /// The utterances in which it is said.
    pub(super) cites: Vec<u64>,
}

impl Votes {
    /// Whether it is used as a name more often than as a place.
    pub(super) fn is_name(&self) -> bool {
        self.name > self.place
    }

    pub(super) fn kind(&self) -> NameKind {
        if self.person > 0 && self.person >= self.company.max(self.product) {
            NameKind::Person
        } else if self.product > self.company {
            NameKind::Product
        } else {
            NameKind::Organisation
        }
    }

    /// Counts how a word is used where it stands in a sentence.
    pub(super) fn count(&mut self, words: &[Said<'_>], at: usize) {
        let place = Place { words, at };
        let acts = words[at].starts && place.is_actor();
        self.person += usize::from(place.is_person() || acts && !place.is_company());
        self.company += usize::from(place.is_company() && !place.is_place());
        self.product += usize::from(place.is_product());
        if place.is_place() {
            self.place += 1;
        } else if acts || !words[at].starts && !place.is_open() {
            self.name += 1;
        }
    }
}
