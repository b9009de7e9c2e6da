"""The checker of histories finds what is planted in them, and nothing in one that is sound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.simulation.history import Act, Checker, Commit, Entry, Op, Yes

ANN = "ann@corp.example"
CONTACT = Op("k1", "contact", ANN)
ENROL = Op("k2", "enrol", ANN, "instantly", "c1", needs_yes=True)
TAG = Op("k3", "tag", ANN, repeatable=True)
STOP = Op("k4", "stop", ANN, "instantly", "c1", stops=True, repeatable=True)
OPS = (CONTACT, ENROL, TAG, STOP)


def claimed(op: Op, approval: str = "", at: str = "09:00") -> Entry:
    return Entry(
        "effect.claimed", ANN, at, {"key": op.key, "fingerprint": f"f-{op.key}", "approval": approval}
    )


def commit(op: Op, began: int) -> Commit:
    return Commit(op.key, f"f-{op.key}", began, began + 1)


@dataclass(frozen=True)
class Told:
    """A history, as its witnesses tell it."""

    log: Sequence[Entry] = (claimed(CONTACT), claimed(ENROL, "yes"), claimed(TAG), claimed(STOP))
    commits: Sequence[Commit] = (commit(CONTACT, 1), commit(ENROL, 3), commit(TAG, 5), commit(STOP, 7))
    acts: Sequence[Act] = ()
    statuses: dict[str, str] = field(default_factory=lambda: {op.key: "applied" for op in OPS})
    yes: Yes = field(default_factory=lambda: Yes(frozenset({"f-k2"}), "10:00"))

    def counts(self, on_the_wire: int = 0) -> dict[str, int]:
        """What is found, by kind, where there is any."""
        checker = Checker(OPS, {ANN: ANN}, on_the_wire=on_the_wire)
        checker.approved("yes", self.yes)
        checker.entries(self.log)
        checker.commits(self.commits, self.acts)
        checker.statuses(self.statuses)
        assert checker.found.nothing == (not any(checker.found.counts().values()))
        return {kind: count for kind, count in checker.found.counts().items() if count}


SOUND = Told()


def before(told: Told, *entries: Entry) -> Told:
    """The same, with these entries in front of the log."""
    return replace(told, log=(*entries, *told.log))


def test_a_sound_history_has_nothing_to_be_found() -> None:
    assert SOUND.counts() == {}


def test_what_may_be_repeated_may_be_there_twice() -> None:
    assert replace(SOUND, commits=(*SOUND.commits, commit(TAG, 9))).counts() == {}


def test_a_stop_passes_a_kill_and_a_suppression() -> None:
    told = Told(log=(Entry("switch.kill", "on", "08:00"), claimed(STOP)), commits=(commit(STOP, 7),))
    acts = (Act("kill", 1, 2), Act("suppress", 3, 4, ANN))
    assert replace(told, acts=acts, statuses={STOP.key: "applied"}).counts() == {}


PLANTED: dict[str, tuple[Callable[[Told], Told], dict[str, int]]] = {
    "a double": (lambda t: replace(t, commits=(*t.commits, commit(CONTACT, 9))), {"duplicated": 1}),
    "a lost one": (lambda t: replace(t, commits=t.commits[1:]), {"lost": 1}),
    "a hidden one": (lambda t: replace(t, statuses={**t.statuses, "k1": "failed"}), {"lost": 1}),
    "one that nobody claimed": (lambda t: replace(t, log=t.log[1:]), {"unrecorded": 1}),
    "one that nobody knows": (
        lambda t: replace(t, commits=(*t.commits, Commit("k9", "f", 9, 10))),
        {"unrecorded": 2},
    ),
    "other content than was claimed": (
        lambda t: replace(t, commits=(Commit("k1", "other", 1, 2), *t.commits[1:])),
        {"unrecorded": 1},
    ),
    "one that the ledger forgot": (
        lambda t: replace(t, statuses={k: v for k, v in t.statuses.items() if k != "k1"}),
        {"unrecorded": 1},
    ),
    "one without a yes": (
        lambda t: replace(t, log=(t.log[0], claimed(ENROL), *t.log[2:])),
        {"unauthorised": 1},
    ),
    "one with a yes to something else": (
        lambda t: replace(t, yes=Yes(frozenset({"other"}), "10:00")),
        {"unauthorised": 1},
    ),
    "one with a yes that is over": (
        lambda t: replace(t, yes=Yes(frozenset({"f-k2"}), "09:00")),
        {"unauthorised": 1},
    ),
    "one with a yes that was taken back": (
        lambda t: before(t, Entry("approval.revoked", "yes", "08:00")),
        {"unauthorised": 1},
    ),
    "claims after a kill": (lambda t: before(t, Entry("switch.kill", "on", "08:00")), {"after_kill": 3}),
    "one that left after a kill": (lambda t: replace(t, acts=(Act("kill", 3, 4),)), {"after_kill": 1}),
    "claims after a suppression": (
        lambda t: before(t, Entry("suppression.added", ANN, "08:00")),
        {"after_suppression": 3},
    ),
    "one that left after a suppression": (
        lambda t: replace(t, acts=(Act("suppress", 1, 2, ANN),)),
        {"after_suppression": 2},
    ),
    "claims while all is paused": (
        lambda t: before(t, Entry("pause.set", "all", "08:00")),
        {"after_another_stop": 3},
    ),
    "a claim while its campaign is halted": (
        lambda t: before(t, Entry("halt.set", "campaign:c1", "08:00", {"until": "09:30"})),
        {"after_another_stop": 1},
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_is_found(planted: str) -> None:
    plant, found = PLANTED[planted]
    assert plant(SOUND).counts() == found


@pytest.mark.parametrize(
    "over",
    [
        (Entry("switch.kill", "on", "08:00"), Entry("switch.kill", "off", "08:30")),
        (Entry("suppression.added", ANN, "08:00"), Entry("suppression.lifted", ANN, "08:30")),
        (Entry("pause.set", "all", "08:00"), Entry("pause.cleared", "all", "08:30")),
        (Entry("halt.set", "all", "08:00", {"until": "09:00"}),),
    ],
)
def test_what_is_over_stops_nothing(over: tuple[Entry, ...]) -> None:
    assert before(SOUND, *over).counts() == {}


def test_a_release_that_was_asked_for_ends_a_kill() -> None:
    assert replace(SOUND, acts=(Act("kill", 0, 1), Act("release", 1, 99))).counts() == {}


def test_as_many_as_were_on_the_wire_may_leave_after_a_kill() -> None:
    acts = (Act("kill", 0, 1),)
    assert replace(SOUND, acts=acts).counts(on_the_wire=3) == {}
    assert replace(SOUND, acts=acts).counts(on_the_wire=2) == {"after_kill": 1}


def test_what_is_still_on_its_way_is_not_judged_yet() -> None:
    checker = Checker(OPS, {})
    checker.statuses({"k1": "applied"}, frozenset({"k1"}))
    assert checker.found.nothing


def test_what_was_wanted_and_never_happened_is_lost() -> None:
    checker = Checker(OPS, {})
    checker.entries([claimed(CONTACT)])
    checker.commits([commit(CONTACT, 1)], [])
    checker.wanted([CONTACT.key, TAG.key])
    assert checker.found.lost == ["tag never happened"]
