# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from failover.module_options import read_settings, read_target, settings_option, target_options
from failover.shapes import RunSettings


def test_a_setting_is_an_option_of_its_type() -> None:
    options = settings_option()["settings"]["options"]
    assert options["iterations"] == {"type": "int", "required": True}
    assert options["rate"] == {"type": "float", "default": 0.0}
    assert options["sole_server_heal"] == {"type": "str", "default": "30s"}
    assert options["repeats"] == {"type": "raw", "default": 1}


def test_settings_are_read_from_parameters() -> None:
    given = {"iterations": 5, "seed": 7}
    assert read_settings({"settings": {**given, "repeats": "3"}}) == RunSettings(5, 7, repeats=3)
    by_system = read_settings({"settings": {**given, "repeats": {"etcd": "3"}}})
    assert by_system.repeats == {"etcd": 3}


def test_the_passwords_are_apart_and_hidden() -> None:
    options = target_options()
    for name in ("password", "root_password"):
        assert options[name]["no_log"] is True
        assert name not in options["target"]["options"]
    given = {"system": "mysql", "members": {"mysql1": {"address": "h:3306"}}, "user": "lab", "database": "db"}
    target = read_target({"target": given, "password": "secret", "root_password": "secret of root"})
    assert target.account == {"user": "lab", "password": "secret", "database": "db"}
    assert "secret" not in repr(target)
