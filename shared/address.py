"""E-mail addresses as identities: what counts as the same person, what as the same company, what as a trick.

Liberal towards an opt-out (any spelling of an address must stop it), strict towards sending. Two keys per
address: *exact*, and *broad*, without plus tags anywhere and without dots at personal Gmail. Over-matching loses
a prospect, under-matching breaks the law; Workspace domains keep their dots, since there two people may differ
by one.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import unquote

import idna
from publicsuffixlist import PublicSuffixList

from shared.errors import Invalid

INVISIBLE = re.compile(
    r"[\u0080-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
DOTLESS = {"gmail.com", "googlemail.com"}
LONGEST_DOMAIN = 253
LONGEST_ADDRESS = 319  # characters on both sides of the @
LONGEST = 2_000  # characters in which an address is looked for
# Letters of other scripts that nobody tells from Latin ones; a label of nothing else is a look-alike too.
LIKE_LATIN = frozenset("аеорсухһіјѕԁԛԝӏոցհսօɑοανυκρχιϲ")
FULL_STOPS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
PLAIN_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_.\-]*[a-z0-9])?")
SAFE_LOCAL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~\-]+")
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
# Nothing but an address, in ASCII: nearly all of them.
PLAIN = re.compile(rf"(?!')({ATOM}(?:\.{ATOM})*)@((?:{LABEL}\.)+{LABEL})")
LONGEST_LOCAL = 64
BRACKETED = re.compile(r"[<\[]([^<>\[\]]*@[^<>\[\]]*)[>\]]|<([^<>]*)>")
SEVERAL = re.compile(r"[@\s,;<>]")  # unquoted before the last @: it is no single address
COMMENT = re.compile(r"\([^()]*\)")


@functools.cache
def _suffixes() -> PublicSuffixList:
    """Parsed once, on first need: it costs 0.1 s and never changes while we run."""
    return PublicSuffixList()


@dataclass(frozen=True, slots=True)
class Address:
    """One address, taken apart. `domain` is in ASCII (A-labels)."""

    local: str
    domain: str
    look_alike: bool  # mixes scripts, so that it may pass for another one
    plain: bool = field(default=False, compare=False)  # read from nothing but an address, in ASCII

    @property
    def exact(self) -> str:
        """The same mailbox, however it was typed."""
        return f"{self.local}@{self.domain}"

    @property
    def broad(self) -> str:
        """The same person behind tags and dots."""
        local = self.local.split("+", 1)[0] or self.local
        if self.domain in DOTLESS:
            return f"{local.replace('.', '')}@gmail.com"
        return f"{local}@{self.domain}"

    @property
    def registrable(self) -> str:
        """The domain somebody registered: `mail.corp.co.uk` → `corp.co.uk`."""
        return registrable(self.domain)


def is_public_suffix(domain: str) -> bool:
    """Whether people register domains under it: `co.uk` belongs to nobody who could ask to be left alone."""
    return _suffixes().privatesuffix(domain) is None


@functools.lru_cache(4_096)
def registrable(domain: str) -> str:
    """The registrable part of an ASCII domain, or the domain itself where there is none."""
    return _suffixes().privatesuffix(domain) or domain


def read_address(text: str) -> Address:
    """Take an address apart, however it was written: display name, brackets, case, comments, tricks of Unicode.

    Raises `Invalid` where nothing like an address is in it.
    """
    plain = PLAIN.fullmatch(text) if len(text) <= LONGEST_ADDRESS else None
    if plain is not None and "xn--" not in (domain := plain[2].lower()) and len(domain) <= LONGEST_DOMAIN:
        return Address(plain[1].lower(), domain, False, True)  # the long way leads there too
    local, at, domain = bare(text).rpartition("@") if len(text) <= LONGEST else ("", "", "")
    local, domain = local.strip().casefold(), domain.strip().strip(".")
    if not at or not local or not domain or len(local) + len(domain) > LONGEST_ADDRESS:
        raise Invalid("not an e-mail address", field="email", code="not_an_address")
    local = unicodedata.normalize("NFKC", _unquoted(local))
    if local[0] != '"' and SEVERAL.search(local):
        raise Invalid("not one e-mail address", field="email", code="not_an_address")
    domain = ascii_domain(domain)
    return Address(local, domain, looks_alike(local) or _domain_looks_alike(unicode_domain(domain)))


def is_sendable(text: str) -> bool:
    """Whether it is nothing but an address, as it may stand in a mail: what is taken liberally isn't sent so."""
    local, _, domain = text.rpartition("@")
    if len(local) > LONGEST_LOCAL or len(domain) > LONGEST_DOMAIN:
        return False
    if text.isascii():
        return PLAIN.fullmatch(text) is not None
    return text == bare(text) and local != "" and "@" not in local and not any(c.isspace() for c in text)


