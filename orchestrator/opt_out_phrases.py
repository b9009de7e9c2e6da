"""An opt-out inside a longer text, by what such a sentence is made of: to stop, or not, and then to write.

Wide on purpose: who is held by mistake is let go by a person, who is missed is written to again. Texts are folded.
"""

import re

from orchestrator.stop_phrases import Sign, sign

_NEAR = r"[^.!?;\n]{0,40}"
_MAIL = (
    r"(?:e-?mail\w*|mail\w*|messag\w+|contact(?:ing|s)?|writ\w+|send\w*|outreach|newsletters?|follow(?:ing)?[- ]?ups?"
    r"|communicat\w+|correspond\w+|reach\w*|spam\w*|call(?:s|ing)|pester\w*|bother\w*|solicit\w+|sequences?|cadence)"
)
_THEIRS = r"(?:your|the|this|that|these|those|any|all|whatever|whichever|every)"
_LISTS = (
    r"(?:lists?|databases?|db|systems?|crm|records?|campaigns?|sequences?|mailings?|distribution|rolodex|cadences?"
    r"|outreach|newsletters?|contacts?|prospects?)"
)
# Whoever unsubscribes there is somebody else, or it is a thing of that name.
OTHERS = re.compile(
    r"\b(?:customers?|contacts?|users?|people|subscribers?|recipients?|they|somebody|someone|prospects?|leads?)\b"
    r"(?: \w+){0,3} (?:unsubscribe\w*|opts? out|opted out|opt-outs?)\b"
    r"|\b(?:we|i) unsubscribed from (?!your (?:\w+ )?(?:e-?mails?|mails?|lists?|news\w*)|you\b|this|these|it\b)"
    r"|\bunsubscribe (?:endpoint|rate|rates|page|button|feature|flow|event|events|webhook|header|headers|handling"
    r"|requests?|links? in our)\b"
    r"|\bto unsubscribe from (?:the|our) [^.!?\n]{1,60}(?:click|visit|reply)[^.!?\n]{0,40}"
    r"|\bopt[- ]outs? (?:handling|sync|list|feature|rates?)\b"
    r"|\b(?:do|does|can|could|will|would) (?:you|it|your \w+) (?:\w+ ){0,4}(?:opt-outs?|unsubscribes?)\b"
    r"(?! (?:me|us|my|our)\b)[^?\n]*\?"
    r"|\bstop(?:s|ped)? (?:e-?mailing|mailing|contacting|messaging) (?:them|people|users|customers)\b"
    r"|\b(?:was|were|got|been|is|are|gets?|goes|landed|ended up) (?:\w+ ){0,3}(?:as|in|into|to"
    r"|by) (?:\w+ ){0,3}(?:spam|junk)\b"
    r"|\bdans (?:mes|les|le) (?:indesirables?|spams?|courrier indesirable)\b|\b(?:carpeta|bandeja) de spam\b"
    r"|\bcorreo no deseado\b|\bposta indesiderata\b|\bcartella (?:dello )?spam\b|\bongewenste (?:e-?mail|mail|post"
    r"|map)\b"
    r"|\bspam(?:box|map)\b|\b(?:caixa|pasta) de spam\b|\blixo eletronico\b"
    r"|\b(?:spam|junk)(?:[- ](?:folder|filters?|box|ordner)|filter|ordner)\b"
    r"|\bnewsletter konnen sie\b[^.!?\n]*\babbestellen\b"
)

# Negations that ask for an answer rather than against one.
POLITE = re.compile(
    r"\b(?:do not|dont|never|please dont) hesitate (?:to )?|\bzoger\w* sie (?:bitte )?nicht\b|\bn'?hesite[zr] pas\b"
    r"|\bno (?:dude|dudes|duden|dudeis) en\b|\bnon esit\w+\b|\baarzel niet\b|\bnao hesit\w+\b"
    r"|\bwhy (?:dont|not)\b(?= (?:you |we )?(?:send|call|write|reach|contact|e-?mail))"
)

