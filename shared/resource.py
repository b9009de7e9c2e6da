"""What a server offers besides tools: texts under an address, and prompts that a person picks in their host.

Functions are given the opened server first, then what the address or the prompt names; both answer text. Knows
nothing of MCP.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from shared.errors import Invalid

TextFunction = Callable[..., Awaitable[str]]
VARIABLE = re.compile(r"\{([a-z_]+)\}")
LONGEST = 500  # characters of a value in an address, or of a prompt's argument


@dataclass(frozen=True, slots=True)
class Resource:
    """A text at an address such as `swarm://leads/{id}`; without a variable there is one of it."""

    address: str
    name: str
    title: str
    description: str
    read: TextFunction

    @property
    def variables(self) -> tuple[str, ...]:
        """What the address leaves open."""
        return tuple(VARIABLE.findall(self.address))

    def match(self, address: str) -> Mapping[str, str] | None:
        """The values of the variables in this address; None where it is another one. `Invalid` for a wild value."""
        parts = VARIABLE.split(self.address)
        pattern = "".join(re.escape(part) if n % 2 == 0 else "([^/?#]+)" for n, part in enumerate(parts))
        found = re.fullmatch(pattern, address)
        if found is None:
            return None
        values = dict(zip(self.variables, map(unquote, found.groups()), strict=True))
        if any(len(value) > LONGEST or ".." in value or not value.isprintable() for value in values.values()):
            raise Invalid("that is no value for an address", field="uri", code="bad_address")
        return values


@dataclass(frozen=True, slots=True)
class Argument:
    """What a prompt may be told; text."""

    name: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A piece of work that a person starts by its name: the text a model begins with."""

    name: str
    title: str
    description: str
    write: TextFunction
    arguments: tuple[Argument, ...] = ()

    def check(self, given: Mapping[str, str]) -> dict[str, str]:
        """The arguments as the function takes them. `Invalid` names what is missing, unknown or too long."""
        known = {argument.name for argument in self.arguments}
        if unknown := sorted(set(given) - known):
            raise Invalid(
                f"this prompt has no argument {unknown[0][:40]!r}", field="arguments", code="unknown"
            )
        missing = [one.name for one in self.arguments if one.required and not given.get(one.name)]
        if missing:
            raise Invalid(f"the argument {missing[0]} is needed", field=missing[0], code="missing")
        if long := [name for name, value in given.items() if len(value) > LONGEST]:
            raise Invalid(f"{long[0]} is longer than {LONGEST} characters", field=long[0], code="too_long")
        return dict(given)
