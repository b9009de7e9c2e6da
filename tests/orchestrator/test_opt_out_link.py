"""Unsubscribe links: opaque, never made up, the same each time, and in every message where they can be."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import compliance, inbox, opting_out
from orchestrator.drafts import Text, write
from orchestrator.opt_out_link import Links, Wish
from orchestrator.rendering import render
from shared.errors import ConfigError
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead, event
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.people import RULES, a_campaign, a_lead
from tests.orchestrator.world import alone, rows
from tests.waiting import put_campaign, somebody

LINKS = Links(b"pepper", "https://go.corp.example")


@given(st.emails(), st.text("0123456789abcdef-", max_size=30))
@pytest.mark.requirement("U21")
def test_a_link_says_to_us_whose_it_is_and_to_others_nothing(email: str, campaign_id: str) -> None:
    token = LINKS.token(email, campaign_id)
    assert LINKS.read(token) == Wish(email, campaign_id)
    assert LINKS.of(email, campaign_id) == f"https://go.corp.example/u/{token}"
    assert LINKS.token(email, campaign_id) == token
    assert email not in token
    assert Links(b"other").read(token) is None


@given(st.text(max_size=200))
@pytest.mark.requirement("U22")
def test_nobody_makes_one_up(text: str) -> None:
    assert LINKS.read(text) is None


@pytest.mark.requirement("U22")
def test_one_letter_changed_is_no_link() -> None:
    token = LINKS.token("jane@corp.example", "c-1")
    for place in range(len(token) - 1):  # the last letter holds bits that mean nothing
        other = "A" if token[place] != "A" else "B"
        assert LINKS.read(token[:place] + other + token[place + 1 :]) is None
    assert LINKS.read(token * 30) is None


def test_addresses_of_unlike_length_have_links_of_the_same() -> None:
    assert len({len(LINKS.token(f"{'x' * n}@corp.example", "c")) for n in range(1, 12)}) == 1


@pytest.mark.requirement("U21", "C2")
def test_every_message_carries_the_link_where_there_is_a_public_address() -> None:
    lead = a_lead()
    plan = a_campaign(lead)
    url = LINKS.of(lead.email, plan.id)
    messages = render(lead, plan, "A", RULES, unsubscribe_url=url)
    assert all(url in one.body for one in messages)
    assert not [found for found in compliance.check(lead, messages, RULES) if found.severity == "block"]
    assert "many_links" not in {found.code for found in compliance.check(lead, messages, RULES)}
    theirs = write(
        lead, plan, [Text("A word", "Hi, this is a question about your team.")], RULES, unsubscribe_url=url
    )
    assert url in theirs[0].body
    assert "/u/" not in "".join(one.body for one in render(lead, plan, "A", RULES))


def test_where_mail_programs_cannot_go_there_is_no_public_address() -> None:
    assert load_settings(CONFIG, {"PUBLIC_URL": "https://Go.corp.example/"}).public_host == "go.corp.example"
    assert (
        load_settings(CONFIG, {"PUBLIC_URL": "http://127.0.0.1:8080"}).public_url == "http://127.0.0.1:8080"
    )
    assert load_settings(CONFIG, {}).public_url == ""
    for wrong in (
        "http://go.corp.example",
        "https://corp.example/x",
        "corp.example",
        "https://",
        "https://[",
        "ftp://x",
    ):
        with pytest.raises(ConfigError, match="PUBLIC_URL"):
            load_settings(CONFIG, {"PUBLIC_URL": wrong})


@pytest.mark.requirement("U21")
async def test_a_click_is_an_event_of_its_campaign_and_ends_what_runs(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    one = somebody(1)
    campaign_id = await put_campaign(live_kernel, RULES, [one])
    token = opting_out.links(live_kernel).token(one.email, campaign_id)
    assert await opting_out.opt_out(app, token)
    await inbox.drain(app)
    told = await rows(app, sa.select(event))
    assert [(row.type, row.campaign_id, row.lead_id) for row in told] == [
        ("unsubscribed", campaign_id, one.id)
    ]
    assert [row.state for row in await rows(app, sa.select(campaign_lead))] == ["stopped"]
