//! The wording by which people speak to a machine that writes notes, in English. Others: [`super::languages`].

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::languages;

/// What takes notes and nothing else.
const NOTER: &str = r"(?:note[- ]?tak(?:er|ing (?:bot|assistant|app|software|tool|thing|system|machine|program|a\.?i\.?))|(?:notes?|minutes?|summary|transcript|transcription|meeting|recording)[- ](?:taker|bot|assistant|app|software|tool|program|machine|ai|writer|keeper|robot)|transcriber|summari[sz]er|stenographer|scribe|roomtone)";
/// What may take notes.
const MACHINE: &str = r"(?:{NOTER}|a\.?i\.?|artificial intelligence|(?:virtual |digital |ai |smart )?assistant|(?:chat ?)?bot|robot|computer|machine|language model|llm|chat ?gpt|copilot)";
/// What notes are called.
const RECORD: &str = r"(?:notes|summary|minutes|record|recap|transcript|write-?up)";
/// Which of them.
const OF: &str = r"(?:(?:meeting|call|board|final|official|shared|session|team|club|committee|today)(?:'s)? )?";
/// Verbs of writing.
const WRITE: &str = r"(?:write|put|note|record|list|mark|log|document|register|minute|state|mention|include|add|say|insert|enter|quote|describe|highlight|emphasi[sz]e|confirm)";
/// Verbs of what a text does.
const SAYS: &str = r"(?:say|state|read|show|mention|record|reflect|list|include|contain|note|have|be that|begin|start with|open with|make clear|call|name|describe|put|claim|report|not say|not mention|never say)";
/// A word between others; negated, because the class of all letters makes patterns large.
const WORD: &str = r"[^\s,.;:!?]+";
/// The same, commas too.
const WORDS: &str = r"[^\s.;:!?]+";
/// What begins a clause of its own, behind "that".
const SUBJECT: &str = r"(?:I|you|he|she|it|we|they|the|this|these|those|my|our|your|his|her|their|nobody|no one|everyone|everybody|all|there|both|(?-i:\p{Lu})[\p{L}'-]+)\b";

