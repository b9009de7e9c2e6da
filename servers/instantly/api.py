"""Instantly's API v2 as typed methods, for the endpoints this project uses; no policy, no retry.

Its errors are `{statusCode, error, message}`. It has no idempotency key. Lists give at most 100 per page:
more answers an empty page. A cursor does not mean there is more, so paging stops on an empty page as well.
There is no method for deleting a collection: that call deletes everything that matches.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from shared.errors import Fatal, InDoubt, Invalid, Retryable
from shared.gate import Permit
from shared.http import Answer, ApiClient, ErrorRow

PAGE = 100
LEADS_PER_REQUEST = 1_000
V2 = "/api/v2"
# POSTs that change nothing.
READING_POSTS = {("POST", f"{V2}/leads/list"), ("POST", f"{V2}/accounts/warmup-analytics")}
MAIL = "emails"  # the rate limit of everything that reads mail
RULES = (
    ErrorRow(401, "", Fatal, "credentials", "Instantly does not accept the API key; make a new v2 key."),
    ErrorRow(402, "", Fatal, "no_plan", "The Instantly workspace has no active paid plan."),
    ErrorRow(
        403, "", Fatal, "scope", "The Instantly API key lacks a scope; see docs/integrations/INSTANTLY.md."
    ),
    ErrorRow(400, "timezone", Invalid, "timezone", "Instantly does not accept this time zone."),
    ErrorRow(413, "", Invalid, "too_large", "Instantly finds this request too large; ask for less."),
)

Record = Mapping[str, Any]
Query = Mapping[str, str | int | bool]
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and the cursor of the next page: empty if there is none."""

    items: tuple[Record, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class InstantlyApi:
    """One workspace. Reads raise what `shared.http` raises; writes need a permit."""

    client: ApiClient

    async def workspace(self) -> Record:
        """The workspace that the key belongs to, with its settings."""
        return _record(await self.client.read("GET", f"{V2}/workspaces/current"))

    # ── campaigns ────────────────────────────────────────────────────────────────────────────────────────
    async def campaigns(self, cursor: str = "", search: str = "") -> Page:
        """A page of campaigns; `search` is part of the name."""
        return await self._list("/campaigns", cursor, search=search)

    async def campaign(self, ref: str) -> Record:
        """One campaign."""
        return _record(await self.client.read("GET", f"{V2}/campaigns/{_segment(ref)}"))

    async def campaign_figures(self, ref: str) -> Record:
        """One campaign's figures; the vendor answers a list."""
        answer = await self.client.read("GET", f"{V2}/campaigns/analytics", params={"id": ref})
        found = [one for one in _records(answer) if one.get("campaign_id") == ref]
        if not found:
            raise Invalid(
                "Instantly has no figures for this campaign", field="campaign_ref", code="not_found"
            )
        return found[0]

    async def create_campaign(self, permit: Permit, body: Record) -> Record:
        """A new campaign, always a draft."""
        return _written(await self.client.write(permit, "POST", f"{V2}/campaigns", json=dict(body)))

    async def update_campaign(self, permit: Permit, ref: str, changes: Record) -> Record:
        """Change fields; lists and sequences are replaced whole."""
        path = f"{V2}/campaigns/{_segment(ref)}"
        return _written(await self.client.write(permit, "PATCH", path, json=dict(changes)))

    async def activate_campaign(self, permit: Permit, ref: str) -> Record:
        """Start or resume sending."""
        return _written(await self.client.write(permit, "POST", f"{V2}/campaigns/{_segment(ref)}/activate"))

    async def pause_campaign(self, permit: Permit, ref: str) -> Record:
        """Stop sending."""
        return _written(await self.client.write(permit, "POST", f"{V2}/campaigns/{_segment(ref)}/pause"))

    # ── people ───────────────────────────────────────────────────────────────────────────────────────────
    async def leads(self, emails: Sequence[str], campaign_ref: str = "", cursor: str = "") -> Page:
        """Leads with one of these addresses (at most 100), in one campaign or in all of them."""
        body: dict[str, Any] = {"contacts": list(emails), "limit": PAGE}
        body |= {"campaign": campaign_ref} if campaign_ref else {}
        body |= {"starting_after": cursor} if cursor else {}
        return _page(await self.client.read("POST", f"{V2}/leads/list", json=body), cursor)

    async def add_leads(self, permit: Permit, campaign_ref: str, leads: Sequence[Record]) -> Record:
        """Import up to 1,000 people. A 200 says only that it was processed: see `created_leads`."""
        body = {
            "campaign_id": campaign_ref,
            "leads": list(leads),
            "skip_if_in_workspace": False,
            "skip_if_in_campaign": True,
        }
        answer = await self.client.write(permit, "POST", f"{V2}/leads/add", json=body)
        summary = _record(answer, InDoubt)
        if not isinstance(summary.get("created_leads"), list):
            raise InDoubt("Instantly did not say who was imported", code="unreadable", status=answer.status)
        return summary

    async def delete_lead(self, permit: Permit, lead_ref: str) -> None:
        """Delete one lead from its campaign."""
        await self.client.write(permit, "DELETE", f"{V2}/leads/{_segment(lead_ref)}")

    # ── the block list ───────────────────────────────────────────────────────────────────────────────────
    async def blocklist(self, cursor: str = "", search: str = "") -> Page:
        """A page of blocked addresses and domains."""
        return await self._list("/block-lists-entries", cursor, search=search)

    async def block(self, permit: Permit, values: Sequence[str]) -> Record:
        """Block up to 1,000 addresses or domains."""
        path = f"{V2}/block-lists-entries/bulk-create"
        return _record(
            await self.client.write(permit, "POST", path, json={"bl_values": list(values)}), InDoubt
        )

    # ── mail and mailboxes ───────────────────────────────────────────────────────────────────────────────
    async def emails(self, cursor: str = "", limit: int = PAGE, **filters: str | bool) -> Page:
        """A page of messages, newest first. Has its own budget of 20 calls a minute."""
        return await self._list("/emails", cursor, limit=limit, bucket=MAIL, **filters)

    async def email(self, ref: str) -> Record:
        """One message."""
        return _record(await self.client.read("GET", f"{V2}/emails/{_segment(ref)}", bucket=MAIL))

    async def reply(self, permit: Permit, body: Record) -> Record:
        """Answer a message. It leaves at once; there is no draft and no key that keeps it from leaving twice."""
        return _written(await self.client.write(permit, "POST", f"{V2}/emails/reply", json=dict(body)))

    async def mailboxes(self, cursor: str = "") -> Page:
        """A page of sending accounts."""
        return await self._list("/accounts", cursor)

    async def mailbox(self, email: str) -> Record:
        """One sending account."""
        return _record(await self.client.read("GET", f"{V2}/accounts/{_segment(email)}"))

    async def pause_mailbox(self, permit: Permit, email: str) -> Record:
        """Have it send nothing."""
        path = f"{V2}/accounts/{_segment(email)}/pause"
        return _written(await self.client.write(permit, "POST", path), "email")

    async def resume_mailbox(self, permit: Permit, email: str) -> Record:
        """Have it send again."""
        path = f"{V2}/accounts/{_segment(email)}/resume"
        return _written(await self.client.write(permit, "POST", path), "email")

    async def mailbox_days(self, emails: Sequence[str], first: str, last: str) -> tuple[Record, ...]:
        """What these mailboxes (1 to 200) did on each day, at most 31 of them. Unnamed, they are too many: 413."""
        params: dict[str, str | list[str]] = {"emails": list(emails), "start_date": first, "end_date": last}
        return _records(await self.client.read("GET", f"{V2}/accounts/analytics/daily", params=params))

    async def warmup(self, emails: Sequence[str]) -> Record:
        """Figures of warming up, by mailbox (1 to 100)."""
        path = f"{V2}/accounts/warmup-analytics"
        whole = _record(await self.client.read("POST", path, json={"emails": list(emails)}))
        figures = whole.get("aggregate_data")
        return figures if isinstance(figures, Mapping) else {}

    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────
    async def webhooks(self, cursor: str = "") -> Page:
        """A page of webhook subscriptions."""
        return await self._list("/webhooks", cursor)

    async def create_webhook(self, permit: Permit, body: Record) -> Record:
        """A new subscription."""
        return _written(await self.client.write(permit, "POST", f"{V2}/webhooks", json=dict(body)))

    async def update_webhook(self, permit: Permit, ref: str, changes: Record) -> Record:
        """Change a subscription."""
        path = f"{V2}/webhooks/{_segment(ref)}"
        return _written(await self.client.write(permit, "PATCH", path, json=dict(changes)))

    async def resume_webhook(self, permit: Permit, ref: str) -> None:
        """Switch a subscription on again that the vendor disabled after failed deliveries."""
        await self.client.write(permit, "POST", f"{V2}/webhooks/{_segment(ref)}/resume")

    async def undelivered(self, cursor: str = "", first: str = "") -> Page:
        """A page of webhooks that Instantly could not deliver, with their payloads; `first` is a date."""
        failed: dict[str, Any] = {"success": "false", "from": first}
        return await self._list("/webhook-events", cursor, **failed)

    async def _list(
        self, path: str, cursor: str, *, limit: int = PAGE, bucket: str = "", **filters: str | bool
    ) -> Page:
        params: dict[str, str | int | bool] = {"limit": min(limit, PAGE)}
        params |= {"starting_after": cursor} if cursor else {}
        params |= {name: value for name, value in filters.items() if value != ""}
        return _page(await self.client.read("GET", f"{V2}{path}", params=params, bucket=bucket), cursor)


async def every(fetch: Callable[[str], Awaitable[Page]]) -> AsyncIterator[Record]:
    """All records of all pages."""
    page = await fetch("")
    while page.items:
        for item in page.items:
            yield item
        if not page.cursor:
            return
        page = await fetch(page.cursor)


def _page(answer: Answer, cursor: str) -> Page:
    """A list answer; a page that is empty or repeats its own cursor is the last one."""
    data = _record(answer)
    items = data.get("items")
    if not isinstance(items, list):
        raise Retryable("Instantly's answer can't be read", code="unreadable", status=answer.status)
    following = data.get("next_starting_after")
    more = isinstance(following, str) and bool(items) and following != cursor
    return Page(tuple(one for one in items if isinstance(one, Mapping)), str(following) if more else "")


def _record(answer: Answer, broken: type[Retryable | InDoubt] = Retryable) -> Record:
    """An object; Instantly also answers 200 with an `error` inside."""
    if not isinstance(answer.data, Mapping) or answer.data.get("error"):
        raise broken("Instantly's answer can't be read", code="unreadable", status=answer.status)
    return answer.data


def _records(answer: Answer) -> tuple[Record, ...]:
    """A list that isn't paged."""
    if not isinstance(answer.data, list):
        raise Retryable("Instantly's answer can't be read", code="unreadable", status=answer.status)
    return tuple(one for one in answer.data if isinstance(one, Mapping))


def _written(answer: Answer, named: str = "id") -> Record:
    """The object a write made or changed; without its name it is not known whether it happened."""
    record = _record(answer, InDoubt)
    if not isinstance(record.get(named), str):
        raise InDoubt("Instantly did not say what it made", code="unreadable", status=answer.status)
    return record


def _segment(ref: str) -> str:
    """An id as one part of a path: it can't lead to another endpoint."""
    if not ref or ref in {".", ".."}:
        raise Invalid("an id is missing", field="campaign_ref")
    return quote(ref, safe="")
