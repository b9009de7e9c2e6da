"""Whom an answer names instead of whoever wrote it: addresses and names in what they wrote now, and nothing more.

newest part, without what is left of markup ─ each address, with the name beside it
                                            ─ names that somebody is sent to, without an address ─▶ Named

A guess for a person to look at: a name is taken where a capital letter and its place speak for it, else left out.
Whoever is named with an address and by name alone is one person where the address is made of the name.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from orchestrator.newest import newest_part, read_mail
from orchestrator.normalise import email, person_name, split_name
from orchestrator.titles import department, fold, seniority, vocabulary
from shared.address import is_sendable, read_address
from shared.foreign import clean

MOST = 5  # people of one answer
MANY = 20  # addresses, and names, of one answer that are looked at
WINDOW = 80  # characters before an address in which its name is looked for
LONGEST_NAME = 3  # words
_ADDRESS = re.compile(r"[^\s@<>()\[\]{},;:\"|\\]{1,64}@[^\s@<>()\[\]{},;:\"|\\]{3,253}")
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['’.-](?=[^\W\d_]))*")
_SENT_TO = re.compile(
    r"\b(?:(?:talk|speak|write|reach out|pass\w* (?:this|it) (?:along|on)) to|contact|ask|try|in touch with"
    r"|colleagues?|(?:made|owned|handled|run) by|looping in|took over from me is"
    r"|wenden sie sich an|kolleg(?:e|en|in)|ansprechpartner(?:in)? (?:ist|wäre)|ist bei uns"
    r"|adressez-vous à|voyez avec|collègue|hable con|escriba a|contattare|collega|fale com)\b[\s:,–-]{0,3}",
    re.IGNORECASE,
)
# What a plain text holds of HTML. An address in angle brackets is none of it; all is bounded, so that it is quick.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]\w{1,31});", re.IGNORECASE)
_TAG = r"""</?[a-z!?](?:"[^"]{0,500}"|'[^']{0,500}'|[^<>"'@]){0,500}>"""
_UNSEEN = r"<(script|style|title|template)\b[^<>]{0,500}>.{0,1000}?</\1\s{0,9}>|<!--.{0,1000}?-->"
_MARKUP = re.compile(rf"(?:[ \xa0]{{0,4}}(?:{_UNSEEN}|{_TAG}))+[ \xa0]{{0,4}}", re.IGNORECASE | re.DOTALL)
_BLANKS = re.compile(r"[ \xa0]{1,2}")
_TITLES = vocabulary("mr mrs ms miss dr prof herr herrn frau m mme mlle sig sra sr dott")
_ARTICLES = vocabulary("il la el o a")
# Words that begin a sentence, and are nobody's name.
_NO_NAMES = vocabulary(
    """i im you he she we they it this that these the a an my our your his her their please try contact ask write
    talk speak reach call email mail or and is at to use via re fw hi hello dear thanks thank bitte danke vielen
    hallo ich sie er wir der die das mein meine unser unsere oder und ist c'est je nous merci bonjour mon ma notre
    gracias hola mi nuestro ciao grazie
    yo no yes not instead maybe perhaps regards best head procurement purchasing einkauf achats compras"""
)


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody whom an answer names: an address in its exact form, a name, or both; "" where there is none."""

    email: str
    first_name: str
    last_name: str


def people_in(text: str) -> tuple[Named, ...]:
    """Who is named in the newest part of an answer, in order, each once; those with an address first."""
    said = _unmarked(newest_part(read_mail(text).text))
    by_name = tuple(islice(dict.fromkeys(_by_name(said)), MANY))
    addressed = tuple(_one_each(_with_name(one, by_name) for one in islice(_addressed(said), MANY)))
    known = {word for one in addressed for word in _words(one)}
    others = [
        one
        for one in by_name
        if known.isdisjoint(_words(one)) and not any(_made_of(there.email, one) for there in addressed)
    ]
    apart = (one for one in others if not any(_words(one) < _words(fuller) for fuller in others))
    return (*addressed, *apart)[:MOST]


def usable(text: str) -> str:
    """The address in its exact form where mail may go there as it is written, else ""."""
    found = email(text)
    return found if found and is_sendable(text) and not read_address(text).look_alike else ""


def _unmarked(said: str) -> str:
    """A text without what is left in it of HTML: a tag parts no name, and nothing in one is a name."""
    plain = clean(_ENTITY.sub(lambda found: html.unescape(found[0]), said))
    return _BLANKS.sub(" ", _MARKUP.sub(" ", plain))


def _addressed(said: str) -> Iterator[Named]:
    seen: set[str] = set()
    for found in _ADDRESS.finditer(said):
        address = usable(found[0].strip(".'!?*_"))
        if not address or address in seen:
            continue
        seen.add(address)
        line = said[max(0, found.start() - WINDOW) : found.start()].rpartition("\n")[2]
        yield Named(address, *_parted(line, _beside(line, address)))


def _one_each(people: Iterable[Named]) -> Iterator[Named]:
    """Each full name with the first of its addresses."""
    seen: set[tuple[str, str]] = set()
    for one in people:
        name = (fold(one.first_name), fold(one.last_name))
        if not all(name) or name not in seen:
            yield one
        seen.add(name)


def _with_name(one: Named, by_name: Iterable[Named]) -> Named:
    """An address with the name it is made of, where another place of the text has one, or a fuller one."""
    fuller = (named for named in by_name if _words(one) < _words(named) and _made_of(one.email, named))
    found = next(fuller, None)
    return replace(found, email=one.email) if found else one


def _made_of(address: str, named: Named) -> bool:
    """Whether an address is made of a name: one of its words, both, or their initials, as in "ak17"."""
    names = [fold(word) for word in (named.first_name, *named.last_name.split()) if word]
    shapes = {name for name in names if len(name) > 2} | {"".join(names)}
    if len(names) > 1:
        shapes |= {"".join(name[0] for name in names), names[0][0] + names[-1], names[-1] + names[0][0]}
    local = fold(address.partition("@")[0])
    parts = {re.sub(r"[\d_]", "", part) for part in re.split(r"[.+-]", local)}
    return any(part in shapes and not department(part) for part in parts)


def _words(one: Named) -> frozenset[str]:
    return frozenset(fold(f"{one.first_name} {one.last_name}").split())


def _beside(line: str, address: str) -> str:
    """The name before an address: one it is made of, else the one right before it, bracketed or sent to."""
    local = fold(address.partition("@")[0])
    names = list(_names(line))
    for name, _ in reversed(names):
        if any(len(word) > 2 and fold(word) in local for word in name.split()):
            return name
    if not names or line[names[-1][1] :].strip(" <(\"',:–-"):
        return ""
    cues = list(_SENT_TO.finditer(line))
    sent = cues and _sent_to(line[cues[-1].end() :]) == names[-1][0]
    return names[-1][0] if sent or line.rstrip()[-1:] in {"<", "("} else ""


def _by_name(said: str) -> Iterator[Named]:
    flat = " ".join(said.split())
    for cue in _SENT_TO.finditer(flat):
        after = flat[cue.end() : cue.end() + WINDOW]
        first, last = _parted(after, _sent_to(after))
        if first or last:
            yield Named("", first, last)


def _sent_to(after: str) -> str:
    """The name that follows a cue, unless somebody else is meant, or a department or a post."""
    name, _ = next(_names(after), ("", 0))
    if not name or _words_before(after, name) or department(name) or seniority(name) != "individual":
        return ""
    return name


def _parted(text: str, name: str) -> tuple[str, str]:
    """First and last name; one word after a title, as in "Herr Kunze", is a last name."""
    before = _WORD.findall(text.partition(name)[0]) if name else []
    titled = bool(before) and fold(before[-1]).rstrip(".") in _TITLES
    return ("", person_name(name)) if titled and " " not in name else split_name(name)


def _words_before(text: str, name: str) -> bool:
    """Whether more than a title stands between the cue and the name: then somebody else is meant."""
    before = text.partition(name)[0]
    return any(fold(word[0]).rstrip(".") not in _TITLES | _ARTICLES for word in _WORD.finditer(before))


def _names(text: str) -> Iterator[tuple[str, int]]:
    """Words with capital letters that stand side by side, without titles; each with where it ends."""
    run: list[str] = []
    end = 0
    for word in _WORD.finditer(text):
        gap = text[end : word.start()]
        beside = gap == " " or (gap == ". " and bool(run) and len(run[-1]) == 1)
        if run and (not beside or not _capital(word[0]) or len(run) == LONGEST_NAME):
            yield " ".join(run), end
            run = []
        if _capital(word[0]):
            run.append(word[0])
            end = word.end()
    if run:
        yield " ".join(run), end


def _capital(word: str) -> bool:
    folded = fold(word).rstrip(".")
    shout = word.isupper() and 1 < len(word) < 5 and word.isascii()
    return word[0].isupper() and not shout and folded not in _TITLES | _ARTICLES | _NO_NAMES
