"""The 102 time zones Instantly accepts, and which of them keeps the same clock as any other zone.

Facts of the published API document (2026-08) and of the time zone database (2025b and 2026.6 agree): "same
clock" is the same offset on every day of 2026 and 2027. Where several zones qualify, the one that agreed
longest since 2012 stands here. Common names such as America/New_York, Europe/London and UTC are not
accepted by Instantly.

The tables only choose a zone. How far its clock is from the one asked for is measured each time, over the year ahead:
should a country change its rules, the hours are moved and a warning says so, and mail never leaves outside of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import Invalid
from shared.ports import SendingWindow

# Accepted zone: the zones that may be written as it.
SAME_CLOCK: Mapping[str, str] = {
    "Etc/GMT+12": "",
    "Etc/GMT+11": "Pacific/Midway Pacific/Niue Pacific/Pago_Pago Pacific/Samoa",
    "Etc/GMT+10": "HST Pacific/Honolulu Pacific/Johnston Pacific/Rarotonga Pacific/Tahiti",
    "America/Anchorage": "America/Juneau America/Metlakatla America/Nome America/Sitka America/Yakutat",
    "America/Dawson": "America/Whitehorse Canada/Yukon",
    "America/Creston": (
        "America/Dawson_Creek America/Fort_Nelson America/Hermosillo America/Mazatlan America/Phoenix "
        "MST Mexico/BajaSur"
    ),
    "America/Chihuahua": "",
    "America/Boise": (
        "America/Cambridge_Bay America/Ciudad_Juarez America/Denver America/Edmonton America/Inuvik "
        "America/Shiprock America/Yellowknife Canada/Mountain MST7MDT Navajo"
    ),
    "America/Belize": (
        "America/Costa_Rica America/El_Salvador America/Guatemala America/Managua America/Swift_Current "
        "America/Tegucigalpa Canada/Saskatchewan Pacific/Galapagos"
    ),
    "America/Chicago": (
        "America/Indiana/Knox America/Indiana/Tell_City America/Knox_IN America/Matamoros "
        "America/Menominee America/North_Dakota/Beulah America/North_Dakota/Center "
        "America/North_Dakota/New_Salem America/Ojinaga America/Rainy_River America/Rankin_Inlet "
        "America/Resolute America/Winnipeg CST6CDT Canada/Central"
    ),
    "America/Bahia_Banderas": "America/Merida America/Mexico_City America/Monterrey Mexico/General",
    "America/Regina": "",
    "America/Bogota": (
        "America/Atikokan America/Cancun America/Cayman America/Coral_Harbour America/Eirunepe "
        "America/Guayaquil America/Jamaica America/Lima America/Panama America/Porto_Acre "
        "America/Rio_Branco Brazil/Acre EST Jamaica"
    ),
    "America/Detroit": (
        "America/Fort_Wayne America/Grand_Turk America/Havana America/Indiana/Indianapolis "
        "America/Indiana/Petersburg America/Indiana/Vevay America/Indiana/Vincennes "
        "America/Indiana/Winamac America/Indianapolis America/Iqaluit America/Kentucky/Louisville "
        "America/Kentucky/Monticello America/Louisville America/Montreal America/Nassau America/New_York "
        "America/Nipigon America/Pangnirtung America/Port-au-Prince America/Thunder_Bay America/Toronto "
        "Canada/Eastern Cuba EST5EDT"
    ),
    "America/Indiana/Marengo": "",
    "America/Caracas": "",
    "America/Asuncion": "America/Coyhaique",
    "America/Glace_Bay": (
        "America/Goose_Bay America/Halifax America/Moncton America/Thule Atlantic/Bermuda Canada/Atlantic"
    ),
    "America/Campo_Grande": "America/Cuiaba",
    "America/Anguilla": (
        "America/Antigua America/Aruba America/Barbados America/Blanc-Sablon America/Boa_Vista "
        "America/Curacao America/Dominica America/Grenada America/Guadeloupe America/Guyana "
        "America/Kralendijk America/La_Paz America/Lower_Princes America/Manaus America/Marigot "
        "America/Martinique America/Montserrat America/Port_of_Spain America/Porto_Velho "
        "America/Puerto_Rico America/Santo_Domingo America/St_Barthelemy America/St_Kitts "
        "America/St_Lucia America/St_Thomas America/St_Vincent America/Tortola America/Virgin "
        "Brazil/West"
    ),
    "America/Santiago": "Chile/Continental",
    "America/St_Johns": "Canada/Newfoundland",
    "America/Sao_Paulo": "Brazil/East",
    "America/Argentina/La_Rioja": (
        "America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/ComodRivadavia "
        "America/Argentina/Cordoba America/Argentina/Jujuy America/Argentina/Mendoza "
        "America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan "
        "America/Argentina/San_Luis America/Argentina/Tucuman America/Argentina/Ushuaia America/Belem "
        "America/Buenos_Aires America/Catamarca America/Cayenne America/Cordoba America/Fortaleza "
        "America/Jujuy America/Maceio America/Mendoza America/Paramaribo America/Punta_Arenas "
        "America/Recife America/Rosario America/Santarem Antarctica/Palmer Antarctica/Rothera "
        "Atlantic/Stanley"
    ),
    "America/Araguaina": "",
    "America/Godthab": "America/Nuuk",
    "America/Montevideo": "",
    "America/Bahia": "",
    "America/Noronha": "Atlantic/South_Georgia Brazil/DeNoronha",
    "America/Scoresbysund": "",
    "Atlantic/Cape_Verde": "",
    "Africa/Casablanca": "Africa/El_Aaiun",
    "America/Danmarkshavn": (
        "Atlantic/Reykjavik Atlantic/St_Helena Etc/UTC GMT GMT+0 GMT-0 GMT0 Greenwich Iceland UCT UTC "
        "Universal Zulu"
    ),
    "Europe/Isle_of_Man": (
        "Eire Europe/Belfast Europe/Dublin Europe/Guernsey Europe/Jersey Europe/Lisbon Europe/London GB "
        "GB-Eire Portugal WET"
    ),
    "Atlantic/Canary": "Atlantic/Faeroe Atlantic/Faroe Atlantic/Madeira",
    "Africa/Abidjan": (
        "Africa/Accra Africa/Bamako Africa/Banjul Africa/Bissau Africa/Conakry Africa/Dakar "
        "Africa/Freetown Africa/Lome Africa/Monrovia Africa/Nouakchott Africa/Ouagadougou "
        "Africa/Sao_Tome Africa/Timbuktu"
    ),
    "Arctic/Longyearbyen": "Atlantic/Jan_Mayen CET MET Poland",
    "Europe/Belgrade": (
        "Europe/Amsterdam Europe/Andorra Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Budapest "
        "Europe/Busingen Europe/Copenhagen Europe/Gibraltar Europe/Ljubljana Europe/Luxembourg "
        "Europe/Madrid Europe/Malta Europe/Monaco Europe/Oslo Europe/Paris Europe/Podgorica "
        "Europe/Prague Europe/Rome Europe/San_Marino Europe/Skopje Europe/Stockholm Europe/Tirane "
        "Europe/Vaduz Europe/Vatican Europe/Vienna Europe/Warsaw Europe/Zagreb Europe/Zurich"
    ),
    "Africa/Ceuta": "",
    "Europe/Sarajevo": "",
    "Africa/Algiers": (
        "Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Kinshasa Africa/Lagos Africa/Libreville "
        "Africa/Luanda Africa/Malabo Africa/Ndjamena Africa/Niamey Africa/Porto-Novo Africa/Tunis"
    ),
    "Africa/Windhoek": "",
    "Asia/Nicosia": "Asia/Famagusta EET",
    "Asia/Beirut": "",
    "Africa/Cairo": "Egypt",
    "Asia/Damascus": "",
    "Europe/Bucharest": (
        "Europe/Athens Europe/Chisinau Europe/Kiev Europe/Kyiv Europe/Mariehamn Europe/Nicosia "
        "Europe/Riga Europe/Sofia Europe/Tallinn Europe/Tiraspol Europe/Uzhgorod Europe/Vilnius "
        "Europe/Zaporozhye"
    ),
    "Africa/Blantyre": (
        "Africa/Bujumbura Africa/Gaborone Africa/Harare Africa/Johannesburg Africa/Kigali "
        "Africa/Lubumbashi Africa/Lusaka Africa/Maputo Africa/Maseru Africa/Mbabane"
    ),
    "Europe/Helsinki": "",
    "Europe/Istanbul": "Asia/Istanbul Europe/Simferopol Turkey",
    "Asia/Jerusalem": "Asia/Tel_Aviv Israel",
    "Africa/Tripoli": "Libya",
    "Asia/Amman": "",
    "Asia/Baghdad": (
        "Antarctica/Syowa Asia/Bahrain Asia/Kuwait Asia/Qatar Asia/Riyadh Europe/Minsk "
        "Indian/Antananarivo Indian/Comoro Indian/Mayotte"
    ),
    "Europe/Kaliningrad": "Africa/Juba Africa/Khartoum",
    "Asia/Aden": "",
    "Africa/Addis_Ababa": (
        "Africa/Asmara Africa/Asmera Africa/Dar_es_Salaam Africa/Djibouti Africa/Kampala "
        "Africa/Mogadishu Africa/Nairobi"
    ),
    "Europe/Kirov": "Europe/Moscow Europe/Volgograd W-SU",
    "Europe/Astrakhan": "Europe/Saratov Europe/Ulyanovsk",
    "Asia/Tehran": "Iran",
    "Asia/Dubai": "Asia/Muscat Europe/Samara",
    "Asia/Baku": "",
    "Indian/Mahe": "Indian/Mauritius Indian/Reunion",
    "Asia/Tbilisi": "",
    "Asia/Yerevan": "",
    "Asia/Kabul": "",
    "Antarctica/Mawson": "Indian/Kerguelen Indian/Maldives",
    "Asia/Yekaterinburg": "Asia/Almaty Asia/Qostanay Asia/Qyzylorda",
    "Asia/Karachi": (
        "Asia/Aqtau Asia/Aqtobe Asia/Ashgabat Asia/Ashkhabad Asia/Atyrau Asia/Dushanbe Asia/Oral "
        "Asia/Samarkand Asia/Tashkent"
    ),
    "Asia/Kolkata": "Asia/Calcutta",
    "Asia/Colombo": "",
    "Asia/Kathmandu": "Asia/Katmandu",
    "Antarctica/Vostok": "",
    "Asia/Dhaka": (
        "Asia/Bishkek Asia/Dacca Asia/Kashgar Asia/Omsk Asia/Thimbu Asia/Thimphu Asia/Urumqi Indian/Chagos"
    ),
    "Asia/Rangoon": "Asia/Yangon Indian/Cocos",
    "Antarctica/Davis": "",
    "Asia/Novokuznetsk": (
        "Asia/Bangkok Asia/Barnaul Asia/Ho_Chi_Minh Asia/Hovd Asia/Jakarta Asia/Novosibirsk "
        "Asia/Phnom_Penh Asia/Pontianak Asia/Saigon Asia/Tomsk Asia/Vientiane Indian/Christmas"
    ),
    "Asia/Hong_Kong": (
        "Antarctica/Casey Asia/Chongqing Asia/Chungking Asia/Harbin Asia/Kuala_Lumpur Asia/Kuching "
        "Asia/Macao Asia/Macau Asia/Makassar Asia/Manila Asia/Shanghai Asia/Singapore Asia/Ujung_Pandang "
        "Hongkong PRC ROC Singapore"
    ),
    "Asia/Krasnoyarsk": "",
    "Asia/Brunei": "",
    "Australia/Perth": "Australia/West",
    "Asia/Taipei": "",
    "Asia/Choibalsan": "Asia/Ulaanbaatar Asia/Ulan_Bator",
    "Asia/Irkutsk": "",
    "Asia/Dili": "Asia/Jayapura Asia/Seoul Asia/Tokyo Japan Pacific/Palau ROK",
    "Asia/Pyongyang": "",
    "Australia/Adelaide": "Australia/Broken_Hill Australia/South Australia/Yancowinna",
    "Australia/Darwin": "Australia/North",
    "Australia/Brisbane": (
        "Asia/Ust-Nera Asia/Vladivostok Australia/Lindeman Australia/Queensland Pacific/Chuuk "
        "Pacific/Guam Pacific/Port_Moresby Pacific/Saipan Pacific/Truk Pacific/Yap"
    ),
    "Australia/Melbourne": (
        "Australia/ACT Australia/Canberra Australia/Hobart Australia/NSW Australia/Sydney "
        "Australia/Tasmania Australia/Victoria"
    ),
    "Antarctica/DumontDUrville": "",
    "Australia/Currie": "",
    "Asia/Chita": "Asia/Khandyga Asia/Yakutsk",
    "Antarctica/Macquarie": "",
    "Asia/Sakhalin": (
        "Asia/Magadan Asia/Srednekolymsk Pacific/Bougainville Pacific/Efate Pacific/Guadalcanal "
        "Pacific/Kosrae Pacific/Noumea Pacific/Pohnpei Pacific/Ponape"
    ),
    "Pacific/Auckland": "Antarctica/McMurdo Antarctica/South_Pole NZ",
    "Etc/GMT-12": (
        "Kwajalein Pacific/Funafuti Pacific/Kwajalein Pacific/Majuro Pacific/Nauru Pacific/Tarawa "
        "Pacific/Wake Pacific/Wallis"
    ),
    "Pacific/Fiji": "",
    "Asia/Anadyr": "",
    "Asia/Kamchatka": "",
    "Etc/GMT-13": "Pacific/Enderbury Pacific/Fakaofo Pacific/Kanton Pacific/Tongatapu",
    "Pacific/Apia": "",
}

# No accepted zone keeps this clock: the nearest one.
NEAREST: Mapping[str, str] = {
    "America/Adak": "America/Anchorage",
    "America/Atka": "America/Anchorage",
    "America/Ensenada": "America/Anchorage",
    "America/Los_Angeles": "America/Anchorage",
    "America/Miquelon": "America/St_Johns",
    "America/Santa_Isabel": "America/Anchorage",
    "America/Tijuana": "America/Anchorage",
    "America/Vancouver": "America/Anchorage",
    "Antarctica/Troll": "Europe/Isle_of_Man",
    "Asia/Gaza": "Africa/Windhoek",
    "Asia/Hebron": "Africa/Windhoek",
    "Atlantic/Azores": "America/Godthab",
    "Australia/Eucla": "Asia/Dili",
    "Australia/LHI": "Australia/Melbourne",
    "Australia/Lord_Howe": "Australia/Melbourne",
    "Canada/Pacific": "America/Anchorage",
    "Chile/EasterIsland": "America/Santiago",
    "Mexico/BajaNorte": "America/Anchorage",
    "NZ-CHAT": "Pacific/Auckland",
    "PST8PDT": "America/Anchorage",
    "Pacific/Chatham": "Pacific/Auckland",
    "Pacific/Easter": "America/Santiago",
    "Pacific/Gambier": "Etc/GMT+10",
    "Pacific/Kiritimati": "Etc/GMT-13",
    "Pacific/Marquesas": "Etc/GMT+10",
    "Pacific/Norfolk": "Australia/Melbourne",
    "Pacific/Pitcairn": "America/Dawson",
}

ACCEPTED = frozenset(SAME_CLOCK)
EXACT: Mapping[str, str] = {
    **{zone: zone for zone in SAME_CLOCK},
    **{name: zone for zone, names in SAME_CLOCK.items() for name in names.split()},
}


YEAR = 366  # days ahead over which clocks are compared
DAY = 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class VendorWindow:
    """A sending window in a zone that the vendor accepts; `warning` where it isn't the one asked for."""

    timezone: str
    start: str
    end: str
    warning: str = ""


