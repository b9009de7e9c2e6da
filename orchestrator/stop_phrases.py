"""What stops mail, in several languages: opt-outs, legal threats, hostility; and what a sign of a class is.

Texts are compared folded (lower case, no accents, straight quotes). These words are kept in code, not in
configuration: no setting may make an opt-out go unheard.
"""

import re
from dataclasses import dataclass

from orchestrator.rules import ReplyClass
from orchestrator.titles import vocabulary


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern that speaks for a class. `id` is what is kept as evidence; the text is not."""

    id: str
    reply: ReplyClass
    pattern: re.Pattern[str]
    confidence: float = 0.85


def sign(name: str, reply: ReplyClass, *patterns: str, confidence: float = 0.85) -> Sign:
    """A sign whose id is its class and name; several patterns are alternatives."""
    return Sign(f"{reply}.{name}", reply, re.compile("|".join(patterns)), confidence)


# Whole texts or sentences, without courtesies and punctuation, that can only mean one thing.
EXACT_OPT_OUT = frozenset(
    """unsubscribe|unsubscribe me|unsub|unsubcribe|unsuscribe|unsubsribe|unsubscibe|stop|stop it|stop now
    |remove|remove me|opt out|optout|opt me out
    |remove me from your list|remove me from this list|remove me from your mailing list
    |remove me from your lists
    |remove me from the list|remove me from all lists|remove my email|remove my email address
    |delete me from your list|take me off your list|take me off this list
    |take me off your mailing list|take me off the list|take me off|stop emailing me|stop emailing
    |stop mailing me|stop writing to me
    |stop contacting me|stop sending me emails|stop sending me email|stop sending emails|stop messaging me
    |stop sending these|stop spamming me|stop spamming
    |do not contact me|dont contact me|do not contact me again|dont contact me again|do not email me
    |dont email me
    |do not email me again|dont email me again|never contact me again|never email me again|no more emails
    |no more
    |no more email|no more mails|leave me alone
    |i want to unsubscribe|i would like to unsubscribe|id like to unsubscribe|i wish to unsubscribe
    |i want to opt out|i would like to opt out|do not write to me again|dont write to me again
    |do not contact|cease contact|cease all contact|lose my email|lose my email address|lose my number
    |cancel my subscription|end my subscription
    |abmelden|abbestellen|austragen|entfernen|loschen
    |meine adresse entfernen|meine adresse loschen|avregistrera mig
    |stopp|stop mails|keine mails mehr|keine emails mehr|keine e mails mehr
    |keine weiteren mails|keine werbung|keine werbung mehr
    |nehmen sie mich von der liste|nehmen sie mich aus dem verteiler|aus dem verteiler nehmen
    |loschen sie mich|tragen sie mich aus|ich mochte mich abmelden|hiermit melde ich mich ab
    |schreiben sie mir nicht mehr|kontaktieren sie mich nicht mehr
    |desinscrire|desinscription|desabonner|desabonnement|desabonnez moi|desinscrivez moi|me desinscrire
    |me desabonner|de me desinscrire|de me desabonner|de me retirer de votre liste|stop svp
    |ne me contactez plus|ne m ecrivez plus|retirez moi de votre liste|supprimez moi de votre liste
    |plus de mails|arretez
    |darme de baja|dar de baja|baja|deme de baja|dame de baja|darse de baja|cancelar suscripcion
    |no me escriba mas|no me escriban mas|no me contacte mas|no me contacten mas|eliminenme de su lista
    |quiteme de su lista|borrenme de su lista|no mas correos
    |cancellami|cancellarmi|disiscrivermi|disiscrivimi|cancellatemi|rimuovetemi|rimuovimi|cancellazione
    |non contattatemi piu|non scrivetemi piu
    |afmelden|uitschrijven|schrijf mij uit|haal mij van de lijst|geen mails meer|geen e mails meer
    |stop met mailen
    |remova me|remover|descadastrar|cancelar inscricao|me remova da lista|pare de me enviar emails
    |nao me escreva mais
    |unsubscribe all|stop all|stopall|stop emails|stop email|no emails|delete me|delete my email|take my name off
    |get me off this list|get me off your list|cancel|quit|end|off|i am out|count me out|abmeldung|abbestellung
    |kundigen|raus|bitte raus|keine mails|keine emails|keine e mails|se desinscrire|se desabonner|me retirer
    |me supprimer|supprimez moi|retirez moi|stop pub|cancelar|eliminar|borrar|borrame|eliminame|borreme|elimineme
    |quiteme|sacame|saqueme|desuscribir|darse baja|cancellare|cancellarsi|rimuovere|toglimi|toglietemi|eliminatemi
    |verwijderen|verwijder mij|verwijder me|haal me eraf|haal mij eraf|meld mij af|meld me af|uitschrijven graag
    |sair|excluir|exclua me|retire me|remover me|tire me da lista|cancelar subscricao|avsluta|ta bort mig|fjern mig
    |slett meg|poista|lopeta|odhlasit|wypisac|wypisz|отписаться|отпишите меня|стоп|取消|停止
    |wypisz mnie|avregistrera|avmeld|frameld|退订|取消订阅|配信停止""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
