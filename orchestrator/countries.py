"""Countries by name, telephone prefix and domain, as far as sending rules need to tell them apart."""

from collections.abc import Mapping

from orchestrator.outreach_rules import Compliance, Permission
from orchestrator.titles import vocabulary, words
from shared.lead import Lead

# ISO 3166-1 alpha-2 by the names people write, folded; other two-letter entries are common short forms.
_NAMES = {
    "US": "united states|united states of america|usa|u s a|us|america|estados unidos|vereinigte staaten",
    "GB": "united kingdom|uk|great britain|england|scotland|wales|northern ireland",
    "DE": "germany|deutschland|allemagne|alemania|germania|duitsland",
    "AT": "austria|osterreich|autriche",
    "CH": "switzerland|schweiz|suisse|svizzera",
    "NL": "netherlands|the netherlands|nederland|holland|pays bas",
    "BE": "belgium|belgie|belgique|belgien",
    "FR": "france|frankreich|francia|frankrijk",
    "ES": "spain|espana|spanien|espagne",
    "PT": "portugal",
    "IT": "italy|italia|italien|italie",
    "IE": "ireland|republic of ireland|irland",
    "DK": "denmark|danmark|danemark",
    "SE": "sweden|sverige|schweden",
    "NO": "norway|norge|norwegen",
    "FI": "finland|suomi|finnland",
    "IS": "iceland|island",
    "LI": "liechtenstein",
    "LU": "luxembourg|luxemburg",
    "PL": "poland|polska|polen",
    "CZ": "czech republic|czechia|cesko",
    "SK": "slovakia|slovensko",
    "HU": "hungary|magyarorszag|ungarn",
    "RO": "romania|rumanien",
    "BG": "bulgaria",
    "HR": "croatia|hrvatska|kroatien",
    "SI": "slovenia|slovenija",
    "GR": "greece|hellas|griechenland",
    "CY": "cyprus",
    "MT": "malta",
    "EE": "estonia|eesti",
    "LV": "latvia|latvija",
    "LT": "lithuania|lietuva",
    "CA": "canada|kanada",
    "AU": "australia|australien",
    "NZ": "new zealand",
    "IN": "india|indien",
    "SG": "singapore",
    "JP": "japan",
    "CN": "china|people s republic of china",
    "IL": "israel",
    "BR": "brazil|brasil",
    "MX": "mexico",
    "ZA": "south africa",
    "AE": "united arab emirates|uae",
}
BY_NAME: Mapping[str, str] = {name: code for code, names in _NAMES.items() for name in names.split("|")}
_STATES = frozenset(
    """alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|hawaii|idaho|illinois
    |indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi
    |missouri
    |montana|nebraska|nevada|new hampshire|new jersey|new mexico|north carolina|north dakota|ohio
    |oklahoma|oregon|pennsylvania|rhode island|south carolina|south dakota|tennessee|texas|utah|vermont
    |virginia
    |washington|west virginia|wisconsin|wyoming""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
# +1 is the United States and Canada alike, so it tells nothing.
BY_PREFIX: Mapping[str, str] = {
    "+30": "GR", "+31": "NL", "+32": "BE", "+33": "FR", "+34": "ES", "+351": "PT", "+352": "LU",
    "+353": "IE", "+354": "IS", "+356": "MT", "+357": "CY", "+358": "FI", "+359": "BG", "+36": "HU",
    "+370": "LT", "+371": "LV", "+372": "EE", "+385": "HR", "+386": "SI", "+39": "IT", "+40": "RO",
    "+41": "CH", "+420": "CZ", "+421": "SK", "+423": "LI", "+43": "AT", "+44": "GB", "+45": "DK",
    "+46": "SE", "+47": "NO", "+48": "PL", "+49": "DE", "+61": "AU", "+64": "NZ", "+65": "SG",
    "+81": "JP", "+86": "CN", "+91": "IN", "+972": "IL",
}  # fmt: skip
# Country domains that are sold to everybody and say nothing of the country.
_SOLD_WORLDWIDE = vocabulary("ai cc co fm gg io is la ly me sh so tv ws vc gl to st")
_ASSIGNED = frozenset(_NAMES) | vocabulary("UK EU KR TR RU UA TW HK TH VN ID PH MY AR CL PE SA EG NG KE PK")


def country_code(text: str) -> str:
    """ISO code of a country written as code or name; empty when it isn't one we can tell for certain."""
    compact = " ".join(words(text))
    if compact in BY_NAME:
        return BY_NAME[compact]
    code = text.strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""


def country_of_location(location: str) -> str:
    """The country a place such as "Austin, Texas, United States" names in full; short forms are ambiguous."""
    last = " ".join(words(location.rsplit(",", 1)[-1]))
    if last in BY_NAME and len(last) > 2:
        return BY_NAME[last]
    return "US" if "," in location and last in _STATES else ""


def country_of_domain(domain: str) -> str:
    """The country of a country-code top-level domain, or empty for a generic or worldwide one."""
    last = domain.rsplit(".", 1)[-1].lower()
    if len(last) != 2 or last in _SOLD_WORLDWIDE or last.upper() not in _ASSIGNED:
        return ""
    return "GB" if last == "uk" else last.upper()


def country_of_phone(phone: str) -> str:
    """The country of an E.164 number by its prefix, longest first, or empty."""
    return next((BY_PREFIX[phone[:n]] for n in (4, 3) if phone[:n] in BY_PREFIX), "")


def candidates(lead: Lead) -> tuple[str, ...]:
    """Every country the lead's facts point to, the explicit one first; empty when nothing does."""
    found = (
        country_code(lead.country),
        country_of_location(lead.location),
        country_of_domain(lead.company_domain),
        country_of_domain(lead.email.rpartition("@")[2]),
        country_of_phone(lead.phone),
    )
    return tuple(dict.fromkeys(code for code in found if code))


def permission(lead: Lead, compliance: Compliance) -> Permission:
    """Whether we may write to where somebody is; several signs of a country count as the strictest of them."""
    found = [compliance.countries.get(code, compliance.other_countries) for code in candidates(lead)]
    return min(found or [compliance.unknown_country], key=("block", "hold", "allow").index)
