"""What past campaigns left in the database: people written to, and what each of them did, told in one line each."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from shared.clock import iso
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, event, handoff, lead, reply, run, run_lead, stop
from shared.schema import approval, effect

MONDAY = datetime(2026, 2, 23, 9, 0, tzinfo=UTC)


class Past:
    """Writes rows; each person is one line of what they did: `A sent opened replied:positive_interest`."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.people = 0

    def add(self, table: sa.Table, **values: object) -> None:
        self.connection.execute(sa.insert(table).values(**values))

    def campaign(
        self,
        name: str,
        lines: Sequence[str],
        *,
        kind: str = "event_followup",
        tier: str = "tier_3",
        mode: str = "live",
        at: datetime = MONDAY,
        title: str = "VP Sales",
    ) -> None:
        """A campaign that began at a moment, with one person per line."""
        self.add(run, id=f"run {name}", mode=mode, state="finished", started_at=iso(at))
        self.add(approval, id=f"yes {name}", subject=name, at=iso(at + timedelta(hours=5)))
        self.add(
            campaign,
            id=name,
            run_id=f"run {name}",
            name=name,
            type=kind,
            tier=tier,
            state="live",
            approval_id=f"yes {name}",
            created_at=iso(at),
        )
        for line in lines:
            self._person(name, line, tier, at, title)

    def _person(self, name: str, line: str, tier: str, at: datetime, title: str) -> None:
        self.people += 1
        variant, *did = line.split()
        who = f"p{self.people}"
        data = f'{{"id": "{who}", "title": "{title}"}}'
        self.add(lead, id=who, email=f"{who}@corp.com", data=data, created_at=iso(at))
        self.add(
            run_lead, run_id=f"run {name}", lead_id=who, batch=0, tier=tier, state="live", campaign_id=name
        )
        self.add(
            campaign_lead,
            campaign_id=name,
            lead_id=who,
            email=f"{who}@corp.com",
            variant=variant,
            state="live",
        )
        for number, word in enumerate(did):
            kind, _, answer = word.partition(":")
            self._did(f"{who}/{number}", who, name, kind, answer, at + timedelta(minutes=number))

    def _did(self, identifier: str, who: str, name: str, kind: str, answer: str, at: datetime) -> None:
        told = {"lead_id": who, "campaign_id": name}
        step = 1 if kind == "sent" else 0
        self.add(event, id=identifier, type=kind, received_at=iso(at), step=step, **told)
        if answer:
            self.connection.execute(
                sa.insert(reply).values({"event_id": identifier, "class": answer, "at": iso(at), **told})
            )

    def handoff(self, identifier: str, trigger: str, at: datetime, taken_after: float | None) -> None:
        """One that was taken after so many minutes, or not yet."""
        taken = iso(at + timedelta(minutes=taken_after)) if taken_after is not None else ""
        self.add(handoff, id=identifier, trigger=trigger, created_at=iso(at), acknowledged_at=taken)

    def stop(self, target: str, at: datetime, confirmed_after: float | None) -> None:
        """An opt-out."""
        done = iso(at + timedelta(minutes=confirmed_after)) if confirmed_after is not None else ""
        state = "open" if confirmed_after is None else "confirmed"
        self.add(stop, id=target, kind="person", target=target, at=iso(at), state=state, confirmed_at=done)

    def effect(self, key: str, status: str, at: datetime, **more: object) -> None:
        """Something done outside."""
        self.add(effect, key=key, status=status, settled_at=iso(at), **more)


async def told(kernel: Kernel, *campaigns: tuple[str, Sequence[str]]) -> None:
    """Campaigns by name and lines."""

    def change(connection: sa.Connection) -> None:
        made = Past(connection)
        for name, lines in campaigns:
            made.campaign(name, lines)

    await kernel.store.write(change)
