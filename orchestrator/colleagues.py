"""Whom an answer names instead of whoever wrote it: addresses and names in what they wrote now, and nothing more.

newest part ─ each address, with the name beside it ─ names that somebody is sent to, without an address ─▶ Named

A guess for a person to look at: a name is taken where a capital letter and its place speak for it, else left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.newest import newest_part, read_mail
from orchestrator.normalise import email, person_name, split_name
from orchestrator.titles import department, fold, seniority, vocabulary
from shared.address import is_sendable, read_address

MOST = 5  # people of one answer
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
    said = newest_part(read_mail(text).text)
    addressed = tuple(_addressed(said))
    known = {fold(word) for one in addressed for word in (one.first_name, *one.last_name.split()) if word}
    others = (one for one in _by_name(said) if known.isdisjoint({fold(one.first_name), fold(one.last_name)}))
    return (*addressed, *dict.fromkeys(others))[:MOST]


def usable(text: str) -> str:
    """The address in its exact form where mail may go there as it is written, else ""."""
    found = email(text)
    return found if found and is_sendable(text) and not read_address(text).look_alike else ""


def _addressed(said: str) -> Iterator[Named]:
    seen: set[str] = set()
    for found in _ADDRESS.finditer(said):
        address = usable(found[0].strip(".'!?*_"))
        if not address or address in seen:
            continue
        seen.add(address)
        line = said[max(0, found.start() - WINDOW) : found.start()].rpartition("\n")[2]
        yield Named(address, *_parted(line, _beside(line, address)))


def _beside(line: str, address: str) -> str:
    """The name that stands before an address: one that the address is made of, or one right before a bracket."""
    local = fold(address.partition("@")[0])
    names = list(_names(line))
    for name, _ in reversed(names):
        if any(len(word) > 2 and fold(word) in local for word in name.split()):
            return name
    bracketed = names and line.rstrip()[-1:] in {"<", "("} and not line[names[-1][1] :].strip(" <(\"'")
    return names[-1][0] if bracketed else ""


def _by_name(said: str) -> Iterator[Named]:
    flat = " ".join(said.split())
    for cue in _SENT_TO.finditer(flat):
        after = flat[cue.end() : cue.end() + WINDOW]
        found = next(_names(after), None)
        if found is None or _words_before(after, found[0]):
            continue
        first, last = _parted(after, found[0])
        if (first or last) and not department(found[0]) and seniority(found[0]) == "individual":
            yield Named("", first, last)


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
