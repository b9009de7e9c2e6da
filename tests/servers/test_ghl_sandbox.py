"""The GoHighLevel emulator has the traps of the real one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.ghl.sandbox import build

LOCATION = "sandbox-location"
JANE = {"locationId": LOCATION, "email": "jane@corp.example", "firstName": "Jane", "tags": ["Alpha"]}
HEADERS = {"Authorization": "Bearer x", "Version": "v3"}


def client(state_file: Path | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build(state_file))
    return httpx.AsyncClient(transport=transport, base_url="http://ghl", headers=HEADERS)


@pytest.fixture
async def ghl() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as opened:
        yield opened


async def made(ghl: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await ghl.post("/contacts/", json={**JANE, **more})
    assert answer.status_code == 201, answer.text
    contact: dict[str, Any] = answer.json()["contact"]
    return contact


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Authorization": "", "Version": "v3"}, "Invalid token: access token is invalid"),
        ({"Authorization": "Bearer ", "Version": "v3"}, "Invalid token: access token is invalid"),
        ({"Authorization": "Bearer x", "Version": ""}, "version header was not found."),
        ({"Authorization": "Bearer x", "Version": "v2"}, "version header is invalid"),
    ],
)
async def test_token_and_version_are_needed(headers: dict[str, str], message: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build()), base_url="http://ghl") as http:
        answer = await http.get("/contacts/x", headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (401, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**JANE, "nickname": "J"}, "property nickname should not exist"),
        ({**JANE, "email": "jane"}, "email must be an email"),
        ({**JANE, "firstName": 5}, "firstName must be a string"),
        ({"email": "a@b.example"}, "locationId should not be empty"),
        (
            {**JANE, "dndSettings": {"Email": {"status": "active"}}},
            "dndSettings.property Email should not exist",
        ),
    ],
)
async def test_what_is_unknown_missing_or_wrong_is_422_with_a_list(
    ghl: httpx.AsyncClient, body: dict[str, Any], message: str
) -> None:
    answer = await ghl.post("/contacts/", json=body)
    assert answer.status_code == 422
    assert message in answer.json()["message"]


async def test_an_update_takes_no_company(ghl: httpx.AsyncClient) -> None:
    contact = await made(ghl)
    answer = await ghl.put(f"/contacts/{contact['id']}", json={"companyName": "Corp"})
    assert (answer.status_code, answer.json()["message"]) == (422, ["property companyName should not exist"])


async def test_a_second_contact_of_an_address_is_400_and_names_the_first(ghl: httpx.AsyncClient) -> None:
    first = await made(ghl)
    answer = await ghl.post("/contacts/", json={**JANE, "email": "JANE@corp.example"})
    assert answer.status_code == 400
    assert answer.json()["meta"] == {
        "contactId": first["id"],
        "contactName": "Jane",
        "matchingField": "email",
    }


async def test_tags_are_saved_in_lower_case_and_replaced_by_an_update(ghl: httpx.AsyncClient) -> None:
    contact = await made(ghl)
    assert contact["tags"] == ["alpha"]
    added = await ghl.post(f"/contacts/{contact['id']}/tags", json={"tags": ["Two"]})
    assert (added.status_code, added.json()) == (201, {"tags": ["alpha", "two"]})
    removed = await ghl.request("DELETE", f"/contacts/{contact['id']}/tags", json={"tags": ["ALPHA"]})
    assert removed.json() == {"tags": ["two"]}
    updated = await ghl.put(f"/contacts/{contact['id']}", json={"tags": ["Three"]})
    assert updated.json()["contact"]["tags"] == ["three"]


async def test_a_custom_field_under_a_wrong_name_is_dropped_silently(ghl: httpx.AsyncClient) -> None:
    listed = (await ghl.get(f"/locations/{LOCATION}/customFields")).json()["customFields"]
    ids = {field["fieldKey"]: field["id"] for field in listed}
    items = [
        {"id": ids["contact.title"], "fieldValue": "CRO"},
        {"key": "icp_tier", "field_value": "tier_1"},
        {"id": "unknown", "fieldValue": "x"},
        {"id": ids["contact.linkedin_url"], "value": "dropped"},
    ]
    contact = await made(ghl, customFields=items)
    assert {item["value"] for item in contact["customFields"]} == {"CRO", "tier_1"}


async def test_search_is_behind_where_the_other_reads_are_not(ghl: httpx.AsyncClient) -> None:
    await ghl.post("/_control/act/set_location", json={"search_lag": 60})
    contact = await made(ghl)
    asked = {"locationId": LOCATION, "pageLimit": 10}
    assert (await ghl.post("/contacts/search", json=asked)).json()["total"] == 0
    query = {"locationId": LOCATION, "email": JANE["email"]}
    assert (await ghl.get("/contacts/search/duplicate", params=query)).json()["contact"]["id"] == contact[
        "id"
    ]
    assert (await ghl.get(f"/contacts/{contact['id']}")).status_code == 200


async def test_search_without_a_page_limit_is_422(ghl: httpx.AsyncClient) -> None:
    assert (await ghl.post("/contacts/search", json={"locationId": LOCATION})).status_code == 422


async def test_search_filters_groups_and_pages(ghl: httpx.AsyncClient) -> None:
    await ghl.post("/_control/act/set_location", json={"search_lag": 0})
    for n in range(3):
        await made(ghl, email=f"p{n}@corp.example", tags=["dnc"] if n else [])
    marks = [
        {"field": "tags", "operator": "contains", "value": "DNC"},
        {"field": "dnd", "operator": "eq", "value": True},
    ]
    asked: dict[str, Any] = {
        "locationId": LOCATION,
        "pageLimit": 1,
        "filters": [{"group": "OR", "filters": marks}],
    }
    first = (await ghl.post("/contacts/search", json=asked)).json()
    after = first["contacts"][0]["searchAfter"]
    second = (await ghl.post("/contacts/search", json={**asked, "searchAfter": after})).json()
    assert (first["total"], len(second["contacts"])) == (2, 1)
    assert first["contacts"][0]["id"] != second["contacts"][0]["id"]


async def test_an_unknown_contact_is_400(ghl: httpx.AsyncClient) -> None:
    answer = await ghl.get("/contacts/nobody")
    assert (answer.status_code, answer.json()["message"]) == (400, "Contact with id nobody not found")


async def test_a_second_opportunity_of_a_contact_is_400_and_names_the_first(ghl: httpx.AsyncClient) -> None:
    contact = await made(ghl)
    [pipeline] = (await ghl.get("/opportunities/pipelines", params={"locationId": LOCATION})).json()[
        "pipelines"
    ]
    assert [stage["name"] for stage in pipeline["stages"]][:2] == ["New", "Contacted"]
    body = {"locationId": LOCATION, "pipelineId": pipeline["id"], "name": "x", "status": "open"}
    first = await ghl.post("/opportunities/", json={**body, "contactId": contact["id"]})
    second = await ghl.post("/opportunities/", json={**body, "contactId": contact["id"]})
    assert (first.status_code, second.status_code) == (201, 400)
    assert second.json()["code"] == "OPPORTUNITY_NO_DUPLICATE"
    assert second.json()["meta"] == {"existingId": first.json()["opportunity"]["id"]}


async def test_a_hundred_calls_in_ten_seconds_are_allowed(ghl: httpx.AsyncClient) -> None:
    answers = [await ghl.get("/contacts/nobody") for _ in range(101)]
    assert answers[0].headers["x-ratelimit-remaining"] == "99"
    assert [answer.status_code for answer in answers].count(429) == 1
    assert answers[-1].headers["x-ratelimit-interval-milliseconds"] == "10000"
    assert "x-ratelimit-reset" not in answers[-1].headers


async def test_another_location_than_the_tokens_is_403(ghl: httpx.AsyncClient) -> None:
    await ghl.post("/_control/act/set_location", json={"id": "mine"})
    assert (await ghl.get("/locations/other")).status_code == 403


async def test_the_log_tells_each_committed_write_once(ghl: httpx.AsyncClient) -> None:
    contact = await made(ghl)
    await ghl.post("/contacts/", json=JANE)
    await ghl.post(f"/contacts/{contact['id']}/tags", json={"tags": ["x"]})
    log = (await ghl.get("/_control/log")).json()
    assert [(entry["action"], entry["target"]) for entry in log] == [
        ("create_contact", "jane@corp.example"),
        ("add_tags", "jane@corp.example"),
    ]


async def test_state_survives_in_a_file(tmp_path: Path) -> None:
    async with client(tmp_path / "ghl.json") as first:
        contact = await made(first)
    async with client(tmp_path / "ghl.json") as second:
        assert (await second.get(f"/contacts/{contact['id']}")).status_code == 200
