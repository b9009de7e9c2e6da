"""Checks a request or an answer against a vendor's OpenAPI file: the operation is found by method and path.

    spec = load(CONTRACTS / "ghl/v3/contacts.openapi.json")
    validate_request(spec, "POST", "/contacts/", {…})          body; unknown properties are refused
    validate_query(spec, "GET", "/contacts/search/duplicate", {…})
    validate_response(spec, "POST", "/contacts/", 201, {…})

Each raises `ContractBroken` with every problem. References are resolved in the whole document; `nullable` of
OpenAPI 3.0 is honoured. Where a schema refuses its own example, the schema has slipped and is not applied.
"""

import json as jsonlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = "urn:contract"
METHODS = {"get", "post", "put", "patch", "delete"}
# What the vendors' generators write for a list of anything.
LIST_OF_ANYTHING = {"type": "array", "items": {}}


class ContractBroken(AssertionError):  # noqa: N818 - a verdict, raised as one
    """What was sent or answered is not what the vendor describes."""


@dataclass(frozen=True)
class Spec:
    """An OpenAPI document, translated to JSON Schema."""

    document: Mapping[str, Any]
    registry: Registry[Any]


def load(path: Path) -> Spec:
    """Read and translate one file."""
    return of(jsonlib.loads(path.read_text(encoding="utf-8")))


def of(document: Mapping[str, Any]) -> Spec:
    """Translate a parsed document."""
    translated = _translated(document)
    resource = Resource.from_contents(translated, default_specification=DRAFT202012)
    return Spec(translated, Registry().with_resource(DOCUMENT, resource))


def has_operation(spec: Spec, method: str, path: str) -> bool:
    """Whether the document describes this operation."""
    return bool(_template(spec, method, path))


def validate_request(spec: Spec, method: str, path: str, json: Any, *, closed: bool = True) -> None:
    """A request's JSON body. `closed`: properties that the schema does not name are refused at the top."""
    _, operation = _operation(spec, method, path)
    if "requestBody" not in operation:
        if json not in (None, {}):
            raise ContractBroken(f"{method} {path} takes no body")
        return
    media = _media(spec, operation["requestBody"])
    if media is None:
        return
    problems = list(_problems(spec, media, json))
    named = _properties(spec, media)
    if closed and named and isinstance(json, Mapping):
        problems += [f"{name} is not in the schema" for name in json if name not in named]
    _raise(f"{method} {path}", problems)


def validate_query(spec: Spec, method: str, path: str, query: Mapping[str, str]) -> None:
    """Names and presence of query parameters."""
    _, operation = _operation(spec, method, path)
    item = spec.document["paths"][_template(spec, method, path)]
    parameters = [_followed(spec, p) for p in (*item.get("parameters", ()), *operation.get("parameters", ()))]
    known = {p["name"]: p for p in parameters if p["in"] == "query"}
    missing = [name for name, p in known.items() if p.get("required") and name not in query]
    problems = [f"query {name} is missing" for name in missing]
    problems += [f"query {name} is not in the schema" for name in query if name not in known]
    _raise(f"{method} {path}", problems)


def validate_response(spec: Spec, method: str, path: str, status: int, json: Any) -> None:
    """An answer's status and JSON body."""
    _, operation = _operation(spec, method, path)
    responses = operation["responses"]
    declared = responses.get(str(status)) or responses.get(f"{status // 100}XX") or responses.get("default")
    if declared is None:
        raise ContractBroken(f"{method} {path} declares no answer {status}")
    media = _media(spec, _followed(spec, declared))
    if media is not None:
        _raise(f"{method} {path} → {status}", list(_problems(spec, media, json)))


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────
def _operation(spec: Spec, method: str, path: str) -> tuple[str, Mapping[str, Any]]:
    template = _template(spec, method, path)
    if not template:
        raise ContractBroken(f"there is no {method} {path}")
    return template, spec.document["paths"][template][method.lower()]


def _template(spec: Spec, method: str, path: str) -> str:
    """The path's template with the fewest parameters that fits; empty when there is none."""
    fitting = [
        template
        for template, item in spec.document["paths"].items()
        if method.lower() in item and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)
    ]
    return min(fitting, key=lambda template: template.count("{"), default="")


def _media(spec: Spec, holder: Mapping[str, Any]) -> Any:
    """The JSON schema of a body, or None where none is declared."""
    content = _followed(spec, holder).get("content", {})
    return content.get("application/json", {}).get("schema")


def _followed(spec: Spec, node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = spec.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        node = found
    return node


def _properties(spec: Spec, schema: Any) -> set[str]:
    """Property names at the top, through references and compositions."""
    schema = _followed(spec, schema)
    if schema.get("additionalProperties"):
        return set()
    names = set(schema.get("properties", ()))
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word, ()):
            names |= _properties(spec, part)
    return names


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────
def _problems(spec: Spec, schema: Any, instance: Any) -> Iterator[str]:
    anchored = _anchored(schema)
    for error in Draft202012Validator(anchored, registry=spec.registry).iter_errors(instance):
        yield f"{error.json_path}: {error.message}"


def _anchored(node: Any) -> Any:
    """The schema with its references pointing into the whole document."""
    if isinstance(node, dict):
        return {
            key: f"{DOCUMENT}{value}" if key == "$ref" and value.startswith("#") else _anchored(value)
            for key, value in node.items()
        }
    return [_anchored(part) for part in node] if isinstance(node, list) else node


def _raise(what: str, problems: list[str]) -> None:
    if problems:
        raise ContractBroken(f"{what}: " + "; ".join(problems))


# ── OpenAPI 3.0 to JSON Schema ───────────────────────────────────────────────────────────────────────────
def _translated(node: Any) -> Any:
    if isinstance(node, list):
        return [_translated(part) for part in node]
    if not isinstance(node, dict):
        return node
    done = {
        key: value if key in {"example", "examples"} else _translated(value) for key, value in node.items()
    }
    if _slipped(done):
        return {key: value for key, value in done.items() if key not in {"type", "properties", "items"}}
    if done.get("items") == LIST_OF_ANYTHING or _items_slipped(done):
        done["items"] = {}
    return _bounds(_nullable(done))


def _slipped(schema: Mapping[str, Any]) -> bool:
    """Whether a schema of one type has an example of another."""
    if "example" not in schema or not isinstance(schema.get("type"), str):
        return False
    return schema["type"] == "object" and not isinstance(schema["example"], dict)


def _items_slipped(schema: Mapping[str, Any]) -> bool:
    """Whether a list of texts has objects in its example."""
    example, items = schema.get("example"), schema.get("items")
    texts = isinstance(items, dict) and items.get("type") == "string"
    return texts and isinstance(example, list) and any(isinstance(one, dict) for one in example)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.pop("nullable", False) is not True:
        return schema
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """In 3.0 an exclusive bound is a flag beside the bound."""
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(flag) is True:
            schema[flag] = schema.pop(bound)
        elif schema.get(flag) is False:
            del schema[flag]
    return schema
