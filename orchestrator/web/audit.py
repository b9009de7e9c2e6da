"""The audit log's newest entries, and the proof that nothing in it was changed.

The log holds no address of who acted, only a commitment to it; while the entry's salt is kept, it can be told
which account it is.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, page
from orchestrator.web.session import Form, changing, shown
from shared.audit import Verdict
from shared.schema import audit_detail

SHOWN = 100
COMMITMENT = 64  # hexadecimal digits


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Head and tail."""
    return await _page(request, visit, None)


@changing("read")
async def verify(request: Request, visit: Visit, _: Form) -> Response:
    """Recompute every entry and every checkpoint."""
    return await _page(request, visit, await desk(request).app.kernel.audit.verify())


async def _page(request: Request, visit: Visit, verdict: Verdict | None) -> Response:
    at = desk(request)
    audit, emails = at.app.kernel.audit, [one.email for one in await at.accounts.all()]
    entries = await audit.tail(SHOWN)
    salts = await at.app.kernel.store.read(_salts)
    named = [
        {**entry, "actor": _who(str(entry["actor"]), salts.get(entry["seq"]), emails)} for entry in entries
    ]
    head, places = await audit.head(), await audit.places()
    return await page(request, "audit.html", visit, entries=named, head=head, places=places, verdict=verdict)


def _salts(connection: sa.Connection) -> Mapping[object, bytes]:
    newest = sa.select(audit_detail.c.seq, audit_detail.c.salt).order_by(audit_detail.c.seq.desc())
    return {row.seq: row.salt for row in connection.execute(newest.limit(SHOWN))}


def _who(actor: str, salt: bytes | None, emails: Sequence[str]) -> str:
    """The account behind a commitment; the commitment's beginning where it is none of ours, or was erased."""
    if len(actor) != COMMITMENT:
        return actor
    known = {hmac.new(salt or b"", email.encode(), hashlib.sha256).hexdigest(): email for email in emails}
    return known.get(actor, f"somebody ({actor[:8]}…)")
