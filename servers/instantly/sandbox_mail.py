"""What the emulator does by itself: it sends what is due, and people open, answer, bounce and unsubscribe.

Who does what follows from a hash of the address, so a run repeats exactly. Time is compressed: a step's
days are not waited for, unless `run` is told what time it is: then a message leaves only within its campaign's hours
and after the delay. A message goes out only if at that moment the campaign is active, has a mailbox that isn't paused,
and neither the lead nor the block list says no. State changes at once and in order; only the webhooks take
time.
"""

import asyncio
import html
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import anyio

from servers.instantly.sandbox_campaigns import ACTIVE, PAUSED, WORKSPACE
from servers.instantly.sandbox_leads import apply_interest, blocked_values, blocks
from servers.instantly.sandbox_requests import stamp
from servers.instantly.sandbox_tempers import temper
from servers.instantly.sandbox_traps import Traps
from servers.instantly.sandbox_webhooks import MOST_DELIVERIES, delivery
from shared.sandbox import Sandbox

PARALLEL_WEBHOOKS = 8
# Subscriptions are named otherwise than what they bring.
SUBSCRIPTION: Mapping[str, str] = {
    "link_clicked": "email_link_clicked",
    "auto_reply_received": "reply_received",
}
LEAD_ACTIVE, LEAD_COMPLETED, LEAD_BOUNCED, LEAD_UNSUBSCRIBED, LEAD_SKIPPED = 1, 3, -1, -2, -3


