"""A tool's answer on its way out: plain JSON, free of hidden characters, within its budget, and as text.

Hosts show a model the text or the structure, rarely both, so each says everything by itself.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.effect import Outcome
from shared.foreign import clean
from shared.ports import BatchOutcome

MAX_CHARACTERS = 24_000  # 8,000 tokens of JSON at three characters each, of prose with room to spare
MAX_LISTED = 20  # outcomes of a batch that are told one by one
TRUNCATED = "truncated"
_LEAST = 40  # characters that any field may keep
_MOST_FIELDS = 100  # more than any record has: a mapping with more is a table

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]


def plain(value: object) -> Plain:
    """`value` as JSON has it, every string cleaned; absent (`None`) fields of records are left out."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return clean(value.value if isinstance(value, Enum) else value)
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    return _record(value)


def _record(value: object) -> Plain:
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: plain(item) for name, item in pairs if item is not None}
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", exclude_none=True))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return clean(str(value))
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def compact(value: Plain) -> str:
    """JSON without spaces, in its own script."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def fitted(value: dict[str, Any], limit: int = MAX_CHARACTERS) -> dict[str, Any]:
    """`value` within `limit` characters of JSON: long lists and texts are cut, and `truncated` says where."""
    if len(compact(value)) <= limit:
        return value
    cuts: list[str] = []
    cut = _cut_object(value, limit - 400, "", cuts)
    more = f" and {len(cuts) - 3} more" if len(cuts) > 3 else ""
    told = (
        f"Too long for one answer: {'; '.join(cuts[:3])}{more}. Ask for a smaller page or something narrower."
    )
    return {**cut, TRUNCATED: told}


def _cut(value: Any, room: int, path: str, cuts: list[str]) -> Any:
    if len(compact(value)) <= room or not isinstance(value, str | list | dict):
        return value
    if isinstance(value, dict):
        return _cut_object(value, room, path, cuts)
    if isinstance(value, list):
        return _cut_list(value, room, path, cuts)
    shown = value[: max(room - 2, 0) * len(value) // max(len(compact(value)), 1)]
    cuts.append(f"{path}: {len(shown):,} of {len(value):,} characters")
    return shown


def _cut_object(value: dict[str, Any], room: int, path: str, cuts: list[str]) -> dict[str, Any]:
    """Small fields stay whole; what they leave is shared by the large ones. A large table loses its end."""
    most = max(room // (2 * _LEAST), 1)
    if len(value) > max(most, _MOST_FIELDS):
        cuts.append(f"{path}: {most:,} of {len(value):,} keys")
        value = dict(list(value.items())[:most])
    sizes = {key: len(compact(item)) + len(compact(key)) + 2 for key, item in value.items()}
    done: dict[str, Any] = {}
    for left, key in zip(range(len(sizes), 0, -1), sorted(sizes, key=sizes.__getitem__), strict=True):
        share = max(room // left - len(key) - 4, _LEAST)
        done[key] = _cut(value[key], share, f"{path}.{key}".lstrip("."), cuts)
        room -= len(compact(done[key])) + len(key) + 4
    return {key: done[key] for key in value}


def _cut_list(value: list[Any], room: int, path: str, cuts: list[str]) -> list[Any]:
    shown: list[Any] = []
    for item in value:
        size = len(compact(item)) + 1
        if size > room:
            break
        room -= size
        shown.append(item)
    if not shown and value:
        shown = [_cut(value[0], room, f"{path}.0", cuts)]
    if len(shown) < len(value):
        cuts.append(f"{path}: {len(shown):,} of {len(value):,} shown")
    return shown


def text(value: object, structured: dict[str, Any]) -> str:
    """The answer in words: enough without the structure, and never over the budget."""
    if isinstance(value, Outcome):
        said = _outcome(structured)
    elif isinstance(value, BatchOutcome):
        said = _batch(value)
    else:
        said = _outline(structured)
    return shortened(said)


def shortened(said: str) -> str:
    """A text within its budget, cut at the end of a line."""
    if len(said) <= MAX_CHARACTERS:
        return said
    end = max(said.rfind("\n", 0, MAX_CHARACTERS - 100), MAX_CHARACTERS // 2)
    return f"{said[:end]}\n… {len(said) - end:,} more characters omitted; ask for less at a time."


def _outcome(structured: Mapping[str, Any]) -> str:
    """`refused (suppressed): A recipient opted out.`, then the rest by name."""
    reason = f" ({structured['reason']})" if structured.get("reason") else ""
    message = f": {structured['message']}" if structured.get("message") else ""
    rest = {key: item for key, item in structured.items() if key not in {"status", "reason", "message"}}
    return " ".join([f"{structured['status']}{reason}{message}", *_scalars(rest)])


def _batch(batch: BatchOutcome) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in batch.counts.items()) or "nothing to do"
    notable = [(at, one) for at, one in enumerate(batch.outcomes) if not one.done]
    lines = [f"{len(batch.outcomes)} items: {counts}"]
    for at, one in notable[:MAX_LISTED]:
        lines.append(f"item {at}: {_outcome(_mapping(one))}")
    said = [(at, one) for at, one in enumerate(batch.outcomes) if one.status == "applied" and one.message]
    lines += [f"item {at}: applied: {clean(one.message)}" for at, one in said[:MAX_LISTED]]
    if len(notable) > MAX_LISTED:
        lines.append(f"… and {len(notable) - MAX_LISTED} more that were not applied")
    references = [clean(one.reference) for one in batch.outcomes if one.done]
    if any(references):
        lines.append(f"references of what was applied, in order: {', '.join(references)}")
    return "\n".join(lines)


def _mapping(value: object) -> dict[str, Any]:
    found = plain(value)
    assert isinstance(found, dict)
    return found


def _scalars(record: Mapping[str, Any]) -> list[str]:
    filled = {key: item for key, item in record.items() if item not in ("", [], {})}
    return [f"{key}={item if isinstance(item, str) else compact(item)}" for key, item in filled.items()]


def _outline(structured: Mapping[str, Any]) -> str:
    """Single values on one line, texts of several lines each by itself, then each list, one item a line.

    Empty fields are left out.
    """
    lists = {key: item for key, item in structured.items() if isinstance(item, list)}
    texts = {key: item for key, item in structured.items() if isinstance(item, str) and "\n" in item}
    single = {key: item for key, item in structured.items() if key not in {*lists, *texts}}
    lines = [" ".join(_scalars(single))] if _scalars(single) else []
    lines += [f"{name}:\n{item}" for name, item in texts.items()]
    for name, items in lists.items():
        lines.append(f"{name}: {len(items)}" + ("" if items else " (none)"))
        lines += [_line(item) for item in items]
    return "\n".join(lines) or "done"


def _line(item: Any) -> str:
    if not isinstance(item, dict):
        return f"- {item if isinstance(item, str) else compact(item)}"
    return f"- {compact({key: value for key, value in item.items() if value not in ('', [], {})})}"
