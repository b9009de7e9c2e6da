"""The words an opt-out is made of, by what they do in the sentence, in seven languages.

Words are folded. `stem*` stands for all words that begin so, `stem*me` for those that end so as well, as verbs with
their object do. `asking_to_stop.py` says which of these kinds ask for an end of mails when they stand together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_FUZZY_FROM = 7  # letters from which a stem is known in spite of one wrong letter


@dataclass(frozen=True, slots=True)
class Lexicon:
    """One language: its kinds of words, and words that may stand between them in a request that says nothing else."""

    words: Mapping[str, frozenset[str]]
    stems: Mapping[str, tuple[tuple[str, str, str], ...]]  # by two letters: first letters, last letters, kind
    near: int  # how many words apart a negation may stand from what it negates

    def kinds(self, word: str) -> frozenset[str]:
        """What this word can be in such a sentence."""
        near = self.stems.get(word[:2], ())
        found = {kind for first, last, kind in near if word.startswith(first) and word.endswith(last)}
        return self.words.get(word, frozenset()) | found


def lexicon(near: int = 7, **kinds: str) -> Lexicon:
    """A language from its words by kind."""
    words: dict[str, set[str]] = {}
    stems: dict[str, list[tuple[str, str, str]]] = {}
    for kind, listed in kinds.items():
        for entry in listed.split():
            first, star, last = entry.partition("*")
            if star:
                stems.setdefault(first[:2], []).append((first, last, kind))
            else:
                words.setdefault(first, set()).add(kind)
    by_start = {start: tuple(found) for start, found in stems.items()}
    return Lexicon({word: frozenset(found) for word, found in words.items()}, by_start, near)


ENGLISH = lexicon(
    word="unsubscri* unsub unsubs unsubbed optout",
    halt="stop discontinue desist cease",
    it="it this pls plz",
    black="suppress* suppression blacklist* dnc blocklist* block blocking",
    end="stop stops stopped stopping ceas* quit quitting halt* desist* refrain* discontinu* abstain*",
    mail="email* emails mail mails mailing mailings message messages messaging messaged contact contacts contacting"
    " contacted write writing written send sending sent reach reaching outreach newsletter* spam* pitch* follow"
    " following followup* communicat* correspond* touch touches approach* attempt* bother* pester* solicit*"
    " reminder* nudg* sequence* cadence* campaign*",
    finish="kill end ending cancel terminate close finish",
    use="use using",
    noise="advert* marketing promo* sales solicitation* ads vendors",
    no="not dont never no nobody without neednt nothing didnt wouldnt wont shouldnt neither nor cannot none",
    more="more further again anymore longer future ever additional another",
    wish="want* wish* like prefer* rather appreciate* care grateful desire* consent* agree* ask* need",
    get="receiv* get getting hear hearing contacted emailed approached solicited",
    drop="remov* rmv delet* eras* scrub* purg* exclud* unlist* deregister* expung* strik* omit*",
    pull="take taken taking taking get getting pull* cut drop dropping keep kick* leave",
    off="off out",
    me="me us him her them",
    my="my our mine",
    own="address* adress* adres name names email* emails mail details data number* inbox* mailbox* domain info*"
    " contact*",
    box="address* inbox* mailbox*",
    this="this that these",
    only="only reserved solely exclusively strictly",
    list="list lists database* db crm system* sistem record* mailing* distribution campaign* sequence* cadence*"
    " rolodex"
    " outreach mailings",
    last="last final",
    be="be let should hope* hopefully make consider must",
    you="you your",
    withdraw="withdraw* revok* rescind* retract*",
    consent="consent* permission* authori*",
    object="object objecting objection",
    cancel="cancel* terminat*",
    sub="subscription* newsletter* membership",
    fill="a an the this that these those from of off out at to in on for by via with and or i we id im you your"
    " any all"
    " be been was is it do does how can could would will are have has had already please just now immediately asap"
    " kindly so once ur u pls plz up ups where company ones stuff thing things here request requested",
)
GERMAN = lexicon(
    word="abmeld* abgemeldet abzumelden abbestell* abbestellt abzubestellen austrag* ausgetragen auszutragen",
    halt="stopp stop stoppen aufhoren",
    black="sperrliste* blacklist* blockliste* robinsonliste* sperr* blockier*",
    quit="hor hort hore horen",
    up="auf",
    end="stop stopp* aufhor* aufzuhor* hor hort hore horen einstell* einzustell* stell stellt stellen unterlass*"
    " unterlasst beend*"
    " verschon* erspar* spar spart sparen absehen abzusehen seht sehen sieh verzicht* schluss",
    mail="mail* mails email* gemailt nachricht* schreib* schriebt angeschrieben anschreib* anzuschreiben"
    " kontakt* meld*"
    " zusend* send* schick* werb* newsletter* anfrag* angebot* nachfass* reminder* post infos belastig* belaestig*"
    " behellig* anruf* nachhak* zuschrift* versand rundmail* kontaktieren anmail* anzumail* angemailt angerufen"
    " anzuruf* ansprach* ansprech*"
    " angesprochen anzusprech* akquis* kaltakquis* versuch* infomail* followup* zutext*",
    use="verwend* nutz* benutz* gebrauch*",
    noise="werb* vertrieb* reklame akquis* kaltakquis* kaltanruf*",
    no="nicht nich nie niemals kein* nix nichts keinesfalls ned net",
    more="mehr wieder weiter* kunftig* zukunft* erneut nochmal nochmals je",
    wish="mochte* moechte* mocht will wollen wunsch* wuensch* lieber bevorzug* dankbar gebeten gewollt",
    get="erhalt* bekomm* empfang* kriegen kriege kontaktiert angeschrieben belastigt horen",
    drop="losch* loesch* geloscht geloescht entfern* ausschliess* streich* gestrichen rausnehm* herausnehm*"
    " rausnimm* rauszunehm*"
    " herauszunehm* tilg* rausloesch* rauslosch* raustrag* rausschmei*",
    pull="nimm nehm nehme nehmt nehmen trag trage tragt tragen hol holt holen schmeiss* werft lass lasst",
    off="raus heraus runter herunter aus ab",
    me="mich uns ihn",
    my="mein* unser*",
    own="adress* mailadress* emailadress* daten kontaktdat* name namen nummer* postfach* mail email",
    box="adress* mailadress* emailadress* postfach* mailbox",
    this="dies* das",
    only="nur ausschliesslich lediglich",
    list="verteil* liste* mailingliste* kontaktlist* kartei* datenbank* datei* system* crm adressbuch adressbestand*"
    " mailing* newsletter*",
    last="letzt*",
    be="sein ware bleib* hoffe hoffentlich lass*",
    you="sie du ihr",
    withdraw="widerruf* zuruckzieh* entzieh* ziehe",
    consent="einwillig* zustimm* einverstandnis*",
    object="widersprech* widerspruch widersprich*",
    cancel="kundig* stornier* cancel*",
    sub="abo abonnement* newsletter* mitgliedschaft",
    fill="bitte bite bidde ich wir sie ihr ihrer ihrem ihren ihre eurer eurem euren eure deiner deinem deiner"
    " den dem der"
    " die das des aus von vom fur per an auf zu in im um e mal doch auch gerne gern sofort umgehend jetzt"
    " hiermit hier"
    " und oder konnen konnten konnt kannst wurden wurdet wie kann komme diese diesem dieser alle allen ab einfach es"
    " ein eine einer moin vg lg bin schon bereits habe nun endlich ihnen euch dir mir kein interesse bedarf",
)
FRENCH = lexicon(
    5,
    word="desinscri* desabonn* desabo",
    halt="arretez arrete arreter stop cessez cesser halte",
    finish="arret* cess* suspend* annul*",
    use="utilis*",
    black="opposition bloctel blacklist*",
    end="arret* cess* stop stopp* halte suspend*",
    mail="mail* mails email* courriel* message* ecri* envo* contact* recontact* sollicit* relanc* demarch* prospect*"
    " pub pubs publicit* newsletter* spam* pourriel* importun* harcel* pollu* approch* insist*",
    noise="pub pubs publicit* prospect* demarch* commercial* marketing",
    no="ne n pas jamais rien aucun* inutile sans non",
    more="plus jamais davantage encore nouveau desormais",
    wish="souhait* veux veut voul* desir* prefer* aimer* gre",
    get="recevoir recois recoit recu recevons contact* sollicit* demarch* derang*",
    drop="retir* supprim* enlev* effac* rayer rayez raye otez oter exclu* radi* elimin* sortez sortir",
    pull="sors sortez sortir laissez",
    off="hors dehors",
    me="me moi m nous",
    my="mon ma mes notre nos",
    own="adresse* mail email coordonnees donnees nom numero contact courriel",
    box="adresse* boite",
    this="cette cet ce",
    only="reserv* uniquement exclusivement seulement",
    list="liste* base* fichier* diffusion contacts envois campagne* mailing* registre*",
    last="dernier derniere",
    be="soit etre espere que sera",
    you="vous tu",
    withdraw="retir* revoqu* annul*",
    consent="consentement accord autorisation",
    object="oppos*",
    cancel="annul* resili*",
    sub="abonnement* inscription* newsletter*",
    fill="je j vous tu de du des d l la le les s il te plait stp svp merci veuillez priere en et a au aux par"
    " pour ce cette"
    " ces vos votre ta ton tes leur toute tout tous toutes comment se puis peux pouvez pourriez pouvez me bien"
    " vouloir"
    " prochains immediatement maintenant ici part mes suis bonne est que on",
)
SPANISH = lexicon(
    word="desuscri* desapunt* dessuscri*",
    halt="pare paren alto basta stop cese cesen",
    black="robinson exclusion negra blacklist* bloque*",
    link="enlace link",
    end="ahorr* deje dejen deja dejad dejar pare paren parar parad cese* cesar cesen basta suspend* absteng*"
    " absten* evit* stop alto",
    mail="correo* email* mail mails mensaje* escrib* contact* envi* mand* molest* publicidad propaganda comunicacion*"
    " boletin* spam insist* promo* oferta* busque* buscar llam* whatsapp*",
    use="us* utili*",
    noise="publicidad propaganda comercial* promocion* marketing ventas",
    no="no nunca jamas ni ningun* sin nada tampoco",
    more="mas nunca nuevo nuevamente vuelv* volv* vez jamas futuro futur*",
    wish="quier* quer* dese* prefer* gust* agradec* pid* solicit* rueg*",
    get="recib* contacte* contacten llegue* lleguen",
    drop="elimin* borr* quit* sac saca saque* suprim* retir* exclu* remuev* remov* desvincul*",
    dropme="elimin*me borr*me quit*me sac*me saqu*me suprim*me retir*me exclu*me remuev*me elimin*nos borr*nos"
    " quit*nos"
    " sac*nos saqu*nos elimin*lo borr*lo quit*lo retir*lo elimin*la quit*la retir*la borr*nlo den*me de*me",
    give="dar dar*me dar*nos deme denme denos dennos dame danos dadme den dieran di dimos dieron doy solicit*"
    " pid* tramit*"
    " quiero",
    baja="baja",
    me="me nos lo",
    my="mi mis nuestr*",
    own="correo* email mail direccion* datos nombre* contacto* numero*",
    box="correo* email mail direccion* buzon casilla",
    this="este esta esto",
    only="solo solamente unicamente exclusiv*",
    list="lista* base* sistema* envios campana* registro* contactos bbdd",
    last="ultimo ultima",
    be="sea ojala espero que",
    you="usted* ustedes",
    withdraw="retir* revoc*",
    consent="consentimiento autorizacion permiso",
    object="opongo oponemos oposicion",
    cancel="cancel* anul*",
    sub="suscrip* boletin*",
    fill="por favor favor porfa porfis pf xfa de del la el los las su sus tu tus vuestra en a y o que al con una"
    " un esta este"
    " esa como puedo pueden podrian podria se le les ya inmediata inmediatamente electronico datos gracias yo"
    " cual para"
    " ser he hacer aqui mismo distribucion suscripcion estos esos",
)
ITALIAN = lexicon(
    word="disiscri* disinscri* disabbon*",
    halt="basta fermatevi smettetela smettila stop",
    black="opposizioni nera blacklist* blocc*",
    link="link",
    end="basta smett* cess* evit* finite* finisc* interromp* asten* fermate* diffid* stop",
    use="us* utilizz*",
    mail="mail mails email* messagg* scriv* contatt* ricontatt* invi* mand* comunicazion* pubblicit* spam newsletter*"
    " propost* disturb* sollecit* insist* promozion*",
    noise="pubblicit* promozion* commercial* marketing",
    no="non nessun* niente nulla mai senza",
    more="piu altr* ulterior* mai ancora nuovo nuovamente",
    wish="vogli* desider* vorre* gradi* prefer* intend* pre*",
    get="ricev* contattat* ricontattat* disturbat*",
    drop="cancell* rimuov* rimoss* elimin* togli* tolg* tolt* esclud* depenn*",
    dropme="cancell*mi rimuov*mi elimin*mi togli*mi esclud*mi cancell*ci rimuov*ci elimin*ci togli*ci cancell*lo"
    " rimuov*lo",
    me="mi ci me",
    my="mio mia miei nostr*",
    own="indirizz* mail email dati contatt* nome numero nominativo",
    box="indirizz* casella",
    this="questo questa quest",
    only="riservat* solo soltanto esclusivamente",
    list="lista liste mailing elenc* database archiv* rubrica sistem* campagn* contatti",
    last="ultimo ultima",
    be="sia spero essere che",
    you="voi lei",
    withdraw="revoc* ritir*",
    consent="consenso autorizzazione",
    object="oppong* opponiamo opposizione",
    cancel="annull* disdi* cancell*",
    sub="iscrizione abbonamento newsletter*",
    fill="per favore prego piacere vi ti si le la il lo i gli l da dal dalla dalle dai dei del della di a e o"
    " vostra vostre"
    " vostri vostro tua sua suo tuo chiedo come faccio potete puo puoi posso grazie subito questa queste questi"
    " cortesia"
    " essere una un sono ho gia al ai trattamento miei d",
)
DUTCH = lexicon(
    word="afmeld* afgemeld uitschrijv* uitgeschreven afmelding uitschrijf*",
    halt="stop stoppen ophouden",
    black="blacklist* blokkeer* zwarte",
    end="bespaar* stop stoppen stopt ophoud* hou houd houdt staak* staken beeindig*",
    mail="mail mails mailen mailt mailtje* email* gemaild bericht* schrijf* schrijv* stuur stuurt sturen"
    " benader* contact*"
    " reclame nieuwsbrief* spam* aanbieding* opvolg* toestur* lastig* acquisitie bellen poging*",
    use="gebruik*",
    noise="reclame verkoop* commerc* acquisitie marketing",
    no="geen niet nooit niets niks zonder",
    more="meer verder* toekomst* weer opnieuw langer voortaan",
    wish="wil willen wens* liever prijs graag verzoek",
    get="ontvang* krijg* benaderd gemaild",
    drop="verwijder* schrap* wis wissen gooi haal halen haalt gehaald",
    pull="haal haalt halen schrijf meld gooi",
    off="af uit eraf eruit",
    me="me mij ons m",
    my="mijn onze",
    own="adres* emailadres* mailadres* gegevens naam nummer mail email",
    box="adres* mailbox emailadres* mailadres* postvak",
    this="dit deze",
    only="alleen uitsluitend enkel",
    list="lijst* maillijst* mailinglijst* bestand* database* systeem mailing* verzendlijst* contacten",
    last="laatste",
    be="zijn hopelijk hoop laat is",
    you="u je jij jullie",
    withdraw="trek* intrek*",
    consent="toestemming",
    object="bezwaar",
    cancel="opzeg* annuleer*",
    sub="abonnement* nieuwsbrief* inschrijving",
    fill="aub alstublieft alsjeblieft a u b van de het uit in op met aan te om voor ik wij we jullie uw je hier"
    " hiermee kunt"
    " kunnen kun hoe kan svp gelieve bedankt dank deze dit die er maar e een en of al heb nemen neem opnemen"
    " graag nu",
)
PORTUGUESE = lexicon(
    word="descadastr* desinscrev* desinscric*",
    halt="pare parem chega basta",
    black="negra exclusao blacklist* bloque*",
    link="link",
    end="poup* pare parem parar chega basta cess* deixem deixe evit* suspend*",
    mail="email* mail mails mensage* escrev* contact* contat* envi* mand* propaganda publicidade comunicac*"
    " insist* abord* incomod*"
    " newsletter* spam whatsapp*",
    noise="propaganda publicidade comercial comerciais marketing vendas",
    no="nao nunca nem nada sem nenhum*",
    more="mais novamente volt* nunca futuro outra nova* jamais",
    wish="quer* dese* pretend* prefer* agradec* gostari* pec* solicit*",
    get="receb* contactad* contatad*",
    drop="remov* retir* exclu* apag* apagu* elimin* tira tire tirem tirar delet*",
    dropme="remov*me retir*me exclu*me tir*me elimin*me",
    me="me nos mim lo",
    my="meu* minha* nosso* nossa*",
    own="email mail endereco* dados contato* contacto* nome numero",
    box="email mail endereco* caixa",
    this="este esta esse isto",
    only="so somente apenas exclusiv*",
    list="lista* base* cadastro* sistema* banco campanha* mailing*",
    last="ultimo ultima",
    be="seja espero que",
    you="voce voces",
    withdraw="retir* revog*",
    consent="consentimento autorizacao",
    object="oponho opomos oposicao",
    cancel="cancel* anul*",
    sub="inscricao inscricoes subscricao assinatura cadastro newsletter*",
    fill="por favor favor pfv pf de da do das dos a o as os e em no na sua seu vossa vosso tua teu que entrem"
    " entre como"
    " posso faco podem pode poderia poderiam se para obrigado obrigada dessa desta desse eu ja imediatamente vc"
    " vcs mim"
    " e ser um uma fins lista sair",
)
ALL = (ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, DUTCH, PORTUGUESE)


# Stems of the words that ask by themselves, or name the list, long enough to be known by most of their letters.
_LONG_STEMS = tuple(
    sorted(
        {
            first
            for one in ALL
            for stems in one.stems.values()
            for first, _, kind in stems
            if kind in {"word", "list", "drop", "dropme"} and len(first) >= _FUZZY_FROM
        }
    )
)


def corrected(word: str) -> str:
    """The stem this unknown word is but for one letter that is wrong, missing, doubled or swapped; else the word."""
    if len(word) < _FUZZY_FROM - 1 or not word.isalpha() or any(one.kinds(word) for one in ALL):
        return word
    return next((stem for stem in _LONG_STEMS if _one_off(word, stem)), word)


def _one_off(word: str, stem: str) -> bool:
    """Whether the word begins with the stem but for one letter; the first letter has to be right."""
    if word[0] != stem[0] or word.startswith(stem):
        return False
    same = next(
        (at for at, (one, other) in enumerate(zip(word, stem, strict=False)) if one != other), len(word)
    )
    rest, wanted = word[same:], stem[same:]
    return (
        rest[1:].startswith(wanted[1:])  # another letter
        or (len(wanted) > 1 and rest.startswith(wanted[1:]))  # one is missing
        or rest[1:].startswith(wanted)  # one too many
        or (len(wanted) > 1 and rest.startswith(wanted[1] + wanted[0] + wanted[2:]))  # two are swapped
    )