class Mail:
    """Sending and answering. `pace`: seconds between two messages; 0: only when told."""

    def __init__(self, sandbox: Sandbox, traps: Traps, pace: float) -> None:
        self.sandbox = sandbox
        self.traps = traps
        self.pace = pace
        self._woken = False
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._deliveries: set[asyncio.Task[None]] = set()

    def started(self, campaign_id: str) -> None:
        """There may be something to send for this campaign: do so in the background."""
        running = self._senders.get(campaign_id)
        if self.pace > 0 and (running is None or running.done()):
            self._senders[campaign_id] = asyncio.create_task(self._send_paced(campaign_id))

    def wake(self) -> None:
        """Go on where a stopped emulator left off; called with every request, acts on the first."""
        if not self._woken:
            self._woken = True
            for campaign_id in self.sandbox.state["campaigns"]:
                self.started(campaign_id)

    async def run(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `run`, {"campaign": id, "steps": 1, "at": "2026-11-23T15:00:00Z"}: send what is due.

        Without a campaign for all of them; without a time, without regard to hours and delays.
        """
        self._apply_queued()
        at = datetime.fromisoformat(arguments["at"]) if arguments.get("at") else None
        chosen = (
            [arguments["campaign"]] if arguments.get("campaign") else list(self.sandbox.state["campaigns"])
        )
        sent = 0
        for _ in range(int(arguments.get("steps", 1))):
            for campaign_id in chosen:
                bundles = list(self._send_due(campaign_id, at=at))
                sent += len(bundles)
                await self._deliver_all(bundles)
        return {"sent": sent}

    def _apply_queued(self) -> None:
        """What was only accepted so far takes effect."""
        for change in self.sandbox.state["interests"]:
            apply_interest(self.sandbox.state["leads"], change)
        self.sandbox.state["interests"].clear()

    async def receive(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `receive`, {"lead": email, "subject": …, "text": …, "automatic": false, "from": …}: mail comes in.

        It answers the newest message to that person. Returns the id of the mail.
        """
        lead, mail = self._newest(str(arguments["lead"]))
        kind = "auto_reply_received" if arguments.get("automatic") else "reply_received"
        event = self._replied(lead, mail, kind, str(arguments.get("text", "")), stops=True)
        reply = self.sandbox.state["emails"][event["email_id"]]
        if arguments.get("subject"):
            reply["subject"] = event["reply_subject"] = str(arguments["subject"])
        if arguments.get("from"):
            reply["from_address_email"] = str(arguments["from"])
        self.sandbox.save()
        await self._deliver_all([[event]])
        return {"id": reply["id"]}

    async def happen(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `happen`, {"lead": email, "event": "link_clicked"}: an event about the newest message to them."""
        lead, mail = self._newest(str(arguments["lead"]))
        kind = str(arguments["event"])
        lead["status"] = {"email_bounced": LEAD_BOUNCED, "lead_unsubscribed": LEAD_UNSUBSCRIBED}.get(
            kind, lead["status"]
        )
        self.sandbox.save()
        await self._deliver_all([[self._event(kind, lead, mail)]])
        return {"event": kind}

    def _newest(self, email: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The newest message that was sent to this address, and whose it is."""
        mails = (mail for mail in reversed(self.sandbox.state["emails"].values()) if mail["ue_type"] == 1)
        mail = next(mail for mail in mails if mail["lead"] == email.lower())
        return self.sandbox.state["leads"][mail["lead_id"]], mail

    async def set_pace(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `pace`: {"seconds": 0.1}; 0 stops sending by itself."""
        self.pace = float(arguments["seconds"])
        return {"pace": self.pace}

    async def _send_paced(self, campaign_id: str) -> None:
        """The first message to each lead in turn while the campaign is active; follow-ups wait for `run`."""
        while self.pace > 0:
            await anyio.sleep(self.pace)
            bundle = next(self._send_due(campaign_id, first_only=True), None)
            if bundle is None:
                return
            delivery = asyncio.create_task(self._deliver(bundle))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    def _sending(self, campaign_id: str) -> bool:
        campaign = self.sandbox.state["campaigns"].get(campaign_id)
        return campaign is not None and campaign["status"] == ACTIVE and bool(self._senders_of(campaign))

    def _senders_of(self, campaign: Mapping[str, Any]) -> list[str]:
        """Its mailboxes but those that are paused."""
        known = self.sandbox.state["workspace"]["mailboxes"]
        return [box for box in campaign["email_list"] if known.get(box, {}).get("status") != PAUSED]

    def _send_due(
        self, campaign_id: str, *, first_only: bool = False, at: datetime | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Send each lead's next step; yields the webhooks of each message."""
        steps, blocked = self._steps(campaign_id), blocked_values(self.sandbox.state)
        if at is not None and not self._open(campaign_id, at):
            return
        for lead in list(self.sandbox.state["leads"].values()):
            step = self.sandbox.state["progress"].get(lead["id"], 0)
            due = lead["campaign"] == campaign_id and lead["status"] == LEAD_ACTIVE and step < len(steps)
            if not due or (first_only and step) or not self._sending(campaign_id):
                continue
            if at is not None and not self._waited(lead, steps, step, at):
                continue
            if blocks(blocked, lead["email"]):
                lead["status"] = LEAD_SKIPPED
                self.sandbox.save()
                continue
            if at is not None:
                self.sandbox.state["sent_at"][lead["id"]] = at.isoformat()
            yield self._send(lead, steps, step + 1)

    def _open(self, campaign_id: str, at: datetime) -> bool:
        """Whether that moment lies within the campaign's hours, in its own time zone; day 0 is Sunday."""
        campaign = self.sandbox.state["campaigns"].get(campaign_id) or {
            "campaign_schedule": {"schedules": []}
        }
        for hours in campaign["campaign_schedule"]["schedules"]:
            local = at.astimezone(ZoneInfo(hours["timezone"]))
            day = (local.weekday() + 1) % 7 if self.traps.on("days_from_sunday") else local.weekday()
            within = hours["timing"]["from"] <= local.strftime("%H:%M") < hours["timing"]["to"]
            if within and hours["days"].get(str(day)):
                return True
        return False

    def _waited(
        self, lead: Mapping[str, Any], steps: list[Mapping[str, Any]], step: int, at: datetime
    ) -> bool:
        """Whether the delay is over: that of the step before, which is the gap after it."""
        before = self.sandbox.state["sent_at"].get(lead["id"])
        if step == 0 or before is None:
            return True
        delayed = steps[step - 1] if self.traps.on("delay_is_the_gap_after") else steps[step]
        unit = delayed.get("delay_unit") or "days"
        return at >= datetime.fromisoformat(before) + timedelta(**{unit: delayed["delay"]})

    def _steps(self, campaign_id: str) -> list[Mapping[str, Any]]:
        campaign = self.sandbox.state["campaigns"].get(campaign_id)
        if campaign is None or not campaign["email_list"] or not campaign["sequences"]:
            return []
        steps: list[Mapping[str, Any]] = campaign["sequences"][0]["steps"]
        return steps

    def _send(
        self, lead: dict[str, Any], steps: list[Mapping[str, Any]], number: int
    ) -> list[dict[str, Any]]:
        """One message leaves; then the person reacts. All state changes here, before any webhook."""
        self.sandbox.state["progress"][lead["id"]] = number
        variant = next(one for one in steps[number - 1]["variants"] if not one.get("v_disabled"))
        subject, body = (_resolved(variant[part], lead["payload"]) for part in ("subject", "body"))
        boxes = self._senders_of(self.sandbox.state["campaigns"][lead["campaign"]])
        mail = self._keep(lead, number, subject, body, boxes[number % len(boxes)], ue_type=1)
        lead["timestamp_last_contact"] = mail["timestamp_created"]
        if number == len(steps):
            lead["status"] = LEAD_COMPLETED
        events = [self._event("email_sent", lead, mail)]
        events += self._reactions(lead, mail) if number == 1 else []
        self.sandbox.record(
            "send", lead["email"], campaign=lead["campaign"], step=number, subject=subject, body=body
        )
        return events

    def _reactions(self, lead: dict[str, Any], mail: dict[str, Any]) -> list[dict[str, Any]]:
        campaign = self.sandbox.state["campaigns"][lead["campaign"]]
        nature = temper(lead["email"])
        if nature.bounces:
            lead["status"] = LEAD_BOUNCED
            return [self._event("email_bounced", lead, mail)]
        events = []
        if nature.opens and campaign.get("open_tracking"):
            lead["email_open_count"] += 1
            events.append(self._event("email_opened", lead, mail))
        if nature.unsubscribes:
            lead["status"] = LEAD_UNSUBSCRIBED
            events.append(self._event("lead_unsubscribed", lead, mail))
        elif nature.reply:
            events.append(self._replied(lead, mail, *nature.reply, stops=bool(campaign.get("stop_on_reply"))))
        return events

    def _replied(
        self, lead: dict[str, Any], mail: dict[str, Any], kind: str, text: str, *, stops: bool
    ) -> dict[str, Any]:
        automatic = kind == "auto_reply_received"
        subject = f"{'Automatic reply' if automatic else 'Re'}: {mail['subject']}"
        said = html.escape(text)
        reply = self._keep(
            lead, int(mail["step"]), subject, said, mail["eaccount"], ue_type=2, automatic=automatic
        )
        lead["email_reply_count"] += not automatic
        if stops and not automatic:
            lead["status"] = LEAD_COMPLETED
        answer = {
            "unibox_url": f"https://app.instantly.ai/app/unibox?thread={mail['thread_id']}",
            "reply_text_snippet": text[:80],
            "reply_subject": subject,
            "reply_text": text,
            "reply_html": f"<div>{html.escape(text)}</div>",
        }
        return {**self._event(kind, lead, mail), "email_id": reply["id"], **answer}

    def _keep(
        self,
        lead: Mapping[str, Any],
        step: int,
        subject: str,
        body: str,
        mailbox: str,
        *,
        ue_type: int,
        automatic: bool = False,
    ) -> dict[str, Any]:
        """A message as `GET /emails` shows it."""
        received, now = ue_type == 2, stamp(self.sandbox.clock.now())
        identifier = str(uuid.uuid4())
        mail = {
            "id": identifier,
            "timestamp_created": now,
            "timestamp_email": now,
            "message_id": f"<{identifier}@mail.example>",
            "subject": subject,
            "from_address_email": lead["email"] if received else mailbox,
            "to_address_email_list": mailbox if received else lead["email"],
            "body": {"text": _text(body), "html": body},
            "organization_id": WORKSPACE,
            "campaign_id": lead["campaign"],
            "lead": lead["email"],
            "lead_id": lead["id"],
            "eaccount": mailbox,
            "ue_type": ue_type,
            "step": str(step),
            "is_unread": int(received),
            "is_auto_reply": int(automatic),
            "thread_id": str(uuid.uuid5(uuid.NAMESPACE_URL, lead["id"])),
            "content_preview": _text(body)[:100],
        }
        self.sandbox.state["emails"][identifier] = mail
        return mail

    def _event(self, kind: str, lead: Mapping[str, Any], mail: Mapping[str, Any]) -> dict[str, Any]:
        """A webhook's payload. The lead's own variables are merged in, over fields of the same name."""
        campaign = self.sandbox.state["campaigns"][lead["campaign"]]
        named = kind if self.traps.on("webhook_names_differ") else SUBSCRIPTION.get(kind, kind)
        return {
            "timestamp": stamp(self.sandbox.clock.now()),
            "event_type": named,
            "workspace": WORKSPACE,
            "campaign_id": campaign["id"],
            "campaign_name": campaign["name"],
            "lead_email": lead["email"],
            "email_account": mail["eaccount"],
            "step": int(mail["step"]),
            "variant": 1,
            "is_first": mail["step"] == "1",
            "email_id": mail["id"],
            "email_subject": mail["subject"],
            "email_text": mail["body"]["text"],
            "email_html": mail["body"]["html"],
            **lead["payload"],
        }

    async def _deliver_all(self, bundles: list[list[dict[str, Any]]]) -> None:
        limiter = anyio.CapacityLimiter(PARALLEL_WEBHOOKS)

        async def one(bundle: list[dict[str, Any]]) -> None:
            async with limiter:
                await self._deliver(bundle)

        async with anyio.create_task_group() as tasks:
            for bundle in bundles:
                tasks.start_soon(one, bundle)

    async def _deliver(self, bundle: list[dict[str, Any]]) -> None:
        """One message's events in order, to every subscription; without any, to the control's address."""
        for payload in bundle:
            hooks = [hook for hook in self.sandbox.state["webhooks"].values() if _wants(hook, payload)]
            for hook in hooks:
                await self._told(payload, hook["target_hook_url"], hook.get("headers") or {})
            if not hooks:
                await self._told(payload, "", {})

    async def _told(self, payload: dict[str, Any], url: str, headers: Mapping[str, str]) -> None:
        """Send it, and remember that, as the vendor does: what failed can be asked for, what nobody wants can't."""
        if not (url or self.sandbox.webhook.get("url")):
            return
        taken = await self.sandbox.deliver(payload, headers, url)
        told = delivery(payload, url, self.sandbox.clock.now(), success=taken)
        deliveries: dict[str, Any] = self.sandbox.state["deliveries"]
        deliveries[told["id"]] = told
        if len(deliveries) > MOST_DELIVERIES:
            del deliveries[next(iter(deliveries))]


def _wants(hook: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    kind = SUBSCRIPTION.get(payload["event_type"], payload["event_type"])
    if hook.get("status") == -1 or hook.get("campaign") not in {None, "", payload["campaign_id"]}:
        return False
    return hook.get("event_type") in {"all_events", kind}


def _resolved(template: str, payload: Mapping[str, Any]) -> str:
    """Merge tags by exact key, then Instantly's own single-brace link; an unknown tag ships as it stands."""
    merged = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: str(payload.get(found[1], found[0])), template)
    return merged.replace("{unsubscribe_link}", "https://unsubscribe.instantly.example/u")


def _text(body: str) -> str:
    broken = re.sub(r"<br\s*/?>|</div>", "\n", body)
    return html.unescape(re.sub(r"<[^>]+>", "", broken)).strip()
