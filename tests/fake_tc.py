# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stand-ins for tc and ip, where the kernel's own disciplines are not to be touched."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

# Keeps what each interface has in a file, as the kernel does in itself, and shows it as tc does. The file "fail" has a
# word of the commands that fail, and what is said of it.
TC = r"""#!{python}
import fcntl, json, pathlib, socket, sys
folder = pathlib.Path(sys.argv[0]).parent
lock = open(folder / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
kept = folder / "kept"
state = json.loads(kept.read_text()) if kept.exists() else {}
word, said = (folder / "fail").read_text().split("\n", 1) if (folder / "fail").exists() else (None, "")

def show(words):
    device = words[words.index("dev") + 1] if "dev" in words else None
    if words[0] == "filter":
        print("filter protocol ip pref 2 u32 chain 0 fh 801: ht divisor 1")
        print("\n".join(state[device]["filters"]))
        return
    for name in [device] if device else ["lo", *state]:
        named = "" if device else f"dev {name} "
        has = state.get(name, {"root": "noqueue 0: root refcnt 2"})
        for part in ["root"] if "root" in words else ["root", "below"]:
            if part in has:
                kind, handle, rest = has[part].split(" ", 2)
                print(f"qdisc {kind} {handle} {named}{rest}")

def one(words):
    with open(folder / "calls", "a") as calls:
        print(*words, file=calls)
    if word is not None and word in words:
        return said
    if words[1] == "show":
        return show(words)
    device = words[3]
    if words[:2] == ["qdisc", "del"]:
        del state[device]
    elif words[:2] == ["qdisc", "add"] and words[4] == "root":
        if device in state:
            return "Error: Exclusivity flag on, cannot modify."
        state[device] = {"root": f"{words[7]} {words[6]} root refcnt 2 {' '.join(words[8:])}", "filters": []}
    elif words[0] == "qdisc":
        state[device]["below"] = f"{words[6]} 8001: parent {words[5]} {' '.join(words[7:])}"
    elif words[0] == "filter" and "dst" in words:
        number = socket.inet_aton(words[words.index("dst") + 1].removesuffix("/32")).hex()
        state[device]["filters"].append(f"  match {number}/ffffffff at 16")
    elif words[0] == "filter":
        state[device]["filters"].append("  match 00060000/00ff0000 at 8\n  match 1d2e0000/ffff0000 at 20")

if "-batch" in sys.argv:
    for number, line in enumerate(sys.stdin, 1):
        wrong = one(line.split())
        kept.write_text(json.dumps(state))
        if wrong:
            sys.exit(f"{wrong}\nCommand failed -:{number}")
else:
    wrong = one(sys.argv[1:])
    if wrong:
        sys.exit(wrong)
"""
IP = '#!/bin/sh\nwhile read -r route get address; do grep "^$address " "$(dirname "$0")/routes" || exit 1; done\n'


def fake_tc(folder: Path, addresses: Iterable[str]) -> Path:
    """Put both into a folder; ``eth7`` leads to the addresses. Returns the folder, as the others take it."""
    for name, program in (("tc", TC.replace("{python}", sys.executable)), ("ip", IP)):
        (folder / name).write_text(program)
        (folder / name).chmod(0o755)
    (folder / "routes").write_text("".join(f"{address} dev eth7 src 10.0.0.1 uid 0\n" for address in addresses))
    return folder


def slowed(tc: Path) -> dict[str, dict[str, str]]:
    """Return what the interfaces have that are not as they were."""
    found: dict[str, dict[str, str]] = json.loads((tc / "kept").read_text())
    return found


def calls(tc: Path, word: str) -> list[str]:
    """Return the commands for tc that have a word."""
    return [call for call in (tc / "calls").read_text().splitlines() if word in call.split()]
