# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the histories that people have, for :mod:`failover.checks.linearizability`: one file a notation.

``lab``: this lab's, a file or an experiment's folder; ``jepsen``: registers, in EDN or in a log; ``kv``: a map of
strings, in EDN; ``etcd``: the operations.json of etcd's robustness tests. What it does not read it names as such.
"""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zlib
from pathlib import Path

from ..checks.operations import History
from ..shapes import LabError
from . import edn_history, etcd_operations, jepsen_log, lab

FORMATS = (lab.NAME, edn_history.REGISTER, edn_history.KV, etcd_operations.NAME)

# Files that are known and not read, by how they begin: what they are, and what to try.
_KNOWN = (
    (b"BZh", "is compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ\x00", "is compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first"),
    (b"PK\x03\x04", "is a zip archive; unpack it first"),
    (b"JEPSEN", "is a Jepsen test in its binary form; give its history.edn, or its history.txt"),
)
_GZIP = b"\x1f\x8b"
_START = 65536


def load(path: str | Path, file_format: str | None = None) -> History:
    """Read a history; raises :class:`LabError` where it is missing, damaged, or of no format that is read.

    :param file_format: one of FORMATS; found out from the content where it is None.
    """
    path = Path(path)
    if path.is_dir():
        return _load_folder(path, file_format)
    content = _bytes(path)
    if file_format == lab.NAME or (
        file_format is None and lab.looks_so(content[:_START].removeprefix(codecs.BOM_UTF8))
    ):
        return _load_lab(path, content)
    text = _text(path, content)
    start = text[:_START].lstrip()
    if file_format == etcd_operations.NAME or (file_format is None and etcd_operations.looks_so(start)):
        files = etcd_operations.files_beside(path)
        return etcd_operations.load((own, _text(own, _bytes(own)).splitlines()) for own in files)
    if file_format == edn_history.KV or start.startswith(("{:", "[", "(", ";", "#")):
        if start.startswith(('[{"', "[]", "[\n  {\n")):
            raise LabError(f"{path} is JSON, but in none of the formats that can be read ({', '.join(FORMATS)})")
        return edn_history.load(path, text, file_format)
    if file_format == edn_history.REGISTER or jepsen_log.looks_so(start):
        return jepsen_log.load(path, text.splitlines())
    raise LabError(
        f"{path} is in none of the formats {', '.join(FORMATS)}; say which with --format, or give another file"
    )


def _load_folder(path: Path, file_format: str | None) -> History:
    """Read the folder of an experiment, of a Jepsen test, or of a robustness test's report."""
    edn = path / "history.edn"
    if edn.is_file() and file_format != lab.NAME:
        return load(edn, file_format)
    operations = etcd_operations.files_beside(path)
    if operations and file_format in (None, etcd_operations.NAME):
        return load(operations[0], etcd_operations.NAME)
    return lab.load_folder(path)


def _load_lab(path: Path, content: bytes) -> History:
    """Read a history of the lab; a compressed one, or one with a byte order mark, by way of a plain copy."""
    plain = content.removeprefix(codecs.BOM_UTF8)
    is_parquet = plain.startswith(lab.PARQUET)
    if len(plain) == path.stat().st_size:
        return lab.load(path, is_parquet=is_parquet)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(plain)
        try:
            return lab.load(copy, is_parquet=is_parquet)
        except LabError as error:
            raise LabError(str(error).replace(str(copy), str(path))) from error


def _bytes(path: Path) -> bytes:
    """Return a file's content, unpacked where it is compressed with gzip."""
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LabError(f"{path} is damaged: {error}; copy the file again") from error
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror or error}; give a file with a history") from error
    if not content.strip():
        raise LabError(f"{path} is empty; give a file with a history")
    for beginning, what in _KNOWN:
        if content.startswith(beginning):
            raise LabError(f"{path} {what}")
    return content


def _text(path: Path, content: bytes) -> str:
    """Decode a file, whatever byte order mark an editor has put before it."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabError(f"{path} is not text: {error}; give a history in one of {', '.join(FORMATS)}") from error
