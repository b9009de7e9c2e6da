"""In which time zone somebody works: by country; in wide countries by state, province or city.

Mail then leaves in the recipient's own working hours, as campaigns are grouped by zone. Each zone stands for all that
keep its clock (Europe/Berlin for Paris and Madrid), so that groups stay few. Where nothing tells, the configured zone
counts; so it does in a wide country of which only the country is known.
"""

from collections.abc import Mapping

from orchestrator.countries import country_code, country_of_location
from orchestrator.titles import words
from shared.lead import Lead

_COUNTRIES = {
    "Europe/London": "GB IE PT",
    "Europe/Berlin": "DE AT CH NL BE LU LI FR ES IT DK SE NO PL CZ SK HU HR SI MT",
    "Europe/Athens": "FI EE LV LT BG RO GR CY",
    "Atlantic/Reykjavik": "IS",
    "Asia/Jerusalem": "IL",
    "Asia/Dubai": "AE",
    "Asia/Kolkata": "IN",
    "Asia/Singapore": "SG CN",
    "Asia/Tokyo": "JP",
    "Africa/Johannesburg": "ZA",
    "Pacific/Auckland": "NZ",
}
# States and provinces by name and short form, and the areas that profiles name instead. A state that lies in two zones
# stands where most of its people live.
_PLACES: Mapping[str, Mapping[str, str]] = {
    "US": {
        "America/New_York": """connecticut|ct|delaware|de|district of columbia|dc|florida|fl|georgia|ga|indiana|in
            |kentucky|ky|maine|me|maryland|md|massachusetts|ma|michigan|mi|new hampshire|nh|new jersey|nj|new york|ny
            |north carolina|nc|ohio|oh|pennsylvania|pa|rhode island|ri|south carolina|sc|vermont|vt|virginia|va
            |west virginia|wv|new york city|new york city metropolitan area|greater new york city area|greater boston
            |greater boston area|washington dc baltimore area|greater philadelphia|greater philadelphia area
            |atlanta metropolitan area|greater atlanta area|miami fort lauderdale area|greater tampa bay area
            |greater orlando|charlotte metro|detroit metropolitan area|raleigh durham chapel hill area
            |greater pittsburgh region|greater cleveland|columbus ohio metropolitan area|greater indianapolis""",
        "America/Chicago": """alabama|al|arkansas|ar|illinois|il|iowa|ia|kansas|ks|louisiana|la|minnesota|mn
            |mississippi|ms|missouri|mo|nebraska|ne|north dakota|nd|oklahoma|ok|south dakota|sd|tennessee|tn|texas|tx
            |wisconsin|wi|greater chicago area|dallas fort worth metroplex|greater houston|greater austin area
            |austin texas metropolitan area|greater minneapolis st paul area|greater st louis
            |nashville metropolitan area|kansas city metropolitan area|greater milwaukee|greater new orleans region""",
        "America/Denver": """colorado|co|idaho|id|montana|mt|new mexico|nm|utah|ut|wyoming|wy
            |denver metropolitan area|greater denver area|salt lake city metropolitan area""",
        "America/Phoenix": "arizona|az|greater phoenix area",
        "America/Los_Angeles": """california|ca|nevada|nv|oregon|or|washington|wa|san francisco bay area
            |los angeles metropolitan area|greater los angeles area|greater seattle area|san diego metropolitan area
            |greater sacramento|portland oregon metropolitan area|las vegas metropolitan area|silicon valley""",
        "America/Anchorage": "alaska|ak",
        "Pacific/Honolulu": "hawaii|hi",
    },
    "CA": {
        "America/New_York": """ontario|on|quebec|qc|greater toronto area|greater montreal metropolitan area
            |greater ottawa metropolitan area""",
        "America/Chicago": "manitoba|mb",
        "America/Regina": "saskatchewan|sk",
        "America/Denver": "alberta|ab|greater calgary metropolitan area|greater edmonton metropolitan area",
        "America/Vancouver": "british columbia|bc|greater vancouver metropolitan area",
        "America/Halifax": "nova scotia|ns|new brunswick|nb|prince edward island|pe",
        "America/St_Johns": "newfoundland and labrador|nl",
    },
    "AU": {
        "Australia/Sydney": """new south wales|nsw|victoria|vic|australian capital territory|act|tasmania|tas
            |greater sydney area|greater melbourne area""",
        "Australia/Brisbane": "queensland|qld|greater brisbane area",
        "Australia/Adelaide": "south australia|sa|greater adelaide area",
        "Australia/Perth": "western australia|wa|greater perth area",
        "Australia/Darwin": "northern territory|nt",
    },
}


def _by_name(zones: Mapping[str, str]) -> dict[str, str]:
    return {name.strip(): zone for zone, names in zones.items() for name in names.split("|")}


BY_COUNTRY: Mapping[str, str] = {code: zone for zone, codes in _COUNTRIES.items() for code in codes.split()}
BY_PLACE: Mapping[str, Mapping[str, str]] = {country: _by_name(zones) for country, zones in _PLACES.items()}
# Areas in words of their own say which country they lie in, states and short forms don't.
_AREAS: Mapping[str, str] = {
    name: zone for places in BY_PLACE.values() for name, zone in places.items() if name.count(" ") > 1
}


def zone_of(lead: Lead) -> str:
    """The IANA zone that this person works in, as far as country and location tell; else ""."""
    country = country_of_location(lead.location) or country_code(lead.country)
    if not country:
        return _AREAS.get(_folded(lead.location), "")
    if country not in BY_PLACE:
        return BY_COUNTRY.get(country, "")
    places = BY_PLACE[country]
    parts = reversed(lead.location.split(","))
    return next((zone for part in parts if (zone := places.get(_folded(part), ""))), "")


def _folded(part: str) -> str:
    """A part of a location without its postal code."""
    return " ".join(word for word in words(part) if not word.isdigit())
