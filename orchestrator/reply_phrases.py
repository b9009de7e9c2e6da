"""What people write back when they talk to us, in several languages, in order of precedence."""

import re
from collections.abc import Sequence

from orchestrator.refusal_phrases import REFUSALS
from orchestrator.rules import ReplyClass
from orchestrator.stop_phrases import Sign, sign

LEFT = sign(
    "left",
    "left_company",
    r"\bmoved on (?:in|from|to (?:a|another|new|other))\b|\bleft us\b|\b(?:has|have) (?:departed|resigned"
    r"|been let go)\b|\bformer (?:employee|colleague)\b",
    r"\bhat (?:uns|das (?:unternehmen|haus)|die firma)\b.{0,25}\bverlassen\b|\bausgeschieden\b|\bnicht (?:mehr"
    r"|langer) (?:bei|fur|beschaftigt|angestellt)\b|\bim ruhestand\b",
    r"\bne (?:fais|fait|font|suis|travaille) plus (?:partie|en poste|chez|dans)\b|\ba quitte\b"
    r"|\bn'est plus (?:en poste|chez|dans|parmi)\b|\bne travaille plus\b",
    r"\bya no (?:esta|estoy|pertenece|colabora)\b|\b(?:ha dejado|dejo) (?:la empresa|la compania|nuestra)\b"
    r"|\bha lasciato\b|\bnon (?:fa|faccio) piu parte\b|\bnon (?:lavoro|e) piu (?:in|con|per|presso|qui)\b",
    r"\b(?:is|ben) niet (?:meer|langer) (?:werkzaam|in dienst)\b|\buit dienst\b|\bwerkt (?:hier |er )?niet (?:meer"
    r"|langer)\b|\bheeft (?:ons|het bedrijf) verlaten\b",
    r"\b(?:ja )?nao trabalha (?:mais|connosco|conosco|aqui)\b|\bja nao (?:esta|trabalho|faz parte)\b|\b(?:deixou"
    r"|saiu d)[ao]? (?:a )?(?:nossa )?empresa\b",
    r"\b(?:passed away|deceased|verstorben|decede[e]?|fallecio|fallecid\w|e deceduto|overleden|faleceu)\b",
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
        r"\b(?:you want|you(?:d| would)? need|(?:should|can) go to|belongs (?:to|with)|ask) (?:the|our"
        r"|my) (?:\w+ )?(?:team|department|desk|office|colleague\w*)\b|\byou want [^.!?\n]{0,40}@",
        r"\b(?:decisions?|decided|purchas\w+|budget|this|that|it) (?:\w+ ){0,4}(?:is|are|lies"
        r"|sits) (?:\w+ )?(?:made|taken|handled|decided|owned|run|led|managed)? ?(?:by|with) [a-z]+",
        r"\b(?:the )?wrong [a-z]+ [a-z]+\b(?=[.!]|$)|\b(?:got|have|reached|contacted|writing to) the wrong\b"
        r"|\bnot the one who\b|\bdont (?:handle|deal with|decide)\b|\boutside my (?:area|remit|scope)\b",
        r"\b(?:dafur|hierfur|fur das thema|fur solche \w+)\b.{0,40}\b(?:zustandig|verantwortlich"
        r"|ansprechpartner\w*)\b|\b(?:zustandig|verantwortlich|ansprechpartner\w*) (?:ist|dafur|hierfur|ware"
        r"|sind)\b|\bfalsche\w? (?:ansprechpartner\w*|adresse|person|stelle)\b",
        r"\b(?:qui s'occupe|s'en occupe|en charge|responsable) (?:de|du|des)\b|\bje ne suis pas (?:la|le) (?:bonne"
        r"|bon)\b|\b(?:adressez|tournez)[- ]vous\b|\bvoyez (?:plutot )?avec\b",
        r"\b(?:no soy (?:el|la) (?:responsable|indicad\w|adecuad\w)|quien (?:lleva|gestiona|decide)|dirijase a"
        r"|hable con|escriba a|el responsable es)\b|\bno me encargo\b",
        r"\b(?:non sono (?:io )?(?:la persona|il responsabile|io)|persona sbagliata|se ne occupa|si occupa di"
        r"|rivolg\w+ a|contatti (?:il|la)|parli con)\b",
        r"\b(?:moet je|kun(?:t)? (?:je|u)|kan je|moet u) (?:bij|beter)\b|\bbij mijn collega\b"
        r"|\bverkeerde persoon\b|\bgaat (?:hier)?over\b|\bniet de juiste (?:persoon|contactpersoon)\b"
        r"|\bis verantwoordelijk voor\b|\bneem contact op met\b",
        r"\bnao sou a pessoa (?:certa|indicada|correta)\b|\bfale com\b|\bquem (?:trata|cuida|decide)\b"
        r"|\bpessoa errada\b|\bcontacte [oa]\b|\bentre em contato com\b",
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
        r"\b(?:forward\w*|pass\w*|send\w*|sent|hand\w*|shar\w+) (?:this |it |your (?:\w+ )?)?(?:on |over "
        r"|along )?(?:to|with) (?:the|our|my) (?:\w+ )?(?:committee|team|colleague\w*|boss|manager|people"
        r"|department|head|director|board)\b",
        r"\bhabe (?:es|das|ihre \w+)\b.{0,30}\b(?:weitergeleitet|weitergegeben)\b|\bgebe (?:es|das"
        r"|ihre \w+)\b.{0,30}\bweiter\b|\bj'ai (?:transfere|fait suivre)\b|\bho (?:inoltrato|girato)\b"
        r"|\bheb (?:het|dit|je \w+)\b.{0,25}\bdoorgestuurd\b|\b(?:encaminhei|reencaminhei|vou encaminhar)\b"
        r"|\bse lo (?:paso|reenvio)\b|\blo giro\b|\bstuur (?:het|dit) door\b",
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
        r"\bstop by\b.{0,40}\b(?:office|us|booth|desk)\b|\b(?:week|day|afternoon|morning) of the \d|\b(?:monday"
        r"|tuesday|wednesday|thursday|friday) (?:works|is good|is fine|suits|at \d)\b",
        r"\b(?:passt|passen|geht|ginge|hatten sie|haben sie|konnten wir|konnen wir|wollen wir"
        r"|lassen sie uns)\b.{0,40}\b(?:montag|dienstag|mittwoch|donnerstag|freitag|morgen|woche|uhr|telefonat"
        r"|termin|gesprach|zeit|telefonieren|sprechen)\b",
        r"\b(?:zeit|termin) (?:fur|am|um)\b|\b(?:telefonat|treffen|kennenlernen|kurzes gesprach|videocall)\b",
        r"\b(?:etes[- ]vous|seriez[- ]vous) (?:disponible|libre)\b|\b(?:un|le|pour un) (?:echange|appel"
        r"|rendez[- ]vous|rdv|point)\b|\bdisponibilites\b|\bon (?:peut|pourrait) (?:se parler|s'appeler"
        r"|echanger)\b|\bappelez[- ]moi\b",
        r"\b(?:podemos|podriamos|le va bien|te va bien|le viene bien|tiene hueco|tienes hueco)\b.{0,40}\b(?:hablar"
        r"|vernos|llamada|reunion\w*|lunes|martes|miercoles|jueves|viernes|llamarnos)\b|\b(?:llameme|llamame"
        r"|una llamada|una reunion|agenda|videollamada)\b",
        r"\b(?:possiamo|potremmo|ci possiamo)\b.{0,25}\b(?:sentirci|sentire|vederci|parlare|parlarne|incontrarci"
        r"|fissare)\b|\bsentiamoci\b(?! (?:a|tra|fra|in|dopo|piu) )|\bmi chiami\b|\b(?:una|in) (?:call|chiamata"
        r"|videochiamata|riunione)\b",
        r"\b(?:kunnen|zullen|kan|konden) we\b.{0,40}\b(?:bellen|afspreken|spreken|overleggen|maandag|dinsdag"
        r"|woensdag|donderdag|vrijdag)\b|\bbel (?:me|mij|ons)\b|\beven bellen\b|\bafspraak\b|\bwanneer (?:heb"
        r"|heeft) (?:je|u) tijd\b",
        r"\b(?:podemos|poderiamos|pode ser|da para)\b.{0,40}\b(?:falar|conversar|reunir|marcar|agendar|segunda"
        r"|terca|quarta|quinta|sexta|ligar)\b|\b(?:ligue-me|me ligue|uma (?:chamada|reuniao|call)|marcar)\b",
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
        r"\b(?:im|i am|we are|were) (?:all )?(?:very |quite )?(?:keen|intrigued|curious)\b|\bcount (?:me|us) in\b"
        r"|\b(?:glad|pleased|happy) (?:i did|you (?:wrote|reached|asked|got in touch))\b|\blooking (?:at|for"
        r"|into) (?:exactly|just|precisely|something like) (?:this|that|it)?\b",
        r"\byes\b.{0,30}\b(?:topic|interesting|relevant|timely|for us)\b|\bworth a (?:look|chat|conversation|call"
        r"|try)\b|\bshow me (?:more|what)\b|\b(?:you|are you) in\?|\bneed a replacement\b|\bwe(?:re"
        r"| are)? (?:in the market|evaluating|actively looking)\b|\bconsider me interested\b|\blets do (?:it"
        r"|this)\b",
        r"\b(?:ja|gerne|spannend|interessant)\b(?!.{0,12}\b(?:nicht|kein)).{0,40}\b(?:interess\w+|thema|mehr"
        r"|erfahren|horen|fur uns|relevant)\b|\bhort sich (?:gut|interessant|spannend) an\b"
        r"|\bkommt (?:genau )?richtig\b|\bsehr interess\w+\b|\binteresse (?:haben|hatten|besteht|geweckt)\b",
        r"\b(?:nous|m'|cela m'|ca m') ?interess\w+\b|\b(?:vivement|tres) interess\w+\b|\bavec (?:grand )?plaisir\b"
        r"|\bcela tombe (?:bien|a pic)\b|\bvolontiers\b|\bpourquoi pas\b",
        r"\b(?:nos|me) (?:interesa|interesaria|gustaria)\b|\b(?:muy|bastante) interes\w+\b|\bme encantaria\b"
        r"|\bcuenteme mas\b|\bcuentame mas\b|\bque (?:bien|oportuno)\b|\bestamos interesad\w+\b",
        r"\b(?:ci|mi) (?:interessa|interesserebbe|piacerebbe)\b|\bmolto (?:interess\w+|volentieri)\b"
        r"|\bcome procediamo\b|\bcon piacere\b|\bsembra (?:interessante|utile)\b",
        r"\b(?:lijkt|klinkt) (?:me|mij|ons)? ?(?:erg |heel )?(?:interessant|goed|leuk|nuttig)\b|\b(?:we"
        r"|wij) hebben (?:wel )?interesse\b|\bgraag meer\b|\bzeker interess\w+\b|\bheel graag\b",
        r"\b(?:interessa-nos|interessa-me|nos interessa|me interessa|gostaria de saber|gostava de saber"
        r"|parece (?:bom|interessante|util)|muito interess\w+|com todo o gosto|tenho todo o interesse)\b",
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
        r"\b(?:spend|spending|expens\w+|out of our league|investment|too much for us|cheaper|bill\w*"
        r"|subscription fee)\b|\bcant justify\b",
        r"\b(?:kostenpunkt|preisliste|konditionen|was kostet|zu kostspielig|unser budget)\b|\b(?:combien|budget"
        r"|trop cher|couteux|grille tarifaire)\b|\b(?:cuanto|tarifas?|demasiado caro|presupuestos?)\b"
        r"|\b(?:quanto costa|quanto viene|troppo caro|listino|tariff\w+|budget)\b|\b(?:hoeveel kost|wat kost"
        r"|te duur|tarief|tarieven|prijslijst)\b|\b(?:quanto custa|preco\w*|precos|muito caro|orcamento|tabela)\b",
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
        r"\b(?:privacy policy|data protection|subprocessors?|sub-processors?|vendor (?:risk|assessment|security)"
        r"|scim|infosec|ciso|tisax|bsi|c5|nis2|hosted in|data cent(?:er|re)|eu hosting|retention polic\w+)\b",
        r"\b(?:av-?vertrag|auftragsverarbeit\w*|serverstandort|wo (?:liegen|werden)\b.{0,25}\bdaten"
        r"|informationssicherheit|zertifizier\w*)\b",
        r"\b(?:hebergement|heberge\w+|rgpd|sous-traitan\w+|ou sont (?:stockees|hebergees)|securite (?:des donnees"
        r"|informatique))\b|\b(?:donde (?:se )?(?:alojan|almacenan|guardan)|seguridad de (?:los )?datos"
        r"|encargado del tratamiento|cifrad\w+)\b",
        r"\b(?:dove (?:sono|vengono) (?:conservati|ospitati|salvati)|sicurezza dei dati|conforme al gdpr"
        r"|certificazion\w+|crittograf\w+)\b|\b(?:waar (?:staan|worden)\b.{0,25}\b(?:data|gegevens)"
        r"|verwerkersovereenkomst|informatiebeveiliging|avg-proof|versleutel\w*)\b|\b(?:onde (?:ficam"
        r"|sao)\b.{0,20}\bdados|seguranca (?:dos dados|da informacao)|encriptad\w+|criptografad\w+)\b",
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
        r"\b(?:does|do|can|will|could) (?:it|the \w+|your \w+|this|you)\b.{0,50}\b(?:sync|retry|record|field"
        r"|salesforce|hubspot|endpoint|import|export|dedup\w*|webhook|crm|mapping|custom objects?|sandbox|latency"
        r"|rate limits?)\b[^.\n]{0,60}\?",
        r"\b(?:funktioniert das|unterstutzt (?:ihr|das|die)|lasst sich das|welche daten(?:quellen|bank)"
        r"|wie lauft)\b|\b(?:est-ce (?:que c'est )?compatible|prenez[- ]vous en charge|se connecte[- ]t[- ]il)\b"
        r"|\b(?:es compatible|se conecta|se integra|soporta)\b|\b(?:si integra|e compatibile|supporta"
        r"|si collega)\b|\b(?:werkt (?:het|dit) (?:ook )?met|ondersteun\w+|koppel\w+)\b|\b(?:integra(?:-se)? com"
        r"|e compativel|suporta|liga(?:-se)? a)\b",
        r"\b(?:how (?:does|do|would|exactly)|what (?:tech|stack|model|llm)|technical (?:details?|question"
        r"|documentation|spec\w*)|documentation|architecture|on[- ]prem\w*|self[- ]host\w*)\b",
        r"\bwie (?:genau )?funktioniert\b|\bcomment (?:ca |cela )?(?:marche|fonctionne)\b"
        r"|\bcomo funciona\b|\bcome funziona\b|\bhoe werkt\b",
    ),
    sign(
        "info",
        "need_more_info",
        r"\b(?:haben sie|gibt es|schicken sie|senden sie)\b.{0,40}\b(?:broschure\w*|referenzen|referenz"
        r"|prasentation|unterlagen|info\w*|fallstudie\w*|beispiele|material\w*|website|details)\b",
        r"\b(?:envoyez|envoyer|auriez[- ]vous|avez[- ]vous|transmettre)\b.{0,40}\b(?:documentation|brochure"
        r"|presentation|plaquette|references?|exemples?|infos?|informations?|details|etude de cas)\b",
        r"\b(?:envi\w+|mand\w+|tien\w+|puede\w*|podria\w*)\b.{0,40}\b(?:informacion|folleto|presentacion"
        r"|referencias|ejemplos|caso de exito|casos|detalles|documentacion|dossier)\b",
        r"\b(?:invi\w+|mand\w+|avete|potete|puo)\b.{0,40}\b(?:informazioni|brochure|presentazione|referenze|esempi"
        r"|dettagli|documentazione|materiale|casi)\b",
        r"\b(?:stuur\w*|heb je|heeft u|hebben jullie|kun je|kunt u)\b.{0,40}\b(?:informatie|brochure|presentatie"
        r"|referenties|voorbeelden|details|documentatie|case)\b|\b(?:envi\w+|mand\w+|tem"
        r"|pode\w*)\b.{0,40}\b(?:informac\w+|brochura|apresentacao|referencias|exemplos|detalhes|documentacao"
        r"|caso)\b",
        r"\b(?:what|how) (?:is|are|would|does) (?:it|this|that|you\w*) (?:about|exactly|different|do)\b"
        r"|\bwhats your number\b|\b(?:more|some) (?:background|detail|information|examples)\b|\bwhat (?:results"
        r"|numbers|companies|customers)\b.{0,40}\?",
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
    *REFUSALS,
)

# Classes that are only believed in words that aren't negated or asked.
NEEDS_YES = frozenset[ReplyClass]({"meeting_request", "positive_interest", "need_more_info"})
NEGATED = re.compile(
    r"\b(?:not|no longer|never|dont|doesnt|didnt|wont|cant|cannot|isnt|arent|wouldnt|no need|without|nicht"
    r"|kein\w*|ne|pas|no|non|nao|niet|geen)\b[^.!?;,\n]{0,80}?(?=$|[.!?;,\n]|\bbut\b|\baber\b|\bmais\b"
    r"|\bpero\b|\bma\b|\bmaar\b)"
)