def bare(text: str) -> str:
    """What is left of an address without the ways of writing it down."""
    if not text.isascii():
        text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(FULL_STOPS)
    cleaned = CONTROLS.sub("", text).strip()
    if "<" in cleaned or "[" in cleaned:
        # What stands before it is a display name, whatever it holds.
        found = [one[0] or one[1] for one in BRACKETED.findall(cleaned)]
        cleaned = found[-1].strip() if found else cleaned
    if "(" in cleaned and '"' not in cleaned and "@" in (rest := COMMENT.sub("", cleaned)):
        cleaned = rest.strip()
    if cleaned[:7].casefold() == "mailto:":
        cleaned = unquote(cleaned[7:].split("?", 1)[0])
    elif "@" not in cleaned and "%40" in cleaned:
        cleaned = unquote(cleaned)
    quote = cleaned[:1]
    if quote in {"'", '"'} and len(cleaned) > 2 and cleaned.endswith(quote):
        cleaned = cleaned[1:-1]
    return cleaned.strip().lstrip("(<[,;:").rstrip(".,;:!)>]")


def _unquoted(local: str) -> str:
    """Quotes are dropped where they change nothing: `"john"@` is `john@`, `"john smith"@` keeps them."""
    quoted = len(local) > 2 and local[0] == local[-1] == '"'
    inner = re.sub(r"\\(.)", r"\1", local[1:-1])
    return inner if quoted and SAFE_LOCAL.fullmatch(inner) else local


def ascii_domain(domain: str) -> str:
    """A domain in A-labels, lower case; raises `Invalid` where it can't be one."""
    if domain.isascii() and "xn--" not in (plain := domain.lower()) and _plain_domain(plain):
        return plain  # nearly all of them, and the long way leads there too
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        if _plain_domain(domain.lower()):
            return domain.lower()
        raise Invalid("not a domain", field="domain", code="not_a_domain") from None


def _plain_domain(domain: str) -> bool:
    return len(domain) <= LONGEST_DOMAIN and PLAIN_DOMAIN.fullmatch(domain) is not None


def unicode_domain(domain: str) -> str:
    """An ASCII domain as people read it; as it is where it can't be read."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def looks_alike(text: str) -> bool:
    """Whether a label passes for another one: letters of several scripts, or only such as look Latin."""
    if text.isascii():
        return False
    labels = [label for label in re.split(r"[.@+\-_]", text) if label]
    return any(len(_scripts(label)) > 1 or LIKE_LATIN.issuperset(label) for label in labels)


def _domain_looks_alike(domain: str) -> bool:
    """Under a top-level domain in its own script, a word that could be read as Latin is no trick."""
    labels = domain.split(".")
    if labels[-1].isascii():
        return looks_alike(domain)
    return any(len(_scripts(label)) > 1 for label in labels)


def _scripts(label: str) -> set[str]:
    names = {unicodedata.name(c, "?").split(" ", 1)[0] for c in label if c.isalpha()}
    # Japanese and Korean mix theirs with Han as a matter of course.
    return {"CJK" if name in {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"} else name for name in names}
