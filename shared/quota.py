"""What a vendor's headers say of its limits: read, and compared with what we know of our own calls.

Only headers that the account's file names are read; most vendors send none, and nobody sends when a window ends. So
what is learnt is how many calls others have made with the same account, and how many there are at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.rings import QUEUE, Ring, Rings
from shared.vendor_rules import Limit

LONG_WINDOW = 3_600.0  # seconds: too many calls to count, and to wait for
HOLD = 900.0  # seconds that ordinary calls stay away from a long window that is nearly used up
BELIEVED = 3_600.0  # seconds that a smaller number of calls holds after it was last told
HIGHEST = 1_000_000_000
DIGITS = 10


@dataclass(frozen=True, slots=True)
class Told:
    """Calls left under a limit, and calls there are; -1 where the answer doesn't say."""

    left: int = -1
    most: int = -1


def read(limit: Limit, headers: Mapping[str, str]) -> Told:
    """What an answer says of this limit; what can't be a number of calls isn't believed."""
    return Told(_number(headers, limit.remaining_header), _number(headers, limit.limit_header))


def _number(headers: Mapping[str, str], name: str) -> int:
    text = (headers.get(name) or "").strip() if name else ""
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS or int(text) > HIGHEST:
        return -1
    return int(text)


def matters(limit: Limit, told: Told) -> bool:
    """Whether the database has to be asked: fewer calls than we count on, or less than half of them left."""
    return 0 < told.most < limit.calls or 0 <= told.left <= limit.calls // 2


def others(rings: Rings, ring: Ring, told: Told, sent: float) -> int:
    """Calls under a short limit that somebody else must have made. `sent`: when the request left, seconds since 1970.

    All of ours since a window before that are taken off, also those that the vendor can't have counted yet: others are
    never seen where there are none.
    """
    if told.left < 0 or ring.limit.seconds >= LONG_WINDOW:
        return 0
    most = min(ring.limit.calls, told.most if told.most > 0 else ring.limit.calls)
    ours = rings.count_since(ring, sent - ring.limit.seconds - rings.margin)
    return max(0, most - ours - told.left)


def used_up(ring: Ring, told: Told) -> bool:
    """Whether of a long window only what is kept for stops is left."""
    return ring.limit.seconds >= LONG_WINDOW and 0 <= told.left <= ring.limit.kept


def news(rings: Rings, ring: Ring, told: Told, sent: float) -> bool:
    """Whether anything of it isn't known yet; nearly every answer only repeats what is."""
    fewer = 0 < told.most < ring.limit.calls
    known = told.most == ring.announced and ring.announced_until > rings.now + BELIEVED / 2
    return (fewer and not known) or used_up(ring, told) or others(rings, ring, told, sent) > 0


def learn(rings: Rings, ring: Ring, told: Told, sent: float) -> None:
    """Count what others did as ours, and let ordinary calls stay away from a long window that is used up."""
    if 0 < told.most < ring.limit.calls:
        rings.announce(ring, told.most, rings.now + BELIEVED)
    if used_up(ring, told):
        rings.block(rings.ring(ring.key + QUEUE, ring.limit), rings.now + HOLD)
    rings.take_many(ring, max(ring.last, rings.now), others(rings, ring, told, sent))
