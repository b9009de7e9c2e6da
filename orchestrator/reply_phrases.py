"""What people write back when they talk to us, in several languages, in order of precedence."""

import re
from collections.abc import Sequence

from orchestrator.rules import ReplyClass
from orchestrator.stop_phrases import Sign, sign

LEFT = sign(
    "left",
    "left_company",
    r"\b(?:doesnt|does not|dont|do not) work (?:here|there|for|at|with)\b.{0,20}(?:anymore|any more"
    r"|any longer|$|\.)",
    r"\bi (?:have|ve)? ?left (?!you|me|a |an |the (?:office|building))[a-z0-9]+",
    r"\b(?:no longer|not) (?:\w+ )?(?:work(?:s|ing)?|employed|with|at|part of)\b.{0,30}\b(?:here|company"
    r"|firm|organi[sz]ation|for|with|at|team)\b",
    r"\b(?:has|have) left\b.{0,20}\b(?:company|firm|organi[sz]ation|us|business|role)\b",
    r"\bno longer (?:with|at) [a-z0-9]",
    r"\bleft the (?:company|firm|organi[sz]ation)\b",
    r"\b(?:has|have) retired\b",
    r"\bnicht mehr (?:im unternehmen|fur\b.{0,30}tatig|in unserem|bei uns|tatig)",
    r"\bne (?:travaille|fait) plus\b|\ba quitte (?:l'entreprise|la societe|l entreprise)\b",
    r"\bya no (?:trabaja|trabajo|forma parte)\b",
    r"\bnon lavora piu\b",
    r"\bwerkt niet (?:meer|langer)\b",
    r"\bnao trabalha mais\b",
    confidence=0.9,
)

