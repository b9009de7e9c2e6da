"""The product in a page: what is switched on, who is on the list, what was approved, how each operation stands.

`expected` says every outcome that is right for one submission; `learn` takes over what came of it. The model knows
neither transactions nor processes: where two orders are both right, it allows both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.effect import Outcome
from tests.simulation.history import Op

FRESH = {"none", "refused", "simulated", "failed"}
OK = frozenset({("applied", "")})
FAILED = frozenset({("failed", "*")})
DOUBT = frozenset({("in_doubt", "*")})
MUCH_LATER = "500, and not again for longer than a call may take"
# What one try comes to: for what may not be repeated, and for what may be.
FAULTS: Mapping[str, tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]] = {
    "": (OK, OK),
    "slow": (OK, OK),
    "unreachable": (OK, OK),
    "reset": (DOUBT, OK),
    "hang": (DOUBT, OK | DOUBT),
    "late": (DOUBT, OK),
    "drop_after": (DOUBT, OK),
    "429": (OK | FAILED, OK | FAILED),
    "500": (DOUBT, OK),
    MUCH_LATER: (DOUBT, DOUBT),
    "error_after": (DOUBT, OK),
    "error_body": (DOUBT, DOUBT),
    "html": (DOUBT, OK),
    "empty": (DOUBT, DOUBT),
    "truncated": (DOUBT, OK),
    "partial": (DOUBT, OK),
    "400": (FAILED, FAILED),
    "401": (FAILED, FAILED),
    "stop_meanwhile": (FAILED, FAILED),
    "crash_before": (DOUBT, DOUBT),
    "crash_after": (DOUBT, DOUBT),
    "crash_late": (DOUBT, DOUBT),
    "always unreachable": (FAILED, FAILED),
    "always 429": (FAILED, FAILED),
}


@dataclass(slots=True)
class Approved:
    """A yes to one message to one person: until when, whether it stands, and which operation has used it."""

    covers: tuple[str, int]
    expires: float
    revoked: bool = False
    used_by: str = ""


@dataclass(slots=True)
class Model:
    """What is true now."""

    killed: bool = False
    safe: bool = False
    stands: dict[str, str] = field(default_factory=dict)  # scope → pause or halt
    suppressed: set[str] = field(default_factory=set)
    yes: dict[str, Approved] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)  # key → as the ledger has it
    version: dict[str, int] = field(default_factory=dict)  # key → content of its row
    reached: set[str] = field(default_factory=set)  # vendors at which there may be something to stop
    held: set[str] = field(default_factory=set)  # keys that the vendor has or will have
    ahead_until: float = 0.0  # a clock that went back may leave a place in the rate limit far ahead

    def against(self, op: Op, approval: str, version: int, now: float) -> set[str]:
        """The reason why it may not happen, the most serious first; "" for none; two where time decides."""
        if op.stops:
            return {""}
        scopes = {"all", f"vendor:{op.vendor}", f"campaign:{op.campaign}"}
        kinds = {kind for scope, kind in self.stands.items() if scope in scopes}
        for holds, reason in (
            (self.killed, "kill_switch"),
            ("halt" in kinds, "halted"),
            (bool(kinds), "paused"),
            (op.person in self.suppressed, "suppressed"),
        ):
            if holds:
                return {reason}
        return self._yes(op, approval, version, now) if op.needs_yes else {""}

    def _yes(self, op: Op, approval: str, version: int, now: float) -> set[str]:
        given = self.yes.get(approval)
        if given is None or given.revoked:
            return {"needs_approval"}
        fits = (op.person, version) == given.covers and given.used_by in {"", op.key}
        stands = {"" if fits else "approval_mismatch"}
        if abs(given.expires - now) < 700:  # it may wait so long for its turn
            return stands | {"approval_expired"}
        return {"approval_expired"} if given.expires < now else stands

    def expected(
        self, op: Op, version: int, approval: str, looks: bool, fault: str, now: float
    ) -> set[tuple[str, str]]:
        """Status and reason of every right outcome; "*" is any reason."""
        status = self.status.get(op.key, "none")
        if status not in FRESH and self.version[op.key] != version:
            return {("refused", "conflict")}
        if status == "applied":
            return {("replayed", "")}
        if status not in FRESH and not op.repeatable and not looks:
            return {("in_doubt", "*")}
        right: set[tuple[str, str]] = set()
        for reason in self.against(op, approval, version, now):
            right |= {("refused", reason)} if reason else self._carried_out(op, fault, now)
        return right

    def look(self, op: Op, version: int) -> None:
        """What a look at the vendor settles before anything is decided."""
        status = self.status.get(op.key, "none")
        if status not in {*FRESH, "applied"} and self.version[op.key] == version and not op.repeatable:
            self.status[op.key] = "applied" if op.key in self.held else "failed"

    def settle(self) -> None:
        """Everything that is in doubt is looked at."""
        for key, status in self.status.items():
            if status == "in_doubt":
                self.status[key] = "applied" if key in self.held else "failed"

    def _carried_out(self, op: Op, fault: str, now: float) -> set[tuple[str, str]]:
        if self.safe and not (op.stops and op.vendor in self.reached):
            return {("simulated", "safe_mode")}
        right = set(FAULTS[fault][op.repeatable])
        if fault == "stop_meanwhile" and op.stops:
            right = {*OK, *FAILED}
        return right | ({("refused", "limit")} if now < self.ahead_until else set())

    def learn(self, op: Op, version: int, approval: str, outcome: Outcome) -> None:
        """What the ledger must say from now on."""
        claimed = outcome.status in {"applied", "failed", "in_doubt"}
        if claimed and not op.stops:
            self.reached.add(op.vendor)
        if op.needs_yes and claimed and self.status.get(op.key, "none") in FRESH:
            self.yes[approval].used_by = op.key
        if outcome.status == "replayed":
            self.status[op.key] = "applied"
        elif outcome.status in {"refused", "simulated"} and self.status.get(op.key, "none") not in FRESH:
            return
        elif outcome.reason != "in_flight":
            self.status[op.key] = outcome.status
            self.version[op.key] = version
