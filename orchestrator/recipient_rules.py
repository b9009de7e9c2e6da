"""What may be wrong with writing to this person: address, country, provenance, seniority."""

import re
from collections.abc import Iterable

from orchestrator.countries import candidates
from orchestrator.finding import ORDER, Case, Finding, Rule, place
from orchestrator.scoring import works_at_competitor
from orchestrator.titles import seniority
from orchestrator.wording import Severity
from shared.address import registrable

_CONSENT = frozenset({"consent", "express_consent"})


def _recipient(case: Case) -> Iterable[Finding]:
    lead, compliance = case.lead, case.rules.outreach.compliance
    local, _, host = lead.email.lower().rpartition("@")
    if not local or not host or re.search(r"[\s<>,;\"\x00-\x1f]", lead.email):
        yield _of_person(
            "no_address", "block", "there is no usable e-mail address", "find one, or leave them out"
        )
        return
    role = local.split("+", 1)[0]
    if role in compliance.technical_roles:
        yield _of_person(
            "technical_address", "block", "nobody to write to reads it", "find a person's address"
        )
    elif role in compliance.general_roles:
        yield _of_person(
            "role_address", "hold", "a team reads it, not this person", "find the person's own address"
        )
    # A verdict we don't know counts as none.
    state = compliance.email_verdicts.get(lead.email_verdict, "hold")
    if state != "allow":
        yield _of_person(
            "address_unverified", state, "the address is not known to be deliverable", "have it verified"
        )
    if works_at_competitor(lead, case.rules):
        yield _of_person("competitor_employee", "block", "they work for another vendor", "leave them out")


def _of_person(code: str, severity: Severity, why: str, fix: str) -> Finding:
    return Finding(code, severity, "recipient", why, fix)


def _country(case: Case) -> Iterable[Finding]:
    """Whether mail may go there; several signs count as the strictest of them."""
    compliance, lead = case.rules.outreach.compliance, case.lead
    found = candidates(lead)
    states = {code: compliance.countries.get(code, compliance.other_countries) for code in found}
    if not found:
        states = {"": compliance.unknown_country}
    code, state = min(states.items(), key=lambda item: ORDER.get(item[1], 3))
    if state == "allow":
        return
    if state == "block" and lead.legal_basis in _CONSENT:
        yield _of_person(
            "consent_to_prove",
            "hold",
            f"{code} asks for consent that can be proven",
            "a person checks the record of it",
        )
    elif state == "block":
        yield _of_person(
            "country_needs_consent",
            "block",
            f"{code or 'the country'} asks for prior consent",
            "get consent, or leave them out",
        )
    else:
        known = f"the rules of {code} are not settled" if code else "the country is unknown"
        yield _of_person("country_unsettled", "hold", known, "find out the country, or have counsel decide")


def _consumers(case: Case) -> Iterable[Finding]:
    """Free mail and people without a company count as consumers, to whom stricter rules apply."""
    compliance, lead, found = case.rules.outreach.compliance, case.lead, set(candidates(case.lead))
    strict = compliance.free_mail_blocked_in | compliance.notice_countries
    if lead.email.lower().rpartition("@")[2] in case.rules.free_mail:
        severity: Severity = "block" if found & strict else "hold"
        yield _of_person(
            "free_mail", severity, "a private mailbox counts as a consumer's", "find the work address"
        )
    if "GB" in found and not lead.company:
        yield _of_person(
            "individual_subscriber",
            "hold",
            "sole traders in GB count as consumers",
            "make sure that it is a company",
        )


def _privacy(case: Case) -> Iterable[Finding]:
    """Provenance on record, and said in the first message where the law asks for it."""
    compliance, lead, found = case.rules.outreach.compliance, case.lead, set(candidates(case.lead))
    strict = not found or bool(found & compliance.notice_countries)
    if not lead.data_source or not lead.data_collected_at or not lead.legal_basis:
        yield _of_person(
            "no_provenance",
            "block" if strict else "hold",
            "where or when the data was collected isn't recorded",
            "record source, time and legal basis",
        )
    if not strict or not case.messages:
        return
    body = _squeezed(case.messages[0].body).lower()
    says = (
        case.rules.outreach.sender.privacy_url.lower() in body
        and "object" in body
        and "legitimate interest" in body
    )
    if not says:
        yield Finding(
            "no_source_notice",
            "block",
            place(1, "body"),
            "it doesn't say where the data came from and that one may object",
            "add the source notice to the first message",
        )


def _seniority(case: Case) -> Iterable[Finding]:
    level = seniority(case.lead.title)
    if level == "c_level":
        yield _of_person(
            "c_level", "hold", "mail to the top level always needs a person's own yes", "approve it by itself"
        )
    elif level == "unknown":
        yield _of_person(
            "seniority_unknown",
            "hold",
            "without a title they may be at the top level",
            "approve it by itself",
        )


def _mismatch(case: Case) -> Iterable[Finding]:
    host, company = case.lead.email.lower().rpartition("@")[2], case.lead.company_domain.lower()
    if host and company and host not in case.rules.free_mail and not _same_company(host, company):
        yield _of_person(
            "company_mismatch",
            "hold",
            "the address belongs to another company than the profile",
            "find out which is right",
        )


def _same_company(one: str, other: str) -> bool:
    """Equal registered names, whatever the ending: acme.com and mail.acme.co.uk."""
    return registrable(one).split(".")[0] == registrable(other).split(".")[0]


def _squeezed(text: str) -> str:
    return " ".join(text.split())


RECIPIENT_RULES: tuple[Rule, ...] = (_recipient, _country, _consumers, _privacy, _seniority, _mismatch)
