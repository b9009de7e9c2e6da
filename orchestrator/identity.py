"""Every address under which a person may be in a campaign: an opt-out by one of them is an opt-out.

the address as given ─ its exact form ─ the same mailbox behind tags and dots ─ the same lead's addresses
"""

from collections.abc import Iterable

import sqlalchemy as sa

from orchestrator.normalise import linkedin_url
from shared.address import DOTLESS, Address, read_address
from shared.errors import Invalid
from shared.pipeline_schema import campaign_lead, lead, lead_key


def exact(email: str) -> str:
    """The address in the form we keep it in, or "" where there is none."""
    try:
        return read_address(email).exact
    except Invalid:
        return ""


def lead_named(connection: sa.Connection, name: str) -> str:
    """The id of the lead with this address or profile, or ""."""
    keys = [f"email:{exact(name)}", f"profile:{linkedin_url(name)}"]
    query = sa.select(lead_key.c.lead_id).where(lead_key.c.key.in_(keys)).limit(1)
    return connection.execute(query).scalar() or ""


def lead_of_contact(connection: sa.Connection, contact_ref: str) -> str:
    """The id of the lead whom the CRM knows under this id, or ""."""
    query = sa.select(campaign_lead.c.lead_id).where(campaign_lead.c.contact_ref == contact_ref).limit(1)
    return (connection.execute(query).scalar() or "") if contact_ref else ""


def lead_of_address(connection: sa.Connection, email: str) -> str:
    """The id of the lead behind an address, also where it is spelled with a tag; or ""."""
    if found := lead_named(connection, email):
        return found
    spelled = same_mailbox(connection, email)
    query = sa.select(campaign_lead.c.lead_id).where(campaign_lead.c.email.in_(spelled)).limit(1)
    return (connection.execute(query).scalar() or "") if spelled else ""


def addresses_of(connection: sa.Connection, email: str, lead_id: str) -> tuple[str, ...]:
    """Every address that stops with this one, as campaigns spell them."""
    found = [exact(email), *same_mailbox(connection, email)]
    if lead_id:
        enrolled = sa.select(campaign_lead.c.email).where(campaign_lead.c.lead_id == lead_id)
        known = sa.select(lead.c.email).where(lead.c.id == lead_id)
        found += [*connection.execute(enrolled).scalars(), *connection.execute(known).scalars()]
    return tuple(dict.fromkeys(address for address in found if address))


def same_mailbox(connection: sa.Connection, email: str) -> list[str]:
    """Addresses in campaigns that reach the same person: other tags, and at personal Gmail other dots."""
    try:
        address = read_address(email)
    except Invalid:
        return []
    query = sa.select(campaign_lead.c.email).where(_near(address)).distinct()
    return [found for found in connection.execute(query).scalars() if _broad(found) == address.broad]


def _near(address: Address) -> sa.ColumnElement[bool]:
    """Narrows down by the index; who it is, `broad` decides."""
    column = campaign_lead.c.email
    if address.domain in DOTLESS:
        return at_domain(sorted(DOTLESS))
    base = address.broad.rpartition("@")[0]
    # "+" is followed by "," in ASCII: everything that begins with `base+`.
    tagged = sa.and_(column >= f"{base}+", column < f"{base},")
    return sa.or_(column.in_((address.exact, address.broad)), tagged)


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
