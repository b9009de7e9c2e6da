"""What sounds like an opt-out and asks for none: set aside before the rest of a reply is heard. Texts are folded.

Small print under a mail, links of their own newsletter, questions about a product, a plea to stay, a mistake that
is taken back, another way or another address to write to, and figures of speech.
"""

import re

_IN = r"[^.!?;\n]"
_AROUND = rf"{_IN}{{0,60}}"
_LINK = r"(?:https?:|www\.|\bclick\b|\bklick\w*|\bclique\w*|\bclicca\w*|\bhaga clic\b)"
_OFF = (
    r"(?:un-?subscri\w+|opt[- ]?out|abmelde\w*|abbestell\w*|desinscri\w+|desabonn\w+|baja|desuscri\w+|cancellarti"
    r"|disiscri\w+|afmeld\w*|uitschrijv\w*|descadastr\w*|cancelar a (?:inscricao|subscricao))"
)
# A whole line: what programs put under every mail of a company.
_SMALL_PRINT = re.compile(
    r"\bif you (?:have|are|were|got)\b[^\n]{0,20}\b(?:received this (?:e-?mail|mail|message|communication)"
    r"|not the (?:intended|named)|the intended)\b"
    r"|\b(?:is|it was|was) not (?:meant|intended) for you\b|\bintended solely for\b|\bintended recipients?\b"
    r"|\bwenn sie nicht der\b|\bfalls sie nicht der\b|\bsollten sie (?:nicht der|diese (?:e-?mail|nachricht))\b"
    r"|\bsi vous (?:n'etes pas le|avez recu ce)\b|\bsi (?:usted )?(?:no es el destinatario|ha recibido est[ea])\b"
    r"|\bse (?:non siete|non e|ha ricevuto quest\w|avete ricevuto quest\w)\b|\bindien u (?:niet de|dit bericht)\b"
    r"|\b(?:se|caso) (?:voce )?(?:nao (?:e|for|seja) o destinatario|recebeu est[ea]|tenha recebido est[ea])\b"
    r"|\bbefore printing\b"
)
_FOOTER = re.compile(
    rf"\b{_OFF}\b[^\n]{{0,80}}(?:{_LINK}|\|)|(?:{_LINK}|\|)[^\n]{{0,80}}\b{_OFF}"
    rf"|\b(?:to|zum|um sich|pour (?:vous|se)|para (?:darse|dar-se)|per|om je"
    rf"|om u)\b[^\n]{{0,15}}\b{_OFF}\b[^\n]{{0,40}}:"
    rf"|\b{_OFF} from (?:our|my)\b|\bfrom our (?:newsletter|updates|news)\b"
    r"|\b(?:receive|receiving|getting|get) (?:\w+ ){0,3}(?:from (?:us|my team)|my team'?s)\b"
)
# In a machine's mail, a line that only says how to leave something.
_MACHINES_FOOTER = re.compile(
    rf"\b(?:to )?{_OFF} (?:from (?:\w+ ){{1,4}}click|at the link)\b[^\n]*"
    rf"|\bto stop receiving [^.\n]{{0,40}}newsletters?[^.\n]{{0,40}}"
    rf"|^(?:to )?(?:newsletter )?{_OFF}(?: (?:from )?(?:our )?newsletter)?\W*$|\b(?:dont|do not"
    rf"|no longer) (?:want|wish)"
    r" (?:to receive )?(?:these|such|our) (?:notifications?|updates?|e-?mails?)\b[^\n]*"
    r"|\bdo not (?:send|reply)\b[^.\n]{0,40}\bto this (?:address|mailbox|e-?mail)\b|\bstop sending urgent\b"
    r"|\b(?:remove|delete|losch\w*|supprim\w+|elimin\w+|verwijder\w*|rimuov\w+|remov\w+)\b[^.\n]{0,15}\b(?:this"
    r"|diese|cette"
    r"|esta|dit|questo|este)\b[^.\n]{0,15}\b(?:address|adresse|direccion|adres|indirizzo|endereco)\b[^.\n]{0,12}"
    r"\b(?:from|aus|de|uit|da|dai|dos)\b[^.\n]{0,6}\b(?:your|ihr\w*|vos|su|sus|uw|vostr\w+|seus)\b[^\n]*"
)
_PRODUCT = re.compile(
    r"\b(?:tool|software|platform|product|produkt|plattform|outil|logiciel|herramienta|strumento|plataforma"
    r"|ferramenta"
    r"|produit|producto|prodotto|produto|hubspot|salesforce|import\w*|importar|importer|einspielen|importare)\b"
)
_OURS = re.compile(r"\b(?:our|my|from us|by us|let us)\b")  # as a company says it of itself under its mails
_FIRST = re.compile(
    r"\b(?:i|im|ive|id|me|my|mine|we|our|us|ich|mich|mir|mein\w*|wir|uns(?:er\w*)?|je|j'\w+|moi|nous|yo|io|ik"
    r"|mij|eu|noi|wij)\b"
)
_MINE = re.compile(
    r"\b(?:me|my|mich|mir|meine\w*|moi|m'|mon|mes|mi|mis|mio|mia|mij|mijn|meu|minha|remove us|write to us)\b"
)
_STAYS = (
    # not: take me off
    (
        rf"(?<!you )(?<!they )(?<!why )(?<!if you )\b(?:do not|dont|never)\b (?:ever )?(?:\w+ )?(?:unsubscribe"
        rf"|remove|take|delete|drop|cut) (?:me|us)\b{_AROUND}"
    ),
    r"\b(?:bitte|mochte|will|wollte|wollen|moechte)\b[^.!?\n]{0,20}\bnicht (?:abmelden|austragen|abbestellen)\b",
    (
        r"(?<!warum )(?<!wieso )(?<!wenn )\b(?:nehmen|nimm|nehmt|streichen|tragen) (?:sie )?(?:mich"
        r"|uns) (?:bitte )?nicht\b[^.!?\n]{0,40}"
    ),
    r"\bne (?:me|nous) (?:des\w+|retir\w+|supprim\w+|enlev\w+) (?:surtout )?pas\b[^.!?\n]{0,30}",
    (
        r"\bne (?:veux|voulais|voulons|souhaite|souhaitais|souhaitons) (?:surtout )?pas (?:me |nous "
        r"|etre )?(?:desinscri|desabonn"
        r"|retir|supprim)\w*"
    ),
    (
        r"(?<!que )(?<!si )\bno (?:me|nos) (?:den|de|des|deis) de baja\b|(?<!que )(?<!si )\bno (?:me|nos) (?:elimin"
        r"|borr|quit|saqu)\w+\b"
        r"|\bno (?:quiero|queremos|queria|deseo) (?:dar(?:me|nos) de baja|cancelar|desuscribirme|que me (?:elimin"
        r"|borr|quit|den"
        r" de baja)\w*)\b"
    ),
    (
        r"\bnon (?:cancell|rimuov|togli|elimin|disiscriv)\w*(?:mi|temi|teci|ci)\b"
        r"|\bnon (?:voglio|vorrei|volevo|intendo) (?:disiscriv|disinscriv|cancell)\w+"
    ),
    r"\b(?:wil|wilde|willen) (?:me|mij|ons) niet (?:afmelden|uitschrijven)\b|\bschrijf (?:me|mij|ons) niet uit\b",
    (
        r"(?<!que )(?<!porque )(?<!se )\bnao (?:me|nos) (?:remov|retir|exclu|descadastr|tir)\w+|\bnao (?:quero"
        r"|queria|pretendo) (?:me )?(?:cancelar|descadastrar"
        r"|sair|remover)\b[^.!?\n]{0,20}"
    ),
    r"\bnehm\w*\b[^.!?\n]{0,40}\bin (?:ihren|euren|den|die|ihre|eure)\b[^.!?\n]{0,30}\bauf\b",
    # by mistake, and taken back
    r"\b(?:unsubscri\w+|opted out)\b[^.!?\n]{0,30}\b(?:by (?:accident|mistake)|accidentally|unintentionally)\b",
    r"\b(?:accidentally|by (?:accident|mistake)|unintentionally)\b[^.!?\n]{0,30}\b(?:unsubscri\w+|opted out)\b",
    (
        r"\b(?:aus versehen|versehentlich|par erreur|sin querer|por error|per sbaglio|per ongeluk|por engano"
        r"|sem querer)\b"
        r"[^.!?\n]{0,60}"
    ),
    (
        r"\b(?:me di de baja|abgemeldet|desinscrit\w*|afgemeld|disiscritto)\b[^.!?\n]{0,12}\b(?:aus versehen"
        r"|versehentlich"
        r"|par erreur|sin querer|por error|per sbaglio|per ongeluk|por engano)\b"
    ),
    (
        r"\b(?:spam|junk) filter unsubscribed me\b|\b(?:almost|nearly) (?:unsubscri\w+|opted out)\b"
        r"|\bbefore i unsubscribe\b"
        r"|\breasons? (?:not|why i should not) to unsubscribe\b"
    ),
    # negations that ask for an answer
    (
        r"\b(?:dont|do not|never|please dont) (?:forget|fail|be shy|stop there|be afraid)\b(?: to)?(?: e-?mail"
        r"| write| send| contact"
        r"| me)*"
    ),
    (
        r"\bvergessen sie (?:bitte )?nicht\b|\bhor(?:en|t)? (?:sie )?(?:bitte )?nicht auf\b|\bn'oubliez pas\b"
        r"|\bn'arretez pas\b"
        r"|\bno (?:dejen|deje|dejes|olvide\w*|paren|pare)\b(?: de (?:mandar|enviar|escribir)\w*)?"
        r"|\bnon (?:dimentic\w+|smett\w+) di\b"
        r"|\bvergeet niet\b|\bnao (?:deixe|deixem|esqueca|esquecam|parem|pare)\b(?: de (?:me )?(?:mandar|enviar"
        r"|escrever))?"
    ),
    (
        r"\b(?:no|keine|keinerlei|pas d'autres?|aucune autre|no tengo mas|non ho altre|geen|nao tenho mais) (?:more "
        r"|further |weiteren"
        r" |weitere |verdere )?(?:questions?|fragen|preguntas|domande|vragen|perguntas)\b[^.!?\n]{0,50}"
    ),
)
_AGAIN = (
    # what didn't arrive, and is asked for once more
    (
        r"\b(?:did not|didnt|have not|havent|never|not yet) (?:yet )?(?:receive|received|get|got|gotten) (?:your|the"
        r"|any|it|an?)\b"
        r" ?(?:e-?mails?|mails?|messages?|attachments?|links?)?(?! (?:consent|permission))"
    ),
    (
        r"\b(?:hab\w*|hatte\w*)\b[^.!?\n]{0,25}\b(?:nicht|nie|noch nicht|keine?\w*)\b[^.!?\n]{0,20}\b(?:erhalten"
        r"|bekommen|gefunden)\b"
        r"|^nicht (?:erhalten|bekommen|angekommen)\b"
    ),
    (
        r"\bn'a(?:i|vons) (?:pas|plus|jamais) (?:bien )?(?:recu|eu|votre|vos)\b[^.!?,\n]{0,20}|\bno (?:recibi"
        r"|recibimos|he recibido|hemos"
        r" recibido|me llego|nos llego)\b[^.!?,\n]{0,25}"
    ),
    (
        r"\bnon (?:ho|abbiamo) (?:mai )?ricevuto\b[^.!?,\n]{0,20}|\bheb\b[^.!?\n]{0,20}\b(?:niet|geen"
        r"|nooit)\b[^.!?\n]{0,15}\bontvangen\b"
        r"|\bnao (?:recebi|recebemos|chegou)\b[^.!?,\n]{0,20}"
    ),
    (
        r"\b(?:re-?send|send (?:it|them|me|that)?|forward (?:it|that)?|schick\w*|senden|envi\w+|mand\w+|renvoy\w+"
        r"|inviat\w+|stuur\w*)\b"
        r"[^.!?\n]{0,20}\b(?:again|once more|nochmals?|noch einmal|erneut|de nuevo|nuevamente|otra vez|di nuovo"
        r"|nogmaals|novamente)\b"
    ),
)
_ANOTHER_WAY = (
    (
        r"\b(?:do not|dont|rather than|instead of|no need to)\b[^.!?\n]{0,12}\b(?:call|phone|ring)\w*\b[^.!?\n]{0,30}"
        r"\b(?:e-?mail|write|mail|text|message)\b[^.!?\n]{0,10}"
    ),
    r"\b(?:contact|reach|call) (?:me|us) (?:by|via|on) (?:phone|telephone|mobile|linkedin|whatsapp)\b",
    r"\bno need to (?:follow up|write|e-?mail)\b[^.!?\n]{0,20}\b(?:just|simply) (?:call|phone|ring|book)\b",
    r"\bnicht anrufen\b[^.!?\n]{0,20}\b(?:mail\w*|schreib\w*)\b|\bkeine weiteren unterlagen\b[^.!?\n]{0,40}",
    r"\bne (?:m'|nous )appele[zr] (?:pas|plus)\b[^.!?\n]{0,20}\becri\w+[^.!?\n]{0,10}",
    r"\bno (?:me|nos) llam\w+\b[^.!?\n]{0,20}\bescrib\w+|\bnon mi chiam\w+\b[^.!?\n]{0,15}\bscriv\w+",
    r"\bniet bellen\b[^.!?\n]{0,20}\bmail\w*[^.!?\n]{0,10}|\bnao (?:me|nos) ligu\w+\b[^.!?\n]{0,15}\bescrev\w+",
    r"\b(?:using|use|to) my (?:old|former|previous|private|personal) (?:\w+ )?(?:address|e-?mail|inbox)\b",
    r"\bdo not contact [a-z]+ (?:about|for|on) (?:this|that|it)\b|\bcontact me directly\b",
    # and another address: mailbox@ stands for it
    (
        r"\b(?:nicht|ne|n'|no|non|niet|nao|dont|do not|not|stop)\b[^.!?\n]{0,70}\b(?:but|instead|sondern|mais|sino"
        r"|ma|maar|mas"
        r"|rather|escribame|escribanme|write|use|schreiben sie an|utilisez|usa|usate"
        r"|gebruik)\b[^.!?\n]{0,25}\bmailbox@"
    ),
)
_THINGS = (
    r"(?:slides?|pages?|clauses?|versions?|drafts?|files?|attachments?|documents?|paragraphs?|sections?|columns?"
    r"|rows?|notes"
    r"|invoices?|invites?|invitations?|meetings?|calls?|appointments?|line items?|logos?|fields?|test data"
    r"|duplicates?"
    r"|proposals?|decks?|quotes?|quotations?|summary|reports?|blockers?|pricing|presentations?|contracts?"
    r"|agendas?|cc)"
)
_NOT_ME = r"(?:(?!(?:me|us|my|our|your|mine|from|off|this|these)\b)\w+ )"
_OTHER_THINGS = (
    rf"\b(?:remov|delet|eras|cancel|drop|tak|strik|end|withdraw)\w*\b {_NOT_ME}{{0,4}}{_THINGS}\b[^.!?\n]{{0,60}}",
    (
        rf"\b(?:dont|do not|no need to|never) (?:\w+ )?(?:send|e-?mail|forward"
        rf"|share) the (?:\w+ ){{0,2}}{_THINGS}\b[^.!?\n]{{0,40}}"
    ),
    (
        r"\b(?:n'|ne|no|nicht|non|niet|nao|dont|do not)\b[^.!?\n]{0,40}\b(?:the|le|el|la|den|das|il|het|de|o"
        r"|a) (?:contrat\w*|contract\w*|vertrag|angebot|devis|presupuesto"
        r"|cotizacion|propuesta|preventivo|offerte|proposta|orcamento|rechnung|facture|factura)\b[^.!?\n]{0,60}"
    ),
    rf"\bfrom (?:the|our) (?:\w+ )?(?:cc|{_THINGS})\b",
    (
        r"\b(?:losch|loesch|entfern|streich|nehm)\w*\b[^.!?\n]{0,30}\b(?:folie\w*|entwurf\w*|entwurfe|anlage\w*"
        r"|anhang|datei\w*"
        r"|testdaten|position\w*|termin\w*|seite\w*|absatz|klausel\w*|wasserzeichen|fassung|version)\b[^.!?\n]{0,60}"
    ),
    (
        r"\b(?:retir|supprim|enlev|effac)\w*\b[^.!?\n]{0,30}\b(?:diapo\w*|versions?|devis|piece jointe|page|clause"
        r"|fichier joint"
        r"|copie|paragraphe|brouillon)\b[^.!?\n]{0,40}"
    ),
    (
        r"\b(?:elimin|borr|quit|sac)\w*\b[^.!?\n]{0,30}\b(?:diapositiva\w*|version\w*|propuesta|adjunto\w*|pagina"
        r"|clausula|copia"
        r"|parrafo|borrador)\b[^.!?\n]{0,40}"
    ),
    (
        r"\b(?:cancell|togli|rimuov|elimin)\w*\b[^.!?\n]{0,30}\b(?:slide|versione|offerta|allegat\w+|pagina|clausola"
        r"|riunione"
        r"|bozza|copia)\b[^.!?\n]{0,40}"
    ),
    (
        r"\b(?:verwijder|haal|schrap)\w*\b[^.!?\n]{0,30}\b(?:slide|versie|offerte|bijlage|pagina|clausule|dia"
        r"|concept|kopie)\b"
        r"[^.!?\n]{0,40}"
    ),
    (
        r"\b(?:remov|exclu|apag|tir|retir)\w*\b[^.!?\n]{0,30}\b(?:slide|versao|proposta|anexo|pagina|clausula"
        r"|rascunho|copia)\b"
        r"[^.!?\n]{0,40}"
    ),
    r"\b(?:trial|thread|ping-?pong|pilot|project|projekt|projet|contract) (?:on|and|in|at|am|zum)\b",
    r"\bend (?:the|of) (?:trial|e-?mail ping-?pong|week|month|day|quarter|year)\b",
)
_FIGURES = (
    (
        r"\bstop (?:the (?:press\w*|train)|by|over|reading|using|paying|talking|me if|looking|condition\w*|codes?"
        r"|ou encore)\b"
    ),
    r"\b(?:non-?|full |pit |bus |one-?)stop\b|\bto a stop\b|\bstop (?:loss|word|date|rule)s?\b|\bstoppen sie mich\b",
    r"\b(?:cant|cannot|couldnt|wont|didnt|dont|never) stop (?!(?:send|e-?mail|mail|writ|contact|spam)\w*)\w+",
    (
        r"\btake (?:me|us) (?:off mute|through|up on|out for)\b|\bleave me alone with\b|\bnever mind (?:the|my"
        r"|that)\b[^.!?\n]{0,30}"
    ),
    r"\b(?:we|i) (?:stopped|quit) (?:using|working|paying|buying|reading)\b|\bwe want (?:our|the) \w+ to stop\b",
    (
        r"\bin ruhe (?:\w+ )?(?:daruber|anschauen|ansehen|lesen|besprechen|nachdenken|uberlegen|ansehn|prufen"
        r"|durch\w+)\b"
    ),
    (
        rf"\b(?:dont|do not|no longer) (?:want|wish)(?: to receive)? (?:these|such"
        rf"|our) [^.!?\n]{{0,30}}\? ?{_OFF}\W*$"
        r"|\blist[- ](?:cleaning|hygiene|building|enrichment)\b[^.!?\n]{0,60}"
        r"|\b(?:dont|do not) (?:want|need)(?: to (?:receive|get|see|have))? (?:a|an|the"
        r"|another) (?:\w+ ){0,2}(?:modules?|tools?"
        r"|decks?|demos?|suite|brochures?|webinars?|presentations?|trials?|calls?)\b"
        r"|\bno (?:quiero|necesito|queremos|necesitamos) (?:recibir )?(?:una?|otr[ao]) (?:demo|herramienta"
        r"|presentacion|llamada)\b"
    ),
    (
        r"\bno more (?:than|emails? before)\b|\bkeine weiteren (?:als)\b|\bplus d(?:e |')(?:details?|infos?"
        r"|informations?|exemples?)\b"
        r"[^.!?\n]{0,30}"
    ),
    (
        r"\b(?:un-?subscri\w+|opt-?outs?|abmelde|bounce)[- ]?(?:rates?|quoten?)\b|\babmeldequote\w*\b"
        r"|\btaux de desabonnement\b"
        r"|\btasa de bajas\b|\btasso di disiscrizione\b|\btaxa de (?:descadastro|cancelamento)\b"
    ),
    r"\bsuppression list\b[^.!?\n]{0,40}\?|\bbasta (?:una (?:mail|riga)|che)\b[^.!?\n]{0,30}|\bpare com a\b",
    r"\b(?:not only|nicht nur|pas seulement|no solo|non solo|niet alleen|nao so)\b",
    (
        r"\b(?:thanks|thank you|danke|merci|gracias|grazie|bedankt|obrigado) (?:for|fur|pour|por|per|voor"
        r"|pela) (?:\w+ ){0,2}(?:last"
        r"|latest|letzte|dernier|ultimo|ultima|laatste)\b[^.!?\n]{0,20}"
        r"|\blast (?:piece|question|thing|point|step|item|bit|detail|week|month|year|version)\b|\bletzte\w* (?:frage"
        r"|punkt"
        r"|angebot|woche|monat|jahr|detail)\b|\bderniere (?:question|chose)\b|\bultim[oa] (?:pregunta|domanda"
        r"|pergunta|cosa|punto)\b"
        r"|\blaatste (?:vraag|punt)\b"
    ),
    r"\bhor(?:en|t)? (?:sie )?auf (?:ihr(?:e|en|em)?|den|die) (?!mails?|e-?mails?|nachricht|werbung|schreib|spam)\w+",
    (
        r"\bdej[ae]me (?:revis|ver|pens|consult|habl|chec|pregunt|leer)\w*\b|\bdeixe?-me (?:ver|pensar|falar"
        r"|consultar|perguntar)\b"
        r"|\bmi lasci (?:qualche|vedere|pensare)\b|\blaat me (?:weten|even|kijken)\b"
    ),
    r"\b(?:unsubscribe|remove|delete|change) my (?:old|former|previous) (?:\w+ )?(?:address|e-?mail|inbox)\b",
    r"\bne plus attendre\b|\b(?:dejamos|paramos|hemos dejado) de (?:usar|utilizar)\b",
)
_PHRASES = re.compile("|".join((*_STAYS, *_AGAIN, *_ANOTHER_WAY, *_OTHER_THINGS, *_FIGURES)))
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;\n]*")


def set_aside(text: str, *, machine: bool) -> str:
    """A folded text without what asks for no end of mails; addresses in it become `mailbox@`."""
    lines = _ADDRESS.sub("mailbox@", text).split("\n")
    kept = [line for line in lines if len(lines) == 1 or not _is_small_print(line, machine=machine)]
    joined = "\n".join(kept)
    if machine:
        joined = _MACHINES_FOOTER.sub(" ", joined)
    joined = _PHRASES.sub(" ", joined)
    return "".join(part for part in _SENTENCE.findall(joined) if not _about_a_product(part))


def _is_small_print(line: str, *, machine: bool) -> bool:
    return (
        _SMALL_PRINT.search(line) is not None
        or (
            _FOOTER.search(line) is not None
            and _FIRST.search(_OURS.sub(" ", line)) is None
            and "?" not in line
        )
        or (machine and _MACHINES_FOOTER.match(line.strip()) is not None)
    )


def _about_a_product(sentence: str) -> bool:
    """A question about what a product does, not about whoever asks."""
    return "?" in sentence and _PRODUCT.search(sentence) is not None and _MINE.search(sentence) is None
