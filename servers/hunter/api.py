"""PhantomBuster and Apify, endpoint by endpoint; no policy, no retry.

Neither client logs in to LinkedIn: the session lives with the provider, and we never see or hold it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import Fatal, InDoubt, NotSent
from shared.gate import Permit
from shared.http import ApiClient, ErrorRow

Row = Mapping[str, Any]

PHANTOMBUSTER_RULES = (
    ErrorRow(402, "", Fatal, "plan", "The PhantomBuster plan doesn't allow this, or its time is used up."),
    ErrorRow(412, "", Fatal, "launch_mode", "This PhantomBuster agent may not be launched over the API."),
    ErrorRow(
        429, "", NotSent, "slots_full", "All PhantomBuster slots are in use; try again when a run has ended."
    ),
)
APIFY_RULES = (ErrorRow(402, "", Fatal, "credits", "The Apify account has no credits left."),)


@dataclass(frozen=True, slots=True)
class PhantomBuster:
    """The agents of one PhantomBuster organisation, API v2. Times are milliseconds."""

    client: ApiClient

    async def launch(
        self, permit: Permit, agent: str, argument: Mapping[str, Any], metadata: Mapping[str, str]
    ) -> str:
        """Start an agent once and return its container's id. `bonusArgument` is merged with the saved one, so
        that the session configured at PhantomBuster stays in force."""
        body = {
            "id": agent,
            "bonusArgument": dict(argument),
            "userCustomMetadata": dict(metadata),
            "maxInstanceCount": 1,
        }
        answer = await self.client.write(permit, "POST", "/agents/launch", json=body)
        container = answer.data.get("containerId") if isinstance(answer.data, dict) else None
        if not isinstance(container, str) or not container:
            raise InDoubt("PhantomBuster accepted the launch without naming the run", code="no_container")
        return container

    async def stop(self, permit: Permit, agent: str) -> None:
        """Ask an agent's run to end and keep what it has."""
        await self.client.write(permit, "POST", "/agents/stop", json={"id": agent, "softAbort": True})

    async def container(self, container: str, *, output: bool = False) -> Row:
        """One run: status, endType, exitCode, our metadata, and what it printed if asked for."""
        params = {"id": container} | ({"withOutput": "true"} if output else {})
        return _object((await self.client.read("GET", "/containers/fetch", params=params)).data)

    async def containers(self, agent: str) -> tuple[Sequence[Row], bool]:
        """An agent's runs, running ones included, and whether the list is cut."""
        params = {"agentId": agent, "mode": "all", "limit": "100"}
        data = _object((await self.client.read("GET", "/containers/fetch-all", params=params)).data)
        return _objects(data.get("containers")), bool(data.get("maxLimitReached"))

    async def rows(self, container: str) -> Sequence[Any]:
        """A run's rows: the result object is text that holds JSON, so it is decoded twice."""
        params = {"id": container}
        answer = await self.client.read("GET", "/containers/fetch-result-object", params=params)
        text = _object(answer.data).get("resultObject")
        try:
            rows = json.loads(text) if isinstance(text, str) and text else []
        except (ValueError, RecursionError) as error:
            raise Fatal("PhantomBuster's result is not JSON", code="unreadable_result") from error
        return rows if isinstance(rows, list) else [rows]

    async def agent(self, agent: str) -> Row:
        """One agent, for its existence and name."""
        return _object((await self.client.read("GET", "/agents/fetch", params={"id": agent})).data)

    async def resources(self) -> Row:
        """What is left of the plan: execution time, slots, credits."""
        return _object((await self.client.read("GET", "/orgs/fetch-resources")).data)


@dataclass(frozen=True, slots=True)
class Apify:
    """Actors of one Apify account, API v2."""

    client: ApiClient

    async def start(self, permit: Permit, actor: str, given: Mapping[str, Any], max_charge_usd: float) -> str:
        """Start an actor and return the run's id; Apify itself stops charging at `max_charge_usd`."""
        params = {"maxTotalChargeUsd": f"{max_charge_usd:g}"}
        path = f"/v2/actors/{actor}/runs"
        answer = await self.client.write(permit, "POST", path, params=params, json=dict(given))
        run = _object(_object(answer.data).get("data")).get("id")
        if not isinstance(run, str) or not run:
            raise InDoubt("Apify accepted the run without naming it", code="no_run")
        return run

    async def abort(self, permit: Permit, run: str) -> None:
        """End a run and keep what it has."""
        await self.client.write(permit, "POST", f"/v2/actor-runs/{run}/abort", params={"gracefully": "true"})

    async def run(self, run: str) -> Row:
        """One run: status and the id of its dataset."""
        answer = await self.client.read("GET", f"/v2/actor-runs/{run}")
        return _object(_object(answer.data).get("data"))

    async def items(self, dataset: str, offset: int, limit: int) -> Sequence[Any]:
        """Rows of a dataset from `offset` on."""
        params = {"format": "json", "clean": "1", "offset": str(offset), "limit": str(limit)}
        answer = await self.client.read("GET", f"/v2/datasets/{dataset}/items", params=params)
        return answer.data if isinstance(answer.data, list) else []


def _object(value: object) -> Row:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Row]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
