"""A second opinion on replies that rules are unsure of: a model behind a narrow port, which can only add caution.

    the rules stop contact, or see a machine ─▶ nobody is asked
    otherwise ─▶ a class of the closed list, or unknown for whatever else it says
                  ├ one that ends contact ─▶ stopped now, a person confirms
                  ├ any other, and the rules found none ─▶ that class, for whoever reads the reply
                  └ otherwise ─▶ the rules' class stands

It has no tools and is told nothing but the reply. Whatever it answers, nobody comes off a list by it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Annotated, Any, Protocol, get_args
from urllib.parse import urlsplit

import anyio
from pydantic import Field, ValidationError

from orchestrator.newest import newest_part
from orchestrator.replies import Classified
from orchestrator.rules import ReplyClass, Rules, SecondOpinion
from shared.errors import ConfigError
from shared.strict import Strict
from shared.telemetry import logger

log = logger("second_opinion")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# What the rules alone decide: a model's word neither takes it away nor makes it up.
BY_RULES = frozenset[ReplyClass](
    {"unsubscribe", "legal_threat", "complaint", "hostile", "bounce", "out_of_office", "auto_reply"}
)
NOT_BELIEVED = frozenset[ReplyClass]({"bounce", "out_of_office", "auto_reply", "unknown"})


class Opinion(Strict):
    """All that a model may answer."""

    reply: ReplyClass
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0


UNKNOWN = Opinion(reply="unknown")


class Classifier(Protocol):
    """Picks a class for a text. Never raises: what it can't tell is `unknown`."""

    async def pick(self, subject: str, text: str) -> Opinion:
        """One of the closed list."""
        ...


class Answering(Protocol):
    """An answer that is read piece by piece."""

    @property
    def status_code(self) -> int:
        """The status."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body."""
        ...


class Asking(Protocol):
    """What is needed of an HTTP client; it is passed in, for the library belongs to other modules."""

    def stream(
        self, method: str, url: str, *, json: Any, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Answering]:
        """Send JSON, and read the answer."""
        ...


class OverHttp:
    """A model at an address: `POST {classes, subject, text}`, answered by `{reply, confidence}` and nothing else."""

    def __init__(self, http: Asking, url: str, key: str, limits: SecondOpinion) -> None:
        self._http = http
        self._url = url
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._limits = limits

    async def pick(self, subject: str, text: str) -> Opinion:
        """Whatever goes wrong over there, and whatever it says beyond the schema, is `unknown`."""
        try:
            with anyio.fail_after(self._limits.timeout_seconds):
                return Opinion.model_validate_json(await self._ask(subject, text), strict=True)
        except (ValidationError, _NoAnswerError) as error:
            log.warning("second_opinion.not_an_answer", kind=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - not to know is an answer, and a person reads the reply
            log.warning("second_opinion.unreachable", kind=type(error).__name__)
        return UNKNOWN

    async def _ask(self, subject: str, text: str) -> bytes:
        asked = {
            "classes": list(get_args(ReplyClass)),
            "subject": subject[:300],
            "text": newest_part(text)[: self._limits.longest_text],
        }
        said = bytearray()
        async with self._http.stream("POST", self._url, json=asked, headers=self._headers) as answer:
            if answer.status_code != 200:
                raise _NoAnswerError
            async for piece in answer.aiter_bytes():
                said += piece
                if len(said) > self._limits.longest_answer:
                    raise _NoAnswerError
        return bytes(said)


class _NoAnswerError(Exception):
    """Another status, or more than an answer may be."""


def open_classifier(variables: Mapping[str, str], http: Asking, limits: SecondOpinion) -> Classifier | None:
    """The model that is configured, if one is. Raises `ConfigError` for an address that would show replies to all."""
    url = variables.get("SWARM_CLASSIFIER_URL", "")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ConfigError("SWARM_CLASSIFIER_URL must begin with https://, or be on loopback")
    return OverHttp(http, url, variables.get("SWARM_CLASSIFIER_KEY", ""), limits)


def consider(found: Classified, opinion: Opinion, rules: Rules) -> Classified:
    """What counts after a second opinion: never less cautious than `found`."""
    limits, said = rules.routing.second_opinion, opinion.reply
    if found.reply in BY_RULES or said in NOT_BELIEVED or said == found.reply:
        return found
    if rules.routing.replies[said].suppress:
        also = tuple(dict.fromkeys((said, found.reply, *found.also)))
        return Classified("unsubscribe", opinion.confidence, f"model.{said}", also, to_confirm=True)
    if found.reply != "unknown" or opinion.confidence < limits.at_least:
        return found
    return replace(found, reply=said, confidence=min(opinion.confidence, 0.9), rule=f"model.{said}")