def vendor_window(window: SendingWindow, today: date) -> VendorWindow:
    """The same hours in an accepted zone; where none keeps the clock, hours inside the window all year from today."""
    if window.start >= window.end:
        raise Invalid("the sending window must end after it starts, on the same day", field="window.end")
    zone = EXACT.get(window.timezone) or NEAREST.get(window.timezone) or _nearest(window.timezone, today)
    least, most = ahead(zone, window.timezone, today)
    if (least, most) == (0, 0):
        return VendorWindow(zone, window.start, window.end)
    start, end = _minutes(window.start) + most, _minutes(window.end) + least
    if start < 0 or end > DAY - 1 or start >= end:
        raise Invalid(f"these hours can't be expressed in {zone}, the nearest zone", field="window")
    moved = VendorWindow(zone, _clock(start), _clock(end))
    return VendorWindow(zone, moved.start, moved.end, _warning(window, moved, exact=least == most))


def ahead(zone: str, asked: str, today: date) -> tuple[int, int]:
    """By how many minutes the clocks of `zone` are ahead of those of `asked`, least and most, over a year from today.

    Raises `Invalid` for a zone that isn't one.
    """
    try:
        ours, theirs = ZoneInfo(zone), ZoneInfo(asked)
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise Invalid("no such IANA time zone", field="window.timezone") from error
    found = [_offset(ours, moment) - _offset(theirs, moment) for moment in _moments(today)]
    return min(found), max(found)


def _moments(today: date) -> Iterator[datetime]:
    """Once a day: where two clocks change in the same night, an hour apart, nobody is at work in between."""
    for day in range(YEAR):
        yield datetime.combine(today + timedelta(days=day), time(12), UTC)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


def _nearest(asked: str, today: date) -> str:
    """For a zone that is in no table, because it is younger than this file: the accepted one that strays least."""

    def strays(zone: str) -> tuple[int, int, str]:
        least, most = ahead(zone, asked, today)
        return most - least, max(abs(least), abs(most)), zone

    return min(ACCEPTED, key=strays)


def _warning(asked: SendingWindow, moved: VendorWindow, *, exact: bool) -> str:
    told = "the same hours" if exact else "hours that lie within them all year"
    return (
        f"Instantly accepts no time zone with the clock of {asked.timezone}: the campaign is set to {moved.start} to "
        f"{moved.end} in {moved.timezone}. By the clock of {asked.timezone} these are {told}, "
        f"{asked.start} to {asked.end}."
    )


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
