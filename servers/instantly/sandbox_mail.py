"""What the emulator does by itself: it sends what is due, and people open, answer, bounce and unsubscribe.

Who does what follows from a hash of the address, so a run repeats exactly. Time is compressed: a step's
days are not waited for. A message goes out only if at that moment the campaign is active, has a mailbox,
and neither the lead nor the block list says no. State changes at once and in order; only the webhooks take
time.
"""

import asyncio
import hashlib
import html
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from servers.instantly.sandbox_campaigns import ACTIVE, WORKSPACE
from servers.instantly.sandbox_leads import blocked
from servers.instantly.sandbox_requests import stamp
from shared.sandbox import Sandbox

PARALLEL_WEBHOOKS = 8
# Subscriptions are named otherwise than what they bring.
SUBSCRIPTION: Mapping[str, str] = {
    "link_clicked": "email_link_clicked",
    "auto_reply_received": "reply_received",
}
LEAD_ACTIVE, LEAD_COMPLETED, LEAD_BOUNCED, LEAD_UNSUBSCRIBED, LEAD_SKIPPED = 1, 3, -1, -2, -3
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
    """By address: about 4 % bounce, 3 % unsubscribe, 20 % reply, and 40 % open.

    More answer than in life, so that a small demo meets every kind of reply.
    """
    digest = hashlib.sha256(email.lower().encode()).digest()
    dice, eye, words = (int.from_bytes(digest[at : at + 4]) % 1_000 for at in (0, 4, 8))
    replies = 70 <= dice < 270
    return Temper(
        bounces=dice < 40,
        unsubscribes=40 <= dice < 70,
        reply=REPLIES[words % len(REPLIES)] if replies else None,
        opens=eye < 400,
    )


class Mail:
    """Sending and answering. `pace`: seconds between two messages; 0: only when told."""

    def __init__(self, sandbox: Sandbox, pace: float) -> None:
        self.sandbox = sandbox
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
        """The action `run`, {"campaign": id, "steps": 1}: send what is due; without a campaign, for all."""
        chosen = (
            [arguments["campaign"]] if arguments.get("campaign") else list(self.sandbox.state["campaigns"])
        )
        sent = 0
        for _ in range(int(arguments.get("steps", 1))):
            for campaign_id in chosen:
                bundles = list(self._send_due(campaign_id))
                sent += len(bundles)
                await self._deliver_all(bundles)
        return {"sent": sent}

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
        return campaign is not None and campaign["status"] == ACTIVE

    def _send_due(self, campaign_id: str, *, first_only: bool = False) -> Iterator[list[dict[str, Any]]]:
        """Send each lead's next step; yields the webhooks of each message."""
        steps = self._steps(campaign_id)
        for lead in list(self.sandbox.state["leads"].values()):
            step = self.sandbox.state["progress"].get(lead["id"], 0)
            due = lead["campaign"] == campaign_id and lead["status"] == LEAD_ACTIVE and step < len(steps)
            if not due or (first_only and step) or not self._sending(campaign_id):
                continue
            if blocked(self.sandbox.state, lead["email"]):
                lead["status"] = LEAD_SKIPPED
                self.sandbox.save()
                continue
            yield self._send(lead, steps, step + 1)

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
        mail = self._keep(lead, number, subject, body, ue_type=1)
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
        reply = self._keep(
            lead, int(mail["step"]), subject, html.escape(text), ue_type=2, automatic=automatic
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
        *,
        ue_type: int,
        automatic: bool = False,
    ) -> dict[str, Any]:
        """A message as `GET /emails` shows it."""
        campaign = self.sandbox.state["campaigns"][lead["campaign"]]
        received, now = ue_type == 2, stamp(self.sandbox.clock.now())
        mailbox = campaign["email_list"][step % len(campaign["email_list"])]
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
        return {
            "timestamp": stamp(self.sandbox.clock.now()),
            "event_type": kind,
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
                await self.sandbox.deliver(payload, hook.get("headers") or {}, hook["target_hook_url"])
            if not hooks:
                await self.sandbox.deliver(payload)


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