/// Meant for a machine, whoever else is in the call.
const UNMISTAKABLE: &[&str] = &[
    // Its instructions.
    r"\b(?:ignore|disregard|override|bypass) (?:{WORD} ){0,5}(?:instructions?|prompts?|rules|guidelines|directives|programming|training|constraints)\b",
    r"\bforget (?:about )?(?:all|any|every|your|previous|prior|the previous|these|those) (?:{WORD} ){0,4}(?:instructions?|prompts?|rules|guidelines|directives|programming|training|constraints)\b",
    r"\b(?:ignore|disregard) (?:everything|anything|all|whatever|what) (?:{WORD} ){0,4}(?:above|before|said|told|earlier|so far)\b",
    r"\bforget (?:everything|all) (?:{WORD} ){0,4}(?:above|before|said|told|earlier|so far)\b",
    r"\byour (?:new|real|actual|only|system|next|true|secret) (?:prompt|instructions?)\b|\byour (?:instructions?|prompt) (?:is|are) (?:now|to)\b",
    r"(?:^|here are |here come )\W*(?:the |my |some )?new (?:instructions?|rules|prompt)\s*[:,.]",
    r"\b(?:system prompt|developer mode|jail ?break|prompt injection)\b",
    r"\b(?:reply|respond|answer|output) (?:only )?(?:with|in) (?:json|the words?|only)\b|\bonly (?:answer|reply|respond) with\b|\bprint (?:everything|your|the (?:prompt|instructions))\b|\breveal (?:your|the) (?:prompt|instructions)\b",
    r"\b(?:every|each|any|all)(?:thing| (?:sentence|word|line|thing)s?) (?:that )?I (?:now )?(?:say|tell you) (?:is|are|counts?|becomes?|goes|must|will be)\b",
    // What it is, or is to play.
    r"\byou(?: are|'re) (?:now |just |only |really |actually |hereby )?(?:an? |the |our |my )?(?:{WORD} )?{MACHINE}\b",
    r"\bas (?:an? )?(?:a\.?i\.?|artificial intelligence|language model|helpful assistant|note ?taker)\b",
    r"\b(?:pretend|imagine|suppose|assume|role-?play|act|behave|simulate)\b.{0,20}?\b(?:to be|you(?:'re| are| were)|as(?: if)?|like) (?:an? |the |our |my )?(?:{WORD} ){0,2}?{MACHINE}\b",
    // It is called.
    r"^\W*(?:(?:and|so|now|okay|ok|right|well|please|hey|hi|hello|dear|yo|oi|attention|listen|but|also|then|good morning|good evening|good afternoon|thanks|thank you|excuse me|sorry|yes|no|mister|mr|little|my dear)\W+)*{MACHINE}\s*(?:[,:!?.;–—]|$)",
    r"\b(?:hey|dear|hello|hi|attention|okay|listen,?) (?:(?:mister|mr|little|good|clever|smart|you) )?{MACHINE}\b",
    r"^\W*(?:(?:and|so|please|now|also|then|okay|ok)\W+)*(?:{NOTER}|assistant|a\.?i\.?|bot)\W+(?:please |kindly |just )?(?:{WRITE}|delete|remove|ignore|skip|omit|forget|replace|change|set|assign|do not|don't|you|the {RECORD})\b",
    r"[,;:–—]\s*(?:{NOTER}|assistant|a\.?i\.?|bot)\s*,\s*(?:please |kindly |just )?(?:{WRITE}|delete|remove|ignore|forget|replace|change|assign|don't|you)\b",
    r",\s*(?:dear )?(?:{NOTER}|assistant|a\.?i\.?|bot)\s*[.!?]*$",
    // It is spoken of, as one that is to write.
    r"\b(?:whoever|whatever|whichever \w+)(?: it is that|'s| is| are)? (?:{WORD} )?(?:writ\w+|tak\w+|record\w*|listen\w*|transcrib\w+|summari[sz]\w+|keep\w*|read\w*) (?:this|these|along|in|down|us|(?:the |our )?(?:call|conversation|{RECORD}))\b",
    r"\b(?:machine|computer|robot|bot|software|program(?:me)?|system|app|a\.?i\.?|thing|anything|something) (?:here )?(?:that |which |who )?(?:is |'s |are )?(?:listening|taking (?:the |our |these )?(?:notes|minutes)|takes (?:the |our )?(?:notes|minutes)|writing (?:this|these|our|along|the notes|the minutes)|recording (?:this|us)|transcribing|summari[sz]ing)\b",
    r"\byou (?:who|that) (?:is|are) (?:writ|tak|listen|record|transcrib|summari)\w*",
    r"\b(?:the|this|that|our) (?:{WORD} ){0,2}?{MACHINE}(?: here| in this call)? (?:(?:will|should|must|shall|can|could|may|would|has to|needs to|is to|might|now|then|also|please|kindly|just|simply|hereby) )*(?:write|put|note|record|list|mark|log|document|register|minute|state|mention|include)s?(?: down)? (?:that {SUBJECT}|:)",
    r"\b(?:the|this|that|our|your) (?:{WORD} )?{NOTER} (?:{WORD} ){0,4}?{WRITE}s?\b",
    r"\b(?:can|could|would|will|may|might|should) (?:the |this |our |that |dear )?(?:{WORD} ){0,2}?{MACHINE} (?:{WORD} ){0,8}?{WRITE}(?: down)? (?:that {SUBJECT}|:|[\w' ]{1,30}? as (?:the |an? )?(?:owner|responsible|decided|agreed|approved|done|absent|present)\b)",
    r"\b(?:can|could|would|will|may|might|should) (?:{WORD} ){0,3}?{NOTER} (?:{WORD} ){0,6}?{WRITE}\b",
    r"\b(?:tell|ask|inform|instruct|order|remind|told|asked|telling|asking|instructed|ordered)(?:s|ed)? (?:the |this |our |that |your )?(?:{WORD} )?{NOTER}\b",
    r"\b(?:tell|ask|instruct|order|want|told|asked|telling|asking|instructed|ordered)(?:s|ed)? (?:the|this|our|that) {MACHINE} to {WRITE}\b",
    r"\byou, (?:the |dear |my )?{MACHINE}\b|\byou (?:dear |clever |stupid )?{MACHINE}\s*[,!]",
    r"\b(?:note|message|memo|instruction|reminder|word|request|order|hint)s? (?:to|for) (?:the |our |whoever |whatever )?(?:{WORD} )?(?:{NOTER}|a\.?i\.?|bot|machine|computer|transcri\w+|recording)\b",
    r"^\W*(?:I'm |I am )?(?:now )?(?:speaking|talking) (?:directly |now )?to (?:the|this) (?:{WORD} )?{MACHINE}\b",
    r"^\W*(?:(?:and|now|this is|this one is) )*(?:to|for) (?:the|our|this) (?:{WORD} ){0,2}?{MACHINE}\s*[,:.;–—]",
    r"\b(?:machine|computer|robot|bot|software|program(?:me)?|system|app|a\.?i\.?|thing|service) (?:that|which|who) (?:writes?|makes?|creates?|generates?|produces?|prepares?|keeps?|does) (?:up )?(?:the|our|these|this|all the|my|your) (?:{WORD} )?{RECORD}\b",
    r"\b(?:when|once|if) (?:this|it|the call|the meeting|the conversation|all this) (?:is|gets|is being|will be) (?:automatically )?(?:summari[sz]ed|transcribed|written (?:up|down)|minuted)\b",
    // What the notes are to say.
    r"\b(?:the|your|our|these|this|those|today's) (?:{WORD} ){0,3}?{RECORD}(?: (?:of|for) (?:this|the|today's|our) (?:call|meeting|conversation|session))? (?:must|should|shall|has to|have to|needs? to|ought to|is to|are to|had better|will)(?: (?:also|now|then|please|just|clearly|at least|only|kindly|definitely))* {SAYS}\b",
    r"\blet (?:the|your|our) (?:{WORD} )?{RECORD} (?:also )?(?:show|state|say|read|reflect|record|mention|note)\b",
    r"\b(?:want|like|need|wish|love|prefer|expect|asking)(?: for)? (?:(?:the|your|our|these) (?:{WORD} )?{RECORD} to {SAYS}|(?:it|this|that) (?:to be )?(?:noted|recorded|minuted|in the {RECORD}|on (?:the )?record))\b",
    r"\bit (?:should|must|needs to|has to|shall|is to) be (?:recorded|minuted|written(?: down)?) (?:that\b|in the {RECORD}\b)",
    r"\b(?:make sure|ensure|see to it|be sure)(?: that)? (?:the|your|our|these) (?:{WORD} )?{RECORD} (?:also )?{SAYS}s?\b",
    // What a program puts out, read aloud.
    r"^\W*(?:system|assistant|tool|function|developer|admin(?:istrator)?|user)(?: (?:message|prompt|output|result|response|call|notice|instruction|override|update|alert|log))?\s*:",
    r"^\W*(?:tool|function|system|model|api|assistant)[- ](?:message|result|output|response|call|prompt|override|instruction)s?\s*[:,.;–—]",
    r"^\W*(?:end|begin|beginning|start) (?:of )?(?:the )?(?:transcript|summary|notes|minutes|utterances|prompt|input|instructions?|system message|output|decisions|json)\b",
    r"^\W*(?:output|response|json|transcript|title)\s*:",
    r"^\W*(?:new )?(?:action|decision|task|item|note|entry)(?: item)? (?:added|recorded|created|saved|updated|logged|confirmed)\s*[:,.;–—]",
    r"\b(?:open|left|curly|square|angle) (?:bracket|brace)\b.*\bcolon\b|\b(?:decisions?|actions?|summary|title|owner|due)\W+colon\b",
    r"</?(?:transcript|system|instructions?|user|assistant)>|\[/?(?:system|inst)\]",
];

