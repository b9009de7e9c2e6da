"""Every address under which a person may be in a campaign: an opt-out by one of them is an opt-out.

the address as given ─ its exact form ─ the same mailbox behind tags and dots ─ the same lead's addresses
"""

from collections.abc import Iterable

import sqlalchemy as sa

from orchestrator.normalise import linkedin_url
from shared.address import DOTLESS, Address, read_address
from shared.errors import Invalid
from shared.pipeline_schema import campaign_lead
from shared.sql import among, run, value

EMAIL, PROFILE = "email:", "profile:"  # how the keys begin that a lead is known by
NAMED = "SELECT lead_id FROM lead_key WHERE key IN"
ENROLLED = "SELECT lead_id FROM campaign_lead WHERE email IN"
OF_CONTACT = "SELECT lead_id FROM campaign_lead WHERE contact_ref = ? LIMIT 1"
THEIRS = "SELECT email FROM campaign_lead WHERE lead_id = ? UNION ALL SELECT email FROM lead WHERE id = ?"
NEAR = "SELECT DISTINCT email FROM campaign_lead WHERE email IN (?, ?) OR (email >= ? AND email < ?)"


def exact(email: str) -> str:
    """The address in the form we keep it in, or "" where there is none."""
    try:
        return read_address(email).exact
    except Invalid:
        return ""


def lead_named(connection: sa.Connection, name: str) -> str:
    """The id of the lead with this address or profile, or ""."""
    keys = [f"{EMAIL}{exact(name)}", f"{PROFILE}{linkedin_url(name)}"]
    return next((str(row["lead_id"]) for row in among(connection, NAMED, keys)), "")


def lead_of_contact(connection: sa.Connection, contact_ref: str) -> str:
    """The id of the lead whom the CRM knows under this id, or ""."""
    return str(value(connection, OF_CONTACT, contact_ref) or "") if contact_ref else ""


def lead_of_address(connection: sa.Connection, email: str) -> str:
    """The id of the lead behind an address, also where it is spelled with a tag; or ""."""
    if found := lead_named(connection, email):
        return found
    spelled = same_mailbox(connection, email)
    return next((str(row["lead_id"]) for row in among(connection, ENROLLED, spelled)), "")


def addresses_of(connection: sa.Connection, email: str, lead_id: str) -> tuple[str, ...]:
    """Every address that stops with this one, as campaigns spell them."""
    found = [exact(email), *same_mailbox(connection, email)]
    if lead_id:
        found += [str(row["email"]) for row in run(connection, THEIRS, lead_id, lead_id)]
    return tuple(dict.fromkeys(address for address in found if address))


def same_mailbox(connection: sa.Connection, email: str) -> list[str]:
    """Addresses in campaigns that reach the same person: other tags, and at personal Gmail other dots."""
    try:
        address = read_address(email)
    except Invalid:
        return []
    return [found for found in _near(connection, address) if _broad(found) == address.broad]


def _near(connection: sa.Connection, address: Address) -> list[str]:
    """Narrows down by the index; who it is, `broad` decides."""
    if address.domain in DOTLESS:
        query = sa.select(campaign_lead.c.email).where(at_domain(sorted(DOTLESS))).distinct()
        return list(connection.execute(query).scalars())
    base = address.broad.rpartition("@")[0]
    # "+" is followed by "," in ASCII: everything that begins with `base+`.
    found = run(connection, NEAR, address.exact, address.broad, f"{base}+", f"{base},")
    return [str(row["email"]) for row in found]


def _broad(email: str) -> str:
    try:
        return read_address(email).broad
    except Invalid:
        return ""


def at_domain(domains: Iterable[str]) -> sa.ColumnElement[bool]:
    """Addresses in campaigns at one of these domains, or below one."""
    column = campaign_lead.c.email
    ends = (f"{mark}{one}" for one in domains for mark in "@.")
    return sa.or_(*(column.endswith(end, autoescape=True) for end in ends))
