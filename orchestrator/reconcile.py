"""What is in doubt is looked up at its vendor and settled by evidence; what nobody can tell waits for a person.

in_doubt ─ look-up says it is there ──▶ applied
         ─ certainly not there ───────▶ failed (may be tried again)
         ─ can't be told ─────────────▶ in_doubt, shown with its age (`swarm effects list --status in_doubt`)
"""

from collections.abc import Callable
from functools import partial

from orchestrator.app import App
from shared import ledger
from shared.effect import Effect, Receipt
from shared.errors import ConfigError
from shared.gate import Lookup
from shared.suite import Opened
from shared.telemetry import correlated, logger

log = logger("reconcile")
AT_ONCE = 100


async def settle(app: App) -> dict[str, int]:
    """One pass over everything open whose process is gone or whose answer was lost."""
    counts: dict[str, int] = {}
    rows = await app.kernel.ledger.list(status="in_doubt", limit=AT_ONCE)
    claimed = await app.kernel.ledger.list(status="claimed", limit=AT_ONCE)
    rows += [row for row in claimed if not app.kernel.presence.alive(row.process)]
    for row in rows:
        lookup = _lookup(app, row)
        if lookup is None:
            counts["for_a_person"] = counts.get("for_a_person", 0) + 1
            continue
        with correlated(row.correlation_id):
            outcome = await app.kernel.gate.look(row, lookup)
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    if counts:
        log.info("reconcile.pass", **counts)
    return counts


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