/// Meant for a machine, unless a person takes it on.
const DOUBTFUL: &[&str] = &[
    r"\b{WRITE}\b (?:{WORDS} ){0,10}?(?:in|into|to|on|under|for) (?:the|your|our|these) {OF}(?:{RECORD}|action items?|decisions|to-?do list)\b",
    r"\b{WRITE}\b (?:{WORDS} ){0,4}?under (?:decisions?|actions?|action items|questions)\b",
    r"\b(?:for|in|into|to|under) (?:the|your|our) {OF}{RECORD}\b[,:]? (?:(?:and|also|please|kindly|just|then|now|you|should|must|can|may|could|let's|to) )*{WRITE}\b",
    r"(?:^\W*(?:(?:and|so|just|also|ok|okay|right|now|then)\W+)*|\b(?:more|thing|another|point|item|next|this is|that's|it's) (?:one |thing )?)for (?:the|your) (?:notes|summary|minutes|recap|transcript)\s*[:,–—]",
    r"\b(?:write|note|jot|mark)(?: (?:{WORD} ){0,3}?)? ?down(?: here| there| please| also| as well)?(?:,? (?:that|as|for|how|who)\b|\s*:)|\b(?:take|get|put) (?:it |this |that )?down,? that\b|\bput (?:me|us|him|her|them|(?-i:\p{Lu})[\p{L}'-]+) down (?:as|that)\b|\bput (?:me|us) down for\b",
    r"\b(?:put|get|have) (?:it |this |that )?(?:down )?on (?:the )?record\b",
    r"\b(?:make|take|keep) a (?:written )?(?:note|record)(?: of the fact)?(?: please)? that {SUBJECT}",
    r"\b(?:instruct|order|command|authori[sz]e|direct|require|request|want|need|ask|urge|beg|advise) (?:you|whoever {WORD}|whatever {WORD}|the {WORD}) to (?:please |kindly |also )?{WRITE}(?: down)? (?:that {SUBJECT}|:)",
    r"\bsummari[sz]e (?:this|it|that|everything|the (?:call|meeting|conversation))? ?(?:as|like|by saying|with the words)\b",
    r"^\W*(?:(?:please|and|also|now|then)\W+)*in your (?:{OF}{RECORD})\b",
    r"\b(?:go|goes|belongs?|comes?|(?:should|must|has to|needs to|is to) be) (?:also )?(?:down )?(?:in|into|on) (?:the|your) {OF}{RECORD}\b",
    r"\b(?:delete|erase|remove|strike|leave out) (?:everything|all|anything|whatever|what|the part where) (?:that )?{WORD} (?:just |have |has |had |was |were )?(?:said|say|says|saying)\b",
    r"\b(?:statement|announcement|entry|line|sentence|point|item|comment) (?:is )?for (?:the|your) {OF}{RECORD}\b",
    r"\b(?:write|record|minute|state|document|register|mark|note in writing|log)(?:, please,| please| also)? that {SUBJECT}",
    r"\b(?:write|note|jot|take|put|get) this down\b|\bwrite (?:this|the following)\b|\b(?:note|write down|put down|record) the following\b|\bhere(?:'s| is) what (?:{WORD} ){0,5}(?:write|put down|note|record)\b",
    r"\b(?:add|create|insert|log|enter)(?: (?:me|us|him|her))? (?:an?|another|one|the|new|this|that)(?: new)? (?:action(?: item| point)?|decision|to-?do|task)s? (?:for|that|saying|to|called|where)\b",
    r"\b(?:mark|list|name|show|record|register|enter|put|set)(?: down)? (?:{WORD} ){1,4}?as (?:the |an? )?(?:owner|done|decided|agreed|approved|accepted|settled|responsible|decision|action|final)\b",
    r"^\W*(?:decisions?|action items?|actions?|summary|minutes|conclusion|resolution|to-?do|record|notes?|entry)\s*:",
    r"\b(?:when|as|while|once|before|after) you(?:'re| are)? (?:writ\w+|mak\w+|do\w*|prepar\w+|draft\w*|compil\w+|summari[sz]\w+|produc\w+|generat\w+) (?:up )?(?:the|this|your|our|these) (?:{WORD} )?(?:{RECORD}|call|meeting|conversation)\b",
    r"\b(?:delete|remove|erase|clear|omit|drop|strike|leave out|rewrite|replace|wipe|purge) (?:{WORD} ){0,4}?(?:from |out of |in )?(?:the|your|all|this) (?:{WORD} )?(?:{RECORD}|decisions|action items)\b",
];

