"""Random histories of two processes, a vendor and people: what may happen is what the model says, and no more.

After each step the history is checked from outside and from inside (`history.py`), and at its end everything is
healed: what was wanted has happened once, nothing is open, the audit log is whole and no log line names anybody.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from orchestrator import inbox
from orchestrator.app import App, webhook_sources
from orchestrator.rules import Rules, load_rules
from shared.effect import Effect, Outcome
from shared.suite import Suite
from tests.conftest import CONFIG
from tests.simulation.installation import (
    OPS,
    PEOPLE,
    SPELLINGS,
    TIMES,
    Installation,
    installed,
    spelled,
    wanted,
)
from tests.simulation.model import FAULTS, MUCH_LATER, OK, Approved, Model

CI = (200, 50)  # histories, steps in each
SOAK = (2_000, 100)
SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}
# Which webhooks stop somebody: one that asks for it, and an answer that does.
HOOKS = {"lead_unsubscribed": True, "reply_received": True, "email_bounced": False, "email_sent": False}
UNSURE = {"claimed": "in_doubt"}
ORDER = {"applied": 1, "replayed": 2}

SCOPES = ("all", "campaign:c1", "vendor:ghl")
What = tuple[str, str, int]  # kind, person, time
Right = set[tuple[str, str]]  # status and reason of every right outcome

process = st.sampled_from((0, 1))
person = st.sampled_from(PEOPLE)
what = st.sampled_from(list(OPS))
version = st.sampled_from((1, 1, 1, 2))
yes = st.sampled_from(("new", "new", "new", "old"))
scope = st.sampled_from(SCOPES)
mostly_off = st.sampled_from((True, False, False))
FAILING: dict[str, st.SearchStrategy[Any]] = {
    "number": process,
    "what": what,
    "words": version,
    "yes": yes,
    "looks": st.booleans(),
    "goes_wrong": st.sampled_from(sorted(FAULTS.keys() - {MUCH_LATER})),
    "retry_after": st.sampled_from(("1", "120", "date", "soon", "-1", "")),
    "stop": st.sampled_from(("kill", "suppress")),
}


@cache
def rules() -> Rules:
    return load_rules(CONFIG)


class History(RuleBasedStateMachine):
    """Everything that may happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.logged = self.stack.enter_context(structlog.testing.capture_logs())
        self.model = Model()
        self.given: dict[tuple[str, int], str] = {}  # person, version → the newest yes
        self.told: set[tuple[str, str, int]] = set()  # webhooks that were taken in
        self.proposed: set[What] = set()
        self.world: Installation = self.run(self.stack.enter_async_context(installed()))

    def run(self, coroutine):  # type: ignore[no-untyped-def]  # whatever it returns
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        try:
            if sys.exception() is None:  # after a failure there is nothing more to be learnt
                self.heal()
        finally:
            self.run(self.stack.aclose())
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()

    @property
    def now(self) -> float:
        return self.world.clock.now().timestamp()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────
    @rule(number=process, what=what, words=version, yes=yes, looks=st.booleans())
    def submit(self, number: int, what: What, words: int, yes: str, looks: bool) -> None:
        self.agreed(number, what, words, yes)
        self.submitted(number, what, words, looks, "")

    @rule(**FAILING)
    def submit_and_fail(
        self, number: int, what: What, words: int, yes: str, looks: bool, **wrong: str
    ) -> None:
        self.agreed(number, what, words, yes)
        self.failing(number, what, words, looks, **wrong)

    @rule(**{**FAILING, "what": st.sampled_from([one for one in OPS if one[0] == "contact"])})
    def contact_and_fail(
        self, number: int, what: What, words: int, yes: str, looks: bool, **wrong: str
    ) -> None:
        self.failing(number, what, words, looks, **wrong)

    @rule(**{**FAILING, "what": st.sampled_from([one for one in OPS if one[0] == "enrol"])})
    def enrol_and_fail(
        self, number: int, what: What, words: int, yes: str, looks: bool, **wrong: str
    ) -> None:
        self.agreed(number, what, words, yes)
        self.failing(number, what, words, looks, **wrong)

    @rule(which=st.integers(0, 20), **FAILING)
    def take_up_what_is_in_doubt(
        self, which: int, number: int, what: What, words: int, yes: str, looks: bool, **wrong: str
    ) -> None:
        """What nobody knows the end of is proposed again, mostly as it was."""
        doubtful = [one for one, op in OPS.items() if self.model.status.get(op.key) == "in_doubt"]
        if doubtful:
            what = doubtful[which % len(doubtful)]
            self.failing(number, what, self.model.version[OPS[what].key], looks, **wrong)

    def failing(
        self, number: int, what: What, words: int, looks: bool, goes_wrong: str, retry_after: str, stop: str
    ) -> None:
        """One submission during which something goes wrong."""
        wire = self.world.processes[number].wire
        wire.retry_after = retry_after
        always, _, one = goes_wrong.rpartition(" ")
        wire.plan = [one] * (10 if always else 1)

        async def meanwhile() -> None:
            await (
                self.world.kill(1 - number) if stop == "kill" else self.world.suppress(1 - number, what[1])
            )

        wire.meanwhile = meanwhile
        asked_for_longer = (goes_wrong, retry_after) == ("500", "120")
        self.submitted(number, what, words, looks, MUCH_LATER if asked_for_longer else goes_wrong)
        happened = goes_wrong == "stop_meanwhile" and not wire.plan
        wire.plan = []
        if happened and stop == "kill":
            self.model.killed = True
        elif happened:
            self.model.suppressed.add(what[1])
        if goes_wrong.startswith("crash"):
            self.run(self.world.restart(number))

    def submitted(self, number: int, what: What, words: int, looks: bool, goes_wrong: str) -> None:
        """One submission, and whether it ended as it may."""
        effect = self.effect(what, words)
        op = OPS[what]
        looks = looks and self.world.vendor.odd != "down"
        if looks:
            self.model.look(op, words)
        right = self.model.expected(op, words, effect.approval, looks, goes_wrong, self.now)
        outcome = self.run(self.world.submit(number, effect, looks=looks))
        self.ended(what, words, effect.approval, outcome, right)

    def effect(self, what: What, words: int) -> Effect:
        return wanted(*what, words, self.given.get((what[1], words), ""))

    def ended(self, what: What, words: int, approval: str, outcome: Outcome, right: Right) -> None:
        said = {(outcome.status, outcome.reason), (outcome.status, "*")}
        assert said & right, (
            f"{OPS[what].name}: {outcome} instead of {sorted(right)}; {self.known(what[1], approval)}"
        )
        event(f"{outcome.status} {outcome.reason}")
        self.model.learn(OPS[what], words, approval, outcome)
        self.proposed.add(what)

    def known(self, who: str, approval: str) -> str:
        """What is known of somebody and of a yes, here and there: a history that can't be replayed is lost."""
        model = {OPS[one].name: self.model.status.get(OPS[one].key) for one in self.proposed if one[1] == who}
        rows = self.run(self.world.processes[0].kernel.ledger.list(limit=1_000))
        ledger = [
            (row.effect.intent, row.status, row.reason, row.effect.approval, row.attempts) for row in rows
        ]
        return f"model {model}, {approval} {self.model.yes.get(approval)}; ledger {ledger}"

    @rule(
        number=process,
        time=st.sampled_from(TIMES),
        yes=yes,
        looks=st.booleans(),
        goes_wrong=st.sampled_from(("", "partial", "drop_after", "429", "late")),
    )
    def enrol_everybody(self, number: int, time: int, yes: str, looks: bool, goes_wrong: str) -> None:
        """One request for three people, each with an outcome of their own."""
        asked: list[What] = [("enrol", who, time) for who in PEOPLE]
        for what in asked:
            self.agreed(number, what, 1, yes)
        effects = [self.effect(what, 1) for what in asked]
        looks = looks and self.world.vendor.odd != "down"
        wire = self.world.processes[number].wire
        wire.plan, wire.retry_after = [goes_wrong], "1"
        if looks:
            for what in asked:
                self.model.look(OPS[what], 1)
        right = [
            self.model.expected(OPS[what], 1, effect.approval, looks, goes_wrong, self.now)
            for what, effect in zip(asked, effects, strict=True)
        ]
        outcomes = self.run(self.world.submit_together(number, effects, looks=looks))
        wire.plan = []
        for what, effect, outcome, allowed in zip(asked, effects, outcomes, right, strict=True):
            self.ended(what, 1, effect.approval, outcome, allowed)

    @rule(what=what, yes=yes, looks=st.booleans())
    def both_at_once(self, what: What, yes: str, looks: bool) -> None:
        """Two processes take up the same person."""
        self.agreed(0, what, 1, yes)
        effect, op = self.effect(what, 1), OPS[what]
        looks = looks and self.world.vendor.odd != "down"
        if looks:
            self.model.look(op, 1)
        right = self.model.expected(op, 1, effect.approval, looks, "", self.now)
        also = {("replayed", "*"), ("refused", "in_flight")} if OK & right else set()

        async def both() -> list[Outcome]:
            each = [self.world.submit(number, effect, looks=looks) for number in (0, 1)]
            return list(await asyncio.gather(*each))

        outcomes = self.run(both())
        assert [outcome.status for outcome in outcomes].count("applied") <= 1
        # Whichever process was the first: it was refused, it was done, and then it had been done already.
        for outcome in sorted(outcomes, key=lambda one: ORDER.get(one.status, 0)):
            self.ended(what, 1, effect.approval, outcome, right | also)

    # ── people ───────────────────────────────────────────────────────────────────────────────────────────
    def agreed(self, number: int, what: What, words: int, yes: str) -> None:
        """A person's yes to an enrolment, where one is asked for: a new one, or none but what stands."""
        if what[0] == "enrol" and yes == "new":
            self.approve(number, what, words)

    def approve(self, number: int, what: What, words: int) -> None:
        given = self.run(self.world.approve(number, wanted(*what, words)))
        hours = self.world.settings.safety.approvals.expires_hours
        self.model.yes[given] = Approved((what[1], words), self.now + hours * 3600)
        self.given[what[1], words] = given

    @rule(
        number=process, who=person, other=person, words=version, change=st.sampled_from(("revoke", "another"))
    )
    def spoil_an_approval(self, number: int, who: str, other: str, words: int, change: str) -> None:
        """It is taken back, or somebody else's is used."""
        given = self.given.get((other, words))
        if given and change == "revoke":
            self.run(self.world.revoke(number, given))
            self.model.yes[given].revoked = True
        elif given:
            self.given[who, words] = given

    @rule(number=process, who=person, spelling=st.sampled_from(SPELLINGS), lifts=st.booleans())
    def suppress(self, number: int, who: str, spelling: str, lifts: bool) -> None:
        if lifts:
            self.run(self.world.lift(number, who))
            self.model.suppressed.discard(who)
        else:
            self.run(self.world.suppress(number, who, spelling))
            self.model.suppressed.add(who)

    @rule(number=process, on=mostly_off)
    def turn_kill_switch(self, number: int, on: bool) -> None:
        self.run(self.world.kill(number) if on else self.world.release(number))
        self.model.killed = on

    @rule(number=process, on=mostly_off)
    def turn_safe_mode(self, number: int, on: bool) -> None:
        switches = self.world.processes[number].kernel.switches
        turn = switches.engage_safe_mode if on else switches.leave_safe_mode
        self.run(turn(actor="root", reason="a rehearsal"))
        self.model.safe = on

    @rule(number=process, where=scope, how=st.sampled_from(("pause", "halt", "resume", "resume")))
    def pause(self, number: int, where: str, how: str) -> None:
        switches = self.world.processes[number].kernel.switches
        if how == "resume":
            self.run(switches.resume(where, actor="root", reason="go on"))
            self.model.stands.pop(where, None)
        else:
            self.run(switches.pause(where, actor="ada", reason="wait", kind=how))
            self.model.stands[where] = "halt" if "halt" in {how, self.model.stands.get(where)} else "pause"

    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────
    @rule(
        number=process,
        what=st.sampled_from(sorted(HOOKS)),
        who=person,
        told=st.integers(1, 3),
        times=st.sampled_from((1, 1, 3)),
        genuine=st.sampled_from((True, True, False)),
    )
    def webhook(self, number: int, what: str, who: str, told: int, times: int, genuine: bool) -> None:
        """Late, twice, out of order and forged: only a new and genuine one stops somebody, and none lets them go on."""
        said = {"event_type": what, "lead_email": who, "timestamp": f"2026-03-0{told}T09:00:00Z"}
        said["reply_text"] = "Please remove me from your list."
        headers = SECRET if genuine else {"x-swarm-secret": "guessed"}

        async def deliver() -> list[int]:
            kernel = self.world.processes[number].kernel
            app = App(kernel, Suite({}, {}), rules(), webhook_sources(kernel.settings))
            answers = [
                await inbox.receive(app, "instantly", headers, json.dumps(said).encode())
                for _ in range(times)
            ]
            await inbox.drain(app)
            return answers

        async def stop() -> list[int]:
            async with self.world.act("suppress", who):
                return await deliver()

        new = genuine and (what, who, told) not in self.told
        stops = new and HOOKS[what]
        answers = self.run(stop() if stops else deliver())
        assert set(answers) == {200 if genuine else 401}
        if genuine:
            self.told.add((what, who, told))
        if stops:
            self.model.suppressed.add(who)

    # ── the world ────────────────────────────────────────────────────────────────────────────────────────
    @rule(number=process)
    def restart(self, number: int) -> None:
        self.run(self.world.restart(number))

    @rule(seconds=st.sampled_from((5, 60, 3_600, 80 * 3_600, -10, -600, -3_600)))
    def clock_jumps(self, seconds: int) -> None:
        if seconds < 0:
            self.model.ahead_until = max(self.model.ahead_until, self.now + 600)
        self.world.clock.move(seconds)

    @rule(seconds=st.sampled_from((5, 600, 80 * 3_600)))
    def clock_is_set_forward(self, seconds: int) -> None:
        """No time passes: what is on its way to the vendor is no nearer."""
        self.world.clock.jump(seconds)

    @rule(down=st.booleans())
    def vendor_maintenance(self, down: bool) -> None:
        self.world.vendor.odd = "down" if down else ""

    @rule(number=process)
    def reconcile(self, number: int) -> None:
        self.run(self.world.reconcile(number))
        if self.world.vendor.odd != "down":
            self.model.settle()

    # ── what holds after each step ───────────────────────────────────────────────────────────────────────
    @invariant()
    def sound(self) -> None:
        """Nothing lost, doubled or done after a stop; the ledger as the model says; every opt-out in every spelling."""
        asked = [spelled(who, spelling) for who in sorted(self.model.suppressed) for spelling in SPELLINGS]
        statuses, refused, used = self.run(self.world.check(asked))
        assert self.world.checker.found.nothing, self.world.checker.found
        self.model.held = {commit.key for commit in self.world.vendor.log} | self.world.vendor.coming
        assert {key: UNSURE.get(status, status) for key, status in statuses.items()} == self.model.status
        assert refused == set(asked)
        assert used == {given: approved.used_by for given, approved in self.model.yes.items()}

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────
    def heal(self) -> None:
        """Everything works again, everybody says yes: what was wanted happens, once, and nothing stays open."""
        self.world.vendor.odd = ""
        self.world.clock.move(700.0)
        self.model.ahead_until = max(self.model.ahead_until, self.now)
        while self.now < self.model.ahead_until:
            self.world.clock.move(3_600.0)
        self.turn_kill_switch(0, False)
        self.turn_safe_mode(0, False)
        for where in SCOPES:
            self.pause(0, where, "resume")
        for number in (0, 1):
            self.restart(number)
        self.reconcile(0)
        happy = []
        for what in sorted(self.proposed):
            op = OPS[what]
            words = self.model.version.get(op.key, 1)
            self.agreed(0, what, words, "new")
            self.submitted(0, what, words, True, "")
            if op.stops or op.person not in self.model.suppressed:
                happy.append(op.key)
        self.sound()
        self.world.checker.wanted(happy)
        assert self.world.checker.found.nothing, self.world.checker.found
        assert not {"claimed", "in_doubt"} & set(self.model.status.values())
        assert self.run(self.world.processes[0].kernel.audit.verify()).ok
        said = str([{**line, "exc_info": ""} for line in self.logged])
        assert [who for who in (*PEOPLE, "sandbox-instantly-secret") if who in said] == []


def profile(histories: int, steps: int) -> settings:
    """So many histories of so many steps; a failing one is printed as a program."""
    every = list(HealthCheck)
    return settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=every,
        database=None,
        print_blob=True,
    )


@pytest.mark.timeout(600)
@pytest.mark.requirement(
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "F1", "F2", "F4", "F5", "F9", "F11", "F12"
)
def test_random_histories_are_as_the_model_says() -> None:
    run_state_machine_as_test(History, settings=profile(*CI))


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_many_long_random_histories_are_as_the_model_says() -> None:
    run_state_machine_as_test(History, settings=profile(*SOAK))
