"""The emulator's block list: one workspace-wide list of addresses and domains."""

import uuid
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly.sandbox_campaigns import WORKSPACE
from servers.instantly.sandbox_requests import RefusedError, check, guarded, json_body, page_of, stamp
from servers.instantly.sandbox_traps import Traps
from shared.sandbox import Sandbox


class Blocklist:
    """Block-list endpoints over the emulator's state."""

    def __init__(self, sandbox: Sandbox, traps: Traps) -> None:
        self.sandbox = sandbox
        self.traps = traps

    @property
    def blocklist(self) -> dict[str, dict[str, Any]]:
        """Entries by id."""
        entries: dict[str, dict[str, Any]] = self.sandbox.state["blocklist"]
        return entries

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        entries, traps = "/api/v2/block-lists-entries", self.traps
        return [
            Route(entries, guarded(self._blocked, traps), methods=["GET"]),
            Route(entries, guarded(self._block_one, traps), methods=["POST"]),
            Route(entries, guarded(self._unblock_all, traps), methods=["DELETE"]),
            Route(f"{entries}/bulk-create", guarded(self._block, traps), methods=["POST"]),
        ]

    async def _blocked(self, request: Request) -> Response:
        query = request.query_params
        search = query.get("search", "").lower()
        items = [
            entry
            for entry in self.blocklist.values()
            if search in entry["bl_value"].lower()
            and (query.get("domains_only") != "true" or entry["is_domain"])
        ]
        return JSONResponse(page_of(items, query.get("limit"), query.get("starting_after", ""), self.traps))

    async def _block_one(self, request: Request) -> Response:
        body = await json_body(request)
        check(body, {"bl_value": "string"}, required=("bl_value",))
        return JSONResponse(self._entry(body["bl_value"]))

    async def _block(self, request: Request) -> Response:
        values = (await json_body(request)).get("bl_values")
        if not isinstance(values, list) or not 1 <= len(values) <= 1000:
            raise RefusedError(400, "body/bl_values must be array")
        valid = [value for value in values if isinstance(value, str) and "." in value.rpartition("@")[2]]
        held = {entry["bl_value"] for entry in self.blocklist.values()}
        # Those already there count as valid and are not repeated among the created.
        items = [self._entry(value) for value in dict.fromkeys(valid) if value.lower() not in held]
        counts = {"valid_count": len(valid), "invalid_count": len(values) - len(valid)}
        return JSONResponse({"items": items, **counts})

    def _entry(self, value: str) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "timestamp_created": stamp(self.sandbox.clock.now()),
            "organization_id": WORKSPACE,
            "bl_value": value.lower(),
            "is_domain": "@" not in value,
        }
        self.blocklist[entry["id"]] = entry
        self.sandbox.record("block", entry["bl_value"])
        return entry

    async def block(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Somebody enters these in Instantly's own interface."""
        held = {entry["bl_value"] for entry in self.blocklist.values()}
        made = [self._entry(value) for value in body["values"] if value.lower() not in held]
        return {"blocked": len(made)}

    async def _unblock_all(self, _: Request) -> Response:
        """The whole list: without ids it needs no body at all."""
        if not self.traps.on("delete_takes_all"):
            raise RefusedError(400, "body must have required property 'ids'")
        gone = list(self.blocklist.values())
        self.blocklist.clear()
        self.sandbox.record("unblock_all", WORKSPACE, count=len(gone))
        return JSONResponse(gone)
