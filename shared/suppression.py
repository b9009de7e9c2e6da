"""Who must not be written to. Monotone: anything may add, only a named person lifts, with a reason.

Held as keyed hashes: no address can be read from the list, it survives erasure, and it may hold a person before
there is a lead. Checked in the transaction that claims an effect, never from a cache. In whatever order, however
often and from however many places entries come, the list ends as their union: one that stands is never touched again,
but that what is said of a person takes the place of a bounce.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

import sqlalchemy as sa

from shared.address import (
    LONGEST_LOCAL,
    Address,
    ascii_domain,
    bare,
    is_public_suffix,
    is_sendable,
    read_address,
    registrable,
)
from shared.audit import Entry, append
from shared.clock import Clock, iso
from shared.commitment import KeyedHash
from shared.effect import Json
from shared.errors import Fatal, Invalid
from shared.schema import held, opt_out
from shared.schema import suppression as table
from shared.sql import among, insertion, run, run_many, value
from shared.store import Store
from shared.suppression_rules import SuppressionRules

EXACT, BROAD, DOMAIN, PROOF = b"e", b"b", b"d", b"p"
KINDS = {"exact": EXACT, "broad": BROAD, "domain": DOMAIN, "proof": PROOF}
NOBODY = {"", "system", "agent"}  # names under which no person acts
HASH_BYTES = 16
MOST_LABELS = 10  # of a domain: as many of its parents are looked up
STANDING = "SELECT key FROM suppression WHERE lifted_at = '' AND key IN"
REASONS = "SELECT key, reason FROM suppression WHERE lifted_at = '' AND key IN"
ANYBODY_HELD = "SELECT 1 FROM held LIMIT 1"
HELD = "SELECT key FROM held WHERE key IN"
HOLD = f"{insertion('held', ('key', 'at'))} ON CONFLICT (key) DO NOTHING"
UNCLEAR = "unclear_opt_out"  # why somebody is refused who is held
INSERT = insertion("suppression", ("key", "reason", "source", "actor", "at"))
# A reason that is the address's own: its person may be well elsewhere. What is said of the person takes its place.
BOUNCED = "bounced"
ADD = (
    f"{INSERT} ON CONFLICT (key) DO UPDATE SET reason = excluded.reason, source = excluded.source, "
    "actor = excluded.actor, lifted_at = '', lifted_by = '', "
    "at = CASE WHEN suppression.lifted_at = '' THEN suppression.at ELSE excluded.at END "
    "WHERE suppression.lifted_at <> '' "
    f"OR (suppression.reason = '{BOUNCED}' AND excluded.reason <> '{BOUNCED}')"
)
PROVE = f"{INSERT} ON CONFLICT (key) DO NOTHING"
OPTED_OUT = (
    f"{insertion('opt_out', ('domain', 'person', 'at'))} "
    "ON CONFLICT (domain, person) DO UPDATE SET at = excluded.at"
)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Why and since when somebody is on the list."""

    reason: str
    source: str
    at: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a list that comes in: its keys, and what is said of it. A hash has no `target`."""

    keys: tuple[bytes, ...]
    reason: str
    source: str
    at: str
    target: str = ""


class Suppression:
    """The do-not-contact list."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        pepper: bytes,
        free_mail: Iterable[str],
        rules: SuppressionRules | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hash = KeyedHash(pepper)
        self._free_mail = frozenset(domain.strip().lower() for domain in free_mail)
        self._rules = rules or SuppressionRules()

    async def refuse_if_key_changed(self) -> None:
        """Stop when the hashes were made with another key: the list would be whole, and match nobody."""
        proofs = sa.select(table.c.key).where(sa.func.substr(table.c.key, 1, 1) == PROOF)
        held = await self._store.read(lambda c: c.execute(proofs).scalars().all())
        if held and self.proof not in held:
            raise Fatal(
                "the suppression list was made with another key than the one under SWARM_HOME/keys: "
                "nobody on it would be recognised. Put the old keys back.",
                code="key_changed",
            )
        if not held:
            row = (self.proof, "proof of the key", "kernel", "system", iso(self._clock.now()))
            await self._store.write(lambda c: run(c, PROVE, *row) and None)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def proof(self) -> bytes:
        """The key that only a list made with this pepper has."""
        return self.key(PROOF, "the key of this list")

    def key(self, kind: bytes, text: str) -> bytes:
        """17 bytes: what kind of key, and a keyed hash."""
        return kind + self._hash.of(kind + text.encode())[:HASH_BYTES]

    def keys_of(self, address: Address) -> tuple[bytes, ...]:
        """Every key that would stop this address: its own two, and its domain's with all domains above it.

        A domain that belongs to everybody is looked up too; it costs less than telling, and is never on the list.
        """
        return (*self._keys_of_person(address), *self._keys_of_domain(address.domain))

    def _keys_of_person(self, address: Address) -> tuple[bytes, bytes]:
        exact, broad = address.exact.encode(), address.broad.encode()
        made = self._hash.of
        return EXACT + made(EXACT + exact)[:HASH_BYTES], BROAD + made(BROAD + broad)[:HASH_BYTES]

    def _keys_of_domain(self, whole: str) -> tuple[bytes, ...]:
        labels = whole.split(".")[1:]
        parents = [".".join(labels[i:]) for i in range(len(labels) - 1)]
        return tuple(self.key(DOMAIN, domain) for domain in (whole, *parents[-MOST_LABELS:]))

    def keys_for(self, target: str) -> tuple[bytes, ...]:
        """The keys under which an address or a domain is put on the list.

        Raises `Invalid` for something that is neither, and for a free-mail domain.
        """
        if "@" in bare(target):
            address = read_address(target)
            return (self.key(EXACT, address.exact), self.key(BROAD, address.broad))
        return (self.key(DOMAIN, self._domain(target)),)

    def _domain(self, target: str) -> str:
        """The registrable domain, where it is one company's. Subdomains are stopped with it."""
        domain = registrable(ascii_domain(bare(target).strip(".")))
        if "." not in domain or is_public_suffix(domain):
            raise Invalid("expected an e-mail address or a domain", field="target", code="not_an_address")
        if domain in self._free_mail:
            raise Invalid(
                "a free-mail domain belongs to everyone; suppress single addresses instead",
                field="target",
                code="free_mail",
            )
        return domain

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────
    def check(self, connection: sa.Connection, addresses: Sequence[str]) -> dict[str, str]:
        """In the caller's transaction: address → refusal reason, for each that may not be written to.

        Sending is strict: what isn't just an address, or passes for another one, is refused as a look-alike.
        """
        refused: dict[str, str] = {}
        stops: dict[str, tuple[bytes, ...]] = {}
        domains: dict[str, tuple[bytes, ...]] = {}
        for text in addresses:
            try:
                address = read_address(text)
            except Invalid:
                refused[text] = "look_alike"
                continue
            short = address.plain and len(address.local) <= LONGEST_LOCAL
            if address.look_alike or not (short or is_sendable(text)):
                refused[text] = "look_alike"
            whole = address.domain
            if whole not in domains:
                domains[whole] = self._keys_of_domain(whole)
            stops[text] = (*self._keys_of_person(address), *domains[whole])
        every = list(dict.fromkeys(chain.from_iterable(stops.values())))
        # Mostly nobody is held, and then asking for each would take as long as the list itself.
        held_ones = among(connection, HELD, every) if value(connection, ANYBODY_HELD) else ()
        if unclear := {bytes(row["key"]) for row in held_ones}:
            refused |= {text: UNCLEAR for text, keys in stops.items() if not unclear.isdisjoint(keys)}
        if found := set(self._found(connection, every)):
            refused |= {text: "suppressed" for text, keys in stops.items() if not found.isdisjoint(keys)}
        return refused

    @staticmethod
    def _found(connection: sa.Connection, keys: Sequence[bytes]) -> list[bytes]:
        return [bytes(row["key"]) for row in among(connection, STANDING, keys)]

    @staticmethod
    def _standing(connection: sa.Connection, keys: Sequence[bytes]) -> dict[bytes, str]:
        return {bytes(row["key"]): str(row["reason"]) for row in among(connection, REASONS, keys)}

    def opted_out(self, connection: sa.Connection, addresses: Iterable[str]) -> dict[str, str]:
        """In the caller's transaction: address → why this person, not just their company, is on the list."""
        theirs: dict[str, tuple[bytes, ...]] = {}
        for text in addresses:
            try:
                theirs[text] = self.keys_for(text)
            except Invalid:
                continue
        found = self._standing(connection, list(dict.fromkeys(chain.from_iterable(theirs.values()))))
        reasons = {text: [found[key] for key in keys if key in found] for text, keys in theirs.items()}
        # One spelling may have bounced, and another have opted out: what was asked for counts.
        return {text: min(said, key=BOUNCED.__eq__) for text, said in reasons.items() if said}

    def lacking(self, connection: sa.Connection, targets: Iterable[str]) -> list[str]:
        """In the caller's transaction: those addresses and domains that nothing on the list stops.

        What is neither, and a domain that belongs to everybody, can't be put on the list and isn't lacking.
        """
        keys: dict[str, tuple[bytes, ...]] = {}
        for text in targets:
            try:
                keys[text] = self.keys_of(read_address(text)) if "@" in bare(text) else self.keys_for(text)
            except Invalid:
                continue
        found = set(self._found(connection, list(dict.fromkeys(chain.from_iterable(keys.values())))))
        return [text for text, theirs in keys.items() if found.isdisjoint(theirs)]

    @staticmethod
    def since(connection: sa.Connection, keys: Sequence[bytes]) -> str:
        """In the caller's transaction: since when the first of these that stands has stood, or ""."""
        standing = sa.select(sa.func.min(table.c.at)).where(table.c.key.in_(keys), table.c.lifted_at == "")
        return connection.execute(standing).scalar() or ""

    async def refused(self, addresses: Sequence[str]) -> dict[str, str]:
        """Address → reason, for each that may not be written to right now. The gate asks again."""
        return await self._store.read(lambda c: self.check(c, addresses))

    async def find(self, target: str) -> Suppressed | None:
        """Why this address or domain is stopped, or None."""
        keys = self.keys_of(read_address(target)) if "@" in bare(target) else self._keys_or_none(target)

        def query(connection: sa.Connection) -> Suppressed | None:
            found = sa.select(table).where(table.c.key.in_(keys), table.c.lifted_at == "").limit(1)
            row = connection.execute(found).one_or_none()
            return Suppressed(row.reason, row.source, row.at) if row else None

        return await self._store.read(query)

    def _keys_or_none(self, target: str) -> tuple[bytes, ...]:
        try:
            return self.keys_for(target)
        except Invalid as error:
            if error.code == "free_mail":
                return ()
            raise

    async def count(self) -> int:
        """Entries in force, broad keys not counted."""
        query = sa.select(sa.func.count()).where(
            table.c.lifted_at == "", sa.func.substr(table.c.key, 1, 1).in_((EXACT, DOMAIN))
        )
        return await self._store.read(lambda c: c.execute(query).scalar() or 0)

    # ── adding ───────────────────────────────────────────────────────────────────────────────────────────
    def add_in(
        self, connection: sa.Connection, target: str, *, reason: str, source: str, actor: str = "system"
    ) -> bool:
        """In the caller's transaction: put an address or a domain on the list.

        True if it was not there, or only because it had bounced. Raises `Invalid` for something that is neither, and
        for a free-mail domain.
        """
        keys, now = self.keys_for(target), self._clock.now()
        standing = self._standing(connection, keys)
        new = [(key, reason, source, actor, iso(now)) for key in keys if says_more(reason, standing.get(key))]
        run_many(connection, ADD, new)
        if new:
            payload = {"reason": reason, "source": source}
            append(connection, [Entry("suppression.added", target, payload, actor)], now)
        return bool(new)

    def add_many_in(
        self, connection: sa.Connection, entries: Sequence[Listed], *, about: str, actor: str
    ) -> int:
        """In the caller's transaction: put these on the list, with one entry in the log. How many were not there."""
        standing = self._standing(connection, [key for one in entries for key in one.keys])
        rows: list[tuple[bytes, str, str, str, str]] = []
        count = 0
        for one in entries:
            fresh = [key for key in one.keys if says_more(one.reason, standing.get(key))]
            standing.update(dict.fromkeys(fresh, one.reason))
            count += bool(fresh)
            rows += [(key, one.reason, one.source, actor, one.at) for key in fresh]
        run_many(connection, ADD, rows)
        if rows:
            told = hashlib.sha256(b"".join(sorted(key for key, *_ in rows))).hexdigest()
            payload: dict[str, Json] = {"new": count, "keys": told}
            append(connection, [Entry("suppression.imported", about, payload, actor)], self._clock.now())
        return count

    async def add(self, target: str, *, reason: str, source: str, actor: str = "system") -> bool:
        """Put an address or a domain on the list, durably. True if it was not there."""
        return await self._store.write(
            lambda c: self.add_in(c, target, reason=reason, source=source, actor=actor)
        )

    def company_of_opt_outs(self, connection: sa.Connection, address: str, now: datetime) -> str:
        """In the caller's transaction: note that this person opted out.

        Returns the company's domain where so many of its people did that all of it has to be held, else "". Free
        mail is no company.
        """
        person = read_address(address)
        domain, most = person.registrable, self._rules.hold_company_at
        if not most or domain in self._free_mail or is_public_suffix(domain):
            return ""
        since = iso(now - timedelta(days=self._rules.hold_company_days))
        key = self.key(DOMAIN, domain)
        run(connection, "DELETE FROM opt_out WHERE at < ?", since)
        run(connection, OPTED_OUT, key, self.key(BROAD, person.broad), iso(now))
        count = value(connection, "SELECT count(*) FROM opt_out WHERE domain = ?", key)
        return domain if count >= most and not self._found(connection, [key]) else ""

    # ── who may have opted out ───────────────────────────────────────────────────────────────────────────
    def hold_in(self, connection: sa.Connection, address: str, *, source: str) -> bool:
        """In the caller's transaction: write to nobody there until a person has decided. True if that is new.

        Not on the list, so that letting go takes nobody off it. Raises `Invalid` for what is no address.
        """
        keys, now = self.keys_for(address), self._clock.now()
        before = value(connection, "SELECT count(*) FROM held WHERE key = ?", keys[0])
        run_many(connection, HOLD, [(key, iso(now)) for key in keys])
        if not before:
            append(connection, [Entry("suppression.held", address, {"source": source})], now)
        return not before

    def let_go_in(self, connection: sa.Connection, address: str, *, actor: str, reason: str) -> bool:
        """In the caller's transaction: a person decided, either way. True if they were held. The list stays."""
        if not reason.strip() or actor.strip().casefold() in NOBODY:
            raise Invalid("letting somebody go needs a named person and a reason", field="reason")
        gone = connection.execute(sa.delete(held).where(held.c.key.in_(self.keys_for(address)))).rowcount
        if gone:
            entry = Entry("suppression.let_go", address, {"reason": reason}, actor)
            append(connection, [entry], self._clock.now())
        return gone > 0

    # ── lifting ──────────────────────────────────────────────────────────────────────────────────────────
    def lift_in(self, connection: sa.Connection, target: str, *, actor: str, reason: str) -> bool:
        """In the caller's transaction: take somebody off the list; the caller has checked who may. True if there."""
        if not reason.strip() or actor.strip().casefold() in NOBODY:
            raise Invalid("lifting a suppression needs a named person and a reason", field="reason")
        keys, now = self.keys_for(target), self._clock.now()
        statement = sa.update(table).where(table.c.key.in_(keys), table.c.lifted_at == "")
        changed = connection.execute(statement.values(lifted_at=iso(now), lifted_by=actor)).rowcount
        connection.execute(
            sa.delete(opt_out).where(sa.or_(opt_out.c.domain.in_(keys), opt_out.c.person.in_(keys)))
        )
        append(connection, [Entry("suppression.lifted", target, {"reason": reason}, actor)], now)
        return changed > 0

    async def lift(self, target: str, *, actor: str, reason: str) -> bool:
        """Take somebody off the list: only for a named person, with a reason. True if they were on it."""
        return await self._store.write(lambda c: self.lift_in(c, target, actor=actor, reason=reason))


def says_more(reason: str, standing: str | None) -> bool:
    """Whether an entry is to be written beside what stands under its key already, if anything does."""
    return standing is None or (standing == BOUNCED != reason)
