"""Accounts: passwords, the first admin's link, throttled logins, sessions that end, and roles."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from orchestrator.accounts import EVEN, Accounts
from orchestrator.links import (
    first_admin_link,
    invitation,
    invited,
    link_behind,
    password_link,
    redeem,
    withdraw,
)
from orchestrator.passwords import check_new_password, lock_seconds
from orchestrator.roles import RIGHTS, ROLES, allowed
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel, open_kernel
from shared.schema import account, login_link, session
from shared.settings import Settings

GOOD = "correct horse battery staple"
WHO = "ann@corp.com"


class Hand:
    """A clock that stands until it is moved; sleeping moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=max(0.0, seconds))


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def kernel(settings_for: Callable[..., Settings], clock: Hand):
    async with open_kernel(settings_for(), clock=clock) as opened:
        yield opened


@pytest.fixture
async def accounts(kernel: Kernel) -> Accounts:
    made = Accounts(kernel)
    await made.create(WHO, "Ann", "ae", GOOD, by="test")
    return made


async def _token(kernel: Kernel) -> str:
    link = await first_admin_link(kernel, "http://127.0.0.1:1/")
    return link.removeprefix("http://127.0.0.1:1/setup/")


# ── the first admin ──────────────────────────────────────────────────────────────────────────────────────
async def test_first_admin_is_made_by_the_link(kernel: Kernel) -> None:
    made = await redeem(kernel, await _token(kernel), "Boss@Corp.com", "Boss", GOOD)
    assert (made.email, made.role) == ("boss@corp.com", "admin")


async def test_link_works_once(kernel: Kernel) -> None:
    accounts, token = Accounts(kernel), await _token(kernel)
    await redeem(kernel, token, "boss@corp.com", "Boss", GOOD)
    with pytest.raises(Invalid):
        await redeem(kernel, token, "other@corp.com", "Other", GOOD)
    assert [one.email for one in await accounts.all()] == ["boss@corp.com"]


async def test_link_ends_after_a_day(kernel: Kernel, clock: Hand) -> None:
    token = await _token(kernel)
    clock.at += timedelta(hours=24, seconds=1)
    assert await link_behind(kernel, token) is None


async def test_a_new_link_ends_the_old_one(kernel: Kernel) -> None:
    old, new = await _token(kernel), await _token(kernel)
    assert await link_behind(kernel, old) is None
    assert await link_behind(kernel, new) is not None


async def test_there_is_no_link_once_there_is_an_admin(kernel: Kernel) -> None:
    await Accounts(kernel).create("boss@corp.com", "Boss", "admin", GOOD, by="test")
    with pytest.raises(Conflict):
        await first_admin_link(kernel, "http://127.0.0.1:1")


async def test_only_the_hash_of_a_link_is_stored(kernel: Kernel) -> None:
    token = await _token(kernel)
    stored = await kernel.store.read(lambda c: c.execute(sa.select(login_link.c.token)).scalar())
    assert len(token) == 43
    assert len(stored) == 64
    assert token not in stored


# ── invitations and new passwords ────────────────────────────────────────────────────────────────────────
BASE = "http://127.0.0.1:1/"
NEW = "another horse, another battery"


def _opened(link: str) -> str:
    return link.removeprefix(f"{BASE}setup/")


async def test_who_is_invited_chooses_a_password_and_has_the_role_of_the_invitation(kernel: Kernel) -> None:
    token = _opened(await invitation(kernel, BASE, "Kim@Corp.com", "Kim", "ae", by="root@host"))
    assert [(one[0], one[2]) for one in await invited(kernel)] == [("kim@corp.com", "ae")]
    made = await redeem(kernel, token, "mallory@corp.com", "Mallory", GOOD)
    assert (made.email, made.name, made.role) == ("kim@corp.com", "Kim", "ae")
    assert await Accounts(kernel).login("kim@corp.com", GOOD)
    assert await invited(kernel) == []


