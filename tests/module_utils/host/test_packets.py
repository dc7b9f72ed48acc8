# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from failover.host.packets import DIRECTIONS, FROM, Cut, Isolation, IsolationError

MEMBER = Isolation(["10.0.0.2", "10.0.0.3"], ["10.0.0.9"], 2379)


@pytest.fixture
def nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that keeps the scripts it is given, and fails where a file says so; returns its folder."""
    program = tmp_path / "nft"
    program.write_text(
        '#!/bin/sh\ncat >>"$(dirname "$0")/scripts"\n'
        'test ! -e "$(dirname "$0")/fail" || { cat "$(dirname "$0")/fail" >&2; exit 1; }\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_both_ways_from_everybody() -> None:
    rules = MEMBER.rules("both", "both")
    assert "ip saddr { 10.0.0.2, 10.0.0.3 } drop" in rules
    assert "ip daddr { 10.0.0.2, 10.0.0.3 } drop" in rules
    assert "ip saddr { 10.0.0.9 } tcp dport 2379 drop" in rules
    assert "ip daddr { 10.0.0.9 } tcp sport 2379 drop" in rules
    assert "hook input" in rules
    assert "hook output" in rules


@pytest.mark.parametrize("isolate", FROM)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_only_what_is_asked_for_is_cut(isolate: str, direction: str) -> None:
    rules = MEMBER.rules(isolate, direction)
    assert ("hook input" in rules) == (direction in ("in", "both"))
    assert ("hook output" in rules) == (direction in ("out", "both"))
    assert ("10.0.0.2" in rules) == (isolate in ("peers", "both"))
    assert ("10.0.0.9" in rules) == (isolate in ("clients", "both"))
    # The agent's port and ssh are never among them.
    assert "tcp dport 22 " not in rules
    assert rules.count("{") == rules.count("}")


def test_a_host_that_is_powered_off_is_silent_to_everybody() -> None:
    rules = Isolation(["10.0.0.2"], ["10.0.0.9"], 2379, [7470, 22]).silent_rules()
    assert rules.count("policy drop;") == 2
    # The lab itself comes back by these alone, and the host talks to itself.
    assert "iifname lo accept; tcp dport { 7470, 22 } accept;" in rules
    assert "oifname lo accept; tcp sport { 7470, 22 } accept;" in rules
    assert "10.0.0" not in rules
    assert rules.count("{") == rules.count("}")


def test_a_single_server_has_clients_only() -> None:
    assert "ip saddr" in Isolation([], ["10.0.0.9"], 3306).rules("both", "in")
    assert "{  }" not in Isolation([], ["10.0.0.9"], 3306).rules("both", "both")


def test_rules_are_set_in_one_step_and_taken_away_as_a_whole(nft: Path) -> None:
    MEMBER.cut("peers", "out")
    MEMBER.silence()
    MEMBER.mend()
    script = (nft / "scripts").read_text()
    assert script.count("delete table inet failover_lab") == 3
    assert "ip daddr { 10.0.0.2, 10.0.0.3 } drop" in script
    assert MEMBER.problem() is None


def test_a_host_that_cannot_says_why(nft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nft / "fail").write_text("Error: Operation not permitted\nmore\n")
    assert MEMBER.problem() == "nft says: Error: Operation not permitted"
    with pytest.raises(IsolationError, match="Operation not permitted"):
        MEMBER.cut("both", "both")
    monkeypatch.setenv("PATH", str(nft / "nothing"))
    assert MEMBER.problem() == "nft is not on this host (package nftables)"


def test_cuts_of_single_peers_replace_each_other(nft: Path) -> None:
    MEMBER.hold_up([Cut("in", "10.0.0.2", "reject", data_only=True), Cut("out", "10.0.0.3")])
    script = (nft / "scripts").read_text()
    assert "ip saddr 10.0.0.2 tcp flags & psh == psh reject with icmp type host-unreachable; }" in script
    assert "ip daddr 10.0.0.3 drop; }" in script
    assert script.startswith("table inet failover_lab\ndelete table inet failover_lab\n")
    (nft / "scripts").unlink()
    MEMBER.hold_up([])
    assert "chain" not in (nft / "scripts").read_text()
