"""A tool as its callers see it: name, strict arguments, portable schemas. Knows nothing of MCP.

Portable means what every model host accepts: an object at the top, no references, no unions, no nulls, no
`Any`. A signature that can't be said that way is a bug in the tool: `TypeError` when its schema is built.
"""

import difflib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NotRequired, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from shared.answer import plain
from shared.errors import Invalid
from shared.foreign import clean
from shared.portable import Portable, Schema
from shared.tool import Tool

NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$")
MAX_NAME = 64
MAX_PROBLEMS = 3
MAX_PATH = 100
RESULT = "result"
MISSING = {"missing", "missing_argument"}

# pydantic's texts that are built from the schema alone; any other may repeat what the caller sent.
_SAFE_TEXT = re.compile(
    r"^(missing|unexpected_keyword_argument|extra_forbidden|literal_error|enum|greater_than|less_than|multiple_of|"
    r"finite_number|too_short|too_long|string_too_|string_pattern_mismatch|none_required|"
    r"(int|float|bool|string|list|tuple|dict|mapping|dataclass|date|time|datetime|time_delta)_(type|from_float)$|"
    r"(greater|less)_than_equal)"
)


class Contract:
    """What a tool promises: built from its function's signature, docstring and return annotation."""

    def __init__(self, server: str, tool: Tool) -> None:
        self.tool = tool
        self.name = f"{server}_{tool.name}"
        if not NAME.match(self.name) or len(self.name) > MAX_NAME:
            raise TypeError(f"{self.name!r} is no tool name: server_verb_noun, up to {MAX_NAME}")

    @cached_property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.tool.function) or ""

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The arguments: all parameters but the first, which is the opened server."""
        return dict(list(inspect.signature(self.tool.function).parameters.items())[1:])

    @cached_property
    def returns(self) -> TypeAdapter[Any]:
        """The return annotation, to build its schema and to read an answer back."""
        return TypeAdapter(self._hints.get("return", inspect.Parameter.empty))

    @cached_property
    def wrapped(self) -> bool:
        """True when the answer isn't an object and so travels as `{"result": …}`."""
        return bool(self._bare_output.get("type") != "object")

    @cached_property
    def input_schema(self) -> Schema:
        """JSON schema of the arguments."""
        whole = self._arguments.json_schema()
        schema = Portable(whole, self.name, closed=True).schema()
        schema.pop("description", None)
        for name, parameter in self.parameters.items():
            if parameter.default not in (inspect.Parameter.empty, None, "", ()):
                schema["properties"][name]["default"] = plain(parameter.default)
        return schema

    @cached_property
    def output_schema(self) -> Schema:
        """JSON schema of the structured answer: shapes only, so that foreign text of any length fits."""
        if not self.wrapped:
            return self._bare_output
        return {"type": "object", "properties": {RESULT: self._bare_output}, "required": [RESULT]}

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments for the function; `Invalid` names the field and never repeats its value."""
        try:
            data = json.dumps(_integral(arguments), allow_nan=False)
        except ValueError as error:
            raise Invalid("The arguments hold a number that JSON lacks.", code="not_json") from error
        try:
            return dict(self._arguments.validate_json(data))
        except ValidationError as error:
            raise self._invalid(error) from None

    def structured(self, value: object) -> dict[str, Any]:
        """The answer as the output schema has it."""
        found = plain(value)
        return {RESULT: found} if self.wrapped or not isinstance(found, dict) else found

    def _invalid(self, error: ValidationError) -> Invalid:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        problems.sort(key=lambda one: one["type"] in MISSING)  # what is there and wrong comes first
        said = [f"{_path(one['loc'])}: {self._say(one['type'], one['msg'], one['loc'])}" for one in problems]
        more = f" (and {len(said) - MAX_PROBLEMS} more)" if len(said) > MAX_PROBLEMS else ""
        text = "; ".join(said[:MAX_PROBLEMS]) + more
        return Invalid(text, field=_path(problems[0]["loc"]), code="invalid_argument")

    def _say(self, kind: str, text: str, location: tuple[int | str, ...]) -> str:
        if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
            return "no such argument" + (self._near(str(location[0])) if len(location) == 1 else "")
        if kind in MISSING:
            return "is required"
        return text[:1].lower() + text[1:] if _SAFE_TEXT.match(kind) else "not an acceptable value"

    def _near(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.parameters, n=1)
        if close:
            return f"; did you mean {close[0]}?"
        return f"; there are {', '.join(self.parameters)}" if self.parameters else "; it takes none"

    @cached_property
    def _hints(self) -> dict[str, Any]:
        hints = get_type_hints(self.tool.function, include_extras=True)
        missing = [name for name in (*self.parameters, "return") if hints.get(name, type(None)) is type(None)]
        if missing:
            raise TypeError(f"{self.name}: no type for {', '.join(missing)}")
        return hints

    @cached_property
    def _arguments(self) -> TypeAdapter[dict[str, Any]]:
        """A TypedDict, not a model: any argument name is allowed, and absent ones stay absent."""
        fields: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"{self.name}: *{name} has no schema")
            hint = self._hints[name]
            fields[name] = hint if parameter.default is parameter.empty else NotRequired[hint]
        config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
        return TypeAdapter(with_config(config)(TypedDict("Arguments", fields)))  # type: ignore[operator]  # built at run time

    @cached_property
    def _bare_output(self) -> Schema:
        whole = self.returns.json_schema(mode="serialization")
        return Portable(whole, f"{self.name}'s answer", closed=False).schema()


def _integral(value: Any) -> Any:
    """Hosts that keep every number as a double send 5.0 for 5; JSON schema calls both integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _integral(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_integral(item) for item in value]
    return value


def _path(location: Iterable[int | str]) -> str:
    return clean(".".join(str(part) for part in location))[:MAX_PATH] or "arguments"
