# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of this package that a program of it needs, as files: what it imports, and what that imports.

Works wherever Python found the package, also in the archive in which Ansible sends a module to a host.
"""

from __future__ import annotations

import ast
import importlib.util
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .shapes import LabError


def needed_files(program: str, package: str) -> dict[str, str]:
    """Return the source of each file that ``program`` needs, by its path below the folder of the package.

    :param program: a module of the package, as ``agent.server``
    :param package: the package's full name
    """
    found: dict[str, str] = {}
    todo = [f"{package}.{program}"]
    while todo:
        name = todo.pop()
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "get_source"):
            raise LabError(f"The source of {name} cannot be read here.")
        is_package = spec.submodule_search_locations is not None
        parts = name.removeprefix(package).strip(".").split(".") if name != package else []
        path = "/".join([*parts, "__init__.py"]) if is_package else "/".join(parts) + ".py"
        if path in found:
            continue
        source = spec.loader.get_source(name) or ""
        # Ansible's loader of collections gives it as it is in the file.
        found[path] = source.decode() if isinstance(source, bytes) else source
        # A module cannot be imported without the packages around it.
        todo += [parent for parent in [name.rpartition(".")[0]] if parent.startswith(package)]
        todo += _imports(found[path], name if is_package else name.rpartition(".")[0])
    return dict(sorted(found.items()))


def _imports(source: str, package: str) -> Iterator[str]:
    """Yield the full names of the modules that a source imports relatively."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, node.module] if node.module else above)
        yield base
        for alias in node.names:
            # Of a package, a name may be a module of it.
            spec = importlib.util.find_spec(base)
            if spec is not None and spec.submodule_search_locations is not None:
                name = f"{base}.{alias.name}"
                if importlib.util.find_spec(name) is not None:
                    yield name


def write_files(files: dict[str, str], folder: Path, *, pretend: bool = False) -> list[str]:
    """Make ``folder`` hold these files and no other source; return the paths below it that were, or would be, changed.

    :param files: their text by path below the folder
    """
    if not pretend:
        for path in files:
            (folder / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    changed = [path for path, text in files.items() if write_file(folder / path, text, mode=0o644, pretend=pretend)]
    for there in sorted(folder.rglob("*.py")):
        if str(there.relative_to(folder)) not in files:
            changed.append(str(there.relative_to(folder)))
            if not pretend:
                there.unlink()
    return changed


def write_file(
    path: Path, text: str, *, mode: int, check: Callable[[Path], None] | None = None, pretend: bool = False
) -> bool:
    """Make a file have this text and these permissions; return whether it was, or would be, changed.

    It is written whole or not at all. A folder that is missing is made for its owner alone.

    :param check: is called with the new file before it takes the place of the old one, and raises what keeps it from it
    """
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        right = stat.S_IMODE(path.stat().st_mode) == mode
        if not right and not pretend:
            path.chmod(mode)
        return not right
    if pretend:
        return True
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        new.chmod(mode)
        if check is not None:
            check(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return True
