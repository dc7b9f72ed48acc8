# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import pytest
from failover.shapes import Kind, LabError, RetryPolicy
from failover.systems.endpoints import join_endpoint, split_endpoint
from failover.systems.loop import (
    REASON_MOST_CHARS,
    Answer,
    Attempt,
    AttemptFailedError,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    PassOver,
    WhyPassOver,
    pass_over_nobody,
)
from failover.systems.steering import Steering

MEMBERS = ["a:1", "b:1", "c:1"]


class Clock:
    """Time that passes only while somebody sleeps or an attempt says so."""

    def __init__(self) -> None:
        self.now_s = 50.0
        self.pauses_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds


class Bench:
    """A loop on a clock of its own, and a script of what the attempts do."""

    def __init__(
        self,
        members: list[str] = MEMBERS,
        policy: FailoverPolicy | None = None,
        seed: int = 1,
        why_pass_over: WhyPassOver = pass_over_nobody,
        pass_over_s: float | None = None,
        steering: Steering | None = None,
    ) -> None:
        self.clock = Clock()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[tuple[str, float, bool]] = []
        self.loop = FailoverLoop(
            members,
            policy or FailoverPolicy(),
            lambda event, data: self.events.append((event, data)),
            seed,
            why_pass_over=why_pass_over,
            pass_over_s=pass_over_s,
            steering=steering,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def run(
        self, *script: Answer | AttemptFailedError, kind: Kind = Kind.CREATE, each_s: float = 0.0
    ) -> OperationResult:
        """Run one operation; the last step of the script is repeated for ever."""
        steps = iter(script)
        step = script[0]

        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            nonlocal step
            self.calls.append((endpoint, timeout_s, after_ambiguous))
            self.clock.now_s += min(each_s, timeout_s)
            step = next(steps, step)
            if isinstance(step, AttemptFailedError):
                raise AttemptFailedError(step.reason, ambiguous=step.ambiguous, final=step.final)
            return step

        given: Attempt = attempt
        return self.loop.run(kind, given)

    def named(self, event: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == event]


DEFINITE = AttemptFailedError("refused", ambiguous=False)
AMBIGUOUS = AttemptFailedError("no answer", ambiguous=True)
FINAL = AttemptFailedError("bad request", ambiguous=False, final=True)


def test_an_acknowledged_attempt_is_ok_and_silent() -> None:
    bench = Bench()
    assert bench.run(Answer(read="v"), kind=Kind.RETRIEVE)[:6] == ("ok", 1, "a:1", "v", None, None)
    assert bench.events == []
    assert bench.clock.pauses_s == []


def test_the_next_member_is_tried_at_once_and_kept() -> None:
    bench = Bench()
    assert bench.run(DEFINITE, Answer())[:6] == ("ok", 2, "b:1", None, None, "refused")
    assert bench.clock.pauses_s == []
    assert bench.loop.endpoint == "b:1"
    bench.run(Answer())
    assert [endpoint for endpoint, _, _ in bench.calls] == ["a:1", "b:1", "b:1"]


def test_a_pause_comes_after_each_round_only_and_grows_to_its_limit() -> None:
    bench = Bench(policy=FailoverPolicy(operation_budget_ms=2000))
    result = bench.run(DEFINITE)
    pauses = bench.clock.pauses_s
    assert result.attempts == len(bench.calls) == 3 * len(pauses)
    for pause, longest_ms in zip(pauses[:-1], [5, 10, 20, 40] + [50] * len(pauses), strict=False):
        assert longest_ms / 2000 <= pause <= longest_ms / 1000
    assert sum(pauses) == pytest.approx(2.0)


def test_the_jitter_comes_from_the_seed() -> None:
    def pauses(seed: int) -> list[float]:
        bench = Bench(seed=seed)
        bench.run(DEFINITE)
        return bench.clock.pauses_s

    assert pauses(4) == pauses(4)
    assert pauses(4) != pauses(5)


@pytest.mark.parametrize(
    ("kind", "script", "outcome"),
    [
        (Kind.CREATE, [DEFINITE], "fail"),
        (Kind.CREATE, [DEFINITE, AMBIGUOUS, DEFINITE], "unknown"),
        (Kind.DELETE, [AMBIGUOUS, DEFINITE], "unknown"),
        (Kind.RETRIEVE, [AMBIGUOUS], "fail"),
        (Kind.CREATE, [AMBIGUOUS, FINAL], "unknown"),
        (Kind.CREATE, [FINAL], "fail"),
        (Kind.DELETE, [AMBIGUOUS, DEFINITE, Answer(affected=0)], "ok"),
    ],
)
def test_the_outcome_says_no_more_than_is_known(kind: Kind, script: list[Any], outcome: str) -> None:
    assert Bench().run(*script, kind=kind, each_s=0.2).outcome == outcome


def test_an_error_of_the_request_is_not_retried_and_moves_nobody() -> None:
    bench = Bench()
    assert bench.run(FINAL)[:6] == ("fail", 1, "a:1", None, None, "bad request")
    assert bench.loop.endpoint == "a:1"
    assert [name for name, _ in bench.events] == ["client.attempt_failed"]


def test_attempts_know_their_time_and_whether_one_before_was_ambiguous() -> None:
    bench = Bench(policy=FailoverPolicy(attempt_timeout_ms=500, operation_budget_ms=1200))
    assert bench.run(DEFINITE, AMBIGUOUS, each_s=9.0).outcome == "unknown"
    assert [round(timeout_s, 6) for _, timeout_s, _ in bench.calls] == [0.5, 0.5, 0.2]
    assert [after_ambiguous for _, _, after_ambiguous in bench.calls] == [False, False, True]


def test_the_events_of_a_failover() -> None:
    bench = Bench()
    bench.run(AMBIGUOUS, DEFINITE, Answer(), each_s=0.1)
    assert [name for name, _ in bench.events] == [
        "client.attempt_failed",
        "client.failover_started",
        "client.attempt_failed",
        "client.failover_completed",
    ]
    assert bench.named("client.attempt_failed")[0] == {
        "endpoint": "a:1",
        "kind": "CREATE",
        "error": "no answer",
        "ambiguous": True,
    }
    assert bench.named("client.failover_started")[0]["from"] == "a:1"
    completed = bench.named("client.failover_completed")[0]
    assert (completed["from"], completed["to"]) == ("a:1", "c:1")
    assert completed["duration_ms"] == pytest.approx(200, abs=0.01)


def test_a_failover_that_outlives_an_operation_is_one_failover() -> None:
    bench = Bench(policy=FailoverPolicy(operation_budget_ms=300))
    bench.run(AMBIGUOUS)
    bench.run(DEFINITE, Answer())
    assert len(bench.named("client.failover_started")) == 1
    (completed,) = bench.named("client.failover_completed")
    assert completed["from"] == "a:1"
    assert completed["duration_ms"] >= 300


def test_one_member_alone_is_tried_again() -> None:
    bench = Bench(members=["a:1"])
    assert bench.run(AMBIGUOUS, DEFINITE, Answer()).attempts == 3
    assert len(bench.clock.pauses_s) == 2
    (completed,) = bench.named("client.failover_completed")
    assert completed["from"] == completed["to"] == "a:1"


def test_a_member_is_passed_over_until_a_request_can_succeed() -> None:
    asked: list[str] = []

    def why(endpoint: str) -> PassOver | None:
        asked.append(endpoint)
        return PassOver("it follows a dead leader") if len(asked) < 8 else None

    bench = Bench(why_pass_over=why)
    assert bench.run(AMBIGUOUS, Answer())[:6] == ("ok", 2, "c:1", None, None, "no answer")
    # Asked in turn, beginning after the one that failed; sent to two only.
    assert asked == ["b:1", "c:1", "a:1", "b:1", "c:1", "a:1", "b:1", "c:1"]
    assert [endpoint for endpoint, _, _ in bench.calls] == ["a:1", "c:1"]
    assert bench.named("client.member_passed_over") == [{"endpoint": "b:1", "reason": "it follows a dead leader"}]
    assert len(bench.named("client.attempt_failed")) == 1


def test_nobody_is_asked_while_all_is_well() -> None:
    def why(_endpoint: str) -> PassOver | None:
        raise AssertionError("asked")

    bench = Bench(why_pass_over=why)
    assert [bench.run(Answer()).outcome for _ in range(3)] == ["ok"] * 3


def test_members_are_not_passed_over_for_ever() -> None:
    bench = Bench(policy=FailoverPolicy(pass_over_ms=1000), why_pass_over=lambda _endpoint: PassOver("always"))
    started_s = bench.clock.now_s
    assert bench.run(AMBIGUOUS, Answer()).outcome == "ok"
    assert 1.0 < bench.clock.now_s - started_s < 1.2


def test_members_are_passed_over_for_as_long_as_it_was_said() -> None:
    bench = Bench(
        policy=FailoverPolicy(pass_over_ms=1000, operation_budget_ms=3000),
        why_pass_over=lambda _endpoint: PassOver("always"),
        pass_over_s=math.inf,
    )
    assert bench.run(AMBIGUOUS, Answer())[:2] == ("unknown", 1)
    # The next one is tried once: without an attempt nothing would be known of it.
    assert bench.run(DEFINITE, Answer())[:2] == ("fail", 1)


def test_the_member_that_was_named_comes_next() -> None:
    asked: list[str] = []

    def why(endpoint: str) -> PassOver | None:
        asked.append(endpoint)
        return PassOver("it follows d", "d:1") if endpoint != "d:1" else None

    bench = Bench(members=["a:1", "b:1", "c:1", "d:1"], why_pass_over=why)
    assert bench.run(AMBIGUOUS, Answer())[:3] == ("ok", 2, "d:1")
    assert asked == ["b:1", "d:1"]
    assert bench.loop.endpoint == "d:1"
    assert bench.clock.pauses_s == []


def test_a_member_that_others_name_is_gone_to_once_a_round() -> None:
    asked: list[str] = []

    def why(endpoint: str) -> PassOver | None:
        asked.append(endpoint)
        return PassOver("silent") if endpoint == "a:1" else PassOver("it follows a", "a:1")

    bench = Bench(why_pass_over=why)
    bench.run(AMBIGUOUS)
    # a was the one that failed, so the first round goes on to c; later ones go from the one asked first to a.
    assert asked[:2] == ["b:1", "c:1"]
    for start in range(2, 20, 3):
        assert sorted(asked[start : start + 3]) == MEMBERS
        assert asked[start + 1] == "a:1" or asked[start] == "a:1"
    assert len(bench.clock.pauses_s) > 5


def test_a_name_that_nobody_has_is_not_gone_to() -> None:
    bench = Bench(why_pass_over=lambda endpoint: PassOver("it follows x", "x:1") if endpoint == "b:1" else None)
    assert bench.run(AMBIGUOUS, Answer())[:3] == ("ok", 2, "c:1")


def test_time_spent_asking_is_not_given_to_an_attempt() -> None:
    bench = Bench(policy=FailoverPolicy(operation_budget_ms=1000, attempt_timeout_ms=400))

    def ask_slowly(_endpoint: str) -> None:
        bench.clock.now_s += 0.45

    bench.loop._why_pass_over = ask_slowly
    assert bench.run(DEFINITE).outcome == "fail"
    assert [round(timeout_s, 2) for _, timeout_s, _ in bench.calls] == [0.4, 0.4, 0.1]


def test_an_operation_that_passed_over_all_to_the_end_says_what_is_known() -> None:
    bench = Bench(policy=FailoverPolicy(operation_budget_ms=2000), why_pass_over=lambda _endpoint: PassOver("always"))
    assert bench.run(DEFINITE)[:6] == ("fail", 1, "a:1", None, None, "refused")
    assert bench.run(AMBIGUOUS).outcome == "unknown"
    assert len(bench.named("client.member_passed_over")) == 1


def test_reasons_are_one_short_line() -> None:
    reason = AttemptFailedError("two\n  lines " + "x" * 1000, ambiguous=True).reason
    assert reason.startswith("two lines x")
    assert len(reason) == REASON_MOST_CHARS


@pytest.mark.parametrize("wrong", [{"attempt_timeout_ms": 0}, {"operation_budget_ms": -1}, {"backoff_first_ms": 101}])
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LabError, match=next(iter(wrong))):
        FailoverPolicy(**wrong)