async def test_an_invitation_makes_no_first_admins_link_void_and_the_other_way_round(kernel: Kernel) -> None:
    token = _opened(await invitation(kernel, BASE, "kim@corp.com", "Kim", "ae", by="root@host"))
    first = await _token(kernel)
    assert await link_behind(kernel, token) is not None
    await invitation(kernel, BASE, "kim@corp.com", "Kim", "operator", by="root@host")
    assert await link_behind(kernel, token) is None
    assert await link_behind(kernel, first) is not None


@pytest.mark.parametrize(("email", "role"), [(WHO, "ae"), ("kim@corp.com", "boss"), ("kim@", "ae")])
async def test_what_can_not_be_an_account_is_not_invited(
    kernel: Kernel, accounts: Accounts, email: str, role: str
) -> None:
    with pytest.raises((Invalid, Conflict)):
        await invitation(kernel, BASE, email, "Kim", role, by="root@host")
    assert await invited(kernel) == []


async def test_an_invitation_is_withdrawn(kernel: Kernel) -> None:
    token = _opened(await invitation(kernel, BASE, "kim@corp.com", "Kim", "ae", by="root@host"))
    assert await withdraw(kernel, "kim@corp.com")
    with pytest.raises(Invalid, match="too old"):
        await redeem(kernel, token, "", "", GOOD)


async def test_a_new_password_ends_every_session_and_the_old_one(kernel: Kernel, accounts: Accounts) -> None:
    cookie = await accounts.login(WHO, GOOD)
    assert cookie is not None
    token = _opened(await password_link(kernel, BASE, WHO, by="root@host"))
    assert await accounts.visit(cookie) is not None  # until it is used, nothing changed
    renewed = await redeem(kernel, token, "", "", NEW)
    assert (renewed.email, renewed.role) == (WHO, "ae")
    assert await accounts.visit(cookie) is None
    assert await accounts.login(WHO, GOOD) is None
    assert await accounts.login(WHO, NEW) is not None


async def test_a_disabled_account_gets_no_new_password(kernel: Kernel, accounts: Accounts) -> None:
    token = _opened(await password_link(kernel, BASE, WHO, by="root@host"))
    await accounts.disable(WHO, by="root@host")
    with pytest.raises(Invalid):
        await redeem(kernel, token, "", "", NEW)
    with pytest.raises(Invalid):
        await password_link(kernel, BASE, WHO, by="root@host")


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────────
async def test_password_is_stored_as_argon2id_as_advised(kernel: Kernel, accounts: Accounts) -> None:
    stored = await kernel.store.read(lambda c: c.execute(sa.select(account.c.password)).scalar())
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password", ["short", "x" * 11, "password1234", "a" * 20, "x" * 257])
def test_password_that_wont_do_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_new_password(password, WHO)


def test_password_may_be_long_and_have_spaces_and_any_script() -> None:
    assert check_new_password("длинная фраза " * 8, WHO)


async def test_an_address_has_one_account(accounts: Accounts) -> None:
    with pytest.raises(Conflict):
        await accounts.create("ANN@corp.com", "Ann", "viewer", GOOD, by="test")


async def test_an_unknown_role_is_refused(accounts: Accounts) -> None:
    with pytest.raises(Invalid):
        await accounts.create("eve@corp.com", "Eve", "root", GOOD, by="test")


# ── logging in ───────────────────────────────────────────────────────────────────────────────────────────
async def test_login_gives_a_session(accounts: Accounts) -> None:
    cookie = await accounts.login("ANN@corp.com", GOOD)
    assert cookie
    visit = await accounts.visit(cookie)
    assert visit is not None
    assert (visit.person.name, visit.person.role, visit.idle) == (WHO, "ae", False)


async def test_login_replaces_the_session_that_came_with_it(accounts: Accounts) -> None:
    first = await accounts.login(WHO, GOOD)
    second = await accounts.login(WHO, GOOD, replaces=first or "")
    assert first != second
    assert await accounts.visit(first or "") is None


@pytest.mark.parametrize(
    ("email", "password"), [(WHO, "wrong"), ("nobody@corp.com", GOOD), ("not an address", GOOD), (WHO, "")]
)
@pytest.mark.requirement("X4")
async def test_wrong_and_unknown_look_and_last_the_same(
    accounts: Accounts, clock: Hand, email: str, password: str
) -> None:
    began = clock.at
    assert await accounts.login(email, password) is None
    assert clock.at - began == timedelta(seconds=EVEN)


