"""People who log in: accounts, passwords, sessions, and what each role may do.

    one-time link ─▶ first admin ─ adds ─▶ accounts ─ log in ─▶ session ─ log out, disabled ─▶ gone
                                           30 min idle, or 12 h over ─▶ may only stop things ─ 12.5 h ─▶ gone

Passwords are kept as argon2id, tokens and cookies as SHA-256. A try to log in is counted before its password
is looked at, so that many at once get no further than one after the other.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import anyio
import anyio.to_thread
import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.address import read_address
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso, parse
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.schema import account, login_link, session

Right = Literal[
    "read",
    "stop",
    "suppress",
    "approve",
    "approve_c_level",
    "approve_new",
    "resume",
    "clear_pause",
    "settle",
    "relax",
    "administer",
]
ROLES = ("viewer", "ae", "operator", "admin")
# From which role up. Stopping is easy, relaxing is not; a tool has none of these.
RIGHTS: Mapping[Right, str] = {
    "read": "viewer",
    "stop": "ae",
    "suppress": "ae",
    "approve": "ae",
    "resume": "ae",
    "approve_c_level": "operator",
    "approve_new": "operator",  # the first campaign of a template or segment
    "clear_pause": "operator",
    "settle": "operator",  # say how an effect in doubt ended
    "relax": "admin",  # release the kill switch, leave safe mode, clear a halt
    "administer": "admin",
}
IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
GRACE = timedelta(minutes=30)  # after that: who sees something go wrong must not have to log in first
LINK_HOLDS = timedelta(hours=24)
NOTED_EVERY = timedelta(minutes=1)
FREE_TRIES = 5
LONGEST_LOCK = 900  # seconds
SHORTEST_PASSWORD, ADVISED_PASSWORD, LONGEST_PASSWORD = 12, 15, 256
EVEN = 0.4  # seconds: every answer to a login takes at least this long, whatever it found
HASHES_AT_ONCE = 2  # each takes 19 MiB
# Long enough to pass the length rule, and on every list of passwords that are tried first.
GUESSED_FIRST = frozenset(
    {"password1234", "123456789012", "1234567890123", "qwertyuiop123", "passwordpassword", "administrator",
     "letmeinletmein", "iloveyou1234", "qwerty123456", "welcome12345", "adminadminadmin", "changemechangeme"}
)  # fmt: skip


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


def allowed(role: str, right: Right) -> bool:
    """Whether that role has that right; an unknown role has none."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(RIGHTS[right])


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


def lock_seconds(failures: int) -> int:
    """How long no try counts after so many failures in a row: none below 5, then doubling to 15 minutes."""
    over = failures - FREE_TRIES
    return 0 if over < 0 else min(LONGEST_LOCK, 2 ** min(over, 20))


def check_new_password(password: str, email: str) -> str:
    """The password in the form that is hashed; `Invalid` where it is too short or would be guessed first."""
    plain = unicodedata.normalize("NFKC", password)
    if not SHORTEST_PASSWORD <= len(plain) <= LONGEST_PASSWORD:
        raise Invalid(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; "
            f"{ADVISED_PASSWORD} or more are better",
            field="password",
            code="password_length",
        )
    if plain.casefold() in GUESSED_FIRST | {email.casefold()} or len(set(plain)) < 4:
        raise Invalid("this password would be guessed first", field="password", code="password_weak")
    return plain


async def first_admin_link(kernel: Kernel, base_url: str) -> str:
    """A link that makes the first admin, once, within 24 hours; earlier unused links stop working.

    Raises `Conflict` where there is an admin already.
    """
    token = fresh_token()
    now = kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        _refuse_second_first_admin(connection)
        connection.execute(sa.delete(login_link).where(login_link.c.used_at == ""))
        values = {"token": hashed(token), "role": "admin", "expires_at": iso(now + LINK_HOLDS)}
        connection.execute(sa.insert(login_link).values(**values))
        append(connection, [Entry("account.link_made", "first admin", {"role": "admin"})], now)

    await kernel.store.write(change)
    return f"{base_url.rstrip('/')}/setup/{token}"


def _refuse_second_first_admin(connection: sa.Connection) -> None:
    admins = sa.select(account.c.id).where(account.c.role == "admin", account.c.disabled == 0).limit(1)
    if connection.execute(admins).one_or_none() is not None:
        raise Conflict("there is an admin already, who can add accounts", code="admin_exists")


