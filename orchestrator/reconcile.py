"""What is in doubt is looked up at its vendor and settled by evidence; what nobody can tell waits for a person.

in_doubt ─ look-up says it is there ──▶ applied
         ─ certainly not there ───────▶ failed (may be tried again)
         ─ can't be told ─────────────▶ in_doubt, asked again ever more seldom, and shown (`doubts.py`)
         ─ nothing to look with ──────▶ in_doubt, until a person says (`swarm effects resolve`, or /safety)
"""

from collections.abc import Callable
from functools import partial

import anyio

from orchestrator.app import App
from orchestrator.doubts import open_in
from orchestrator.later import Later
from shared import ledger
from shared.effect import Effect, Receipt
from shared.errors import ConfigError, Retryable, SwarmError
from shared.gate import Lookup
from shared.suite import Opened
from shared.telemetry import correlated, logger

log = logger("reconcile")
SIDE_BY_SIDE = 4
LOOKED_AT = 40  # in one pass: a look may wait some seconds for a vendor that shows things late


async def settle(app: App, later: Later) -> dict[str, int]:
    """One pass over what is open though nobody is at it; what can't be told is asked ever more seldom."""
    counts: dict[str, int] = {}
    room = anyio.CapacityLimiter(SIDE_BY_SIDE)

    async def one(row: ledger.Row) -> None:
        async with room:
            with correlated(row.correlation_id):
                status = await _settle(app, row)
        counts[status] = counts.get(status, 0) + 1
        if status in {"in_doubt", "for_a_person"}:
            later.put_off(row.key)
        else:
            later.forget(row.key)

    rows = [
        row for row in await app.kernel.store.read(lambda c: open_in(app.kernel, c)) if later.due(row.key)
    ]
    async with anyio.create_task_group() as tasks:
        for row in rows[-LOOKED_AT:]:  # the oldest first: the ledger lists the newest first
            tasks.start_soon(one, row)
    if counts:
        log.info("reconcile.pass", **counts)
    return counts


async def _settle(app: App, row: ledger.Row) -> str:
    """Look at the vendor. A row that a dead process had claimed is in doubt from now on in any case."""
    lookup = _lookup(app, row)
    if lookup is None and row.status == "in_doubt":
        return "for_a_person"
    try:
        return (await app.kernel.gate.look(row, lookup or _nothing_to_look_with)).status
    except SwarmError as error:
        log.warning("reconcile.not_looked", code=error.code, kind=error.kind)
        return "in_doubt"


async def _nothing_to_look_with(effect: Effect, /) -> Receipt | None:  # noqa: ARG001 - a lookup's shape
    raise Retryable("no server in this process can look this up", code="cant_tell")


def _lookup(app: App, row: ledger.Row) -> Lookup | None:
    """How the vendor's server says this effect can be looked up, if it can."""
    for opened in _servers(app):
        found = opened.server.lookups.get((row.effect.vendor, row.effect.action))
        if found is not None:
            return _bound(found, opened)
    return None


def _bound(found: Callable[..., object], opened: Opened) -> Lookup:
    async def look(effect: Effect, /) -> Receipt | None:
        answer = partial(found, opened.instance)(effect)
        return await answer  # type: ignore[no-any-return, misc]  # a ServerLookup, bound to its instance

    return look


def _servers(app: App) -> list[Opened]:
    names = {binding.server for binding in app.kernel.settings.suite.ports.values()}
    found = []
    for name in sorted(names):
        try:
            found.append(app.suite.server(name))
        except ConfigError:
            continue  # bound over MCP: that server settles its own
    return found
