"""Head counts and money as people and providers write them: "51-200", "1,200+", "$12.5M"."""

import re

SCALES = {
    "": 1,
    "k": 10**3,
    "thousand": 10**3,
    "m": 10**6,
    "mn": 10**6,
    "million": 10**6,
    "b": 10**9,
    "bn": 10**9,
    "billion": 10**9,
}
NUMBER = re.compile(r"(\d[\d,.']*)(?:\s*(thousand|million|billion|mn|bn|k|m|b)(?![a-z]))?")
DECIMAL = re.compile(r"\d+[.,]\d{1,2}")
RANGE_MARKS = ("-", "–", "—", " to ")
MAX_LENGTH = 60  # characters; a longer cell is prose
MAX_VALUE = 10**13


def headcount(text: str) -> int:
    """Employees: the middle of a range, the number of a single one, 0 when unknown."""
    return _middle(text)


def money(text: str) -> int:
    """US dollars a year: the middle of a range, 0 when unknown; k, M and B are understood."""
    return _middle(text)


def _middle(text: str) -> int:
    cleaned = text.strip().lower()
    if not cleaned or len(cleaned) > MAX_LENGTH:
        return 0
    found = [_value(digits, scale or "") for digits, scale in NUMBER.findall(cleaned)]
    if not found:
        return 0
    ranged = len(found) >= 2 and any(mark in cleaned for mark in RANGE_MARKS)
    value = (found[0] + found[1]) // 2 if ranged else found[0]
    return value if value <= MAX_VALUE else 0


def _value(digits: str, scale: str) -> int:
    """One or two digits after a point are a fraction ("12.5M", "125.0"); three are thousands ("1.200")."""
    digits = digits.strip(",.'")
    if DECIMAL.fullmatch(digits):
        whole, part = re.split(r"[.,]", digits)
        return int(whole + part) * SCALES[scale] // (10 if len(part) == 1 else 100)
    return int(re.sub(r"\D", "", digits)) * SCALES[scale]
