"""The shipped configuration loads, holds the documented numbers, and says file and line of what is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from people import CONFIG, RULES

from orchestrator.outreach_rules import CampaignType
from orchestrator.rules import ReplyClass, Trigger, load_rules
from shared.errors import ConfigError


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """`changed("scoring.yaml", old, new)`: a copy of the configuration with one text replaced."""

    def make(name: str, old: str, new: str) -> Path:
        folder = tmp_path / "config"
        shutil.copytree(CONFIG, folder)
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        return folder

    return make


def test_every_campaign_type_has_a_template_with_four_messages_in_two_variants() -> None:
    for name in get_args(CampaignType):
        assert {len(variant.messages) for variant in RULES.templates[name].variants.values()} == {4}
        assert set(RULES.templates[name].variants) == {"A", "B"}


def test_every_class_and_trigger_has_its_row() -> None:
    assert set(RULES.routing.replies) == set(get_args(ReplyClass))
    assert set(RULES.routing.escalations) == set(get_args(Trigger))


def test_the_documented_numbers_are_shipped() -> None:
    assert [row.at_least for row in RULES.scoring.tiers] == [85, 70, 50, 30, 0]
    assert [row.at_least for row in RULES.scoring.intent.levels] == [80, 60, 40, 0]
    assert [row.at_least for row in RULES.scoring.completeness.readiness] == [90, 70, 50, 0]
    assert sum(RULES.scoring.completeness.parts.values()) == 100
    assert RULES.outreach.sequences == {"standard": (0, 3, 7, 14), "deep": (0, 4, 7, 14)}
    assert {tier: row.review_due_hours for tier, row in RULES.outreach.tiers.items()} == {
        "tier_1": 4,
        "tier_2": 24,
        "tier_3": 48,
        "tier_4": 48,
    }
    assert RULES.routing.escalations["enterprise"].due_minutes == 5


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("scoring.yaml", "cap: 100", "cap: 101", "less than or equal to 100"),
        ("scoring.yaml", "each_further_touch: 3", "each_touch: 3", "each_touch"),
        ("scoring.yaml", "{tier: tier_2, at_least: 70}", "{tier: tier_2, at_least: 90}", "go down"),
        (
            "scoring.yaml",
            "{at_least: 51, at_most: 200, points: 20}",
            "{at_least: 51, at_most: 5, points: 20}",
            "at_most",
        ),
        ("outreach.yaml", "timezone: America/Chicago", "timezone: Chicago", "IANA"),
        ("outreach.yaml", "sequence: deep", "sequence: slow", "no sequence is called slow"),
        ("outreach.yaml", "standard: [0, 3, 7, 14]", "standard: [0, 7, 3]", "days must rise"),
        ("outreach.yaml", "US: allow", "US: perhaps", "compliance.countries.US"),
        (
            "outreach.yaml",
            "postal_address: Revenue Desk Inc., 500",
            "postal_address: here #",
            "postal_address",
        ),
        ("routing.yaml", "  hostile: {action", "  hostility: {action", "hostility"),
        (
            "routing.yaml",
            "  pricing: {to: [ae], priority: high, due_minutes: 15}\n",
            "",
            "a row is missing for pricing",
        ),
        ("templates/event_followup.yaml", "{{ source.name }}", "{{ source.nam }}", "source.nam"),
        ("templates/event_followup.yaml", "- After the event", '- "{{ source.name }}"', "last subject"),
        (
            "templates/event_followup.yaml",
            "type: event_followup",
            "type: website_visitor",
            "type must be event_followup",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_file_line_and_what_is_expected(
    changed: Callable[[str, str, str], Path], name: str, old: str, new: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules(changed(name, old, new))
    assert expected in str(caught.value)
    assert f"{Path(name).name}:" in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_rules(tmp_path)
