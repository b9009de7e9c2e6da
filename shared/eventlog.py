"""What vendors told us, read back: a server asks it for evidence of what became of its own effects."""

import json
from dataclasses import dataclass

import sqlalchemy as sa

from shared.event import EventType
from shared.pipeline_schema import event
from shared.store import Store


@dataclass(frozen=True, slots=True)
class EventLog:
    """Events as they were stored, newest first."""

    store: Store

    async def references(self, vendor: str, kind: EventType, limit: int = 20) -> list[str]:
        """The vendor's own ids in the newest events of that kind: of jobs, messages, opportunities."""
        query = (
            sa.select(event.c.detail)
            .where(event.c.vendor == vendor, event.c.type == kind)
            .order_by(event.c.received_at.desc())
            .limit(limit)
        )
        details = await self.store.read(lambda c: list(c.execute(query).scalars()))
        found = [str(json.loads(detail).get("reference", "")) for detail in details]
        return [reference for reference in found if reference]