# After those that stop, in order of precedence.
CONVERSATION: Sequence[Sign] = (
    sign(
        "wrong_person",
        "referral",
        r"^(?:please )?(?:talk|speak|reach out|write) to [a-z]+",
        r"\b(?:isnt|is not|not) my (?:area|department|responsibility|job|topic|call|decision)\b"
        r"|\btry (?:our|the|my) \w+ team\b",
        r"\bwenden sie sich\b",
        r"\b(?:not|isnt|am not|im not) (?:really )?the (?:right|best|correct) (?:person|contact|one)\b",
        r"\bwrong (?:person|contact|department|guy)\b",
        r"\b(?:you should|please|best to|better to|id suggest you|try to|try) (?:talk|speak|reach out"
        r"|contact|reaching out|write|email|ask|connect"
        r"|get in touch)(?:ing)?\b(?! me\b)(?! back\b)(?! again\b)(?! (?:to )?us\b)",
        r"\bnicht (?:der|die) (?:richtige|zustandige)\b|\bnicht zustandig\b|\bwenden sie sich an\b",
        r"\bpas la bonne personne\b|\bpas le bon interlocuteur\b|\bveuillez contacter\b",
        r"\bno soy la persona\b|\bpersona (?:equivocada|incorrecta)\b|\bcontacte (?:a|con)\b",
    ),
    sign(
        "passed_on",
        "referral",
        r"\bpass(?:ed|ing)? on (?:your|the) (?:details|info|note|message|e-?mail)\b",
        r"\b(?:pass|passed|passing|forward|forwarded|forwarding|hand|handed|send|sent|sending) (?:this|it"
        r"|your (?:\w+ )?(?:e-?mail|note|message|details|info\w*)|you) (?:along|on|over|to (?:my|our"
        r"|the) \w+)\b",
        r"\b(?:loop(?:ed|ing)? in|cc'?(?:ing|ed|d)?|copy(?:ing)?|copied|adding) (?:in )?(?:my|our"
        r"|the) (?:colleague|boss|manager|team\w*|coo|cro|ceo|vp|head|director|assistant)\b",
        r"\b(?:handles|owns|is responsible for|is in charge of|looks after) (?:this|that|these|it)\b",
        r"\bich leite (?:es|das|ihre)\b|\bweitergeleitet\b",
        r"\bje transfere\b|\bj'ai transmis\b|\breenvi(?:o|ado|e)\b",
    ),
    sign(
        "demo",
        "meeting_request",
        r"\b(?:book|schedule|arrange|get|see|request|want|like|have|do|give (?:me|us)) (?:me |us )?(?:a "
        r"|the |to see a )?(?:product |live )?demo\b",
        r"\bdemo (?:please|next|this|tomorrow|on)\b",
        r"^demo\b",
    ),
    sign(
        "time",
        "meeting_request",
        r"\b(?:can|could|would|shall|should) (?:you|we) (?:do|meet|talk|speak|chat"
        r"|make)\b.{0,30}\b(?:monday|tuesday|wednesday|thursday|friday|tomorrow|next|this|am|pm|\d{1,2})\b",
        r"\bset up \d+ min\w*\b|\bcalendly\b|\byour (?:calendar|availability)\b|\bmy calendar\b",
        r"\bfree for (?:a|an) (?:\w+ )?(?:call|chat|meeting)\b|\bjump on a call\b",
        r"\b(?:set up|schedule|book|arrange|find|hop on|jump on|have|do|grab|put in|organi[sz]e) (?:a "
        r"|some |an |us a )?(?:\w+ )?(?:call|time|meeting|chat|slot|intro|coffee|conversation|zoom"
        r"|teams)\b",
        r"\b(?:send|share|shoot) (?:me |over |us )?(?:a |an |your |the |some )?(?:\w+ )?(?:calendar"
        r"|calendly|invite|invitation|availability|times|slots|link to book|booking link)\b",
        r"\b(?:are you|im|i am|were|we are) (?:free|available)\b",
        r"\b(?:how about|does|would|can we (?:do|talk|meet)|lets (?:do|talk|meet|chat|connect"
        r"|speak))\b.{0,30}\b(?:monday|tuesday|wednesday|thursday|friday|tomorrow|next week|this week"
        r"|\d{1,2}(?::\d\d)? ?(?:am|pm))\b",
        r"\b(?:happy|glad|open|keen|love|like) to (?:chat|talk|meet|have a (?:call|chat)|speak|connect"
        r"|hop on|jump on|get on)\b",
        r"\blets (?:talk|chat|meet|connect|speak)\b",
        r"\b(?:call|ring|phone) me\b",
        r"\btermin (?:vereinbaren|machen|vorschlagen)\b|\btelefonieren\b",
        r"\b(?:prendre|fixer|caler) (?:un )?(?:rendez[- ]vous|rdv|creneau)\b",
        r"\b(?:agendar|programar|concertar) (?:una )?(?:llamada|reunion)\b",
        r"\bfissare (?:una )?(?:chiamata|riunione|call)\b",
        r"\bafspraak (?:maken|plannen)\b",
    ),
    sign(
        "interested",
        "positive_interest",
        r"\bcurious (?:to|about|how)\b",
        r"\bsounds relevant\b|\bwhy not\b",
        r"\bgerne mehr\b|\bja,? gerne\b",
        r"\b(?:im|i am|we are|were|am|are|be|would be|very|quite|definitely|certainly"
        r"|potentially) interested\b",
        r"^(?:yes )?interested\b",
        r"\bsounds (?:good|great|interesting|useful|promising|like something)\b",
        r"\b(?:love|like|keen|happy|eager) to (?:learn|hear|see|know|find out|explore|try|discuss)\b",
        r"\bthis (?:is|looks) (?:interesting|great|relevant|useful|timely)\b",
        r"\b(?:good|great|perfect) timing\b",
        r"^(?:yes|yes please|sure|absolutely|definitely|go ahead|of course)$",
        r"\byes,? (?:please|lets|id|i would|we)\b",
        r"\b(?:bin|sind|habe[n]?|grosses) (?:\w+ )?inter(?:essiert|esse)\b|\bklingt (?:gut|interessant"
        r"|spannend)\b",
        r"\b(?:suis|sommes|serais|serions) (?:\w+ )?interesse(?:e|s|es)?\b|\bca m'interesse\b",
        r"\b(?:me|nos) interesa\b|\bestoy interesad[oa]\b|\bsuena (?:bien|interesante)\b",
        r"\b(?:sono|siamo) interessat[oaie]\b|\bmi interessa\b",
        r"\b(?:ben|zijn) (?:wel )?geinteresseerd\b|\bklinkt (?:goed|interessant)\b",
        r"\b(?:tenho|temos) interesse\b|\bestou interessad[oa]\b",
    ),
    sign(
        "pricing",
        "pricing_objection",
        r"\b(?:do|would|will) you charge\b|\bwhat(?:'s| is|s) the damage\b|\bzu teuer\b",
        r"\b(?:pric(?:e|es|ing|ey)|costs?|how much|quote|quotation|discount|expensive|afford"
        r"|budget(?! cycle)|fees?|rates)\b",
        r"\b(?:preis\w*|kosten|kostet|budget|teuer|angebot)\b",
        r"\b(?:prix|tarifs?|cout\w*|cher|devis)\b",
        r"\b(?:precios?|cuesta|coste|costo|caro|presupuesto)\b",
        r"\b(?:prezz[oi]|costa|costi|preventivo)\b",
        r"\b(?:prijs|prijzen|kost|offerte)\b",
    ),
    sign(
        "security",
        "security_question",
        r"\bwhere (?:is|are|do you (?:store|keep|host))\b.{0,20}\bdata\b",
        r"\b(?:soc ?2|iso ?27001|hipaa|pen(?:etration)? ?test\w*|security (?:review|questionnaire|audit"
        r"|team|posture|polic\w*|cert\w*)|data (?:residency|processing agreement|security|storage)|dpa"
        r"|gdpr[- ](?:compliant|compliance|ready)|encrypt\w*|sso|saml)\b",
        r"\bhow (?:is|do you (?:store|protect|handle)) (?:our|my|the|customer) data\b",
        r"\b(?:dsgvo[- ]konform|datensicherheit|datenschutz\w*konform)\b|\bconforme (?:au )?rgpd\b",
    ),
    sign(
        "integration",
        "technical_question",
        r"\bintegrat\w+\b",
        r"\b(?:connects?|works?|sync\w*|compatible) with\b.{0,40}\?",
        r"\b(?:api|apis|webhooks?|sdk)\b",
        r"\b(?:schnittstelle\w*|integrier\w*|integracion\w*|integrazion\w*|integreren|integratie)\b",
    ),
    sign(
        "technical",
        "technical_question",
        r"\b(?:how (?:does|do|would|exactly)|what (?:tech|stack|model|llm)|technical (?:details?|question"
        r"|documentation|spec\w*)|documentation|architecture|on[- ]prem\w*|self[- ]host\w*)\b",
        r"\bwie (?:genau )?funktioniert\b|\bcomment (?:ca |cela )?(?:marche|fonctionne)\b"
        r"|\bcomo funciona\b|\bcome funziona\b|\bhoe werkt\b",
    ),
    sign(
        "info",
        "need_more_info",
        r"\bone[- ]pager\b|\bsomething (?:i|we) can read\b",
        r"\b(?:send|share|provide|forward|e-?mail)\b(?: me| us| over| along)*(?: some| any| the| a| more"
        r"| your| further| additional)*\b.{0,15}\b(?:info\w*|details?|deck|case stud\w+|brochure"
        r"|one[- ]pager|materials?|overview|page|pdf|presentation|examples?|references?|documentation)\b",
        r"\b(?:more|further|additional) (?:info\w*|details?|context)\b",
        r"\btell me more\b",
        r"\bdo you have (?:a |any )?(?:deck|case stud\w+|one[- ]pager|website|references?|examples?)\b",
        r"\bwhat (?:exactly )?(?:do|does) (?:you|your \w+) (?:do|offer)\b",
        r"\bmehr (?:info\w*|details)\b|\bunterlagen\b",
        r"\bplus d'info\w*|\ben savoir plus\b|\bplus de details\b",
        r"\bmas info\w*|\bmas detalles\b",
        r"\bpiu (?:info\w*|dettagli)\b|\bmaggiori informazioni\b",
        r"\bmeer info\w*\b",
    ),
    sign(
        "has_one",
        "already_have_solution",
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

# Classes that are only believed in words that aren't negated or asked.
NEEDS_YES = frozenset[ReplyClass]({"meeting_request", "positive_interest", "need_more_info"})
NEGATED = re.compile(
    r"\b(?:not|no longer|never|dont|doesnt|didnt|wont|cant|cannot|isnt|arent|wouldnt|no need|without|nicht"
    r"|kein\w*|ne|pas|no|non|nao|niet|geen)\b[^.!?;,\n]{0,80}?(?=$|[.!?;,\n]|\bbut\b|\baber\b|\bmais\b"
    r"|\bpero\b|\bma\b|\bmaar\b)"
)
