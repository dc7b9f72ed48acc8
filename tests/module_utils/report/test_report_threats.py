# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.report.chapters.threats import _durability, threats
from failover.report.outage.repetition import repeated
from printed import Content
from test_report_content import content_of
from verified import verified_run

pytestmark = pytest.mark.usefixtures("without_pictures")


def text_of(title: str, content: dict[str, Any], experiments: list[dict[str, Any]]) -> str:
    """Return one threat of a run of these experiments."""
    found = threats(content["controller"], content["hosts"], content["run"], experiments, {})
    return next(threat["text"] for threat in found if threat["title"] == title)


def with_outage(content: dict[str, Any], **changed: Any) -> list[dict[str, Any]]:
    """Return the run's experiments, the outage of the last one changed."""
    *healthy, faulted = content["experiments"]
    faults = [{**faulted["faults"][0], **changed}]
    return [*healthy, {**faulted, "faults": faults, "repetition": repeated(faults)}]


def test_an_election_without_a_fault_is_a_threat(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"])
    info = json.loads((path / "E1-etcd" / "experiment.json").read_text())
    filed = path / "E1-etcd" / "events.jsonl"
    events = [json.loads(line) for line in filed.read_text().splitlines()]
    for member in ("etcd1", "etcd2"):
        data = {"leader": "etcd1", "term": 9}
        wall_ns = info["origin_wall_ns"] + 100_000_000
        events.append({"wall_ns": wall_ns, "source": member, "event": "server.leader_elected", "data": data})
    events.sort(key=lambda event: event["wall_ns"])
    filed.write_text("".join(json.dumps(event) + "\n" for event in events))
    content, _ = content_of(path)
    (election,) = content["experiments"][0]["elections_unexplained"]
    assert (election["at_s"], election["leader"], election["members"]) == (0.1, "etcd1", ["etcd1", "etcd2"])
    note, judged = content["experiments"][0]["notes"]
    assert judged == "its verdict (valid) was made from other files: E1-etcd/events.jsonl"
    assert note.startswith("1 election that no fault caused: etcd1 was elected at 0.10 s (term 9). ")
    assert any("1 in E1-etcd" in threat["text"] for threat in content["threats"])


def test_the_election_of_the_fault_is_no_threat(valid_content: Content) -> None:
    assert [experiment["elections_unexplained"] for experiment in valid_content[0]["experiments"]] == [[], [], []]


def test_threats_have_the_figures_of_this_run(valid_content: Content) -> None:
    content, _ = valid_content
    texts = {threat["title"]: threat["text"] for threat in content["threats"]}
    assert "2 cores" in texts["One machine"]
    assert "36 % in E1-etcd" in texts["The client's share"]
    missed = content["experiments"][2]["faults"][0]["operations_not_sent"]
    assert f"about {missed:,.0f} operations" in texts["Closed loop"]


def test_what_determined_the_length_stands_among_the_threats(valid_content: Content) -> None:
    content, _ = valid_content
    length = content["experiments"][2]["faults"][0]["length"]
    assert "ms of F1 of E2-etcd, the longest phase after the fault took" in length
    assert length in text_of("One run of each", content, content["experiments"])


def test_a_run_of_mysql_alone_says_nothing_of_elections(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-mysql"])
    content, _ = content_of(path)
    text = next(threat["text"] for threat in content["threats"] if threat["title"] == "One run of each")
    assert text == (
        "The experiment ran once. There is no spread of repeated runs, so a difference of a few percent from another "
        "run means nothing."
    )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "has 1 operation, so its p99 and its p99.9 are its maximum, a single operation."),
        (99, "has 99 operations, so its p99 and its p99.9 are its maximum, a single operation."),
        (100, "has 100 operations, so its p99.9 is its maximum, a single operation."),
        (999, "has 999 operations, so its p99.9 is its maximum, a single operation."),
        (1000, "has 1,000 operations, so 1 lies above its p99.9; its maximum is a single operation."),
        (2000, "has 2,000 operations, so 2 lie above its p99.9; its maximum is a single operation."),
    ],
)
def test_tails_of_few_operations_are_called_what_they_are(valid_content: Content, count: int, words: str) -> None:
    content, _ = valid_content
    experiment = {**content["experiments"][0], "latency": {"by_kind": {"DELETE": {"count": count}}}}
    assert words in text_of("Thin tails", content, [experiment])


def test_one_operation_not_sent_has_the_singular(valid_content: Content) -> None:
    content, _ = valid_content
    text = text_of("Closed loop", content, with_outage(content, operations_not_sent=1.2))
    assert "about 1 operation would have been due during" in text


