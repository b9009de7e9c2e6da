"""The do-not-contact list: any spelling stops, anyone may add, only a named person lifts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as set_up
from hypothesis import strategies as st

from shared.address import read_address
from shared.clock import iso
from shared.errors import Fatal, Invalid
from shared.kernel import Kernel
from shared.schema import suppression as table
from shared.settings import Settings
from shared.suppression import BOUNCED, Listed, Suppressed
from shared.suppression_rules import SuppressionRules
from tests.shared.test_address import DIFFERENT, SAME, SAME_PERSON
from tests.shared.world import HandClock, Vendor, contact, kinds, opened, stricter

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
    with pytest.raises(Invalid):
        await kernel.store.write(
            lambda c: kernel.suppression.let_go_in(c, "jane@corp.example", actor=actor, reason=reason)
        )
    assert await kernel.suppression.refused(["jane@corp.example"])


async def test_who_is_held_twice_is_let_go_once(kernel: Kernel) -> None:
    suppression, jane = kernel.suppression, "jane@corp.example"
    held = [await kernel.store.write(lambda c: suppression.hold_in(c, jane, source="reply")) for _ in "ab"]
    assert await suppression.refused([jane]) == {jane: "unclear_opt_out"}
    gone = [
        await kernel.store.write(lambda c: suppression.let_go_in(c, jane, actor="Ada", reason="read it"))
        for _ in "ab"
    ]
    assert (held, gone, await suppression.refused([jane])) == ([True, False], [True, False], {})


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


# ── whatever the order, the list is the union ────────────────────────────────────────────────────────────
POOL = (
    *(
        "jane@corp.example",
        "Jane+x@corp.example",
        "JANE@CORP.EXAMPLE.",
        "joe@corp.example",
        "j.oe@corp.example",
    ),
    *(
        "first.last@gmail.com",
        "firstlast+tag@googlemail.com",
        "other.example",
        "mail.other.example",
        "a@other.example",
    ),
    *("müller@bücher.example", "müller@xn--bcher-kva.example", "corp.example"),
)
ASKED = (
    *(
        "jane@corp.example",
        "jane+y@corp.example",
        "joe@corp.example",
        "j.oe@corp.example",
        "x@sub.other.example",
    ),
    *("firstlast@gmail.com", "f.irst.last@gmail.com", "müller@bücher.example", "nobody@elsewhere.example"),
)


class UndoneError(Exception):
    """Ends a change of the database that was only tried."""


async def tried(kernel: Kernel, try_: Callable[[sa.Connection], object]) -> object:
    """What a change comes to; nothing of it stays."""
    found: list[object] = []

    def change(connection: sa.Connection) -> None:
        found.append(try_(connection))
        raise UndoneError

    with pytest.raises(UndoneError):
        await kernel.store.write(change)
    return found[0]


def state(
    kernel: Kernel, connection: sa.Connection, entries: Sequence[tuple[str, str]]
) -> tuple[frozenset[object], dict[str, str]]:
    """The keys with their reasons, and the answers, after these were added in this order."""
    connection.execute(sa.delete(table))
    for target, reason in entries:
        kernel.suppression.add_in(connection, target, reason=reason, source="test")
    standing = connection.execute(sa.select(table.c.key, table.c.reason).where(table.c.lifted_at == ""))
    return frozenset(map(tuple, standing)), kernel.suppression.check(connection, ASKED)


ENTRIES = st.lists(st.tuples(st.sampled_from(POOL), st.sampled_from(("opt_out", BOUNCED))), max_size=8)


@pytest.mark.requirement("U4", "F12", "I4")
@given(st.data())
@set_up(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_in_any_order_and_however_often_the_list_ends_as_the_union(
    kernel: Kernel, data: st.DataObject
) -> None:
    """A join-semilattice: commutative, associative, idempotent; and more opt-outs never let anybody through."""
    one, other = data.draw(ENTRIES), data.draw(ENTRIES)
    mixed = data.draw(st.permutations([*one, *other, *one]))

    def change(connection: sa.Connection) -> list[object]:
        return [
            state(kernel, connection, entries) for entries in ([*one, *other], [*other, *one], mixed, one)
        ]

    first, second, third, fewer = await tried(kernel, change)  # type: ignore[misc]  # what `change` returns
    assert first == second == third
    assert {key for key, _ in fewer[0]} <= {key for key, _ in first[0]}
    assert fewer[1].items() <= first[1].items()


@pytest.mark.requirement("U4", "F12")
@given(st.data())
@set_up(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_lifting_one_entry_frees_nobody_who_asked_by_another(
    kernel: Kernel, data: st.DataObject
) -> None:
    targets = data.draw(st.lists(st.sampled_from(POOL), min_size=1, max_size=8))
    lifted = data.draw(st.sampled_from(targets))

    def change(connection: sa.Connection) -> dict[str, str]:
        state(kernel, connection, [(target, "opt_out") for target in targets])
        kernel.suppression.lift_in(connection, lifted, actor="Ada", reason="she wrote us")
        left = [one for one in targets if set(kernel.suppression.keys_for(one)).isdisjoint(keys_of_lifted)]
        asked = [one for one in left if "@" in one]
        return {
            one: kernel.suppression.check(connection, [one.rstrip(".")]).get(one.rstrip("."), "")
            for one in asked
        }

    keys_of_lifted = set(kernel.suppression.keys_for(lifted))
    answers = await tried(kernel, change)
    assert set(answers.values()) <= {"suppressed"}  # type: ignore[attr-defined]  # what `change` returns


@pytest.mark.both_databases
@pytest.mark.requirement("U4", "F12", "F22")
async def test_two_processes_at_the_same_people_end_with_all_of_them(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    async with opened(settings) as one, opened(settings) as two:
        people = [f"p{n}@corp{n % 7}.example" for n in range(60)]
        await asyncio.gather(
            *(stop(k, p) for k in (one, two) for p in (people if k is one else people[::-1]))
        )
        assert set(await one.suppression.refused(people)) == set(people)
        assert await two.suppression.count() == 60
        added = [kind for kind in await kinds(one) if kind == "suppression.added"]
        assert len(added) == 60, "each was new once"
        assert (await one.audit.verify()).ok


@pytest.mark.requirement("U7")
@pytest.mark.parametrize(
    "text", ["Jane <jane@corp.example>", "jane@corp.example\n", "mailto:jane@corp.example"]
)
async def test_an_opt_out_may_be_written_anyhow_and_mail_not(kernel: Kernel, text: str) -> None:
    assert await kernel.suppression.refused([text]) == {text: "look_alike"}
    await stop(kernel, text)
    assert await kernel.suppression.refused(["jane@corp.example"]) == {"jane@corp.example": "suppressed"}


# ── companies ────────────────────────────────────────────────────────────────────────────────────────────
def opted_out(kernel: Kernel, connection: sa.Connection, address: str) -> str:
    return kernel.suppression.company_of_opt_outs(connection, address, kernel.clock.now())


@pytest.mark.requirement("F22", "U6")
async def test_three_people_of_one_company_within_thirty_days_hold_it(settings_for: Make) -> None:
    clock = HandClock()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:

        async def out(address: str) -> str:
            return await kernel.store.write(lambda c: opted_out(kernel, c, address))

        assert [await out(f"{name}@mail.corp.com") for name in ("ann", "Ann+x", "bob", "ann")] == [""] * 4
        clock.move(31 * 86_400)
        assert [await out(f"{name}@corp.com") for name in ("cat", "dan")] == [""] * 2
        assert await out("eve@sub.corp.com") == "corp.com"
        await kernel.suppression.add("corp.com", reason="held", source="rule")
        assert await out("fay@corp.com") == "", "it is held already"


@pytest.mark.requirement("U6")
@pytest.mark.parametrize("domain", ["gmail.com", "web.de", "github.io"])
async def test_people_at_a_domain_of_everybody_are_no_company(kernel: Kernel, domain: str) -> None:
    for name in "abcdef":
        said = await kernel.store.write(lambda c, n=name: opted_out(kernel, c, f"{n}@{domain}"))
        assert said == ""


async def test_a_company_is_never_held_where_the_rule_is_off(settings_for: Make) -> None:
    off = SuppressionRules(hold_company_at=0)
    async with opened(stricter(settings_for(), suppression=off)) as kernel:
        for name in "abcdef":
            assert await kernel.store.write(lambda c, n=name: opted_out(kernel, c, f"{n}@corp.com")) == ""


async def test_lifting_a_company_begins_counting_anew(kernel: Kernel) -> None:
    for name in "abc":
        held = await kernel.store.write(lambda c, n=name: opted_out(kernel, c, f"{n}@corp.com"))
    assert held == "corp.com"
    await kernel.suppression.add("corp.com", reason="held", source="rule")
    assert await kernel.suppression.lift("corp.com", actor="Ada", reason="they asked us")
    assert await kernel.store.write(lambda c: opted_out(kernel, c, "d@corp.com")) == ""


@pytest.mark.parametrize(
    "domain", ["yahoo.co.uk", "hotmail.fr", "orange.fr", "t-online.de", "comcast.net", "126.com"]
)
@pytest.mark.requirement("U6")
async def test_free_mail_of_many_countries_is_nobodys(kernel: Kernel, domain: str) -> None:
    with pytest.raises(Invalid, match="everyone"):
        await stop(kernel, domain)


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────
def listed(kernel: Kernel, target: str) -> Listed:
    return Listed(kernel.suppression.keys_for(target), "opt_out", "list", iso(kernel.clock.now()))


@pytest.mark.both_databases
@pytest.mark.requirement("U9")
async def test_a_list_is_one_entry_of_the_log_and_counts_who_is_new(settings_for: Make) -> None:
    async with opened(settings_for(SAFE_MODE="false")) as kernel:
        await stop(kernel, "p1@corp.example")
        entries = [listed(kernel, f"p{n % 50}@corp.example") for n in range(100)]

        def change(connection: sa.Connection) -> int:
            return kernel.suppression.add_many_in(connection, entries, about="list.csv", actor="Ada")

        assert await kernel.store.write(change) == 49
        assert await kernel.store.write(change) == 0
        assert (await kinds(kernel)).count("suppression.imported") == 1
        assert await kernel.suppression.count() == 50
        assert await kernel.suppression.lift("p7@corp.example", actor="Ada", reason="x")
        assert await kernel.store.write(change) == 1, "a list suppresses again whom a person had let go"


async def test_who_opted_out_themselves_is_told_from_whose_company_did(kernel: Kernel) -> None:
    await stop(kernel, "jane@corp.example")
    await stop(kernel, "other.example")
    asked = ["Jane+news@corp.example", "joe@other.example", "no address"]
    found = await kernel.store.read(lambda c: kernel.suppression.opted_out(c, asked))
    assert found == {"Jane+news@corp.example": "opt_out"}


async def test_it_is_known_since_when_somebody_is_stopped(settings_for: Make) -> None:
    clock = HandClock()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        keys = kernel.suppression.keys_of(read_address("jane@corp.example"))

        async def since() -> str:
            return await kernel.store.read(lambda c: kernel.suppression.since(c, keys))

        assert await since() == ""
        began = iso(clock.now())
        await stop(kernel, "jane@corp.example")
        clock.move(60)
        await stop(kernel, "corp.example")
        assert await since() == began


async def test_what_everybody_shares_or_nobody_has_is_not_looked_for_in_vain(kernel: Kernel) -> None:
    assert await kernel.suppression.find("gmail.com") is None
    with pytest.raises(Invalid, match="e-mail address or a domain"):
        await kernel.suppression.find("localhost")


@pytest.mark.requirement("U4", "I4")
async def test_what_somebody_asked_for_takes_the_place_of_a_bounce_and_never_the_other_way(
    settings_for: Make,
) -> None:
    clock, jane = HandClock(), "jane@corp.example"
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:

        async def add(reason: str) -> bool:
            clock.move(60)
            return await kernel.suppression.add(jane, reason=reason, source=f"says {reason}")

        began = iso(clock.now() + timedelta(seconds=60))
        told = (BOUNCED, BOUNCED, "opt_out", BOUNCED, "complaint")
        assert [await add(why) for why in told] == [True, False, True, False, False]
        found = await kernel.suppression.find(jane)
        assert found == Suppressed("opt_out", "says opt_out", began), (
            "they have been stopped since the bounce"
        )
        assert (await kinds(kernel)).count("suppression.added") == 2
        assert await kernel.suppression.lift(jane, actor="Ada", reason="x")
        assert await add(BOUNCED)
        found = await kernel.suppression.find(jane)
        assert found == Suppressed(BOUNCED, f"says {BOUNCED}", iso(clock.now()))


@pytest.mark.requirement("U1", "I4")
async def test_an_opt_out_in_another_spelling_counts_beside_a_bounce(kernel: Kernel) -> None:
    await kernel.suppression.add("jane@corp.example", reason=BOUNCED, source="test")
    await stop(kernel, "jane+news@corp.example")
    asked = ["jane@corp.example", "jane+news@corp.example"]
    found = await kernel.store.read(lambda c: kernel.suppression.opted_out(c, asked))
    assert found == dict.fromkeys(asked, "opt_out")


async def test_a_list_takes_the_place_of_bounces_and_names_each_once(kernel: Kernel) -> None:
    await kernel.suppression.add("p1@corp.example", reason=BOUNCED, source="test")
    twice = [listed(kernel, f"p{n}@corp.example") for n in (1, 2, 1)]
    bounced = [replace(one, reason=BOUNCED) for one in twice]

    def change(connection: sa.Connection) -> list[int]:
        add = kernel.suppression.add_many_in
        return [add(connection, some, about="list.csv", actor="Ada") for some in (bounced, twice, bounced)]

    assert await kernel.store.write(change) == [1, 2, 0]
    for n in (1, 2):
        found = await kernel.suppression.find(f"p{n}@corp.example")
        assert found is not None
        assert found.reason == "opt_out"


async def test_of_a_list_those_are_lacking_whom_nothing_stops_and_who_can_be_stopped(kernel: Kernel) -> None:
    await stop(kernel, "jane@corp.example")
    await stop(kernel, "other.example")
    theirs = ["Jane+x@corp.example", "joe@corp.example", "x@other.example", "other.example", "new.example"]
    asked = [*theirs, "gmail.com", "nothing", "no@address@at.all"]
    found = await kernel.store.read(lambda c: kernel.suppression.lacking(c, asked))
    assert found == ["joe@corp.example", "new.example"]
