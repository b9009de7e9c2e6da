"""A provider's run as a page of people: status by table, rows by name, success that lies told apart.

run:  running ─▶ finished            rows, or a sentence why there are none
              ├▶ partial             ended badly, rows kept
              └▶ failed              ended badly or every row is an error: a person must look
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from servers.hunter.api import Apify, PhantomBuster
from servers.hunter.columns import Origin, layout_of, lead_of
from servers.hunter.room import Room
from shared.errors import Invalid
from shared.ports import LeadPage, Quarantined, SourcedLead

Status = Literal["running", "finished", "failed", "partial"]
Kind = Literal["likers", "commenters"]

PAGE_ROWS = 100
PHANTOMBUSTER_STATUS: Mapping[str, Status] = {
    "starting": "running",
    "running": "running",
    "finished": "finished",
    "launch error": "failed",
}
APIFY_STATUS: Mapping[str, Status] = {
    "READY": "running",
    "RUNNING": "running",
    "SUCCEEDED": "finished",
    "FAILED": "failed",
    "TIMING-OUT": "running",
    "TIMED-OUT": "failed",
    "ABORTING": "running",
    "ABORTED": "failed",
}
ORIGINS: Mapping[str, Origin] = {
    "likers": Origin("post_liker", action="liked"),
    "commenters": Origin("post_commenter", action="commented"),
}
# What providers print when LinkedIn has noticed the session. Only ever compared, never repeated.
WARNINGS = (
    "session cookie",
    "disconnected by linkedin",
    "log in again",
    "login again",
    "checkpoint",
    "captcha",
    "identity",
    "restricted",
    "too many requests",
    "unusual activity",
)
RESTRICTED = (
    "The provider reports that LinkedIn refused its session. All sourcing stands still for some days now, and that "
    "session is retired; a person must check the account at the provider."
)
ONLY_ERRORS = "Every row is an error: the provider could not read the post. A person must look at the run."
NO_ROWS = "The run ended without rows. An agent skips posts it has processed before; a new post gives rows."
BAD_END = "The run ended badly; what it had found by then is kept."
FAILED = "The run failed and found nothing. A person must look at it at the provider."
NOT_YET = "The provider doesn't show this run yet; it may take half a minute after the launch."
EXPECTED_JOB = "expected phantombuster:<container id> or apify:<run id>, as scrape_posts answered"


def read_reference(job_id: str) -> tuple[str, str]:
    """A job's provider and its id there; `Invalid` when it is neither's."""
    provider, _, reference = job_id.partition(":")
    if provider not in {"phantombuster", "apify"} or not reference.isalnum() or len(reference) > 40:
        raise Invalid(EXPECTED_JOB, field="job_id")
    return provider, reference


def read_offset(cursor: str) -> int:
    """How many rows earlier pages gave."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise Invalid("expected the next_cursor of an earlier page", field="cursor")
    return int(cursor or 0)


async def phantombuster_page(api: PhantomBuster, container_id: str, cursor: str) -> LeadPage:
    """A page of one container's rows."""
    offset = read_offset(cursor)
    try:
        run = await api.container(container_id)
    except Invalid as error:
        if error.status != 404:
            raise
        return LeadPage("running", message=NOT_YET)
    status = PHANTOMBUSTER_STATUS.get(str(run.get("status")), "running")
    if status == "running":
        return LeadPage("running")
    if run.get("endType") not in (None, "finished") or run.get("exitCode"):
        status = "failed"
    rows = await api.rows(container_id)
    page = _page(rows[offset:], offset, _told(run), dict)
    said = await _printed(api, container_id) if not page.leads and not offset else ""
    return _judged(page, status, total=len(rows), errors=_errors(rows) + said)


async def _printed(api: PhantomBuster, container_id: str) -> str:
    """What a run without rows printed."""
    return str((await api.container(container_id, output=True)).get("output") or "")


async def apify_page(api: Apify, run_id: str, cursor: str) -> LeadPage:
    """A page of one run's dataset."""
    offset = read_offset(cursor)
    run = await api.run(run_id)
    status = APIFY_STATUS.get(str(run.get("status")), "running")
    if status == "running":
        return LeadPage("running")
    rows = await api.items(str(run.get("defaultDatasetId", "")), offset, PAGE_ROWS + 1)
    page = _page(rows, offset, Origin(), flat_actor)
    return _judged(page, status, total=offset + len(rows), errors=_errors(rows))


def flat_actor(row: Mapping[str, Any]) -> dict[str, Any]:
    """An actor's row with the person's own fields on top, in names that `columns` knows."""
    actor = row.get("actor")
    person = actor if isinstance(actor, dict) else {}
    kept = {name: row[name] for name in ("reactionType", "commentary", "error") if row.get(name)}
    return kept | {
        "name": person.get("name"),
        "profileUrl": person.get("linkedinUrl"),
        "headline": person.get("position"),
        "timestamp": row.get("createdAt"),
        "sourceName": f"post {row['postId']}" if row.get("postId") else "",
    }


def lead_from(row: Mapping[str, Any], line: int, origin: Origin) -> SourcedLead | str:
    """The person in one row of a provider, or why it can't be used."""
    if row.get("error"):
        return "the provider could not read this one"
    return lead_of(layout_of(list(row)), [_text(value) for value in row.values()], line, origin)


def _text(value: object) -> str:
    """A cell as text: of a list its first entry, of an object nothing."""
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    return "" if value is None or isinstance(value, dict) else str(value)


def _told(run: Mapping[str, Any]) -> Origin:
    """What the job was started for, as we wrote into the run's metadata."""
    found = run.get("userCustomMetadata")
    metadata = found if isinstance(found, dict) else {}
    known = ORIGINS.get(str(metadata.get("kind")), Origin())
    return Origin(known.type, "phantombuster", _text(metadata.get("post_url")), known.action)


def _page(
    rows: Sequence[Any], offset: int, origin: Origin, flat: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> LeadPage:
    """As many rows as one page may hold, good and bad."""
    leads: list[SourcedLead] = []
    bad: list[Quarantined] = []
    room = Room()
    used = 0
    for line, row in enumerate(rows[:PAGE_ROWS], offset + 1):
        lead = lead_from(flat(row), line, origin) if isinstance(row, dict) else "not a row"
        if not room.takes(lead):
            break
        used += 1
        if isinstance(lead, str):
            bad.append(Quarantined(line, lead))
        else:
            leads.append(lead)
    more = str(offset + used) if used < len(rows) else ""
    return LeadPage("finished", tuple(leads), tuple(bad), more)


def _errors(rows: Sequence[Any]) -> str:
    """The rows' error texts in one, to be searched for warnings."""
    return "\n".join(str(row["error"]) for row in rows if isinstance(row, dict) and row.get("error"))


def _judged(page: LeadPage, status: Status, *, total: int, errors: str) -> LeadPage:
    """The page with the status and sentence that its rows deserve."""
    status, message = _verdict(status, page, total)
    if any(warning in errors.lower() for warning in WARNINGS):
        message = RESTRICTED
    return LeadPage(status, page.leads, page.quarantined, page.next_cursor, message)


def _verdict(status: Status, page: LeadPage, total: int) -> tuple[Status, str]:
    if status == "failed":
        return ("partial", BAD_END) if page.leads else ("failed", FAILED)
    if not total:
        return "finished", NO_ROWS
    if not page.leads and page.quarantined and len(page.quarantined) == total:
        return "failed", ONLY_ERRORS
    return "finished", ""
