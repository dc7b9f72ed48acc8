# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import importlib.util
from pathlib import Path

import yaml
from failover.module_options import target_options

FRAGMENT = Path(__file__).resolve().parents[2] / "plugins" / "doc_fragments" / "target.py"


def test_it_documents_what_the_modules_take() -> None:
    found = importlib.util.spec_from_file_location("target_fragment", FRAGMENT)
    assert found is not None
    assert found.loader is not None
    fragment = importlib.util.module_from_spec(found)
    found.loader.exec_module(fragment)
    documented = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    taken = target_options()
    assert list(documented) == list(taken)
    assert list(documented["target"]["suboptions"]) == list(taken["target"]["options"])
