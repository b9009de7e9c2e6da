"""What has been approved here before: templates and segments. A new one is for an operator or admin to approve first.

A template is known by its words: one letter changed in config/templates makes it a new one. A segment is a kind of
campaign and a tier.
"""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from orchestrator.campaigns import Campaign
from orchestrator.dossier import PENDING, Row, decision
from orchestrator.rules import Rules
from shared.clock import iso
from shared.effect import fingerprint
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, familiar

Known = tuple[str, str]  # kind, name


def template_print(one: Campaign, rules: Rules) -> str:
    """The template of a campaign by its words."""
    return fingerprint(rules.templates[one.template or one.type].model_dump(mode="json"))


def new_in(connection: sa.Connection, row: Row) -> list[str]:
    """In the caller's transaction: what of this campaign nobody has approved before: "template", "segment".

    Words that came from no template are new every time.
    """
    known = _known(connection)
    return [kind for kind, name in _parts(row) if not name or (kind, name) not in known]


def new_of_run(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """In the caller's transaction: how many templates and segments of a run's waiting campaigns are new, by kind."""
    waiting = sa.select(campaign).where(campaign.c.run_id == run_id, campaign.c.state == PENDING)
    known = _known(connection)
    parts = {part for row in connection.execute(waiting) for part in _parts(row)}
    return Counter(kind for kind, name in parts if not name or (kind, name) not in known)


def _known(connection: sa.Connection) -> set[Known]:
    return {(kind, name) for kind, name in connection.execute(sa.select(familiar.c.kind, familiar.c.name))}


def remember_in(kernel: Kernel, connection: sa.Connection, row: Row, by: str) -> None:
    """In the transaction of an approval: what of this campaign was new isn't any more."""
    at = iso(kernel.clock.now())
    for kind in new_in(connection, row):
        if name := dict(_parts(row))[kind]:
            connection.execute(sa.insert(familiar).values(kind=kind, name=name, actor=by, at=at))


def _parts(row: Row) -> Sequence[Known]:
    return (("template", str(decision(row).get("template", ""))), ("segment", f"{row.type}/{row.tier}"))
