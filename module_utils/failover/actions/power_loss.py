# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ..clock import CLOCK
from ..host.power import VIA
from ..host.service import MainProcess, NotBackError, ServiceError
from ..host.volume import Kept, VolumeError
from ..shapes import LabError
from ..systems.on_host import Reach
from .base import Action, Host
from .options import Number, Option, Share, Word
from .record import FaultRecord

# What the cache of a drive may be, by their numbers among the options.
CACHES = ("honest", "lying")
LYING = CACHES.index("lying") + 1


class PowerLoss(Action):
    """The host gone at one instant, and with it all that was not on its disk."""

    name = "power_loss"
    past = "left without power"
    signal = "SIGKILL"
    # What of the dirty pages reaches the disk all the same, and what decides which of them.
    # And whether the drive's own cache is lost with it: of one that does what it is told to flush, or of one that lies.
    options: tuple[Option, ...] = (
        Share("keep"),
        Number("keep_seed", 0, 2**31 - 1),
        Word("drive_cache", CACHES),
    )
    caveat = (
        "A power loss takes what the kernel had in its memory for the file system of the data; what a drive keeps in a "
        "cache of its own is lost only where the fault has a drive_cache."
    )
    ended_from_outside = True
    has_measured_effect = True

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why packets cannot be dropped, or the data not be taken away from its disk."""
        options = record.options
        if self.takes_host(host, options):
            return None
        found = host.isolation.problem() or host.volume.problem(keeps="keep" in options)
        if found is None and "drive_cache" in options:
            found = host.volume.drive_problem(lies=options["drive_cache"] == LYING)
        return found

    def resolve(self, name: str, fault: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
        """Return what is kept and by which seed: 1 where none is given."""
        fields = super().resolve(name, fault, members)
        options = fields["options"]
        if "keep_seed" in options and "keep" not in options:
            raise LabError(f"{name} has a keep_seed, and keeps nothing. Give keep as well, a share like 50%.")
        if "keep" in options and "drive_cache" in options:
            raise LabError(f"{name} has a keep and a drive_cache: what is kept would be lost with the cache. Give one.")
        return {**fields, "options": {"keep_seed": 1, **options} if "keep" in options else options}

    @staticmethod
    def takes_host(host: Host, options: Mapping[str, float]) -> bool:
        """Whether the power of the host as a whole is cut. Nobody can choose what of its memory is kept."""
        return host.power.kept and not {"keep", "drive_cache"} & options.keys()

    def prepare(self, host: Host, record: FaultRecord) -> None:
        """Note how far the server says that its data reaches, and how it is mounted, or which boot of the host ends."""
        record.disk = _told(host.reach) if host.reach is not None else None
        if self.takes_host(host, record.options):
            record.boot_id = host.power.boot_id()
            return
        record.volume = host.volume.describe()
        drive = host.volume.drive() if "drive_cache" in record.options else None
        record.drive = drive.describe() if drive is not None else None

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Silence the host, take the data away from its disk, and end what is left; or leave it to who keeps it."""
        if record.boot_id is not None:
            record.effect = host.power.unwritten()
            return VIA
        assert record.volume is not None
        host.isolation.silence()
        # Standing still, the server sees no disk that fails, and does not end by itself with an error.
        with suppress(ProcessLookupError, ServiceError):
            record.processes = host.service.suspend(process)
        drive = host.volume.at(record.drive["point"]) if record.drive is not None else None
        # First, as what the data's file system still wrote would come to its cache.
        of_drive = f"in the cache of the drive, {drive.cut()}; " if drive is not None else ""
        kept = (
            Kept(record.options["keep"] / 100, int(record.options["keep_seed"])) if "keep" in record.options else None
        )
        record.effect = of_drive + host.volume.cut(kept)
        host.service.kill_all(process)
        host.volume.release(record.volume)
        if drive is not None and record.drive is not None:
            drive.release(record.drive)
        return "nft, ioctl, pidfd"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Mount the data, let the host speak again, and start it."""
        if record.boot_id is None:
            self._undo(host, record, timeout_s)
        elif host.power.boot_id() == record.boot_id:
            # Its keeper was gone: nothing was done.
            record.effect = None
        try:
            super().heal(host, record, timeout_s)
        finally:
            # Before the others give it anything; also of one that does not come back.
            if host.reach is not None and record.disk is not None and record.disk["had"] is None:
                record.disk |= _found(host.reach, record.disk)

    @staticmethod
    def _undo(host: Host, record: FaultRecord, timeout_s: float) -> None:
        process = host.service.main_process()
        if process is not None:
            # The agent ended between the first step of the cut and the last.
            if process.pid == record.pid:
                host.service.kill_all(process)
                process.wait_gone(timeout_s)
            process.close()
        recovered = _restore(host, record)
        if record.effect and recovered:
            record.effect = f"{record.effect}; {recovered}"
        host.isolation.mend()

    def took_unsynced(self, record: FaultRecord) -> bool:
        """Whether it struck: that is what it does."""
        return True

    def told(self, who: str, record: FaultRecord) -> str:
        """Give the kernel's word for it."""
        return f"the power of {who} was cut ({record.effect})"


def _restore(host: Host, record: FaultRecord) -> str | None:
    """Mount the data again; return in words what that recovered. NotBackError where a drive lost what it needs."""
    if record.volume is None:
        return None
    if record.drive is None:
        return host.volume.restore(record.volume)
    drive = host.volume.at(record.drive["point"])
    if drive.is_dead() or host.volume.is_dead():
        host.volume.release(record.volume)
    drive.restore(record.drive)
    try:
        return host.volume.restore(record.volume)
    except VolumeError as error:
        raise NotBackError(f"{error}; its drive lost what it had taken for written") from None


def _told(reach: Reach) -> dict[str, Any]:
    """Return what a record's ``disk`` has before the cut; a server that does not answer has told nothing."""
    disk: dict[str, Any] = {
        "told": None,
        "told_wall_ns": CLOCK.now_ns(),
        "had": None,
        "had_wall_ns": None,
        "missing": None,
        "missing_of": reach.missing_of,
        "which": None,
        "unknown": None,
    }
    try:
        return {**disk, "told": reach.told()}
    except (LabError, OSError) as error:
        return {**disk, "unknown": f"before the cut the server did not say how far its data reach: {_reason(error)}"}


def _found(reach: Reach, disk: Mapping[str, Any]) -> dict[str, Any]:
    """Return what becomes known of it once the server was started again."""
    try:
        found = reach.found(disk["told"] or {}, disk["told_wall_ns"])
    except (LabError, OSError) as error:
        return {"unknown": "; ".join(filter(None, [disk["unknown"], f"what its disk had: {_reason(error)}"]))}
    return {"had_wall_ns": CLOCK.now_ns(), **asdict(found)}


def _reason(error: LabError | OSError) -> str:
    return " ".join(str((isinstance(error, OSError) and error.strerror) or error).split())
