# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters over the catalog, as Ansible resolves the role's variables with them."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.plugins.loader import filter_loader
from catalog import FROZEN, ROOT, SYSTEMS
from resolved import value_of

plugin = sys.modules[filter_loader.get("names_given").j2_function.__module__]
USUAL = ["E1-etcd", "E1-mysql", "E2-etcd"]


def test_each_filter_is_documented_in_a_file_of_its_name() -> None:
    documented = {path.stem: path for path in (ROOT / "plugins" / "filter").glob("*.yml")}
    plugins = [sys.modules[filter_loader.get(name).j2_function.__module__] for name in documented]
    assert documented.keys() == {name for each in plugins for name in each.FilterModule().filters()}
    for name, path in documented.items():
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["DOCUMENTATION"]["name"] == name


def test_the_catalog_that_a_user_gets_is_what_it_was() -> None:
    written_out = json.loads(json.dumps(FROZEN).replace("{{ sole_server_heal }}", "7s"))
    catalog = value_of("experiment_catalog", sole_server_heal="7s")
    those = {name: experiment for name, experiment in catalog.items() if name in written_out}
    assert those == written_out
    assert list(those) == list(written_out)


def test_a_row_may_be_of_variables() -> None:
    row = {"number": 99, "title": "x", "faults": [{"action": "kill", "target": "{{ whom }}", "at": "1%"}]}
    catalog = value_of("experiment_catalog", fault_catalog={"gone": row}, whom="follower")
    assert catalog["E99-mysql_cluster"]["faults"][0]["target"] == "follower"


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, USUAL),
        ({"systems": "", "faults": []}, USUAL),
        ({"experiments": " E3-etcd,E1-etcd"}, ["E3-etcd", "E1-etcd"]),
        ({"systems": "etcd, mysql_cluster", "faults": ["kill"]}, ["E3-etcd", "E3-mysql_cluster"]),
        ({"faults": "partition"}, [f"E6-{system}" for system in SYSTEMS]),
        ({"systems": "etcd"}, [f"E{number}-etcd" for number in (1, 2, 3, 4, 5, 6, 7, 11)]),
        ({"systems": "etcd", "usual_faults": ["kill"]}, ["E3-etcd"]),
    ],
)
def test_what_runs_is_chosen(variables: dict[str, Any], names: list[str]) -> None:
    assert value_of("lab_experiments", **variables) == names


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, [f"E{number}-{system}" for number in (2, 3, 4, 5, 6) for system in SYSTEMS]),
        ({"systems": "etcd"}, [f"E{number}-etcd" for number in (2, 3, 4, 5, 6)]),
        ({"faults": "kill,none"}, [f"E{number}-{system}" for number in (3, 1) for system in SYSTEMS]),
        ({"experiments": "E9-etcd"}, ["E9-etcd"]),
    ],
)
def test_a_campaign_has_faults_of_its_own_unless_others_are_chosen(given: dict[str, str], names: list[str]) -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks" / "campaign.yml").read_text(encoding="utf-8"))
    assert value_of("lab_experiments", **play["vars"] | given) == names


def test_what_is_wrong_is_said_once() -> None:
    with pytest.raises(AnsibleFilterError) as failed:
        plugin.FilterModule().filters()["experiments_of_faults"]({"gone": 3}, {}, "3s")
    assert str(failed.value) == (
        "fault_catalog: gone is 3: it must have the keys number, title, faults, takes_away, several, settings."
    )
