"""One campaign as Instantly holds it, in our words, and where that differs from what was drafted here."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from servers.instantly import drafts
from servers.instantly.account import Instantly
from servers.instantly.effects import last_drafted
from servers.instantly.views import campaign_status, number_of, text_of
from shared.errors import Invalid


@dataclass(frozen=True, slots=True)
class CampaignDetail:
    """A campaign with its hours and rhythm. `campaign_id` is ours, empty for one that we didn't make.

    `changed` names what Instantly holds otherwise than it was drafted here last: while there is anything, the campaign
    is neither started nor resumed. Weekdays count from Monday as 0.
    """

    id: str
    name: str
    status: str
    campaign_id: str = ""
    timezone: str = ""
    start: str = ""
    end: str = ""
    weekdays: tuple[int, ...] = ()
    day_offsets: tuple[int, ...] = ()
    mailboxes: tuple[str, ...] = ()
    daily_limit: int = -1
    changed: tuple[str, ...] = ()


async def inspect(instantly: Instantly, campaign_ref: str) -> CampaignDetail:
    """Read one campaign, and compare it with the draft in the ledger, if it is ours."""
    held = await instantly.api.campaign(campaign_ref)
    campaign_id = drafts.campaign_id_of(held)
    return _detail(held, campaign_id, await _changed(instantly, held, campaign_id))


async def _changed(instantly: Instantly, held: Mapping[str, Any], campaign_id: str) -> tuple[str, ...]:
    if not campaign_id:
        return ()
    try:
        drafted = await last_drafted(instantly, campaign_id)
    except Invalid:
        return ()  # it bears our mark, and was made by another installation
    body = drafted.content["body"]
    return drafts.differences(body, held) if isinstance(body, Mapping) else ()


def _detail(held: Mapping[str, Any], campaign_id: str, changed: tuple[str, ...]) -> CampaignDetail:
    hours = drafts.hours_of(held)
    found = hours.get("timing")
    timing: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    steps, mailboxes = drafts.steps_of(held), held.get("email_list")
    gaps = [number_of(step, "delay", 0) for step in steps[:-1]]
    return CampaignDetail(
        id=text_of(held, "id"),
        name=text_of(held, "name"),
        status=campaign_status(held),
        campaign_id=campaign_id,
        timezone=text_of(hours, "timezone"),
        start=text_of(timing, "from"),
        end=text_of(timing, "to"),
        weekdays=drafts.weekdays_of(hours),
        day_offsets=tuple(accumulate(gaps, initial=0)) if steps else (),
        mailboxes=tuple(map(str, mailboxes)) if isinstance(mailboxes, list) else (),
        daily_limit=number_of(held, "daily_limit"),
        changed=changed,
    )