@pytest.mark.requirement("X4")
async def test_after_five_failures_the_right_password_waits_too(accounts: Accounts, clock: Hand) -> None:
    for _ in range(6):
        await accounts.login(WHO, "wrong")
        clock.at += timedelta(seconds=1)
    assert await accounts.login(WHO, GOOD) is None
    clock.at += timedelta(seconds=900)
    assert await accounts.login(WHO, GOOD)


async def test_a_right_password_forgives_earlier_failures(kernel: Kernel, accounts: Accounts) -> None:
    await accounts.login(WHO, "wrong")
    await accounts.login(WHO, GOOD)
    failures = await kernel.store.read(lambda c: c.execute(sa.select(account.c.failures)).scalar())
    assert failures == 0


@pytest.mark.requirement("X4")
def test_waiting_doubles_up_to_fifteen_minutes() -> None:
    assert [lock_seconds(n) for n in (1, 4, 5, 6, 9, 15, 99)] == [0, 0, 1, 2, 16, 900, 900]


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_cookie_is_random_and_stored_as_a_hash(kernel: Kernel, accounts: Accounts) -> None:
    cookie = await accounts.login(WHO, GOOD) or ""
    stored = await kernel.store.read(lambda c: c.execute(sa.select(session.c.token)).scalar())
    assert len(cookie) == 43
    assert cookie != stored


async def test_session_is_idle_after_half_an_hour(accounts: Accounts, clock: Hand) -> None:
    cookie = await accounts.login(WHO, GOOD) or ""
    clock.at += timedelta(minutes=31)
    visit = await accounts.visit(cookie)
    assert visit is not None
    assert visit.idle


async def test_using_a_session_keeps_it_alive(accounts: Accounts, clock: Hand) -> None:
    cookie = await accounts.login(WHO, GOOD) or ""
    for _ in range(3):
        clock.at += timedelta(minutes=20)
        visit = await accounts.visit(cookie)
    assert visit is not None
    assert not visit.idle


async def test_a_page_that_refreshes_itself_keeps_nothing_alive(accounts: Accounts, clock: Hand) -> None:
    cookie = await accounts.login(WHO, GOOD) or ""
    for _ in range(2):
        clock.at += timedelta(minutes=20)
        visit = await accounts.visit(cookie, counts=False)
    assert visit is not None
    assert visit.idle


async def test_session_ends_after_twelve_hours_of_use_but_for_stopping_things(
    accounts: Accounts, clock: Hand
) -> None:
    cookie, visits = await accounts.login(WHO, GOOD) or "", []
    for _ in range(38):
        clock.at += timedelta(minutes=20)
        visits.append(await accounts.visit(cookie))
    assert [visit.idle for visit in visits if visit] == [False] * 35 + [True] * 2
    assert visits[-1] is None


async def test_logout_ends_the_session_on_the_server(accounts: Accounts) -> None:
    cookie = await accounts.login(WHO, GOOD) or ""
    await accounts.logout(cookie)
    assert await accounts.visit(cookie) is None


async def test_disabling_ends_sessions_and_logins(accounts: Accounts) -> None:
    cookie = await accounts.login(WHO, GOOD) or ""
    assert await accounts.disable(WHO, by="test")
    assert await accounts.visit(cookie) is None
    assert await accounts.login(WHO, GOOD) is None


# ── roles ────────────────────────────────────────────────────────────────────────────────────────────────
def test_rights_by_role() -> None:
    table = {role: {right for right in RIGHTS if allowed(role, right)} for role in (*ROLES, "agent", "")}
    assert table["viewer"] == {"read"}
    assert table["ae"] - table["viewer"] == {"stop", "suppress", "approve", "resume"}
    own = {"approve_c_level", "approve_new", "clear_pause", "privacy", "settle"}
    assert table["operator"] - table["ae"] == own
    assert table["admin"] - table["operator"] == {"relax", "administer"}
    assert table["agent"] == table[""] == set()
