"""What every page has at hand: the product, the accounts, the templates; and how a page is made of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from importlib.resources import files
from typing import Any, cast

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from orchestrator.accounts import Accounts, Visit
from orchestrator.app import App
from orchestrator.roles import Right, allowed
from shared.clock import parse
from shared.foreign import clean
from shared.telemetry import correlation

Receiver = Callable[[App, str, Mapping[str, str], bytes], Awaitable[int]]
# What a page may say about what was just done; the address carries only the word on the left.
SAID: Mapping[str, str] = {
    "approved": "Approved. The launch begins with the next run of the worker.",
    "rejected": "Rejected. Nothing of it will be sent.",
    "plan_approved": "The plan is approved. It is carried out when somebody asks for it.",
    "plan_edited": "Saved as a new version. Its words are being written and checked.",
    "answer_approved": "Approved. It goes out once, with the next round of the worker.",
    "answer_rejected": "Left. Nothing is sent.",
    "answer_edited": "Saved and checked again.",
    "handoff_taken": "It is yours.",
    "handoff_closed": "Closed.",
    "opt_out_confirmed": "On the list: nobody there will be written to. Vendors are being told.",
    "opt_out_taken_back": "Taken back: they may be planned for again.",
    "referral_taken": "Taken in. The next run over everyone stored scores them; their words wait for an approval.",
    "referral_declined": "Declined. Who it was is forgotten.",
    "task_done": "Noted as done.",
    "task_skipped": "Left.",
    "implementing": "The plan is being carried out.",
    "not_implemented_needs_approval": "Not carried out: nobody has approved this version.",
    "not_implemented_plan_moved": "Not carried out: something of it was changed since its approval. Look again.",
    "not_implemented_leads_moved": "Not carried out: what we know of its people changed. Research this run again.",
    "not_implemented_approval_expired": "Not carried out: the yes to some words has run out. Approve them again.",
    "not_implemented_kill_switch": "Not carried out: the kill switch is on.",
    "edited": "Saved and checked again.",
    "read": "Noted as read.",
    "left_out": "Left out.",
    "let_in": "Back in the campaign.",
    "paused": "Paused, here and at the vendor.",
    "paused_here": "Paused here. The campaign isn't at the vendor yet.",
    "paused_unconfirmed": "Paused here, but the vendor hasn't confirmed it: look there too.",
    "resumed": "Resumed.",
    "not_resumed": "Not resumed: it is paused again. See the effects in the campaign's history.",
    "killed": "The kill switch is on. No effect begins any more.",
    "killed_by_file": "The kill switch is on by the flag file; the database could not be written.",
    "released": "The kill switch is released.",
    "released_some_back": "The kill switch is released. What had waited too long is back in review.",
    "asked": "Noted. It goes on once a second admin says so, too, on this page.",
    "still_killed": "Released in the database, but environment or configuration still hold it on.",
    "safe_on": "Safe mode is on: everything is simulated. The vendor's campaigns are being paused.",
    "safe_off": "Left safe mode as far as the database has a say.",
    "cleared": "Cleared.",
    "settled": "Settled, by your word.",
    "suppressed": "On the list: nobody there will be written to.",
    "suppressed_before": "It was on the list already.",
    "lifted": "Off the list. What vendors hold against them is lifted there.",
    "not_suppressed": "It was not on the list.",
    "welcome": "Your account is ready. Log in.",
    "logged_out": "You are logged out.",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """Made once by `create_web`."""

    app: App
    accounts: Accounts
    templates: jinja2.Environment
    hosts: frozenset[str]
    receive: Receiver
    secure: bool

    @property
    def cookie(self) -> str:
        """The session cookie's name; the prefix binds it to this host where that works."""
        return "__Host-gatekeeper" if self.secure else "gatekeeper"


def desk(request: Request) -> Desk:
    """What `create_web` laid out."""
    return cast("Desk", request.app.state.desk)


def templates() -> jinja2.Environment:
    """The templates: everything escaped, and a missing value is a fault rather than an empty place."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(files("orchestrator.web") / "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(when=when, plain=plain, outside=outside, span=span, persons=persons)
    return environment


def persons(count: int) -> str:
    """1 → `1 person`, 2 → `2 people`."""
    return f"{count:,} {'person' if count == 1 else 'people'}"


def when(text: str, *, seconds: bool = False) -> str:
    """`2026-11-23T11:15:00+00:00` → `23 Nov 2026, 11:15 UTC`; what isn't a time stays as it is."""
    try:
        moment: datetime = parse(text)
    except ValueError:
        return text
    return (
        f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC" if seconds else f"{moment.day} {moment:%b %Y, %H:%M} UTC"
    )


def span(seconds: float) -> str:
    """`5400.0` → `1.5 h`; what is short in minutes, what is long in days."""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def plain(text: str) -> str:
    """`pending_review` → `pending review`."""
    return text.replace("_", " ")


def outside(text: str) -> str:
    """Text from outside without what hides or reorders it; escaping is the template's part."""
    return clean(text)


async def page(
    request: Request, template: str, visit: Visit | None, *, status: int = HTTPStatus.OK, **values: Any
) -> Response:
    """An HTML page with what stands on each of them: who is here, and the state of every switch."""
    at = desk(request)
    safety = await at.app.kernel.switches.now()

    def may(right: Right) -> bool:
        return visit is not None and not visit.idle and allowed(visit.account.role, right)

    text = at.templates.get_template(template).render(
        visit=visit,
        may=may,
        safety=safety,
        sandbox=at.app.kernel.settings.all_sandbox,
        path=request.url.path,
        said=SAID.get(request.query_params.get("said", ""), ""),
        correlation_id=correlation(),
        **values,
    )
    return HTMLResponse(text, status_code=status)


def done(to: str, said: str) -> Response:
    """After a change: a page to look at, so that reloading repeats nothing."""
    return RedirectResponse(f"{to}{'&' if '?' in to else '?'}said={said}", HTTPStatus.SEE_OTHER)
