"""A person's yes: bound to exact content, expiring, each part of it used once.

    approved ─ (used, effect by effect) ─ expired | revoked

An approval lists the fingerprints of every effect it covers: each person with each rendered message, and the
start of the campaign. What was not on the list when the person said yes is refused at execution; so is a
second use by another effect. Nothing in here can be reached by a tool.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from shared.audit import Entry, append
from shared.clock import Clock, iso
from shared.effect import Effect
from shared.errors import Invalid
from shared.schema import approval, approval_item
from shared.settings import Approvals as ApprovalRules
from shared.store import Store


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
        """Whether policy asks for a person's yes before this effect."""
        return f"{effect.vendor}.{effect.action}" in self._rules.required_for and not effect.stops

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
        payload = {"approval": identifier, "fingerprint": fingerprint, "items": len(rows), "expires": expires}
        append(connection, [Entry("approval.given", subject, payload, person.name)], now)
        return identifier

    def check(self, connection: sa.Connection, effect: Effect) -> str:
        """In the claim's transaction: why this effect isn't approved, or ""."""
        if not effect.approval:
            return "needs_approval"
        given = connection.execute(sa.select(approval).where(approval.c.id == effect.approval)).one_or_none()
        if given is None or given.state != "approved":
            return "needs_approval"
        if given.expires_at <= iso(self._clock.now()):
            return "approval_expired"
        used_by = connection.execute(sa.select(approval_item.c.used_by).where(*_item(effect))).scalar()
        return "" if used_by in {"", effect.key} else "approval_mismatch"

    @staticmethod
    def use(connection: sa.Connection, effect: Effect) -> None:
        """In the claim's transaction: this item is used, by this effect and no other."""
        connection.execute(sa.update(approval_item).where(*_item(effect)).values(used_by=effect.key))

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


def _item(effect: Effect) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        approval_item.c.approval_id == effect.approval,
        approval_item.c.action == f"{effect.vendor}.{effect.action}",
        approval_item.c.fingerprint == effect.fingerprint,
    )
