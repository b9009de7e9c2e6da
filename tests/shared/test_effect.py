"""Effects: who they are, whatever process asks."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.effect import REASONS, Effect, canonical, digest, fingerprint
from shared.errors import Invalid
from tests.shared.world import contact

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_what_the_standard_library_writes(value: object) -> None:
    said = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    assert canonical(value) == said.encode()


def test_what_holds_itself_is_no_json() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(Invalid):
        contact(content={"x": endless}).check()  # type: ignore[dict-item]  # nothing that a caller should write


@given(st.text(max_size=9), st.text(max_size=9))
def test_what_the_log_keeps_of_an_effect_is_canonical(text: str, more: str) -> None:
    effect = replace(contact(), vendor=text, action=more, campaign=text, approval=more)
    names = ("key", "vendor", "action", "fingerprint", "campaign", "approval")
    fixed = {name: getattr(effect, name) for name in names}
    assert effect.told().encode() == canonical(fixed)
    assert effect.told(reason=more, reference=text).encode() == canonical(
        {**fixed, "reason": more, "reference": text}
    )


@given(st.text(max_size=9), st.text(max_size=9))
def test_a_key_and_a_fingerprint_are_digests_of_what_they_stand_for(text: str, more: str) -> None:
    effect = replace(contact(), vendor=more, action=text, target=text, intent=more, content={text: more})
    assert effect.key == digest("effect/v1", more, text, text, more)
    assert effect.fingerprint == fingerprint({text: more})


def test_the_key_is_the_same_in_every_process() -> None:
    made = Effect("ghl", "create_contact", "jane@corp.example", "contact:jane", {})
    assert made.key == "22a68973a0b6bf14cee8a2bb123a45546c75366117131f66acfe18811c301dea"
    assert replace(made, content={"a": 1}, cost=3, approval="x").key == made.key


@pytest.mark.parametrize("part", ["vendor", "action", "target", "intent", "idempotency_key"])
def test_every_part_of_an_identity_counts(part: str) -> None:
    assert replace(contact(), **{part: "other"}).key != contact().key


def test_parts_do_not_run_into_each_other() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") != digest("a", "")


@given(JSON)
def test_the_order_of_a_mapping_does_not_count(value: object) -> None:
    assert fingerprint({"a": value, "b": 1}) == fingerprint({"b": 1, "a": value})


def test_content_that_is_changed_later_does_not_change_the_fingerprint() -> None:
    content = {"email": "jane@corp.example"}
    effect = Effect("ghl", "x", "t", "i", content)
    before = effect.fingerprint
    content["email"] = "joe@corp.example"
    assert effect.fingerprint == before


@pytest.mark.parametrize("content", [{"x": object()}, {"x": float("inf")}, {"x": "\ud800"}, {1: "a", "b": 2}])
def test_what_is_no_json_has_no_fingerprint(content: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        _ = contact(content=content).fingerprint


def test_everyone_an_effect_names_is_asked_about() -> None:
    effect = contact("a@x.example", recipients=("b@x.example",), content={"email": "c@x.example"})
    assert effect.people == ("b@x.example", "a@x.example", "c@x.example")
    assert contact("https://vendor.example/@jane", recipients=(), content={"email": 7}).people == ()


def test_every_reason_has_a_sentence() -> None:
    assert all(sentence.endswith(".") for sentence in REASONS.values())
