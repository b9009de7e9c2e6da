"""The scaffold of emulators: what it records is what was committed, whatever goes wrong on the way."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.sandbox import Sandbox, serve
from tests.shared.world import HandClock


class Shop:
    """A vendor with one endpoint."""

    def __init__(self, state_file: Path | None = None) -> None:
        self.clock = HandClock()
        self.sandbox = Sandbox("shop", initial=lambda: {"n": 0}, state_file=state_file, clock=self.clock)
        self.sandbox.actions["count"] = self.count
        self.app = self.sandbox.app([Route("/orders", self.order, methods=["POST"])])

    async def order(self, request: Request) -> Response:
        body = await request.json()
        self.sandbox.state["n"] += 1
        self.sandbox.record("order", body["what"])
        return JSONResponse({"id": self.sandbox.state["n"]})

    async def count(self, given: object) -> dict[str, object]:
        return {"n": self.sandbox.state["n"]}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with serve(Shop().app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield http


async def order(client: httpx.AsyncClient, what: str = "tea") -> httpx.Response:
    return await client.post("/orders", json={"what": what})


async def committed(client: httpx.AsyncClient) -> list[str]:
    return [entry["target"] for entry in (await client.get("/_control/log")).json()]


async def fault(client: httpx.AsyncClient, **plan: object) -> None:
    assert (await client.put("/_control/faults", json=[plan])).status_code == 200


async def test_a_write_is_answered_and_recorded(client: httpx.AsyncClient) -> None:
    assert (await order(client)).json() == {"id": 1}
    assert await committed(client) == ["tea"]
    requests = (await client.get("/_control/requests")).json()
    assert [(r["method"], r["path"], r["json"], r["status"]) for r in requests] == [
        ("POST", "/orders", {"what": "tea"}, 200)
    ]


@pytest.mark.parametrize(("kind", "kept"), [("drop_before", []), ("drop_after", ["tea"])])
async def test_a_cut_connection_is_committed_or_not(
    client: httpx.AsyncClient, kind: str, kept: list[str]
) -> None:
    await fault(client, kind=kind)
    with pytest.raises(httpx.TransportError):
        await order(client)
    assert await committed(client) == kept


@pytest.mark.parametrize(
    ("plan", "status", "kept"),
    [
        ({"kind": "status", "status": 429, "retry_after": "7"}, 429, []),
        ({"kind": "error_after"}, 500, ["tea"]),
        ({"kind": "error_body"}, 200, ["tea"]),
        ({"kind": "truncate"}, 200, ["tea"]),
        ({"kind": "delay", "seconds": 9}, 200, ["tea"]),
        ({"kind": "status", "path": "/elsewhere"}, 200, ["tea"]),
        ({"kind": "status", "method": "GET"}, 200, ["tea"]),
        ({"kind": "status", "skip": 1}, 200, ["tea"]),
    ],
)
async def test_a_fault_does_what_it_says(
    client: httpx.AsyncClient, plan: dict[str, object], status: int, kept: list[str]
) -> None:
    await fault(client, **plan)
    answer = await order(client)
    assert (answer.status_code, await committed(client)) == (status, kept)
    assert answer.headers.get("retry-after", "") == plan.get("retry_after", "")


async def test_a_truncated_answer_is_no_json(client: httpx.AsyncClient) -> None:
    await fault(client, kind="truncate")
    with pytest.raises(ValueError):
        (await order(client)).json()


async def test_a_fault_happens_as_often_as_it_says(client: httpx.AsyncClient) -> None:
    await fault(client, kind="status", times=2)
    assert [(await order(client)).status_code for _ in range(3)] == [503, 503, 200]
    await fault(client, kind="status", times=-1)
    assert [(await order(client)).status_code for _ in range(3)] == [503] * 3


async def test_resetting_forgets(client: httpx.AsyncClient) -> None:
    await order(client)
    await client.post("/_control/reset")
    assert await committed(client) == []


async def test_an_action_is_called_by_name(client: httpx.AsyncClient) -> None:
    await order(client)
    assert (await client.post("/_control/act/count")).json() == {"n": 1}
    assert (await client.post("/_control/act/nothing")).status_code == 404


async def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    for expected in (1, 2):
        async with serve(Shop(file).app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await order(client)).json() == {"id": expected}
            assert len(await committed(client)) == expected


@pytest.mark.parametrize(
    ("plan", "delivered"),
    [([], ["a", "b"]), (["duplicate"], ["a", "a", "b"]), (["lose"], ["b"]), (["reorder"], ["b", "a"])],
)
async def test_webhooks_arrive_as_the_plan_has_it(plan: list[str], delivered: list[str]) -> None:
    arrived: list[str] = []

    async def inbox(scope: object, receive: object, send: object) -> None:
        body = await Request(scope, receive).body()  # type: ignore[arg-type]
        arrived.append(json.loads(body)["event"])
        await Response(status_code=204)(scope, receive, send)  # type: ignore[arg-type]

    shop = Shop()
    async with serve(shop.app) as url, serve(inbox) as hook:  # type: ignore[arg-type]
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            await client.put("/_control/webhooks", json={"url": hook, "headers": {"x-secret": "s"}})
            await client.put("/_control/faults", json=[{"kind": kind} for kind in plan])
        for event in ("a", "b"):
            await shop.sandbox.deliver({"event": event})
    assert arrived == delivered


async def test_a_webhook_is_sent_again_until_it_is_taken() -> None:
    tries = 0

    async def flaky(scope: object, receive: object, send: object) -> None:
        nonlocal tries
        tries += 1
        await Response(status_code=204 if tries == 3 else 503)(scope, receive, send)  # type: ignore[arg-type]

    shop = Shop()
    async with serve(flaky) as hook:  # type: ignore[arg-type]
        shop.sandbox.webhook = {"url": hook}
        await shop.sandbox.deliver({"event": "a"})
    assert tries == 3


async def test_without_an_address_no_webhook_is_sent() -> None:
    await Shop().sandbox.deliver({"event": "a"})


async def test_a_server_that_nobody_asked_ends_at_once() -> None:
    async with serve(Shop().app) as url:
        assert url.startswith("http://127.0.0.1:")


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with serve(Shop().app) as url:
        with pytest.raises(OSError):
            async with serve(Shop().app, port=int(url.rsplit(":", 1)[1])):
                raise AssertionError


def test_an_identifier_looks_like_a_vendors() -> None:
    made = Shop().sandbox.identifier(24)
    assert len(made) == 24
    assert made.isalnum()
