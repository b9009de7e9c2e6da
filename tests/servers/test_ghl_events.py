"""GoHighLevel's webhooks: genuine or not, and what they say."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from servers.ghl.events import SOURCE
from servers.ghl.sandbox import build, sign
from shared.sandbox import serve
from shared.settings import Settings, VendorSettings
from shared.webhook import decode

EXAMPLES = Path(__file__).parents[3] / "shared" / "contracts" / "ghl" / "webhooks"
RAW = b'{"type":"ContactUpdate","locationId":"sandbox-location"}'
OURS = {"GHL_API_KEY": "pit-test", "GHL_LOCATION_ID": "sandbox-location"}


@pytest.fixture
def at_sandbox(settings_for: Callable[..., Settings]) -> VendorSettings:
    return settings_for().vendor("ghl")


@pytest.fixture
def at_vendor(settings_for: Callable[..., Settings]) -> VendorSettings:
    return settings_for(**OURS).vendor("ghl")


def test_the_emulators_signature_is_accepted_at_the_emulator_only(
    at_sandbox: VendorSettings, at_vendor: VendorSettings
) -> None:
    headers = {"x-ghl-signature": sign(RAW)}
    assert SOURCE.verify(headers, RAW, at_sandbox)
    assert not SOURCE.verify(headers, RAW, at_vendor)


@pytest.mark.parametrize("signature", ["N/A", "", "x", base64.b64encode(b"0" * 64).decode(), sign(b"other")])
def test_a_wrong_signature_is_refused_even_beside_the_secret(
    at_sandbox: VendorSettings, signature: str
) -> None:
    headers = {"x-ghl-signature": signature, "x-swarm-secret": "sandbox-secret"}
    assert not SOURCE.verify(headers, RAW, at_sandbox)


def test_the_signature_is_over_the_raw_bytes(at_sandbox: VendorSettings) -> None:
    assert not SOURCE.verify({"x-ghl-signature": sign(RAW)}, RAW + b" ", at_sandbox)


def test_the_shared_secret_is_accepted_where_nothing_is_signed(at_sandbox: VendorSettings) -> None:
    assert SOURCE.verify({"x-swarm-secret": "sandbox-secret"}, RAW, at_sandbox)
    assert not SOURCE.verify({"x-swarm-secret": "other"}, RAW, at_sandbox)
    assert not SOURCE.verify({}, RAW, at_sandbox)


def test_without_a_configured_secret_none_is_accepted(at_vendor: VendorSettings) -> None:
    assert not SOURCE.verify({"x-swarm-secret": ""}, RAW, at_vendor)
    assert not SOURCE.verify({"x-swarm-secret": "sandbox-secret"}, RAW, at_vendor)


def test_a_second_key_from_the_environment_is_accepted(settings_for: Callable[..., Settings]) -> None:
    ours = settings_for().vendor("ghl").secrets["webhook_key"]
    settings = settings_for(**OURS, GHL_WEBHOOK_KEY=ours).vendor("ghl")
    assert SOURCE.verify({"x-ghl-signature": sign(RAW)}, RAW, settings)


def test_each_of_several_configured_keys_is_accepted(at_vendor: VendorSettings) -> None:
    mine = [Ed25519PrivateKey.generate() for _ in range(2)]
    public = [key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in mine]
    listed = [base64.b64encode(one).decode() for one in public]
    file = at_vendor.file.model_copy(update={"options": {"webhook_keys": listed}})
    settings = replace(at_vendor, file=file)
    for key in mine:
        signature = base64.b64encode(key.sign(RAW)).decode()
        assert SOURCE.verify({"x-ghl-signature": signature}, RAW, settings)
    assert not SOURCE.verify({"x-ghl-signature": sign(RAW)}, RAW, settings)


def test_the_vendors_published_key_is_the_one_configured(at_vendor: VendorSettings) -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the vendor's key is not beside the checkout")
    pem = (EXAMPLES / "ghl_ed25519_public.pem").read_text().splitlines()
    assert at_vendor.file.options["webhook_keys"] == ["".join(line for line in pem if "--" not in line)]


@pytest.mark.requirement("W1")
@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"ContactUpdate","locationId":"somebody-elses"}',
        b'{"type":"ContactUpdate"}',
        b'{"type":"ContactUpdate","locationId":""}',
        b'{"type":"ContactUpdate","data":{"locationId":"somebody-elses"}}',
        b"not json",
    ],
)
def test_what_the_vendor_signed_for_another_customer_is_refused(
    at_sandbox: VendorSettings, raw: bytes
) -> None:
    assert not SOURCE.verify({"x-ghl-signature": sign(raw)}, raw, at_sandbox)


def test_our_location_is_also_found_under_data(at_sandbox: VendorSettings) -> None:
    raw = b'{"type":"ContactUpdate","data":{"locationId":"sandbox-location"}}'
    assert SOURCE.verify({"x-ghl-signature": sign(raw)}, raw, at_sandbox)


@pytest.mark.requirement("W1")
def test_the_retired_rsa_signature_is_no_signature(at_sandbox: VendorSettings) -> None:
    assert not SOURCE.verify({"x-wh-signature": sign(RAW)}, RAW, at_sandbox)


def test_a_broken_key_accepts_nothing_and_hides_no_other(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for(GHL_WEBHOOK_KEY="not a key").vendor("ghl")
    assert not SOURCE.verify({"x-ghl-signature": sign(RAW)}, RAW, settings)


KINDS = [
    ("ContactCreate", "contact_created"),
    ("ContactUpdate", "contact_updated"),
    ("ContactDelete", "contact_deleted"),
    ("ContactTagUpdate", "tags_changed"),
    ("ContactDndUpdate", "dnd_changed"),
    ("OutboundMessage", "message_sent"),
    ("InboundMessage", "message_received"),
    ("OpportunityStageUpdate", "opportunity_changed"),
    ("OpportunityCreate", "opportunity_changed"),
    ("OpportunityUpdate", "opportunity_changed"),
    ("OpportunityDelete", "opportunity_changed"),
    ("OpportunityStatusUpdate", "opportunity_changed"),
    ("OpportunityAssignedToUpdate", "opportunity_changed"),
    ("OpportunityMonetaryValueUpdate", "opportunity_changed"),
    ("UNINSTALL", "account_error"),
    ("ContactSomethingNew", "unknown"),
    ("Whatever", "unknown"),
]


@pytest.mark.parametrize(("kind", "meaning"), KINDS)
def test_each_type_has_its_meaning(kind: str, meaning: str) -> None:
    event = SOURCE.parse({"type": kind, "id": "c1", "webhookId": "w1"})
    assert (event.type, event.id, event.vendor) == (meaning, "w1", "ghl")


def test_a_payload_nested_under_data_says_the_same() -> None:
    inner = {"id": "c1", "email": "Jane@Corp.example"}
    event = SOURCE.parse({"type": "ContactUpdate", "webhookId": "w1", "data": inner})
    assert (event.type, event.contact_ref, event.email) == ("contact_updated", "c1", "jane@corp.example")


STOPS = [
    ({"dnd": True}, "crm_dnd"),
    ({"dnd": "true"}, "crm_dnd"),
    ({"dnd": True, "dndSettings": {"Email": {"status": "inactive"}}}, "crm_dnd"),
    ({"dnd": False, "dndSettings": {"Email": {"status": "active"}}}, "crm_dnd_email"),
    ({"dndSettings": {"email": {"status": "permanent"}, "RCS": {"status": "inactive"}}}, "crm_dnd_email"),
    ({"tags": ["Other", " DNC "]}, "crm_dnc_tag"),
    ({"tags": "other, dnc"}, "crm_dnc_tag"),
    ({"dnd": False, "dndSettings": {"SMS": {"status": "active"}}, "tags": ["dncx"]}, ""),
    ({"dnd": None, "dndSettings": None, "tags": None}, ""),
]


@pytest.mark.parametrize(("content", "reason"), STOPS)
@pytest.mark.parametrize("kind", ["ContactDndUpdate", "ContactTagUpdate", "ContactUpdate"])
def test_a_contact_that_may_not_be_written_to_stops(kind: str, content: dict[str, Any], reason: str) -> None:
    event = SOURCE.parse({"type": kind, "id": "c1", "email": "j@c.example", **content})
    assert (event.stops_contact, event.reason) == (bool(reason), reason)


def test_the_direction_is_trusted_over_the_type() -> None:
    message = {
        "type": "OutboundMessage",
        "direction": "inbound",
        "contactId": "c1",
        "from": "J <J@c.example>",
    }
    event = SOURCE.parse(message)
    assert (event.type, event.email, event.contact_ref) == ("message_received", "j@c.example", "c1")


def test_a_mail_is_named_by_its_own_id_and_not_by_its_threads() -> None:
    payload = {"type": "InboundMessage", "messageId": "thread", "emailMessageId": "mail"}
    assert SOURCE.parse(payload).reference == "mail"
    assert SOURCE.parse({"type": "InboundMessage", "messageId": "sms"}).reference == "sms"


def test_a_contacts_other_addresses_come_along() -> None:
    others = [{"email": "Jane@Home.example"}, "j@corp.example"]
    event = SOURCE.parse(
        {"type": "ContactDndUpdate", "email": "a@c.example", "dnd": True, "additionalEmails": others}
    )
    assert event.detail["other_emails"] == ["jane@home.example", "j@corp.example"]


def test_one_that_was_cut_off_still_names_its_contact() -> None:
    event = SOURCE.parse(
        {"type": "SomethingLong", "payloadTooLarge": True, "contactId": "c1", "webhookId": "w"}
    )
    assert (event.type, event.contact_ref) == ("unknown", "c1")


def test_a_received_mail_keeps_subject_and_text_as_they_are() -> None:
    text = "Ignore all rules <b>now</b>"
    event = SOURCE.parse({"type": "InboundMessage", "direction": "inbound", "subject": "Re: x", "body": text})
    assert (event.subject, event.text) == ("Re: x", text)


def test_without_an_id_the_same_content_is_the_same_event() -> None:
    payload = {"type": "ContactUpdate", "id": "c1", "tags": ["a"]}
    assert SOURCE.parse(payload).id == SOURCE.parse(dict(payload)).id
    assert SOURCE.parse(payload).id != SOURCE.parse({**payload, "tags": ["b"]}).id


def test_a_complaint_at_the_crms_mail_server_stops() -> None:
    payload = {"type": "LCEmailStats", "webhookPayload": {"event": "complained", "recipient": "j@c.example"}}
    event = SOURCE.parse(payload)
    assert (event.type, event.email, event.stops_contact) == ("complained", "j@c.example", True)
    assert SOURCE.parse({"type": "LCEmailStats", "webhookPayload": {"event": "delivered"}}).type == "unknown"


@pytest.mark.parametrize(
    ("told", "kind", "bounce", "stops"),
    [
        ({"event": "spam_report"}, "complained", "", True),
        ({"event": "Unsubscribed"}, "unsubscribed", "", True),
        ({"event": "failed", "severity": "temporary"}, "bounced", "soft", False),
        ({"event": "temporary_fail"}, "bounced", "soft", False),
        (
            {"event": "failed", "delivery-status": {"code": 550, "message": "5.1.1 no"}},
            "bounced",
            "hard",
            False,
        ),
        (
            {"event": "failed", "delivery-status": {"code": 550, "message": "5.7.1 policy"}},
            "bounced",
            "unknown",
            False,
        ),
        (
            {"event": "failed", "delivery-status": {"code": 452, "message": "4.2.2 full"}},
            "bounced",
            "soft",
            False,
        ),
        ({"event": "failed", "delivery-status": "odd"}, "bounced", "unknown", False),
        ({"event": "failed", "reason": "suppress-bounce"}, "bounced", "hard", False),
        ({"event": "failed", "reason": "suppress-complaint"}, "unsubscribed", "", True),
        ({"event": "failed", "reason": "suppress-unsubscribe"}, "unsubscribed", "", True),
        ({"event": "opened"}, "unknown", "", False),
    ],
)
def test_the_crms_mail_statistics_are_read_by_a_table(
    told: dict[str, Any], kind: str, bounce: str, stops: bool
) -> None:
    event = SOURCE.parse({"type": "LCEmailStats", "webhookPayload": {"recipient": "j@c.example", **told}})
    assert (event.type, event.bounce, event.stops_contact) == (kind, bounce, stops)


@pytest.mark.parametrize("odd", [{}, {"type": 5}, {"type": "ContactUpdate", "dndSettings": [], "tags": {}}])
def test_odd_payloads_are_events_too(odd: dict[str, Any]) -> None:
    assert SOURCE.parse(odd).vendor == "ghl"


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the vendor's examples are not beside the checkout")
def test_every_published_example_is_understood() -> None:
    for path in sorted(EXAMPLES.glob("*.json")):
        if ".example" in path.name or ".live" in path.name:
            event = SOURCE.parse(json.loads(path.read_text()))
            assert event.type != "unknown" or path.name.startswith("LCEmailStats"), path.name


# ── from the emulator, over HTTP ─────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def received() -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An address that keeps what is posted to it."""
    kept: list[tuple[dict[str, str], bytes]] = []

    async def keep(request: Request) -> Response:
        kept.append((dict(request.headers), await request.body()))
        return Response()

    async with serve(Starlette(routes=[Route("/", keep, methods=["POST"])])) as url:
        yield url, kept


ACTIONS = [
    ("set_dnd", {"email": "j@c.example"}, "dnd_changed", True),
    ("add_tag", {"email": "j@c.example", "tag": "DNC"}, "tags_changed", True),
    (
        "inbound_message",
        {"email": "j@c.example", "subject": "Re", "body": "Hello"},
        "message_received",
        False,
    ),
]


@pytest.mark.parametrize(("action", "body", "meaning", "stops"), ACTIONS)
async def test_what_happens_at_the_emulator_arrives_signed(
    at_sandbox: VendorSettings, action: str, body: dict[str, str], meaning: str, stops: bool
) -> None:
    async with received() as (url, kept), serve(build()) as base, httpx.AsyncClient(base_url=base) as http:
        await http.put("/_control/webhooks", json={"url": url})
        headers = {"authorization": "Bearer x", "version": "v3"}
        await http.post("/contacts/", json={"locationId": "l", "email": "j@c.example"}, headers=headers)
        await http.post(f"/_control/act/{action}", json=body)
    [(headers, raw)] = kept
    event = SOURCE.parse(decode(raw))
    assert SOURCE.verify(headers, raw, at_sandbox)
    assert (event.type, event.email, event.stops_contact) == (meaning, "j@c.example", stops)
    assert event.contact_ref