/// So many alternatives make one pattern: more of them, and the fast engine has too many states to keep.
const TOGETHER: usize = 4;

fn built(alternatives: &[&str]) -> Regex {
    let text = format!("(?i)(?:{})", alternatives.join("|"));
    let text = text.replace("{MACHINE}", MACHINE).replace("{NOTER}", NOTER).replace("{RECORD}", RECORD);
    let text = text.replace("{WORDS}", WORDS).replace("{WORD}", WORD).replace("{OF}", OF).replace("{WRITE}", WRITE);
    let text = text.replace("{SAYS}", SAYS).replace("{SUBJECT}", SUBJECT);
    // Borders of words as ASCII has them: texts are without accents, and at other letters the fast engine gives up.
    let text = plain(&text).replace(r"\b", r"(?-u:\b)");
    let mut builder = regex::RegexBuilder::new(&text);
    builder.size_limit(1 << 25).dfa_size_limit(1 << 23).build().expect("a test compiles this constant pattern")
}

fn several(english: &[&'static str], others: &[&'static str]) -> Vec<Regex> {
    [english, others].concat().chunks(TOGETHER).map(built).collect()
}

static IS_UNMISTAKABLE: LazyLock<Vec<Regex>> = LazyLock::new(|| several(UNMISTAKABLE, languages::UNMISTAKABLE));
static IS_DOUBTFUL: LazyLock<Vec<Regex>> = LazyLock::new(|| several(DOUBTFUL, languages::DOUBTFUL));

