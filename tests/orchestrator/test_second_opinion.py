"""A model may be asked what a reply means: it picks from a closed list, and only adds caution."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any, get_args

import anyio
import pytest
import sqlalchemy as sa
from people import RULES

from orchestrator import handling, reconsidering, reply_tools
from orchestrator.app import App
from orchestrator.replies import Classified
from orchestrator.rules import ReplyClass, SecondOpinion
from orchestrator.second_opinion import BY_RULES, UNKNOWN, Opinion, OverHttp, consider, open_classifier
from shared.errors import ConfigError, Invalid
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import handoff, reply
from tests.orchestrator.world import alone, rows

LIMITS = SecondOpinion(timeout_seconds=0.05, longest_answer=100)
CLASSES: tuple[ReplyClass, ...] = get_args(ReplyClass)
ONE = "jo@corp1.example"


# ── what counts ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("C6")
def test_an_opinion_never_makes_a_reply_less_of_a_stop() -> None:
    for found, said in product(CLASSES, CLASSES):
        before = Classified(found, 0.9, f"{found}.rule")
        after = consider(before, Opinion(reply=said, confidence=1.0), RULES)
        if found in BY_RULES or said == found:
            assert after == before
        elif RULES.routing.replies[said].suppress and said != "bounce":
            assert (after.reply, after.to_confirm) == ("unsubscribe", True)
        elif found != "unknown":
            assert after == before
        else:
            assert after.reply in {said, "unknown"}


def test_somebody_unsure_is_not_believed() -> None:
    before = Classified("unknown", 0.0, "unknown.no_sign")
    assert consider(before, Opinion(reply="positive_interest", confidence=0.79), RULES) == before
    assert (
        consider(before, Opinion(reply="positive_interest", confidence=0.8), RULES).reply
        == "positive_interest"
    )


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Model:
    """Somebody at the other end."""

    answer: bytes = b""
    status_code: int = 200
    waits: float = 0.0
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, json: Any, headers: Mapping[str, str]
    ) -> AsyncIterator["Model"]:
        self.asked.append(json)
        self.headers.append(headers)
        await anyio.sleep(self.waits)
        yield self

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.answer), 7):
            yield self.answer[at : at + 7]


async def test_it_is_told_the_newest_part_and_the_classes_and_nothing_else() -> None:
    model = Model(b'{"reply": "pricing_objection", "confidence": 0.9}')
    asked = OverHttp(model, "https://model.example", "k", LIMITS)
    said = await asked.pick("Re: hello", "How much?\n\nOn Monday Jo <jo@corp1.example> wrote:\n> secret")
    assert said == Opinion(reply="pricing_objection", confidence=0.9)
    assert model.asked == [{"classes": list(CLASSES), "subject": "Re: hello", "text": "How much?"}]
    assert model.headers == [{"authorization": "Bearer k"}]


@pytest.mark.requirement("C6")
@pytest.mark.parametrize(
    "model",
    [
        Model(b'{"reply": "delete_everything", "confidence": 1}'),
        Model(b'{"reply": "unsubscribe", "confidence": 7}'),
        Model(b'{"reply": "unsubscribe", "confidence": "high"}'),
        Model(b'{"reply": ["unsubscribe"], "confidence": 1}'),
        Model(b'{"reply": "positive_interest", "confidence": 1, "call": "release"}'),
        Model(b"positive_interest"),
        Model(b""),
        Model(b"\xff\xfe"),
        Model(json.dumps({"reply": "unknown", "confidence": 1, "x": "y" * 200}).encode()),
        Model(b'{"reply": "positive_interest", "confidence": 1}', status_code=500),
        Model(b'{"reply": "positive_interest", "confidence": 1}', waits=5),
    ],
)
async def test_a_wrong_answer_is_none(model: Model) -> None:
    assert await OverHttp(model, "https://model.example", "", LIMITS).pick("", "hm") == UNKNOWN


def test_replies_travel_by_https_only() -> None:
    assert open_classifier({}, Model(), LIMITS) is None
    for url in ("https://model.example/x", "http://127.0.0.1:9/x"):
        assert open_classifier({"SWARM_CLASSIFIER_URL": url}, Model(), LIMITS) is not None
    for url in ("http://model.example/x", "file:///etc/passwd", "model.example"):
        with pytest.raises(ConfigError):
            open_classifier({"SWARM_CLASSIFIER_URL": url}, Model(), LIMITS)


# ── stored replies ───────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def app(live_kernel: Kernel) -> App:
    return alone(live_kernel)


async def answered(app: App, text: str, name: str = "r1") -> None:
    await handling.handle(app, Event(name, "instantly", "replied", "", email=ONE, text=text))


@dataclass
class Says:
    """A model that always says the same."""

    opinion: Opinion
    times: int = 0

    async def pick(self, subject: str, text: str) -> Opinion:
        self.times += 1
        return self.opinion


async def triggers(app: App) -> list[str]:
    return sorted(row.trigger for row in await rows(app, sa.select(handoff)))


@pytest.mark.requirement("C6")
async def test_what_a_model_takes_for_an_opt_out_is_held_until_a_person_decides(app: App) -> None:
    await answered(app, "Hmm.")
    model = Says(Opinion(reply="hostile", confidence=0.3))
    assert [await reconsidering.work(app, model), await reconsidering.work(app, model)] == [1, 0]
    assert model.times == 1
    assert await app.kernel.suppression.refused([ONE]) == {ONE: "unclear_opt_out"}
    assert await triggers(app) == ["opt_out_to_confirm", "unclear_reply"]


async def test_a_model_names_what_rules_had_not_understood(app: App) -> None:
    await answered(app, "Hmm.")
    await reconsidering.work(app, Says(Opinion(reply="bad_timing", confidence=0.9)))
    (row,) = await rows(app, sa.select(reply))
    assert (row._mapping["class"], row.rule, row.action) == (
        "bad_timing",
        "model.bad_timing",
        "schedule_future_touch",
    )
    assert await triggers(app) == ["unclear_reply"]


@pytest.mark.requirement("C6")
async def test_nobody_is_asked_about_what_rules_decide(app: App) -> None:
    await answered(app, "unsubscribe")
    model = Says(Opinion(reply="positive_interest", confidence=1.0))
    assert await reconsidering.work(app, model) == model.times == 0
    assert await app.kernel.suppression.refused([ONE]) == {ONE: "suppressed"}


# ── the tool ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_text_is_classified_and_nothing_is_done(app: App) -> None:
    told = await reply_tools.classify_reply.function(app, text="Please unsubscribe")
    assert (told.detail["class"], told.detail["suppresses"], told.detail["confidence"]) == (
        "unsubscribe",
        True,
        0.99,
    )
    assert await rows(app, sa.select(reply)) == []
    for wrong in ({}, {"text": "x", "reply_id": "y"}, {"reply_id": "nobody"}):
        with pytest.raises(Invalid):
            await reply_tools.classify_reply.function(app, **wrong)


@pytest.mark.requirement("C6")
async def test_a_stored_reply_read_anew_stops_whom_it_had_not_and_frees_nobody(app: App) -> None:
    await answered(app, "Please unsubscribe")
    await app.kernel.store.write(
        lambda c: c.execute(sa.update(reply).values({"class": "unknown", "text": "stop mailing me"}))
    )
    told = await reply_tools.classify_reply.function(app, reply_id="instantly:r1")
    assert (told.detail["class"], told.detail["said"]) == ("unsubscribe", "stop mailing me")
    await app.kernel.store.write(lambda c: c.execute(sa.update(reply).values(text="Sounds great!")))
    told = await reply_tools.classify_reply.function(app, reply_id="instantly:r1")
    assert told.detail["class"] == "positive_interest"
    assert (await rows(app, sa.select(reply)))[0]._mapping["class"] == "unsubscribe"
    assert await app.kernel.suppression.refused([ONE]) == {ONE: "suppressed"}
