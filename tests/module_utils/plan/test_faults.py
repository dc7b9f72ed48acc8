# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from failover.actions.registry import ACTIONS
from failover.fault_names import FaultId
from failover.plan.faults import read_plan, resolve, resolve_plan, resolve_repeats
from failover.shapes import FaultSpec, LabError

MEMBERS = ["etcd1", "etcd2", "etcd3"]


# ---------------------------------------------------------------- data


@pytest.mark.parametrize(
    ("at", "index"),
    [
        (0, 0),
        (11_973, 11_973),
        ("12%", 12_000),
        (" 12 % ", 12_000),
        ("12.5%", 12_500),
        ("0%", 0),
        ("99.999%", 99_999),
        ("17", 17),
        (99_999, 99_999),
    ],
)
def test_a_fault_is_placed_in_its_stream(at: Any, index: int) -> None:
    spec = resolve({"action": "stop", "target": "leader", "at": at}, 100_000, MEMBERS)
    assert spec == FaultSpec("F1", "stop", "leader", index, "end")


def test_a_percentage_is_rounded_down() -> None:
    assert resolve({"action": "kill", "target": "etcd3", "at": "12%"}, 99, MEMBERS, 2) == FaultSpec(
        "F3", "kill", "etcd3", 11, "end"
    )


def test_a_plan_keeps_the_order_of_the_data() -> None:
    plan = resolve_plan(
        [
            {"action": "kill", "target": "follower", "at": 50, "heal": "end"},
            {"action": "stop", "target": "leader", "at": 10},
        ],
        100,
        MEMBERS,
    )
    assert [(spec.id, spec.at_index) for spec in plan] == [("F1", 50), ("F2", 10)]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"action": "melt"}, f"Fault 1 has the unknown action 'melt'. Known are {', '.join(ACTIONS)}."),
        ({"write_iops": 5}, "Fault 1: write_iops belongs to the action slow_disk, and this is a stop."),
        (
            {"action": "slow_disk", "write_iops": 0},
            "Fault 1: write_iops is 0, and has to be a whole number from 1 to 1,000,000.",
        ),
        (
            {"action": "slow_network", "delay_ms": "1s"},
            "Fault 1: delay_ms is '1s', and has to be a whole number from 1 to 5,000.",
        ),
        (
            {"action": "slow_network", "delay_ms": 5, "rate_kbit": 500},
            "Fault 1 has both delay_ms and rate_kbit. Give one of them.",
        ),
        (
            {"action": "slow_network", "loss": "5%", "rate_kbit": 500},
            "Fault 1 has both loss and rate_kbit. Give one of them.",
        ),
        (
            {"action": "slow_network", "delay_ms": 5, "jitter_ms": 6},
            "Fault 1 has a jitter_ms larger than its delay_ms: nothing comes before it is sent.",
        ),
        (
            {"action": "clock_skew", "jump_ms": 5, "drift_ppm": 5},
            "Fault 1 has both jump_ms and drift_ppm. Give one of them.",
        ),
        ({"action": "clock_skew", "jump_ms": 0}, "Fault 1: jump_ms is 0, and the clock would stay right."),
        (
            {"action": "power_loss", "keep": 50},
            "Fault 1: keep is 50, and has to be a share like 50%, of more than 0 %.",
        ),
        ({"action": "power_loss", "keep": "101%"}, "Fault 1: keep is '101%', and has to be a share like 50%"),
        ({"action": "power_loss", "keep": "0%"}, "Fault 1: keep is '0%', and has to be a share like 50%"),
        ({"action": "power_loss", "drive_cache": True}, "Fault 1: drive_cache is True, and has to be honest or lying."),
        ({"action": "power_loss", "drive_cache": "lying", "keep": "5%"}, "Fault 1 has a keep and a drive_cache: what"),
        ({"action": "power_loss", "keep_seed": 3}, "Fault 1 has a keep_seed, and keeps nothing. Give keep as well"),
        ({"keep": "50%"}, "Fault 1: keep belongs to the action power_loss, and this is a stop."),
        (
            {"target": "master"},
            "Fault 1 has the unknown target 'master'. Known are leader, follower, majority, all, etcd1, etcd2, etcd3.",
        ),
        ({"heal": "never"}, "Fault 1 has the unknown heal 'never'. Known are end, an operation index or a share"),
        ({"heal": 1000}, "Fault 1 has the unknown heal 1000."),
        ({"heal": "0s"}, "Fault 1 heals after 0s: give a time above 0, like 500ms."),
        ({"heal": 12}, "Fault 1 strikes at operation 12 and heals at 12, which is not after it. Try a later heal"),
        ({"heal": "1%"}, "Fault 1 strikes at operation 12 and heals at 10, which is not after it."),
        ({"action": "restart", "heal": "2s"}, "Fault 1: a restart comes back by itself, and heal is '2s'."),
        ({"from": "peers"}, "Fault 1: from belongs to the action partition, and this is a stop."),
        ({"action": "partition", "from": "all"}, "Fault 1 has the unknown from 'all'. Known are peers, clients, both."),
        (
            {"action": "partition", "direction": "up"},
            "Fault 1 has the unknown direction 'up'. Known are both, in, out.",
        ),
        (
            {"when": 3},
            "Fault 1 has the unknown key when. Known are action, target, at, heal, keep_majority, from, direction, "
            "write_iops, delay_ms, rate_kbit, jitter_ms, loss, duplicate, reorder, to, keep, keep_seed, drive_cache, "
            "steps, jump_ms, drift_ppm.",
        ),
        (
            {"at": 1000},
            "Fault 1 strikes at 1000, beyond the stream: its 1,000 operations have the indexes 0 to 999. "
            "Try an earlier one, or more iterations.",
        ),
        ({"at": "100%"}, "Fault 1 strikes at 100%, beyond the stream"),
        ({"at": -1}, "Fault 1 strikes at -1: give an operation index from 0 on, or a percentage like 12%."),
        ({"at": "-3%"}, "Fault 1 strikes at '-3%': give"),
        ({"at": 0.12}, "Fault 1 strikes at 0.12: give"),
        ({"at": True}, "Fault 1 strikes at True: give"),
        ({"at": "noon"}, "Fault 1 strikes at 'noon': give"),
        ({"at": None}, "Fault 1 strikes at None: give"),
    ],
)
def test_a_fault_that_is_wrong_is_named(fault: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError) as raised:
        resolve({"action": "stop", "target": "leader", "at": 12, **fault}, 1000, MEMBERS)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(LabError, match=r"Fault 2 lacks target, at\. Write it like"):
        resolve({"action": "stop"}, 1000, MEMBERS, 1)
    with pytest.raises(LabError, match="Fault 1 is 'stop': it must have the keys action, target, at, heal"):
        resolve("stop", 1000, MEMBERS)  # type: ignore[arg-type]