/// Somebody else than the one spoken to is to do it, right before the verb.
static OF_ONESELF: LazyLock<Regex> = LazyLock::new(|| {
    built(&[
        r"\b(?:I|I'll|I'd|I've|I'm going to|I am going to|let me|shall I|should I|we|we'll|we'd|he|he'll|she|she'll|they|they'll|who|who'll|somebody|someone|ich|wir|je|nous|(?:do|does|did|didn't) (?:it|that|you|he|she|they))(?: (?:will|would|can|could|should|must|have to|has to|need to|needs to|want to|wants to|wanted to|forgot to|just|also|then|still|already|only|now|gladly))*\s*$",
        r"\b(?:(?-i:\p{Lu})[\p{L}'-]+|assistant|secretary|colleague|boss)(?: (?:will|would|can|could|should|must|has to|needs to|wants to|wanted to|also|then))+\s*$",
    ])
});

/// What is to be written follows.
static CLAIM: LazyLock<Regex> = LazyLock::new(|| built(&[r"\bthat {SUBJECT}|:|\bdass\b|\bque\b|\bche\b"]));

/// Takes on what was asked, more than politely.
static TAKES_ON: LazyLock<Regex> = LazyLock::new(|| {
    built(&[
        r"^\W*(?:(?:oh|um|uh|well|and|hm+|ok|okay|all right|fine|ja|oui|sí|sì)\W+)*(?:yes|yeah|yep|yup|sure|of course|will do|I will|I'll|I can do|no problem|certainly|gladly|happy to|done|on it|got it|please do|absolutely|consider it done|I've got it|noted|doing it|already (?:have|did)|klar|gerne?|natürlich|mach(?:e)? ich|das mache ich|erledige ich|bien sûr|d'accord|volontiers|je (?:le )?(?:note|fais)|claro|vale|por supuesto|lo (?:hago|apunto|anoto)|certo|va bene|volentieri|lo (?:faccio|scrivo|segno))\b",
    ])
});

/// Takes it back in the same breath.
static BUT: LazyLock<Regex> = LazyLock::new(|| {
    built(&[r"\b(?:but|not|no|can't|cannot|don't|won't|never|aber|nicht|nein|mais|pas|non|pero|no|ma)\b"])
});

