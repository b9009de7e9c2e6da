"""A person's yes to one effect that no page reviews: a workflow of the CRM for somebody, an answer to a message.

asked for without a yes ─ refused, its exact content in the ledger ─ a person reads it and says yes ─▶ an approval
of exactly that ─ the same asked for again with it ─▶ done, once
"""

import sqlalchemy as sa

from orchestrator.accounts import need
from orchestrator.deciding import refuse_while_killed
from shared.approval import Item, Person
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.ledger import Row, find

# Whatever else needs a yes gets it on its own page, where every message has to be read first.
SINGLE = frozenset({"ghl.trigger_workflow", "instantly.send_reply"})
WANTING = frozenset({"needs_approval", "approval_expired", "approval_mismatch"})


async def approve(kernel: Kernel, key: str, *, person: Person) -> str:
    """Say yes to the effect of this key as the ledger has it. Returns the approval's id.

    Raises `Invalid` for an effect that isn't waiting for a yes, or gets it elsewhere; `Conflict` while killed.
    """
    need(person, "approve")
    return await kernel.store.write(lambda c: _approve(kernel, c, key, person))


def _approve(kernel: Kernel, connection: sa.Connection, key: str, person: Person) -> str:
    refuse_while_killed(kernel, connection)
    row = waiting(find(connection, key))
    item = Item(row.effect.vendor_action, row.fingerprint)
    subject = f"effect:{row.key}"
    return kernel.approvals.give_in(connection, subject, [item], person=person, fingerprint=row.fingerprint)


def waiting(row: Row | None) -> Row:
    """The effect, if a yes is what it lacks and this is where it is given."""
    if row is None:
        raise Invalid("no effect has this key", field="key")
    if row.effect.vendor_action not in SINGLE:
        raise Invalid("this is approved in the Gatekeeper, with everything that belongs to it", field="key")
    if row.status != "refused" or row.reason not in WANTING:
        raise Invalid("this effect isn't waiting for an approval", field="key", code="not_waiting")
    return row
