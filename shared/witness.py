"""Asks running emulators for the truth, and tells them what to do: the other end of `sandbox.py`'s controls."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from shared.tls import trusted


@dataclass(frozen=True, slots=True)
class Witness:
    """Emulators under one address, each at its account's name. Only for demos and tests."""

    http: httpx.AsyncClient

    async def log(self, account: str) -> list[dict[str, Any]]:
        """Every committed write, in order: at, vendor, action, target, detail."""
        entries: list[dict[str, Any]] = (await self._answer("GET", account, "log", None)).json()
        return entries

    async def requests(self, account: str) -> list[dict[str, Any]]:
        """Every request: method, path, query, json, correlation_id, status, and `answer` unless it is long."""
        entries: list[dict[str, Any]] = (await self._answer("GET", account, "requests", None)).json()
        return entries

    async def break_things(self, account: str, faults: Sequence[Mapping[str, Any]]) -> None:
        """Put a fault plan in force instead of the last one."""
        await self._answer("PUT", account, "faults", list(faults))

    async def send_events_to(self, account: str, url: str) -> None:
        """Where the account's events go, for vendors where that is set by hand."""
        await self._answer("PUT", account, "webhooks", {"url": url})

    async def act(self, account: str, name: str, **arguments: Any) -> dict[str, Any]:
        """Have the vendor do something by itself."""
        result: dict[str, Any] = (await self._answer("POST", account, f"act/{name}", arguments)).json()
        return result

    async def _answer(self, method: str, account: str, what: str, body: Any) -> httpx.Response:
        answer = await self.http.request(method, f"/{account}/_control/{what}", json=body)
        return answer.raise_for_status()


@asynccontextmanager
async def open_witness(address: str) -> AsyncIterator[Witness]:
    """A witness for the emulators at that address."""
    async with httpx.AsyncClient(base_url=address, verify=trusted(), trust_env=False, timeout=60) as http:
        yield Witness(http)