def test_a_loop_needs_members() -> None:
    with pytest.raises(LabError, match="no member"):
        Bench(members=[])


@pytest.mark.parametrize(("host", "port"), [("etcd1", 2379), ("10.0.0.1", 1), ("fd00::1", 2379)])
def test_endpoints_there_and_back(host: str, port: int) -> None:
    assert split_endpoint(join_endpoint(host, port)) == (host, port)


@pytest.mark.parametrize("wrong", ["etcd1", "", ":2379", "etcd1:x", "etcd1:99999"])
def test_what_is_no_endpoint_is_named(wrong: str) -> None:
    with pytest.raises(LabError, match="host:port"):
        split_endpoint(wrong)


def test_without_retries_there_is_one_attempt_and_the_next_operation_goes_elsewhere() -> None:
    bench = Bench(policy=FailoverPolicy(retry_policy=RetryPolicy.NONE))
    assert bench.run(AMBIGUOUS)[:3] == ("unknown", 1, "a:1")
    assert bench.run(DEFINITE)[:3] == ("fail", 1, "b:1")
    assert bench.run(AMBIGUOUS, kind=Kind.RETRIEVE)[:3] == ("fail", 1, "c:1")
    assert bench.run(Answer())[:3] == ("ok", 1, "a:1")
    assert bench.clock.pauses_s == []


