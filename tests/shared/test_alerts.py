"""Alerts: once while they last, to every channel, until it took them; what it didn't take is shown."""

import asyncio
import json
import re
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_string
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import respx
import sqlalchemy as sa

from shared import mail
from shared.alerts import Alert, Alerts, Raised, Send, channels, link, open_alerts
from shared.errors import Fatal
from shared.kernel import Kernel
from shared.safety_rules import AlertRules
from shared.schema import alert as table
from shared.settings import Settings
from shared.store import open_store
from tests.shared.world import HandClock, opened

SLACK = "https://hooks.slack.com/services/T0/B0/secret"
RULES = AlertRules(mail_from="swarm@ours.example", mail_to=("ops@ours.example", "boss@ours.example"))
DOUBT = Alert("in_doubt", "critical", "2 effects are in doubt", 42.5, 15, "minutes", "age of the oldest")
KILL = Alert("kill_switch", "critical", "the kill switch is on", 1, 0, "switches")
HALT = Alert("halt", "critical", "a rule stopped this", 1, 0, "halts", scope="vendor:instantly")
WATCHED = {"in_doubt", "kill_switch", "halt"}


@dataclass
class Channel:
    """Takes messages, or fails as it is told."""

    fails: list[Exception] = field(default_factory=list)
    took: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, subject: str, text: str) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.took.append((subject, text))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def slack() -> Channel:
    return Channel()


@pytest.fixture
async def alerts(tmp_path: Path, clock: HandClock, slack: Channel) -> AsyncIterator[Alerts]:
    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        yield Alerts(store, clock, RULES, {"slack": slack})


async def see(alerts: Alerts, *found: Alert) -> None:
    """One round of the watch."""
    await alerts.see(found, WATCHED)
    await alerts.deliver()


async def only(alerts: Alerts) -> Raised:
    (one,) = await alerts.shown()
    return one


# ── once ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("M1")
async def test_an_alert_is_sent_once_while_it_lasts(alerts: Alerts, slack: Channel, clock: HandClock) -> None:
    for _ in range(10):
        await see(alerts, DOUBT)
        clock.move(3600)
    assert len(slack.took) == 1
    assert (await only(alerts)).state == "delivered"


@pytest.mark.requirement("M1")
async def test_a_message_has_number_window_threshold_and_runbook(alerts: Alerts, slack: Channel) -> None:
    await see(alerts, DOUBT)
    ((subject, text),) = slack.took
    assert subject == "[alpha-swarm] critical: in_doubt"
    assert "Measured 42.5 minutes, age of the oldest; threshold 15 minutes." in text
    assert "docs/RUNBOOK.md#alert-in-doubt" in text


async def test_what_is_raised_together_goes_out_in_one_message(alerts: Alerts, slack: Channel) -> None:
    await see(alerts, DOUBT, KILL, HALT, replace(HALT, scope="all"))
    ((subject, text),) = slack.took
    assert subject == "[alpha-swarm] critical: in_doubt, kill_switch, halt"
    assert {"halt (vendor:instantly)", "halt (all)"} <= set(re.findall(r"halt \(.*?\)", text))


async def test_a_subject_says_warning_where_nothing_is_critical(alerts: Alerts, slack: Channel) -> None:
    await see(alerts, replace(DOUBT, severity="warning"))
    assert slack.took[0][0].startswith("[alpha-swarm] warning")


async def test_the_numbers_of_a_standing_alert_follow_what_is_measured(alerts: Alerts) -> None:
    await see(alerts, DOUBT)
    await see(alerts, replace(DOUBT, value=90, text="3 effects are in doubt"))
    one = await only(alerts)
    assert (one.alert.value, one.alert.text) == (90, "3 effects are in doubt")


async def test_what_is_over_is_cleared_shown_for_a_day_and_then_no_more(
    alerts: Alerts, clock: HandClock
) -> None:
    await see(alerts, DOUBT)
    await see(alerts)
    assert (await only(alerts)).cleared_at
    clock.move(25 * 3600)
    assert await alerts.shown() == []


async def test_alerts_that_nobody_watched_this_time_stay(alerts: Alerts) -> None:
    await see(alerts, DOUBT)
    await alerts.see([], {"kill_switch"})
    assert not (await only(alerts)).cleared_at