# Courtesies, greetings and sign-offs around them.
COURTESIES = re.compile(
    r"\b(?:please|pls|plz|kindly|thank you(?: very much| so much)?|thanks(?: a lot| so much| very much)?"
    r"|thx|tks|tx|ty|tia|many thanks|cheers|regards"
    r"|kind regards|best regards|best|sincerely|hi|hello|hey|dear(?: sir| madam| all)?|good (?:morning"
    r"|afternoon|day)|ok|okay|immediately|now|asap|today|at once|again"
    r"|bitte|danke(?: schon)?|vielen dank|hallo|guten tag|mit freundlichen grussen|freundliche grusse|mfg"
    r"|sofort|umgehend"
    r"|merci(?: beaucoup| d avance)?|bonjour|cordialement|s il vous plait|svp|s v p|gracias|por favor|hola"
    r"|saludos|buenos dias"
    r"|grazie|per favore|per cortesia|buongiorno|cordiali saluti|alstublieft|bedankt|dank u|obrigado"
    r"|obrigada)\b"
)
# Single words that are an opt-out only when they are the whole answer.
ONLY_ALONE = vocabulary("stop remove remover baja arretez stopp cancellazione")
# Asks to stay: not an opt-out, unless it is a reproach ("why don't you remove me").
KEEPS = re.compile(
    r"(?<!you )(?<!they )(?<!why )(?<!if you )\b(?:do not|dont|never|no need to|please dont|didnt|did not"
    r"|not)(?: want(?:ed)?)?(?: to)?(?: please)? "
    r"(?:remove me|take me off|unsubscribe|be removed|opt out|stop (?:sending|emailing|writing"
    r"|the))\b(?: me)?"
    r"|\b(?:dont|do not|didnt|did not) (?:want|mean|intend) to (?:stop|unsubscribe|opt out)\b(?: receiving| getting)?"
    r"|\b(?:schrijf|meld|haal)\b.{0,15}\bniet\b.{0,6}\b(?:uit|af)\b|\bmeld\w* (?:sie )?mich (?:\w+ )?nicht ab\b"
    r"|\bnicht (?:abmelden|austragen|abbestellen)\b|\bne me (?:desinscrivez|desabonnez|retirez"
    r"|supprimez) pas\b|\bno me (?:den|de|elimine|quite) (?:de )?baja\b"
)