def test_the_notebook_waits_and_goes_to_another_member_at_random() -> None:
    asked: list[str] = []

    def why(endpoint: str) -> PassOver | None:
        asked.append(endpoint)
        return PassOver("never asked")

    bench = Bench(policy=FailoverPolicy(retry_policy=RetryPolicy.NOTEBOOK), why_pass_over=why)
    assert bench.run(*[AMBIGUOUS] * 4, Answer()).attempts == 5
    gone_to = [endpoint for endpoint, _, _ in bench.calls]
    assert all(one != other for one, other in pairwise(gone_to))
    assert len(set(gone_to)) > 1
    assert bench.clock.pauses_s == [2.0] * 4
    assert asked == []


def test_the_notebook_gives_up_with_the_budget() -> None:
    bench = Bench(policy=FailoverPolicy(retry_policy=RetryPolicy.NOTEBOOK, operation_budget_ms=5000))
    assert bench.run(AMBIGUOUS)[:2] == ("unknown", 3)
    assert bench.clock.pauses_s == [2.0, 2.0, 1.0]


def test_who_kept_the_client_waiting_is_not_asked_again_in_each_round() -> None:
    asked: list[str] = []

    def why(endpoint: str) -> PassOver | None:
        asked.append(endpoint)
        return PassOver("it says nothing", silent=endpoint == "b:1")

    bench = Bench(why_pass_over=why, policy=FailoverPolicy(operation_budget_ms=1400))
    assert bench.run(AMBIGUOUS)[:2] == ("unknown", 1)
    assert asked.count("b:1") == 3  # at once, and after half a second each
    assert asked.count("c:1") > 10


