# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from failover.core_files import needed_files

SOURCES = {
    "wing/__init__.py": "",
    "wing/program.py": "import json\nfrom .rooms import door\nfrom .base import Base\n",
    "wing/base.py": "class Base: ...\n",
    "wing/other.py": "raise SystemExit\n",
    "wing/rooms/__init__.py": "from ..shared import SIZE\n",
    "wing/rooms/door.py": "def late():\n    from .window import pane\n",
    "wing/rooms/window.py": "pane = 1\n",
    "wing/shared.py": "SIZE = 1\n",
}


@pytest.mark.parametrize("packed", [False, True])
def test_what_a_program_imports_is_found_in_folders_and_in_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    place = tmp_path / ("wing.zip" if packed else "folder")
    if packed:
        with zipfile.ZipFile(place, "w") as archive:
            for name, text in SOURCES.items():
                archive.writestr(name, text)
    else:
        for name, text in SOURCES.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
    monkeypatch.syspath_prepend(str(place))
    try:
        found = needed_files("program", "wing")
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "wing"]:
            del sys.modules[name]
    assert found == {name.removeprefix("wing/"): text for name, text in SOURCES.items() if name != "wing/other.py"}