def test_a_single_server_has_no_follower() -> None:
    with pytest.raises(LabError, match="Fault 1 targets a follower, and a system of one member has none"):
        resolve({"action": "stop", "target": "follower", "at": 0}, 10, ["mysql1"])


@pytest.mark.parametrize(
    ("heal", "kind", "index", "after_ms"),
    [
        ("end", "end", None, None),
        (600, "index", 600, None),
        ("60%", "index", 600, None),
        ("500ms", "delay", None, 500.0),
        ("2.5 s", "delay", None, 2500.0),
    ],
)
def test_a_heal_has_its_place(heal: Any, kind: str, index: int | None, after_ms: float | None) -> None:
    spec = resolve({"action": "stop", "target": "leader", "at": 12, "heal": heal}, 1000, MEMBERS)
    assert (spec.heal, spec.heal_index, spec.heal_after_ms) == (kind, index, after_ms)


def test_options_of_disk_and_network_have_their_defaults() -> None:
    def options(**fault: Any) -> dict[str, float]:
        return resolve({"target": "leader", "at": 12, **fault}, 1000, MEMBERS).options

    assert options(action="slow_disk") == {"write_iops": 20}
    assert options(action="slow_disk", write_iops=5) == {"write_iops": 5}
    assert options(action="slow_network") == {"delay_ms": 100}
    assert options(action="slow_network", rate_kbit=256) == {"rate_kbit": 256}
    assert options(action="slow_network", loss="2.5%") == {"loss": 2.5}
    assert options(action="slow_network", reorder="25%") == {"delay_ms": 100, "reorder": 25}
    assert options(action="clock_skew") == {"jump_ms": 5_000}
    assert options(action="clock_skew", drift_ppm=-200) == {"drift_ppm": -200}
    assert options(action="power_loss", keep="50%") == {"keep": 50.0, "keep_seed": 1}
    assert options(action="power_loss", keep="12.5%", keep_seed=9) == {"keep": 12.5, "keep_seed": 9}
    assert options(action="power_loss", drive_cache="honest") == {"drive_cache": 1}
    assert options(action="power_loss", drive_cache="lying") == {"drive_cache": 2}
    assert options(action="kill") == options(action="disk_full") == options(action="power_loss") == {}


