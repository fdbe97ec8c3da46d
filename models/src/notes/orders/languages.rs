//! Orders to the machine in German, French, Spanish and Italian: the languages whose small words notes know.

/// As in [`super::wording`].
pub(super) const UNMISTAKABLE: &[&str] = &[
    // German: its instructions, its names, what the notes are to say.
    r"\bignorier\w* (?:{WORDS} ){0,5}(?:anweisung\w*|instruktion\w*|regeln|vorgaben|befehle)\b",
    r"\b(?:vergiss|vergessen sie)(?: bitte| jetzt| einfach| nun)* (?:alles|alle|die|deine|ihre|sämtliche)\b.{0,40}?(?:anweisung\w*|instruktion\w*|regeln|vorgaben|gesagt\w*|besprochen\w*|gehört\w*|bisher|vorher)\b",
    r"^\W*(?:(?:liebe[rs]?|hallo|hey|bitte|und|also|so|na|achtung|ok|okay|gut|sehr geehrte[rs]?)\W+)*(?:\w*protokoll(?:programm|bot|ki|führer(?:in)?|assistent(?:in)?|software|maschine)|notiz(?:bot|programm|assistent(?:in)?|ki)|mitschreiber(?:in)?|schreibprogramm|schriftführer(?:in)?|künstliche intelligenz|k\.?i\.?|(?:chat)?bot|assistent(?:in)?|maschine|computer|roboter|sprachmodell)\s*[,:!?.]",
    r"\bliebe[rs]? (?:protokoll\w*|notiz\w*|k\.?i\.?|künstliche intelligenz|\w*bot|assistent(?:in)?|maschine|computer|roboter)\b|,\s*(?:k\.?i\.?|assistent(?:in)?|bot)\s*,",
    r"\b(?:ins|in das|in die|im|in der|in den|fürs|für das|für die|zum|zu) (?:{WORD} )?(?:protokoll|zusammenfassung|notizen|mitschrift|niederschrift|gesprächsnotiz)\b.{0,30}?\b(?:gehört|kommt|soll\w*|muss|müsste|rein|hinein)\b",
    r"\b(?:das|die|dein|deine|ihr|ihre|unser|unsere) (?:protokoll|zusammenfassung|notizen|mitschrift|niederschrift|gesprächsnotiz) (?:soll\w*|muss|müssen|müsste\w*|hat zu|haben zu) .{0,40}?\b(?:sagen|lauten|stehen|enthalten|erwähnen|festhalten|heißen|vermerken|dass)\b",
    r"\b(?:wer|was) (?:auch immer )?(?:hier |da |das |gerade )*(?:mitschreibt|mithört|protokolliert|aufzeichnet)\b",
    r"\b(?:tu|stell dir vor|spiel) .{0,30}?\b(?:k\.?i\.?|künstliche intelligenz|assistent(?:in)?|protokollführer(?:in)?|bot)\b",
    // French.
    r"\b(?:ignore[rz]?|oublie[rz]?)(?: donc| maintenant| bien)* (?:tout|toutes|tes|vos|les|ces)\b.{0,40}?(?:instructions|consignes|règles|dit|dite|avant|précédent\w*)\b",
    r"^\W*(?:(?:et|alors|bon|cher|chère|s'il (?:te|vous) plaît|dis|dites|bonjour|ok)\W+)*(?:assistante?|i\.?a\.?|intelligence artificielle|robot|machine|ordinateur|bot|logiciel|preneu(?:r|se) de notes|transcripteur)\s*[,:!?.]",
    r"\bch(?:er|ère) (?:assistante?|robot|machine|ordinateur|bot|logiciel|i\.?a\.?)\b|,\s*(?:assistante?|i\.?a\.?)\s*,",
    r"\b(?:le|la|les|votre|ton|ta|vos|tes|notre) (?:compte[- ]rendu|résumé|procès[- ]verbal|notes|transcription|synthèse|relevé) (?:doi\w+|dev\w+|va|vont|dira|diront) .{0,25}?\b(?:dire|indiquer|mentionner|préciser|contenir|montrer|comporter|que)\b",
    r"\bdans (?:le|la|les|votre|ton|vos|notre) (?:compte[- ]rendu|résumé|procès[- ]verbal|notes|transcription|synthèse)\b.{0,20}?\b(?:il faut|il doit|doit figurer|écri\w+|notez|note|mets|mettez|ajoute[rz]?)\b",
    r"\b(?:celui|celle|ce) qui (?:écrit|note|écoute|transcrit|enregistre)\b|\b(?:imagine[rz]?|fais comme si|faites comme si|joue[rz]?)\b.{0,30}?\b(?:i\.?a\.?|assistante?|robot|intelligence artificielle)\b",
    // Spanish.
    r"\b(?:ignora|ignore|ignorad|ignoren|olvida|olvide|olvidad|olviden)(?: ya| ahora)* (?:todo|toda|todas|todos|las|los|tus|sus)\b.{0,30}?(?:instrucciones|reglas|órdenes|indicaciones|dicho|anterior\w*)\b",
    r"^\W*(?:(?:y|oye|oiga|hola|querid[oa]|por favor|bueno|vale|entonces)\W+)*(?:asistente|i\.?a\.?|inteligencia artificial|robot|máquina|ordenador|computadora|bot)\s*[,:!?.]",
    r"\bquerid[oa] (?:asistente|robot|máquina|ordenador|bot|i\.?a\.?)\b|,\s*(?:asistente|i\.?a\.?)\s*,",
    r"\b(?:el|la|las|tu|su|tus|sus) (?:acta|resumen|notas|transcripción|minuta) (?:debe\w*|tiene\w* que|ha de|han de|dirá\w*|va a) .{0,20}?\b(?:decir|poner|incluir|mencionar|reflejar|constar|que)\b",
    r"\ben (?:el|la|las|tu|su) (?:acta|resumen|notas|transcripción|minuta) (?:{WORD} ){0,2}?(?:tiene que|debe|hay que|pon|ponga|poned|escrib[ae]|anot[ae]|que conste|que ponga)\b|\bque conste en (?:el )?acta\b",
    r"\b(?:quien|el que|lo que) (?:esté |está )?(?:escrib\w+|tom\w+ notas|escuch\w+|transcrib\w+)\b|\b(?:imagina|finge|haz como si)\b.{0,30}?\b(?:i\.?a\.?|asistente|robot|inteligencia artificial)\b",
    // Italian.
    r"\b(?:ignora|ignori|ignorate|dimentica|dimentichi|dimenticate)(?: ora| adesso)* (?:tutt\w+|le|i|gli|ogni|quello)\b.{0,30}?(?:istruzioni|regole|indicazioni|ordini|detto|prima)\b",
    r"^\W*(?:(?:e|ehi|ciao|car[oa]|per favore|allora|ecco|senti|senta|va bene)\W+)*(?:assistente|i\.?a\.?|intelligenza artificiale|robot|macchina|computer|bot)\s*[,:!?.]",
    r"\bcar[oa] (?:assistente|robot|macchina|computer|bot|i\.?a\.?)\b|,\s*(?:assistente|i\.?a\.?)\s*,",
    r"\b(?:il|lo|la|gli|le|tuo|tua|suo|sua) (?:verbale|riassunto|appunti|note|trascrizione|sommario|resoconto|sintesi) (?:dev\w+|dovr\w+|dirà|va|vanno) .{0,20}?\b(?:dire|riportare|contenere|menzionare|indicare|che)\b",
    r"\b(?:nel|nella|negli|nelle) (?:verbale|riassunto|appunti|note|trascrizione|sommario|resoconto|sintesi) (?:{WORD} ){0,2}?(?:deve|devi|bisogna|va|scriv[ai]|metti|metta|annot[ai])\b",
    r"\b(?:chi|chiunque) (?:sta )?(?:scriv\w+|ascolt\w+|trascriv\w+|prend\w+ appunti|prend\w+ nota)\b|\b(?:immagina|fingi|fai finta)\b.{0,30}?\b(?:i\.?a\.?|assistente|robot|intelligenza artificiale)\b",
];

