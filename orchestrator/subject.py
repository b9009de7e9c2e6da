"""Who a request is about: every name under which we may hold a person, and how to recognise it in any text.

an address as given ─ the leads behind it ─ their addresses, profiles, phones and the vendors' ids
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from orchestrator.identity import EMAIL, PROFILE, addresses_of, exact, lead_named, lead_of_address
from orchestrator.intake import read_leads
from orchestrator.normalise import lead_id
from shared.address import DOTLESS, read_address
from shared.effect import canonical
from shared.errors import Invalid
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, event, lead, lead_key
from shared.schema import effect

BEFORE, AFTER = r"(?<![\w.+%-])", r"(?![\w-]|\.\w)"
FEWEST_DIGITS = 7  # of a phone number, to be one
MOST_APART = 6  # characters between two parts of a name


@dataclass(frozen=True)
class Subject:
    """A person by every name we know. `names` are full names that nobody else here has."""

    lead_ids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()  # the part of the address that is theirs: linkedin.com/in/anna-berg
    phones: tuple[str, ...] = ()  # digits
    names: tuple[str, ...] = ()
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # vendor → its ids of them

    @property
    def packed(self) -> str:
        """As JSON."""
        return canonical(asdict(self)).decode()

    @property
    def made_ids(self) -> tuple[str, ...]:
        """Our ids of them, which anybody who knows an address or profile can make again: they tell who it was."""
        made = [
            *(lead_id("", one) for one in self.addresses),
            *(lead_id(f"https://www.{one}", "") for one in self.profiles),
        ]
        return tuple(dict.fromkeys((*self.lead_ids, *made)))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds them in a text, whole: `ana@corp.com` isn't `diana@corp.com`."""
        ids = [one for known in self.references.values() for one in known]
        parts = [
            *(f"{BEFORE}{_spelled(one)}{AFTER}" for one in self.addresses),
            *(f"(?:https?:/+)?(?:[a-z]+\\.)?{re.escape(one)}(?![\\w%-])/?" for one in self.profiles),
            *(rf"(?<!\d)\+?{_apart(one)}(?!\d)" for one in self.phones),
            *(_named(one) for one in self.names),
            *(rf"(?<!\w){re.escape(one)}(?!\w)" for one in (*ids, *self.made_ids)),
        ]
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    @cached_property
    def likes(self) -> tuple[str, ...]:
        """What a text must hold for `pattern` to find anything: for LIKE, in lower case."""
        found = [*map(_like, self.addresses), *self.profiles, *self.phones]
        for name in self.names:
            found += [_words(name), _words(json.dumps(name)[1:-1])]
        found += [one.lower() for known in self.references.values() for one in known]
        found += self.made_ids
        return tuple(dict.fromkeys(f"%{one.lower()}%" for one in found))


def unpacked(text: str) -> Subject:
    """As it was packed."""
    values: dict[str, Any] = json.loads(text)
    references = {vendor: tuple(ids) for vendor, ids in values.pop("references", {}).items()}
    return Subject(**{name: tuple(found) for name, found in values.items()}, references=references)


def _spelled(address: str) -> str:
    """Also with a tag, percent-encoded at the @, and at Gmail with other dots."""
    local, _, domain = address.rpartition("@")
    base = local.split("+", 1)[0] or local
    spelled = re.escape(base)
    if domain in DOTLESS:
        spelled = r"\.?".join(re.escape(letter) for letter in base.replace(".", ""))
        domain_spelled = "(?:gmail|googlemail)\\.com"
    else:
        domain_spelled = re.escape(domain)
    return rf"{spelled}(?:(?:\+|%2b)[^@\s\"<>,;]*)?(?:@|%40){domain_spelled}"


def _like(address: str) -> str:
    local, _, domain = address.rpartition("@")
    if domain in DOTLESS:
        return "mail.com"
    base = local.split("+", 1)[0] or local
    return f"{base.replace('_', '!_').replace('%', '!%')}%{domain.replace('_', '!_')}"


def _apart(digits: str) -> str:
    return r"[\s().\-/]{0,3}".join(digits)


def _named(name: str) -> str:
    """First and last name, near each other in either order, as letters or as JSON escapes them."""
    spellings = [_order(name.split(" ")), _order(json.dumps(name)[1:-1].split(" "))]
    return "|".join(dict.fromkeys(spellings))


def _order(words: list[str]) -> str:
    first, last = re.escape(words[0]), re.escape(words[-1])
    between = rf"[\s,;:|\"'\\]{{1,{MOST_APART}}}"  # nothing of which addresses are made
    middle = between.join(map(re.escape, words))
    return rf"(?<!\w){middle}(?![\w-])|(?<![\w-]){last}{between}{first}(?!\w)"


