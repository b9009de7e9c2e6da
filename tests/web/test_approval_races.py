"""Approving when somebody else does something at the same moment, or did since the page was opened; and who may."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from orchestrator import review
from orchestrator.app import App
from orchestrator.dossier import ADD_LEAD, ENROLLMENT
from orchestrator.web.app import create_web
from shared.approval import Person
from shared.effect import Effect, fingerprint
from shared.pipeline_schema import campaign, campaign_lead, familiar
from shared.schema import approval, approval_item
from tests.orchestrator.world import World, launched, people, planned, world
from tests.shared.world import Vendor
from tests.waiting import person_of, put_campaign, row_of, somebody
from tests.web.conftest import HOST, PASSWORD, Browser, LogIn, browser_of

ROUNDS = 12
AGO = "2020-01-01T00:00:00.000000+00:00"


async def _waits(app: App, *browsers: Browser, count: int = 2, new: bool = False) -> str:
    """A campaign that each of these people has read."""
    found = [somebody(number) for number in range(1, count + 1)]
    campaign_id = await put_campaign(app.kernel, app.rules, found, new=new)
    for browser in browsers:
        read = {"version": 1, "page": 1, "lead": [one.id for one in found]}
        await browser.post(f"/reviews/{campaign_id}/read", read)
    return campaign_id


async def _standing(app: App) -> list[str]:
    query = sa.select(approval.c.id).where(approval.c.state == "approved")
    return await app.kernel.store.read(lambda c: list(c.execute(query).scalars()))


def _approve(browser: Browser, campaign_id: str, version: int = 1) -> asyncio.Future[httpx.Response]:
    return asyncio.ensure_future(browser.post(f"/reviews/{campaign_id}/approve", {"version": version}))


async def _edit(browser: Browser, app: App, campaign_id: str, words: str) -> httpx.Response:
    stored = ENROLLMENT.validate_json((await person_of(app.kernel, somebody(1).id)).enrollment)
    body = stored.messages[0].body
    fields = {"version": 1, "subject": words, "body": body}
    return await browser.post(f"/reviews/{campaign_id}/{somebody(1).id}/1", fields)


# ── at the same moment ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A6", "F9")
async def test_a_double_click_is_one_approval(app: App, log_in: LogIn) -> None:
    browser = await log_in("ae")
    campaign_id = await _waits(app, browser)
    answers = await asyncio.gather(*(_approve(browser, campaign_id) for _ in range(5)))
    assert {answer.headers["location"] for answer in answers} == {f"/reviews/{campaign_id}?said=approved"}
    assert len(await _standing(app)) == 1


@pytest.mark.requirement("A6", "F9")
async def test_of_two_approvers_at_once_one_approves_and_one_hears_of_it(app: App, log_in: LogIn) -> None:
    browsers = await log_in("ae"), await log_in("operator")
    campaign_id = await _waits(app, *browsers)
    answers = await asyncio.gather(*(_approve(browser, campaign_id) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    late = next(answer for answer in answers if answer.status_code == 409)
    assert "already approved by" in late.text
    assert len(await _standing(app)) == 1


@pytest.mark.requirement("A6", "A1")
async def test_whatever_comes_first_no_edited_word_is_covered_by_an_approval(app: App, log_in: LogIn) -> None:
    approver, editor = await log_in("operator"), await log_in("ae")
    campaign_id = await _waits(app, approver)
    approved, edited = await asyncio.gather(
        _approve(approver, campaign_id), _edit(editor, app, campaign_id, "Other words")
    )
    row = await row_of(app.kernel, campaign_id)
    stored = ENROLLMENT.validate_json((await person_of(app.kernel, somebody(1).id)).enrollment)
    # The edit may come first (the approval hears of it) or second (it takes the approval back), or not at all.
    assert (approved.status_code, edited.status_code) in {(409, 303), (303, 303), (303, 409)}
    covered = await _covered(app, str(row.approval_id))
    if edited.status_code == 303:
        assert (row.state, stored.messages[0].subject) == ("pending_review", "Other words")
        assert await _standing(app) == []
    else:
        assert fingerprint(stored) in covered


async def _covered(app: App, given: str) -> set[str]:
    query = sa.select(approval_item.c.fingerprint).where(
        approval_item.c.approval_id == given, approval_item.c.action == ADD_LEAD
    )
    return await app.kernel.store.read(lambda c: set(c.execute(query).scalars()))


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[World]:
    """The whole application with emulated vendors."""
    async with world(tmp_path) as it:
        yield it


@pytest.mark.requirement("A6", "U3", "F15")
@pytest.mark.parametrize("turn", range(4))
async def test_who_opts_out_while_somebody_approves_gets_nothing(real: World, turn: int) -> None:
    _, (campaign_id,) = await planned(real.app, people(2))
    web = create_web(real.app, hosts=frozenset({HOST}))
    async with browser_of(web, real.app, "operator") as browser:
        ids = [row.lead_id for row in await _people(real.app)]
        read = {"version": 1, "page": 1, "lead": ids}
        await browser.post(f"/reviews/{campaign_id}/read", read)
        approving = _approve(browser, campaign_id)
        for _ in range(turn):
            await asyncio.sleep(0)
        await real.kernel.suppression.add("person1@corp1.com", reason="asked", source="reply")
        assert (await approving).status_code == 303
    assert await launched(real.app, campaign_id) == "live"
    assert await real.wrote("instantly", "add_lead") == ["person2@corp2.com"]


async def _people(app: App) -> list[sa.Row[tuple[object, ...]]]:
    return await app.kernel.store.read(lambda c: list(c.execute(sa.select(campaign_lead))))


# ── from a page of before ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A6", "K1")
async def test_a_tab_from_before_the_kill_approves_and_resumes_nothing(app: App, log_in: LogIn) -> None:
    browser = await log_in("operator")
    campaign_id = await _waits(app, browser)
    await app.kernel.switches.kill(actor="ada", reason="now")
    answer = await _approve(browser, campaign_id)
    assert (answer.status_code, "kill switch is on" in answer.text) == (409, True)
    await app.kernel.store.write(lambda c: c.execute(sa.update(campaign).values(state="paused")))
    answer = await browser.post(f"/campaigns/{campaign_id}/resume", {"reason": "all fine"})
    assert answer.status_code == 409
    assert await _standing(app) == []


@pytest.mark.requirement("A6")
async def test_going_back_and_sending_again_changes_nothing(app: App, log_in: LogIn) -> None:
    browser = await log_in("operator")
    campaign_id = await _waits(app, browser)
    await browser.post(f"/reviews/{campaign_id}/reject", {"version": 1, "reason": "no"})
    assert (await _approve(browser, campaign_id)).status_code == 409
    assert (await row_of(app.kernel, campaign_id)).state == "rejected"
    again = await browser.post(f"/reviews/{campaign_id}/reject", {"version": 1, "reason": "no"})
    assert again.status_code == 409


@pytest.mark.requirement("A3", "A6")
async def test_an_approval_of_a_former_version_is_worth_nothing_at_the_gate(app: App, log_in: LogIn) -> None:
    browser = await log_in("operator")
    campaign_id = await _waits(app, browser)
    await _approve(browser, campaign_id)
    given = str((await row_of(app.kernel, campaign_id)).approval_id)
    stored = json.loads((await person_of(app.kernel, somebody(1).id)).enrollment)
    await _edit(browser, app, campaign_id, "Other words")
    effect = Effect("instantly", "add_lead", somebody(1).email, "i", stored, approval=given)
    outcome = await app.kernel.gate.submit(effect, vendor := Vendor())
    assert (outcome.status, outcome.reason, vendor.performed) == ("refused", "needs_approval", [])


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A7")
async def test_who_changed_the_words_does_not_approve_them_where_somebody_else_may(
    app: App, log_in: LogIn
) -> None:
    author, other = await log_in("ae"), await log_in("operator")
    campaign_id = await _waits(app)
    await _edit(author, app, campaign_id, "My own words")
    for browser in (author, other):
        ids = {"version": 2, "page": 1, "lead": [somebody(1).id, somebody(2).id]}
        await browser.post(f"/reviews/{campaign_id}/read", ids)
    page = (await author.get(f"/reviews/{campaign_id}")).text
    assert "You changed words of this campaign" in page
    answer = await _approve(author, campaign_id, 2)
    assert (answer.status_code, "somebody else approves it" in answer.text) == (400, True)
    assert (await _approve(other, campaign_id, 2)).status_code == 303


@pytest.mark.requirement("A7")
async def test_alone_one_approves_ones_own_words(app: App, log_in: LogIn) -> None:
    only = await log_in("admin")
    await log_in("viewer")  # may not approve, so is nobody to wait for
    campaign_id = await _waits(app)
    await _edit(only, app, campaign_id, "My own words")
    ids = {"version": 2, "page": 1, "lead": [somebody(1).id, somebody(2).id]}
    await only.post(f"/reviews/{campaign_id}/read", ids)
    assert (await _approve(only, campaign_id, 2)).status_code == 303


@pytest.mark.requirement("A7")
async def test_what_is_new_is_approved_by_an_operator_and_known_from_then_on(app: App, log_in: LogIn) -> None:
    ae, operator = await log_in("ae"), await log_in("operator")
    campaign_id = await _waits(app, ae, operator, new=True)
    answer = await _approve(ae, campaign_id)
    assert answer.status_code == 403
    assert "this template and segment before" in answer.text
    assert "has approved this template" in (await ae.get(f"/reviews/{campaign_id}")).text
    assert (await _approve(operator, campaign_id)).status_code == 303
    kinds = sa.select(familiar.c.kind).order_by(familiar.c.kind)
    assert await app.kernel.store.read(lambda c: list(c.execute(kinds).scalars())) == ["segment", "template"]
    await review.leave_out(
        app.kernel, campaign_id, somebody(2).id, person=Person("o@corp.com", "ae"), version=1, reason="no"
    )
    await ae.post(f"/reviews/{campaign_id}/read", {"version": 2, "page": 1, "lead": [somebody(1).id]})
    assert (await _approve(ae, campaign_id, 2)).status_code == 303


@pytest.mark.requirement("A7")
async def test_one_letter_changed_in_a_template_makes_it_a_new_one(app: App, log_in: LogIn) -> None:
    ae = await log_in("ae")
    campaign_id = await _waits(app, ae)
    renamed = sa.update(familiar).where(familiar.c.kind == "template").values(name="as it was before")
    await app.kernel.store.write(lambda c: c.execute(renamed))
    answer = await _approve(ae, campaign_id)
    assert (answer.status_code, "approved this template before" in answer.text) == (403, True)


@pytest.mark.requirement("X2")
@pytest.mark.parametrize(("password", "status"), [("", 403), ("wrong", 403), (PASSWORD, 303)])
async def test_a_session_left_open_for_long_says_yes_only_with_the_password(
    app: App, log_in: LogIn, password: str, status: int
) -> None:
    browser = await log_in("operator")
    campaign_id = await _waits(app, browser)
    await browser.aged("confirmed_at", AGO)
    assert 'name="password"' in (await browser.get(f"/reviews/{campaign_id}")).text
    fields = {"version": 1, "password": password}
    answer = await browser.post(f"/reviews/{campaign_id}/approve", fields)
    assert answer.status_code == status
    if status == 303:
        assert 'name="password"' not in (await browser.get("/campaigns")).text
