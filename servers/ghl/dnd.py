"""Who a contact is and whether it may be written to: addresses, tags and do-not-contact marks, by tables.

`active` means do not contact. `dnd: true` with every channel inactive is a real state, and counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from servers.ghl.dialect import Dialect, Raw
from shared.effect import Json

# Fixed, not configured: a webhook must be understood without the configuration at hand.
DNC_TAG = "dnc"
# Status of a channel → whether it is closed. An unknown word closes it: better silent than unlawful.
CLOSED: Mapping[str, bool] = {"active": True, "permanent": True, "inactive": False, "": False}
TRUE = {"true", "1", "yes", "on"}
WORDS: Mapping[str, str] = {
    "crm_dnd": "do-not-disturb is on for every channel",
    "crm_unsubscribed": "they unsubscribed",
    "crm_dnc_tag": f"they have the tag {DNC_TAG}",
}


# ── who ──────────────────────────────────────────────────────────────────────────────────────────────────
def addresses_of(contact: Raw) -> tuple[str, ...]:
    """The contact's own address first, then its others, folded; each once."""
    others = contact.get("additionalEmails")
    found = [contact.get("email"), *(others if isinstance(others, list) else ())]
    plain = [one.get("email") or one.get("value") if isinstance(one, Mapping) else one for one in found]
    folded = (str(one).strip().lower() for one in plain if one)
    return tuple(dict.fromkeys(one for one in folded if one))


def same(contact: Raw, email: str) -> str:
    """How the contact has this address: "primary", "secondary", or "" if it is somebody else."""
    own = addresses_of(contact)
    wanted = email.strip().lower()
    if wanted not in own:
        return ""
    return "primary" if str(contact.get("email") or "").strip().lower() == wanted else "secondary"


def tags_of(contact: Raw) -> frozenset[str]:
    """The contact's tags, folded: the vendor saves them in lower case."""
    tags = contact.get("tags")
    return fold(tags if isinstance(tags, (list, tuple)) else ())


def fold(tags: Sequence[Any]) -> frozenset[str]:
    """Tags as the vendor compares them."""
    return frozenset(str(tag).strip().lower() for tag in tags) - {""}


# ── whether ──────────────────────────────────────────────────────────────────────────────────────────────
def channels(contact: Raw) -> dict[str, str]:
    """Every channel with its status, in lower case; unknown channels are kept."""
    settings = contact.get("dndSettings")
    listed = settings.items() if isinstance(settings, Mapping) else ()
    return {
        str(name).casefold(): str(setting.get("status") or "")
        if isinstance(setting, Mapping)
        else str(setting or "")
        for name, setting in listed
    }


def closed(status: str) -> bool:
    """Whether a channel of this status may not be used."""
    return CLOSED.get(status.casefold(), True)


def why_blocked(contact: Raw, channel: str = "email") -> str:
    """Why the contact may not be written to by this channel, or ""."""
    if str(contact.get("dnd")).lower() in TRUE:
        return "crm_dnd"
    # Before what a stop of ours closes: that they asked for it themselves must not be hidden.
    if channel == "email" and contact.get("unsubscribeEmail") is True:
        return "crm_unsubscribed"
    if closed(channels(contact).get(channel, "")):
        return f"crm_dnd_{channel}"
    return "crm_dnc_tag" if DNC_TAG in tags_of(contact) else ""


def sentence(reason: str) -> str:
    """Why, for a person."""
    return WORDS.get(reason, f"do-not-disturb is on for {reason.removeprefix('crm_dnd_')}")


def marked(contact: Raw) -> bool:
    """Whether the contact already carries the do-not-contact tag and e-mail DND."""
    return DNC_TAG in tags_of(contact) and closed(channels(contact).get("email", ""))


def closing(contact: Raw, reason: str, dialect: Dialect) -> dict[str, Json]:
    """All channels as they are, e-mail closed; sent whole, since whether a part merges is not documented.

    Nothing here opens a channel, or touches `dnd`. Unknown channels can't be sent: a 422 would cost the mark.
    """
    settings: dict[str, Json] = {}
    given = contact.get("dndSettings")
    for name, setting in given.items() if isinstance(given, Mapping) else ():
        known = dialect.channel(str(name).casefold())
        if known and isinstance(setting, Mapping) and setting.get("status"):
            settings[known] = {k: str(setting[k]) for k in ("status", "message", "code") if setting.get(k)}
    if not closed(channels(contact).get("email", "")):
        settings[dialect.channel("email")] = {"status": "active", "message": reason[:200]}
    return {"dndSettings": settings}


def reopened(before: Raw, after: Raw) -> list[str]:
    """Channels that were closed and aren't any more: a write of ours must never do that."""
    now = channels(after)
    return [
        name for name, status in channels(before).items() if closed(status) and not closed(now.get(name, ""))
    ]
