"""What webhooks missed: replies from the export, opt-outs that changed since, each read again at the vendor."""

from datetime import timedelta

from shared.clock import iso
from shared.ports import ContactPage, MessagePage
from tests.servers.ghl_world import Bench

EMAIL = "jane@corp.example"


async def replies(bench: Bench, minutes: float = 60, cursor: str = "") -> MessagePage:
    since = iso(bench.clock.now() - timedelta(minutes=minutes))
    page: MessagePage = await bench.call("list_replies", since=since, cursor=cursor)
    return page


async def test_a_reply_is_found_with_its_sender_subject_and_text(bench: Bench) -> None:
    there = await bench.somebody(EMAIL)
    await bench.act("inbound_message", email=EMAIL, subject="Re: hello", body="please stop")
    [reply] = (await replies(bench)).messages
    assert (reply.contact_id, reply.email, reply.subject, reply.text) == (
        there,
        EMAIL,
        "Re: hello",
        "please stop",
    )


async def test_its_id_is_the_one_that_the_webhook_names(bench: Bench) -> None:
    await bench.somebody(EMAIL)
    await bench.act("inbound_message", email=EMAIL)
    [kept] = (await replies(bench)).messages
    exported = bench.asked("GET", "/conversations/messages/export")[0].answer["messages"][0]
    assert kept.id == exported["meta"]["email"]["messageIds"][0] != exported["id"]


async def test_what_came_before_is_left_out_and_pages_follow_one_another(bench: Bench) -> None:
    await bench.somebody(EMAIL)
    await bench.act("inbound_message", email=EMAIL, subject="old")
    await bench.clock.sleep(3600)
    for n in range(105):
        await bench.act("inbound_message", email=EMAIL, subject=f"n{n}")
    first = await replies(bench, minutes=30)
    second = await replies(bench, minutes=30, cursor=first.next_cursor)
    subjects = [one.subject for page in (first, second) for one in page.messages]
    assert subjects == [f"n{n}" for n in range(105)]
    assert second.next_cursor == ""


async def test_nothing_new_is_an_empty_page(bench: Bench) -> None:
    assert await replies(bench) == MessagePage(())


async def test_an_opt_out_whose_webhook_was_lost_is_found_by_when_it_changed(bench: Bench) -> None:
    for name in ("early", "late", "fine"):
        await bench.somebody(f"{name}@corp.example")
    await bench.act("set_dnd", email="early@corp.example")
    await bench.clock.sleep(3600)
    await bench.act("add_tag", email="late@corp.example", tag="dnc")
    await bench.clock.sleep(5)
    since = iso(bench.clock.now() - timedelta(minutes=30))
    page: ContactPage = await bench.call("list_dnc", changed_since=since)
    assert [one.email for one in page.contacts] == ["late@corp.example"]
    everybody: ContactPage = await bench.call("list_dnc")
    assert {one.email for one in everybody.contacts} == {"early@corp.example", "late@corp.example"}
