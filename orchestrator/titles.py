"""Job titles as words: what a title says of seniority and department, in six languages.

Matching is on whole words of a folded title, never on substrings: `CRO` is not in "Across".
Seniority favours recall: any sign of C-level makes it C-level, since a wrong label costs one more approval
and a missed one skips it.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

Level = Literal["c_level", "vp", "director", "manager", "individual", "unknown"]


def vocabulary(text: str) -> frozenset[str]:
    """The words of a list that is easier to read as a text."""
    return frozenset(text.split())


_WORD = re.compile(r"[^\W_]+")
_GAPS = {code: " " for code in range(128) if not chr(code).isalnum()}
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){2,}[^\W\d_]?")
_SPACED = re.compile(r"\b[^\W\d_](?: [^\W\d_]){2,3}\b")

# Several spellings of one word of the trade. Longest first, so that "senior vice president" is one word.
ALIASES: Mapping[str, str] = {
    "senior vice president": "vp",
    "executive vice president": "vp",
    "assistant vice president": "vp",
    "vice president": "vp",
    "vice presidente": "vp",
    "vice presidenta": "vp",
    "vicepresident": "vp",
    "vicepresidente": "vp",
    "vicepresidenta": "vp",
    "vizeprasident": "vp",
    "vizeprasidentin": "vp",
    "svp": "vp",
    "evp": "vp",
    "avp": "vp",
    "revenue operations": "revops",
    "revenue ops": "revops",
    "rev ops": "revops",
    "sales operations": "salesops",
    "sales ops": "salesops",
    "go to market": "gtm",
    "sales development": "sdr",
    "sdrs": "sdr",
    "bdrs": "bdr",
    "business development representatives": "bdr",
    "business development representative": "bdr",
    "chief revenue officer": "cro",
    "chief executive officer": "ceo",
    "vertriebsleiter": "director sales",
    "vertriebsleiterin": "director sales",
    "leiter vertrieb": "director sales",
    "leiterin vertrieb": "director sales",
    "directeur commercial": "director sales",
    "directrice commerciale": "director sales",
    "director comercial": "director sales",
    "directora comercial": "director sales",
    "direttore commerciale": "director sales",
}
_ALIAS = re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, ALIASES), key=len, reverse=True)) + r")\b")

# Words that sound like the top and are not: taken out before the signs of C-level are looked for.
_NOT_SENIOR = re.compile(
    r"\bchief of staff\b"
    r"|\b(?:product|process|service|risk|data|platform|story|block) owner\b"
    r"|\b(?:hr|people|talent|finance|it) business partner\b"
    r"|\b(?:channel|alliance|technology|delivery|client) partner\b"
    r"|\bpartners? (?:account |sales |success |channel )?"
    r"(?:manager|management|marketing|success|sales|development|operations|relations|enablement|program\w*"
    r"|specialist|lead)\b"
    r"|\badministra(?:teur|trice|dor|dora) (?:de )?(?:systemes?|reseaux?|bases?|sistemas|redes|salesforce|crm)\b"
    r"|\b(?:vorstand|geschaftsfuhrung|geschaftsleitung)s?assisten\w+\b"
    r"|\bowner operations\b|\bfounder(?:s)? (?:success|relations|office)\b|\bowner relations\b"
)
# "Assistant to the CEO" speaks of somebody else's title; it ends where the next part of the title begins.
_SOMEONE_ELSES = re.compile(
    r"\b(assistant|assistants|assistenz|assistentin|assistent|assistante|referent|referentin|asistente|secretary|sekretar"
    r"|sekretarin"
    r"|chief of staff|ea|pa)(?: (?:to|of|for|der|des|du|de la|de|del|an))+(?: the)? [^|,;/·•&+]*"
)
_TOP_WORDS = vocabulary(
    """
    chief founder cofounder founders founding owner coowner president chairman chairwoman chairperson chair
    partner partners principal proprietor entrepreneur solopreneur gm md csuite clevel chro ciso cdao cito
    cmto
    geschaftsfuhrer geschaftsfuhrerin geschaeftsfuehrer geschaeftsfuehrerin geschaftsfuhrung geschaftsleitung
    geschaftsleiter geschaftsleiterin vorstand vorstandin vorstandsmitglied vorstandsvorsitzender
    vorstandsvorsitzende prokurist prokuristin inhaber inhaberin grunder grunderin gruender gruenderin
    mitgrunder
    mitgrunderin gesellschafter gesellschafterin prasident prasidentin
    pdg dg dga gerant gerante president presidente presidenta fondateur fondatrice cofondateur cofondatrice
    proprietaire dirigeant dirigeante associe associee cogerant cogerante directoire comex codir patron patronne
    entrepreneuse administrateur administratrice autoentrepreneur
    titular empresario empresaria emprendedor emprendedora consejero consejera apoderado apoderada gf
    generaldirektor generaldirektorin generalbevollmachtigter generalbevollmachtigte selbststandig selbstandig
    fundador fundadora cofundador cofundadora dueno duena propietario propietaria administrador administradora
    socio socia fondatore fondatrice cofondatore titolare amministratore oprichter oprichtster eigenaar
    eigenares
    directievoorzitter bestuurder bestuursvoorzitter socio fundadores diretorgeral """
)
_TOP_PHRASES = re.compile(
    r"\b(?:managing director|executive director|general manager|co founder|co owner|board (?:member|director)"
    r"|member of the (?:executive )?board|non executive director|c (?:suite|level)"
    r"|directeur general|directrice generale|directeur gerant|director general|directora general"
    r"|gerente general|consejero delegado|consejera delegada|direttore generale|amministratore delegato"
    r"|diretor geral|diretora geral|algemeen directeur|director ejecutivo|directora ejecutiva"
    r"|self employed|chefe? d entreprise|cheffe d entreprise|mandataire social|directeur executif"
    r"|directrice executive|membre du (?:comite|conseil|directoire)|comite (?:de direction|executif)"
    r"|director gerente|directora gerente|(?:miembro|vocal|secretari[oa]) del (?:consejo|comite)"
    r"|comite (?:de direccion|ejecutivo)|vp d(?:u|el) (?:conseil|consejo))\b"
    # German joins words: Finanzvorstand, Mitbegründer, Firmeninhaberin.
    r"|\b\w*(?:geschaftsfuhr\w{0,8}|geschaeftsfuehr\w{0,8}|geschaftsleit\w{0,6}|vorst[ae]nd\w{0,16}"
    r"|(?:aufsichts|verwaltungs)rat\w{0,16}|inhaber(?:in)?|gr(?:u|ue)nder(?:in)?|eigent(?:u|ue)mer(?:in)?"
    r"|unternehmer(?:in)?|gesellschafter(?:in)?)\b"
)
_TOP_ACRONYM = re.compile(r"\bc[a-z]o\b")
_TOP_SCRIPT = re.compile(
    r"首席|总裁|總裁|董事|总经理|總經理|创始人|創始人|代表取締役|社長|会長|대표"
    r"|генеральный директор|основатель|владелец"
)
# Letters of other scripts and digits that look like the Latin ones in CEO, CTO, CFO, COO …
_LOOK_ALIKE = str.maketrans("авекмнорстухіѕοερτϲ0", "abekmhopctyxisoeptco")

_LEVELS: tuple[tuple[Level, frozenset[str]], ...] = (
    ("vp", frozenset({"vp", "vps"})),
    (
        "director",
        vocabulary(
            """ director directors head directeur directrice directora direttore direttrice diretor diretora
            directeuse leiter leiterin bereichsleiter bereichsleiterin abteilungsleiter abteilungsleiterin
            hoofd responsable dir """
        ),
    ),
    (
        "manager",
        vocabulary(
            """ manager managers lead supervisor teamleiter teamleiterin teamlead jefe jefa gerente chef mgr
            managerin gestor gestora coordinator """
        ),
    ),
)
_DEPARTMENTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("revenue_operations", frozenset({"revops", "salesops", "gtm", "cro", "revenue", "enablement"})),
    (
        "sales",
        vocabulary(
            """sales sdr bdr account vertrieb vertriebs ventes commercial comercial ventas vendite verkoop
            commerciale business"""
        ),
    ),
    ("marketing", vocabulary("marketing growth brand demand cmo content communications")),
    ("customer_success", vocabulary("customer success support kunden client cco")),
    ("finance", vocabulary("finance financial accounting controller cfo finanzen finances finanzas")),
    ("people", vocabulary("hr people talent recruiting recruiter human personal chro rrhh")),
    ("engineering", vocabulary("engineer engineering developer software cto devops data architect")),
    ("product", vocabulary("product produkt produit producto cpo")),
    ("it", vocabulary("it cio ciso security infrastructure informatik systems")),
    ("legal", vocabulary("legal counsel compliance attorney lawyer recht juridique")),
    ("operations", vocabulary("operations ops coo betrieb logistics")),
)


def fold(text: str) -> str:
    """Lower case, one width, no accents, acronyms without dots: for comparing, never for showing."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        plain = unicodedata.normalize("NFKD", text.casefold())
        text = unicodedata.normalize("NFC", "".join(c for c in plain if not "\u0300" <= c <= "\u036f"))
    text = text.casefold()
    return _DOTTED.sub(lambda found: found[0].replace(".", ""), text) if "." in text else text


