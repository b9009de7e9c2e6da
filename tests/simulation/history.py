"""What happened, from outside and from inside, and what in it must not be: lost, doubled, unauthorised, late.

Three witnesses, none of which sees the others: the vendor's own log (`Commit`), what people and clocks did (`Act`,
each in force from when it had returned until its opposite was asked for), and the product's audit log (`Entry`) and
ledger. `Checker` walks all three; every list of `Found` must stay empty. The audit log's order is the order of the
transactions, so "decided after a stop" is a comparison of places in it, not of clocks.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that is wanted outside: its key, whom it reaches, and what holds for it."""

    key: str
    name: str
    person: str
    vendor: str = "ghl"
    campaign: str = ""
    needs_yes: bool = False
    stops: bool = False
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """A write that the vendor holds. `began` and `at` count moments: when it left us, when it took effect there."""

    key: str
    fingerprint: str
    began: int
    at: int


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did that stops something, or lets it go on; `asked` and `done` count moments."""

    kind: Literal["kill", "release", "suppress", "lift"]
    asked: int
    done: int
    person: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the product's audit log. `at` sorts as text."""

    kind: str
    subject: str
    at: str
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Yes:
    """What an approval covers, and until when."""

    fingerprints: frozenset[str]
    expires: str


@dataclass(slots=True)
class Found:
    """What must not be; each line says what and where."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unauthorised: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    after_kill: list[str] = field(default_factory=list)
    after_suppression: list[str] = field(default_factory=list)
    after_another_stop: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not any(getattr(self, one.name) for one in fields(self))

    def counts(self) -> dict[str, int]:
        return {one.name: len(getattr(self, one.name)) for one in fields(self)}


class Checker:
    """Fed with what is new; remembers what is in force. `spelled` tells whose address a text is."""

    def __init__(self, ops: Iterable[Op], spelled: Mapping[str, str], *, on_the_wire: int = 0) -> None:
        self.found = Found()
        self._ops = {op.key: op for op in ops}
        self._spelled = spelled
        self._on_the_wire = on_the_wire  # calls that may be out when a stop returns
        self._late: Counter[int] = Counter()  # how many left after that stop all the same
        self._killed = False
        self._suppressed: set[str] = set()
        self._stopped: dict[str, str] = {}  # scope → until
        self._yes: dict[str, Yes] = {}
        self._claimed: dict[str, list[str]] = {}  # key → fingerprints, one per claim
        self._commits: list[Commit] = []
        self._acts: list[Act] = []

    def knows(self, ops: Iterable[Op]) -> None:
        """More that is wanted."""
        self._ops.update({op.key: op for op in ops})

    def approved(self, identifier: str, yes: Yes) -> None:
        """Somebody said yes to this."""
        self._yes[identifier] = yes

    @property
    def most_late(self) -> int:
        """The most that left after one and the same stop had returned."""
        return max(self._late.values(), default=0)

    # ── inside: the audit log, in its own order ──────────────────────────────────────────────────────────
    def entries(self, entries: Iterable[Entry]) -> None:
        """Every claim against what stood at that place of the log."""
        for entry in entries:
            kind, subject = entry.kind, entry.subject
            if kind == "effect.claimed":
                self._claim(entry)
            elif kind == "switch.kill":
                self._killed = subject == "on"
            elif kind == "approval.revoked":
                self._yes.pop(subject, None)
            elif kind in {"suppression.added", "suppression.lifted"}:
                change = self._suppressed.add if kind.endswith("added") else self._suppressed.discard
                change(self._spelled[subject])
            elif kind in {"pause.set", "halt.set", "pause.cleared"}:
                self._stopped.pop(subject, None)
                if kind != "pause.cleared":
                    self._stopped[subject] = str(entry.payload.get("until", ""))

    def _claim(self, entry: Entry) -> None:
        key = str(entry.payload["key"])
        op = self._ops[key]
        self._claimed.setdefault(key, []).append(str(entry.payload["fingerprint"]))
        if op.needs_yes and not self._covered(entry):
            self.found.unauthorised.append(f"{op.name} was claimed without a yes that stands, at {entry.at}")
        if op.stops:
            return
        if self._killed:
            self.found.after_kill.append(f"{op.name} was claimed while killed, at {entry.at}")
        if op.person in self._suppressed:
            self.found.after_suppression.append(f"{op.name} was claimed for {op.person}, at {entry.at}")
        scopes = {"all", f"vendor:{op.vendor}", f"campaign:{op.campaign}"}
        if any(not until or until > entry.at for scope, until in self._stopped.items() if scope in scopes):
            self.found.after_another_stop.append(f"{op.name} was claimed while paused, at {entry.at}")

    def _covered(self, entry: Entry) -> bool:
        yes = self._yes.get(str(entry.payload["approval"]))
        return yes is not None and entry.payload["fingerprint"] in yes.fingerprints and entry.at < yes.expires

    # ── outside: the vendor's log against what people did ────────────────────────────────────────────────
    def commits(self, commits: Sequence[Commit], acts: Sequence[Act]) -> None:
        """What the vendor holds that it should not. Feed the entries first: a claim comes before its commit."""
        self._commits += commits
        self._acts += acts
        for commit in commits:
            op = self._ops.get(commit.key)
            if op is None or commit.fingerprint not in self._claimed.get(commit.key, []):
                self.found.unrecorded.append(f"{op.name if op else commit.key} happened without a claim")
                continue
            if op.stops:
                continue
            if (kill := self._in_force("kill", "release", "", commit.began)) is not None:
                self._late[kill] += 1
                if self._late[kill] > self._on_the_wire:
                    self.found.after_kill.append(
                        f"{op.name} left at {commit.began}, after the kill at {kill}"
                    )
            if (since := self._in_force("suppress", "lift", op.person, commit.began)) is not None:
                self._late[since] += 1
                if self._late[since] > self._on_the_wire:
                    told = f"{op.name} left at {commit.began}, after {op.person} was suppressed"
                    self.found.after_suppression.append(told)
        self._doubles({commit.key for commit in commits})

    def _in_force(self, on: str, off: str, person: str, moment: int) -> int | None:
        """When the stop had returned that holds at `moment`; None where there is none, or its end was asked for."""
        mine = [act for act in self._acts if act.person == person]
        stop = max((act.done for act in mine if act.kind == on and act.done <= moment), default=-1)
        end = max((act.asked for act in mine if act.kind == off and act.asked <= moment), default=-1)
        return stop if stop > end else None

    def _doubles(self, keys: set[str]) -> None:
        for key, times in Counter(commit.key for commit in self._commits).items():
            if key in keys and times > 1 and not self._ops[key].repeatable:
                self.found.duplicated.append(f"{self._ops[key].name} happened {times} times")

    # ── both: what the ledger says against what the vendor holds ─────────────────────────────────────────
    def statuses(self, statuses: Mapping[str, str], coming: frozenset[str] = frozenset()) -> None:
        """`coming`: keys whose request is still on its way, so that nobody can know yet."""
        held = Counter(commit.key for commit in self._commits)
        for key, status in statuses.items():
            if key in coming:
                continue
            name = self._ops[key].name
            if status == "applied" and not held[key]:
                self.found.lost.append(f"{name} is said to be done, and the vendor does not have it")
            if status in {"failed", "refused", "simulated"} and held[key] and not self._ops[key].repeatable:
                self.found.lost.append(f"{name} is said to be {status}, and the vendor has it")
        for key in held.keys() - statuses.keys() - coming:
            self.found.unrecorded.append(f"{key[:12]} is in no ledger")

    def wanted(self, keys: Iterable[str]) -> None:
        """At the very end: what was to happen and had nothing against it."""
        held = {commit.key for commit in self._commits}
        self.found.lost += [f"{self._ops[key].name} never happened" for key in keys if key not in held]
