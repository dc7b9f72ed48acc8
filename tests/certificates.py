# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificate authorities for tests, made by the openssl that the hosts make their keys with."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Signed:
    """A certificate and its private key."""

    certificate: str
    key: str


class Authority:
    """An authority with its files in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._name = folder, name
        self.ca = str(folder / f"{name}.pem")
        self._key = str(folder / f"{name}.key")
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.ca, "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "keyUsage=critical,keyCertSign"),
        )

    def sign(self, names: str = "IP:127.0.0.1", days: int = 1) -> Signed:
        """Return a server's certificate for names as openssl writes them."""
        stem = self._folder / f"{self._name}-{names.replace(':', '-')}-{days}"
        made = Signed(f"{stem}.pem", f"{stem}.key")
        extensions = stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-new", *_KEY, "-keyout", made.key, "-out", f"{stem}.csr", "-subj", "/CN=server")
        _openssl(
            *("x509", "-req", "-in", f"{stem}.csr", "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", str(days), "-extfile", str(extensions), "-out", made.certificate),
        )
        return made


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
