"""What the emulator's people do with mail, by a hash of their address, so that a run repeats exactly."""

import hashlib
from dataclasses import dataclass

REPLIES: tuple[tuple[str, str], ...] = (
    (
        "reply_received",
        (
            "Hi, thanks for reaching out. This is timely, we are looking at exactly this for next quarter. "
            "Could you do a short call on Thursday afternoon?"
        ),
    ),
    (
        "reply_received",
        "Interesting. What does this cost for a team of about forty people, and is it billed yearly?",
    ),
    ("reply_received", "Thanks, but we're not interested at the moment. All the best."),
    (
        "auto_reply_received",
        (
            "I am out of the office with no access to e-mail and will be back on Monday. "
            "For urgent matters please write to my colleagues."
        ),
    ),
    ("reply_received", "Please remove me from your list and don't e-mail me again."),
    ("reply_received", "Sounds useful. Can you send over some material and a case study before we talk?"),
    (
        "reply_received",
        "We already use another tool for this and are under contract until the end of the year.",
    ),
)


@dataclass(frozen=True, slots=True)
class Temper:
    """What a person does with mail."""

    bounces: bool
    unsubscribes: bool
    reply: tuple[str, str] | None
    opens: bool


def temper(email: str) -> Temper:
    """By address: about 2 % bounce, 3 % unsubscribe, 20 % reply, and 40 % open.

    More answer than in life, so that a small demo meets every kind of reply.
    """
    digest = hashlib.sha256(email.lower().encode()).digest()
    dice, eye, words = (int.from_bytes(digest[at : at + 4]) % 1_000 for at in (0, 4, 8))
    replies = 70 <= dice < 270
    return Temper(
        bounces=dice < 20,
        unsubscribes=40 <= dice < 70,
        reply=REPLIES[words % len(REPLIES)] if replies else None,
        opens=eye < 400,
    )