class Accounts:
    """Who may log in, and who is logged in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._nobody = self._hasher.hash(fresh_token())
        self._at_once = anyio.CapacityLimiter(HASHES_AT_ONCE)

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────────────
    async def create(self, email: str, name: str, role: str, password: str, *, by: str) -> Account:
        """Add an account. Raises `Invalid` for what won't do, `Conflict` for an address that has one."""
        made = _new_account(email, name, role)
        stored = await self._hash(check_new_password(password, made.email))
        await self._kernel.store.write(lambda c: self._insert(c, made, stored, by))
        return made

    def _insert(self, connection: sa.Connection, made: Account, stored: str, by: str) -> None:
        now = self._kernel.clock.now()
        if connection.execute(sa.select(account.c.id).where(account.c.email == made.email)).one_or_none():
            raise Conflict("there is an account with this e-mail already", field="email", code="exists")
        values = {"id": made.id, "email": made.email, "name": made.name, "role": made.role}
        connection.execute(sa.insert(account).values(**values, password=stored, created_at=iso(now)))
        append(connection, [Entry("account.created", made.email, {"role": made.role}, by)], now)

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

    async def all(self) -> list[Account]:
        """Every account, by e-mail."""
        query = sa.select(account).order_by(account.c.email)
        return await self._kernel.store.read(lambda c: [_account(row) for row in c.execute(query)])

    # ── the one-time link ────────────────────────────────────────────────────────────────────────────────
    async def link_stands(self, token: str) -> bool:
        """Whether a one-time link may still be used."""
        return await self._kernel.store.read(lambda c: self._link(c, token) is not None)

    def _link(self, connection: sa.Connection, token: str) -> str | None:
        """The role a usable link gives."""
        wanted = sa.select(login_link).where(login_link.c.token == hashed(token))
        row = connection.execute(wanted).one_or_none()
        usable = row is not None and not row.used_at and row.expires_at > iso(self._kernel.clock.now())
        return str(row.role) if row is not None and usable else None

    async def redeem(self, token: str, email: str, name: str, password: str) -> Account:
        """Make the account a one-time link is for, and use the link up. Raises `Invalid` or `Conflict`."""
        made = _new_account(email, name, "admin")
        stored = await self._hash(check_new_password(password, made.email))

        def change(connection: sa.Connection) -> None:
            if self._link(connection, token) is None:
                raise Invalid("this link was used or is too old; make a new one", code="link_used")
            _refuse_second_first_admin(connection)
            used = sa.update(login_link).where(login_link.c.token == hashed(token))
            connection.execute(used.values(used_at=iso(self._kernel.clock.now())))
            self._insert(connection, made, stored, made.email)

        await self._kernel.store.write(change)
        return made

    # ── logging in and out ───────────────────────────────────────────────────────────────────────────────
    async def login(self, email: str, password: str, *, replaces: str = "") -> str | None:
        """The cookie of a new session, or None: wrong, unknown, disabled and locked look and last the same.

        `replaces` is the cookie that came with the request: its session ends.
        """
        began = self._kernel.clock.monotonic()
        known = await self._kernel.store.write(lambda c: self._count_try(c, _normal(email)))
        right = await self._verify(known.password if known else self._nobody, password)
        cookie = None
        if known is not None and right:
            cookie = await self.open_session(known.id, replaces=replaces, forgive=True)
        await self._kernel.clock.sleep(began + EVEN - self._kernel.clock.monotonic())
        return cookie

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
        right = await self._verify(known.password if known else self._nobody, password)
        if known is None or not right:
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
        ended = sa.delete(session).where(session.c.token == hashed(cookie))
        await self._kernel.store.write(lambda c: c.execute(ended).rowcount)

    # ── hashing, off the event loop ──────────────────────────────────────────────────────────────────────
    async def _hash(self, password: str) -> str:
        return await anyio.to_thread.run_sync(self._hasher.hash, password, limiter=self._at_once)

    async def _verify(self, stored: str, password: str) -> bool:
        plain = unicodedata.normalize("NFKC", password[: LONGEST_PASSWORD * 4])
        return await anyio.to_thread.run_sync(self._matches, stored, plain, limiter=self._at_once)

    def _matches(self, stored: str, plain: str) -> bool:
        try:
            return self._hasher.verify(stored, plain)
        except (VerificationError, InvalidHashError):
            return False


def _new_account(email: str, name: str, role: str) -> Account:
    if role not in ROLES:
        raise Invalid(f"a role is one of {', '.join(ROLES)}", field="role", code="unknown_role")
    shown = " ".join(name.split())
    if not 1 <= len(shown) <= 100:
        raise Invalid("a name has 1 to 100 characters", field="name", code="name_length")
    return Account(secrets.token_hex(12), read_address(email).exact, shown, role)


def _normal(email: str) -> str:
    """The address as accounts hold it; what isn't one matches nobody."""
    try:
        return read_address(email).exact
    except Invalid:
        return ""


def _account(row: sa.Row[tuple[object, ...]]) -> Account:
    return Account(row.id, row.email, row.name, row.role, bool(row.disabled))
