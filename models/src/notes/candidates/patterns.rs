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
    /// A way to go that is told or asked as what follows: "so we write to both", "then it's Postgres", "so no deliveries, then".
    FOLLOWS = r"(?i)^\W*(?:(?:okay|ok|right|well|good|great|fine|yeah|yes|and|oh)\W+)*(?:so|then)\W+(?:(?P<we>we(?:'ll| will|'re going to)?) (?:just |then |only |all )?(?P<verb>[a-z]+)|(?:(?:it's|that's)(?P<ing> [a-z]+ing)?|that one's|no|only|just|the [a-z]+(?: [a-z]+)? (?:is|are|stays?|goes|gets?))\b)";
    /// "Keep it at five", "leave it how it is", "then don't rewrap it".
    KEEPS = r"(?i)^\W*(?:(?:no|nah|yes|yeah|okay|ok|well|right|so|then|just)\W+)*(?:keep|leave|skip|drop|scrap|bin|ditch|dump|lose|take|put|stick (?:with|to)|go (?:with|for|back)|don't (?P<not>[a-z]+)) (?:it|that|them|this|the|those|both|to|at|with|for)\b";
    /// Says again in few words what another proposed, and that it is so: "okay, black core", "induction, good", "free with buckets".
    SAYS_AGAIN = r"(?i)^\W*(?:(?P<lead>okay|ok|good|great|fine|right|lovely|perfect|yes|yeah|done|deal|brilliant|excellent|grand)[,.]? (?:then )?(?P<said>(?:[\w'’-]+ ?){1,5})|(?P<first>(?:[\w'’-]+ ?){1,5}), (?:okay|ok|good|great|fine|lovely|perfect|yes|done|deal|brilliant|excellent|grand|then|it is))\W*$";
    /// "Fridays, then?", "so no tanker?"
    THEN_ASKED = r"(?i)^\W*(?:(?:so|okay|ok|right)\W+)*(?:(?:[\w'’-]+[ ,]+){1,6}then|no (?:[\w'’-]+ ?){1,4})\?$";
    /// Proposes or asks for something.
    WANTS = r"(?i)\b(?:or|could|would|should|can|let's|I'd|we'd|what if|how about|what about|rather|prefer|wants?|take|use|put|go|goes|just|want|might as well|shall)\b";
    /// Speaks of the hour at which this call began.
    SAME_TIME = r"(?i)\bsame (?:sort of |kind of )?time\b";
    /// "No student discount.", "no influencer this time".
    NONE = r"(?i)^\W*(?:(?:okay|ok|right|well|so|then|yes|fine)\W+)*no (?:[\w'’-]+ ?){1,5}\W*$";
    /// Says that something is decided.
    DECIDED = r"(?i)\b(?:we(?:'ve| have)? (?:all )?(?:decided|agreed|settled)|(?:it|that) is (?:decided|settled|agreed)|(?:it|that)'s (?:decided|settled|agreed|a deal|done then)|(?:is|are) (?:hereby |now )?(?:agreed|settled|decided|approved)|(?:the|our|my) (?:final )?decision is|(?:we're|we are) going (?:to go )?with|we(?:'ll| will) go (?:with|for|ahead)|(?:we're|we are) (?:going|opting) for the|(?:we're|we are) not going to|we (?:hereby )?(?:approve|accept)|that's what we (?:said|agreed|decided)|the (?:order|contract|job|deal) goes to|(?:we're|we are) (?:not (?:renewing|doing (?:any|the|a)|taking|buying|paying|hiring)|keeping|dropping|cancell?ing|scrapping|leaving (?:it|that|them|the)|sticking (?:with|to)|staying (?:with|at|on|in))|we(?:'ll| will) (?:stick (?:with|to)|stay with|go without|do without|leave it (?:at|as)|(?:keep|drop|skip) the)|motion (?:is )?carried|(?:we're|we are) (?:postponing|moving the|switching to|extending|freezing|cutting|delaying|pushing)|(?:we|I)(?:'ve| have) (?:chosen|picked|opted|settled on|gone for|gone with)|(?:we|I) (?:settled on|opted for|accept the|agree to)|the plan is (?:to|that)|unanimous(?:ly)?)\b|\b(?:from now on|from (?:\w+day|today|tomorrow|here|(?:next |this )?(?:week|month|year|season|term)) on(?:wards)?|going forward|as of (?:next )?(?-i:\p{Lu})\w+)\b[ ,]+(?:[\w'’]+ ){2}";
    /// Says that it is not, or not yet.
    UNDECIDED = r"(?i)\b(?:not|n't|never|yet|nothing|if|whether|until|before|unless|when|nobody) (?:\w+ ){0,2}(?:decided?|agreed?|settled|approved?)\b";
    /// "We ship on Friday", with what comes before it.
    WE_DO = r"(?i)^\W*(?P<so>(?:(?:so|then|ok|okay|alright|all right|good|great|right|well|and|fine|yes)\W+)*)(?P<will>we|we'll|we will|we're going to|we are going to) (?:then |now |also |just |simply |all )?(?P<verb>[a-z]+)\b";
    /// A way to go that another may take up.
    PROPOSED = r"(?i)\b(?:let's|let us|shall we|how about we|why don't we|what if we|I(?:'d)? (?:say|suggest|propose|move|recommend|vote)(?: that)? we) (?:just |then |all )?(?P<verb>[a-z]+)";
    /// What one would do oneself, as a proposal to the others.
    PREFERRED = r"(?i)\bI'd (?:(?:just|rather|still|also) )*(?P<verb>have|take|go|cut|keep|leave|drop|put|pick|choose|use|postpone|move|prefer|vote|do|skip)\b|\bI'd (?P<say>say)\W*$";
    /// Settles what was proposed or asked, in few words that say little without it: "second of May it is", "roses, then",
    /// "so a buffet", "take the flat", "three will do", "then it's the ninth", "fine, no museums".
    CONCLUDES = r"(?i)^\W*(?:(?:so|then|ok|okay|alright|all right|good|great|grand|right|well|and|fine|yes|done|perfect|sounds (?:good|great)|good idea|ha|in that case)\W+)*(?:[^,.;!?]{2,60}? it is\b(?:\W|$)|(?:[\w'’-]+[, ]+){0,6}[\w'’-]+,? then\W*$|(?:go ahead with|go for|go with|take|leave|drop|keep|skip|cancel|cut) (?:the|a|an|both|one|two|three|all)\b|[\w' -]{2,30} (?:will do|is enough|is plenty)\b)";
    /// The same, where what leads up to it makes it a conclusion.
    CONCLUDES_SO = r"(?i)^\W*(?:(?:ok|okay|all right|good|great|right|well|fine|yes|ha)\W+)*(?:(?:so|then)\W+(?:(?:it's|that's|it is|just|only) )?|(?:yes|fine|ok|okay)\W+no )(?:[\w'’-]+[, ]*){1,7}\W*$";
    /// Begins or ends talk, settles nothing.
    CONCLUDES_NOTHING = r"(?i)^\W*(?:(?:so|then|ok|okay|well|right|all right|good)\W+)*(?:we (?:don't|can't|cannot|couldn't|didn't|haven't)|about|back|see|until|bye|talk|speak|what|how|where|who|when|why|if|because|that's (?:how|what|why|where)|I|you|he|she|they|there|is|are|it (?:was|will|would|can|could|has|had|does|did|seems|looks|sounds|works|depends)|it's (?:fine|okay|ok|good|great|nice|true|late|time|not|[a-z]+ing)\b|do|does|did|can|could|thanks|thank)\b";
    /// Says that others' words are settled, whatever they were.
    SETTLES = r"(?i)^\W*(?:(?:yes|ok|okay|good|all right)\W+)*(?:agreed|deal|settled|it's a deal|so be it|motion carried|no objections?)\b";
    /// Proposes a way to all, to be accepted by any yes.
    OFFERED = r"(?i)^\W*(?:(?:so|and|then|okay|ok|well|or|(?-i:\p{Lu})[\p{L}'’-]+,)\W+)*(?:how about|should we|do we want to|why not|I(?:'d)? (?:move|propose|recommend|suggest|vote)\b|my (?:proposal|suggestion|vote) (?:is|would be)|would it (?:be (?:okay|ok|all right)|work) if we|can we agree)\b";
    /// Says what would be possible or good; it takes more than a yes to decide on it.
    OFFERED_MILDLY = r"(?i)\b(?:what about|(?:could|can) we|we (?:could|should|might(?: as well)?|ought to|can)|(?:they|it|that) could|I'm for|I'd vote|the best (?:thing|way)|we'd better|put (?:it|them) (?:up|down) to)\b";
    /// Accepts a proposal.
    ACCEPTS = r"(?i)^\W*(?:(?:yes|yeah|oh|okay|ok|well|sure|right|fine|all right)\W+)*(?:agreed|deal|done|accepted|sold|seconded|carried|(?:good|great) idea|good (?:plan|point)|let's do (?:that|it|so)|do (?:that|it|so)|let's\b|I(?:'m| am) (?:all )?(?:for (?:it|that)|in favou?r|with you|on board)|I agree|I second|aye|all in favou?r|in favou?r|makes sense|sounds (?:good|great|right|fair|fine|reasonable|like a plan)|works for (?:me|us)|fine (?:by|with) (?:me|us)|(?:that|this|it) works|(?:we|I) can live with|that(?:'s| is) (?:fine|fair|acceptable|okay|good enough|reasonable)|go for it|by all means|no objections?|we'll do (?:that|it))\b";
    /// Answers what was asked of all.
    DECISIVE = r"(?i)^\W*(?:(?:oh|well|um|uh)\W+)*(?:yes|yeah|yep|no|nope|of course|definitely|absolutely|let's|in|out|both|neither)\b(?:\W+[\w'’-]+)+";
    /// Asks what all should do.
    OF_US = r"(?i)^\W*(?:(?:so|and|but|then|okay|ok|well|or|now)\W+)*(?P<aux>are|shall|should|will|do) we (?:(?:still|really|also|all|even|just|then|now) )*(?P<verb>[a-z]+)\b";
    /// Asks what was, what is or who, not what is to be.
    PAST_QUESTION = r"(?i)^\W*(?:(?:so|and|but|then|okay|ok|well)\W+)*(?:did|was|were|have|has|had|is|am|who|when|why|how|where|does|can you (?:hear|see)|are you|do you)\b";
    /// Says how something is from now on, which agreement makes a decision.
    STATES = r"(?i)\b(?:(?:stays?|remains?) (?:at|as|in|on|the same|open|closed|with|until|where|unchanged)|(?:is|are)(?: now| all)? (?:off|out|on hold|off the table|booked|confirmed|cancell?ed|postponed|fixed|final|frozen)|(?:it|that|they|(?-i:\p{Lu})[\w-]*|[\w-]{4,})'(?:s|re) (?:all )?(?:off|out|gone|dead|on hold|off the table|booked|confirmed|cancell?ed|postponed|final|waived|included|dropped|fixed)\b|(?:moves?|goes) (?:to|into|ahead)|(?:is|are) (?:to be )?(?:moved|postponed|dropped|split|paid|kept|left)|we (?:go|leave|come|keep|take)\b|we get (?:a|an|the) (?:new|proper|better|second|different|bigger|smaller)\b)";
    /// "Second of May it is", whatever came before.
    IT_IS = r"(?i)[\w'’-]+,? it is\W*$";
    /// "That's how it is."
    AS_IT_IS = r"(?i)\b(?:as|what|how|where|who|that|which|whatever|there|here|way|think|believe|say|sure|know) it is\W*$";
    /// "Good, so you take over Leeds."
    SO_THEY = r"(?i)^\W*(?:(?:good|great|fine|right|okay|ok|all right|and)\W+)*(?:so|then)\W+(?:you|he|she|they|(?-i:\p{Lu})[\p{L}'’-]+) (?:takes?|gets?|moves?|starts?|pays?|keeps?|leads?|runs?|joins?|leaves?|stays?|goes|go|becomes?)\b";
    /// "Okay, no live event then."
    NOT_DONE = r"(?i)^\W*(?:okay|ok|right|fine|all right|alright|good|so)\W+(?:then )?no (?:[\w-]+ ){1,5}then\b";
    /// "…, everybody agreed?"
    TAG = r"(?i)[,;]?\s*(?:is that|are we|everybody|everyone|all)?\s*\b(?:agreed|deal|okay|ok|fine|right|correct|yes|yeah|isn't it|aren't they|then)\?$";
    /// Somebody takes something on, or is asked to.
    TRIGGER = r"(?ix)\b(?:
        (?P<let>let\ me|lemme)|(?P<me>I'd\ better|I\ had\ better|I'll|I\ will|I'm\ going\ to|I\ am\ going\ to|I\ promise\ to|I'll\ make\ sure\ to)
        |(?P<shall>shall\ I|should\ I|do\ you\ want\ me\ to)
        |(?:my|our|his|her)\ (?P<helper>[a-z]+)\ will
        |(?P<us>we'll|we\ will|we're\ going\ to)
        |(?P<can>I\ can|I\ could|I\ have\ to|I\ need\ to|I've\ got\ to|I'll\ have\ to|I\ gotta|I've\ to)
        |(?:please\s+)?(?P<you>(?:would|will)\ you\ be\ able\ to|if\ you\ could|do\ you\ think\ you\ could|any\ chance\ you\ could|(?:can|could|would|will)\ you(?:\ please|\ maybe)?)
        |(?P<please>(?:^|then\ |and\ |,\ |so\ )please)
        |(?P<none>(?:we|someone|somebody|one\ of\ us)(?:'ll|\ still|\ also|\ really)*\ (?:need\ to|needs\ to|have\ to|has\ to|should|must|ought\ to|will\ have\ to))
        |(?P<name>(?-i:\p{Lu})[\p{L}'’-]+(?:\ (?-i:\p{Lu})[\p{L}'’-]+)?)(?:
            \ (?:will|is\ going\ to|has\ agreed\ to|promised\ to|needs\ to|has\ to|should)
            |'ll
            |,?\ (?:can|could|would|will)\ you(?:\ please)?
            |,\ please
            |,\ you(?:'ll|\ will)?
        ))\ (?:(?:then|also|just|definitely|please|still|gladly|now|try\ to)\ )*(?P<verb>[\p{L}'-]+)";
    /// "Ask him, would you?"
    REQUEST_TAG = r"(?i)^\W*(?:(?:and|so|then|please|oh|just)\W+|(?-i:\p{Lu})[\p{L}'’-]+, )*(?P<verb>[a-z]+)\b.*?(?P<tag>,? (?:would|will|can|could) you\W*\?)$";
    /// Tells another to do something, plainly: "then disable his account", "first thing, turn it off".
    COMMAND = r"(?i)^\W*(?:(?:okay|ok|so|then|and|well|right|now|first(?: thing)?|please|just|yes|yeah|(?-i:\p{Lu})[\p{L}'’-]+,)\W+)*(?P<verb>[a-z]+)\b";
    /// Takes on what another told one to do.
    WILL_DO = r"(?i)^\W*(?:(?:oh|yes|yeah|yep|ok|okay|sure|fine|right|grand|of course)\W+)*(?:will do|I'll (?:do|take care of|see to|sort) (?:it|that)|I can do (?:it|that)|on it|no (?:problem|bother)|happy to|consider it done|you'll (?:have|get) (?:it|them)|leave (?:it|that) (?:to|with) me|I will)\b";
    /// Takes on what somebody has to do: "I can take that", "give it here", "okay, I'll do it".
    VOLUNTEERS = r"(?i)^\W*(?:(?:oh|well|yes|yeah|ok|okay|fine|right|sure|all right|um|uh)\W+)*(?:I(?:'ll| can| could| will)(?: do| take| handle)? (?:it|that|this|them)\b|(?:give|hand|send) (?:it|that|those|them)(?: over)? (?:here|to me)|leave (?:it|that) (?:to|with) me|I will\b|I can\b|me\b|I'll do\b|I'm on it)";
    /// Takes on what another said is wanted.
    TAKES_OVER = r"(?i)^\W*(?:(?:ok|okay|yes|well|right|fine)\W+)*(?:leave (?:it|that) (?:to|with) me|I'm on it|on it|I'll (?:see to|sort|take care of|deal with|look after) (?:it|that)(?: out)?|consider it done|you'll (?:have|get) (?:it|them))\b";
    /// Somebody says that they will not.
    WILL_NOT = r"(?i)\bI(?: won't| will not| can't| cannot|'m not going to| am not going to) (?P<verb>[\p{L}'-]+)";
    /// What was said before is taken back.
    TAKEN_BACK = r"(?i)\b(?:no,? (?:let's not|wait|forget)|let's not(?: do (?:it|that))?|forget (?:it|that|about (?:it|that)|(?:the|our|my) \w+)|scrap (?:it|that|the \w+)|scratch that|never mind|on second thoughts?|I(?:'ve| have)? changed my mind|actually,? no|I take (?:it|that) back|we(?:'ll| will)? drop (?:it|that|the \w+)|not (?:any ?more|after all))\b";
    /// What was said before is put otherwise.
    INSTEAD = r"(?i)\b(?:actually|instead|rather|make (?:that|it)|make the|or better|better|no,? wait|sorry|after all|correction|I mean|not \w+day)\b";
    YES = r"(?i)^\W*(?:(?:oh|ooh|ah|um|uh|well|and|hm+|ha)\W+)*(?:yes|yeah|correct|understood|done|true|cool|no bother|got it|you got it|you bet|gotcha|fair point|that's fair|(?:we|I) can live with|fine by me|by all means|go ahead|go for it|no objections?|so would I|so do I|I'd (?:prefer|like|love) that|I'm (?:okay|ok|fine|happy|good) with (?:that|it)|I'm (?:all )?for it|count me in|that suits (?:me|us)|suits (?:me|us)|fair enough|grand|brilliant|wonderful|excellent|please do|happy to|(?:[\w'’-]+ ){0,4}[\w'’-]+, (?:yes|yeah|sure|fine|okay|ok|agreed|perfect)|yep|yup|sure|agreed|ok|okay|of course|will do|alright|all right|fine|good|great|lovely|perfect|sounds good|sounds great|that works|works for me|absolutely|definitely|no problem|certainly|gladly|deal|right|exactly|I agree|let's do (?:it|that)|I'll do (?:it|that)|I will|I can do that|same here|me too|(?:[\w-]+ ){1,4}(?:works|is fine|is good|is perfect|suits (?:me|us)))\b";
    /// Takes up what somebody offers.
    THANKS = r"(?i)^\W*(?:(?:oh|great|good|lovely|perfect)\W+)*(?:thanks?|thank you|cheers|please do)\b";
    BUT = r"(?i)\b(?:but|not|no|can't|cannot|don't|won't|wouldn't|later|unsure)\b";
    /// Denials in which nothing is denied.
    NO_BUT = r"(?i)\bno (?:problems?|objections?|worries|extra|bother|trouble|doubt|rush)\b|\bnot a problem\b";
    /// A reply that is no answer.
    NO_ANSWER = r"(?i)(?:\b(?:any(?:body|one)'s guess|that's the question|if I knew|(?:doesn't|does not) say|couldn't see (?:it|why)|(?:it's|that's) a mystery|nobody (?:can (?:tell|say)|knows)|wouldn't like to say|couldn't (?:tell you|say)|in two minds|hangs on|haven't heard|hasn't (?:told|heard)|haven't (?:told|been told)|and then nothing|you never know|wish I knew|I (?:really |honestly |genuinely |just |still )?(?:don't|do not) (?:really |honestly |actually |even )?(?:know|think anyone knows)|I wish I knew|(?:wish|if) I could tell|still nothing|no news|(?:not|isn't) (?:really )?my (?:department|area|call|decision|field)|above my (?:pay ?grade|head)|not (?:up to|for) me|who (?:would|might|could) know|(?:couldn't|can't|haven't been able to) (?:reach|get hold of|get through to) (?:him|her|them)|(?:haven't|have not) (?:seen|noticed) anything|let me ask|(?:don't|do not) want to (?:guess|promise)|wouldn't bet on|(?:can't|cannot) promise|(?:your|anyone's|anybody's) guess is|no idea|good question|not sure|unsure|no clue|nobody knows|we(?:'ll| will) (?:have to )?see|(?:have|need) to (?:check|ask|find out|think|clarify|talk|see)|let me (?:check|think|find out|get back)|get back to you|find out|to be decided|not (?:been )?decided|still open|open question|we don't know|(?:can't|cannot|couldn't) (?:really |honestly )?(?:say|tell)|wouldn't know|no clue|clueless|(?:haven't|have not) (?:decided|thought|figured|heard|asked|checked|found|got (?:that far|round)|the (?:faintest|foggiest|slightest))|(?:hasn't|haven't|has not|have not) (?:yet )?(?:said|answered|replied|decided|come back|got back|confirmed)|(?:don't|do not) have an answer|nothing (?:so far|yet)|not (?:that I know|so far|as far as I know|sure)|sleep on it|I'm torn|in two minds|(?:figure|work) (?:it|that) out|(?:will|'ll) (?:let (?:us|me|you) know|tell us|find out|ask|check|look into)|beats me|who knows|too early to|remains to be seen|couldn't swear|still waiting|waiting (?:for|to hear)|up in the air|to be confirmed|I'd (?:have|need) to (?:ask|check|look|think)|depends|hard to say|take that offline|park that|discuss (?:that|it) (?:later|next time)|keine ahnung|weiß (?:ich |es )?(?:noch )?nicht|je ne (?:le )?sais pas|aucune idée|no lo sé|ni idea|non lo so)\b|^\W*not yet\b)";
    /// The same, so plain that whatever was said before it is no answer either.
    KNOWS_NOT = r"(?i)\b(?:(?:have )?no idea|no clue|I (?:honestly |genuinely |really )?(?:don't|do not) (?:honestly |really )?know(?: what (?:they|he|she|we) do|,? (?:yet|now|honestly|to be honest))?\W*$|I (?:honestly|genuinely|really) (?:don't|do not) know|(?:can't|couldn't|cannot) (?:honestly )?(?:say|tell you)|wouldn't bet on it|let me ask|I'd (?:have|need) to (?:ask|check)|I'm only guessing)\b|\bI'll (?:have to |need to )?(?:ask|check with|find out|look into)\b|\b(?:can't|cannot|couldn't) tell from\b|\b(?:it|that)(?:'s| is|'d be| would be) up to (?-i:\p{Lu})\w+|\bif I knew\b|^\W*nothing\W*$";
    /// An answer that its speaker would not stand for.
    HEDGED = r"(?i)(?:^\W*(?:(?:well|um|uh|hm+|oh|honestly|yeah|no)\W+)*(?:I (?:thought|guess|suppose|assume|assumed)|I'd (?:have )?(?:say|said|guess|guessed|assume|imagine|think|thought)|(?:could|might|may) be\b|maybe\b|perhaps\b|possibly\b|if I (?:had to|were to)|last I heard|as far as I)|\b(?:only|just) (?:a guess|guessing)\b|\bdon't quote me\b)";
    /// Puts off what was asked.
    PUT_OFF = r"(?i)\b(?:(?:let's|let us|we(?:'ll| will)?|I'd|can we|shall we) (?:just |then |better )?(?:park|table|postpone|shelve) (?:it|that|this|the\b)|(?:let's|let us) (?:not (?:do|discuss|have|open) (?:it|that|this) (?:now|today|here|yet)|not (?:decide|solve|settle) (?:it|that|this)|decide (?:it|that|this)|leave (?:it|that|this) open)|(?:won't|can't|don't|needn't|not going to) (?:solve|decide|settle|answer) (?:it|that|this)(?: \w+)?|so we don't know|we(?:'ll| will) (?:decide|see|settle) (?:that|it|this) (?:when|once|after|next|on|later)|(?:come|get) back to (?:it|that|this) (?:when|once|later|next))\b|\b(?:won't|shan't|will not|don't think we'll|not going to) (?:\w+ ){0,2}(?:settle|solve|decide|sort out|work out|get to the bottom of) (?:that|this|it)\b|\blet's not guess\b|\brather not (?:\w+ ){0,2}(?:settle|solve|decide)\b|^\W*(?:okay,? |right,? )?park (?:it|that|this)\b|\bcome back to (?:that|it|this)\b";
    SMALL_TALK = r"(?i)(?:\b(?:can|do|could) (?:you|everyone|everybody|anybody|anyone|all|we) (?:all )?(?:hear|see) (?:me|us|my|you)|is this thing on|how are (?:you|things)|how's it going|how do you do|how can I help|are you (?:there|still there)|is (?:anybody|anyone|everyone|everybody) (?:there|here)|you know\?|right\?$|okay\?$|isn't it\?|who(?:'s| is) (?:there|speaking|calling|this)|what's up|am I (?:audible|on mute)|can I call you back|pardon|say that again|what did you say|come again|who(?: are|'s|'re) you talking to|are you recording|anything else|any(?: other| more)? questions|shall we (?:start|begin)|are we (?:all )?(?:ready|here)|thank you|thanks for|you're welcome|good (?:morning|evening|night|afternoon)\b.{0,12}$|^\W*(?:hi|hello|hey|bye|goodbye)\b.{0,24}$)";
    /// Says when people mean to speak again.
    AGAIN = r"(?i)(?:\b(?:next (?:call|meeting|session|sync|appointment|check-in)|(?:speak|talk|meet|call|sync|catch up|get together|reconvene|see each other)(?: with each other)? (?:again|next)|follow-?up (?:call|meeting)|reconvene|(?:let's|(?:shall|can|could|will|do|should) we|we(?:'ll| will|'re going to)?) (?:all )?(?:speak|talk|meet|catch up|sync|touch base|check in|have another call)\b|(?:see|talk to|speak to) (?:you|ya|ye)(?: all| both| then)? (?:again |next |on |tomorrow|in |at |(?:mon|tues|wednes|thurs|fri|satur|sun)day))|^\W*(?:so |then )?(?:talk|speak|meet) (?:again |next |on |tomorrow|(?:mon|tues|wednes|thurs|fri|satur|sun)day)|\bnext time,|\bsame (?:time|place) )";
    /// Looks for a time to meet or to speak, or says that one comes or calls.
    MEETS = r"(?i)(?:\b(?:(?:can|could|shall|should|will) (?:we|you) (?:(?:all|maybe|perhaps) )?(?:do|say|make it|make|come|meet|try)\b|how(?:'s| is| about)\b|(?:would|does|is) (?:[\w'’]+ ){1,5}(?:suit|suits|work|okay|ok|good|all right)\b|we (?:can )?(?:go (?:over|through) (?:it|that|this|them)|look at (?:it|that|this|them) together)|(?:I|we)(?:'ll|'d| will| can| could|'m going to)(?: probably| just)? (?:be with you|come (?:by|over|round|around|out|in|up|down|to)|see you|pop (?:by|in|over|round)|drop (?:by|in)|visit|call you|ring you|phone you|give you a (?:call|ring|buzz|shout))|sit down|get together)|\bsame time\b|^\W*(?:or )?say\b)";
    /// Says that a time is all right.
    SUITS = r"(?i)\b(?:(?:that|it) (?:suits|works)|suits me|works for me|that's (?:fine|grand|good|perfect|okay|ok|great))\b";
    /// Speaks of doing something together.
    TOGETHER = r"(?i)\b(?:(?:shall|will|do|should|can|could) we|together|meet)\b";
    /// An appointment is being looked for.
    APPOINTMENT = r"(?i)\b(?:appointment|slot|meeting|call|visit|come in)\b";
    /// Something has its day, whoever sees to it.
    DEADLINE = r"(?i)(?:\b(?:I'm|we're|he's|she's|they're) (?:back|off|away|out)\b|\b(?:deadline|due|at the latest|(?:no|not) later than|run(?:s|ning)? out|expires?|expiring|ends?|ending|clos(?:es?|ing)|stops?|starts?|begins?|opens?|comes?|go(?:es)? out|gets? here|takes? place|happens?|deliver(?:s|y)?|scheduled|planned for|kicks? off|(?:comes?|is|are|be) back|runs? (?:to|until|till|through)|holds?|locked|live|returns?|valid until|promised (?:for|by)|(?:must|has to|have to|needs? to|should) (?:be|reach|arrive|get (?:there|here)|go out)|is(?:n't| not) (?:\w+ ){0,3}by|arrives?|goes live|takes effect|lapses?|cut-?off)\b)";
    /// Asks for a day that lies ahead.
    ASKS_WHEN = r"(?i)\b(?:(?:by |until |since )?when (?:is|are|does|do|will|would|should|can|could|shall|must|'s|exactly)|when's|(?:by )?what (?:day|date)|which (?:day|date)|how soon)\b";
    /// A question put as a statement.
    OPEN = r"(?i)\b(?:(?:just )?let (?:me|us) know whether\b|(?:I|we) (?:don't|do not) (?:really )?know (?:yet )?(?:is )?(?:whether|if|who|what|when|how|where|why)|(?:I|we) don't know yet is|(?:it's|it is|that's) (?:still )?(?:open|unclear|not clear) (?:whether|if|who|what|when|how|where)|(?:still|remains) (?:open|to be (?:decided|clarified))|open question is)\b";
    /// "Who tells them?"
    WHO_DOES = r"(?i)^\W*(?:(?:so|and|okay|but)\W+)*(?:who(?:'ll| will| can| could)?) (?P<verb>[a-z]+)\b";
    /// "I will." in answer to it.
    I_DO = r"(?i)^\W*(?:(?:ok|okay|yes|well|right)\W+)*(?:I will|I'll do (?:it|that)|I can(?: do (?:it|that))?|I do|me|I'll take (?:it|that)(?: on)?|leave (?:it|that) (?:to|with) me)\W*$";
    /// A sum or a share.
    AMOUNT = r"(?ix)(?:
        [€$£¥]\s?\d[\d.,]*(?:\s?(?:k|m|bn|thousand|million|billion)\b)?
        |(?:\b\d[\d.,]*\s?(?:k|m|bn|thousand|million|billion|mille|tausend|mil|millionen|millions)?\s?(?:%|percent\b|per\ cent\b|euros?\b|€|dollars?\b|pounds?\b|francs?\b|cents?\b|pence\b|quid\b|bucks\b|grand\b|rupees?\b|kron(?:or|er|en|a)\b|yen\b|sats?\b|prozent\b|franken\b|pour\ cent\b|por\ ciento\b|per\ cento\b))
        |\b\d[\d.,]*\s?(?:k|thousand|million|billion)\b
        |\b(?:(?:WORDS)(?:[\s-]+(?:and\s+)?(?:WORDS))*)[\s-]+(?:percent|per\ cent|euros?|dollars?|pounds?|francs?|cents|pence|quid|bucks|rupees?|kron(?:or|er|en|a)|yen|sats?|prozent|franken|pour\ cent|por\ ciento|per\ cento)\b
        |\b(?:WORDS)(?:[\s-]+(?:and\s+)?(?:WORDS))*[\s-]+(?:thousand|million|billion|grand|lakhs?|crores?)\b(?:[\s-]+(?:and\s+)?(?:WORDS))*
        )".replace("WORDS", &number_words()).as_str();
}

/// A pattern of number words: English, French, German, Spanish, Italian.
fn number_words() -> String {
    let english = number_words::words().collect::<Vec<_>>().join("|");
    format!(r"(?:{english}|{OTHER_NUMBER_WORDS})\b")
}

/// Those of English that stand for no number below a hundred, and of the other languages.
const OTHER_NUMBER_WORDS: &str = r"a|hundred|lakhs?|crores?|thousand|million|billion|half|grand|point|un|une|deux|trois|quatre|cinq|sept|huit|neuf|dix|onze|douze|quinze|vingt|trente|quarante|cinquante|soixante|cent|cents|mille|ein|eine|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|\w*zig|\w*hundert\w*|\w*tausend\w*|\w*mila|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|cien|ciento|mil|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|cento";

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        assert!(super::compile_all() > 20);
    }
}
