"""The tables of the kernel and of the people who log in; `pipeline_schema.py` has the pipeline's.

One file, one transaction: a claim and its audit leaf commit together or not at all. Times are ISO 8601 text in
UTC, except in the limiter, which computes with seconds since 1970. Columns named `detail`, `content` and `data`
hold JSON; those that hold a person's data can be erased without breaking a proof. `migrations/` holds the history
that leads here.
"""

import sqlalchemy as sa

metadata = sa.MetaData()
T = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by bytes, as SQLite does
F, B = sa.Float, sa.LargeBinary
N = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows in an INTEGER only


def text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, T, nullable=False, server_default=default)


# ── the kernel ───────────────────────────────────────────────────────────────────────────────────────────
process = sa.Table(
    "process",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("host"),
    sa.Column("pid", N, nullable=False),
    text("role"),
    text("started_at"),
    text("seen_at"),
)
switch = sa.Table(
    "switch",
    metadata,
    sa.Column("name", T, primary_key=True),  # kill, safe_mode
    sa.Column("is_on", N, nullable=False),
    text("reason"),
    text("actor"),
    text("at"),
    sa.Column("epoch", N, nullable=False, server_default="0"),  # counts changes
)
pause = sa.Table(
    "pause",
    metadata,
    sa.Column("scope", T, primary_key=True),  # all, vendor:ghl, campaign:42
    text("kind", "pause"),  # pause, or halt: sticky until a named person clears it
    text("reason"),
    text("actor"),
    text("at"),
    text("until"),
)
halt = sa.Table(
    "halt",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    *map(text, ("rule", "scope", "action", "at")),
    text("numbers", "{}"),  # what was judged
    *map(text, ("cleared_at", "cleared_by")),
)
sa.Index("halt_open", halt.c.cleared_at)
# What lets something go on takes two admins: what the first one asked for.
relaxation = sa.Table(
    "relaxation",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    text("what"),  # kill, safe_mode, halt
    text("scope"),  # of a halt
    sa.Column("epoch", N, nullable=False, server_default="0"),  # of the switch, or
    text("stood_at"),  # since when the halt stands: what was looked at is still what stands
    text("state", "asked"),  # asked, granted, lapsed, alone
    *map(text, ("actor", "reason", "at", "expires_at")),
)
sa.Index("relaxation_open", relaxation.c.state)
suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("key", sa.LargeBinary(17), primary_key=True),  # kind byte and 16 bytes of keyed hash
    text("reason"),
    text("source"),
    text("actor"),
    text("at"),
    text("lifted_at"),
    text("lifted_by"),
    sqlite_with_rowid=False,
)
held = sa.Table(  # who may have opted out, until a person has read what they wrote; keys as in the list
    "held",
    metadata,
    sa.Column("key", sa.LargeBinary(17), primary_key=True),
    text("at"),
)
opt_out = sa.Table(  # who of a company opted out lately; keys as in the list
    "opt_out",
    metadata,
    sa.Column("domain", sa.LargeBinary(17), primary_key=True),
    sa.Column("person", sa.LargeBinary(17), primary_key=True),
    text("at"),
)
sa.Index("opt_out_at", opt_out.c.at)
approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("subject"),
    text("fingerprint"),
    text("state", "approved"),  # approved, revoked
    text("actor"),
    text("role"),
    text("note"),
    text("at"),
    text("expires_at"),
)
approval_item = sa.Table(
    "approval_item",
    metadata,
    sa.Column("approval_id", T, sa.ForeignKey("approval.id"), primary_key=True),
    sa.Column("action", T, primary_key=True),
    sa.Column("fingerprint", T, primary_key=True),
    text("used_by"),  # key of the effect that used it
)
effect = sa.Table(
    "effect",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    sa.Column("key", T, nullable=False, unique=True),
    text("vendor"),
    text("action"),
    text("status"),
    text("fingerprint"),
    text("reason"),
    text("message"),
    text("reference"),
    text("detail", "{}"),
    text("target"),
    text("intent"),
    text("content", "{}"),
    text("recipients", "[]"),
    text("campaign"),
    text("approval"),
    sa.Column("repeatable", N, nullable=False, server_default="0"),
    sa.Column("stops", N, nullable=False, server_default="0"),
    sa.Column("cost", N, nullable=False, server_default="0"),
    sa.Column("attempts", N, nullable=False, server_default="0"),
    text("process"),
    text("correlation_id"),
    text("first_at"),
    text("claimed_at"),
    text("settled_at"),
)
sa.Index("effect_open", effect.c.status, effect.c.vendor)
sa.Index("effect_campaign", effect.c.campaign)
sa.Index("effect_target", effect.c.target)
sa.Index("effect_settled", effect.c.settled_at)
sa.Index("effect_correlation", effect.c.correlation_id)
# Where something of ours may exist because it was really done there: in safe mode, what stops it is still done.
reached = sa.Table(
    "reached",
    metadata,
    sa.Column("vendor", T, primary_key=True),
    sa.Column("base_url", T, primary_key=True),
    text("at"),
)
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("process"),
    text("what"),
    sa.Column("until", F, nullable=False),
)
rate = sa.Table(
    "rate",
    metadata,
    sa.Column("bucket", T, primary_key=True),
    sa.Column("seq", N, nullable=False),
    sa.Column("last", F, nullable=False),
    sa.Column("blocked_until", F, nullable=False),
    sa.Column("share", F, nullable=False, server_default="1"),  # of the rate, right after the last 429
    sa.Column("share_at", F, nullable=False, server_default="0"),
    sa.Column("announced", N, nullable=False, server_default="0"),  # calls that the vendor said there are
    sa.Column("announced_until", F, nullable=False, server_default="0"),
)
rate_slot = sa.Table(
    "rate_slot",
    metadata,
    sa.Column("bucket", T, primary_key=True),
    sa.Column("slot", N, primary_key=True),
    sa.Column("at", F, nullable=False),
    sqlite_with_rowid=False,
)
traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("vendor", T, primary_key=True),
    sa.Column(
        "slot", N, primary_key=True, autoincrement=False
    ),  # seconds since 1970 / 10; -1: all that is older
    sa.Column("calls", N, nullable=False),
    sa.Column("retries", N, nullable=False),
    sa.Column("failures", N, nullable=False),
    sa.Column("waited", F, nullable=False),  # seconds for their turn, all together
)
breaker = sa.Table(
    "breaker",
    metadata,
    sa.Column("vendor", T, primary_key=True),
    text("state", "closed"),  # closed, open, half_open
    sa.Column("until", F, nullable=False),
    sa.Column("probes", N, nullable=False),
    sa.Column("changed_at", F, nullable=False),
    sa.Column("opened_at", F, nullable=False),  # since when it hasn't been closed; 0 while it is
)
vendor_clock = sa.Table(
    "vendor_clock",
    metadata,
    sa.Column("vendor", T, primary_key=True),
    sa.Column("seconds", F, nullable=False),  # that it is ahead of ours
    text("at"),
)
spend = sa.Table(
    "spend",
    metadata,
    sa.Column("name", T, primary_key=True),
    sa.Column("day", T, primary_key=True),
    sa.Column("amount", N, nullable=False),
)
audit_leaf = sa.Table(
    "audit_leaf",
    metadata,
    sa.Column("seq", N, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
    text("data"),
)
audit_detail = sa.Table(
    "audit_detail",
    metadata,
    sa.Column("seq", N, primary_key=True, autoincrement=False),
    sa.Column("salt", sa.LargeBinary(16), nullable=False),
    text("subject"),
    text("payload", "{}"),
)
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=False),
    sa.Column("size", N, nullable=False),
    sa.Column("frontier", B, nullable=False),
)
audit_checkpoint = sa.Table(
    "audit_checkpoint",
    metadata,
    sa.Column("size", N, primary_key=True, autoincrement=False),
    text("note"),
    text("at"),
    text("why"),
    sa.Column("frontier", B, nullable=True),  # of the tree at that size: a proof from there begins with it
)
audit_place = sa.Table(
    "audit_place",
    metadata,
    sa.Column("name", T, primary_key=True),  # of a file, a witness or a channel
    sa.Column("outside", N, nullable=False, server_default="0"),
    sa.Column("size", N, nullable=False, server_default="0"),  # of the newest checkpoint it took
    *map(text, ("at", "note", "problem", "tried_at")),
)
audit_beginning = sa.Table(
    "audit_beginning",
    metadata,
    sa.Column("number", N, primary_key=True, autoincrement=False),  # 2 for the first restored copy
    sa.Column("size", N, nullable=False),  # how many entries were kept
    *map(text, ("held", "actor", "reason", "at", "finished_at")),
)
inbound = sa.Table(
    "inbound",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    text("vendor"),
    text("event_id"),
    sa.Column("raw", B, nullable=False),
    text("received_at"),
    text("state", "new"),  # new, done, failed
    sa.Column("attempts", N, nullable=False, server_default="0"),
    text("error"),
    text("correlation_id"),
    sa.UniqueConstraint("vendor", "event_id", name="inbound_once"),
)
sa.Index("inbound_new", inbound.c.state, inbound.c.id)
vault = sa.Table(
    "vault",
    metadata,
    sa.Column("name", T, primary_key=True),  # of the vendor account
    sa.Column("sealed", B, nullable=False),  # nonce and ciphertext
    sa.Column("version", N, nullable=False, server_default="0"),
    text("holder"),  # who is renewing it
    sa.Column("until", F, nullable=False, server_default="0"),
    text("lost"),  # why only a person can renew it
    text("at"),
)
alert = sa.Table(
    "alert",
    metadata,
    sa.Column("id", T, primary_key=True),  # of name and scope
    *map(text, ("name", "scope", "severity", "text", "raised_at", "last_sent_at", "cleared_at")),
    *(text(name, "{}") for name in ("numbers", "deliveries")),
)

# ── people who log in ────────────────────────────────────────────────────────────────────────────────────
account = sa.Table(
    "account",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("email", T, nullable=False, unique=True),
    text("name"),
    text("role"),  # viewer, ae, operator, admin
    text("password"),  # argon2id
    text("created_at"),
    sa.Column("disabled", N, nullable=False, server_default="0"),
    sa.Column("failures", N, nullable=False, server_default="0"),
    text("locked_until"),
)
login_link = sa.Table(
    "login_link",
    metadata,
    sa.Column("token", T, primary_key=True),  # SHA-256 of the token
    *map(text, ("role", "email", "name", "expires_at", "used_at")),  # e-mail empty: the first admin's
)
session = sa.Table(
    "session",
    metadata,
    sa.Column("token", T, primary_key=True),  # SHA-256 of the cookie
    sa.Column("account_id", T, sa.ForeignKey("account.id"), nullable=False),
    *map(text, ("csrf", "created_at", "seen_at", "confirmed_at")),
)
