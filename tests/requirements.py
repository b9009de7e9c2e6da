"""What must hold whatever happens: each safety requirement with its source, and where its proof has to wait.

A test says what it proves with `@pytest.mark.requirement("K1", "F23")`. `contract/test_requirements.py` holds both
ways: no requirement without a test or a reason in `LATER`, no mark without a requirement. Sources are the project's
own papers: RELIABILITY (faults and bounds), COMPLIANCE (law and rates), SECURITY (who may do what), ARCHITECTURE.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that must hold: where that is written, and what it is in a sentence."""

    id: str
    source: str
    text: str


def _listed(source: str, **texts: str) -> tuple[Requirement, ...]:
    return tuple(Requirement(name, source, text) for name, text in texts.items())


INVARIANTS = _listed(
    "RELIABILITY 4, global invariants",
    I1="Every external effect has exactly one durable, earlier claim.",
    I2="One operation has at most one effect.",
    I3="No effect is decided after a durable suppression, kill or expiry.",
    I4="Every accepted opt-out is effective for ever.",
    I5="No effect happens without a valid approval where policy asks for one.",
    I6="The audit log proves itself whole and covers every effect.",
    I7="No secret and no personal data is in a log line.",
    I8="Everything that was queued ends, or waits for a person with its age shown.",
)
GATE = _listed(
    "ARCHITECTURE, The gate; RELIABILITY 1 and 2",
    G1="Nothing is written outside without a permit, and only the gate makes one.",
    G2="The same key with the same content replays the first receipt and calls nobody.",
    G3="The same key with other content is a conflict and has no effect.",
    G4="Of two that are at it at once, one acts and the other hears that it is under way.",
    G5="A permit is for one write and ends with its submission.",
    G6="A batch is admitted in one transaction, and each of its effects has an outcome of its own.",
    G7="No more than W calls are out at once, over all processes.",
    G8="Without the database nothing is called, and what can't be written down stops what follows.",
    G9="Nothing that was acknowledged is lost to a power cut: commits are synchronous.",
)
DOUBT = _listed(
    "RELIABILITY 2; ARCHITECTURE, In doubt",
    D1="An effect whose answer was lost is never sent again on a guess.",
    D2="Doubt ends by evidence; that the vendor doesn't show it counts only after it had time to.",
    D3="What nothing can tell stays in doubt for a person.",
    D4="What a dead process had claimed is in doubt at once, and what a living one holds is left alone.",
    D5="Stopping somebody is repeated until the vendor confirms it.",
    D6="An answer that can't be read, or says error under a 2xx, is never taken for success.",
)
KILL = _listed(
    "RELIABILITY 6",
    K1="Once pressing the kill switch has returned, no effect begins in any process.",
    K2="What was on the wire is at most W calls, over within T seconds, and no retry is made of it.",
    K3="It survives a restart, and works while the database is locked or no file can be written.",
    K4="The strictest of environment, file and database wins; what can't be read counts as on.",
    K5="What only stops somebody passes while killed.",
    K6="Campaigns at the vendor are paused, counted, tried again until confirmed, and told after two minutes.",
    K7="AEs and agents press it; only an admin releases it, with a reason; no tool does.",
    K8="What was queued before a release and is older than 15 minutes goes back to review.",
    K9="It can be pressed with a session that has nearly run out, and from the command line.",
)
SAFE_MODE = _listed(
    "ARCHITECTURE, Safe mode; RELIABILITY 6",
    S1="With nothing configured safe mode is on, and a whole run writes nothing outside.",
    S2="Environment, file and database can each turn it on; it is off only if all three say so.",
    S3="Leaving it needs a named admin and a reason.",
    S4="It asks every check, spends nothing, uses no approval, and says what would have been sent.",
    S5="Engaged on a live installation it still stops people and pauses campaigns for real, and nothing else.",
)
SUPPRESSION = _listed(
    "COMPLIANCE 8 and 12",
    U1="An opt-out stops every spelling of its address, however it was spelled itself.",
    U2="An opt-out stops nobody else.",
    U3="The list is asked in the transaction that claims, never before it.",
    U4="Anything may add; only a named person lifts, with a reason; nothing that arrives late lifts.",
    U5="The list holds keyed hashes: no address can be read, and erasure keeps the protection.",
    U6="A domain is suppressed with all below it, and never a domain that belongs to everyone.",
    U7="An address that mixes scripts or can't be read is not written to.",
    U8="Somebody may be on the list before anybody has seen them.",
    U9="The list is imported and exported with errors by line, and answers at ten million entries.",
    U10="An opt-out by any channel is on the list in the transaction that takes it in.",
    U12="What may be an opt-out stops and holds at once; only a person says that it is none, and the list stays.",
    U11="Opt-outs are taken and passed on while killed and are never held back by a cap.",
    U21="One click on our link, without a log-in, opts out at once whatever else is down; looking changes nothing.",
    U22="A link that isn't ours is answered as one of ours is, and changes nothing.",
    U13="Our list, the CRM's marks and the sequencer's block list hold the same people; what a vendor lacks is shown.",
    U15="A complaint, told by a vendor, a report or a person, stops its person at once and feeds the halts.",
    U14="An opt-out anywhere is one everywhere within seconds, whatever is lost or out of order on the way.",
)
APPROVAL = _listed(
    "ARCHITECTURE, Approval; SECURITY 3 and 4",
    A1="A yes is to exact content: one letter or one recipient more is not approved.",
    A2="A yes expires.",
    A3="A yes is used by one effect, once.",
    A4="A yes is asked for again at execution, and one that was taken back stands no more.",
    A5="No tool approves, releases, resumes or lifts.",
    A6="Double clicks, two approvers, an edit and a suppression in between approve nothing they should not.",
    A8="Nobody who ended contact and no machine is answered; policy alone lets out at most one answer in a row.",
    A7="Where the role matrix says two persons, one is not enough.",
)
HALTS = _listed(
    "COMPLIANCE 7",
    H1="Literally: a threshold passed stops, and the first complaint under 1,000 sends kills.",
    H2="By evidence: what may be chance holds one campaign, what can't be stops all.",
    H3="A halt states rule, numbers and window.",
    H4="A halt stays until a named person clears it.",
    H5="Clearing doesn't blind: worse news stops again, the same news doesn't.",
    H6="Any warning of LinkedIn stops all sourcing for 72 hours and retires the session that got it.",
    H7="Each of the five incidents stops what it must by itself, lets stops go on, and ends by a person's word.",
)
LOG = _listed(
    "RELIABILITY 3",
    L1="An effect and its entry are committed together or not at all.",
    L2="Any entry changed, removed, added or moved is noticed.",
    L3="A tail that was cut off is noticed back to the last published checkpoint; what isn't covered is counted.",
    L4="A database older than a published checkpoint doesn't start.",
    L5="Erasing a person's details breaks no proof, and a leaf shows nobody.",
    L6="The head is signed after so many entries or seconds and appended to files elsewhere.",
    L7="The log can be verified by a script that shares no code with the product.",
    L8="Every switch, approval, refusal and suppression is an entry.",
)
LIMITS = _listed(
    "RELIABILITY 1 and 7; ARCHITECTURE, Store",
    R1="No window of a vendor's length ever holds more calls than allowed, whichever process makes them.",
    R2="A daily cap or credit budget stops the next effect, and a clock that jumps doesn't grant it twice.",
    R3="A 429 holds back every process for as long as the vendor says, within a bound.",
    R4="One operation is tried at most four times, whatever the layer, and each try asks the switches again.",
    R5="Retry-After is understood in seconds and as a date; waiting has full jitter and a cap.",
    R6="Retries are at most a tenth of the calls, and a breaker never opens on one failure.",
    R7="What stops somebody goes before every ordinary call, whatever queues, and still where a breaker is open.",
)
ALERTS = _listed(
    "RELIABILITY 7",
    M1="An alert is sent once while it lasts, with number, window and runbook.",
    M2="An alert that can't be delivered is itself shown.",
)
WEBHOOKS = _listed(
    "SECURITY 7",
    W1="A forged webhook changes nothing: no secret, an empty one, another one, another body.",
    W2="The same event counts once, however often and whenever it is delivered.",
    W3="A webhook is answered 2xx only after it is stored, and 503 if it can't be.",
    W4="Bodies beyond the caps on size, depth and keys are refused.",
    W5="Who opts out is on the list before the webhook is answered, in the commit that many share.",
    W6="What was signed so long ago that nobody delivers it any more is refused, unless it is an opt-out.",
)
WEB = _listed(
    "SECURITY 1 to 4 and 9",
    X1="Only our own Host and Origin are answered; beyond loopback a token is needed.",
    X2="No change without a session, its form token and an unsafe method.",
    X3="Who may do what is one table, and every form is refused to exactly the roles without the right.",
    X4="Guessing passwords is slowed down, tells nothing, and never locks the kill switch.",
    X5="Text from outside is data: cleaned for models, escaped in pages, never an instruction.",
    X6="Tools are as their snapshots say; an unknown or wrong argument is refused without repeating it.",
    X7="A file is read only inside its folders, within caps on size, parts, ratio and depth.",
    X8="A request to a vendor can't be turned into one to another path or host.",
    X9="Packages are pinned with hashes, and development runs on what is shipped.",
)
ANCESTRY = _listed(
    "COMPLIANCE 11",
    C1="Each variant of a message is judged alone: one good variant covers no other.",
    C2="The word unsubscribe, or an address that was not rendered, satisfies nothing.",
    C3="No character of a message switches a rule off.",
    C4="An identity is the same in every process, and erasing somebody doesn't let them be mailed again.",
    C6="A model may add caution to what rules say of a reply, and never takes any away; its wrong answer is none.",
    C5="An opt-out in a reply is a suppression; interest is never read out of its opposite.",
)
SCENARIOS = _listed(
    "RELIABILITY 5",
    F1="The vendor commits and the response is lost.",
    F2="The request never arrived.",
    F3="A storm of 429, with any Retry-After.",
    F4="200 with an error, HTML, nothing, half a body.",
    F5="500 after a part of a batch.",
    F6="A vendor that hangs.",
    F7="The clock is wrong, jumps ahead, jumps back.",
    F8="The disk is full at the claim, at the outcome, at the audit append.",
    F9="Two workers, two processes, a double click on the same lead.",
    F10="kill -9 at every crash point.",
    F11="A webhook is replayed.",
    F12="Webhooks arrive out of order.",
    F13="A webhook is forged.",
    F14="Webhooks are lost for hours.",
    F15="Somebody opts out while their campaign is sending, at every point.",
    F16="The database is locked, corrupt or read-only.",
    F17="A token runs out mid-run, and its renewal is raced for or lost.",
    F18="A poisoned CSV.",
    F19="A zip bomb, XXE, a lying or broken document.",
    F20="SSRF and path traversal.",
    F21="Prompt injection in anything that people write.",
    F22="5,000 opt-outs in a minute.",
    F23="The kill switch with 1,000 queued and in flight.",
    F24="The audit log, its key or its verification fails.",
    F25="Yesterday's backup is restored.",
)
PHASES = _listed(
    "DOMAIN, Campaigns; ARCHITECTURE, Flows; SECURITY 3",
    P1="A plan is made of findings, configuration and a person's choices, and of nothing else.",
    P2="Implement carries out only a plan that a person approved, and refuses what moved since.",
    P3="What is done outside by implementing is what the plan listed, no more and no less.",
    P4="Words of an agent pass the checks that all words pass, and a person reads them as such.",
    P5="A sample that must be opened is asked for by the server, from each reader.",
    P6="An agent can't flood people: no further words while too many wait.",
    P7="No message holds a hole, whatever is unknown of somebody or written in their profile.",
    P8="LinkedIn is touched by people only.",
)
PRIVACY = _listed(
    "COMPLIANCE 2 (Art. 15 to 19); SECURITY 4",
    E1="Who was erased is named by no table, file or log line of ours.",
    E2="Who was erased is never written to again, however they are spelled.",
    E3="The audit log proves itself whole after an erasure.",
    E4="What only a person can do at a vendor is handed to one, with steps and a due time.",
    E5="Only an operator or an admin exports, erases or rectifies; no tool does.",
    E6="An erasure that was interrupted anywhere is gone on with, and ends the same.",
)
REQUIREMENTS: Mapping[str, Requirement] = {
    one.id: one
    for group in (
        *(INVARIANTS, GATE, DOUBT, KILL, SAFE_MODE, SUPPRESSION, APPROVAL, HALTS, LOG, LIMITS, ALERTS),
        *(WEBHOOKS, WEB, ANCESTRY, SCENARIOS, PHASES, PRIVACY),
    )
    for one in group
}

# What has no test yet, and why. An entry whose test exists fails the contract test: take it out then.
LATER: Mapping[str, str] = {}
