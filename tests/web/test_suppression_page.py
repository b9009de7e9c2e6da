"""The do-not-contact list's page: check, add, and a whole list at once, by whoever may."""

import httpx
import pytest

from orchestrator import relaxing
from orchestrator.accounts import Accounts
from orchestrator.app import App
from orchestrator.web.suppression import MOST_BYTES
from shared.approval import Person
from tests.web.conftest import OURS, PASSWORD, Browser, LogIn


async def upload(browser: Browser, content: bytes, **fields: str) -> httpx.Response:
    data = {"csrf": browser.csrf, "reason": "asked us", **fields}
    files = {"file": ("their list.csv", content, "text/csv")}
    return await browser.http.post("/suppression/upload", data=data, files=files, headers=OURS)


@pytest.mark.requirement("U9")
async def test_a_list_is_taken_in_and_what_could_not_be_is_said(log_in: LogIn) -> None:
    browser = await log_in("ae")
    answer = await upload(browser, b"email\njane@corp.com\n<script>alert(1)</script>\njoe@corp.com\n")
    assert answer.status_code == 200
    assert "2 new, 0 known before, 1 could not be taken" in answer.text
    assert "line 3" in answer.text
    assert "<script>alert" not in answer.text
    refused = await browser.kernel.suppression.refused(["jane@corp.com", "joe@corp.com"])
    assert set(refused.values()) == {"suppressed"}
    found = await browser.kernel.suppression.find("jane@corp.com")
    assert found is not None
    assert (found.reason, found.source) == ("asked us", "gatekeeper")
    newest = (await browser.kernel.audit.tail(1))[0]
    assert (newest["kind"], newest["subject"]) == ("suppression.imported", "their list.csv")


async def test_whoever_may_not_suppress_sees_no_form(log_in: LogIn) -> None:
    assert "/suppression/upload" not in (await (await log_in("viewer")).get("/suppression")).text
    assert "/suppression/upload" in (await (await log_in("ae")).get("/suppression")).text


@pytest.mark.requirement("X2")
async def test_an_upload_without_the_form_s_token_or_from_another_page_changes_nothing(log_in: LogIn) -> None:
    browser = await log_in("ae")
    assert (await upload(browser, b"jane@corp.com\n", csrf="wrong")).status_code == 403
    files = {"file": ("x.csv", b"jane@corp.com\n", "text/csv")}
    foreign = {"sec-fetch-site": "cross-site", "origin": "http://evil.example"}
    data = {"csrf": browser.csrf, "reason": "x"}
    answer = await browser.http.post("/suppression/upload", data=data, files=files, headers=foreign)
    assert answer.status_code == 403
    assert await browser.kernel.suppression.count() == 0


async def test_what_is_too_large_or_no_upload_is_refused(log_in: LogIn) -> None:
    browser = await log_in("ae")
    assert (await upload(browser, b"x" * (MOST_BYTES + 100_000))).status_code == 413
    kind = {"content-type": "multipart/form-data; boundary=x"}
    raw = await browser.http.post("/suppression/upload", content=b"nothing", headers={**OURS, **kind})
    assert raw.status_code == 400
    assert (await browser.post("/suppression/upload", {"reason": "x"})).status_code == 415
    nothing = {"csrf": browser.csrf, "reason": "x"}
    part = {"other": ("x", b"y")}
    answer = await browser.http.post("/suppression/upload", data=nothing, files=part, headers=OURS)
    assert answer.status_code == 400
    assert await browser.kernel.suppression.count() == 0


async def test_an_upload_without_a_length_is_cut_off_at_the_cap(log_in: LogIn) -> None:
    browser = await log_in("ae")
    sent = 0

    async def endless() -> object:
        nonlocal sent
        head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        yield head
        for _ in range(1_000):
            sent += 100_000
            yield b"jane@corp.com\n" * 7_000

    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = await browser.http.post("/suppression/upload", content=endless(), headers={**OURS, **kind})
    assert answer.status_code == 413
    assert await browser.kernel.suppression.count() == 0


async def test_a_reason_is_asked_for(log_in: LogIn) -> None:
    browser = await log_in("ae")
    assert (await upload(browser, b"jane@corp.com\n", reason=" ")).status_code == 400
    assert await browser.kernel.suppression.count() == 0


async def lift(browser: Browser, target: str = "jane@corp.com", **fields: str) -> httpx.Response:
    said = {"target": target, "reason": "she wrote us", "password": PASSWORD, **fields}
    return await browser.post("/suppression/lift", said)


@pytest.mark.requirement("U4")
async def test_an_only_admin_takes_somebody_off_with_a_reason_and_their_password(log_in: LogIn) -> None:
    browser = await log_in("admin")
    await browser.kernel.suppression.add("jane@corp.com", reason="x", source="y")
    assert (await lift(browser, password="wrong")).status_code == 403
    assert (await lift(browser, reason=" ")).status_code == 400
    assert await browser.kernel.suppression.count() == 1
    assert (await lift(browser, "Jane@CORP.com")).status_code == 303
    assert await browser.kernel.suppression.count() == 0
    assert (await lift(browser, "gmail.com")).status_code == 400


@pytest.mark.requirement("U4", "A7")
async def test_where_there_are_two_admins_both_have_to_say_so_about_the_same_person(
    log_in: LogIn, app: App
) -> None:
    browser = await log_in("admin")
    accounts = Accounts(app.kernel)
    other = await accounts.create("second@corp.com", "Second", "admin", PASSWORD, by="test")
    for target in ("jane@corp.com", "joe@corp.com"):
        await app.kernel.suppression.add(target, reason="x", source="y")

    async def by_other(target: str) -> relaxing.Answer:
        person = Person(other.email, other.role)
        return await relaxing.lift(app.kernel, target, person=person, reason="so it is")

    assert (await lift(browser)).headers["location"].endswith("said=asked")
    page = await browser.get("/suppression")
    assert "she wrote us" in page.text
    assert "jane@corp.com" not in page.text
    assert not (await by_other("joe@corp.com")).done, "another person is another matter"
    assert await app.kernel.suppression.count() == 2
    assert (await lift(browser)).headers["location"].endswith("said=asked"), "twice the same admin is one"
    assert (await by_other("JANE@corp.com")).done
    assert await app.kernel.suppression.find("jane@corp.com") is None
    kinds = [entry["kind"] for entry in await app.kernel.audit.tail(20)]
    assert {"relax.asked", "relax.granted", "suppression.lifted"} <= set(kinds)


async def test_an_entry_that_was_made_anew_needs_two_new_words(log_in: LogIn, app: App) -> None:
    browser = await log_in("admin")
    other = await Accounts(app.kernel).create("second@corp.com", "Second", "admin", PASSWORD, by="test")
    await app.kernel.suppression.add("jane@corp.com", reason="x", source="y")
    await lift(browser)
    await app.kernel.suppression.lift("jane@corp.com", actor="Ada", reason="x")
    await app.kernel.suppression.add("jane@corp.com", reason="again", source="y")
    person = Person(other.email, other.role)
    assert not (await relaxing.lift(app.kernel, "jane@corp.com", person=person, reason="x")).done