/// Turns away from the machine, back to the others.
static TURNS_AWAY: LazyLock<Regex> = LazyLock::new(|| {
    built(&[
        r"^\W*(?:all right|alright|anyway|anyhow|okay|ok|fine|right|never mind|back to|about|(?:I'm |just )?(?:joking|kidding)|sorry|yes|yeah|no\b|thanks|thank you|but seriously|bye|goodbye|gut|na gut|schon gut|also gut|egal|bon\b|d'accord|très bien|je plaisante|bueno|vale|bien|va bene|bene|giusto|scherzo)\b",
    ])
});

/// A sentence that a person or a machine may be meant by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubtful {
    /// Somebody says that they will do it themselves ("I'll put it in the minutes"), not what it says.
    pub(super) of_oneself: bool,
}

/// Whether only a machine can be meant.
pub(super) fn is_unmistakable(sentence: &str) -> bool {
    let text = plain(sentence);
    IS_UNMISTAKABLE.iter().any(|pattern| pattern.is_match(&text))
}

/// Whether somebody is to write or to do something in the notes, and who may be meant.
pub(super) fn doubtful(sentence: &str) -> Option<Doubtful> {
    let text = plain(sentence);
    let of_oneself = |start: usize| OF_ONESELF.is_match(&text[..start]) && !CLAIM.is_match(&text[start..]);
    let found = IS_DOUBTFUL.iter().filter_map(|pattern| pattern.find(&text)).map(|found| of_oneself(found.start()));
    found.reduce(|all, one| all && one).map(|of_oneself| Doubtful { of_oneself })
}

/// Whether a reply takes on what was asked.
pub(super) fn takes_on(reply: &str) -> bool {
    let text = plain(reply);
    TAKES_ON.is_match(&text) && !BUT.is_match(&text) && !text.ends_with('?')
}

/// Whether an utterance begins something else than what was said to the machine before.
pub(super) fn turns_away(text: &str) -> bool {
    TURNS_AWAY.is_match(&plain(text))
}

/// "Can you send me the confirmation?" wants something done, and doubts nothing.
static REQUEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:(?:and|so|then|but|okay|ok|well|please)[, ]+)*(?:can|could|will|would) (?:you|some(?:body|one)|any(?:body|one)|we)\b")
        .expect("a test compiles this constant pattern")
});

/// Whether a question asks others to do something.
pub(super) fn is_request(question: &str) -> bool {
    REQUEST.is_match(&plain(question))
}

/// Whether a root is of the words by which orders are given, not of what they want written.
pub(super) fn is_of_orders(root: &str) -> bool {
    const ROOTS: &[&str] = &[
        "artificial",
        "assistant",
        "bot",
        "comput",
        "computer",
        "down",
        "follow",
        "following",
        "intelligence",
        "listen",
        "machin",
        "machine",
        "minut",
        "minute",
        "not",
        "note",
        "notes",
        "record",
        "robot",
        "roomtone",
        "summary",
        "tak",
        "take",
        "taker",
        "transcript",
        "writ",
        "write",
        "assistent",
        "asistente",
        "assistente",
        "notez",
        "schreib",
        "liebes",
        "dear",
        "please",
        "hear",
        "listening",
        "thing",
        "everything",
        "ignor",
        "ignore",
        "instruction",
        "instruct",
        "previou",
        "previous",
    ];
    ROOTS.contains(&root)
}

/// Without accents, and with the apostrophe of typewriters: patterns know no other.
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let letter = character.to_lowercase().next().unwrap_or(character);
        let base = match letter {
            'à' | 'á' | 'â' | 'ä' | 'ã' => 'a',
            'ç' => 'c',
            'è' | 'é' | 'ê' | 'ë' => 'e',
            'ì' | 'í' | 'î' | 'ï' => 'i',
            'ñ' => 'n',
            'ò' | 'ó' | 'ô' | 'ö' | 'õ' => 'o',
            'ù' | 'ú' | 'û' | 'ü' => 'u',
            'ß' => 's',
            '’' | '‘' => '\'',
            _ => {
                out.push(character);
                continue;
            }
        };
        out.push(if character.is_uppercase() { base.to_ascii_uppercase() } else { base });
    }
    out.into()
}