@pytest.mark.parametrize(
    ("target", "to", "left"),
    [
        ("leader", "peers", ["peers"]),
        ("leader", "clients", ["clients"]),
        ("leader", "etcd2", ["etcd2"]),
        # As the system has them, each once.
        ("follower", ["etcd3", "clients", "etcd1", "etcd3"], ["clients", "etcd1", "etcd3"]),
        # Who is struck is known here, and has no way to itself.
        ("etcd1", ["etcd1", "etcd3"], ["etcd3"]),
        ("all", ["etcd1", "etcd3"], ["etcd1", "etcd3"]),
        ("leader", None, []),
    ],
)
def test_a_slow_network_may_be_slow_to_some(target: str, to: Any, left: list[str]) -> None:
    specs = resolve_plan([{"action": "slow_network", "target": target, "at": 12, "to": to}], 1000, MEMBERS)
    assert [spec.to for spec in specs] == [left] * len(specs)
    assert [spec.options for spec in specs] == [{"delay_ms": 100}] * len(specs)


@pytest.mark.parametrize(
    ("fault", "members", "message"),
    [
        ({"to": []}, MEMBERS, "Fault 1: to is [], and has to be peers, clients, or names of members."),
        ({"to": 5}, MEMBERS, "Fault 1: to is 5, and has to be"),
        ({"to": [["etcd1"]]}, MEMBERS, "Fault 1: to is [['etcd1']], and has to be"),
        (
            {"to": ["etcd1", "etcd9"]},
            MEMBERS,
            "Fault 1 has the unknown to 'etcd9'. Known are peers, clients, etcd1, etcd2, etcd3.",
        ),
        ({"to": "everybody"}, MEMBERS, "Fault 1 has the unknown to 'everybody'."),
        (
            {"target": "etcd2", "to": ["etcd2", "etcd2"]},
            MEMBERS,
            "Fault 1 is slow from etcd2 to itself, where no packet goes. Name others in to.",
        ),
        ({"target": "all", "to": "etcd3"}, MEMBERS, "Fault 1 is slow from etcd3 to itself, where no packet goes."),
        ({"to": "mysql1"}, ["mysql1"], "Fault 1 is slow from mysql1 to itself, where no packet goes."),
        (
            {"to": ["clients", "peers"]},
            ["mysql1"],
            "Fault 1 is slow to peers, and a system of one member has none. Try to: clients.",
        ),
        ({"action": "partition", "to": "peers"}, MEMBERS, "Fault 1: to belongs to the action slow_network, and this"),
    ],
)
def test_to_whom_no_packet_goes_is_refused(fault: dict[str, Any], members: list[str], message: str) -> None:
    with pytest.raises(LabError) as refused:
        resolve({"action": "slow_network", "target": "leader", "at": 12, **fault}, 1000, members)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_a_partition_says_from_whom_and_which_way() -> None:
    spec = resolve({"action": "partition", "target": "leader", "at": 12}, 1000, MEMBERS)
    assert (spec.isolate, spec.direction) == ("both", "both")
    given = {"action": "partition", "target": "leader", "at": 12, "from": "peers", "direction": "in"}
    spec = resolve(given, 1000, MEMBERS)
    assert (spec.isolate, spec.direction) == ("peers", "in")
    with pytest.raises(LabError, match=r"a system of one member has none\. Try from: clients"):
        resolve(given, 1000, ["mysql1"])


