//! The wording by which people decide, take on, ask and take back. English; other languages match none of it.

use std::sync::LazyLock;

use regex::Regex;

use crate::number_words;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a test compiles this constant pattern")
}

macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* pub(super) static $name: LazyLock<Regex> = LazyLock::new(|| pattern($text));)*

        #[cfg(test)]
        pub(super) fn compile_all() -> usize {
            [$($name.as_str().len()),*].len()
        }
    };
}

patterns! {
    /// Says that something is decided.
    DECIDED = r"(?i)\b(?:we(?:'ve| have)? (?:all )?(?:decided|agreed|settled)|(?:it|that) is (?:decided|settled|agreed)|(?:it|that)'s (?:decided|settled|agreed|a deal)|(?:is|are) (?:hereby |now )?(?:agreed|settled|decided|approved)|(?:the|our|my) (?:final )?decision is|(?:we're|we are) going (?:to go )?with|we(?:'ll| will) go (?:with|for|ahead)|(?:we're|we are) not going to|we (?:hereby )?(?:approve|accept))\b";
    /// Says that it is not, or not yet.
    UNDECIDED = r"(?i)\b(?:not|n't|never|yet|nothing|if|whether|until|before|unless|when|nobody) (?:\w+ ){0,2}(?:decided?|agreed?|settled|approved?)\b";
    /// "We ship on Friday", with what comes before it.
    WE_DO = r"(?i)^\W*(?P<so>(?:(?:so|then|ok|okay|alright|all right|good|great|right|well|and|fine|yes)\W+)*)(?:we|we'll|we will|we're going to|we are going to) (?:then |now |also |just |simply |all )?(?P<verb>[a-z]+)\b";
    /// A way to go that another may take up.
    PROPOSED = r"(?i)\b(?:let's|let us|shall we|how about we|why don't we|what if we|I(?:'d)? (?:say|suggest|propose)(?: that)? we) (?:just |then |all )?(?P<verb>[a-z]+)";
    /// "Okay, no live event then."
    NOT_DONE = r"(?i)^\W*(?:okay|ok|right|fine|all right|alright|good|so)\W+(?:then )?no (?:[\w-]+ ){1,5}then\b";
    /// "…, everybody agreed?"
    TAG = r"(?i)[,;]?\s*(?:is that|are we|everybody|everyone|all)?\s*\b(?:agreed|deal|okay|ok|fine)\?$";
    /// Somebody takes something on, or is asked to.
    TRIGGER = r"(?ix)\b(?:
        (?P<me>I'll|I\ will|I'm\ going\ to|I\ am\ going\ to|I\ promise\ to|I'll\ make\ sure\ to)
        |(?P<can>I\ can)
        |(?:please\s+)?(?P<you>(?:can|could|would|will)\ you(?:\ please)?)
        |(?P<please>(?:^|then\ |and\ |,\ |so\ )please)
        |(?P<none>(?:we|someone|somebody|one\ of\ us)(?:'ll|\ still|\ also|\ really)*\ (?:need\ to|needs\ to|have\ to|has\ to|should|must|ought\ to|will\ have\ to))
        |(?P<name>(?-i:\p{Lu})[\p{L}'’-]+(?:\ (?-i:\p{Lu})[\p{L}'’-]+)?)(?:
            \ (?:will|is\ going\ to|has\ agreed\ to|promised\ to|needs\ to|has\ to|should)
            |'ll
            |,?\ (?:can|could|would|will)\ you(?:\ please)?
            |,\ please
        ))\ (?:(?:then|also|just|definitely|please|still|gladly|now|try\ to)\ )*(?P<verb>[\p{L}'-]+)";
    /// Somebody says that they will not.
    WILL_NOT = r"(?i)\bI(?: won't| will not| can't| cannot|'m not going to| am not going to) (?P<verb>[\p{L}'-]+)";
    /// What was said before is taken back.
    TAKEN_BACK = r"(?i)\b(?:no,? (?:let's not|wait|forget)|let's not(?: do (?:it|that))?|forget (?:it|that|about (?:it|that)|(?:the|our|my) \w+)|scrap (?:it|that|the \w+)|scratch that|never mind|on second thoughts?|I(?:'ve| have)? changed my mind|actually,? no|I take (?:it|that) back|we(?:'ll| will)? drop (?:it|that|the \w+)|not (?:any ?more|after all))\b";
    /// What was said before is put otherwise.
    INSTEAD = r"(?i)\b(?:actually|instead|rather|make (?:that|it)|make the|or better|better|no,? wait|sorry|after all|correction|I mean|not \w+day)\b";
    YES = r"(?i)^\W*(?:(?:oh|um|uh|well|and|hm+)\W+)*(?:yes|yeah|yep|yup|sure|agreed|ok|okay|of course|will do|alright|all right|fine|good|great|lovely|perfect|sounds good|sounds great|that works|works for me|absolutely|definitely|no problem|certainly|gladly|deal|right|exactly|I agree|let's do (?:it|that)|I'll do (?:it|that)|I will|I can do that|same here|me too|(?:[\w-]+ ){1,4}(?:works|is fine|is good|is perfect|suits (?:me|us)))\b";
    /// Takes up what somebody offers.
    THANKS = r"(?i)^\W*(?:(?:oh|great|good|lovely|perfect)\W+)*(?:thanks?|thank you|cheers|please do)\b";
    BUT = r"(?i)\b(?:but|not|no|can't|cannot|don't|won't|wouldn't|later|unsure)\b";
    /// A reply that is no answer.
    NO_ANSWER = r"(?i)(?:\b(?:I (?:don't|do not|really don't) (?:know|think anyone knows)|no idea|good question|not sure|unsure|no clue|nobody knows|we(?:'ll| will) (?:have to )?see|(?:have|need) to (?:check|ask|find out|think|clarify|talk|see)|let me (?:check|think|find out|get back)|get back to you|find out|to be decided|not (?:been )?decided|still open|open question|we don't know|can't say|cannot say|depends|hard to say|take that offline|park that|discuss (?:that|it) (?:later|next time)|keine ahnung|weiß (?:ich |es )?(?:noch )?nicht|je ne (?:le )?sais pas|aucune idée|no lo sé|ni idea|non lo so)\b|^\W*not yet\b)";
    SMALL_TALK = r"(?i)(?:\b(?:can|do|could) (?:you|everyone|everybody|anybody|anyone|all|we) (?:all )?(?:hear|see) (?:me|us|my|you)|is this thing on|how are (?:you|things)|how's it going|how do you do|how can I help|are you (?:there|still there)|is (?:anybody|anyone|everyone|everybody) (?:there|here)|you know\?|right\?$|okay\?$|isn't it\?|who(?:'s| is) (?:there|speaking|calling|this)|what's up|am I (?:audible|on mute)|can I call you back|pardon|say that again|what did you say|come again|anything else|any(?: other| more)? questions|shall we (?:start|begin)|are we (?:all )?(?:ready|here)|thank you|thanks for|you're welcome|good (?:morning|evening|night|afternoon)\b.{0,12}$|^\W*(?:hi|hello|hey|bye|goodbye)\b.{0,24}$)";
    /// Says when people mean to speak again.
    AGAIN = r"(?i)(?:\b(?:next (?:call|meeting|session|sync|appointment|check-in)|(?:speak|talk|meet|call|sync|catch up|get together|reconvene|see each other)(?: with each other)? (?:again|next)|follow-?up (?:call|meeting)|reconvene|(?:let's|shall we|we(?:'ll| will|'re going to)?) (?:all )?(?:speak|talk|meet|catch up|sync)\b|(?:see|talk to|speak to) you(?: all| both| then)? (?:again |next |on |tomorrow|in |at ))|^\W*(?:so |then )?(?:talk|speak|meet) (?:again |next |on |tomorrow))";
    /// An appointment is being looked for.
    APPOINTMENT = r"(?i)\b(?:appointment|slot|meeting|call|visit|come in)\b";
    /// Something has its day, whoever sees to it.
    DEADLINE = r"(?i)\b(?:deadline|due|at the latest|(?:no|not) later than|run(?:s|ning)? out|expires?|expiring|ends?|ending|clos(?:es?|ing)|stops?|starts?|valid until|promised (?:for|by)|(?:must|has to|have to|needs? to|should) be|is(?:n't| not) (?:\w+ ){0,3}by|arrives?|goes live|takes effect|lapses?|cut-?off)\b";
    /// A question put as a statement.
    OPEN = r"(?i)\b(?:(?:I|we) (?:don't|do not) (?:really )?know (?:yet )?(?:is )?(?:whether|if|who|what|when|how|where|why)|(?:I|we) don't know yet is|(?:it's|it is|that's) (?:still )?(?:open|unclear|not clear) (?:whether|if|who|what|when|how|where)|(?:still|remains) (?:open|to be (?:decided|clarified))|open question is)\b";
    /// "Who tells them?"
    WHO_DOES = r"(?i)^\W*(?:(?:so|and|okay|but)\W+)*(?:who(?:'ll| will| can| could)?) (?P<verb>[a-z]+)\b";
    /// "I will." in answer to it.
    I_DO = r"(?i)^\W*(?:(?:ok|okay|yes|well|right)\W+)*(?:I will|I'll do (?:it|that)|I can(?: do (?:it|that))?|I do|me|I'll take (?:it|that)(?: on)?|leave (?:it|that) (?:to|with) me)\W*$";
    /// A sum or a share.
    AMOUNT = r"(?ix)(?:
        [€$£¥]\s?\d[\d.,]*(?:\s?(?:k|m|bn|thousand|million|billion)\b)?
        |(?:\b\d[\d.,]*\s?(?:k|m|bn|thousand|million|billion|mille|tausend|mil|millionen|millions)?\s?(?:%|percent\b|per\ cent\b|euros?\b|€|dollars?\b|pounds?\b|francs?\b|cents?\b|pence\b|quid\b|sats?\b|prozent\b|franken\b|pour\ cent\b|por\ ciento\b|per\ cento\b))
        |\b\d[\d.,]*\s?(?:k|thousand|million|billion)\b
        |\b(?:(?:WORDS)(?:[\s-]+(?:and\s+)?(?:WORDS))*)[\s-]+(?:percent|per\ cent|euros?|dollars?|pounds?|francs?|cents|pence|quid|sats?|prozent|franken|pour\ cent|por\ ciento|per\ cento)\b
        |\b(?:WORDS)(?:[\s-]+(?:and\s+)?(?:WORDS))*[\s-]+(?:thousand|million|billion)\b(?:[\s-]+(?:and\s+)?(?:WORDS))*
        )".replace("WORDS", &number_words()).as_str();
}

/// A pattern of number words: English, French, German, Spanish, Italian.
fn number_words() -> String {
    let english = number_words::words().collect::<Vec<_>>().join("|");
    format!(r"(?:{english}|{OTHER_NUMBER_WORDS})\b")
}

/// Those of English that stand for no number below a hundred, and of the other languages.
const OTHER_NUMBER_WORDS: &str = r"a|hundred|thousand|million|billion|half|grand|point|un|une|deux|trois|quatre|cinq|sept|huit|neuf|dix|onze|douze|quinze|vingt|trente|quarante|cinquante|soixante|cent|cents|mille|ein|eine|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|\w*zig|\w*hundert\w*|\w*tausend\w*|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|cien|ciento|mil|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|cento";

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        assert!(super::compile_all() > 20);
    }
}
