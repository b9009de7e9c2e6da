"""Pure: how drafts and enrollments are written for Instantly, and whether it holds what was written.

A campaign at Instantly has no words of its own: every step is `{{subject_N}}` over `{{body_N}}`, and each
person brings their rendered messages as custom variables. So what was approved is what is sent, to the
letter.
"""

import html
import re
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any

from servers.instantly.timezones import VendorWindow, vendor_window
from shared.errors import Invalid
from shared.ports import CampaignDraft, Enrollment, SendingWindow

SEPARATOR = " · swarm-"
MERGE_TAGS = ("{{", "}}", "{unsubscribe_link}")
# What a campaign must hold whatever else was configured; checked again before it is started.
GUARDS: Mapping[str, bool] = {
    "stop_on_reply": True,
    "insert_unsubscribe_header": True,
    "disable_bounce_protect": False,
    "allow_risky_contacts": False,
}
# Nobody else gets a copy of what is sent, and the first message keeps its markup: the unsubscribe link is one.
KEPT: Mapping[str, Any] = {"cc_list": [], "bcc_list": [], "text_only": False, "first_email_text_only": False}
# Without the prefix these custom variables would overwrite fields of the webhook's payload.
LEAD_ID, CAMPAIGN_ID, VARIANT = "swarm_lead_id", "swarm_campaign_id", "swarm_variant"


def search_mark(campaign_id: str) -> str:
    """What a search for our campaign asks for."""
    return f"swarm-{campaign_id}"


def unique_name(draft: CampaignDraft) -> str:
    """The campaign's name at Instantly: our id at its end lets a retried create find the first."""
    return f"{draft.name}{SEPARATOR}{draft.campaign_id}"


def is_ours(campaign: Mapping[str, Any], campaign_id: str) -> bool:
    """Whether this is the campaign made for `campaign_id`; a search also finds longer names."""
    return str(campaign.get("name", "")).endswith(f"{SEPARATOR}{campaign_id}")


def campaign_id_of(campaign: Mapping[str, Any]) -> str:
    """Our id of a campaign, by its name; empty for one that we didn't make."""
    return (
        str(campaign.get("name", "")).rpartition(SEPARATOR)[2]
        if SEPARATOR in str(campaign.get("name"))
        else ""
    )


