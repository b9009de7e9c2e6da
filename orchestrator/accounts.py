"""People who log in: accounts, passwords, sessions, and what each role may do.

    one-time link (`links.py`) ─▶ account ─ log in ─▶ session ─ log out, disabled, new password ─▶ gone
                                  30 min idle, or 12 h over ─▶ may only stop things ─ 12.5 h ─▶ gone

Passwords are kept as argon2id, tokens and cookies as SHA-256. A try to log in is counted before its password
is looked at, so that many at once get no further than one after the other. Who logs in, fails to, logs out or gets
another role is in the audit log.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator.passwords import Passwords, lock_seconds
from orchestrator.roles import RIGHTS, ROLES, Right, allowed
from shared.address import read_address
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso, parse
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.schema import account, session

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
GRACE = timedelta(minutes=30)  # after that: who sees something go wrong must not have to log in first
NOTED_EVERY = timedelta(minutes=1)
EVEN = 0.4  # seconds: every answer to a login takes at least this long, whatever it found
UNKNOWN_EVERY = (
    60.0  # seconds: tries with addresses nobody has are told together, or strangers could fill the log
)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in."""

    id: str
    email: str
    name: str
    role: str
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """A session as it stands: whose, and whether it was idle, or lasted, for too long to do more than stop things."""

    account: Account
    csrf: str
    idle: bool
    fresh: bool = False  # the password was given not long ago

    @property
    def person(self) -> Person:
        """As approvals and the audit log name them."""
        return Person(self.account.email, self.account.role)


def need(person: Person, right: Right) -> None:
    """Raise `Invalid` (code `not_allowed`) unless the person's role has the right."""
    if not allowed(person.role, right):
        raise Invalid(f"this needs the role {RIGHTS[right]}", field="role", code="not_allowed")


def others_who_may(connection: sa.Connection, right: Right, person: Person) -> bool:
    """In the caller's transaction: whether somebody else can log in who has that right."""
    roles = [role for role in ROLES if allowed(role, right)]
    others = sa.select(account.c.id).where(
        account.c.role.in_(roles), account.c.disabled == 0, account.c.email != person.name
    )
    return connection.execute(others.limit(1)).one_or_none() is not None


def fresh_token() -> str:
    """256 random bits, in 43 characters that fit a URL and a cookie."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_account(email: str, name: str, role: str) -> Account:
    """One that isn't stored yet. Raises `Invalid` for an address, a name or a role that won't do."""
    role = _role(role)
    shown = " ".join(name.split())
    if not 1 <= len(shown) <= 100:
        raise Invalid("a name has 1 to 100 characters", field="name", code="name_length")
    return Account(secrets.token_hex(12), read_address(email).exact, shown, role)


def insert_account(connection: sa.Connection, made: Account, stored: str, by: str, now: datetime) -> None:
    """In the caller's transaction: add it with its stored password. Raises `Conflict` for an address that has one."""
    if connection.execute(sa.select(account.c.id).where(account.c.email == made.email)).one_or_none():
        raise Conflict("there is an account with this e-mail already", field="email", code="exists")
    values = {"id": made.id, "email": made.email, "name": made.name, "role": made.role}
    connection.execute(sa.insert(account).values(**values, password=stored, created_at=iso(now)))
    append(connection, [Entry("account.created", made.email, {"role": made.role}, by)], now)