LEGAL = (
    sign(
        "lawyer",
        "legal_threat",
        r"\b(?:lawyers?|attorneys?|solicitors?|legal (?:team|department|counsel))\b.{0,30}"
        r"\b(?:in touch|contact (?:you|with)|hear from|call(?:ing)? you|writ\w+ to you|sue|coming)\b",
        r"\b(?:hear from|forward\w*|hand\w*|pass\w*|report\w*|involv\w*|call\w*|contact\w*)\b.{0,25}"
        r"\b(?:my|our) (?:lawyers?|attorneys?|solicitors?|legal (?:team|department|counsel))\b",
        r"\blegal (?:action|steps|proceedings|consequences)\b",
        r"\bcease and desist\b(?!.{0,15}\b(?:e-?mail|mail|contact|writ|send|messag))",
        r"\b(?:sue|suing) (?:you|your)\b",
        r"\bin court\b",
        r"\bsmall claims\b",
        r"\b(?:rechtsanwalt|anwalt|abmahnung|unterlassung\w*|rechtliche schritte|anzeige erstatten)\b",
        r"\b(?:mon|notre) avocat\b|\bmise en demeure\b|\bpoursuites\b",
        r"\b(?:mi|nuestro) abogado\b|\bacciones legales\b",
        r"\bmio avvocato\b|\bvie legali\b",
    ),
    sign(
        "authority",
        "legal_threat",
        r"\b(?:sending|sent|forward\w*|referr\w*|tak\w+|complain\w*|report\w*|go(?:ing)? to)\b.{0,40}\b(?:the ico"
        r"|ico|ftc|cnil|aepd|regulators?|authorit\w+|legal counsel|ombudsman|data protection)\b",
        r"\b(?:beschwer\w*|melde\w*|anzeig\w*)\b.{0,40}\b(?:behorde|bundesnetzagentur|verbraucherzentrale"
        r"|datenschutz\w*)\b",
        r"\b(?:plainte|denuncia\w*|reclamo|klacht|queixa|segnal\w+)\b.{0,40}\b(?:cnil|aepd|garante|autorite\w*"
        r"|autoridad\w*|autoridade\w*|autoriteit\w*|anpd|cnpd)\b",
        r"\b(?:report|complain|complaint)\w*\b.{0,60}\b(?:ico|ftc|cnil|authority|regulator|commissioner"
        r"|dpa)\b",
        r"\bdata protection authority\b|\binformation commissioner\b",
        r"\bdatenschutzbehorde\b|\bdatenschutzbeauftragte\w*\b|\baepd\b|\bla cnil\b"
        r"|\bgarante (?:della )?privacy\b",
    ),
    sign(
        "statute",
        "legal_threat",
        r"\b(?:conformement au|en vertu du|au titre du|gemass|gema(?:ss)? der|nach|laut|en virtud del|conforme al"
        r"|segun el|ai sensi del|in base al|op grond van|krachtens|nos termos d[ao]|ao abrigo d[ao]|under|per"
        r"|pursuant to|according to)\b.{0,25}\b(?:gdpr|rgpd|dsgvo|ds-gvo|avg|lgpd|pecr|casl|uwg|ccpa)\b",
        r"\b(?:uwg|ds-?gvo)\b.{0,60}\b(?:verst\w+|unzulassig|rechtswidrig|verboten|abmahn\w*|auskunft)\b"
        r"|\b(?:verst\w+|unzulassig\w*|rechtswidrig\w*|verboten\w*)\b.{0,60}\b(?:uwg|ds-?gvo)\b|§ ?7\b",
        r"\b(?:auskunft (?:nach|gem\w*|uber)|auskunftsersuchen|droit d'acces|l'acces a mes donnees"
        r"|l'effacement de mes donnees|derecho de (?:acceso|supresion)|diritto (?:di accesso|alla cancellazione"
        r"|all'oblio)|recht op (?:inzage|vergetelheid)|direito (?:de acesso|ao apagamento))\b",
        r"\b(?:pecr|casl|can-?spam|tcpa)\b.{0,40}\b(?:clear|prohibit\w*|appl\w+|require\w*|forbid\w*)\b",
        r"\bbreak\w* the law\b|\bagainst the law\b(?![^.!\n]*\?)|\b(?:this|it|that) is (?:\w+ )?illegal\b",
        r"\bcan[- ]?spam\b",
        r"\b(?:violat\w+|breach\w*|illegal|unlawful)\b.{0,40}\b(?:gdpr|dsgvo|rgpd|law|pecr|casl"
        r"|privacy)\b",
        r"\b(?:gdpr|dsgvo|rgpd|pecr|casl)\b.{0,40}\b(?:violat\w+|breach\w*|request|complaint|verstoss"
        r"|illegal|unlawful)\b",
        r"\bunder (?:the )?(?:gdpr|dsgvo|rgpd|uk gdpr)\b",
        r"\bnot gdpr\b",
        r"\b(?:article|art\.?|artikel) (?:15|17|21)\b",
        r"\bright to (?:erasure|be forgotten|object|access)\b",
        r"\bsubject access request\b|\bdsar\b",
        r"\billegal(?:er)? (?:spam|werbung)\b",
        r"\b(?:delete|erase|remove|destroy) (?:all )?(?:of )?(?:my|our) (?:personal )?(?:data|information|records)\b"
        r"|\bwhat (?:personal )?data do you (?:hold|have|store)\b|\bdata (?:subject|access|deletion"
        r"|erasure) request\b",
        r"\bl(?:o|oe)sch\w* (?:sie )?(?:bitte )?(?:alle )?meine (?:\w+ )?daten\b"
        r"|\bmeine (?:\w+ )?daten (?:zu )?l(?:o|oe)sch\w*",
        r"\b(?:supprim|effac)\w+ (?:toutes )?mes donnees\b|\b(?:borr|elimin|suprim)\w+ mis datos\b"
        r"|\bcancell\w+ i miei dati\b"
        r"|\bverwijder\w* mijn (?:\w+ )?gegevens\b|\b(?:apag|elimin)\w+ os meus dados\b",
    ),
)
# Where we have it from, and what we have: a right, which somebody who only wants to be left alone needn't use.
DATA_QUESTIONS = (
    sign(
        "data_question",
        "legal_threat",
        r"\bwie (?:sind|kommen) sie an meine\b|\bwoher (?:haben|stammen)\b.{0,20}\b(?:meine|adresse|daten)\b",
        r"\bde donde (?:han|ha) (?:sacado|obtenido)\b|\bonde (?:obteve|conseguiu|arranjou|arranjaram)\b"
        r"|\bwaar heeft u mijn\b|\bd'ou (?:tenez|sortez)[- ]vous\b|\bdove avete (?:preso|trovato)\b",
        r"\b(?:how|where) did you (?:get|find|obtain|come by|source) my (?:e-?mail|address|data|details"
        r"|contact|name|info\w*)\b",
        r"\bwhere (?:do|did) you have my\b",
        r"\bwoher haben sie meine\b",
        r"\bcomment avez[- ]vous (?:eu|obtenu|trouve) mon\b",
        r"\bcomo (?:han conseguido|consiguio|obtuvieron|obtuvo) mi\b",
        r"\bcome (?:avete|ha) (?:avuto|ottenuto|trovato) (?:il mio|la mia|i miei)\b",
        r"\bhoe komt u aan mijn\b",
    ),
)