def _split(folded: str) -> list[str]:
    # Translating is a third of the price of the pattern, which texts in other scripts need.
    return folded.translate(_GAPS).split() if folded.isascii() else _WORD.findall(folded)


def words(text: str) -> tuple[str, ...]:
    """The whole words of a text, folded."""
    return tuple(_split(fold(text)))


def phrase(text: str) -> str:
    """The whole words of a text with a space on either side, so that `in` finds whole words only."""
    return f" {' '.join(_split(fold(text)))} "


def title_words(title: str) -> tuple[str, ...]:
    """The words of a title with the trade's synonyms made one: "SVP, Revenue Ops" is `vp revops`."""
    joined = " ".join(_split(fold(title)))
    return tuple(_ALIAS.sub(lambda found: ALIASES[found[0]], joined).split())


def seniority(title: str) -> Level:
    """How senior; any sign of C-level is C-level. An empty title is `unknown`, which is nobody's junior."""
    return level_of(title, title_words(title))


def level_of(title: str, known: tuple[str, ...]) -> Level:
    """As `seniority`, for a caller that has the title's words already."""
    if not title.strip():
        return "unknown"
    if _is_top(title, known):
        return "c_level"
    present = frozenset(known)
    return next((level for level, signs in _LEVELS if present & signs), "individual")


def department(title: str) -> str:
    """The department a title names first in our order, or empty."""
    present = frozenset(title_words(title))
    return next((name for name, signs in _DEPARTMENTS if present & signs), "")


def _is_top(title: str, known: tuple[str, ...]) -> bool:
    """Any sign of the top; only where there is one is it asked whether the sign is the person's own."""
    if not title.isascii() and _TOP_SCRIPT.search(fold(title)):
        return True
    if not _has_sign(" ".join(known)):
        return False
    own = " ".join(_split(_SOMEONE_ELSES.sub(r" \1 ", fold(title))))
    return _has_sign(_NOT_SENIOR.sub(" ", _ALIAS.sub(lambda found: ALIASES[found[0]], own)))


def _has_sign(plain: str) -> bool:
    joined = _SPACED.sub(lambda found: found[0].replace(" ", ""), plain)
    latin = joined if joined.isascii() and "0" not in joined else joined.translate(_LOOK_ALIKE)
    if not _TOP_WORDS.isdisjoint(joined.split()) or _TOP_ACRONYM.search(latin):
        return True
    return _TOP_PHRASES.search(joined) is not None