async def test_one_that_comes_back_soon_waits_for_the_quiet_period_to_end(
    alerts: Alerts, slack: Channel, clock: HandClock
) -> None:
    await see(alerts, DOUBT)
    for _ in range(29):
        clock.move(60)
        await see(alerts)
        await see(alerts, DOUBT)
    assert len(slack.took) == 1
    clock.move(60)
    await see(alerts, DOUBT)
    assert len(slack.took) == 2


async def test_one_that_comes_back_later_is_sent_again(
    alerts: Alerts, slack: Channel, clock: HandClock
) -> None:
    await see(alerts, DOUBT)
    clock.move(60)
    await see(alerts)
    clock.move(3600)
    await see(alerts, DOUBT)
    assert len(slack.took) == 2


async def test_another_scope_is_another_alert(alerts: Alerts, slack: Channel) -> None:
    await see(alerts, HALT)
    await see(alerts, HALT, replace(HALT, scope="all"))
    assert len(slack.took) == 2
    assert len(await alerts.shown()) == 2


async def test_two_processes_that_look_at_once_send_one_message(
    tmp_path: Path, clock: HandClock, slack: Channel
) -> None:
    url = f"sqlite:///{tmp_path / 'swarm.db'}"
    async with open_store(url) as one, open_store(url) as other:
        both = [Alerts(store, clock, RULES, {"slack": slack}) for store in (one, other)]
        await asyncio.gather(*(see(alerts, DOUBT) for alerts in both))
        await asyncio.gather(*(see(alerts, DOUBT) for alerts in both))
    assert len(slack.took) == 1


# ── what a channel doesn't take ──────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("M2")
async def test_an_alert_that_is_not_taken_is_shown_with_the_kind_of_error(
    alerts: Alerts, slack: Channel
) -> None:
    slack.fails.append(httpx.ConnectError("to https://hooks.slack.com/services/T0/B0/secret"))
    await see(alerts, DOUBT)
    one = await only(alerts)
    assert (one.state, one.problems) == ("undelivered", ("slack: ConnectError",))
    assert "hooks" not in repr(one)


async def test_it_is_tried_again_ever_more_seldom_until_it_is_taken(
    alerts: Alerts, slack: Channel, clock: HandClock
) -> None:
    slack.fails = [OSError() for _ in range(9)]
    tries = []
    for second in range(0, 4 * 3600, 30):
        left = len(slack.fails)
        await see(alerts, DOUBT)
        if len(slack.fails) < left or slack.took:
            tries.append(second)
        if slack.took:
            break
        clock.move(30)
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    one = await only(alerts)
    assert (one.state, one.problems, one.deliveries["slack"].attempts) == ("delivered", (), 10)