/// As in [`super::wording`].
pub(super) const DOUBTFUL: &[&str] = &[
    // German.
    r"\b(?:schreib|schreibe|schreiben sie|notier|notiere|notieren sie|vermerke?|vermerken sie|nimm|nehmen sie|trage?|tragen sie|setze?|setzen sie|füge?|fügen sie|erwähne?|erwähnen sie|halte?|halten sie)\b.{0,60}?\b(?:ins|in das|in die|im|in der|in den|zu|zum) (?:protokoll|zusammenfassung|notizen|mitschrift|niederschrift)\b",
    r"\b(?:schreib|schreibe|schreiben sie|notier|notiere|notieren sie|vermerke?|vermerken sie|halte?|halten sie|trage?|tragen sie)(?: (?:bitte|auch|mal|noch|jetzt|außerdem|das|es))*(?: (?:auf|fest|ein|mit))?,? dass\b",
    r"\b(?:füge?|fügen sie|lege?|legen sie|erstelle?|erstellen sie|trage?|tragen sie) (?:bitte |noch |auch )*(?:eine?n? )?(?:{WORD} )?(?:aufgabe|aktion|beschluss|to-?do|entscheidung)\b",
    // French.
    r"\b(?:écris|écrivez|note|notez|mets|mettez|ajoute|ajoutez|inscris|inscrivez|mentionne[rz]?|marque[rz]?|indique[rz]?|consigne[rz]?)\b.{0,40}?\b(?:dans|au|aux|sur) (?:le |la |les |votre |ton |vos |tes |notre )?(?:compte[- ]rendu|résumé|procès[- ]verbal|notes|transcription|synthèse)\b",
    r"(?:^|[,;:]\s*|\b(?:et|puis|alors|bien|aussi|donc|vous plaît|te plaît)[\s,]+)(?:écris|écrivez|note|notez|inscris|inscrivez|marque|marquez|consigne[zr]?|mentionne[zr]?)(?: bien| aussi| donc| également| là| ici)* que\b",
    r"\bajoute[rz]? (?:aussi |donc )?(?:une|un|l') ?(?:action|tâche|décision)\b",
    // Spanish.
    r"\b(?:escribe|escriba|escribid|anota|anote|pon|ponga|poned|añade|añada|apunta|apunte|incluye|incluya)\b.{0,40}?\ben (?:el|la|las|tu|su) (?:acta|resumen|notas|transcripción|minuta)\b",
    r"(?:^|[,;:]\s*|\b(?:y|e|por favor|también|además|luego)[\s,]+)(?:escribe|escriba|anota|anote|apunta|apunte|pon|ponga|registra|registre)(?: también| bien| ahí| además)* que\b",
    r"\b(?:añad[ea]|agreg[au]e?|crea|cree) (?:también )?(?:una|un) (?:tarea|acción|decisión)\b",
    // Italian.
    r"\b(?:scrivi|scriva|scrivete|annota|annoti|metti|metta|mettete|aggiungi|aggiunga|inserisci|inserisca|segna|segni)\b.{0,40}?\b(?:nel|nella|negli|nelle|a) (?:verbale|riassunto|appunti|note|trascrizione|sommario|resoconto)\b",
    r"(?:^|[,;:]\s*|\b(?:e|poi|anche|ecco|per favore|allora)[\s,]+)(?:scrivi|scriva|annota|annoti|segna|segni|metti|registra|registri)(?: anche| bene| pure| qui)* che\b",
    r"\baggiung[ia] (?:anche |pure )?(?:un|una|un') ?(?:compito|azione|decisione|attività)\b",
];
