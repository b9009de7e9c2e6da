"""The do-not-contact list: any spelling stops, anyone may add, only a named person lifts."""

from collections.abc import AsyncIterator, Callable

import pytest
import sqlalchemy as sa

from shared.errors import Fatal, Invalid
from shared.kernel import Kernel
from shared.schema import suppression as table
from shared.settings import Settings
from tests.shared.test_address import DIFFERENT, SAME, SAME_PERSON
from tests.shared.world import Vendor, contact, kinds, opened

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]


@pytest.fixture
async def kernel(settings_for: Make) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false")) as made:
        yield made


async def stop(kernel: Kernel, target: str) -> bool:
    return await kernel.suppression.add(target, reason="opt_out", source="test")


@pytest.mark.parametrize(("one", "other"), SAME + SAME_PERSON)
@pytest.mark.requirement("U1")
async def test_an_opt_out_stops_every_spelling(kernel: Kernel, one: str, other: str) -> None:
    await stop(kernel, one)
    assert (await kernel.suppression.refused([other]))[other] == "suppressed"


@pytest.mark.parametrize(("one", "other"), SAME + SAME_PERSON)
@pytest.mark.requirement("U1")
async def test_an_opt_out_in_any_spelling_stops(kernel: Kernel, one: str, other: str) -> None:
    await stop(kernel, other)
    assert (await kernel.suppression.refused([one]))[one] == "suppressed"


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
@pytest.mark.requirement("U2")
async def test_an_opt_out_does_not_stop_somebody_else(kernel: Kernel, one: str, other: str) -> None:
    await stop(kernel, other)
    assert (await kernel.suppression.refused([one])).get(one) != "suppressed"


@pytest.mark.requirement("U6")
async def test_a_domain_stops_everybody_under_it(kernel: Kernel) -> None:
    await stop(kernel, "sub.Corp.example")
    asked = ["a@corp.example", "b@mail.corp.example", "c@notcorp.example", "d@corp.other.example"]
    assert set(await kernel.suppression.refused(asked)) == set(asked[:2])


@pytest.mark.parametrize(
    "domain", ["gmail.com", "GMail.com", "outlook.com", "mail.ru", "co.uk", "com", "localhost"]
)
@pytest.mark.requirement("U6")
async def test_a_domain_of_everyone_is_not_suppressed(kernel: Kernel, domain: str) -> None:
    with pytest.raises(Invalid):
        await stop(kernel, domain)


@pytest.mark.parametrize("text", ["", "jane@", "not an address", "exa mple.com"])
async def test_what_is_neither_address_nor_domain_is_said_to_be(kernel: Kernel, text: str) -> None:
    with pytest.raises(Invalid):
        await stop(kernel, text)


@pytest.mark.requirement("U7")
async def test_an_address_that_cannot_be_read_is_not_written_to(kernel: Kernel) -> None:
    assert await kernel.suppression.refused(["jane at corp"]) == {"jane at corp": "look_alike"}


@pytest.mark.requirement("U8")
async def test_an_address_may_be_stopped_before_anybody_has_seen_it(kernel: Kernel) -> None:
    assert await stop(kernel, "later@corp.example")
    assert (await kernel.gate.submit(contact("later@corp.example"), Vendor())).reason == "suppressed"


async def test_adding_twice_changes_nothing(kernel: Kernel) -> None:
    assert await stop(kernel, "jane@corp.example") is True
    assert await stop(kernel, "jane@corp.example") is False
    assert (await kinds(kernel)).count("suppression.added") == 1


@pytest.mark.parametrize(
    ("actor", "reason"), [("", "x"), (" ", "x"), ("Ada", ""), ("system", "x"), ("agent", "x")]
)
@pytest.mark.requirement("U4", "I4")
async def test_only_a_named_person_with_a_reason_lifts(kernel: Kernel, actor: str, reason: str) -> None:
    await stop(kernel, "jane@corp.example")
    with pytest.raises(Invalid):
        await kernel.suppression.lift("jane@corp.example", actor=actor, reason=reason)
    assert await kernel.suppression.refused(["jane@corp.example"])


async def test_what_was_lifted_may_be_written_to_and_stopped_again(kernel: Kernel) -> None:
    await stop(kernel, "jane@corp.example")
    assert await kernel.suppression.lift("Jane@corp.example", actor="Ada", reason="she wrote us")
    assert not await kernel.suppression.refused(["jane@corp.example"])
    assert await stop(kernel, "jane@corp.example")
    assert await kernel.suppression.refused(["jane@corp.example"])
    assert "suppression.lifted" in await kinds(kernel)


async def test_lifting_a_person_does_not_lift_their_company(kernel: Kernel) -> None:
    await stop(kernel, "corp.example")
    assert not await kernel.suppression.lift("jane@corp.example", actor="Ada", reason="x")
    assert await kernel.suppression.refused(["jane@corp.example"])


@pytest.mark.requirement("U5")
async def test_the_list_shows_no_address(kernel: Kernel) -> None:
    await stop(kernel, "jane@corp.example")
    rows = await kernel.store.read(lambda c: c.execute(sa.select(table)).all())
    assert "jane" not in str(rows)
    assert "corp" not in str(rows)


async def test_why_and_since_when_is_known(kernel: Kernel) -> None:
    await stop(kernel, "jane@corp.example")
    found = await kernel.suppression.find("JANE+x@corp.example")
    assert found is not None
    assert (found.reason, found.source) == ("opt_out", "test")
    assert await kernel.suppression.find("joe@corp.example") is None
    assert await kernel.suppression.find("corp.example") is None
    assert await kernel.suppression.find("gmail.com") is None


async def test_people_and_companies_are_counted_once(kernel: Kernel) -> None:
    await stop(kernel, "jane@corp.example")
    await stop(kernel, "other.example")
    assert await kernel.suppression.count() == 2


async def test_thousands_are_checked_at_once(kernel: Kernel) -> None:
    await stop(kernel, "p777@corp.example")
    asked = [f"p{n}@corp.example" for n in range(3_000)]
    assert await kernel.suppression.refused(asked) == {"p777@corp.example": "suppressed"}


@pytest.mark.requirement("U5", "I4")
async def test_a_list_whose_key_is_gone_does_not_start(settings_for: Make) -> None:
    settings = settings_for()
    async with opened(settings) as kernel:
        await stop(kernel, "jane@corp.example")
    (settings.home / "keys" / "pepper").unlink()
    with pytest.raises(Fatal, match="another key"):
        async with opened(settings):
            raise AssertionError
