"""What is wrong with a message, and what a rule may look at to say so."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.rules import Rules
from orchestrator.wording import Severity
from shared.lead import Lead
from shared.ports import Message

ORDER: Mapping[str, int] = {"block": 0, "hold": 1, "warn": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where, why, and what to do about it. None of it repeats text from outside."""

    code: str
    severity: Severity
    place: str  # recipient, or message 2: body
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule may look at."""

    lead: Lead
    messages: tuple[Message, ...]
    rules: Rules


Rule = Callable[[Case], Iterable[Finding]]


def place(number: int, part: str) -> str:
    """How a finding names a part of the message of that number, from 1."""
    return f"message {number}: {part}"