class Accounts:
    """Who may log in, and who is logged in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._passwords = Passwords()
        self._nobody = self._passwords.hashed(fresh_token())
        self._unknown = 0  # tries with addresses that nobody has, since they were told last
        self._unknown_told = float("-inf")

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────────────
    async def create(self, email: str, name: str, role: str, password: str, *, by: str) -> Account:
        """Add an account. Raises `Invalid` for what won't do, `Conflict` for an address that has one."""
        made = new_account(email, name, role)
        stored = await self._passwords.store(password, made.email)
        now = self._kernel.clock.now()
        await self._kernel.store.write(lambda c: insert_account(c, made, stored, by, now))
        return made

    async def disable(self, email: str, *, by: str) -> bool:
        """Nobody logs in with it any more, and its sessions end at once. True if it was in use."""
        wanted = read_address(email).exact

        def change(connection: sa.Connection) -> bool:
            row = connection.execute(sa.select(account).where(account.c.email == wanted)).one_or_none()
            if row is None or row.disabled:
                return False
            connection.execute(sa.update(account).where(account.c.id == row.id).values(disabled=1))
            connection.execute(sa.delete(session).where(session.c.account_id == row.id))
            entry = Entry("account.disabled", wanted, {"role": row.role}, by)
            append(connection, [entry], self._kernel.clock.now())
            return True

        return await self._kernel.store.write(change)

    async def change_role(self, email: str, role: str, *, by: str) -> bool:
        """Give an account another role, at once in every session. True if it had another; `Invalid` for no account.

        The last admin keeps the role: without one nobody could let anything go on again.
        """
        wanted, made = read_address(email).exact, _role(role)

        def change(connection: sa.Connection) -> bool:
            row = connection.execute(sa.select(account).where(account.c.email == wanted)).one_or_none()
            if row is None:
                raise Invalid("there is no account with this e-mail", field="email", code="not_found")
            if row.role == made:
                return False
            connection.execute(sa.update(account).where(account.c.id == row.id).values(role=made))
            _refuse_without_admin(connection)
            entry = Entry("account.role_changed", wanted, {"from": row.role, "to": made}, by)
            append(connection, [entry], self._kernel.clock.now())
            return True

        return await self._kernel.store.write(change)

    async def all(self) -> list[Account]:
        """Every account, by e-mail."""
        query = sa.select(account).order_by(account.c.email)
        return await self._kernel.store.read(lambda c: [_account(row) for row in c.execute(query)])

    # ── logging in and out ───────────────────────────────────────────────────────────────────────────────
    async def login(self, email: str, password: str, *, replaces: str = "") -> str | None:
        """The cookie of a new session, or None: wrong, unknown, disabled and locked look and last the same.

        `replaces` is the cookie that came with the request: its session ends.
        """
        began = self._kernel.clock.monotonic()
        known = await self._kernel.store.write(lambda c: self._count_try(c, _normal(email)))
        right = await self._passwords.is_right(known.password if known else self._nobody, password)
        cookie = None
        if known is not None and right:
            cookie = await self.open_session(known.id, replaces=replaces, forgive=True)
        else:
            await self._note_failure(
                _normal(email), "locked or unknown" if known is None else "wrong password"
            )
        await self._kernel.clock.sleep(began + EVEN - self._kernel.clock.monotonic())
        return cookie

    async def _note_failure(self, email: str, why: str) -> None:
        """A login that failed is in the log: one by one for an account, together for addresses nobody has."""
        there = sa.select(account.c.id).where(account.c.email == email)
        if await self._kernel.store.read(lambda c: c.execute(there).scalar()):
            await self._kernel.audit.record(Entry("account.login_failed", email, {"why": why}))
            return
        self._unknown += 1
        now = self._kernel.clock.monotonic()
        if now - self._unknown_told >= UNKNOWN_EVERY:
            count, self._unknown, self._unknown_told = self._unknown, 0, now
            await self._kernel.audit.record(
                Entry("account.login_failed", "unknown addresses", {"tries": count})
            )

    def _count_try(self, connection: sa.Connection, email: str) -> sa.Row[tuple[object, ...]] | None:
        """The account if it may be tried now, the try counted as failed until it proves right."""
        now = self._kernel.clock.now()
        found = sa.select(account).where(account.c.email == email, account.c.disabled == 0)
        row = connection.execute(found).one_or_none()
        if row is None or row.locked_until > iso(now):
            return None
        failures = row.failures + 1
        wait = lock_seconds(failures)
        locked = iso(now + timedelta(seconds=wait)) if wait else ""
        changed = sa.update(account).where(account.c.id == row.id)
        connection.execute(changed.values(failures=failures, locked_until=locked))
        if wait:
            append(connection, [Entry("account.locked", email, {"seconds": wait})], now)
        return row

    async def confirm(self, visit: Visit, password: str) -> bool:
        """Whether the visitor entered their own password again; tries count as at login."""
        known = await self._kernel.store.write(lambda c: self._count_try(c, visit.account.email))
        right = await self._passwords.is_right(known.password if known else self._nobody, password)
        if known is None or not right:
            await self._note_failure(visit.account.email, "not confirmed")
            return False
        now = iso(self._kernel.clock.now())
        again = sa.update(session).where(session.c.csrf == visit.csrf).values(confirmed_at=now)

        def change(connection: sa.Connection) -> None:
            self._forgive(connection, known.id)
            connection.execute(again)

        await self._kernel.store.write(change)
        return True

    @staticmethod
    def _forgive(connection: sa.Connection, account_id: str) -> None:
        changed = sa.update(account).where(account.c.id == account_id)
        connection.execute(changed.values(failures=0, locked_until=""))

    async def open_session(self, account_id: str, *, replaces: str = "", forgive: bool = False) -> str:
        """Begin a session and return its cookie; the one it replaces and those that are too old end."""
        cookie, now = fresh_token(), self._kernel.clock.now()

        def change(connection: sa.Connection) -> None:
            over = sa.or_(
                session.c.token == hashed(replaces), session.c.created_at < iso(now - ABSOLUTE - GRACE)
            )
            connection.execute(sa.delete(session).where(over))
            times = {"created_at": iso(now), "seen_at": iso(now), "confirmed_at": iso(now)}
            values = {"token": hashed(cookie), "account_id": account_id, "csrf": fresh_token()}
            connection.execute(sa.insert(session).values(**values, **times))
            if forgive:
                self._forgive(connection, account_id)
            who = connection.execute(
                sa.select(account.c.email).where(account.c.id == account_id)
            ).scalar_one()
            append(connection, [Entry("account.logged_in", who, {}, who)], now)

        await self._kernel.store.write(change)
        return cookie

    async def visit(self, cookie: str, *, counts: bool = True) -> Visit | None:
        """The session behind a cookie, or None. `counts`: a person did this, not a page refreshing itself."""
        now = self._kernel.clock.now()
        query = (
            sa.select(
                account,
                session.c.csrf,
                session.c.created_at.label("began"),
                session.c.seen_at,
                session.c.confirmed_at,
            )
            .join(session, session.c.account_id == account.c.id)
            .where(session.c.token == hashed(cookie), account.c.disabled == 0)
        )
        row = await self._kernel.store.read(lambda c: c.execute(query).one_or_none())
        if row is None or parse(row.began) < now - ABSOLUTE - GRACE:
            return None
        idle = parse(row.seen_at) < now - IDLE or parse(row.began) < now - ABSOLUTE
        if counts and not idle and parse(row.seen_at) < now - NOTED_EVERY:
            await self._seen(cookie, now)
        lately = iso(now - timedelta(minutes=self._kernel.settings.safety.approvals.password_minutes))
        return Visit(_account(row), row.csrf, idle, fresh=row.confirmed_at > lately)

    async def _seen(self, cookie: str, now: datetime) -> None:
        changed = sa.update(session).where(session.c.token == hashed(cookie)).values(seen_at=iso(now))
        await self._kernel.store.write(lambda c: c.execute(changed).rowcount)

    async def logout(self, cookie: str) -> None:
        """End the session, here and not only in the browser."""
        mine = session.c.token == hashed(cookie)
        whose = sa.select(account.c.email).join(session, session.c.account_id == account.c.id).where(mine)

        def change(connection: sa.Connection) -> None:
            who = connection.execute(whose).scalar()
            connection.execute(sa.delete(session).where(mine))
            if who:
                append(connection, [Entry("account.logged_out", who, {}, who)], self._kernel.clock.now())

        await self._kernel.store.write(change)


def _role(text: str) -> str:
    if text not in ROLES:
        raise Invalid(f"a role is one of {', '.join(ROLES)}", field="role", code="unknown_role")
    return text


def _refuse_without_admin(connection: sa.Connection) -> None:
    admins = sa.select(account.c.id).where(account.c.role == "admin", account.c.disabled == 0).limit(1)
    if connection.execute(admins).one_or_none() is None:
        raise Conflict("this is the last admin; make another one first", code="last_admin")


def _normal(email: str) -> str:
    """The address as accounts hold it; what isn't one matches nobody."""
    try:
        return read_address(email).exact
    except Invalid:
        return ""


def _account(row: sa.Row[tuple[object, ...]]) -> Account:
    return Account(row.id, row.email, row.name, row.role, bool(row.disabled))
