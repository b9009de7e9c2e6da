"""Clay's public API v0 and Hunter.io's verifier, endpoint by endpoint; no policy, no retry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.errors import Fatal, InDoubt, Invalid, NotSent
from shared.gate import Permit
from shared.http import ApiClient, ErrorRow

PAGE = 100
MAX_PAGES = 20
CLAY_RULES = (
    ErrorRow(402, "", Fatal, "credits", "Clay's credits are used up, or the plan doesn't include this."),
    ErrorRow(404, "routine", Invalid, "no_routine", "Clay doesn't know this routine; check CLAY_ROUTINE_ID."),
)
# Hunter.io has these two the other way round from everybody else (seen 2026-08).
HUNTERIO_RULES = (
    ErrorRow(403, "", NotSent, "rate_limited", "Hunter.io asks to slow down."),
    ErrorRow(429, "", Fatal, "quota", "The Hunter.io plan's verifications are used up."),
    ErrorRow(451, "", Invalid, "opted_out", "This person asked Hunter.io not to process their data."),
)
OPTED_OUT = 451


@dataclass(frozen=True, slots=True)
class Item:
    """One person's result of a run."""

    id: str
    failed: bool
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clay:
    """One Clay workspace."""

    client: ApiClient

    async def me(self) -> Mapping[str, Any]:
        """Whose key it is."""
        return _object((await self.client.read("GET", "/me")).data)

    async def run(
        self, permit: Permit, routine: str, items: Sequence[Mapping[str, Any]], webhook_id: str
    ) -> str:
        """Start a routine for up to 100 items and return the run's id. Each item is paid for."""
        body: dict[str, Any] = {"items": list(items)}
        if webhook_id:
            body["webhook_id"] = webhook_id
        path = f"/routines/{quote(routine, safe=':')}/run"
        answer = await self.client.write(permit, "POST", path, json=body)
        run = _object(answer.data).get("routine_run_id")
        if not isinstance(run, str) or not run:
            raise InDoubt("Clay accepted the run without naming it", code="no_run")
        return run

    async def results(self, run: str) -> Mapping[str, Item] | None:
        """A run's results by item id; None while it is running."""
        found: dict[str, Item] = {}
        cursor = ""
        for _ in range(MAX_PAGES):
            params = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            path = f"/routines/run/{quote(run, safe='')}/results"
            answer = await self.client.read("GET", path, params=params)
            data = _object(answer.data)
            if answer.status == 202 or data.get("status") != "complete":
                return None
            found.update({item.id: item for item in map(_item, _objects(data.get("data")))})
            cursor = str(data.get("cursor") or "")
            if not cursor:
                break
        return found


@dataclass(frozen=True, slots=True)
class HunterIo:
    """One Hunter.io account."""

    client: ApiClient

    async def verify(self, permit: Permit, email: str) -> Mapping[str, Any]:
        """What is known of a mailbox; spends one verification. `Invalid` (pending) while it is being checked."""
        answer = await self.client.write(permit, "GET", "/email-verifier", params={"email": email})
        if answer.status == 202:
            # Nothing is known yet, so nothing is done: `Invalid` is what the gate believes after an answer.
            raise Invalid("the address is still being verified; ask again in a minute", code="pending")
        return _object(_object(answer.data).get("data"))


def _item(data: Mapping[str, Any]) -> Item:
    return Item(str(data.get("id", "")), data.get("status") != "complete", _object(data.get("result")))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
