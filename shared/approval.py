"""A person's yes: bound to exact content, expiring, each part of it used once.

    approved ─ (used, effect by effect) ─ expired | revoked

An approval lists the fingerprints of every effect it covers: each person with each rendered message, and the
start of the campaign. What was not on the list when the person said yes is refused at execution; so is a
second use by another effect, and a recipient whom the approved content doesn't name. Nothing in here can be
reached by a tool.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from shared.audit import Entry, append
from shared.clock import Clock, iso
from shared.effect import Effect, Json, canonical
from shared.errors import Invalid
from shared.safety_rules import Approvals as ApprovalRules
from shared.schema import approval, approval_item
from shared.sql import among
from shared.store import Store

ITEMS = "SELECT action, fingerprint, used_by FROM approval_item WHERE approval_id = ? AND fingerprint IN"


@dataclass(frozen=True, slots=True)
class Item:
    """One effect that is approved: `vendor.action`, and the fingerprint of its content."""

    action: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logged in, or the operator at the host's own command line."""

    name: str
    role: str


class Approvals:
    """Given, checked and used."""

    def __init__(self, store: Store, clock: Clock, rules: ApprovalRules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    def needed(self, effect: Effect) -> bool:
        """Whether policy asks for a person's yes before this effect. Calling it a stop doesn't change that."""
        return effect.vendor_action in self._rules.required_for

    def give_in(
        self,
        connection: sa.Connection,
        subject: str,
        items: Iterable[Item],
        *,
        person: Person,
        fingerprint: str,
        note: str = "",
    ) -> str:
        """In the caller's transaction: record a yes to exactly these items. Returns the approval's id."""
        if person.role not in {"ae", "operator", "admin"}:
            raise Invalid("this role can't approve", field="role", code="not_allowed")
        now = self._clock.now()
        identifier = secrets.token_hex(12)
        expires = iso(now + timedelta(hours=self._rules.expires_hours))
        connection.execute(
            sa.insert(approval).values(
                id=identifier,
                subject=subject,
                fingerprint=fingerprint,
                actor=person.name,
                role=person.role,
                note=note,
                at=iso(now),
                expires_at=expires,
            )
        )
        rows = [
            {"approval_id": identifier, "action": item.action, "fingerprint": item.fingerprint}
            for item in set(items)
        ]
        if rows:
            connection.execute(sa.insert(approval_item), rows)
        payload: dict[str, Json] = {
            "approval": identifier,
            "fingerprint": fingerprint,
            "items": len(rows),
            "expires": expires,
        }
        append(connection, [Entry("approval.given", subject, payload, person.name)], now)
        return identifier

    def check(self, connection: sa.Connection, effects: Sequence[Effect]) -> dict[str, str]:
        """In the claim's transaction: key → why this effect isn't approved, for those that need it and aren't.

        One item covers one effect: two of the same content in one batch are one approved and one not.
        """
        asked = [effect for effect in effects if self.needed(effect)]
        given = {name: self._standing(connection, name) for name in {effect.approval for effect in asked}}
        items = _items(connection, asked)
        against: dict[str, str] = {}
        for effect in asked:
            reason = given[effect.approval] or _mismatch(effect, items)
            if reason:
                against[effect.key] = reason
            else:
                items[_item(effect)] = effect.key
        return against

    def _standing(self, connection: sa.Connection, identifier: str) -> str:
        """Why this approval doesn't stand, or ""."""
        columns = sa.select(approval.c.state, approval.c.expires_at)
        given = connection.execute(columns.where(approval.c.id == identifier)).one_or_none()
        if not identifier or given is None or given.state != "approved":
            return "needs_approval"
        return "approval_expired" if given.expires_at <= iso(self._clock.now()) else ""

    def use(self, connection: sa.Connection, effects: Sequence[Effect]) -> None:
        """In the claim's transaction: these items are used, each by its effect and no other."""
        rows = [
            {"of": e.approval, "what": e.vendor_action, "print": e.fingerprint, "by": e.key}
            for e in effects
            if self.needed(e)
        ]
        if rows:
            where = (
                approval_item.c.approval_id == sa.bindparam("of"),
                approval_item.c.action == sa.bindparam("what"),
                approval_item.c.fingerprint == sa.bindparam("print"),
            )
            connection.execute(
                sa.update(approval_item).where(*where).values(used_by=sa.bindparam("by")), rows
            )

    def revoke_in(self, connection: sa.Connection, identifier: str, *, actor: str, reason: str) -> bool:
        """In the caller's transaction: take a yes back. True if it stood."""
        changed = connection.execute(
            sa.update(approval)
            .where(approval.c.id == identifier, approval.c.state == "approved")
            .values(state="revoked")
        ).rowcount
        if changed:
            entry = Entry("approval.revoked", identifier, {"reason": reason}, actor)
            append(connection, [entry], self._clock.now())
        return changed > 0


def _item(effect: Effect) -> tuple[str, str, str]:
    return effect.approval, effect.vendor_action, effect.fingerprint


def _items(connection: sa.Connection, effects: Sequence[Effect]) -> dict[tuple[str, str, str], str]:
    """Who used each approved item that these effects ask for; "" for nobody yet."""
    found: dict[tuple[str, str, str], str] = {}
    for identifier in {effect.approval for effect in effects}:
        asked = [effect.fingerprint for effect in effects if effect.approval == identifier]
        for row in among(connection, ITEMS, asked, identifier):
            found[identifier, row["action"], row["fingerprint"]] = row["used_by"]
    return found


def _mismatch(effect: Effect, items: Mapping[tuple[str, str, str], str]) -> str:
    """Whether the yes was to this content, to these people, and is unused."""
    used_by = items.get(_item(effect))
    approved = canonical(effect.content)
    strangers = [address for address in effect.people if canonical(address) not in approved]
    return "" if used_by in {"", effect.key} and not strangers else "approval_mismatch"
