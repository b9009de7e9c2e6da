"""Invented people for the emulators: the same index is the same person, whoever shows them.

Names and companies are made up and every domain ends in .example, so nothing can reach a mailbox.
"""

import hashlib
from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words("""
    Ava Noah Mira Theo Lena Omar Ines Hugo Nadia Felix Priya Jonas Carla Emil Sofia Marcus Yuki Daniel Elif
    Grant Renée Luca Hanna Victor Amara Paul Irina Diego Freya Samuel Jürgen Alice Kofi Tara Piotr Helen
    Rashid Clara Owen Zoë
""")
LAST = _words("""
    Lindqvist Okafor Marchetti Whitlock Serrano Vandermeer Kowalski Ashworth Nakagawa Delacroix Haugen
    Castellan Petrov Brandt Mwangi Fairbanks Oyelaran Stroud Kaminski Albrecht Sandoval Thorne Ivarsson
    Bellweather Quint Rosenthal Varga Hollis Adeyemi Müller Trask Lombardi Eriksen Galloway Novak Penhaligon
    Ruiz Tanaka Ulrich Webb
""")
MADE_OF = _words("""
    Northwind Bluepeak Quantile Harborlight Silverpine Redmesa Brightloop Ironleaf Clearwell Starboard
    Foxglove Lumenfield
""")
MAKES = _words(
    "Robotics Analytics Systems Software Cloud Labs Logistics Health Partners Security Networks Data"
)
# Titles as they stand on profiles; one in three buys, one in three influences, the rest look on.
TITLES = (
    "VP of Sales",
    "Chief Revenue Officer",
    "VP Revenue Operations",
    "Director of Revenue Operations",
    "VP Revenue",
    "Director of Sales Operations",
    "Head of Business Development",
    "Sales Operations Manager",
    "Director of Sales Enablement",
    "Head of SDR",
    "RevOps Analyst",
    "Sales Ops Analyst",
    "GTM Operations Specialist",
    "Account Executive",
    "Software Engineer",
)
PLACES = (
    "Austin, Texas",
    "Denver, Colorado",
    "Chicago, Illinois",
    "Berlin, Germany",
    "London, United Kingdom",
)
POPULATION = 400
PER_POST = 40
UMLAUTS = str.maketrans({"ü": "u", "é": "e", "ë": "e", "ö": "o", "ä": "a"})


@dataclass(frozen=True, slots=True)
class Person:
    """One invented profile."""

    index: int
    first: str
    last: str
    title: str
    company: str
    place: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"

    @property
    def slug(self) -> str:
        """The end of the profile's address."""
        return f"{self.first}-{self.last}-{self.index}".lower().translate(UMLAUTS)

    @property
    def member_id(self) -> str:
        """The encoded id that cookie-free providers show instead of the slug."""
        return "ACoAA" + hashlib.sha256(self.slug.encode()).hexdigest()[:20]


def number(*parts: object) -> int:
    """A number that looks random and is the same for the same parts."""
    joined = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:6], "big")


def person(index: int) -> Person:
    """The person with that index."""
    first = FIRST[index % len(FIRST)]
    last = LAST[(index * 7 + index // len(FIRST)) % len(LAST)]
    company = f"{MADE_OF[number('made', index) % len(MADE_OF)]} {MAKES[number('makes', index) % len(MAKES)]}"
    title = TITLES[number("title", f"{first} {last}".lower().translate(UMLAUTS)) % len(TITLES)]
    return Person(index, first, last, title, company, PLACES[number("place", index) % len(PLACES)])


def people_at(post_url: str, count: int = PER_POST) -> list[Person]:
    """Who engaged with a post: posts share some of their people, as audiences do."""
    start = number("post", post_url) % POPULATION
    return [person((start + 3 * step) % POPULATION) for step in range(min(count, POPULATION // 3))]
