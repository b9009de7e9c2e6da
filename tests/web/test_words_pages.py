"""Words as a reviewer meets them: who wrote them, what changed since the last approved ones, and the yes they need."""

from orchestrator import phase_tools
from orchestrator.app import App
from orchestrator.phase_tools import DraftMessage
from tests.orchestrator.phases import planned
from tests.orchestrator.world import members, people, say_yes, the
from tests.web.conftest import Browser, LogIn

BODY = """Hi {{ lead.first_name }},

The week after an event is short. Would a short talk help you at {{ lead.company }}?"""


async def written_by_an_agent(app: App) -> str:
    _, (campaign_id,) = await planned(app, people(2))
    given = (DraftMessage("A", 1, BODY, "Your week"), DraftMessage("B", 1, BODY, "Your week"))
    told = await phase_tools.submit_draft.function(app, campaign_id, given, "shorter <script>")
    assert told.status == "applied"
    return campaign_id


async def read_everybody(app: App, browser: Browser, campaign_id: str) -> int:
    version = (await the(app, campaign_id)).version
    for row in await members(app, campaign_id):
        await browser.post(
            f"/reviews/{campaign_id}/read", {"version": version, "page": 1, "lead": row.lead_id}
        )
    return version


async def test_a_reviewer_sees_who_wrote_the_words_and_why(app: App, log_in: LogIn) -> None:
    campaign_id = await written_by_an_agent(app)
    text = (await (await log_in("operator")).get(f"/reviews/{campaign_id}")).text
    assert "written by agent" in text
    assert "shorter &lt;script&gt;" in text
    assert "An agent wrote these words." in text
    assert "nothing of this kind and tier was approved before" in text
    assert 'id="read-words"' in text


async def test_an_agents_words_are_approved_only_once_they_were_read_as_such(app: App, log_in: LogIn) -> None:
    campaign_id = await written_by_an_agent(app)
    operator = await log_in("operator")
    version = await read_everybody(app, operator, campaign_id)
    early = await operator.post(f"/reviews/{campaign_id}/approve", {"version": version})
    assert early.status_code == 400
    assert "ead the words themselves first" in early.text
    assert (await operator.post(f"/reviews/{campaign_id}/words", {"version": version})).status_code == 303
    assert 'id="read-words"' not in (await operator.get(f"/reviews/{campaign_id}")).text
    assert (await operator.post(f"/reviews/{campaign_id}/approve", {"version": version})).status_code == 303
    assert (await the(app, campaign_id)).state == "approved"


async def test_what_changed_since_the_last_approved_words_is_marked(app: App, log_in: LogIn) -> None:
    _, (first,) = await planned(app, people(1, 11))
    await say_yes(app, first)
    campaign_id = await written_by_an_agent(app)
    text = (await (await log_in("operator")).get(f"/reviews/{campaign_id}")).text
    assert "<ins>" in text
    assert "<del>" in text
    assert "% changed since what was approved last" in text


async def test_words_of_a_template_that_were_approved_before_say_so_and_ask_nothing(
    app: App, log_in: LogIn
) -> None:
    _, (first,) = await planned(app, people(1, 11))
    await say_yes(app, first)
    _, (second,) = await planned(app, people(1, 21))
    text = (await (await log_in("ae")).get(f"/reviews/{second}")).text
    assert "written by template" in text
    assert "The same words as those that were approved last." in text
    assert 'id="read-words"' not in text


async def test_people_of_a_tier_that_is_approved_one_by_one_are_read_one_by_one_on_the_page(
    app: App, log_in: LogIn
) -> None:
    _, (campaign_id,) = await planned(app, people(3), tier="tier_1")
    operator = await log_in("operator")
    text = (await operator.get(f"/reviews/{campaign_id}")).text
    assert text.count("I have read this one: yes") == 3
    assert 'id="read"' not in text
    version = await read_everybody(app, operator, campaign_id)
    assert (await operator.post(f"/reviews/{campaign_id}/approve", {"version": version})).status_code == 303