def test_without_containers_clocks_are_not_called_shared(valid_content: Content) -> None:
    content, _ = valid_content
    unmeasured = [{**experiment, "clocks": []} for experiment in content["experiments"]]
    found = threats({"cores": 8}, content["hosts"], content["run"], unmeasured, {})
    texts = {threat["title"]: threat["text"] for threat in found}
    assert "One machine" not in texts
    assert "not recorded" in texts["Times of events"]


def test_virtual_machines_have_kernels_and_clocks_of_their_own(valid_content: Content) -> None:
    content, _ = valid_content
    told = {"cores": 2, "hypervisor": "qemu 7.2", "container_runtime": None}
    found = threats(told, content["hosts"], content["run"], content["experiments"], {})
    text = next(threat["text"] for threat in found if threat["title"] == "One machine")
    assert f"All {len(content['hosts'])} hosts are virtual machines of qemu 7.2 on one machine (2 cores): each" in text


def test_a_poweroff_does_not_pass_for_a_cut_of_the_current(valid_content: Content) -> None:
    content, _ = valid_content
    struck = [
        {**experiment, "faults": [{**fault, "action": "poweroff"} for fault in experiment["faults"]]}
        for experiment in content["experiments"]
    ]
    assert any(experiment["faults"] for experiment in struck)
    texts = []
    for experiments in (content["experiments"], struck):
        found = threats(content["controller"], content["hosts"], content["run"], experiments, {})
        texts.append(next(threat["text"] for threat in found if threat["title"] == "Scope"))
    assert ["not a power cut" in text for text in texts] == [False, True]


def test_a_clock_that_was_corrected_is_told(valid_content: Content) -> None:
    content, _ = valid_content
    clock = {"host": "etcd2", "offset_ms": -7.5, "uncertainty_ms": 0.2, "corrected": True}
    skewed = [{**experiment, "clocks": [clock]} for experiment in content["experiments"]]
    found = threats(content["controller"], content["hosts"], content["run"], skewed, {})
    text = next(threat["text"] for threat in found if threat["title"] == "Times of events")
    assert "etcd2, was -7.500 ms away" in text
    assert "are subtracted" in text


def test_what_acknowledgements_mean_is_said_where_it_is_not_the_same() -> None:
    def told(*systems: str) -> str | None:
        found = _durability([{"system": system} for system in systems])
        return found and found[1]

    assert "in the memory of a majority" in (told("etcd", "mysql_cluster") or "")
    assert told("etcd", "mysql") is None
    assert told("mysql_cluster") is None


def test_the_price_of_the_fence_is_told_where_writes_have_one(valid_content: Content) -> None:
    content, _ = valid_content

    def told(policy: str) -> dict[str, str]:
        run = {**content["run"], "retry_policy": policy}
        found = threats(content["controller"], content["hosts"], run, content["experiments"], {})
        return {threat["title"]: threat["text"] for threat in found}

    assert "with 1, 8 and 32 clients: 0.92, 0.89 and 0.93 on etcd; " in told("safe")["The fence"]
    assert "The fence" not in told("blind")


@pytest.mark.parametrize(
    ("stream", "keys"),
    [
        ({}, "Each key is written through one client at a time, values are short (an IPv4 address), connections"),
        ({"name": "ycsb_a", "value_size": 2000}, "All clients share the keys, of up to 2,000 characters each, connec"),
    ],
)
def test_the_scope_says_whose_the_keys_are(valid_content: Content, stream: dict[str, Any], keys: str) -> None:
    content, _ = valid_content
    found = threats(content["controller"], content["hosts"], content["run"], content["experiments"], stream)
    assert keys in next(threat["text"] for threat in found if threat["title"] == "Scope")


def test_bugs_of_the_versions_that_ran_are_named(valid_content: Content) -> None:
    content, _ = valid_content
    for version, known in (("3.5.16", True), ("3.5.30", False)):
        hosts = {
            "etcd1": {"system": "etcd", "versions": {"etcd": version}},
            "mysql1": {"system": "mysql"},
            "client1": {},
        }
        found = threats(content["controller"], hosts, content["run"], content["experiments"], {})
        texts = [threat["text"] for threat in found if threat["title"] == "Known bugs of these versions"]
        assert ["etcd-io/etcd#20418" in text for text in texts] == [True] * known


def test_it_is_told_whether_the_doors_were_locked(valid_content: Content) -> None:
    content, _ = valid_content
    for tls, title in ((True, "Locked doors"), (False, "Open doors")):
        run = {**content["run"], "tls": tls}
        found = threats(content["controller"], content["hosts"], run, content["experiments"], {})
        assert f"tls was {str(tls).lower()}" in next(threat["text"] for threat in found if threat["title"] == title)
    earlier = {name: value for name, value in content["run"].items() if name != "tls"}
    titles = [threat["title"] for threat in threats(content["controller"], content["hosts"], earlier, [], {})]
    assert not {"Locked doors", "Open doors"} & set(titles)
