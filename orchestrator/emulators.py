"""All vendors' emulators behind one loopback port: /ghl, /instantly, /clay, …; the demo and tests talk to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import RootModel
from starlette.applications import Starlette
from starlette.routing import Mount

from shared.sandbox import serve
from shared.settings import Settings, read_yaml
from shared.suite import load_server
from shared.witness import open_witness


class FaultPlan(RootModel[dict[str, list[dict[str, Any]]]]):
    """vendor account → faults, as `shared/sandbox.py` describes them."""


def emulators(settings: Settings, state: Path | None = None) -> Starlette:
    """One application with every vendor under its account's name."""
    names = {binding.server for binding in settings.suite.ports.values()}
    factories = {
        account: factory
        for name in sorted(names)
        for account, factory in load_server(name, settings.suite.servers).sandboxes.items()
    }
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    mounts = [
        Mount(f"/{account}", app=factory(state / f"{account}.json" if state else None))
        for account, factory in factories.items()
    ]
    return Starlette(routes=mounts)


@asynccontextmanager
async def serve_all(
    settings: Settings, *, port: int = 0, state: Path | None = None, faults: Path | None = None
) -> AsyncIterator[str]:
    """Serve them; yields the address that SWARM_SANDBOX_URL takes."""
    plan = read_yaml(faults, FaultPlan).root if faults else {}
    async with serve(emulators(settings, state), port=port) as address:
        async with open_witness(address) as witness:
            for account, entries in plan.items():
                await witness.break_things(account, entries)
        yield address
