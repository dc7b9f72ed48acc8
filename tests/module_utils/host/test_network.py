# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from pathlib import Path

import pytest
from failover.host.network import Network, NetworkError, discipline
from fake_tc import calls, fake_tc, slowed

MEMBER = Network(["10.0.0.2", "10.0.0.3"], ["10.0.0.9"], [7470, 22])
DELAY, RATE = {"delay_ms": 100}, {"rate_kbit": 256}


@pytest.fixture
def tc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for tc and ip; returns their folder."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return fake_tc(tmp_path, ["10.0.0.2", "10.0.0.3", "10.0.0.9"])


def test_a_delay_is_netems_and_a_rate_the_token_buckets() -> None:
    assert discipline(DELAY) == ["netem", "delay", "100ms"]
    assert discipline(RATE) == ["tbf", "rate", "256kbit", "burst", "16384", "latency", "1000ms"]


def test_netem_is_told_what_becomes_of_packets() -> None:
    options = {"delay_ms": 50, "jitter_ms": 20, "loss": 1.5, "duplicate": 2, "reorder": 25}
    words = "netem delay 50ms 20ms loss 1.5% duplicate 2% reorder 25%"
    assert discipline(options) == words.split()
    assert discipline({"loss": 30}) == ["netem", "loss", "30%"]


@pytest.mark.parametrize(("options", "kind"), [(DELAY, "netem delay 100ms"), (RATE, "tbf rate 256kbit")])
def test_it_is_set_where_the_peers_are_and_taken_away(tc: Path, options: dict[str, float], kind: str) -> None:
    said = MEMBER.slow(options)
    assert said.startswith(f"eth7: qdisc {kind.split()[0]} 7470: root ")
    assert kind.partition(" ")[2] in said
    # All of the interface: there is no class, and nothing is chosen.
    assert calls(tc, "class") == calls(tc, "filter") == []
    MEMBER.hasten()
    assert slowed(tc) == {}
    # A second time there is nothing to take away, and the interface's own discipline stays.
    MEMBER.hasten()
    assert (tc / "calls").read_text().count("qdisc del dev eth7") == 1


@pytest.mark.parametrize(("options", "kind"), [(DELAY, "netem delay 100ms"), (RATE, "tbf rate 256kbit")])
def test_it_is_to_some_only_and_to_the_others_as_before(tc: Path, options: dict[str, float], kind: str) -> None:
    name, _, words = kind.partition(" ")
    said = MEMBER.slow(options, ["10.0.0.3", "10.0.0.9"])
    assert said.startswith(f"eth7: qdisc {name} 8001: parent 7470:1 {words}")
    assert said.endswith(", to 10.0.0.3, 10.0.0.9")
    root, below = calls(tc, "qdisc")[1:3]
    # What no filter leads to the class is in no class: there is no default one.
    assert root == "qdisc add dev eth7 root handle 7470: htb direct_qlen 1000"
    assert below.startswith(f"qdisc add dev eth7 parent 7470:1 {kind}")
    filters = [call.removeprefix("filter add dev eth7 parent 7470: protocol ip ") for call in calls(tc, "filter")[:-1]]
    # Before all others the ports of agent and sshd, which lead to no class.
    assert filters == [
        "prio 1 u32 match ip protocol 6 0xff match ip sport 7470 0xffff flowid 7470:0",
        "prio 1 u32 match ip protocol 6 0xff match ip sport 22 0xffff flowid 7470:0",
        "prio 2 u32 match ip dst 10.0.0.3/32 flowid 7470:1",
        "prio 2 u32 match ip dst 10.0.0.9/32 flowid 7470:1",
    ]
    # Who takes it away need not know to whom it was, nor have set it.
    Network([], []).hasten()
    assert slowed(tc) == {}


def test_it_is_set_on_each_interface_that_leads_to_some(tc: Path) -> None:
    routes = (tc / "routes").read_text()
    (tc / "routes").write_text(routes.replace("10.0.0.9 dev eth7", "10.0.0.9 via 10.0.0.254 dev eth8"))
    said = MEMBER.slow(RATE, ["10.0.0.2", "10.0.0.9"])
    assert [part.partition(":")[0] for part in said.split("; ")] == ["eth7", "eth8"]
    assert [part.rpartition(" to ")[2] for part in said.split("; ")] == ["10.0.0.2", "10.0.0.9"]
    MEMBER.hasten()
    assert slowed(tc) == {}


def test_what_was_left_behind_is_taken_away_first(tc: Path) -> None:
    MEMBER.slow(DELAY)
    assert "parent 7470:1 rate" in MEMBER.slow(RATE, ["10.0.0.2"])
    assert "qdisc netem 7470: root" in MEMBER.slow(DELAY)


def test_what_the_kernel_can_is_tried_on_loopback_and_leaves_nothing(tc: Path) -> None:
    assert MEMBER.problem(DELAY) is None
    assert slowed(tc) == {}
    assert calls(tc, "eth7") == ["qdisc show dev eth7 root"]


