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


# ── what can be switched ─────────────────────────────────────────────────────────────────────────────────
async def act(ghl: httpx.AsyncClient, name: str, **given: Any) -> Any:
    return (await ghl.post(f"/_control/act/{name}", json=given)).json()


async def again(ghl: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """The refusal of one more create."""
    answer = await ghl.post("/contacts/", json={"locationId": LOCATION, **more})
    assert answer.status_code == 400
    refusal: dict[str, Any] = answer.json()
    return refusal


@pytest.mark.parametrize(("order", "whom"), [(["email", "phone"], "jane"), (["phone", "email"], "bob")])
async def test_a_duplicate_names_whom_the_locations_first_rule_finds(
    ghl: httpx.AsyncClient, order: list[str], whom: str
) -> None:
    ids = {
        "jane": (await made(ghl))["id"],
        "bob": (await made(ghl, email="bob@corp.example", phone="+1555"))["id"],
    }
    await act(ghl, "set_location", duplicate_order=order)
    assert (await again(ghl, email=JANE["email"], phone="+1555"))["meta"]["contactId"] == ids[whom]


async def test_a_duplicate_may_name_nobody(ghl: httpx.AsyncClient) -> None:
    await made(ghl)
    await act(ghl, "set_location", names_duplicate=False)
    assert "meta" not in await again(ghl, email=JANE["email"])


async def test_a_second_address_counts_as_a_duplicate_and_may_be_hidden(ghl: httpx.AsyncClient) -> None:
    jane = await made(ghl)
    await act(ghl, "add_address", email=JANE["email"], second="jane@home.example")
    assert (await again(ghl, email="jane@home.example"))["meta"]["contactId"] == jane["id"]
    for shown in (True, False):
        await act(ghl, "set_location", shows_secondary=shown)
        contact = (await ghl.get(f"/contacts/{jane['id']}")).json()["contact"]
        assert ("additionalEmails" in contact) is shown


@pytest.mark.parametrize("merges", [True, False])
async def test_a_part_of_the_channels_merges_or_replaces(ghl: httpx.AsyncClient, *, merges: bool) -> None:
    jane = await made(ghl, dndSettings={"sms": {"status": "active"}})
    await act(ghl, "set_location", dnd_merges=merges)
    await ghl.put(f"/contacts/{jane['id']}", json={"dndSettings": {"email": {"status": "active"}}})
    shown = (await ghl.get(f"/contacts/{jane['id']}")).json()["contact"]["dndSettings"]
    assert set(shown) == ({"sms", "email"} if merges else {"email"})


@pytest.mark.parametrize(
    ("version", "channel", "word"), [("v3", "email", "fieldValue"), ("2021-07-28", "Email", "field_value")]
)
async def test_each_version_has_its_own_spelling(
    ghl: httpx.AsyncClient, version: str, channel: str, word: str
) -> None:
    ghl.headers["Version"] = version
    wrong = "fieldValue" if word == "field_value" else "value"
    items = [{"id": "sandboxField00000000", word: "CRO"}, {"id": "sandboxField00000001", wrong: "dropped"}]
    jane = await made(ghl, dndSettings={channel: {"status": "active"}}, customFields=items)
    assert (list(jane["dndSettings"]), [item["value"] for item in jane["customFields"]]) == (
        [channel],
        ["CRO"],
    )
    other = "Email" if channel == "email" else "email"
    refused = await ghl.put(f"/contacts/{jane['id']}", json={"dndSettings": {other: {"status": "active"}}})
    assert refused.status_code == 422


async def test_a_missing_scope_is_401(ghl: httpx.AsyncClient) -> None:
    await act(ghl, "set_location", missing_scopes=["contacts.write"])
    answer = await ghl.post("/contacts/", json=JANE)
    assert (answer.status_code, answer.json()["message"]) == (
        401,
        "The token is not authorized for this scope.",
    )


async def test_a_parameter_of_another_version_is_422(ghl: httpx.AsyncClient) -> None:
    answer = await ghl.get("/opportunities/search", params={"location_id": LOCATION})
    assert (answer.status_code, answer.json()["message"]) == (422, ["property location_id should not exist"])


async def test_a_bulk_of_tags_is_201_whatever_failed(ghl: httpx.AsyncClient) -> None:
    jane = await made(ghl)
    body = {"contacts": [jane["id"], "gone"], "tags": ["Hot"], "locationId": LOCATION}
    answer = await ghl.post("/contacts/bulk/tags/update/add", json=body)
    said = answer.json()
    assert (answer.status_code, said["errorCount"]) == (201, 1)
    assert [row["type"] for row in said["responses"]] == ["success", "error"]
    del body["locationId"]
    assert (await ghl.post("/contacts/bulk/tags/update/add", json=body)).json()[
        "message"
    ] == "LocationId can't be undefined"


async def test_a_workflow_starts_once_more_each_time_and_a_draft_never(ghl: httpx.AsyncClient) -> None:
    jane = await made(ghl)
    for _ in range(2):
        answer = await ghl.post(f"/contacts/{jane['id']}/workflow/sandbox-workflow-1", json={})
        assert answer.json() == {"succeeded": True, "succeded": True}
    assert (await ghl.post(f"/contacts/{jane['id']}/workflow/sandbox-workflow-2", json={})).status_code == 400
    log = (await ghl.get("/_control/log")).json()
    assert [entry["action"] for entry in log].count("trigger_workflow") == 2


async def test_a_pipelines_name_is_taken_whatever_its_case(ghl: httpx.AsyncClient) -> None:
    body = {"locationId": LOCATION, "name": "alpha swarm pipeline", "stages": [{"name": "New"}]}
    assert (await ghl.post("/opportunities/pipelines", json=body)).status_code == 400
    assert (await ghl.post("/opportunities/pipelines", json={**body, "name": "Other"})).status_code == 200


async def test_a_refresh_token_is_good_for_once(ghl: httpx.AsyncClient) -> None:
    who = {
        "clientId": "sandbox-client",
        "clientSecret": "sandbox-client-secret",
        "grantType": "refresh_token",
    }
    first = await ghl.post("/oauth/token", json={**who, "refreshToken": "sandbox-refresh"})
    assert (first.status_code, first.json()["expiresIn"]) == (200, 86_399)
    second = await ghl.post("/oauth/token", json={**who, "refreshToken": "sandbox-refresh"})
    assert (second.status_code, second.json()["message"]) == (400, "Invalid grant: refresh token is invalid")
    ghl.headers["Authorization"] = f"Bearer {first.json()['accessToken']}"
    assert (await ghl.get("/opportunities/pipelines", params={"locationId": LOCATION})).status_code == 200
    await act(ghl, "end_tokens")
    assert (await ghl.get("/opportunities/pipelines", params={"locationId": LOCATION})).status_code == 401


async def test_a_misspelt_setting_is_told(ghl: httpx.AsyncClient) -> None:
    assert "there is no search_lagg" in (await act(ghl, "set_location", search_lagg=1))["error"]


async def test_a_low_limit_is_429_without_saying_until_when(ghl: httpx.AsyncClient) -> None:
    await act(ghl, "set_location", calls=1)
    params = {"locationId": LOCATION}
    await ghl.get("/opportunities/pipelines", params=params)
    answer = await ghl.get("/opportunities/pipelines", params=params)
    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (429, "0")
    assert not {"retry-after", "x-ratelimit-reset"} & set(answer.headers)