FUZZY_OPT_OUT = (
    sign(
        "word",
        "unsubscribe",
        r"\bun-?sub[sc](?!tan|id)\w{0,8}\b|\bunsuscri\w*\b",
        r"\b(?:un|ub)[- ]?su(?:b|s|bs)?(?:s|c|sc)?r?i?b(?:e|ed|ing|tion)?\b",
        r"\bunsub\b",
        r"\bopt(?:ing|ed)?[- ]?(?:me )?out\b",
        r"退订|取消订阅|不要再发|配信停止|拒收",
    ),
    sign(
        "remove",
        "unsubscribe",
        r"\b(?:off|out of|from) (?:of )?(?:this|your|the|that|these|all|any) (?:\w+ ){0,2}(?:lists?"
        r"|database|distribution|campaigns?|sequences?)\b",
        r"\b(?:remove|delete|erase|drop) my (?:\w+ )?(?:e-?mail|address|name|contact\w*|number|info\w*)\b",
        r"\b(?:remove|delete|take|strike|drop|get|scrub|wipe|purge) (?:me|us|my (?:e-?mail|address|name"
        r"|contact\w*)|this (?:e-?mail|address))\b.{0,25}\b(?:off|from|out|list|database|system|crm)\b",
        r"\bremove me\b",
        r"\b(?:drop|skip|forget|omit) (?:me|us)\b(?=\W*$|[.,;!])",
        r"\boff (?:\w+ ){0,3}(?:mailing |vendor )?lists\b",
        r"\btake me off\b",
        r"\b(?:off|from) (?:of )?your (?:mailing |contact |e-?mail |distribution )?(?:lists?|database)\b",
    ),
    sign(
        "stop",
        "unsubscribe",
        r"\bcease\b.{0,20}\b(?:contact|communicat\w+|e-?mail\w*)\b",
        r"(?:^|[.!,;\n] ?|\b(?:please|and) )(?:do not|dont|never) (?:ever )?(?:reach out|follow up|contact|e-?mail"
        r"|write)\b",
        r"\bnever signed up\b|\b(?:did not|didnt|never) (?:ask|subscribe|sign up|opt in|consent)\b",
        r"\b(?:stop|quit|cease) (?:e-?mailing|mailing|writing|contacting|messaging|sending|spamming"
        r"|bothering|harassing|pestering|reaching out|with (?:these|the|this))\b",
        r"\b(?:do not|dont|never|not) (?:ever )?(?:e-?mail|contact|write(?: to)?|message|mail|send|bother"
        r"|reach out to) (?:me|us|this|any)\b",
        r"\bno (?:more|further) (?:e-?mails?|mails?|messages?|contact|communication|outreach)\b",
        r"\bleave (?:me|us) alone\b",
        r"\b(?:had )?enough (?:with|of) (?:the|your|these|this|all)\b",
        r"\b(?:do not|dont|no longer) (?:want|wish) (?:to (?:receive|hear|get|be contacted)|any|your"
        r"|these)\b",
        r"\bcease\b.{0,20}\bcontact\b",
        r"\bstop\.?$|^stop(?!\w| by\b| in\b)",
        r"\b(?:lose|forget) my (?:e-?mail|address|number)\b",
        r"\bnot (?:to be|be) contacted\b",
    ),
    sign(
        "de",
        "unsubscribe",
        r"\bkeine\w* weitere\w* (?:e-?mails?|mails?|werbung|nachrichten|kontakt\w*|anfragen)\b",
        r"\b(?:wunsche|mochte|will|brauche)\b.{0,30}\bkeine\w*\b.{0,15}\b(?:e-?mails?|mails?|werbung"
        r"|kontakt\w*|nachrichten|newsletter)\b",
        r"\blassen sie mich in ruhe\b|\bunterlassen sie\b",
        r"\b(?:abmeld\w*|abbestell\w*|austrag\w*|tragen sie mich\b.{0,20}\baus)\b",
        r"\b(?:aus|von) (?:dem|ihrem|ihrer|der|eurem) (?:verteiler|liste|newsletter)\b",
        r"\b(?:keine|nicht) (?:weiteren? |mehr )?(?:e-?mails?|mails?|werbung|nachrichten"
        r"|kontakt\w*)\b.{0,20}(?:mehr|senden|schicken|$)",
        r"\b(?:schreiben|kontaktieren|belastigen|mailen) sie mi(?:r|ch)\b.{0,12}\bnicht\b",
    ),
    sign(
        "fr",
        "unsubscribe",
        r"\bne plus (?:m'|me|nous|jamais)",
        r"\bne (?:souhaite|veux|desire)\w* (?:plus|pas)\b.{0,20}\b(?:recevoir|contacte\w*|vos)\b",
        r"\barret\w+ (?:de |d')(?:m'|me |nous )?\w+",
        r"\bdes(?:inscri\w*|abonn\w*)\b",
        r"\bne (?:plus|pas) (?:me|recevoir|etre)\b",
        r"\bne (?:me|m'|nous) ?(?:re)?(?:contact|ecri|envoy|sollicit|relanc|demarch)\w* (?:plus|pas)\b",
        r"\b(?:restons|reste[rz])[- ]en la\b|\bd'en rester la\b|\ben restons la\b",
        r"\b(?:retir|supprim|enlev)\w+[- ]moi\b",
        r"\bde votre liste\b",
    ),
    sign(
        "es",
        "unsubscribe",
        r"\b(?:dar|de|den|darme|deme|dame|darse) (?:me )?de baja\b",
        r"\bno (?:me )?(?:escrib\w*|contact\w*|envi\w*|mand\w*) (?:mas|nunca)\b",
        r"\b(?:elimin|borr|quit|sac)\w*me\b",
        r"\bde (?:su|tu|vuestra) lista\b",
        r"\bno (?:quiero|deseo) recibir\b",
    ),
    sign(
        "it",
        "unsubscribe",
        r"\b(?:cancell|rimuov|disiscriv|togli)\w*(?:mi|temi|rmi)\b",
        r"\bnon (?:mi )?(?:contatt|scriv|invi|mand)\w* piu\b",
        r"\bnon (?:ri)?(?:contatt|scriv|chiam|mand|invi)\w*(?:mi|ci|temi|teci)\b",
        r"\bdalla (?:vostra|tua|sua) (?:lista|mailing list)\b",
        r"\bnon (?:voglio|desidero) (?:piu )?ricevere\b",
    ),
    sign(
        "nl",
        "unsubscribe",
        r"\b(?:afmeld\w*|uitschrijv\w*|schrijf m(?:e|ij) uit)\b",
        r"\bgeen (?:e-?)?mails? meer\b",
        r"\bvan (?:de|uw|je|jullie) (?:mailing)?lijst\b",
        r"\bniet meer (?:mailen|benaderen|contacteren)\b",
    ),
    sign(
        "pt",
        "unsubscribe",
        r"\bdescadastr\w*\b",
        r"\b(?:remov|retir|exclu)\w*[- ]me\b|\bme (?:remova|retire|exclua)\w*\b",
        r"\bnao (?:me )?(?:envi|escrev|contat|mand)\w* mais\b",
        r"\bnao (?:quero|desejo) (?:mais )?receber\b",
    ),
)