ENGLISH = sign(
    "asks",
    "unsubscribe",
    rf"\b(?:stop(?! by| in\b| over)|cease|quit|halt|discontinue|refrain\w*|desist|abstain)\b{_NEAR}\b{_MAIL}\b",
    r"\b(?:asked|told|asking|telling|begging|beg|ask) (?:you|your \w+)\b[^.!?\n]{0,30}\b(?:stop|not to)\b",
    r"\bmake (?:it|this|these|them|that|the \w+) (?:end|stop|go away)\b",
    r"\b(?:do not|dont|never|no longer|not|neither|nor|nobody|without|no need to|should not|must not|wont|cannot)\b"
    r"[^.!?;\n]{0,60}\b(?:contacted|contact (?:me|us|this|our|any\w*|again)|contacting|be (?:e-?mailed|written to)"
    r"|e-?mail(?:ed|ing)? (?:me|us|this|here|again)|hit (?:me|us) up|(?:send|sending) (?:me |us )?(?:anything|any"
    r"|more|these|this|further|stuff)|use (?:this|my|our) (?:address|e-?mail|inbox|mailbox)"
    r"|keep (?:me|us|my|our|this|writing|e-?mailing|sending)|hear(?:ing)? from (?:you|your|any)"
    r"|written to again|reach(?:ing)? out (?:again|to (?:me|us))|follow(?:ing)? up (?:again|with (?:me|us)))\b",
    r"\b(?:no|not|any|without) (?:more|further|future|additional|other) (?:of )?(?:\w+ )?(?:e-?mails?|mails?"
    r"|messages?"
    r"|contact|communications?|outreach|mailings?|follow[- ]?ups?|correspondence|solicitations?|these|this|those"
    r"|such)\b",
    r"\b(?:rather|prefer|wish|want|like|choose|ask|asking|expect)\b[^.!?\n]{0,15}\bnot (?:to )?(?:be (?:contacted"
    r"|e-?mailed|written to|approached|solicited|on)|receive|hear|get (?:any|these|e-?mails?|more))\b",
    rf"\b(?:remov\w+|delet\w+|eras\w+|purg\w+|scrub\w*|wip(?:e|ed|ing)|tak(?:e|en|ing)|strik\w+|drop\w*|exclud\w+"
    rf"|clear\w*|pull\w*|cut\w*|get|unlist\w*|scratch)\b{_NEAR}\b(?:from|off|out of)\b[^.!?\n]{{0,15}}"
    rf"\b{_THEIRS}\b[^.!?\n]{{0,25}}\b{_LISTS}\b",
    r"\b(?:remove|delete|erase|drop|purge|take down|get rid of|lose|forget) (?:\w+ )?(?:my|our|this|these|all|mine)"
    r"\b[^.!?\n]{0,25}\b(?:e-?mails?|address\w*|names?|contacts?|details|numbers?|info\w*|inbox\w*|mailbox\w*)\b",
    r"\b(?:like|want|prefer|need) (?:it|this|that|my (?:e-?mail|address|name|details|contact\w*))"
    r" (?:to be )?(?:removed|deleted|erased|gone|off)\b",
    r"\b(?:withdraw|revoke|rescind|retract)\w*\b[^.!?\n]{0,30}\b(?:consent|permission)\b",
    r"\bobject to\b[^.!?\n]{0,50}\b(?:processing|use|using|marketing|contacted|e-?mail\w*|mail\w*|approach\w*)\b",
    r"\b(?:block|blacklist|suppress|dnc|do[- ]not[- ](?:contact|mail|call)) (?:me|us|my|our|list|this)\b",
    r"\bput (?:me|us) on\b[^.!?\n]{0,30}\b(?:suppress\w*|do[- ]not|dnc|block)",
    r"\b(?:last|final) (?:time|warning)\b[^.!?\n]{0,40}\b(?:stop|contact\w*|e-?mail\w*|mail\w*|ask)",
    r"\b(?:no longer|not|never)\b[^.!?\n]{0,20}\b(?:on|part of) your (?:\w+ )?(?:list|distribution|mailing)",
)
GERMAN = sign(
    "asks_de",
    "unsubscribe",
    r"\bl(?:o|oe)sch\w*\b[^.!?\n]{0,40}\b(?:mich|uns|adresse\w*|e-?mail\w*|mail\w*|kontakt\w*|eintrag|namen"
    r"|nummer)\b",
    r"\b(?:entfern\w*|streich\w*|nehm\w*|nimm|trag\w*|hol\w*|werft?|raus\w*|ausgetragen|herausnehmen)\b[^.!?\n]{0,60}"
    r"\b(?:list\w*|\w*verteiler\w*|systeme?\w*|datenbank\w*|adress\w*|crm|kartei|bestand|mailing\w*)\b",
    r"\b(?:list\w*|\w*verteiler\w*|systeme?\w*|datenbank\w*|kartei)\b[^.!?\n]{0,40}"
    r"\b(?:entfern\w*|streich\w*|nehmen|austrag\w*|raus\w*|ausgetragen|herunter\w*|runter\w*|loeschen|loschen)\b",
    r"\bwiderspr(?:eche\w*|uch)\b",
    r"\bhor(?:en|t)?\b[^.!?\n]{0,15}\bauf\b[^.!?\n]{0,30}(?:\b(?:mir|mich|uns|schreib\w*|mail\w*|schick\w*)\b|$)",
    r"\b(?:zusendung\w*|nachricht\w*|e-?mails?|mails?|kontakt\w*|anfragen|werbung|anschreiben|mailings?|schreiben)\b"
    r"[^.!?\n]{0,40}\b(?:abzusehen|absehen|verzicht\w*|unterlass\w*|einstell\w*|einzustellen|verschon\w*"
    r"|abgesehen|ersparen|bleiben lassen)\b",
    r"\b(?:unterlass\w*|verschon\w*|erspar\w*|stell\w*|verzicht\w*|stopp\w*)\b[^.!?\n]{0,50}\b(?:zusendung\w*"
    r"|nachricht\w*|e-?mails?|mails?|kontakt\w*|anfragen|werbung|anschreiben|mailings?)\b",
    r"\b(?:nicht|nie|niemals|keinesfalls)\b[^.!?\n]{0,25}\b(?:kontaktier\w*|anschreib\w*|anzuschreiben|angeschrieben"
    r"|anmail\w*|schreib\w*|mailen|schick\w*|zusend\w*|belastig\w*|zu kontaktieren)\b",
    r"\b(?:schreib\w*|kontaktier\w*|schick\w*|send\w*|mailen|mailt)\b[^.!?\n]{0,25}\b(?:nicht|nie|nichts|keine\w*)\b"
    r"[^.!?\n]{0,20}\b(?:mehr|wieder|weiter|weiterhin|erneut)\b",
    r"\bkeine\w*\b[^.!?\n]{0,25}\b(?:weitere\w*|mehr|kunftig\w*|zukunftig\w*)\b",
    r"\blass(?:en|t)?\b[^.!?\n]{0,12}\b(?:mich|uns)\b[^.!?\n]{0,12}\bin (?:ruhe|frieden)\b",
    r"\b(?:melde|trage)\b[^.!?\n]{0,25}\b(?:ab|aus)\b",
    r"\b(?:einwilligung|zustimmung)\b[^.!?\n]{0,30}\b(?:widerruf\w*|zuruck\w*|entzieh\w*)\b|\bwiderrufe\b",
)
FRENCH = sign(
    "asks_fr",
    "unsubscribe",
    r"\b(?:cess\w+|arret\w+|stopp\w+|halte)\b[^.!?\n]{0,40}(?:\b|')(?:ecri\w+|envo\w+|contact\w+|sollicit\w+|mails?"
    r"|e-?mails?|courriels?|messages?|relanc\w+|spam\w*|prospect\w+|demarch\w+|harcel\w+)",
    r"\bplus (?:aucun\w*|de|d'|jamais|d'autres?)\b[^.!?\n]{0,20}\b(?:mails?|e-?mails?|courriels?|messages?"
    r"|sollicitations?|publicites?|pub|relances?|prospection|nouvelles|courrier)\b",
    r"\b(?:ne|n'|n)\b[^.!?\n]{0,25}\b(?:plus|jamais|rien)\b[^.!?\n]{0,25}(?:\b|')(?:contact\w*|ecri\w*|envo\w*"
    r"|sollicit\w*|recevoir|relanc\w*|demarch\w*|mails?|e-?mails?|messages?)",
    r"\bne (?:m'|me |nous |plus )*(?:contact|ecri|envo|sollicit|relanc|demarch)\w*[^.!?\n]{0,20}\b(?:plus|pas"
    r"|rien)\b",
    r"\b(?:m'|nous )oppos\w+\b|\bdroit d'opposition\b|\bretire mon consentement\b",
    r"\b(?:retir|supprim|enlev|effac|ray|ot|exclu|sort)\w*\b[^.!?\n]{0,50}\b(?:listes?|base\w*|fichiers?|adresses?"
    r"|contacts?|coordonnees|mailing|systemes?|campagnes?|diffusion)\b",
    r"\blaissez[- ](?:moi|nous)\b[^.!?\n]{0,15}\b(?:tranquilles?|paix)\b",
)
SPANISH = sign(
    "asks_es",
    "unsubscribe",
    r"\bno\b[^.!?\n]{0,25}\b(?:escrib\w*|contact\w*|envi\w*|mand\w*|molest\w*|remit\w*|incluy\w*)\b[^.!?\n]{0,25}"
    r"\b(?:mas|nunca|nada|otra vez|de nuevo|jamas|ningun\w*)\b",
    r"\b(?:dej\w+|par\w+|ces\w+|evit\w+|absteng\w+)\b[^.!?\n]{0,15}\b(?:de )?(?:enviar\w*|mandar\w*|escribir\w*"
    r"|contactar\w*|molestar\w*|correos?|e-?mails?|mensajes?|spam|publicidad)\b",
    r"\bbasta (?:ya )?(?:de|con)\b[^.!?\n]{0,30}\b(?:correos?|e-?mails?|mensajes?|spam|publicidad)\b",
    r"\b(?:elimin|borr|quit|sac|suprim|retir|exclu)\w*\b[^.!?\n]{0,50}\b(?:listas?|bases?|campanas?|direccion\w*"
    r"|correos?|contactos?|sistemas?|registros?|bbdd|envios)\b",
    r"\bme opongo\b|\bnos oponemos\b|\bretiro mi consentimiento\b",
    r"\bno (?:deseo|quiero|queremos|deseamos|autorizo)\b[^.!?\n]{0,25}\b(?:recibir|que (?:me|nos)|mas (?:correos?"
    r"|e-?mails?|mensajes?)|ser contactad\w*|uso)\b",
    r"\bni un (?:correo|e-?mail|mensaje) mas\b|\bdejadme en paz\b|\bdejenme en paz\b|\bdarnos de baja\b"
    r"|\bdarm?e? (?:la|una) baja\b|\bdenos de baja\b|\bdesuscri\w*\b|\bcancel\w+ (?:mi|la|nuestra) suscripcion\b",
)
ITALIAN = sign(
    "asks_it",
    "unsubscribe",
    r"\b(?:rimuov|rimuover|rimoss|cancell|elimin|togli|tolg|toglie|levat|leva|esclud|depenn)\w*\b[^.!?\n]{0,50}"
    r"\b(?:list[ae]|elenc\w+|database|indirizz\w+|mailing|contatt\w*|sistem\w+|archivi\w*|e-?mail|rubrica"
    r"|campagn\w+)\b",
    r"\b(?:basta|smett\w+|evit\w+|cess\w+|interromp\w+|asten\w+|finitela|finirla)\b[^.!?\n]{0,40}\b(?:e-?mail|mail"
    r"|messagg\w+|scriver\w*|inviar\w*|mandar\w*|contattar\w*|comunicazion\w+|spam|pubblicita|disturbar\w*)\b",
    r"\bnon\b[^.!?\n]{0,25}\b(?:scriv\w*|invi\w*|mand\w*|contatt\w*|disturb\w*)\b[^.!?\n]{0,25}\b(?:piu|altr\w+"
    r"|niente|nulla|mai)\b",
    r"\bnon\b[^.!?\n]{0,15}\bpiu\b[^.!?\n]{0,20}\b(?:scriv\w*|invi\w*|mand\w*|contatt\w*|ricever\w*|mail|e-?mail)\b",
    r"\bmi oppongo\b|\bci opponiamo\b|\brevoc\w+ il consenso\b|\blasciatemi (?:in pace|stare)\b",
    r"\bnon (?:voglio|desidero|vorrei|intendo|vogliamo|desideriamo|gradisco)\b[^.!?\n]{0,25}\b(?:ricever\w*"
    r"|(?:essere )?contattat\w+|altre|vostre|e-?mail|mail|comunicazioni)\b",
    r"\bnessun\w*\b[^.!?\n]{0,10}\b(?:altr\w+|ulterior\w+)\b[^.!?\n]{0,10}\b(?:mail|e-?mail|messagg\w+"
    r"|comunicazion\w+)\b",
)
DUTCH = sign(
    "asks_nl",
    "unsubscribe",
    r"\b(?:stop\w*|hou\w*|ophouden|staak|staken)\b[^.!?\n]{0,30}\b(?:mail\w*|e-?mail\w*|schrijv\w*|stur\w*|bericht\w*"
    r"|benader\w*|contact\w*|spam\w*)\b",
    r"\b(?:geen|niet|nooit|niets)\b[^.!?\n]{0,30}\b(?:\w*mails?|\w*mailtjes|berichten|contact|reclame|post|mailen"
    r"|sturen"
    r"|schrijven|benader\w*|toesturen)\b[^.!?\n]{0,20}\b(?:meer|ontvangen|sturen|willen|graag)\b",
    r"\b(?:geen|niet|nooit|niets)\b[^.!?\n]{0,15}\b(?:meer|verdere|toekomstige)\b[^.!?\n]{0,20}\b(?:\w*mail\w*"
    r"|bericht\w*"
    r"|contact\w*|schrijf|stuur|sturen|benader\w*|ontvangen)\b|\bgeen (?:vervolg|reclame)\w*mails?\b",
    r"\b(?:haal|halen|verwijder\w*|schrap\w*|wis\w*|uitschrijven|afmelden)\b[^.!?\n]{0,50}\b(?:lijst\w*|bestand\w*"
    r"|database|adres\w*|syste\w+|mailing\w*|gegevens)\b",
    r"\b(?:uit|van) (?:je|jullie|uw|het|de|deze|dit) (?:\w+ )?(?:bestand\w*|lijst\w*|database|systeem|mailing\w*)\b",
    r"\bmaak\w* bezwaar\b|\blaat (?:me|mij|ons) met rust\b|\btrek\w* mijn toestemming\b|\bhaal (?:me|mij|ons) eraf\b",
)
PORTUGUESE = sign(
    "asks_pt",
    "unsubscribe",
    r"\b(?:par\w+|deix\w+|cess\w+|chega|evit\w+)\b[^.!?\n]{0,15}\b(?:de |com )?(?:me |nos )?(?:envi\w*|escrev\w*"
    r"|mand\w*|contat\w*|contact\w*|e-?mails?|mensagens|spam|incomodar)\b",
    r"\b(?:retir|remov|exclu|apag|elimin|tir|delet)\w*\b[^.!?\n]{0,50}\b(?:listas?|bases?|contat\w*|contact\w*"
    r"|e-?mails?"
    r"|enderecos?|sistemas?|cadastros?|banco|campanhas?|dados de contacto)\b",
    r"\bnao\b[^.!?\n]{0,25}\b(?:envi|escrev|mand|contat|contact|incomod|receb)\w*\b[^.!?\n]{0,25}\b(?:mais|nada|nunca"
    r"|novamente)\b",
    r"\bnao (?:quero|desejo|queremos|desejamos|pretendo|autorizo)\b[^.!?\n]{0,25}\b(?:receber|ser contactad\w*"
    r"|ser contatad\w*|mais|que (?:me|nos))\b",
    r"\b(?:oponho-me|me oponho|cancelar (?:a |minha |a minha )?(?:inscricao|subscricao)|descadastr\w*"
    r"|deixem-me em paz)\b",
    r"\bnem mais um (?:e-?mail|mensagem)\b|\bsem mais (?:e-?mails|mensagens)\b",
)
OTHER_LANGUAGES = sign(
    "asks_other",
    "unsubscribe",
    r"\b(?:avregistrer\w*|avprenumerer\w*|avmeld\w*|avanmal\w*|avsluta prenumeration\w*|framelding|frameld\w*)\b",
    r"\b(?:ta bort|stryk|fjern|slet|sletta|slett)\b[^.!?\n]{0,30}\b(?:mig|mej|meg|min\w*|oss|os|listan?|adress\w*)\b",
    r"\b(?:sluta|slut|stopp?|lad vaere|holde? opp)\b[^.!?\n]{0,25}\b(?:mejl\w*|mail\w*|skick\w*|skriv\w*|send\w*"
    r"|kontakt\w*)\b",
    r"\b(?:inga|ingen|ikke|inte)\b[^.!?\n]{0,20}\b(?:fler|flere|mer|kontakt\w*|mejl\w*|mails?)\b",
    r"\b(?:wypis\w*|usun\w*|skresl\w*|rezygnuje)\b|\bnie (?:\w+ )?(?:wysyla\w*|pis\w*|kontaktow\w*|zycze)\b"
    r"|\bprosze o usuni\w+\b",
    r"\b(?:odhlas\w*|neposilejte|nepiste|vymaz\w*|odstran\w*|leiratkoz\w*|poista\w*|peruuta\w*|dezabon\w*|abonelikten"
    r"|listeden cik\w*|stergeti)\b",
    r"отпи[шс]\w*|отказ\w* от рассыл|не пишите|не присыла|удалите (?:меня|мой)",
    r"\b(?:sluta|inga fler|jag vill inte|vill inte ha|vil ikke|slutt med|meld meg av|slet mig|ikke send\w*)\b",
    r"\b(?:lopeta\w*|ala (?:laheta|kirjoita|ota)\w*|alkaa lahet\w*|en halua|peru tilaus\w*|nie chc\w+|przesta\w+"
    r"|nechci"
    r"|prestante|nezasilejte|neposielajte|ne kuldj\w*|torolj\w*|nem kerek|nu mai|nu doresc|istemiyorum|gonderme\w*"
    r"|cikarin|cikar|abonelik\w*|iptal|odjav\w*|prestanite|ne zelim)\b",
    r"прекратите|больше не|не хочу|стоп|отпис\w*|рассылк\w*|не надо|відпис\w*|не пиш[иі]\w*|видаліть|спрете|не желая"
    r"|διαγρα\w+|σταματησ\w+|μη (?:μου )?στελν\w+|δεν θελω",
    r"退订|取消订阅|取消訂閱|退訂|不要再|请勿|拒收|停止|别再|删除|移除|不需要"
    r"|打扰|勿扰|騷擾|骚扰",
    r"配信停止|配信を停止|送らない|送信しない|登録解除|配信不要|不要です|やめて|削除|お控え|解除|迷惑",
    r"수신 ?거부|그만|중단|보내지 ?마|삭제|구독 ?취소|원하지 않"
    r"|الغاء الاشتراك|توقف|ازالة|لا ترسل|הסר|תסיר|להסיר|אל תשלח|बंद कर",
)
WIDE: tuple[Sign, ...] = (
    ENGLISH,
    GERMAN,
    FRENCH,
    SPANISH,
    ITALIAN,
    DUTCH,
    PORTUGUESE,
    OTHER_LANGUAGES,
)
