# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Python programs in scripts/ share: finding the core and the lab's environment, and ending in one line.

Importing it puts the core on ``sys.path``.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "module_utils"))

from failover.shapes import EXIT_LAB_FAILED, LabError  # noqa: E402  (needs the line above; 2026-11)

# Set to the process (which stays the same) by the first start of use_lab_environment, so that there is no third.
_STARTED_AGAIN = "FAILOVER_LAB_STARTED_AGAIN"


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line and exit status 3 (2 means "could not tell" in this project)."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and leave."""
        fail(f"{message} (try: {self.prog} --help)")


def fail(message: object) -> NoReturn:
    """Print one line on stderr and leave with the exit status of a lab that failed."""
    print(f"{Path(sys.argv[0]).name}: {' '.join(str(message).split())}", file=sys.stderr)
    raise SystemExit(EXIT_LAB_FAILED)


def use_lab_environment() -> None:
    """Start this program again with the Python of ``.venv``, if there is one and this is another.

    For programs that need more than the standard library. Without a ``.venv`` the present Python goes on.
    """
    environment = PROJECT / ".venv"
    python = environment / "bin" / "python"
    if not os.access(python, os.X_OK) or Path(sys.prefix).resolve() == environment.resolve():
        return
    if os.environ.get(_STARTED_AGAIN) == str(os.getpid()):
        fail(f"{environment} is damaged; remove it and run ./scripts/lab up, which makes it again")
    os.environ[_STARTED_AGAIN] = str(os.getpid())
    os.execv(python, [str(python), *sys.argv])


def run(main: Callable[[], int]) -> NoReturn:
    """Leave with the status that ``main`` returns; whatever stops it ends in one line, never in a traceback."""
    try:
        status = main()
        sys.stdout.flush()
    except LabError as error:
        fail(error)
    except ModuleNotFoundError as error:
        fail(
            f"the Python package {error.name} is missing from {sys.executable}; ./scripts/lab up makes a .venv with it"
        )
    except MemoryError:
        fail("out of memory; try fewer operations or a machine with more memory")
    except KeyboardInterrupt:
        fail("interrupted")
    except BrokenPipeError:
        # The reader left (head, say). Nothing can be printed any more, and that includes the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_LAB_FAILED) from None
    except Exception as error:
        # Nobody thought of it, so the line has to be enough to find its cause.
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}, line {at.lineno}"
        fail(f"{type(error).__name__}: {error} ({where}); this is a bug in the lab, please report it")
    raise SystemExit(status)
