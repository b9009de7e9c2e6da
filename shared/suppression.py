"""Who must not be written to. Monotone: anything may add, only a named person lifts, with a reason.

Held as keyed hashes: no address can be read from the list, it survives erasure, and it may hold a person before
there is a lead. Checked in the transaction that claims an effect, never from a cache.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared.address import Address, ascii_domain, bare, is_public_suffix, read_address, registrable
from shared.audit import Entry, append
from shared.clock import Clock, iso
from shared.errors import Fatal, Invalid
from shared.schema import suppression as table
from shared.sql import among, insertion, run
from shared.store import Store

EXACT, BROAD, DOMAIN, PROOF = b"e", b"b", b"d", b"p"
NOBODY = {"", "system", "agent"}  # names under which no person acts
HASH_BYTES = 16
PROVE = f"{insertion('suppression', ('key', 'reason', 'source', 'actor', 'at'))} ON CONFLICT (key) DO NOTHING"
STANDING = "SELECT key FROM suppression WHERE lifted_at = '' AND key IN"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Why and since when somebody is on the list."""

    reason: str
    source: str
    at: str


class Suppression:
    """The do-not-contact list."""

    def __init__(self, store: Store, clock: Clock, pepper: bytes, free_mail: Iterable[str]) -> None:
        self._store = store
        self._clock = clock
        self._pepper = pepper
        self._free_mail = frozenset(domain.strip().lower() for domain in free_mail)

    async def refuse_if_key_changed(self) -> None:
        """Stop when the hashes were made with another key: the list would be whole, and match nobody."""
        mine = self.key(PROOF, "the key of this list")
        proofs = sa.select(table.c.key).where(sa.func.substr(table.c.key, 1, 1) == PROOF)
        held = await self._store.read(lambda c: c.execute(proofs).scalars().all())
        if held and mine not in held:
            raise Fatal(
                "the suppression list was made with another key than the one under SWARM_HOME/keys: "
                "nobody on it would be recognised. Put the old keys back.",
                code="key_changed",
            )
        if not held:
            row = (mine, "proof of the key", "kernel", "system", iso(self._clock.now()))
            await self._store.write(lambda c: run(c, PROVE, *row) and None)

    def key(self, kind: bytes, text: str) -> bytes:
        """17 bytes: what kind of key, and a keyed hash."""
        return kind + hmac.digest(self._pepper, kind + text.encode(), "sha256")[:HASH_BYTES]

    def keys_of(self, address: Address) -> tuple[bytes, ...]:
        """Every key that would stop this address; domains from the whole one up to the registrable one."""
        labels = address.domain.split(".")
        top = len(address.registrable.split("."))
        domains = [".".join(labels[i:]) for i in range(len(labels) - top + 1)] or [address.domain]
        return (
            self.key(EXACT, address.exact),
            self.key(BROAD, address.broad),
            *(self.key(DOMAIN, domain) for domain in domains),
        )

    def check(self, connection: sa.Connection, addresses: Sequence[str]) -> dict[str, str]:
        """In the caller's transaction: address → refusal reason, for each that may not be written to.

        An address that can't be read is refused as a look-alike: sending is strict.
        """
        refused: dict[str, str] = {}
        owners: dict[bytes, list[str]] = {}
        for text in addresses:
            try:
                address = read_address(text)
            except Invalid:
                refused[text] = "look_alike"
                continue
            if address.look_alike:
                refused[text] = "look_alike"
            for key in self.keys_of(address):
                owners.setdefault(key, []).append(text)
        for key in self._found(connection, list(owners)):
            refused.update(dict.fromkeys(owners[key], "suppressed"))
        return refused

    @staticmethod
    def _found(connection: sa.Connection, keys: list[bytes]) -> list[bytes]:
        return [row["key"] for row in among(connection, STANDING, keys)]

    def add_in(
        self, connection: sa.Connection, target: str, *, reason: str, source: str, actor: str = "system"
    ) -> bool:
        """In the caller's transaction: put an address or a domain on the list. True if it was not there.

        Raises `Invalid` for something that is neither, and for a free-mail domain.
        """
        kinds = self._targets(target)
        now = self._clock.now()
        already = set(self._found(connection, kinds))
        row = {"reason": reason, "source": source, "actor": actor, "at": iso(now)}
        for key in kinds:
            if key in already:
                continue
            connection.execute(sa.delete(table).where(table.c.key == key))
            connection.execute(sa.insert(table).values(key=key, **row))
        if len(already) < len(kinds):
            payload = {"reason": reason, "source": source}
            append(connection, [Entry("suppression.added", target, payload, actor)], now)
        return len(already) < len(kinds)

    def _targets(self, target: str) -> list[bytes]:
        if "@" in bare(target):
            address = read_address(target)
            return [self.key(EXACT, address.exact), self.key(BROAD, address.broad)]
        domain = registrable(ascii_domain(bare(target).strip(".")))
        if "." not in domain or is_public_suffix(domain):
            raise Invalid("expected an e-mail address or a domain", field="target", code="not_an_address")
        if domain in self._free_mail:
            raise Invalid(
                "a free-mail domain belongs to everyone; suppress single addresses instead",
                field="target",
                code="free_mail",
            )
        return [self.key(DOMAIN, domain)]

    async def add(self, target: str, *, reason: str, source: str, actor: str = "system") -> bool:
        """Put an address or a domain on the list, durably. True if it was not there."""
        return await self._store.write(
            lambda c: self.add_in(c, target, reason=reason, source=source, actor=actor)
        )

    async def find(self, target: str) -> Suppressed | None:
        """Why this address or domain is stopped, or None."""
        keys = (
            self.keys_of(read_address(target))
            if "@" in bare(target)
            else tuple(self._targets_or_none(target))
        )

        def query(connection: sa.Connection) -> Suppressed | None:
            found = sa.select(table).where(table.c.key.in_(keys), table.c.lifted_at == "").limit(1)
            row = connection.execute(found).one_or_none()
            return Suppressed(row.reason, row.source, row.at) if row else None

        return await self._store.read(query)

    def _targets_or_none(self, target: str) -> list[bytes]:
        try:
            return self._targets(target)
        except Invalid as error:
            if error.code == "free_mail":
                return []
            raise

    async def refused(self, addresses: Sequence[str]) -> dict[str, str]:
        """Address → reason, for each that may not be written to right now. The gate asks again."""
        return await self._store.read(lambda c: self.check(c, addresses))

    async def lift(self, target: str, *, actor: str, reason: str) -> bool:
        """Take somebody off the list: only for a named person, with a reason. True if they were on it."""
        if not reason.strip() or actor.strip().casefold() in NOBODY:
            raise Invalid("lifting a suppression needs a named person and a reason", field="reason")
        keys = self._targets(target)
        now = self._clock.now()

        def change(connection: sa.Connection) -> bool:
            statement = sa.update(table).where(table.c.key.in_(keys), table.c.lifted_at == "")
            changed = connection.execute(statement.values(lifted_at=iso(now), lifted_by=actor)).rowcount
            append(connection, [Entry("suppression.lifted", target, {"reason": reason}, actor)], now)
            return changed > 0

        return await self._store.write(change)

    async def count(self) -> int:
        """Entries in force, broad keys not counted."""
        query = sa.select(sa.func.count()).where(
            table.c.lifted_at == "", sa.func.substr(table.c.key, 1, 1).in_((EXACT, DOMAIN))
        )
        return await self._store.read(lambda c: c.execute(query).scalar() or 0)
