"""Whether a sentence asks for an end of mails, by the kinds of words that stand together in it.

    sentence ─▶ words ─▶ what each can be, per language ─▶ a combination within a few words ─▶ asked

So "haalt u ons er maar uit" needs no phrase of its own: to take, us, out. Reading takes time in proportion to the text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.stop_lexicon import ALL, Lexicon, corrected
from orchestrator.titles import vocabulary

_WORD = re.compile(r"[^\W_]+")
_JOINED = re.compile(r"\b(?:(opt)(?:ing|ed)?[ -](?:\w+ )?(out)|(un)[ -](subscri\w*)|(e)[ -](mail\w*))\b")
_CLAUSES = re.compile(r"[.!?;,\n]+")
_SENTENCES = re.compile(r"[.!?;\n]+")
_REFUSED = re.compile(
    r"^(?:(?:sorry|we are|were|im|i am|no) )?(?:not interested|no interest|not for (?:us|me)|kein interesse"
    r"|kein bedarf"
    r"|nein danke|pas interessee?s?|non merci|no (?:me|nos) interesa|no interesa|no gracias|non (?:mi |ci )?interessa"
    r"|non sono interessat[oa]|geen interesse|nee bedankt|sem interesse|nao tenho interesse)\b"
)
_UNTIL_THEN = vocabulary("if unless until why how wenn falls warum si pourquoi se perche als waarom porque")
_LONGEST = 16  # words of a sentence that may be nothing but the request
_MOST_CORRECTED = 400  # words of a text whose letters are compared


@dataclass(frozen=True, slots=True)
class Together:
    """Kinds of words that ask to stop when they stand within `span` words; 0: as near as the language's negation."""

    kinds: frozenset[str]
    span: int
    plain: bool = True  # said outright, so that a sentence of nothing else may suppress at once


def _together(kinds: str, span: int, *, plain: bool = True) -> Together:
    return Together(frozenset(kinds.split()), span, plain)


TOGETHER: Sequence[Together] = (
    _together("word", 1),
    _together("end mail", 8),
    _together("no more mail", 0),
    _together("no more get", 0),
    _together("no wish get", 8),
    _together("no wish mail more", 9),
    _together("no wish noise", 8, plain=False),
    _together("wish more get", 4, plain=False),
    _together("drop list", 11, plain=False),
    _together("drop me", 3),
    _together("drop my", 3),
    _together("finish mail", 4),
    _together("no wish list", 9),
    _together("no use box", 7, plain=False),
    _together("black me", 8),
    _together("black my", 6),
    _together("black you", 6, plain=False),
    _together("quit up", 5),
    _together("link no cancel", 8, plain=False),
    _together("wish last be", 9, plain=False),
    _together("dropme", 1),
    _together("drop own my", 9),
    _together("pull me off", 6),
    _together("pull my off", 7),
    _together("pull off list", 8),
    _together("give baja", 4),
    _together("withdraw consent", 8),
    _together("object mail", 12, plain=False),
    _together("object noise", 20, plain=False),
    _together("cancel sub", 6),
    _together("last mail be", 9, plain=False),
    _together("last be it", 6, plain=False),
    _together("last get be", 9, plain=False),
    _together("wish you end", 6, plain=False),
    _together("this box only", 8, plain=False),
    _together("this box no noise", 12, plain=False),
)
_BARE = 40  # characters of a clause that is a bare command
_TOLD = frozenset({"halt", "drop"})
_BARE_KINDS = _TOLD | {"fill", "it"}
_SPEAKER = vocabulary("i we ich wir je nous io noi ik wij we eu")
_WISHES = frozenset({"wish", "withdraw", "object", "word"})
# Things that such a sentence may be about instead of mails.
_NAMED = frozenset({"own", "box", "list", "sub"})
# A request to stop that is itself negated is no plain request.
_TURNED = frozenset({"word", "end", "drop", "dropme", "baja", "cancel"})


def asks(text: str) -> bool:
    """Whether any sentence of a folded text asks to stop, in any of the languages."""
    return any(_asked(words) for words in _sentences(text)) or any(map(_is_bare, _CLAUSES.split(text)))


def asks_plainly(sentence: str) -> bool:
    """Whether a folded sentence is such a request, outright, and says nothing besides."""
    words = _words(_REFUSED.sub(" ", sentence))
    if not 0 < len(words) <= _LONGEST or not _UNTIL_THEN.isdisjoint(words):
        return False
    return any(_plain(language, words) for language in ALL)


def _sentences(text: str) -> Iterable[list[str]]:
    left = _MOST_CORRECTED
    for part in _SENTENCES.split(text):
        words = _words(part)
        yield [corrected(word) for word in words[:left]] + words[left:]
        left = max(0, left - len(words))


def _asked(words: list[str]) -> bool:
    for language in ALL:
        kinds = [language.kinds(word) for word in words]
        present = frozenset().union(*kinds)
        wanted = [one for one in TOGETHER if one.kinds <= present]
        if any(_near(kinds, one.kinds, one.span or language.near) for one in wanted):
            return True
    return False


def _is_bare(clause: str) -> bool:
    """Whether it is only a word or two that tell to stop or to remove, with nothing that says what."""
    words = _words(clause[:_BARE])
    if len(clause) > _BARE or not words:
        return False
    kinds = [[language.kinds(word) for word in words] for language in ALL]
    return any(_tells(said) or _wants_none(said) for said in kinds)


def _tells(said: list[frozenset[str]]) -> bool:
    return all(one & _BARE_KINDS for one in said) and any(one & _TOLD for one in said)


def _wants_none(said: list[frozenset[str]]) -> bool:
    """No mails, said of nothing else: "please no follow-ups"."""
    wanted = {"no", "mail"}
    return all(one & (wanted | {"more", "fill"}) for one in said) and wanted <= frozenset().union(*said)


def _words(text: str) -> list[str]:
    """The words of a text, with those joined that are one."""
    return _WORD.findall(_JOINED.sub(lambda found: "".join(part or "" for part in found.groups()), text))


def _plain(language: Lexicon, words: list[str]) -> bool:
    kinds = [language.kinds(word) for word in words]
    present = frozenset().union(*kinds)
    if not all(kinds) or ("no" in present and present & _TURNED):
        return False
    if not _SPEAKER.isdisjoint(words) and not present & _WISHES:
        return False  # what somebody does, not what is to be done
    if not present & {"drop", "pull", "dropme"} and any(one and one <= _NAMED for one in kinds):
        return False
    return any(one.plain and _near(kinds, one.kinds, one.span or language.near) for one in TOGETHER)


def _near(kinds: list[frozenset[str]], wanted: frozenset[str], span: int) -> bool:
    """Whether all wanted kinds stand within so many words."""
    seen: dict[str, int] = {}
    for at, here in enumerate(kinds):
        seen.update(dict.fromkeys(here & wanted, at))
        if len(seen) == len(wanted) and at - min(seen.values()) < span:
            return True
    return False