def test_what_would_be_done_is_what_is_tried(tc: Path) -> None:
    to = ["10.0.0.2", "10.0.0.9"]
    assert MEMBER.problem(RATE, to) is None
    assert slowed(tc) == {}
    tried = [call for call in calls(tc, "lo") if "del" not in call]
    (tc / "calls").unlink()
    MEMBER.slow(RATE, to)
    done = [call for call in calls(tc, "eth7") if "show" not in call.split()]
    assert [call.replace("dev lo", "dev eth7") for call in tried] == done
    assert len(done) == 7


def test_a_discipline_that_was_chosen_for_an_interface_is_left_alone(tc: Path) -> None:
    chosen = {"eth7": {"root": "htb 1: root refcnt 2 r2q 10"}}
    (tc / "kept").write_text(json.dumps(chosen))
    wrong = "eth7 has a configured queueing discipline (htb 1:), which the fault would replace"
    assert MEMBER.problem(DELAY) == wrong
    assert MEMBER.problem(DELAY, ["10.0.0.9"]) == wrong
    MEMBER.hasten()
    assert slowed(tc) == chosen


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Error: Specified qdisc kind is unknown.", "the kernel has no sch_netem"),
        ("Error: Specified qdisc not found.", "the kernel has no sch_netem"),
        ("RTNETLINK answers: Operation not permitted", "tc says: RTNETLINK answers: Operation not permitted"),
    ],
)
def test_a_kernel_that_cannot_is_said(tc: Path, text: str, problem: str | None) -> None:
    (tc / "fail").write_text(f"netem\n{text}")
    assert MEMBER.problem(DELAY) == problem


@pytest.mark.parametrize(
    ("word", "text", "problem"),
    [
        ("htb", "Error: Specified qdisc kind is unknown.", "the kernel has no sch_htb"),
        ("tbf", "Error: Specified qdisc kind is unknown.", "the kernel has no sch_tbf"),
        (
            "u32",
            "Error: TC classifier not found.\nWe have an error talking to the kernel",
            "the kernel has no cls_u32",
        ),
        ("class", "Error: No.", "tc says: Error: No."),
    ],
)
def test_a_kernel_that_cannot_choose_is_said_and_has_nothing_left(tc: Path, word: str, text: str, problem: str) -> None:
    (tc / "fail").write_text(f"{word}\n{text}")
    assert MEMBER.problem(RATE, ["10.0.0.2"]) == problem
    assert slowed(tc) == {}


@pytest.mark.parametrize("said", ["Error: Exclusivity: File exists", "Error: Exclusivity flag on, cannot modify."])
def test_a_loopback_that_has_one_already_is_no_reason(tc: Path, said: str) -> None:
    (tc / "fail").write_text(f"lo\n{said}")
    assert MEMBER.problem(DELAY) is None
    assert MEMBER.problem(DELAY, ["10.0.0.2"]) is None
    assert calls(tc, "del") == []


def test_what_did_not_take_effect_is_no_fault(tc: Path) -> None:
    (tc / "tc").write_text('#!/bin/sh\necho "qdisc noqueue 0: root"\n')
    for to in (None, ["10.0.0.2"]):
        with pytest.raises(NetworkError, match="tc did not set it on eth7: qdisc noqueue 0: root"):
            MEMBER.slow(DELAY, to)


def test_filters_that_lead_elsewhere_are_no_fault(tc: Path) -> None:
    text = (tc / "tc").read_text()
    (tc / "tc").write_text(text.replace('"  match {number}', '"  match 0a000003'.replace("{", "{{")))
    with pytest.raises(NetworkError, match=r"tc did not set it on eth7: its filters lead to 10\.0\.0\.3"):
        MEMBER.slow(DELAY, ["10.0.0.2"])


def test_each_address_is_known_and_there_once() -> None:
    named = {"etcd2": "10.0.0.2", "etcd3": "10.0.0.3"}
    assert MEMBER.addresses(["peers"], {}) == ["10.0.0.2", "10.0.0.3"]
    assert MEMBER.addresses(["clients"], {}) == ["10.0.0.9"]
    assert MEMBER.addresses(["etcd3"], named) == ["10.0.0.3"]
    assert MEMBER.addresses(["clients", "etcd3", "peers"], named) == ["10.0.0.9", "10.0.0.3", "10.0.0.2"]
    with pytest.raises(NetworkError, match="no address of etcd4 is known"):
        MEMBER.addresses(["etcd4"], named)
    with pytest.raises(NetworkError, match="no address of clients is known"):
        Network(["10.0.0.2"]).addresses(["clients"], named)


def test_missing_programs_and_routes_are_named(tc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match="no interface leads to anybody"):
        Network([]).slow(DELAY)
    (tc / "ip").write_text("#!/bin/sh\necho unreachable\n")
    with pytest.raises(NetworkError, match=r"no interface leads to 10\.0\.0\.2"):
        MEMBER.slow(DELAY)
    (tc / "ip").write_text("#!/bin/sh\necho 'RTNETLINK answers: Network is unreachable' >&2\nexit 1\n")
    assert MEMBER.problem(DELAY, ["10.0.0.9"]) == "ip says: RTNETLINK answers: Network is unreachable"
    monkeypatch.setenv("PATH", str(tc / "nothing"))
    assert MEMBER.problem(DELAY) == "tc is not on this host (package iproute2)"
