"""How long the day's caps of safety.yaml stretch a plan: what it asks for in one go, they let out over days. Pure.

Adding somebody to a campaign counts against them, as the gate counts it; who is refused for it is asked for again by
`swarm implement` on another day.
"""

from collections import Counter
from collections.abc import Iterable
from math import ceil

from orchestrator.dossier import ADD_LEAD
from shared.address import read_address
from shared.errors import Invalid
from shared.sending_rules import Caps


class Crowds:
    """Counts people by company, one after the other."""

    def __init__(self, caps: Caps, free_mail: Iterable[str]) -> None:
        self._caps = caps
        self._free_mail = frozenset(free_mail)
        self._companies: Counter[str] = Counter()
        self._people = 0

    def add(self, address: str) -> None:
        """Somebody who would be written to; what isn't an address is refused anyway, and not counted."""
        try:
            company = read_address(address).registrable
        except Invalid:
            return
        self._people += 1
        if company not in self._free_mail:
            self._companies[company] += 1

    def told(self) -> Iterable[str]:
        """What doesn't fit into one day, and how many days it needs at least."""
        most = self._caps.effects_per_day.get(ADD_LEAD, 0)
        if most and self._people > most:
            yield (
                f"at most {most:,} people a day are added to campaigns: the launch takes "
                f"{ceil(self._people / most)} days at least; who is left is added by `swarm implement` again"
            )
        a_day, largest = self._caps.people_per_domain, max(self._companies.values(), default=0)
        if ADD_LEAD in self._caps.sending and a_day and largest > a_day:
            above = sum(count > a_day for count in self._companies.values())
            many = "one company has" if above == 1 else f"{above:,} companies have"
            yield (
                f"{many} more than the {a_day} people who may be written to there on one day, the largest "
                f"{largest:,}: {ceil(largest / a_day)} days at least; who is left is added by `swarm implement` again"
            )
