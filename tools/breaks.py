"""The deliberate breaks of the safety kernel that `tools/mutants.py` makes, by file; data alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which stands once in the file, becomes `new`."""

    file: str
    what: str
    old: str
    new: str

    @property
    def name(self) -> str:
        return f"{self.file}: {self.what}"


def _of(file: str, **breaks: tuple[str, str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(file, name.replace("_", " "), *texts) for name, texts in breaks.items())


MUTANTS: tuple[Mutant, ...] = (
    *_of(
        "admission",
        a_429_blocks_nobody=("if error.status == TOO_MANY:", "if False:"),
        an_answer_closes_no_breaker=("await self._breaker.answered(name)", "pass"),
        a_failure_opens_no_breaker=("await self._breaker.failed(name, error.retry_after)", "pass"),
        a_failed_attempt_is_not_counted=(
            "if failed:\n            self._attempts.failed(",
            "if failed:\n            self._attempts.answered(",
        ),
    ),
    *_of(
        "claim",
        kill_switch_not_asked=("if safety.killed:", "if False:"),
        halts_not_asked=('("halted" if halted else "paused")', '("" if halted else "paused")'),
        pauses_not_asked=('("halted" if halted else "paused")', '("halted" if halted else "")'),
        read_only_not_asked=(
            'if safety.read_only and not halted:\n            return "read_only"',
            "if False:\n            pass",
        ),
        read_only_lets_stops_through=('return "read_only" if safety.read_only else ""', 'return ""'),
        stops_are_killed_too=("if self.stops(effect):\n            return", "if False:\n            return"),
        stop_by_its_own_word=(
            "return effect.stops and not self._approvals.needed(effect)",
            "return effect.stops",
        ),
        approvals_not_asked=(
            "unapproved = self._approvals.check(connection, effects)",
            "unapproved: dict[str, str] = {}",
        ),
        approval_not_used_up=("self._approvals.use(this.connection, effects)", "pass"),
        suppression_not_asked=(
            "unreachable = self._suppression.check(connection, list(chain.from_iterable(people)))",
            "unreachable: dict[str, str] = {}",
        ),
        least_serious_reason=('min(reasons - {""}, key', 'max(reasons - {""}, key'),
        safe_mode_is_real=("if not safety.safe_mode:\n            return True", "return True"),
        applied_is_done_again=('if row.status == "applied":', "if False:"),
        claims_of_others_not_seen=('if row.status == "claimed" and self.busy', "if False and self.busy"),
        doubt_is_sent_again=("if effect.repeatable:\n            return None", "return None"),
        no_conflict=("elif row.fingerprint != effect.fingerprint:", "elif False:"),
        own_claims_count_as_dead=("return row.key in self.under_way", "return False"),
        no_bound_on_calls=("if out >= self._rules.concurrent_calls:", "if False:"),
        one_call_too_many=(
            "if out >= self._rules.concurrent_calls:",
            "if out > self._rules.concurrent_calls:",
        ),
        leases_never_end=(
            "SELECT count(*) FROM lease WHERE until > ?",
            "SELECT count(*) FROM lease WHERE until > ? * 0",
        ),
        caps_not_asked=(
            "over = self._budgets.spend(this.connection, effects, self.stops)\n",
            "over: dict[str, str] = {}\n",
        ),
        sent_while_a_doubt_is_looked_at=(
            'if not any(d.verdict == "look" for d in this.decisions.values()):',
            "if True:",
        ),
        refusals_not_logged=(
            'this.entries.append(entry(f"effect.{status}", effect, {"reason": reason}))',
            "pass",
        ),
        claims_not_logged=('this.entries.append(entry("effect.claimed", effect, {}))', "pass"),
        refusal_overwrites_a_doubt=(
            'if row is None or row.status in {"refused", "simulated", "failed"}:\n            this.proposals',
            "if True:\n            this.proposals",
        ),
        rate_limit_not_asked=("return None if place.goes else place.at", "return None"),
    ),
    *_of(
        "gate",
        permit_twice=("if self._spent:", "if False:"),
        permit_for_ever=("if not self._flight.open:", "if False:"),
        no_question_before_a_request=(
            "await self._flight.gate.confirm(self.effect, self._flight.until)",
            "pass",
        ),
        no_question_before_the_second_write=(
            "if reason := await self._flight.gate.objection(self.effect):",
            "if False:",
        ),
        objection_ignored=(
            '        if reason:\n            raise NotSent(f"stopped',
            '        if False:\n            raise NotSent(f"stopped',
        ),
        sleeping_past_the_time=("if now > until or max(", "if max("),
        lease_not_kept=(
            "if now > until or max(now - asked, self._clock.monotonic() - since) > lease:",
            "if now > until:",
        ),
        part_done_counts_as_failed=(
            "if isinstance(error, InDoubt) or not (self.landed or self.doubted) or (believed and not self.doubted):",
            "if True:",
        ),
        lost_answer_forgotten=("flight.doubted |= isinstance(error, InDoubt)", "pass"),
        bug_while_sending_forgotten=(
            "            except BaseException:\n                flight.doubted = True\n",
            "            except BaseException:\n",
        ),
        no_deadline=("anyio.fail_after(self._rules.call_deadline_seconds)", "anyio.fail_after(None)"),
        timeout_is_a_failure=(
            'InDoubt("no answer within the deadline", code="deadline")',
            'NotSent("no answer within the deadline", code="deadline")',
        ),
        settling_can_be_cancelled=(
            "with anyio.CancelScope(shield=True):\n            try:\n                outcomes",
            "with anyio.CancelScope():\n            try:\n                outcomes",
        ),
        what_is_owed_is_forgotten=("self._owed.append(landing)", "pass"),
        conflict_is_no_error=('if ended.reason == "conflict" and ended.status == "refused":', "if False:"),
        cancelled_claim_stays=(
            'await self._land(Landing(batch, {}, NotSent("cancelled before it was sent", code="cancelled")))',
            "pass",
        ),
    ),
    *_of(
        "settlement",
        lease_kept=('run(connection, "DELETE FROM lease WHERE id=?", batch.lease)', "pass"),
        unknown_is_done=(
            "error = ended if isinstance(ended, SwarmError) else UNKNOWN",
            "error = ended if isinstance(ended, SwarmError) else Retryable('')",
        ),
        doubt_is_a_failure=("if isinstance(error, InDoubt):", "if False:"),
        budgets_not_given_back=("self._budgets.give_back(connection, unused)", "pass"),
        endings_not_logged=("entries.append(entry(kind, effect, said))", "pass"),
        living_ones_are_doubted=('left = [row for row in rows if row.status == "claimed"]', "left = []"),
    ),
    *_of(
        "ledger",
        later_word_wins=("WHERE status IN ('claimed', 'in_doubt') AND key IN", "WHERE key IN"),
        any_attempt_settles=("if attempts == wanted[key].attempt", ""),
        attempts_not_counted=('+ int(self.status == "claimed")', "+ 0"),
    ),
    *_of(
        "doubt",
        absence_believed_at_once=(
            "if receipt is None and (ahead := self._unsettled_for(row)) > 0:",
            "if (ahead := 0.0) > 0:",
        ),
        error_counts_as_absent=(
            "return await self._still_in_doubt(row)\n        except Exception",
            "receipt = None\n        except Exception",
        ),
        living_ones_are_looked_at=('if row.status == "claimed" and await', "if False and await"),
        aged_by_the_wall_clock=(
            "now = self._clock.monotonic()\n        age",
            "now = self._clock.now().timestamp()\n        age",
        ),
        attempts_share_a_doubt=("setdefault((key, attempt), now)", "setdefault((key, 0), now)"),
        given_up_when_asked_again=(
            "for key, attempt in doubtful.items():\n            self._sightings.age(key, attempt)",
            "del doubtful",
        ),
    ),
    *_of(
        "approval",
        never_expires=(
            'return "approval_expired" if given.expires_at <= iso(self._clock.now()) else ""',
            'return ""',
        ),
        lasts_an_instant_longer=("given.expires_at <= iso", "given.expires_at < iso"),
        revoked_stands=(' or given.state != "approved"', ""),
        used_by_anybody=(
            'return "" if used_by in {"", effect.key} and not strangers',
            'return "" if used_by is not None and not strangers',
        ),
        strangers_pass=('in {"", effect.key} and not strangers', 'in {"", effect.key}'),
        not_on_the_list=('used_by in {"", effect.key} and', 'used_by in {"", effect.key, None} and'),
        two_in_a_batch=("items[_item(effect)] = effect.key", "pass"),
        any_role=('if person.role not in {"ae", "operator", "admin"}:', "if False:"),
        yes_not_logged=(
            'append(connection, [Entry("approval.given", subject, payload, person.name)], now)',
            "pass",
        ),
    ),
    *_of(
        "switches",
        flag_not_seen=("if flag:\n            kills", "if False:\n            kills"),
        environment_not_seen=("said = [configured] if on else []", "said: list[str] = []"),
        database_not_seen=("if turned.is_on:\n            said", "if False:\n            said"),
        unreadable_flag_is_none=(
            "except OSError:\n                found.append(Turned(1))",
            "except OSError:\n                pass",
        ),
        release_by_nobody=(
            '_need(actor, reason)\n        self._turn(connection, "kill", False, actor, reason)',
            'self._turn(connection, "kill", False, actor, reason)',
        ),
        safe_mode_left_by_nobody=(
            '_need(actor, reason)\n        self._turn(connection, "safe_mode", False, actor, reason)',
            'self._turn(connection, "safe_mode", False, actor, reason)',
        ),
        no_flag_raised=(
            "raise_flag(flag, reason, self._clock.now())\n                raised = True",
            "raised = True",
        ),
        flag_of_a_later_kill_lowered=("if _raised(flag) in raised:", "if True:"),
        pause_that_is_over_holds=("if not p.until or p.until > now", "if True"),
        pause_that_stands_is_over=("if not p.until or p.until > now", "if not p.until"),
        pause_shortens=('max(known.until, until) if known.until and until else ""', "until"),
        halt_becomes_a_pause=('"halt" if "halt" in {known.kind, kind} else "pause"', "kind"),
        only_all_pauses=(
            'scopes = {"all", f"vendor:{vendor}", f"campaign:{campaign}", f"session:{vendor}:{session}"}',
            'scopes = {"all"}',
        ),
        sessions_not_paused=(', f"session:{vendor}:{session}"}', "}"),
        pauses_come_first=(
            'key=lambda entry: entry.kind != "halt"',
            'key=lambda entry: entry.kind == "halt"',
        ),
        turn_not_logged=(
            'append(connection, [Entry(f"switch.{name}", "on" if on else "off", {"reason": reason}, actor)], now)',
            "pass",
        ),
        second_press_is_the_first=(
            "changed if on and row.is_on else changed.values(**values)",
            "changed.values(**values)",
        ),
    ),
    *_of(
        "suppression",
        nobody_is_found=(
            'return [bytes(row["key"]) for row in among(connection, STANDING, keys)]',
            "return []",
        ),
        unreadable_passes=('refused[text] = "look_alike"\n                continue', "continue"),
        look_alikes_pass=("if address.look_alike or not (short", "if not (short"),
        what_is_no_address_passes=("not (short or is_sendable(text))", "not True"),
        no_broad_key=(
            ", BROAD + made(BROAD + broad)[:HASH_BYTES]",
            ", EXACT + made(EXACT + exact)[:HASH_BYTES]",
        ),
        no_domains=("for domain in (whole, *parents[-MOST_LABELS:]))", "for domain in ())"),
        only_the_whole_domain=("(whole, *parents[-MOST_LABELS:])", "(whole,)"),
        lifted_ones_stand=(
            "SELECT key FROM suppression WHERE lifted_at = '' AND key",
            "SELECT key FROM suppression WHERE key",
        ),
        free_mail_suppressed=("if domain in self._free_mail:", "if False:"),
        lifted_by_nobody=('NOBODY:\n            raise Invalid("lift', '():\n            raise Invalid("lift'),
        let_go_by_nobody=('NOBODY:\n            raise Invalid("lett', '():\n            raise Invalid("lett'),
        lifting_not_logged=('append(connection, [Entry("suppression.lifted"', '([Entry("suppression.lifted"'),
        unkeyed=("self._hash = KeyedHash(pepper)", 'self._hash = KeyedHash(b"")'),
        bounce_outlasts_an_opt_out=(
            "standing is None or (standing == BOUNCED != reason)",
            "standing is None",
        ),
        bounce_takes_the_place_of_an_opt_out=(
            "(standing == BOUNCED != reason)",
            "(standing != reason)",
        ),
        stopped_since_later=("THEN suppression.at ELSE", "THEN excluded.at ELSE"),
    ),
    *_of(
        "http",
        no_question_before_sending=("await permit.clear_to_send()", "pass"),
        doubt_forgotten_over_a_later_try=("if doubted and not isinstance(error, InDoubt):", "if False:"),
        writes_read_as_success=(
            "raise _lost(writing=writing)\n        text",
            "return Answer(response.status_code, {}, response.headers)\n        text",
        ),
        size_not_capped=("if size > self.vendor.file.max_answer_bytes:", "if False:"),
        any_path=("if not PATH.fullmatch(path) or DOTS.search(path):", "if False:"),
        write_called_a_read=(
            "if method not in SAFE_METHODS and (method, path) not in self._reading:",
            "if False:",
        ),
    ),
)
EQUIVALENT: dict[str, str] = {}