HOSTILE = (
    sign(
        "insult",
        "hostile",
        r"\bscum\b|\bup your (?:ass|arse)\b|\bshove (?:it|your|this|that)\b|\bcrooks?\b|\bfraudsters?\b"
        r"|\bcon artists?\b|\bbullshit\b|\bparasites?\b|\b(?:you|this) (?:disgust\w*|makes? me sick)\b"
        r"|\bhow dare you\b|\bgo away\b",
        r"\bhau(?:t|en sie)? ab\b|\bunverschamt\w*\b|\bfrechheit\b|\barschl\w+\b|\bscheiss\w*\b|\babzocker\w*\b"
        r"|\bbetruger\w*\b|\bverpiss\w*\b|\bdrecks\w*\b",
        r"\bfoute[zr]?[- ](?:moi|nous) (?:la paix|le camp)\b|\bcharlatans?\b|\bescrocs?\b|\ballez (?:vous faire"
        r"|au diable)\b|\bdegage[zr]?\b|\bbande de\b|\bemmerde\w*\b",
        r"\bmierda\b|\bestafador\w*\b|\bsinverguenzas?\b|\bidiotas?\b|\bimbeciles?\b|\bcabron\w*\b|\bpesados\b",
        r"\b(?:andate|vai|vada|andatevene) (?:al diavolo|a quel paese|via)\b|\bscocciator\w*\b|\btruffator\w*\b"
        r"|\brompi\w+\b|\bstronz\w+\b|\bmerda\b|\bvergogn\w+\b",
        r"\brot (?:toch )?op\b|\boprotten\b|\bklootza\w+\b|\boplichters?\b|\bflikker op\b|\bsukkels?\b",
        r"\bva(?:o|i)? (?:te|se) (?:foder|lixar|catar)\b|\bvigaristas?\b|\bpalhac\w+\b|\bburlao|\bburloes\b",
        r"\bshame on you\b|\bdisgrac\w+\b|\bget lost\b|\bdrop dead\b",
        r"\bf+u+c+k+ ?(?:off|you|u|your|yourself)\b",
        r"\b(?:piss|bugger|sod) off\b",
        r"\bgo to hell\b",
        r"\bscrew you\b",
        r"\b(?:you|u) (?:are|r) (?:\w+ ){0,3}(?:idiots?|scum|spammers?|parasites?|morons?|scammers?"
        r"|pathetic)\b",
        r"\b(?:idiots?|scumbags?|assholes?|bastards?|morons?)\b",
        r"\bspammers?\b",
        r"\bverpiss\w*\b|\bverschwinde\w*\b",
        r"\b(?:va te faire|fous[- ]moi la paix|connards?)\b",
        r"\b(?:vete a la mierda|que te jodan|gilipollas|vaffanculo)\b",
        r"\bharass(?:ment|ing)\b",
    ),
    sign(
        "accusation",
        "complaint",
        r"\b(?:als|como|come|comme|wie) (?:de |du |un |une )?(?:spam|pourriel|indesirable|junk|solche[rs]?"
        r"|tal)\b.{0,30}\b(?:gemeldet|melden|markiert|gemarkeerd|gemeld|segnalat\w+|denunciad\w+|denunciado"
        r"|marcad\w+|signal\w+|reportad\w+|rapporte)\b",
        r"\b(?:gemeldet|melde|gemeld|segnalat\w+|segnalo|segnalero|denunci\w+|marcad\w+|marque[ei]?|marco"
        r"|signal\w+|reportad\w+|gemarkeerd|markiert|markiere|markeer)\b.{0,40}\b(?:als|como|come|comme|pour|di"
        r"|per)\b.{0,6}\b(?:spam|pourriel|indesirable|junk)\b",
        r"\b(?:das|dies) ist (?:\w+ )?spam\b|\bc'est du spam\b|\besto es (?:\w+ )?spam\b|\b(?:questo"
        r"|questa) e spam\b|\bdit is (?:\w+ )?spam\b|\bisto e spam\b",
        r"\bhit(?:ting)? (?:the )?(?:report )?spam\b|\b(?:spam|abuse) (?:report|complaint)\b|\breport(?:ed"
        r"|ing)? (?:you|this|it)\b.{0,30}\b(?:provider|abuse|google|microsoft|host)\b",
        r"\b(?:report|mark|flag)(?:ed|ing)? (?:\w+ ){0,3}as (?:spam|junk|phishing|abuse)\b",
        r"\b(?:report|reported|reporting|mark|marked|marking|flag|flagged|flagging) (?:you|this|it"
        r"|your \w+|the \w+)\b.{0,25}\b(?:as )?(?:spam|junk|phishing|abuse)\b",
        r"\b(?:this|your (?:e-?mail|message)) is (?:\w+ )?(?:spam|unsolicited)\b",
        r"\bunsolicited (?:e-?mail|spam|mail|message)\b",
    ),
)
