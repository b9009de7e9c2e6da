"""E-mail addresses as identities: what counts as the same person, what as the same company, what as a trick.

Liberal towards an opt-out (any spelling of an address must stop it), strict towards sending. Two keys per
address: *exact*, and *broad*, without plus tags anywhere and without dots at personal Gmail. Over-matching loses
a prospect, under-matching breaks the law; Workspace domains keep their dots, since there two people may differ by one.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass

import idna
from publicsuffixlist import PublicSuffixList

from shared.errors import Invalid

INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufe00-\ufe0f]")
DOTLESS = {"gmail.com", "googlemail.com"}
FULL_STOPS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
SAFE_LOCAL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~\-]+")


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


def registrable(domain: str) -> str:
    """The registrable part of an ASCII domain, or the domain itself where there is none."""
    return _suffixes().privatesuffix(domain) or domain


def read_address(text: str) -> Address:
    """Take an address apart, however it was written: display name, angle brackets, case, tricks of Unicode.

    Raises `Invalid` where nothing like an address is in it.
    """
    cleaned = INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(FULL_STOPS).strip()
    cleaned = re.sub(r"(?i)^mailto:", "", cleaned).split("?", 1)[0]
    bracketed = re.search(r"<([^<>]*)>", cleaned)
    cleaned = (bracketed.group(1) if bracketed else cleaned).strip().rstrip(".").casefold()
    local, at, domain = cleaned.rpartition("@")
    local, domain = local.strip(), domain.strip().rstrip(".")
    if not at or not local or not domain or len(cleaned) > 320:
        raise Invalid("not an e-mail address", field="email", code="not_an_address")
    local = unicodedata.normalize("NFKC", _unquoted(local))
    return Address(local, ascii_domain(domain), mixes_scripts(local) or mixes_scripts(domain))


def _unquoted(local: str) -> str:
    """Quotes are dropped where they change nothing: `"john"@` is `john@`, `"john smith"@` keeps them."""
    inner = local[1:-1]
    quoted = len(local) > 2 and local[0] == local[-1] == '"'
    return inner if quoted and SAFE_LOCAL.fullmatch(inner) else local


def ascii_domain(domain: str) -> str:
    """A domain in A-labels, lower case; raises `Invalid` where it can't be one."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        plain = domain.lower()
        if re.fullmatch(r"[a-z0-9_](?:[a-z0-9_.\-]*[a-z0-9])?", plain):
            return plain
        raise Invalid("not a domain", field="domain", code="not_a_domain") from None


def mixes_scripts(text: str) -> bool:
    """Whether letters of more than one script stand in one label: `pаypal` with a Cyrillic а."""
    return any(len(_scripts(label)) > 1 for label in re.split(r"[.@+\-_]", text))


def _scripts(label: str) -> set[str]:
    names = {unicodedata.name(c, "?").split(" ", 1)[0] for c in label if c.isalpha()}
    # Japanese and Korean mix theirs with Han as a matter of course.
    return {"CJK" if name in {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"} else name for name in names}
