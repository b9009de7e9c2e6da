"""What each role may do: one table, from which role up. A tool has none of these rights."""

from collections.abc import Mapping
from typing import Literal

Right = Literal[
    "read",
    "stop",
    "suppress",
    "approve",
    "approve_c_level",
    "approve_new",
    "resume",
    "clear_pause",
    "settle",
    "relax",
    "privacy",
    "administer",
]
ROLES = ("viewer", "ae", "operator", "admin")
# From which role up. Stopping is easy, relaxing is not.
RIGHTS: Mapping[Right, str] = {
    "read": "viewer",
    "stop": "ae",
    "suppress": "ae",
    "approve": "ae",
    "resume": "ae",
    "approve_c_level": "operator",
    "approve_new": "operator",  # the first campaign of a template or segment
    "clear_pause": "operator",
    "settle": "operator",  # say how an effect in doubt ended
    "privacy": "operator",  # export, erase and rectify a person
    "relax": "admin",  # release the kill switch, leave safe mode, clear a halt
    "administer": "admin",
}


def allowed(role: str, right: Right) -> bool:
    """Whether that role has that right; an unknown role has none."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(RIGHTS[right])
