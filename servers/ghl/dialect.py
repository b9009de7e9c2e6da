"""How the vendor writes things, by API version: one version per kind of object, never mixed; all spellings are read.

object          versions                from the path
contacts        v3 · 2021-07-28         /contacts/…       tags, DND and workflow enrolment included
opportunities   v3 · 2021-07-28         /opportunities/…  pipelines can be created with v3 only
locations       v3 · 2021-07-28         /locations/…
workflows       v3 · 2021-07-28         /workflows/
conversations   v3 · 2021-04-15         /conversations/…
oauth           v3                      /oauth/token
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.effect import Json
from shared.strict import Strict

Raw = Mapping[str, Any]
V3 = "v3"
Version = Literal["v3", "2021-07-28"]
TalkVersion = Literal["v3", "2021-04-15"]

# Words that say whether a write was done; the first two are one word, spelt right and wrong.
SUCCESS = ("succeeded", "succeded", "success")
# A custom field's value as it is read; which of them is written depends on the version.
VALUES = ("value", "fieldValue", "field_value")
WRITTEN_VALUE: Mapping[str, str] = {"v3": "fieldValue", "2021-07-28": "field_value"}
# Our word for a channel → the vendor's, by version. Others exist (RCS was seen): they are read, never written.
CHANNELS: Mapping[str, Mapping[str, str]] = {
    "v3": {"call": "call", "email": "email", "sms": "sms", "whatsapp": "whatsApp", "gmb": "gmb", "fb": "fb"},
    "2021-07-28": {
        "call": "Call",
        "email": "Email",
        "sms": "SMS",
        "whatsapp": "WhatsApp",
        "gmb": "GMB",
        "fb": "FB",
    },
}
# What an opportunity search is asked by → the query parameter's name, by version.
SEARCHED_BY: Mapping[str, Mapping[str, str]] = {
    "v3": {"location": "locationId", "contact": "contactId", "pipeline": "pipelineId"},
    "2021-07-28": {"location": "location_id", "contact": "contact_id", "pipeline": "pipeline_id"},
}


class Versions(Strict):
    """`options.versions`: the version each kind of object is spoken to in."""

    contacts: Version = "v3"
    opportunities: Version = "v3"
    locations: Version = "v3"
    workflows: Version = "v3"
    conversations: TalkVersion = "v3"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The vendor's words as the chosen versions have them."""

    versions: Versions = field(default_factory=Versions)

    def version(self, path: str) -> str:
        """The version header for a request: by the kind of object its path is about."""
        kind = path.strip("/").split("/")[0]
        return str(getattr(self.versions, kind, V3))

    def custom_item(self, field_id: str, value: Json) -> dict[str, Json]:
        """A contact's custom field as it is written: by id, since a wrong key is dropped without an error."""
        return {"id": field_id, WRITTEN_VALUE[self.versions.contacts]: value}

    def channel(self, name: str) -> str:
        """The vendor's word for a channel as it may be written, or "" for one that may not."""
        return CHANNELS[self.versions.contacts].get(name, "")

    def search(self, **by: str) -> dict[str, str]:
        """Query parameters of an opportunity search."""
        names = SEARCHED_BY[self.versions.opportunities]
        return {names[word]: value for word, value in by.items()}

    @property
    def creates_pipelines(self) -> bool:
        """Whether the chosen version has the endpoint that creates one."""
        return self.versions.opportunities == V3


def custom_value(item: Raw) -> Any:
    """A custom field's value, by whichever word it comes."""
    return next((item[word] for word in VALUES if word in item), None)


def said_done(data: Raw) -> bool | None:
    """What an answer says about a write; None if it says nothing."""
    said = [data[word] for word in SUCCESS if word in data]
    return None if not said else False not in said