def hours_of(campaign: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first of a campaign's schedules: ours have one."""
    schedules = _objects(_object(campaign.get("campaign_schedule")).get("schedules"))
    return schedules[0] if schedules else {}


def weekdays_of(hours: Mapping[str, Any]) -> tuple[int, ...]:
    """The days of a schedule that are on, from Monday as 0; the vendor's day 0 is Sunday."""
    days = _object(hours.get("days"))
    return tuple(sorted((int(day) + 6) % 7 for day, on in days.items() if on and str(day).isdigit()))


def step_words(number: int, unsubscribe_text: str) -> dict[str, str]:
    """The one variant of step `number`. Single braces: Instantly resolves the link itself, per person."""
    link = f'<a href="{{unsubscribe_link}}">{html.escape(unsubscribe_text)}</a>'
    return {
        "subject": f"{{{{subject_{number}}}}}",
        "body": f"<div>{{{{body_{number}}}}}</div><div><br /></div><div>{link}</div>",
    }


def delays(day_offsets: tuple[int, ...]) -> tuple[int, ...]:
    """Days each step waits before the next one: the vendor's delay is the gap after; the last has none."""
    gaps = tuple(after - before for before, after in pairwise(day_offsets))
    if not day_offsets or day_offsets[0] != 0 or any(gap < 1 for gap in gaps):
        raise Invalid("day offsets must start at 0 and rise", field="draft.day_offsets")
    return (*gaps, 0)


def schedule(window: SendingWindow, today: date) -> tuple[dict[str, Any], VendorWindow]:
    """The sending window in a zone the vendor accepts; its day 0 is Sunday, ours is Monday."""
    if not window.weekdays:
        raise Invalid("a sending window needs a weekday", field="draft.window.weekdays")
    accepted = vendor_window(window, today)
    days = {str((day + 1) % 7): day in window.weekdays for day in range(7)}
    one = {
        "name": "Sending window",
        "timing": {"from": accepted.start, "to": accepted.end},
        "days": dict(sorted(days.items())),
        "timezone": accepted.timezone,
    }
    return {"schedules": [one]}, accepted


def campaign_body(
    draft: CampaignDraft, today: date, *, open_tracking: bool, stop_for_company: bool, unsubscribe_text: str
) -> tuple[dict[str, Any], str]:
    """The body of the create call, and a warning where another time zone had to be taken; see `timezones`."""
    if not draft.mailboxes:
        raise Invalid("a campaign needs a mailbox to send from", field="draft.mailboxes")
    when, accepted = schedule(draft.window, today)
    steps = [
        {"type": "email", "delay": delay, "delay_unit": "days", "variants": [step_words(n, unsubscribe_text)]}
        for n, delay in enumerate(delays(draft.day_offsets), start=1)
    ]
    body = {
        "name": unique_name(draft),
        "campaign_schedule": when,
        "sequences": [{"steps": steps}],
        "email_list": list(draft.mailboxes),
        "daily_limit": draft.daily_limit,
        "open_tracking": open_tracking,
        "link_tracking": False,
        "stop_on_auto_reply": False,
        "stop_for_company": stop_for_company,
        **GUARDS,
        **KEPT,
    }
    return body, accepted.warning


def differences(wanted: Mapping[str, Any], held: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the fields of `wanted` that the vendor does not hold, after undoing what it normalises."""
    return tuple(key for key, value in wanted.items() if _plain(key, value) != _plain(key, held.get(key)))


def steps_of(campaign: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The steps of a campaign; only the first sequence counts at Instantly."""
    sequences = campaign.get("sequences")
    first = sequences[0] if isinstance(sequences, list) and sequences else {}
    return _objects(_object(first).get("steps"))


def unsafe(campaign: Mapping[str, Any], unsubscribe_text: str) -> str:
    """Why this campaign may not be started, or nothing: it may have been edited in Instantly's own app."""
    steps = steps_of(campaign)
    if not campaign.get("email_list"):
        return "it has no mailbox to send from"
    if not steps:
        return "it has no steps"
    for number, step in enumerate(steps, start=1):
        if _variants(step) != [_words(step_words(number, unsubscribe_text))]:
            return f"the words of step {number} were changed at the vendor"
    must = {**GUARDS, **{name: bool(value) for name, value in KEPT.items()}}
    changed = [name for name, value in must.items() if bool(campaign.get(name)) is not value]
    return f"{changed[0]} was changed at the vendor" if changed else ""


def words_problem(enrollment: Enrollment, campaign: Mapping[str, Any]) -> tuple[str, str]:
    """Why this person can't be enrolled as they are: a code and a sentence, both empty if they can."""
    if not is_ours(campaign, enrollment.campaign_id):
        return "wrong_campaign", "the enrollment is for another campaign"
    steps = len(steps_of(campaign))
    if not steps or len(enrollment.messages) != steps:
        return "messages_missing", "there must be one message per step of the campaign"
    if not enrollment.messages[0].subject.strip():
        return "subject_missing", "the first message needs a subject"
    if any(not message.body.strip() for message in enrollment.messages):
        return "body_missing", "a message has no words"
    texts = [text for message in enrollment.messages for text in (message.subject, message.body)]
    if any(tag in text for text in texts for tag in MERGE_TAGS):
        return "merge_tag", "a message holds a placeholder that the vendor would replace"
    return "", ""


def lead_body(enrollment: Enrollment) -> dict[str, Any]:
    """One person of an import, with their rendered messages as custom variables."""
    names = {
        "first_name": enrollment.first_name,
        "last_name": enrollment.last_name,
        "company_name": enrollment.company,
    }
    return {
        "email": enrollment.email,
        **{key: value for key, value in names.items() if value},
        "custom_variables": custom_variables(enrollment),
    }


def custom_variables(enrollment: Enrollment) -> dict[str, str]:
    """Subject and body of every step, and our ids. Bodies are plain text, escaped for HTML."""
    variables = {
        LEAD_ID: enrollment.lead_id,
        CAMPAIGN_ID: enrollment.campaign_id,
        VARIANT: enrollment.variant,
    }
    for number, message in enumerate(enrollment.messages, start=1):
        variables[f"subject_{number}"] = message.subject
        variables[f"body_{number}"] = as_html(message.body)
    return variables


def holds_words(lead: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    """Whether the vendor's lead carries exactly these words."""
    payload = _object(lead.get("payload"))
    return all(_markup(str(payload.get(key, ""))) == _markup(value) for key, value in variables.items())


def as_html(text: str) -> str:
    """Plain text for a field that is sent as markup."""
    return "<br />".join(html.escape(text, quote=False).splitlines())


def _plain(key: str, value: Any) -> Any:
    """A field in the form in which it is compared: order, markup and omitted `false` don't count."""
    if key == "email_list":
        return sorted(str(mailbox).lower() for mailbox in value) if isinstance(value, list) else value or []
    if key == "campaign_schedule":
        return [_when(one) for one in _objects(_object(value).get("schedules"))]
    if key == "sequences":
        return _rhythm(_steps(value)), [_variants(step) for step in _steps(value)]
    if key == "name":
        return str(value)
    return value or 0


def _rhythm(steps: list[Mapping[str, Any]]) -> list[tuple[Any, str]]:
    """The gaps between messages. The last step's is asked for by the vendor, and means nothing."""
    return [(step.get("delay"), step.get("delay_unit") or "days") for step in steps[:-1]]


def _steps(sequences: Any) -> list[Mapping[str, Any]]:
    return steps_of({"sequences": sequences})


def _when(one: Mapping[str, Any]) -> tuple[Any, ...]:
    timing, days = _object(one.get("timing")), _object(one.get("days"))
    return (
        timing.get("from"),
        timing.get("to"),
        sorted(day for day, on in days.items() if on),
        one.get("timezone"),
    )


def _variants(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [_words(one) for one in _objects(step.get("variants")) if not one.get("v_disabled")]


def _object(value: Any) -> Mapping[str, Any]:
    """An object of the vendor's; anything else counts as an empty one."""
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list of the vendor's; anything else counts as none."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _words(variant: Mapping[str, Any]) -> tuple[str, str]:
    return str(variant.get("subject", "")), _markup(str(variant.get("body", "")))


def _markup(text: str) -> str:
    """HTML as Instantly gives it back: `<br>` in one form, no non-breaking spaces."""
    return re.sub(r"<br\s*/?>", "<br />", text).replace("&nbsp;", " ").strip()
