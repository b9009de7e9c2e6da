"""An opt-out by those who don't ask for it in so many words: enough, not wanted, not here, let this be the last.

Wide on purpose, like `opt_out_phrases.py`: whoever is held by mistake is let go by a person. Texts are folded.
"""

from orchestrator.stop_phrases import Sign, sign

_SEEN = (
    r"(?! (?:\w+ ){0,2}(?:see|seen|get|got|gotten|read|notic\w+|receiv\w+|open\w*|find|found|answer\w*|repl\w+"
    r"|respond\w*"
    r"|miss\w*|mind|ignore|forget|recall|remember|understand|hesitate|worry)\b)"
)
_MAILS = (
    r"(?:e-?mails?|mails?|messages?|spam|newsletters?|pitch(?:es)?|outreach|solicitations?|offers?|marketing"
    r"|mailings?"
    r"|sequences?|cadences?|follow-?ups?|contact|correspondence|communications?)"
)

WEARY: tuple[Sign, ...] = (
    sign(
        "weary_en",
        "unsubscribe",
        r"\b(?:not|dont|doesnt|wont|didnt) (?:come|arrive|show up|turn up|land)\b[^.!?\n]{0,20}"
        r"\b(?:any ?more|any longer)\b",
        rf"\b(?:not|dont|doesnt|never|no|without|enough|unwanted|unwelcome|sick of|tired of|fed up|done with"
        rf"|over)\b{_SEEN}"
        rf"[^.!?\n]{{0,40}}\b(?:your|these|those|such|any|more|unsolicited|cold|sales|marketing|promotional"
        rf"|this kind of)"
        rf" (?:\w+ ){{0,2}}{_MAILS}\b",
        rf"\b{_MAILS}\b[^.!?\n]{{0,30}}\b(?:not|arent|isnt|un)[ -]?(?:wanted|welcome|desired|appreciated|solicited"
        rf"|accepted"
        r"|requested|needed)\b|\bunwelcome\b|\bunwanted\b",
        r"\b(?:enough|that will do|thats enough|no more|never again|not again|please no)\b(?=[.!, ]*$|[.!,])",
        r"\b(?:count|leave|cut|keep|rule|opt|take|get|cross|strike|want|let) (?:me|us|our \w+|my \w+) (?:out|off"
        r"|alone|be)\b"
        r"|\bi(?:d)? (?:want|like|need) out\b|\bcount (?:me|us) out\b",
        r"\b(?:cut it out|knock it off|give it a rest|quit it|drop it|back off|let it go|move on please"
        r"|please desist)\b",
        r"\b(?:this|it|that)\b[^.!?\n]{0,15}\b(?:be|is|should be|must be|was|will be) (?:the|your|my) last\b"
        r"|\b(?:last|final) (?:e-?mail|message|mail|contact|communication|time)\b",
        r"\b(?:you (?:can|may|could|should|need to|must|have to)|feel free to|please|kindly|just|time to"
        r"|better) (?:\w+ )?"
        r"(?:stop|cease|desist|unsubscribe|delete|remove|erase|forget|cancel)\b(?! (?:by|in)\b)"
        r"(?=[.!,]| (?:me|us|now|this|these|it|here|my|our|the|all|any|mailing|emailing|writing)|$)",
        r"\b(?:consider|take|treat|regard) (?:this|it)\b[^.!?\n]{0,40}\b(?:opt|request|notice|unsubscri\w*"
        r"|instruction|no)\b"
        r"|\bformal(?:ly)? (?:request|notice|ask\w*)\b",
        r"\b(?:no|not|never|without|lack of|havent|have not|didnt|did not|dont|do not)\b[^.!?\n]{0,20}"
        r"\b(?:consent\w*|permission|authori[sz]\w+|opted in|opt(?:ed)?-in|subscri\w+|signed up|sign up"
        r"|asked for (?:this|it"
        r"|these))\b",
        r"\b(?:do not|dont|does not|doesnt|wont|cannot|never)\b[^.!?\n]{0,15}\b(?:accept|entertain|welcome"
        r"|tolerate|want"
        r"|engage with|respond to|deal with|take)\b[^.!?\n]{0,25}\b(?:unsolicited|cold|sales|solicitation\w*|pitches"
        r"|approaches|marketing|outreach|vendors?|calls|e-?mails?|mails?|these|this)\b",
        r"\b(?:address|mailbox|inbox|account|e-?mail)\b[^.!?\n]{0,20}\b(?:is|are)\b[^.!?\n]{0,20}\b(?:only|not"
        r"|reserved"
        r"|private|personal|internal)\b",
        r"\b(?:private|personal|work|wrong) (?:e-?mail|address|inbox|mailbox)\b[^.!?\n]{0,40}\b(?:not|dont|stop"
        r"|please|remove)\b",
        r"\b(?:no need|no point|no use|dont bother|do not bother|save (?:your|yourself)|neednt|need not|waste of)\b"
        r"[^.!?\n]{0,40}\b(?:writ\w+|contact\w*|e-?mail\w*|follow\w*|reach\w*|send\w*|reply\w*|again|further|time"
        r"|trouble"
        r"|breath)\b",
        r"\bwhy (?:am i|do i|are you|do you|are we|did i)\b[^.!?\n]{0,20}\b(?:still|get\w*|receiv\w*|on|e-?mail\w*"
        r"|mail\w*"
        r"|writ\w*|contact\w*|send\w*|spam\w*|keep)\b",
        r"\bhow (?:do|can|could|would|to)\b[^.!?\n]{0,15}\b(?:stop|get off|get out|opt|end|cancel|unsub\w*|block)\b",
        r"\b(?:block(?:ed|ing)?|blacklist(?:ed|ing)?|filter(?:ed|ing)?|bann(?:ed|ing)|mut(?:ed|ing))\b[^.!?\n]{0,20}"
        r"\b(?:you|your|this|sender|domain|address)\b",
        r"\b(?:add|put|place|include|list|mark|flag|set) (?:me|us|my|our|this)\b[^.!?\n]{0,40}\b(?:suppression"
        r"|do[- ]?not"
        r"|dnc|block\w*|exclusion|opt[- ]?out|no[- ]contact|unsub\w*)\b|\b(?:dnc|do[- ]not[- ](?:contact|mail"
        r"|e-?mail|call"
        r"|disturb))\b",
        r"\b(?:asked|told|written|said|requested|replied|third|second|fourth|fifth|last|umpteenth)\b[^.!?\n]{0,25}"
        r"\b(?:before|already|twice|times?|repeatedly|again|request|reminder)\b[^.!?\n]{0,60}\b(?:stop|remov\w*"
        r"|unsub\w*"
        r"|contact\w*|e-?mail\w*|mail\w*|list|off|leave)\b",
        r"\b(?:respect|honou?r|comply with) (?:my|our|this|the) (?:\w+ )?(?:wish\w*|request|privacy|decision"
        r"|choice|opt)\b",
        r"\b(?:delete|remove|erase|forget|unlist|exclude|deactivate|deregister|off-?board) (?:me|us)\b",
        r"\b(?:cancel|end|terminate|discontinue) (?:my|our|this|the|all) (?:\w+ )?(?:subscription|newsletter"
        r"|e-?mails?"
        r"|mailings?|sequence|membership|service|correspondence|outreach)\b",
        r"\b(?:leave|let) (?:my|our|this) (?:\w+ )?(?:inbox|team|company|mailbox|colleagues?"
        r"|staff)\b[^.!?\n]{0,12}\b(?:alone"
        r"|be|out|in peace)\b|\bin peace\b",
        r"^(?:please )?(?:dont|do not|stop)[.! ]*$|\b(?:radio silence|your silence|appreciate (?:the )?silence)\b"
        r"|\b(?:end|close|kill|stop) (?:this|the) (?:thread|conversation|exchange|outreach|campaign|e-?mails?)\b"
        r"|\b(?:dont|do not|never) (?:come|write|e-?mail|mail|call|bother|try|contact|ask|message|ping|reach)\b"
        r"(?! (?:me |us )?(?:until|till|before))|\b(?:scratch|lose|bin|ditch|shred) (?:this|my|our|me|the)\b"
        r"|\bnot (?:looking|willing|prepared|happy) to (?:be|receive|get|hear)\b|\bpersonal account\b",
        r"\b(?:no need to|dont|do not|stop|neednt|need not|never) (?:\w+ )?(?:keep"
        r"|continue)\b[^.!?\n]{0,12}\b(?:check|reach|follow|writ"
        r"|e-?mail|send|try|ping|contact|call|bump|push|ask|nudg|chas)\w*\b",
        r"\b(?:dont|do not|never) (?:circle|loop|check|bump|chase|nudge|follow)\b"
        r"(?! (?:back |up |on |me |us )*(?:until|till|before))|\bnot interested\b[^.!?\n]{0,60}\bever\b",
        r"\b(?:annoying|annoyed|a nuisance|intrusive|pushy|pestered|bothersome)\b|\blet it (?:rest|lie)\b"
        r"|\bgive (?:it )?up\b",
        r"\btake the hint\b|\bhow many times (?:do|must|should) i\b|\bwhat part of no\b|\bno means no\b"
        r"|\b(?:permanent|final|hard) no\b|\bnever will be\b|\b(?:want|like|need) (?:it|this|that|these"
        r"|them) to (?:end|stop)\b"
        r"|\b(?:ive|had|have had) (?:more than )?enough\b",
        r"\bwithdraw\w*\b|\bopt\b[^.!?\n]{0,12}\bout\b|\bun-?enrol\w*\b|\bdo not disturb\b|\bno (?:soliciting"
        r"|solicitors)\b",
    ),
    sign(
        "weary_de",
        "unsubscribe",
        r"\bhatten (?:wir )?das (?:doch|ja) (?:schon|bereits)\b",
        r"\bkeine?\w*\b[^.!?\n]{0,20}\b(?:e-?mails?|mails?|werbung|nachrichten|newsletter|angebote"
        r"|kontaktaufnahme\w*|post"
        r"|anfragen|zusendungen|spam|infos?)\b[^.!?\n]{0,30}(?:\bmehr\b|\bbitte\b|\bwunsch\w*|\bsenden\b|\bschicken\b"
        r"|\berhalten\b|\bvon ihnen\b|\bhaben\b|$)",
        r"\b(?:bitte|bitt) (?:um )?keine?\w*\b|\b(?:wunsche|mochte|will|wollen|mochten|verbitte|verbiete|untersage)\b"
        r"[^.!?\n]{0,30}\b(?:keine?\w*|nicht\w*|nichts|das nicht)\b[^.!?\n]{0,40}\b(?:mails?|e-?mails?|werbung"
        r"|kontakt\w*"
        r"|nachricht\w*|post|angeschrieben|kontaktiert|horen|erhalten|bekommen|mehr)\b",
        r"\b(?:verbitte|verbiete|untersage) (?:ich )?(?:mir|ihnen|hiermit|jede\w*|weitere\w*)\b",
        r"\b(?:mochten?|will|wollen|wunschen?) nicht,? dass (?:sie|ihr|jemand)\b[^.!?\n]{0,60}"
        r"\b(?:kontaktier|schreib|anschreib|meld|mail)\w*",
        r"\b(?:es reicht|reicht jetzt|genug jetzt|jetzt ist (?:aber )?schluss|schluss (?:damit|jetzt)|aufhoren"
        r"|hor auf"
        r"|hort auf|horen sie (?:bitte |endlich |sofort |damit )*auf|lassen sie (?:das|es)|lasst das|nie wieder"
        r"|nie mehr|nicht noch einmal|nicht mehr bitte)\b",
        r"\bunerwunscht\w*\b|\bnicht erwunscht\b|\bunaufgefordert\w*\b|\bunverlangt\w*\b|\bbelastig\w*\b"
        r"|\bbelaestig\w*\b",
        r"\b(?:abmeldung|abbestellung|kundig\w*|stornier\w*|abo beenden|abonnement beenden|austragung|loschung)\b",
        r"\bseh(?:en|t)\b[^.!?\n]{0,60}\bab\b|\b(?:sperr|blockier)\w*\b[^.!?\n]{0,30}\b(?:mich|uns|adresse|sie"
        r"|absender"
        r"|meine\w*|unsere\w*)\b|\b(?:mich|uns|adresse)\b[^.!?\n]{0,20}\b(?:sperren|blockieren|vergessen)\b",
        r"\b(?:nehmt|nehmen|nimm|streicht|streichen|entfernt|entfernen|loscht|loschen|tragt|tragen) (?:sie )?"
        r"(?:bitte )?(?:mich|uns)\b|\b(?:mich|uns)\b[^.!?\n]{0,30}\b(?:austragen|abmelden|streichen|entfernen|loschen"
        r"|rausnehmen|herausnehmen|raus|aus ihrem|aus eurem|aus dem)\b",
        r"\b(?:letzte\w*|letztmal\w*)\b[^.!?\n]{0,30}\b(?:mail|e-?mail|nachricht|aufforderung|warnung|mal)\b",
        r"\b(?:brauchen|mussen|sparen) sie\b[^.!?\n]{0,30}\b(?:nicht|sich)\b[^.!?\n]{0,40}\b(?:mehr|schreiben"
        r"|melden|muhe"
        r"|kontaktieren|weitere\w*)\b|\bkein\w* (?:einwilligung|zustimmung|einverstandnis)\b|\bnie zugestimmt\b"
        r"|\bnicht (?:angemeldet|zugestimmt|eingewilligt|bestellt|angefordert)\b|\bnie (?:angemeldet|bestellt"
        r"|angefordert)\b",
        r"\bwarum (?:bekomme|erhalte|schreiben|schicken|mailen)\b|\bwie (?:kann ich|melde ich"
        r"|komme ich)\b[^.!?\n]{0,25}"
        r"\b(?:ab|abmelden|raus|abbestellen)\b",
        r"\bstell(?:en|t)? (?:sie |ihr )?(?:das|dies|diese) (?:\w+ )?(?:ab|ein)\b|\blass(?:en sie|t)? (?:es|das)"
        r" (?:\w+ )?(?:sein|bleiben|einfach|gut)\b|\b(?:nervt|nerven|lastig|genervt)\b",
        r"\bstop(?:p|pt|pen|pen sie)?\b(?=[^.!?\n]{0,25}\b(?:e-?mails?|mails?|nachricht\w*|werbung|das|damit"
        r"|bitte)\b)",
    ),
    sign(
        "weary_fr",
        "unsubscribe",
        r"\bepargne[zr]?[ -](?:nous|moi)\b",
        r"\b(?:ca suffit|assez|stop aux?|ras[- ]le[- ]bol|fichez[- ]moi|n'insistez pas|inutile (?:de|d')"
        r"|pas la peine)\b",
        r"\b(?:ne|n')\b[^.!?\n]{0,12}\b(?:souhaite|veux|voulons|desire|souhaitons|desirons"
        r"|accepte)\w*\b[^.!?\n]{0,40}"
        r"(?:\b|')(?:recevoir|etre|vos|contact\w*|sollicit\w*|mails?|e-?mails?|messages?|publicite|pub|demarch\w*"
        r"|plus)",
        r"\bmerci (?:de|d') ?(?:ne|n')\b|\b(?:de|d') ?ne (?:plus|pas|jamais)\b|\bne plus (?:etre|recevoir|jamais"
        r"|rien)\b"
        r"|\bplus jamais\b|\bplus de (?:mails?|pub|messages?|spam|contact|relances?)\b|\bpas de (?:pub|publicite"
        r"|demarchage"
        r"|prospection|spam|sollicitation)\w*\b",
        r"\b(?:retir|supprim|enlev|effac|ray|sort|oubli|desinscri|desabonn|radi|exclu|bloqu)\w*[- ](?:moi|nous|mon"
        r"|notre|nos"
        r"|mes|cette)\b|\b(?:me|nous|m') ?(?:retir|supprim|enlev|effac|ray|desinscri|desabonn|radi|sortir|oubli"
        r"|exclu)\w*",
        r"\b(?:non[- ]sollicit\w+|indesirable\w*|intempestif\w*|harcel\w+|aucun consentement|sans mon (?:accord"
        r"|consentement)|jamais (?:donne|demande|inscrit\w*|accepte))\b",
        r"\b(?:dernier|derniere)\b[^.!?\n]{0,20}\b(?:mail|message|e-?mail|fois|avertissement)\b"
        r"|\bje (?:vous )?bloque\b",
        r"\bcomment (?:se |me |puis-je )?(?:desinscri\w+|desabonn\w+|arreter)\b|\bpourquoi (?:je recois|m'ecri\w+"
        r"|est-ce)\b",
        r"\bj'ai (?:deja )?dit non\b|\bpollu\w+ ma\b|\bn'en veu(?:x|t) plus\b|\bj'en ai (?:marre|assez)\b"
        r"|\b(?:merci|priere) d'arreter\b",
        r"\b(?:resili\w+|annul\w+)\b[^.!?\n]{0,25}\b(?:abonnement|inscription|newsletter)\b|\bdesinscription\b",
    ),
    sign(
        "weary_es",
        "unsubscribe",
        r"\b(?:agencia|autoridad) (?:espanola )?de proteccion de datos\b",
        r"\b(?:ya basta|basta ya|suficiente|no insist\w+|no molest\w*|dejad\w* de|deje de|dejen de|dejame|dejeme"
        r"|paren|pare ya"
        r"|no vuelv\w+|no me vuelv\w+|nunca mas|no mas|olvid\w+ de (?:mi|nosotros)|ni (?:una|un) (?:mas|vez mas))\b",
        r"\bno (?:quiero|deseo|queremos|deseamos|acepto|autorizo|aceptamos|he (?:autorizado|solicitado|pedido"
        r"|dado))\b"
        r"[^.!?\n]{0,40}\b(?:recibir|mas|correos?|e-?mails?|mensajes?|publicidad|que|contact\w*|nada|sus|esto"
        r"|estos|mi"
        r"|consentimiento|saber)\b",
        r"\b(?:elimin|borr|quit|sac|suprim|retir|exclu|desapunt|desuscrib|bloque)\w*(?:me|nos|la|los|lo)\b|\b(?:me"
        r"|nos)"
        r" (?:elimin|borr|quit|saqu|suprim|retir|exclu|den de baja|desapunt|desuscrib|dejen|deje)\w*\b",
        r"\b(?:no solicitad\w+|no deseado\w*|sin (?:mi )?(?:consentimiento|permiso)|acoso)\b|\bde baja\b(?! (?:medica"
        r"|laboral|maternal|paternal|por))",
        r"\b(?:cancel|anul)\w+\b[^.!?\n]{0,25}\b(?:suscripcion|envios?|boletin|registro)\b|\bpor que (?:recibo"
        r"|me (?:escrib\w+"
        r"|lleg\w+|envi\w+))\b|\bultim[oa] (?:correo|mensaje|vez|aviso)\b|\bcomo (?:me doy|puedo darme|dejo)\b",
        r"\bno me (?:busqu|insist|esten|sigan|fastidi)\w*\b|\bhart[oa]s? de\b|\bme tienen hart[oa]\b",
        r"\bno (?:nos|me) (?:escrib\w*|contact\w*|envi\w*|mand\w*|llam\w*|molest\w*)\b",
    ),
    sign(
        "weary_it",
        "unsubscribe",
        r"\bstuf[aoei] di\b[^.!?\n]{0,20}\bricever\w*",
        r"\b(?:basta(?: cosi)?|ora basta|adesso basta|smettetela|smettila|finitela|non insist\w+|mai piu"
        r"|lasciate perdere"
        r"|non disturb\w+|non mi (?:scriv\w*|contatt\w*|invi\w*|mand\w*)|non ci (?:scriv\w*|contatt\w*|invi\w*"
        r"|mand\w*))\b",
        r"\bnon (?:voglio|desidero|vorrei|intendo|vogliamo|desideriamo|accetto|autorizzo|ho (?:mai )?(?:dato|chiesto"
        r"|autorizzato|richiesto))\b[^.!?\n]{0,40}\b(?:ricever\w*|piu|mail|e-?mail|messagg\w+|pubblicita"
        r"|contattat\w+|vostre"
        r"|questo|queste|consenso|comunicazion\w+|nulla)\b",
        r"\b(?:cancell|rimuov|elimin|togli|tolg|esclud|dimentic|blocc|disiscriv|disinscriv)\w*(?:mi|ci|temi|teci"
        r"|rmi|rci|lo)\b"
        r"|\b(?:mi|ci) (?:cancell|rimuov|elimin|tolg|esclud|disiscriv)\w*\b|\bdisiscri\w+\b|\bdisinscri\w+\b",
        r"\b(?:indesiderat\w+|non (?:richiest|sollecitat|gradit)\w+|senza (?:il )?(?:mio )?consenso|molest\w+)\b"
        r"|\bultim[oa] (?:mail|messaggio|volta|avviso)\b|\bperche (?:ricevo|mi (?:scriv\w+|arriv\w+))\b"
        r"|\bcome (?:mi|posso)"
        r" (?:cancell\w+|disiscriv\w+)\b|\bannull\w+\b[^.!?\n]{0,25}\b(?:iscrizione|abbonamento)\b",
        r"\bfermatevi\b|\bvi diffido\b|\b(?:ne ho|mi pare) abbastanza\b|\bsono stuf[oa]\b|\blasciate stare\b",
        r"\bniente (?:piu )?(?:mail|e-?mail|pubblicita|spam)\b|\bnon (?:\w+ )?piu (?:mail|e-?mail|messaggi)\b",
    ),
    sign(
        "weary_nl",
        "unsubscribe",
        r"\b(?:genoeg|hou (?:hier)?(?:mee )?op|houd op|ophouden|stop er ?mee|nooit meer|niet meer (?:doen|graag"
        r"|alsjeblieft)"
        r"|laat (?:me|mij|ons) met|bespaar (?:me|mij|je)|ongewenst\w*|ongevraagd\w*|niet gewenst|hou je mails)\b",
        r"\b(?:geen|zonder)\b[^.!?\n]{0,20}\b(?:\w*mails?|berichten|reclame|spam|aanbiedingen|contact|toestemming"
        r"|acquisitie)\b",
        r"\b(?:wil|wens|willen|wensen|hoef|hoeven)\b[^.!?\n]{0,25}\b(?:geen|niet|niets"
        r"|niks)\b[^.!?\n]{0,30}\b(?:\w*mails?"
        r"|ontvangen|benaderd|gemaild|berichten|meer|van jullie|van je|van u)\b",
        r"\b(?:schrijf|schrijven|meld|melden|haal|halen|verwijder|schrap|gooi|vergeet"
        r"|blokkeer)\w*\b[^.!?\n]{0,20}\b(?:me|mij"
        r"|ons|mijn|onze)\b[^.!?\n]{0,30}|\b(?:me|mij|ons)\b[^.!?\n]{0,20}\b(?:uitschrijven|afmelden|verwijderen"
        r"|schrappen"
        r"|uit je|uit jullie|uit uw)\b",
        r"\bniet\b[^.!?\n]{0,12}\b(?:mailen|benaderen|contacteren|sturen|schrijven|bellen)\b|\buitschrijving\b"
        r"|\bafmelding\b"
        r"|\blaatste (?:mail|keer|bericht|waarschuwing)\b|\bwaarom (?:krijg|ontvang|mail)\b|\bopzeg\w*\b"
        r"|\bhoe (?:meld|schrijf)\b",
        r"\blaat het hierbij\b|\bben (?:er |het )?(?:klaar mee|zat|beu)\b|\bzit (?:hier|er) niet op te wachten\b",
        r"\bstop\b(?=[^.!?\n]{0,20}\b(?:mails?|berichten|dit|hiermee|alsjeblieft|aub|graag)\b)",
    ),
    sign(
        "weary_pt",
        "unsubscribe",
        r"\b(?:ja chega|chega|basta|parem|pare (?:com|de|ja|por favor)|nunca mais|nao insist\w+|nao incomod\w+"
        r"|nao voltem a"
        r"|nao volte a|deixem-me|deixe-me em|esquec\w+-me|me esquec\w+)\b",
        r"\bnao (?:quero|desejo|queremos|desejamos|pretendo|aceito|autorizei|autorizo|dei|pedi|solicitei|subscrevi)\b"
        r"[^.!?\n]{0,40}\b(?:receber|mais|e-?mails?|mensagens|publicidade|contact\w*|contat\w*|nada|isto|isso"
        r"|estes|esses"
        r"|vossos|seus|consentimento|autorizacao)?\b",
        r"\b(?:remov|retir|exclu|apagu|elimin|tir|bloque|cancel|descadastr)\w*-(?:me|nos)\b|\b(?:me|nos) (?:remov"
        r"|retir|exclu"
        r"|apagu|elimin|tir|descadastr|deixe|deixem)\w*\b",
        r"\b(?:nao solicitad\w+|indesejad\w+|sem (?:a )?(?:minha )?(?:autorizacao|consentimento|permissao))\b"
        r"|\bultim[oa]"
        r" (?:e-?mail|mensagem|vez|aviso)\b|\bporque (?:recebo|me)\b|\bpor que (?:recebo|me)\b|\bcomo (?:cancelo"
        r"|me removo)\b",
        r"\b(?:cancel|anul)\w+\b[^.!?\n]{0,25}\b(?:inscricao|subscricao|assinatura|registo|cadastro|envio)\b"
        r"|\bsair da lista\b",
        r"\b(?:estou|tou) fart[oa]\b|\bja disse que nao\b|\bme deix\w+ em paz\b",
        r"\bnao (?:me|nos) (?:envi|escrev|mand|contat|contact|lig)\w*\b|\bsem mais (?:contactos?|contatos?)\b",
    ),
)
