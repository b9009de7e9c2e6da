"""The record of processing (GDPR Art. 30), made of the configuration and of what the program really has."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

from orchestrator import stores
from orchestrator.privacy_rules import PrivacyRules
from shared.errors import ConfigError
from shared.lead import Lead

OWN = frozenset({"id"})  # says nothing of a person
MEASURES = (
    "one gate for every external effect, safe mode by default, a kill switch anybody may press",
    "a do-not-contact list of keyed hashes, asked in the transaction of each effect",
    "an append-only audit log whose details can be erased without breaking its proofs",
    "roles with least rights, argon2id for passwords, two admins for what loosens safety",
    "addresses masked in logs; credentials encrypted at rest; loopback only unless a token is set",
    "deleted content overwritten (SQLite); erasure across every table and file, with proof by search",
)


def record(rules: PrivacyRules, vendors: Mapping[str, str]) -> str:
    """Markdown. `vendors`: account → where it is reached. `ConfigError` for a vendor that the record doesn't know."""
    if unknown := sorted(set(vendors) - set(rules.record.recipients)):
        raise ConfigError(f"privacy.yaml: record.recipients lacks {', '.join(unknown)}")
    return "\n".join(_lines(rules, vendors)) + "\n"


def _lines(rules: PrivacyRules, vendors: Mapping[str, str]) -> Iterator[str]:
    told = rules.record
    yield from ("### Controller", "", f"{told.controller}; {told.contact}", "")
    yield from ("### Purposes", "", "| purpose | ground |", "|---|---|")
    yield from (f"| {one.what} | {one.basis} |" for one in told.purposes)
    yield from ("", "### Categories", "", f"Of people: {told.subjects}.", "")
    held = [one.name.replace("_", " ") for one in fields(Lead) if one.name not in OWN]
    yield from (f"Of data about a lead: {', '.join(held)}.", "")
    about = sorted(one.name for one in stores.tables() if "lead_id" in one.c or one.name in stores.ADDRESSED)
    yield from (f"Stores that hold rows of one person: {', '.join(f'`{name}`' for name in about)}.", "")
    yield from (
        "### Recipients and transfers",
        "",
        "| vendor | what | where | transfer |",
        "|---|---|---|---|",
    )
    for name in sorted(vendors):
        one = told.recipients[name]
        yield f"| {name} | {one.what} | {one.where} | {one.transfer} |"
    yield from ("", "### Retention", "", "| what | days | why no longer |", "|---|---|---|")
    yield from (f"| {name} | {one.days} | {one.why} |" for name, one in rules.retention.rules.items())
    limits = rules.deadlines
    yield from ("", "### Requests", "", "| request | answered within |", "|---|---|")
    yield f"| access | {limits.access_days} days |"
    yield f"| erasure | {limits.erasure_hours} hours here, {limits.vendor_days} days at vendors by hand |"
    yield f"| rectification | {limits.rectification_hours} hours here, {limits.vendor_days} days at vendors by hand |"
    yield from ("", "### Measures", "", *(f"- {one}" for one in MEASURES))