async def test_what_a_crash_left_half_sent_is_sent_again(
    tmp_path: Path, clock: HandClock, slack: Channel
) -> None:
    begun = asyncio.Event()

    async def hanging(subject: str, text: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        doomed = asyncio.create_task(see(Alerts(store, clock, RULES, {"slack": hanging}), DOUBT))
        await begun.wait()
        doomed.cancel()
        await asyncio.wait([doomed])
        alerts = Alerts(store, clock, RULES, {"slack": slack})
        await see(alerts, DOUBT)
        assert ((await only(alerts)).state, slack.took) == ("sending", [])
        clock.move(30)
        await see(alerts, DOUBT)
    assert len(slack.took) == 1


async def test_one_channel_that_fails_does_not_repeat_the_other(
    tmp_path: Path, clock: HandClock, slack: Channel
) -> None:
    broken = Channel([OSError(), OSError()])
    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        alerts = Alerts(store, clock, RULES, {"slack": slack, "mail": broken})
        for _ in range(20):
            await see(alerts, DOUBT)
            clock.move(30)
        assert (len(slack.took), len(broken.took)) == (1, 1)
        assert (await only(alerts)).state == "delivered"


@pytest.mark.requirement("M2")
async def test_without_a_channel_an_alert_is_still_shown(tmp_path: Path, clock: HandClock) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        alerts = Alerts(store, clock, RULES, {})
        await see(alerts, DOUBT)
        assert ((await only(alerts)).state, alerts.channels) == ("not sent", ())


async def test_a_channel_that_is_configured_later_is_told_of_what_stands(
    tmp_path: Path, clock: HandClock, slack: Channel
) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        await see(Alerts(store, clock, RULES, {}), DOUBT)
        await see(Alerts(store, clock, RULES, {"slack": slack}), DOUBT)
    assert len(slack.took) == 1


async def test_the_answer_to_an_older_alert_says_nothing_of_the_new_one(
    tmp_path: Path, clock: HandClock
) -> None:
    out: dict[str, Send] = {}
    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        both = Alerts(store, clock, RULES, out)

        async def slow(subject: str, text: str) -> None:
            """While this is on its way, the alert is over and comes back."""
            clock.move(1)
            await both.see([], WATCHED)
            await both.see([DOUBT], WATCHED)

        out["slack"] = slow
        await see(both, DOUBT)
        assert (await only(both)).state == "not sent"


async def test_a_cry_needs_no_database_and_keeps_the_quiet_period(
    tmp_path: Path, clock: HandClock, slack: Channel
) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store:
        alerts = Alerts(store, clock, RULES, {"slack": slack})
    slack.fails.append(OSError())
    for _ in range(3):
        await alerts.cry(KILL)
    assert len(slack.took) == 1
    clock.move(1800)
    await alerts.cry(KILL)
    assert len(slack.took) == 2


# ── Slack ────────────────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def alerts_of(settings: Settings, clock: HandClock) -> AsyncIterator[tuple[Kernel, Alerts]]:
    async with opened(settings, clock) as kernel:
        yield kernel, open_alerts(kernel)


@respx.mock
async def test_slack_gets_the_text_escaped_in_safe_mode_and_under_kill(
    settings_for: Callable[..., Settings], clock: HandClock
) -> None:
    hook = respx.post(SLACK).respond(200, text="ok")
    async with alerts_of(settings_for(SLACK_WEBHOOK_URL=SLACK, KILL_SWITCH="true"), clock) as (_, alerts):
        await see(alerts, replace(DOUBT, text="<!channel> & more"))
    sent = json.loads(hook.calls.last.request.content)
    assert list(sent) == ["text"]
    assert "&lt;!channel&gt; &amp; more" in sent["text"]
    assert "<" not in sent["text"]


@respx.mock
async def test_what_slack_refuses_is_shown_by_its_status(
    settings_for: Callable[..., Settings], clock: HandClock
) -> None:
    respx.post(SLACK).respond(404, text="no_service")
    async with alerts_of(settings_for(SLACK_WEBHOOK_URL=SLACK), clock) as (_, alerts):
        await see(alerts, DOUBT)
        assert (await only(alerts)).problems == ("slack: http_404",)


async def test_slack_is_never_asked_without_tls(
    settings_for: Callable[..., Settings], clock: HandClock
) -> None:
    url = SLACK.replace("https", "http")
    async with alerts_of(settings_for(SLACK_WEBHOOK_URL=url), clock) as (_, alerts):
        await see(alerts, DOUBT)
        assert (await only(alerts)).problems == ("slack: bad_address",)


def test_addresses_of_channels_count_as_secrets(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for(SLACK_WEBHOOK_URL=SLACK, SMTP_URL="smtp://u:pw@relay.example")
    assert {SLACK, "smtp://u:pw@relay.example"} <= set(settings.secret_values)


async def test_no_secret_and_no_address_is_kept_with_an_alert(
    settings_for: Callable[..., Settings], clock: HandClock
) -> None:
    settings = settings_for(SMTP_URL="smtp://u:pw@127.0.0.1:1")
    async with alerts_of(settings, clock) as (kernel, alerts):
        await see(alerts, DOUBT)
        rows = await kernel.store.read(lambda c: [tuple(row) for row in c.execute(sa.select(table))])
    assert not re.search(r"pw|127\.0\.0\.1|@", str(rows))


# ── mail ─────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Relay:
    """A mail server that takes letters, or refuses a command as it is told."""

    refuses: dict[str, str] = field(default_factory=dict)  # command → answer
    letters: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        writer.write(b"220 relay\r\n")
        while line := (await reader.readline()).decode().strip():
            command = line.split()[0].upper()
            self.said.append(line)
            answer = self.refuses.get(command)
            if command == "DATA" and not answer:
                writer.write(b"354 go on\r\n")
                self.letters.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(f"{answer or self.usual(command)}\r\n".encode())
            await writer.drain()
            if command == "QUIT":
                break
        writer.close()

    @staticmethod
    def usual(command: str) -> str:
        return {"EHLO": "250-relay\r\n250 AUTH PLAIN", "AUTH": "235 welcome", "QUIT": "221 bye"}.get(
            command, "250 ok"
        )


@asynccontextmanager
async def listening(relay: Relay, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The relay on a free port; yields host and port."""
    server = await asyncio.start_server(relay.converse, host, 0)
    async with server:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"


async def test_mail_goes_to_everybody_who_is_to_be_told() -> None:
    relay = Relay()
    async with listening(relay) as at:
        send = channels({"SMTP_URL": f"smtp://{at}"}, RULES, httpx.AsyncClient())["mail"]
        await send("[alpha-swarm] critical: in_doubt", "Measured 42.5 minutes – threshold 15")
    letter = message_from_string(relay.letters[0])
    assert letter["Subject"] == "[alpha-swarm] critical: in_doubt"
    assert letter["To"] == "ops@ours.example, boss@ours.example"
    assert b"42.5 minutes" in letter.get_payload(decode=True)
    assert sum(line.lower().startswith("rcpt to") for line in relay.said) == 2


async def test_mail_logs_in_where_the_address_names_somebody() -> None:
    relay = Relay()
    async with listening(relay) as at:
        await mail.send(f"smtp://us%40ours:p%2Fw@{at}", "a@b.example", ["c@d.example"], "s", "t")
    assert any(line.startswith("AUTH PLAIN") for line in relay.said)
    assert mail.relay("smtp://us%40ours:p%2Fw@h").password == "p/w"


@pytest.mark.parametrize(
    ("refuses", "kind"),
    [
        ({"RCPT": "550 nobody"}, "SMTPRecipientsRefused"),
        ({"MAIL": "530 log in first"}, "SMTPSenderRefused"),
        ({"AUTH": "535 wrong"}, "SMTPAuthenticationError"),
        ({"DATA": "554 no"}, "SMTPDataError"),
    ],
)
async def test_what_a_mail_server_refuses_is_shown_by_its_kind(
    refuses: dict[str, str], kind: str, tmp_path: Path, clock: HandClock
) -> None:
    async with (
        listening(Relay(refuses)) as at,
        open_store(f"sqlite:///{tmp_path / 'swarm.db'}") as store,
        httpx.AsyncClient() as http,
    ):
        alerts = Alerts(store, clock, RULES, channels({"SMTP_URL": f"smtp://u:p@{at}"}, RULES, http))
        await see(alerts, DOUBT)
        assert (await only(alerts)).problems == (f"mail: {kind}",)


async def test_mail_to_nobody_is_an_alert_that_is_not_delivered(
    settings_for: Callable[..., Settings], clock: HandClock
) -> None:
    async with alerts_of(settings_for(SMTP_URL="smtp://127.0.0.1:1"), clock) as (_, alerts):
        await see(alerts, DOUBT)
        assert (await only(alerts)).problems == ("mail: nobody_to_mail",)


@pytest.mark.parametrize("url", ["relay.example", "http://relay.example", "smtp://", "smtp://h:port"])
def test_an_address_that_is_no_mail_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Fatal) as caught:
        mail.relay(url)
    assert caught.value.code == "bad_address"
    assert "relay" not in caught.value.message


def test_ports_follow_the_kind_of_address() -> None:
    found = [mail.relay(url) for url in ("smtp://h", "smtps://h", "smtp://h:2525")]
    assert [(one.port, one.tls) for one in found] == [(587, False), (465, True), (2525, False)]


async def test_another_machine_gets_no_mail_without_tls() -> None:
    relay = Relay()
    # An address that isn't known as loopback: its server offers no STARTTLS, so nothing is handed over.
    async with listening(relay, "127.0.0.2") as at:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            await mail.send(f"smtp://u:p@{at}", "a@b.example", ["c@d.example"], "s", "t")
    assert not any(line.startswith(("AUTH", "MAIL")) for line in relay.said)


def test_a_link_leads_to_the_alerts_place() -> None:
    assert link("https://wiki.example/run", "audit_exposed") == "https://wiki.example/run#alert-audit-exposed"
