"""JSON schemas rewritten to what every model host accepts: inline, without titles, unions, nulls or `Any`."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

INPUT_WORDS = frozenset(
    {"type", "enum", "description", "default", "format", "pattern", "minimum", "maximum", "exclusiveMinimum"}
    | {"exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems"}
)
OUTPUT_WORDS = frozenset({"type", "enum"})  # shapes only: an answer may hold foreign text of any length
MEANINGLESS: tuple[object, ...] = (None, "", [], {})  # defaults that say no more than the argument's absence
ANYTHING: Mapping[str, Any] = {}


class Portable:
    """One schema with its definitions. `closed`: objects name all properties, and nothing may be `Any`."""

    def __init__(self, whole: Mapping[str, Any], name: str, *, closed: bool) -> None:
        self.definitions: Mapping[str, Schema] = whole.get("$defs", {})
        self.name = name
        self.closed = closed
        self.words = INPUT_WORDS if closed else OUTPUT_WORDS
        self.root = {key: value for key, value in whole.items() if key != "$defs"}

    def schema(self) -> Schema:
        """The rewritten schema; `TypeError` where a type has no portable form."""
        return self._node(self.root, ())

    def _node(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        node, inside = self._followed(node, inside)
        if not _says_something(node):
            return dict(ANYTHING)
        if "prefixItems" in node or "anyOf" in node or "oneOf" in node:
            raise TypeError(f"{self.name}: a union or a fixed tuple has no portable schema")
        kept = {word: value for word, value in node.items() if word in self.words}
        if "const" in node:
            kept["enum"] = [node["const"]]
        if kept.get("default") in MEANINGLESS:
            kept.pop("default", None)
        if node.get("type") == "object":
            kept |= self._object(node, inside)
        if node.get("type") == "array":
            kept |= self._items(node, inside)
        return kept

    def _followed(self, node: Schema, inside: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """Without reference and null; a definition inside itself (any JSON) says nothing."""
        node = _without_null(node)
        reference = node.get("$ref")
        if reference is None:
            return node, inside
        target = reference.rsplit("/", 1)[-1]
        definition = self.definitions[target]
        if target in inside or _mentions(definition, reference):
            return {}, inside
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return self._followed({**definition, **beside}, (*inside, target))

    def _object(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        found: Schema = {}
        properties = node.get("properties", {})
        if properties or node.get("additionalProperties") is False:
            found["properties"] = {key: self._node(value, inside) for key, value in properties.items()}
            self._refuse_anything(found["properties"].values())
            required = [key for key in node.get("required", ()) if not _nullable(properties[key])]
            if required:
                found["required"] = required
            if self.closed:
                found["additionalProperties"] = False
        elif isinstance(node.get("additionalProperties"), dict):
            values = self._node(node["additionalProperties"], inside)
            if values:
                found["additionalProperties"] = values
        return found

    def _items(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        if _nullable(node.get("items", {})):
            raise TypeError(f"{self.name}: an array with nulls has no portable schema")
        items = self._node(node.get("items", {}), inside)
        self._refuse_anything([items])
        return {"items": items} if items else {}

    def _refuse_anything(self, nodes: Any) -> None:
        if self.closed and not all(nodes):
            raise TypeError(f"{self.name}: an argument of any type has no portable schema")


def _says_something(node: Schema) -> bool:
    return bool(node.keys() & {"type", "enum", "const", "anyOf", "oneOf"})


def _nullable(node: Schema) -> bool:
    return any(branch.get("type") == "null" for branch in node.get("anyOf", ()))


def _without_null(node: Schema) -> Schema:
    """`X | None` is X: the argument or field is simply absent instead."""
    branches = [branch for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) != 1:
        return node
    return {**branches[0], **{key: value for key, value in node.items() if key != "anyOf"}}


def _mentions(node: Any, reference: str) -> bool:
    if isinstance(node, dict):
        return node.get("$ref") == reference or any(_mentions(value, reference) for value in node.values())
    return isinstance(node, list) and any(_mentions(value, reference) for value in node)