def test_a_fault_of_several_members_is_one_for_each() -> None:
    fault = {"action": "kill", "at": 12, "heal": "2s"}
    everybody = resolve_plan([{**fault, "target": "all"}], 1000, MEMBERS)
    assert [(spec.id, spec.target) for spec in everybody] == [("F1.1", "etcd1"), ("F1.2", "etcd2"), ("F1.3", "etcd3")]
    assert {spec.heal_after_ms for spec in everybody} == {2000.0}
    five = [*MEMBERS, "etcd4", "etcd5"]
    most = resolve_plan([{**fault, "target": "leader"}, {**fault, "target": "majority"}], 1000, five)
    assert [(spec.id, spec.target) for spec in most] == [
        ("F1", "leader"),
        ("F2.1", "leader"),
        ("F2.2", "follower"),
        ("F2.3", "follower 2"),
    ]
    with pytest.raises(LabError, match="targets a majority, and a system of one member has none"):
        resolve_plan([{**fault, "target": "majority"}], 1000, ["mysql1"])


# ---------------------------------------------------------------- repeats


STOP = {"action": "stop", "target": "leader", "at": "12%"}


def test_each_repeat_strikes_at_the_same_share_of_its_slice() -> None:
    fault = {**STOP, "heal": "40%"}
    plan = resolve_repeats(lambda _repeat: [fault], 1000, MEMBERS, 4)
    assert [(spec.id, spec.repeat, spec.at_index, spec.heal_index) for spec in plan] == [
        ("F1@1", 1, 30, 100),
        ("F1@2", 2, 280, 350),
        ("F1@3", 3, 530, 600),
        ("F1@4", 4, 780, 850),
    ]
    assert resolve_repeats(lambda _repeat: [fault], 1000, MEMBERS, 1) == resolve_plan([fault], 1000, MEMBERS)


def test_each_repeat_may_have_faults_of_its_own() -> None:
    plan = resolve_repeats(lambda repeat: [{**STOP, "action": "pause"}] * repeat, 900, MEMBERS, 3)
    assert [spec.id for spec in plan] == ["F1@1", "F1@2", "F2@2", "F1@3", "F2@3", "F3@3"]


def test_a_fault_on_several_members_keeps_its_parts_in_each_repeat() -> None:
    plan = resolve_repeats(lambda _repeat: [{**STOP, "action": "pause", "target": "majority"}], 400, MEMBERS, 2)
    assert [spec.id for spec in plan] == ["F1.1@1", "F1.2@1", "F1.1@2", "F1.2@2"]
    assert {FaultId.parse(spec.id).in_data for spec in plan} == {"F1"}


@pytest.mark.parametrize("action", ["stop", "kill", "poweroff", "disk_full", "power_loss"])
@pytest.mark.parametrize(("target", "count"), [("majority", 2), ("all", 3)])
def test_what_leaves_no_quorum_is_repeated_like_any_other(action: str, target: str, count: int) -> None:
    plan = resolve_repeats(lambda _repeat: [{**STOP, "action": action, "target": target}], 1000, MEMBERS, 2)
    assert [(spec.id, spec.at_index) for spec in plan] == [
        (f"F1.{part}@{repeat}", 500 * (repeat - 1) + 60) for repeat in (1, 2) for part in range(1, count + 1)
    ]


def test_a_plan_comes_back_from_data() -> None:
    plan = resolve_repeats(lambda _repeat: [STOP], 1000, MEMBERS, 2)
    assert read_plan([asdict(spec) for spec in plan], 1000) == plan
    for wrong in ({}, {"id": "F1"}, asdict(plan[0]) | {"at_index": 1000}, asdict(plan[0]) | {"action": "burn"}):
        with pytest.raises(LabError, match=r"^Fault 2 is .* does not fit a plan for 1,000 operations"):
            read_plan([asdict(plan[0]), wrong], 1000)


# ---------------------------------------------------------------- a majority is kept


@pytest.mark.parametrize(
    ("fault", "members", "text"),
    [
        ({**STOP, "keep_majority": "yes"}, MEMBERS, "keep_majority is 'yes', and has to be true or false"),
        ({**STOP, "keep_majority": True}, ["mysql1"], "no majority can be left of 1 members without leader"),
        ({**STOP, "keep_majority": True, "target": "all"}, MEMBERS, "no majority can be left of 3 members without all"),
    ],
)
def test_a_majority_that_cannot_be_kept_is_refused(fault: dict[str, Any], members: list[str], text: str) -> None:
    with pytest.raises(LabError, match=text):
        resolve(fault, 1000, members)
