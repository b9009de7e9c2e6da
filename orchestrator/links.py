"""One-time links: the first admin's, an invitation, and one for a new password. Nobody but its owner learns a password.

made ─ opened, password chosen ─▶ used up
  └── 24 hours, or a newer one for the same address ─▶ gone
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from orchestrator.accounts import Account, fresh_token, hashed, insert_account, new_account
from orchestrator.passwords import Passwords
from shared.address import read_address
from shared.audit import Entry, append
from shared.clock import iso
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.schema import account, login_link, session

LINK_HOLDS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link that still stands is for. No address: the first admin chooses one. `renews`: a new password only."""

    role: str
    email: str = ""
    name: str = ""
    renews: bool = False


async def first_admin_link(kernel: Kernel, base_url: str) -> str:
    """A link that makes the first admin, once, within 24 hours; earlier unused ones stop working.

    Raises `Conflict` where there is an admin already.
    """

    def check(connection: sa.Connection) -> None:
        _refuse_second_first_admin(connection)

    return await _made(kernel, base_url, Link("admin"), "first admin", "", check)


async def invitation(kernel: Kernel, base_url: str, email: str, name: str, role: str, *, by: str) -> str:
    """A link with which that person chooses a password, and then has an account of that role.

    Raises `Invalid` for what won't do, `Conflict` for an address that has an account.
    """
    wanted = new_account(email, name, role)

    def check(connection: sa.Connection) -> None:
        if _row(connection, wanted.email) is not None:
            raise Conflict("there is an account with this e-mail already", field="email", code="exists")

    return await _made(kernel, base_url, Link(role, wanted.email, wanted.name), wanted.email, by, check)


async def password_link(kernel: Kernel, base_url: str, email: str, *, by: str) -> str:
    """A link with which somebody who has an account chooses a new password. Raises `Invalid` for no account in use."""
    wanted = read_address(email).exact

    def check(connection: sa.Connection) -> None:
        row = _row(connection, wanted)
        if row is None or row.disabled:
            raise Invalid("there is no account in use with this e-mail", field="email", code="not_found")

    return await _made(kernel, base_url, Link("", wanted, renews=True), wanted, by, check)


async def invited(kernel: Kernel) -> list[tuple[str, str, str, str]]:
    """Whom links wait for that were not opened: e-mail, name, role, until when."""
    stands = (login_link.c.used_at == "", login_link.c.email != "", login_link.c.role != "")
    query = sa.select(login_link).where(*stands, login_link.c.expires_at > iso(kernel.clock.now()))
    rows = await kernel.store.read(lambda c: c.execute(query.order_by(login_link.c.email)).all())
    return [(row.email, row.name, row.role, row.expires_at) for row in rows]


async def withdraw(kernel: Kernel, email: str) -> bool:
    """What links stand for that address work no more. True if there was one."""
    unused = sa.delete(login_link).where(
        login_link.c.email == read_address(email).exact, login_link.c.used_at == ""
    )
    return await kernel.store.write(lambda c: c.execute(unused).rowcount > 0)


async def link_behind(kernel: Kernel, token: str) -> Link | None:
    """What a link is for, or None if it was used, is too old, or never was."""
    return await kernel.store.read(lambda c: _link(kernel, c, token))


async def redeem(kernel: Kernel, token: str, email: str, name: str, password: str) -> Account:
    """Use a link up: make its account, or give its account the new password. Raises `Invalid` or `Conflict`.

    `email` and `name` count for the first admin only; every other link says whose it is.
    """
    link = await link_behind(kernel, token)
    if link is None:
        raise _used()
    made = _wanted(link, email, name)
    stored = await Passwords().store(password, made.email)

    def change(connection: sa.Connection) -> Account:
        if _link(kernel, connection, token) is None:
            raise _used()
        now = kernel.clock.now()
        used = sa.update(login_link).where(login_link.c.token == hashed(token))
        connection.execute(used.values(used_at=iso(now)))
        if link.renews:
            return _renew(kernel, connection, made.email, stored)
        if not link.email:
            _refuse_second_first_admin(connection)
        insert_account(connection, made, stored, made.email, now)
        return made

    return await kernel.store.write(change)


def _wanted(link: Link, email: str, name: str) -> Account:
    """The account as it is to be; of one that has a new password only the address counts."""
    if link.renews:
        return new_account(link.email, link.email, "viewer")
    return new_account(link.email or email, link.name or name, link.role)


def _renew(kernel: Kernel, connection: sa.Connection, email: str, stored: str) -> Account:
    """Give it the password; whoever is logged in with the old one is not any more."""
    row = _row(connection, email)
    if row is None or row.disabled:
        raise _used()
    values = {"password": stored, "failures": 0, "locked_until": ""}
    connection.execute(sa.update(account).where(account.c.id == row.id).values(**values))
    connection.execute(sa.delete(session).where(session.c.account_id == row.id))
    append(connection, [Entry("account.password_changed", email, {}, email)], kernel.clock.now())
    return Account(row.id, row.email, row.name, row.role)


async def _made(
    kernel: Kernel, base_url: str, link: Link, subject: str, by: str, check: Callable[[sa.Connection], None]
) -> str:
    token, now = fresh_token(), kernel.clock.now()
    values = {"role": link.role, "email": link.email, "name": link.name, "used_at": ""}

    def change(connection: sa.Connection) -> None:
        check(connection)
        unused = (login_link.c.used_at == "", login_link.c.email == link.email)
        connection.execute(sa.delete(login_link).where(*unused))
        until = iso(now + LINK_HOLDS)
        connection.execute(sa.insert(login_link).values(token=hashed(token), expires_at=until, **values))
        said = {"for": "a new password"} if link.renews else {"role": link.role}
        append(connection, [Entry("account.link_made", subject, said, by)], now)

    await kernel.store.write(change)
    return f"{base_url.rstrip('/')}/setup/{token}"


def _link(kernel: Kernel, connection: sa.Connection, token: str) -> Link | None:
    row = connection.execute(sa.select(login_link).where(login_link.c.token == hashed(token))).one_or_none()
    if row is None or row.used_at or row.expires_at <= iso(kernel.clock.now()):
        return None
    return Link(row.role, row.email, row.name, renews=not row.role)


def _row(connection: sa.Connection, email: str) -> sa.Row[tuple[object, ...]] | None:
    return connection.execute(sa.select(account).where(account.c.email == email)).one_or_none()


def _used() -> Invalid:
    return Invalid("this link was used or is too old; make a new one", code="link_used")


def _refuse_second_first_admin(connection: sa.Connection) -> None:
    admins = sa.select(account.c.id).where(account.c.role == "admin", account.c.disabled == 0).limit(1)
    if connection.execute(admins).one_or_none() is not None:
        raise Conflict("there is an admin already, who can add accounts", code="admin_exists")
