"""How people say that they are away, and what they add to it, in seven languages. Texts are folded.

away  ─ on leave, ill, travelling, closed, not reading      title ─ the same as a subject
later ─ when it goes on, who helps meanwhile                 talks ─ what only somebody who reads us writes
"""

import re

_SOME = r"(?:\w+ ){0,3}"
_DAYS = r"(?:mon|tues?|wednes|thurs?|fri|satur|sun)(?:days?)?"
AWAY = re.compile(
    "|".join(
        (
            # English
            (
                rf"\b(?:on|taking|enjoying|taken|during my|starting|having) {_SOME}(?:leave|vacation|vacay|holidays?"
                rf"|hols|pto|sabbatical"
                r"|secondment|honeymoon|time off|break|business trip|trip|jury duty)\b"
            ),
            (
                r"\b(?:vacationing|ooo|oof|afk|out-of-office|out of (?:the )?(?:office|country|town))\b"
                r"|\bpto (?:until|till|through|this)\b"
            ),
            (
                r"\b(?:im|i am|ill be|i will be|we are|were|currently|presently|still) (?:\w+ )?(?:away|out|off"
                r"|abroad|unwell|sick|ill"
                r"|travell?ing|offline|on the road|unavailable|unreachable)\b(?! (?:to|with|the) (?:a|the|list)\b)"
            ),
            (
                rf"\bout (?:\w+ )?(?:sick|ill|today|tomorrow|until|till|all (?:day|week)|this week|on {_SOME}leave)\b"
                r"|\baway (?:at|from|on|until|till|this)\b"
            ),
            (
                r"\bin (?:training|meetings|workshops?|transit) (?:all|this|today|until)\b|\bat (?:a|an|the"
                r"|our) (?:\w+ )?(?:conference"
                r"|off-?site|expo|trade (?:show|fair)|event|summit|workshop)\b|\brecover\w+ from\b"
            ),
            (
                r"\b(?:offices?|plant|company|shop|we|business|factory|team|firm|store) (?:\w+ ){0,2}(?:closed"
                r"|shut)\b|\bpublic holiday\b"
            ),
            (
                rf"\b(?:dont|do not|not) work(?:ing)? (?:on )?(?:{_DAYS}|weekends|today)\b"
                rf"|\bwork(?:ing)? (?:part[- ]?time|reduced hours"
                r"|only)\b|\bnext working day\b|\boffice hours have ended\b"
            ),
            (
                r"\b(?:limited|patchy|no|intermittent|poor|spotty|sporadic|restricted|little) (?:\w+ ){0,2}(?:access"
                r"|connectivity|connection"
                r"|availability|signal|reception)\b"
            ),
            (
                r"\b(?:not|wont|no longer|only|rarely|infrequently) (?:be )?(?:\w+ )?(?:monitoring|checking|reading"
                r"|looking at|see)"
                r" (?:\w+ ){0,3}(?:inbox|mailbox|e-?mails?|mails?|messages)\b|\bonly checking\b"
            ),
            (
                r"\bback (?:in the office|at work|at my desk)\b|\bwieder im (?:buro|haus|dienst)\b|\bweer op kantoor\b"
                r"|\bde retour au bureau\b|\b(?:di nuovo|nuovamente) in ufficio\b|\bde volta ao escritorio\b"
                r"|\b(?:de nuevo|nuevamente|de vuelta) en la oficina\b"
            ),
            # German
            (
                r"\b\w*(?:urlaub\w*|elternzeit|mutterschutz|sabbatical|krankenstand|betriebsruhe|betriebsferien"
                r"|ferienhalber|(?:sommer|winter|weihnachts|betriebs|oster)pause)\b"
                r"|\bin (?:den |die |der )?(?:ferien|kur|reha)\b|\bferien (?:bis|vom|und)\b"
            ),
            (
                r"\b(?:auf|in|bei|wegen|zu|einer?) (?:\w+ )?(?:dienstreise|geschaftsreise|fortbildung|weiterbildung"
                r"|schulung|seminar|messe"
                r"|tagung|kongress|konferenz|lehrgang|kundentermin|termin(?:en)?|klausur)\b|\b(?:erkrank\w*|krank\w*"
                r"|arbeitsunfahig|abwesen\w*|verreist|ausser haus)\b"
            ),
            (
                r"\b(?:nicht|kaum|eingeschrankt\w*|schwer|unregelmassig|selten) (?:\w+ ){0,4}(?:erreichbar"
                r"|zu erreichen|im buro|im haus"
                r"|im hause|am platz|verfugbar|gelesen|bearbeitet|besetzt)\b|\berreichen mich (?:\w+ ){0,3}nicht\b"
                r"|\blese (?:\w+ ){0,3}(?:nicht|nur)\b|\bnur eingeschrankt\w*\b|\bfeiertag\w*\b|\bin teilzeit\b"
            ),
            r"\b(?:buro|praxis|firma|betrieb|kanzlei|wir|geschaft)\b (?:\w+ ){0,6}geschlossen\b|\bbis \w+ weg\b",
            # French
            (
                r"\b(?:conges?|vacances|rtt|arret (?:de )?(?:maladie|travail)|malade|absente?s?|absence|souffrante?"
                r"|pause estivale|jour ferie|fermeture|hors du bureau)\b"
                r"|\ben (?:\w+ )?(?:deplacement|formation|voyage|reunion toute|seminaire|conference)\b"
            ),
            r"\b(?:bureaux?|entreprise|cabinet|societe|magasin|etude|agence|services?|nous) (?:\w+ ){0,3}ferme\w*\b",
            (
                r"\b(?:pas|peu|difficilement) (?:\w+ )?(?:joignables?|disponibles?|present\w*|au bureau|lus?"
                r"|consulte\w*)\b"
                r"|\b(?:ne|n') ?(?:travaille|consulte|lis) pas\b|\bacces (?:\w+ )?(?:limite|restreint)\b"
            ),
            # Spanish
            (
                r"\b(?:de|en|mis|periodo|por) (?:\w+ ){0,2}(?:vacacion\w*|vacas|licencia|permiso|viaje|capacitacion"
                r"|conferencia|congreso|motivos de salud|dias libres|feriado|festivo)\b"
                r"|\b(?:incapacitad\w|ausente|enferm[oa]|de baja)\b|\bferiado\b|\bestoy fuera\b"
                r"|\bfuera de (?:la )?oficina\b"
            ),
            (
                r"\b(?:oficinas?|empresa|despacho)\b (?:\w+ ){0,3}cerrad\w+|\bno (?:\w+ ){0,2}(?:disponible"
                r"|podre (?:revisar|responder"
                r"|atender|contestar))\b|\bsin acceso\b|\bacceso limitado\b|\ben (?:junta|reunion)\w* tod[oa]\b"
            ),
            # Italian
            (
                r"\b(?:in|per) (?:ferie|vacanza|malattia|maternita|paternita|congedo\w*|permesso|trasferta|festivita"
                r"|viaggio|motivi di salute)\b"
                r"|\bassent[ei]\b|\bassenza\b|\bfuori (?:ufficio|sede)\b|\baccesso limitato\b|\bin congedo\b"
            ),
            (
                r"\b(?:uffici|ufficio|azienda|sede|studio)\b (?:\w+ ){0,3}chius\w+|\bnon (?:\w+ )?(?:disponibil\w"
                r"|in sede|in ufficio"
                r"|raggiungibil\w)\b"
            ),
            # Dutch
            (
                r"\b(?:op|met|in|wegens|tijdens) (?:\w+ )?(?:vakantie|\w*verlof|ziekte|reis|zakenreis|training"
                r"|cursus|bouwvak|conferentie|congres)\b"
                r"|\b(?:ziek|ziekgemeld|afwezig\w*)\b|\bbeperkte toegang\b"
            ),
            (
                r"\b(?:kantoor|bedrijf|winkel|praktijk|wij|we)\b (?:\w+ ){0,4}gesloten\b"
                r"|\bniet (?:\w+ ){0,3}(?:kantoor|bereikbaar|beschikbaar"
                r"|aanwezig|werkzaam)\b|\bwerk niet\b|\ber (?:vandaag|morgen|deze week) niet\b|\blees mijn mail niet\b"
            ),
            # Portuguese
            (
                r"\b(?:de|em|por|estou) (?:ferias|licenca|viagem|baixa|feriado|recesso|formacao|motivo de doenca"
                r"|doenca)\b|\b(?:ausente|ausencia|doente|feriado)\b"
                r"|\bferias coletivas\b|\bacesso limitado\b|\bfora do (?:escritorio|pais)\b"
            ),
            (
                r"\b(?:escritorio|empresa|loja)\b (?:\w+ ){0,3}(?:fechad\w|encerrad\w)"
                r"|\bnao (?:\w+ ){0,2}(?:disponivel|posso responder"
                r"|consigo responder|acedo|acesso)\b"
            ),
        )
    )
)
LATER = re.compile(
    r"\b(?:(?:will|shall|ill|well) (?:\w+ )?(?:reply|respond|answer|get back|return|be (?:back|in touch))"
    r"|(?:when|once|after) i"
    r" (?:return|get back|am back|come back)|(?:up)?on my return|delay\w*|slow (?:\w+ )?(?:reply|response|in|to)"
    r"|patience|back soon"
    r"|next working day|urgent\w*|emergenc\w+|in my absence|cover(?:s|ing) for me|(?:please|kindly"
    r"|pls) (?:contact|call|direct|reach"
    r"|ask|e-?mail)|in the meantime|reopens?|handled afterwards|not reading|be back|slack me|(?:my"
    r"|our) (?:colleague|team|assistant|manager) (?:\w+ ){0,3}(?:will|can|is)|talk to|normal service"
    r"|(?:nach|bei) meiner ruckkehr|ruckkehr|(?:antworte|beantworte|bearbeite)\w* (?:\w+ ){0,3}(?:nach|spater"
    r"|danach|sobald|ab)"
    r"|melde mich (?:nach|danach|morgen|wieder|sobald|am)|vertretung|kolleg(?:e|in)|ansprechpartner\w*"
    r"|derzeit nicht|in dringenden|dringende\w*|weitergeleitet|automatisch geloscht"
    r"|wenden sie sich|wieder (?:im|da|erreichbar|fur sie|zuruck)|nur unregelmassig|wd da"
    r"|(?:de|mon|des mon|prochain) retour|repondrai|traiterai|reprendrai|en cas d'urgence|merci de (?:contacter"
    r"|vous adresser)"
    r"|veuillez (?:contacter|vous)|interim|reouvert\w+"
    r"|regres\w+|vuelv[oe]\w*|volver\w*|volvemos|retorn\w+|reincorpor\w+|reintegr\w+|(?:respondere|contestare"
    r"|contesto|responderemos)"
    r"|en caso de urgencia|urgencias?|companer[oa]|a la brevedad|favor de (?:dirig|contact|escrib)\w+|le atendera"
    r"|rientr\w+|torn(?:o|iamo|ero)|risponder[oe]\w*|per urgenze|in caso di urgenza|rivolg\w+|leggero"
    r"|terug|weer (?:aanwezig|bereikbaar|op)|reageer|bij spoed|dringende|neem contact|morgen weer"
    r"|eerstvolgende werkdag"
    r"|today|this week|heute|diese woche|ce jour|cette semaine|aujourd'hui|hoy|esta semana|oggi|questa settimana"
    r"|vandaag"
    r"|deze week|hoje"
    r"|volt(?:o|amos|arei|ar)|responderei|respondo|em caso de urgencia|procure)\b"
)
# Who writes so has read what we wrote: a person, even one who is away.
TALKS = re.compile(
    r"\?|\b(?:lets|let us|ping me|talk|speak|catch up|chat|try me|get back to me|come back to me"
    r"|write (?:me )?again|interest\w*"
    r"|your (?:demo|product|offer|proposal|tool|pitch|pricing)|sorry (?:for|about|i)|works for|happy to|send me"
    r"|show me|thereafter"
    r"|was (?:on|out|away|sick)|im back|i am back|before (?:that|then|i)|sprechen|telefonieren|reden|gern\w*"
    r"|danach konnen"
    r"|aus dem urlaub|zuruck aus|war (?:krank|im|in)|schicken sie|was kostet|parlons|reparl\w+|decouvre"
    r"|me convient|envoyez"
    r"|hablamos|hablar|volvi de|mandeme|envieme|puedo hablar|parliam\w+|sentiamo\w*|mandate|spreken|praten"
    r"|bellen we|falamos|falar"
    r"|mande-me|no thanks|not interested|kein interesse|pas interesse\w*)\b"
)
TITLE = re.compile(
    r"^(?:(?:re|aw|antw|sv|rv|tr|automatic reply|auto)[: ]+)*(?:i'?m |i am |im )?(?:on |in )?(?:my |our "
    r"|the )?(?:vacation(?: responder)?|pto|oof|afk|away"
    r"|sick leave|sick day|(?:annual|parental|maternity|paternity|medical|family) (?:leave|shutdown)|sabbatical"
    r"|public holiday|holidays?"
    r"|happy holidays|summer (?:break|closure|holidays?)|christmas (?:break|closure)|gone (?:till?|until"
    r"|fishing)|office closed|jahresurlaub|urlaub|ferien"
    r"|ferienabwesenheit|(?:sommer|winter|weihnachts|betriebs)pause|weihnachtsferien|ausser haus|krank|krankheit"
    r"|hors du bureau|rtt|fermeture|absente?s?|vacances"
    r"|conges?|vacaciones|licencia|feriado|felices fiestas|ferie|chiusura|bouwvak|vakantie|kerstvakantie|verlof"
    r"|ferias|licenca"
    r"|recesso)\b(?:\W+\w+){0,3}\W*$"
)
# Of a machine's mail: written for one person, and what says that something came in or has moved instead.
FIRST_PERSON = re.compile(
    r"\b(?:i|im|ive|ill|id|my|me|ich|mich|mein\w*|bin|je|mon|ma|mes|estoy|me encuentro|mi|estare|ando|sono|saro"
    r"|sto|mio|ik|ben|mijn"
    r"|estou|encontro-me|estarei|meu|minha)\b|\bj'"
)
RECEIPT = re.compile(
    r"\b(?:received|receipt|tickets?|requests?|enquiry|inquiry|application|order|within (?:\d+|one|two|three|a)"
    r"|business days?|werktag\w*"
    r"|eingegangen|erhalten|anfrage|bewerbung|bestellung|recu|bien recu|demande|recibid\w|solicitud|ricevut\w"
    r"|richiesta|ontvangen|aanvraag"
    r"|recebid\w|recebemos|pedido|changed|new (?:address|e-?mail)|neue[ns]? (?:adresse|e-?mail\w*)"
    r"|nouvelle adresse|nueva direccion"
    r"|nuovo indirizzo|nieuwe? (?:e-?mail)?adres|novo endereco|confirm\w*|verif\w*|human|whitelist|spam)\b"
)