def test_clients_that_are_sent_away_spread_and_stay_away() -> None:
    steering = Steering()
    benches = [Bench(seed=number, steering=steering) for number in range(4)]
    steering.avoid("a:1")
    for bench in benches:
        bench.run(Answer())
        bench.run(AMBIGUOUS, AMBIGUOUS, AMBIGUOUS, Answer())
    used = [[endpoint for endpoint, _, _ in bench.calls] for bench in benches]
    assert [first for first, *_ in used] == ["b:1", "c:1", "b:1", "c:1"]
    assert "a:1" not in {endpoint for endpoints in used for endpoint in endpoints}
    steering.let_go()
    benches[0].run(AMBIGUOUS, AMBIGUOUS, Answer())
    assert "a:1" in {endpoint for endpoint, _, _ in benches[0].calls}


def test_a_read_that_is_asked_for_begins_where_it_is_wanted_and_its_client_comes_back() -> None:
    steering = Steering()
    bench = Bench(steering=steering)
    steering.avoid("a:1")
    steering.ask_reads("a:1", 1)
    for kind in (Kind.WRITE, Kind.RETRIEVE, Kind.RETRIEVE):
        bench.run(Answer(), kind=kind)
    home = bench.calls[0][0]
    assert [endpoint for endpoint, _, _ in bench.calls] == [home, "a:1", home]
    assert steering.reads_left() == 0


def test_writes_count_that_began_after_the_count() -> None:
    steering = Steering()
    steering.count_writes()
    now_s = time.monotonic()
    for began_s in (now_s - 60, now_s + 60, now_s + 61):
        steering.note_write(began_s)
    assert steering.writes() == 2
    steering.let_go()
    steering.note_write(now_s + 62)
    assert steering.writes() == 2


def test_where_nobody_would_be_left_clients_go_anywhere() -> None:
    steering = Steering()
    steering.avoid("a:1")
    assert steering.allowed(["a:1"]) == ["a:1"]
    assert steering.allowed(["a:1", "b:1"]) == ["b:1"]
