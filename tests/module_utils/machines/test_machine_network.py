# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bridge and the taps of a lab."""

from __future__ import annotations

import pytest
from failover.machines.network import Bridge, LinkError, mac_of, run_ip
from machine_doubles import FakeIp

ADDRESSES = ["10.0.9.11", "10.0.9.12"]


def test_a_bridge_with_a_tap_for_each_machine_is_made_once() -> None:
    ip = FakeIp()
    bridge = Bridge("mine", "10.0.9.0/24", ip)
    made = bridge.make(ADDRESSES)
    assert made == [bridge.name, f"{bridge.prefix}-11", f"{bridge.prefix}-12"]
    assert ip.links[bridge.name] == ["10.0.9.1"]
    assert f"link set dev {bridge.tap('10.0.9.12')} master {bridge.name} up" in ip.asked
    assert bridge.make(ADDRESSES) == []


def test_names_fit_the_kernel_whatever_the_lab_is_called() -> None:
    long = Bridge("a-lab-with-a-name-that-no-interface-may-have", "10.0.9.0/24")
    assert max(len(long.name), len(long.tap("10.0.9.254"))) <= 15
    assert long.name != Bridge("another", "10.0.9.0/24").name


def test_to_pretend_changes_nothing() -> None:
    ip = FakeIp()
    assert len(Bridge("mine", "10.0.9.0/24", ip).make(ADDRESSES, pretend=True)) == 3
    assert ip.asked == []


def test_all_of_this_lab_goes_and_nothing_else() -> None:
    ip = FakeIp()
    mine, other = Bridge("mine", "10.0.9.0/24", ip), Bridge("other", "10.0.8.0/24", ip)
    mine.make(ADDRESSES)
    other.make(["10.0.8.11"])
    assert len(mine.remove(pretend=True)) == 3
    # The bridge last, as its taps are on it.
    assert mine.remove()[-1] == mine.name
    assert sorted(ip.links) == sorted(["lo", other.name, other.tap("10.0.8.11")])


def test_link_addresses_differ_by_address_and_interface() -> None:
    assert mac_of("10.0.9.11") == "02:00:0a:00:09:0b"
    assert mac_of("10.0.9.11", 1) == "02:01:0a:00:09:0b"


def test_what_ip_complains_of_is_said(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LinkError, match="package iproute2"):
        run_ip(["link", "show"])
