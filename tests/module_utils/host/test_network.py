# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

import pytest
from failover.host.network import Network, NetworkError, discipline

MEMBER = Network(["10.0.0.2", "10.0.0.9"])
DELAY, RATE = {"delay_ms": 100}, {"rate_kbit": 256}
# Keeps the root discipline of each interface in a file, as the kernel does in itself.
TC = r"""#!/bin/sh
folder=$(dirname "$0")
echo "$*" >>"$folder/calls"
test ! -e "$folder/fail" || { cat "$folder/fail" >&2; exit 2; }
case "$2 $4 $6" in
"show "*) cat "$folder/qdisc-$4" 2>/dev/null || echo "qdisc noqueue 0: root refcnt 2" ;;
"del "*) rm "$folder/qdisc-$4" ;;
*) interface=$4; shift 5; handle=8001:; test "$1" != handle || { handle=$2; shift 2; }
   echo "qdisc $1 $handle root refcnt 2 $*" >"$folder/qdisc-$interface" ;;
esac
"""


@pytest.fixture
def tc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for tc and ip; returns their folder."""
    for name, program in (("tc", TC), ("ip", "#!/bin/sh\necho '10.0.0.2 dev eth7 src 10.0.0.1 uid 0'\n")):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


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
    assert kind in said
    MEMBER.hasten()
    assert not (tc / "qdisc-eth7").exists()
    # A second time there is nothing to take away, and the interface's own discipline stays.
    MEMBER.hasten()
    assert (tc / "calls").read_text().count("qdisc del dev eth7") == 1


def test_what_the_kernel_can_is_tried_on_loopback_and_leaves_nothing(tc: Path) -> None:
    assert MEMBER.problem(DELAY) is None
    assert list(tc.glob("qdisc-*")) == []
    assert [call for call in (tc / "calls").read_text().splitlines() if "eth7" in call] == ["qdisc show dev eth7 root"]


def test_a_discipline_that_was_chosen_for_an_interface_is_left_alone(tc: Path) -> None:
    chosen = "qdisc htb 1: root refcnt 2 r2q 10\n"
    (tc / "qdisc-eth7").write_text(chosen)
    assert MEMBER.problem(DELAY) == (
        "eth7 has a configured queueing discipline (htb 1:), which the fault would replace"
    )
    MEMBER.hasten()
    assert (tc / "qdisc-eth7").read_text() == chosen


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Error: Specified qdisc kind is unknown.", "the kernel has no sch_netem"),
        ("Error: Specified qdisc not found.", "the kernel has no sch_netem"),
        ("RTNETLINK answers: Operation not permitted", "tc says: RTNETLINK answers: Operation not permitted"),
    ],
)
def test_a_kernel_that_cannot_is_said(tc: Path, text: str, problem: str | None) -> None:
    (tc / "fail").write_text(text + "\n")
    assert MEMBER.problem(DELAY) == problem


def test_a_loopback_that_has_one_already_is_no_reason(tc: Path) -> None:
    (tc / "qdisc-lo").write_text("qdisc netem 8001: root\n")
    text = (tc / "tc").read_text()
    (tc / "tc").write_text(
        text.replace('"del "*)', '"add "*) echo "Error: Exclusivity: File exists" >&2; exit 2 ;;\n"del "*)')
    )
    assert MEMBER.problem(DELAY) is None


def test_what_did_not_take_effect_is_no_fault(tc: Path) -> None:
    (tc / "tc").write_text('#!/bin/sh\necho "qdisc noqueue 0: root"\n')
    with pytest.raises(NetworkError, match="tc did not set it on eth7: qdisc noqueue 0: root"):
        MEMBER.slow(DELAY)


def test_missing_programs_and_routes_are_named(tc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match="no interface leads to anybody"):
        Network([]).slow(DELAY)
    (tc / "ip").write_text("#!/bin/sh\necho unreachable\n")
    with pytest.raises(NetworkError, match=r"no interface leads to 10\.0\.0\.2"):
        MEMBER.slow(DELAY)
    monkeypatch.setenv("PATH", str(tc / "nothing"))
    assert MEMBER.problem(DELAY) == "tc is not on this host (package iproute2)"