def _words(name: str) -> str:
    """Whatever stands between the words; the other order is found by its first letters."""
    return max(name.split(" "), key=len)


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────
def subject_of(connection: sa.Connection, who: str) -> Subject:
    """Everything under which this address, profile or id is known. Raises `Invalid` for what names nobody."""
    given = exact(who)
    known = [lead_named(connection, who), *(_behind(connection, given) if given else ()), who.strip()]
    found = read_leads(connection, [one for one in dict.fromkeys(known) if one])
    if not given and not found:
        raise Invalid("nobody is known by that; give an e-mail address", field="who", code="not_found")
    addresses = dict.fromkeys([given] if given else [])
    for one in found.values():
        addresses |= dict.fromkeys(addresses_of(connection, one.email or given, one.id))
        addresses |= dict.fromkeys(_keys(connection, one.id, EMAIL))
    addresses |= dict.fromkeys(addresses_of(connection, given, "") if given else ())
    addresses |= dict.fromkeys(_broad(one) for one in list(addresses) if one)
    mine = tuple(one for one in addresses if one)
    return _described(connection, tuple(found.values()), mine)


def _behind(connection: sa.Connection, given: str) -> list[str]:
    """The leads with this address, with or without a tag."""
    address = read_address(given)
    base, domain = address.broad.rpartition("@")[0], address.domain
    tagged = lead.c.email.startswith(f"{base}+", autoescape=True) & lead.c.email.endswith(
        f"@{domain}", autoescape=True
    )
    found = connection.execute(sa.select(lead.c.id).where(tagged)).scalars()
    return [lead_named(connection, address.broad), lead_of_address(connection, given), *found]


def _broad(address: str) -> str:
    return read_address(address).broad


def _keys(connection: sa.Connection, lead_id: str, kind: str) -> list[str]:
    query = sa.select(lead_key.c.key).where(lead_key.c.lead_id == lead_id)
    return [key.removeprefix(kind) for key in connection.execute(query).scalars() if key.startswith(kind)]


def _described(connection: sa.Connection, leads: tuple[Lead, ...], addresses: tuple[str, ...]) -> Subject:
    ids = tuple(one.id for one in leads)
    profiles = [one.linkedin_url for one in leads]
    for identifier in ids:
        profiles += _keys(connection, identifier, PROFILE)
    phones = ("".join(filter(str.isdigit, one.phone)) for one in leads)
    return Subject(
        lead_ids=ids,
        addresses=addresses,
        profiles=tuple(dict.fromkeys(filter(None, map(_path, profiles)))),
        phones=tuple(dict.fromkeys(one for one in phones if len(one) >= FEWEST_DIGITS)),
        names=tuple(dict.fromkeys(one.name for one in leads if _is_theirs_alone(connection, one))),
        references=_references(connection, ids, addresses, profiles),
    )


def _path(profile: str) -> str:
    """`https://www.linkedin.com/in/anna` → `linkedin.com/in/anna`."""
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", profile.lower()).rstrip("/")


def _is_theirs_alone(connection: sa.Connection, one: Lead) -> bool:
    """A full name that no other lead has: two people of one name can't be told apart by it."""
    if not one.first_name or not one.last_name:
        return False
    parts = [f"%{json.dumps(word, ensure_ascii=False)[1:-1]}%" for word in (one.first_name, one.last_name)]
    others = sa.select(lead.c.data).where(lead.c.id != one.id, *(lead.c.data.like(part) for part in parts))
    told = (json.loads(data) for data in connection.execute(others).scalars())
    return all(
        f"{other['first_name']} {other['last_name']}".casefold() != one.name.casefold() for other in told
    )


def _references(
    connection: sa.Connection, ids: Iterable[str], addresses: Iterable[str], profiles: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Vendors that had to do with them, each with its ids of them where we know any."""
    known: dict[str, dict[str, None]] = {}
    mine = campaign_lead.c.lead_id.in_(list(ids))
    contacts = sa.select(campaign_lead.c.contact_ref).where(mine, campaign_lead.c.contact_ref != "")
    crm = [one for one in connection.execute(contacts).scalars() if not one.startswith("simulated")]
    targets = [*addresses, *profiles, *ids, *crm]
    done = sa.select(effect.c.vendor, effect.c.action, effect.c.reference).where(
        effect.c.target.in_(targets), effect.c.status.in_(("applied", "in_doubt", "claimed"))
    )
    for row in connection.execute(done):
        known.setdefault(row.vendor, {})
        if row.action in {"upsert_contact", "create_contact", "enrich"} and row.reference:
            known[row.vendor][row.reference] = None
    heard = sa.select(event.c.vendor).where(event.c.lead_id.in_(list(ids))).distinct()
    for vendor in connection.execute(heard).scalars():
        known.setdefault(vendor, {})
    return {vendor: tuple(found) for vendor, found in known.items()}
