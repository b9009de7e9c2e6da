"""What people write back who have something already, want it later, or don't want it, in several languages."""

from collections.abc import Sequence

from orchestrator.stop_phrases import Sign, sign

# In order of precedence.
REFUSALS: Sequence[Sign] = (
    sign(
        "has_one",
        "already_have_solution",
        r"\blocked in\b|\b(?:have|got|using|use) (?:a |an |another |our own |one )?(?:tool|vendor|system|solution"
        r"|platform|partner|agency|provider)s?\b.{0,20}\b(?:for|that does|this|already|thanks)\b|\b(?:just"
        r"|recently) (?:signed|bought|renewed|rolled out|implemented|switched)\b|\b(?:signed|went"
        r"|going) with (?:one of|a|another|your)\b.{0,15}\bcompetitor\w*\b",
        r"\b(?:team|we|they) built (?:something|this|it|one|our own)\b|\bbuild (?:all |most )?(?:of )?(?:that|this"
        r"|it)? ?in-?house\b|\b(?:all|everything|this|that|it) (?:of (?:that|this|it) )?in-?house\b"
        r"|\bkeep it that way\b",
        r"\b(?:haben|nutzen|setzen|arbeiten)\b.{0,30}\b(?:bereits|schon)\b|\b(?:bereits|schon) (?:einen|eine|ein"
        r"|mit|versorgt|gut aufgestellt)\b|\bintern (?:gelost|abgedeckt)\b|\bsind (?:gut )?versorgt\b"
        r"|\bsetzen auf\b|\bvertraglich gebunden\b",
        r"\b(?:avons|utilisons|travaillons|sommes)\b.{0,15}\bdeja\b|\bdeja (?:un|une|avec|en place|equip\w+)\b"
        r"|\bprestataire (?:actuel|en place)\b|\ben interne\b",
        r"\bya (?:contamos|tenemos|disponemos|trabajamos|usamos|estamos)\b|\b(?:proveedor|herramienta"
        r"|solucion) (?:actual|propia)\b|\bsolucion interna\b",
        r"\b(?:abbiamo|usiamo|utilizziamo|lavoriamo|siamo)\b.{0,15}\bgia\b|\bgia (?:un|una|con|coperti)\b"
        r"|\bfornitore attuale\b|\binternamente\b",
        r"\b(?:hebben|gebruiken|werken|zijn|doen)\b.{0,25}\b(?:al|reeds|intern|zelf)\b|\bhuidige leverancier\b"
        r"|\bal voorzien\b|\bovergestapt\b|\bja (?:temos|usamos|utilizamos|trabalhamos|contamos)\b"
        r"|\bfornecedor atual\b|\bsolucao (?:propria|interna)\b",
        r"\b(?:built|build|have|has) (?:\w+ ){1,3}(?:internally|ourselves|of our own)\b",
        r"\b(?:we|i)(?:'ve| have|ve)? (?:already|currently) (?:have|use|using|work|got|run|built|are using"
        r"|partner\w*|working)\b",
        r"\balready (?:have|using|use|work(?:ing)? with|covered|in place|got|sorted|solved)\b",
        r"\bwe use [a-z0-9]+\b",
        r"\b(?:happy|satisfied|good|fine|set) with (?:our|what we|the|my|[a-z]+$)",
        r"\b(?:built|build|do|handle|doing) (?:this |it |that )?in[- ]?house\b",
        r"\b(?:current|existing) (?:vendor|provider|solution|tool|partner|supplier|agency)\b",
        r"\bunder contract\b|\block(?:ed)? in(?:to)?\b.{0,20}\bcontract\b",
        r"\ball set\b|\bwere covered\b",
        r"\b(?:haben|nutzen|verwenden) (?:wir )?(?:bereits|schon)\b|\bbereits (?:eine losung|im einsatz"
        r"|versorgt)\b",
        r"\bnous (?:avons|utilisons) deja\b|\bdeja (?:equipes?|une solution)\b",
        r"\bya (?:tenemos|usamos|utilizamos|contamos)\b",
        r"\babbiamo gia\b|\bgia (?:utilizziamo|usiamo)\b",
        r"\bwe hebben al\b|\bal een oplossing\b",
        r"\bja (?:temos|usamos|utilizamos)\b",
    ),
    sign(
        "later",
        "bad_timing",
        r"\btiming (?:is|was|isnt|could)\b.{0,15}\b(?:bad|off|wrong|poor|better|great|ideal)?\b|\bdrop me a line\b"
        r"|\b(?:come|get|circle|check) back\b.{0,30}\b(?:spring|summer|autumn|fall|winter|quarter|year|q[1-4])\b"
        r"|\bfroze|\bfrozen\b|\bfreeze\b|\b(?:after|until|once|when)\b.{0,30}\b(?:merger|migration|audit|funding"
        r"|round|reorg\w*|launch|fiscal|year-?end|holidays?|summer|quarter)\b|\bmid[- ](?:january|february|march"
        r"|april|may|june|july|august|september|october|november|december)\b",
        r"\b(?:momentan|derzeit|aktuell|gerade|vorerst|zur ?zeit|im augenblick|dieses jahr)\b.{0,30}\b(?:nicht"
        r"|kein\w*|keine kapazitat\w*|andere prioritat\w*|viel)\b|\bfruhestens\b|\b(?:nachsten|kommenden|kommendes"
        r"|nachstes|nachster)\b.{0,12}\b(?:monat|jahr|quartal|woche|fruhjahr|sommer|herbst|winter)\b|\b(?:in"
        r"|nach) (?:\w+ )?(?:wochen|monaten|dem sommer|den ferien|jahreswechsel)\b|\b(?:melden sie sich"
        r"|kommen sie)\b.{0,40}\b(?:wieder|noch ?mal|noch einmal|im|in|nach|q[1-4])\b|\bkeine kapazitat\w*\b",
        r"\b(?:en ce moment|pour le moment|actuellement|pour l'instant)\b.{0,30}\b(?:pas|ne|n'|plein\w*|trop)\b"
        r"|\b(?:revenez|recontactez|rappelez|relancez)\b.{0,30}\b(?:dans|en|apres|vers|au)\b|\bdans (?:quelques"
        r"|\w+) (?:mois|semaines)\b|\bapres (?:l'ete|les vacances|la rentree)\b|\ba la rentree\b"
        r"|\bpas le bon moment\b|\ben pleine? \w+",
        r"\b(?:ahora mismo no|en este momento no|de momento no|por el momento)\b|\b(?:escribame|escribeme"
        r"|contacteme|contactame|vuelva|vuelve|hablemos|llameme|retomemos\w*)\b.{0,35}\b(?:despues|en|mas adelante"
        r"|tras|dentro|pasado)\b|\bdespues (?:del|de) (?:verano|vacaciones|navidad)\b|\bdentro de \w+ (?:meses"
        r"|semanas)\b|\bno es buen momento\b",
        r"\b(?:in questo momento|al momento|per ora|adesso|attualmente)\b.{0,15}\b(?:no|non)\b|\b(?:risentiamoci"
        r"|sentiamoci|ricontatt\w+|riparliamone|mi ricontatti|scrivetemi|torni)\b.{0,30}\b(?:a|tra|fra|in|dopo"
        r"|piu avanti|nel)\b|\bdopo (?:l'estate|le ferie|le vacanze|natale)\b|\b(?:tra|fra) \w+ (?:mesi"
        r"|settimane)\b",
        r"\b(?:nu|op dit moment|momenteel|voorlopig)\b.{0,15}\b(?:even )?(?:niet|geen)\b|\bna de (?:zomer|vakantie"
        r"|feestdagen)\b|\bover (?:een|enkele|\w+) (?:maanden|weken)\b|\b(?:probeer|kom|neem|mail"
        r"|bel)\b.{0,30}\b(?:later|opnieuw|nog eens|terug|na)\b|\bvolgende? (?:maand|jaar|kwartaal)\b",
        r"\b(?:agora|neste momento|de momento|por enquanto|por agora|no momento)\b.{0,20}\b(?:nao|sem)\b"
        r"|\bnao e (?:um |o )?(?:bom|melhor) momento\b|\b(?:volte|fale|contacte-me|escreva-me"
        r"|retome\w*)\b.{0,40}\b(?:em|depois|daqui|mais tarde|apos)\b|\bdepois (?:do|das) (?:verao|ferias)\b"
        r"|\bdaqui a \w+ (?:meses|semanas)\b",
        r"\b(?:try|contact|ping|email|call|ask) (?:me|us) (?:again|back|later)\b",
        r"\b(?:until|after|till) (?:q[1-4]|january|february|march|april|may|june|july|august|september"
        r"|october|november|december)\b|\bheads down\b",
        r"\bin (?:two|three|four|five|six|nine|twelve|a few|a couple of) (?:weeks|months)\b",
        r"\bim (?:herbst|fruhjahr|fruhling|sommer|winter|januar|februar|marz|april|mai|juni|juli|august"
        r"|september|oktober|november|dezember)\b|\bspater (?:noch ?mal|wieder)\b",
        r"\ben (?:janvier|fevrier|mars|avril|juin|juillet|aout|septembre|octobre|novembre|decembre|enero"
        r"|febrero|marzo|abril|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)\b",
        r"\bnot (?:right )?now\b|\bnot (?:interested )?(?:at (?:this|the) (?:time|moment|point)|currently"
        r"|today|yet|this (?:quarter|year|month))\b|\bnot interested (?:right )?now\b",
        r"\b(?:next|following) (?:quarter|year|month|spring|summer|fall|autumn|winter)\b",
        r"\b(?:circle|check|come|reach|get|follow|touch|ping|try|contact|connect|talk|reconnect|revisit"
        r"|write)\b.{0,30}\b(?:in|after|around|by|mid|early|late|until)\b.{0,15}\b(?:q[1-4]|january"
        r"|february|march|april|may|june|july|august|september|october|november|december|\d+ (?:weeks?"
        r"|months?)|a (?:few |couple of )?(?:weeks?|months?)|the (?:new year|summer|holidays?|fall)"
        r"|20\d\d)\b",
        r"\b(?:circle|check|come|reach|get) back (?:later|in|after|next|to me (?:in|later|next))\b",
        r"\b(?:bad|wrong|poor|not the (?:right|best)|not a good) tim(?:e|ing)\b",
        r"\b(?:too|very|really|quite|super|swamped|crazy) busy\b|\bswamped\b|\bno bandwidth\b|\bon hold\b",
        r"\b(?:maybe|perhaps) later\b|\blater this year\b|\brevisit\b|\bbudget cycle\b|\bin q[1-4]\b",
        r"\b(?:spater|im moment nicht|derzeit nicht|aktuell (?:nicht|kein)|zurzeit nicht|nachstes (?:jahr"
        r"|quartal)|nachsten monat)\b",
        r"\b(?:plus tard|pas (?:pour l'instant|maintenant|le moment)|l'annee prochaine|prochain trimestre)\b",
        r"\b(?:mas adelante|ahora no|no es (?:el )?(?:buen )?momento|proximo (?:ano|trimestre|mes)"
        r"|por ahora no)\b",
        r"\b(?:piu avanti|non (?:ora|adesso|al momento)|in futuro)\b|\b(?:later misschien|nu niet"
        r"|volgend (?:jaar|kwartaal))\b",
        confidence=0.8,
    ),
    sign(
        "no",
        "not_interested",
        r"\b(?:we|were|im|i am) good\b|\bnah\b|\bnot (?:our|my) (?:thing|cup of tea)\b|\bno,? (?:im"
        r"|we(?:re)?) (?:fine|good|ok)\b|\b(?:doesnt|does not) (?:fit|apply|suit|interest)\b|\bnot (?:something"
        r"|anything) (?:for )?(?:we|us|i)\b|\bwe wont be\b|\bthanks but (?:no|well|we)\b",
        r"\b(?:passt|past) (?:leider )?nicht\b|\bnicht(?:s)? (?:fur uns|relevant|das richtige|interessant"
        r"|passend)\b|\bsehen (?:wir )?(?:keinen|aktuell keinen)\b|\bhaben keinen? (?:bedarf|interesse"
        r"|verwendung)\b|\bdanke,? (?:aber )?nein\b|\bnein\b|\bkein thema (?:fur uns)?\b"
        r"|\blehnen (?:wir )?(?:dankend )?ab\b",
        r"\bne (?:correspond|repond|convient|concerne)\w* pas\b|\bpas (?:pour nous|concern\w+|notre besoin"
        r"|interess\w+)\b|\bne (?:sommes|suis) pas (?:interess\w+|concern\w+|preneur\w*)\b|\bsans suite\b"
        r"|\bdeclin\w+\b|\bnous n'avons pas (?:besoin|l'utilite)\b|^non\b",
        r"\bno (?:nos|me) (?:encaja|interesa|hace falta)\b|\bno (?:es|encaja|estamos|necesitamos"
        r"|buscamos)\b.{0,20}\b(?:para nosotros|lo que|interesad\w+|con nosotros|buscando|nada)\b|\bdeclinamos\b"
        r"|\bno,? (?:muchas )?gracias\b",
        r"\bnon (?:ci|mi|fa) (?:serve|interessa|al caso|per noi)\b|\bnon (?:e|fa|siamo"
        r"|abbiamo) (?:\w+ )?(?:per noi|al caso nostro|interessat\w+|bisogno|adatto|necessita)\b|\bno,? grazie\b"
        r"|\bdeclin\w+\b",
        r"\b(?:is|lijkt) (?:dit |me |ons )?(?:niets|niks|niet iets) voor (?:ons|mij)\b|\bgeen (?:behoefte"
        r"|belangstelling|interesse)\b|\bniet (?:relevant|interessant|geschikt|van toepassing)\b|\bpast niet\b"
        r"|\bnee\b|\bnao (?:e|faz|se enquadra|se aplica|precisamos|necessitamos)\b.{0,20}\b(?:para nos|sentido"
        r"|connosco|aqui|de)?\b|\bsem interesse\b|\bnao,? obrigad\w\b",
        r"\b(?:were|we are|im|i am|all) good\b(?!.{0,20}\b(?:to go|with that|time)\b)",
        r"\b(?:isnt|is not|dont think (?:this|it|thats)(?: is|s)?|nicht) (?:\w+ )?(?:for|fur) (?:us|me"
        r"|uns)\b",
        r"\bnot (?:\w+ )?interested\b|\bno interest\b|\bnot of interest\b|\buninterested\b",
        r"\bno,? (?:thanks?|thank you|thx|ty)\b|\bthanks?,? but no\b|\bno,? but thanks\b",
        r"^(?:no|nope|nah|pass|hard pass|no pass|not for (?:us|me))$",
        r"\b(?:ill|we'?ll|well|i will|we will|going to|gonna|have to|i'll) (?:have to )?pass\b"
        r"(?! (?:this|it|that|your|along|you|them)\b)(?! on (?:your|the) (?:details|info|note|message"
        r"|e-?mail))",
        r"\bnot (?:for us|for me|a (?:good |great )?(?:fit|match|priority)|relevant|something we|looking"
        r"|needed|what we need|in the market|applicable)\b",
        r"\b(?:do not|dont|no) (?:have (?:a|any) )?need\b|\bnot needed\b|\bdecline\b",
        r"\bkein(?:en|e)? (?:interesse|bedarf)\b|\bnicht interessiert\b|\bnein,? danke\b"
        r"|\bkommt (?:fur uns )?nicht in frage\b",
        r"\bpas interesse(?:e|s)?\b|\bnon,? merci\b|\bpas besoin\b|\bne (?:nous|m') ?interesse pas\b",
        r"\bno (?:me|nos|estoy|estamos) interes\w*\b|\bno,? gracias\b|\bno necesit\w+\b",
        r"\bnon (?:sono|siamo|mi|ci) interess\w*\b|\bno,? grazie\b",
        r"\b(?:geen interesse|niet geinteresseerd|nee,? (?:bedankt|dank))\b",
        r"\bnao (?:tenho|temos|estou|estamos) interess\w*\b|\bnao,? obrigad[oa]\b",
    ),
)
