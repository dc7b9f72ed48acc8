# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs in the place of qemu and ip, as the lab's machines are made without them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from failover.machines.machine import MachineSpec
from failover.machines.network import LinkError

# Goes into the background like qemu with -daemonize, with all words of its command, and says nothing.
QEMU = """#!{python}
import subprocess, sys
if "refuse" in sys.argv[sys.argv.index("-name") + 1]:
    sys.exit("qemu-system-x86_64: could not configure /dev/net/tun")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", *sys.argv[1:]],
                         stdin=-3, stdout=-3, stderr=-3, start_new_session=True)
open(sys.argv[sys.argv.index("-pidfile") + 1], "w").write(str(child.pid))
"""
QEMU_IMG = """#!{python}
import sys
open(sys.argv[-2], "w").write(" ".join(sys.argv[1:]))
"""


def programs(folder: Path) -> Path:
    """Write both programs into a folder for PATH, and return it."""
    folder.mkdir()
    for name, text in (("qemu-system-x86_64", QEMU), ("qemu-img", QEMU_IMG)):
        path = folder / name
        path.write_text(text.format(python=sys.executable))
        path.chmod(0o755)
    return folder


def spec(name: str, number: int, image: Path, **changed: object) -> MachineSpec:
    """Return a machine like those of the lab."""
    given = {"accelerator": "tcg", "memory_mb": 512, "cpus": 1, "disk_mb": 4096} | changed
    return MachineSpec(name, f"10.0.9.{number}", f"tap{number}", str(image), **given)  # type: ignore[arg-type]


class FakeIp:
    """ip(8) on interfaces of its own; ``asked`` has what was done."""

    def __init__(self) -> None:
        self.links: dict[str, list[str]] = {"lo": ["127.0.0.1"]}
        self.asked: list[str] = []

    def __call__(self, argv: Sequence[str]) -> str:
        """Do it, as far as names and addresses go."""
        if list(argv) == ["-j", "address", "show"]:
            return json.dumps(
                [{"ifname": name, "addr_info": [{"local": own} for own in all_]} for name, all_ in self.links.items()]
            )
        self.asked.append(" ".join(argv))
        what, verb, *rest = argv
        name = rest[rest.index("name" if "name" in rest else "dev") + 1]
        if (what, verb) in (("link", "add"), ("tuntap", "add")):
            self.links[name] = []
        elif name not in self.links:
            raise LinkError(f'ip says: Cannot find device "{name}"')
        elif (what, verb) == ("link", "delete"):
            del self.links[name]
        elif what == "address":
            self.links[name].append(rest[0].partition("/")[0])
        return ""
