"""How many leads a second one core scores, and renders and checks: `python -m bench.scoring`."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.campaigns import plan_campaigns, variants_for
from orchestrator.compliance import check
from orchestrator.rendering import render
from orchestrator.rules import load_rules
from orchestrator.scoring import score
from shared.lead import Lead, Source

TITLES = (
    "VP Sales",
    "Director, Revenue Operations",
    "Head of SDR | ex-Google",
    "Chief Revenue Officer",
    "Leiter Vertrieb",
)
RULES = load_rules(Path(__file__).parents[1] / "config")


def people(count: int) -> list[Lead]:
    """Leads that differ in what costs time."""
    one = Lead(
        id="0",
        email="anna@acme.example",
        first_name="Anna",
        company="Acme Robotics",
        company_domain="acme.example",
        company_size=120,
        industry="Software Development",
        revenue_usd=20_000_000,
        country="US",
        technologies=("Salesforce", "HubSpot"),
        signals={"hiring_revops": True},
        sources=(Source("post_commenter", name="A post"), Source("competitor_follower", name="Gong")),
        data_source="LinkedIn",
        data_collected_at="2026-01-05",
        email_verdict="deliverable",
    )
    return [replace(one, id=str(n), title=TITLES[n % len(TITLES)], company=f"Acme {n}") for n in range(count)]


def best(work: Callable[[], object], count: int, tries: int = 5) -> float:
    """Items per second of processor time, of the fastest of several tries: the others measure the neighbours."""
    times = []
    for _ in range(tries):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return count / min(times)


def main() -> None:
    """Print the figures."""
    leads = people(10_000)
    few = leads[:500]
    (campaign, *_) = plan_campaigns([(lead, "tier_2") for lead in few], RULES, run_id="bench")
    drawn = variants_for("bench", [lead.id for lead in few])
    write = [(lead, drawn[lead.id]) for lead in few]
    print(f"scored    {best(lambda: [score(lead, RULES) for lead in leads], len(leads)):>9,.0f} leads/s")
    print(
        f"rendered  {best(lambda: [render(one, campaign, v, RULES) for one, v in write], len(few)):>9,.0f} leads/s"
    )
    done = [(lead, render(lead, campaign, v, RULES)) for lead, v in write]
    print(
        f"checked   {best(lambda: [check(lead, made, RULES) for lead, made in done], len(few)):>9,.0f} leads/s"
    )


if __name__ == "__main__":
    main()
