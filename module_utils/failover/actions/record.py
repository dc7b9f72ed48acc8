# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was done for one fault: one record from the agent that fires, over who had it fire, to the report.

The agent writes down what it does, and answers with that. Who had it fire has a record of its own, which takes over
from the agent's what is known at each stage; experiment.json has that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from ..shapes import Event, FaultSpec


class Stage(StrEnum):
    """When something of the agent's record is taken over."""

    FIRED = "fired"
    ENDED = "ended"  # the process was seen to be gone
    HEALED = "healed"


def _both(default: Any = None) -> Any:
    """Return a field that both know from the beginning."""
    return field(default=default, metadata={"agent": True, "folder": True})


def _taken(*stages: Stage) -> Any:
    """Return a field that the agent writes, and that is taken over at these stages."""
    return field(default=None, metadata={"agent": True, "folder": True, "stages": stages})


def _agents(default: Any = None) -> Any:
    """Return a field that the agent writes and keeps."""
    return field(default=default, metadata={"agent": True})


def _own(default: Any = None) -> Any:
    """Return a field of who had it fire, whom it stays with."""
    return field(default=default, metadata={"folder": True})


@dataclass
class FaultRecord:
    """What was done for one fault on one member; stamps are of the wall clock of who made them, in ns."""

    fault: str = field(metadata={"agent": True, "folder": True})  # id within the experiment, see fault_names
    token: str = _both("")  # unique for ever, made by who fires
    action: str = _both("")
    target: str = _own("")
    heal: str = _own("end")
    isolate: str | None = _both()
    direction: str | None = _both()
    options: dict[str, float] = field(default_factory=dict, metadata={"agent": True, "folder": True})
    # Of a slow network that is one to some only: peers, clients or members. Of these last the agent has the addresses.
    to: list[str] = field(default_factory=list, metadata={"agent": True, "folder": True, "stages": (Stage.FIRED,)})
    addresses: dict[str, str] = field(default_factory=dict, metadata={"agent": True})
    steps: list[dict[str, Any]] = field(default_factory=list, metadata={"folder": True})
    held: bool = _agents(False)  # not healed yet
    fired: bool = _own(False)
    reason: str | None = _own()  # why it did not fire
    index_asked: int | None = _own()
    index_called: int | None = _own()  # index of the operation that asked for it
    index_hit: int | None = _own()  # newest operation asked for when the signal was sent
    requested_wall_ns: int | None = _own()  # the load generator's clock, like delay_ms
    delay_ms: float | None = _own()  # from the request to the signal
    attempts: int = _own(0)
    # With keep_majority: who made the majority without the target, by the system's own word, when it struck.
    majority_left: list[str] | None = _own()  # noqa: RUF009 - it is a field
    member: str | None = _taken(Stage.FIRED)  # whom it struck
    member_id: str | None = _taken(Stage.FIRED)
    role: str | None = _taken(Stage.FIRED)
    leader_id: str | None = _agents()  # whom the member followed when its role was checked
    term: int | None = _agents()
    leader_before: str | None = _own()
    leader_id_before: str | None = _own()
    term_before: int | None = _own()
    signal: str | None = _taken(Stage.FIRED)
    via: str | None = _taken(Stage.FIRED)  # dbus, systemctl, pidfd, nft, fallocate, cgroup, tc, ioctl, qemu, adjtimex
    pid: int | None = _taken(Stage.FIRED)
    role_checked_wall_ns: int | None = _taken(Stage.FIRED)
    signal_sent_wall_ns: int | None = _taken(Stage.FIRED)  # right before it, or the request for it, left the agent
    signal_call_ms: float | None = _taken(Stage.FIRED)  # how long sending it took
    processes: int | None = _taken(Stage.FIRED)  # how many were paused, or killed together
    # What the kernel says of what was done to disk or network; measured while the fault is held.
    effect: str | None = _taken(Stage.FIRED, Stage.HEALED)
    # Of what takes what was not on disk: how far the server said that its data reaches (``told``, facts by name), what
    # its disk ``had`` when it came back, how many ``missing_of`` are ``missing`` (null: nobody knows), ``which``, and
    # what is ``unknown``.
    disk: dict[str, Any] | None = _taken(Stage.FIRED, Stage.HEALED)  # noqa: RUF009 - it is a field
    inject_error: str | None = _taken(Stage.FIRED)  # what went wrong once the signal was on its way
    # Of a clock that was made wrong: how far it was ahead of the kernel's raw one before, and what it had gained at its
    # heal.
    clock_before_ns: int | None = _agents()
    clock_gained_ns: int | None = _taken(Stage.HEALED)
    # Of the host whose power is cut as a whole: the boot that it ends.
    boot_id: str | None = _agents()
    # How the file system of its data was mounted, where the fault unmounts it.
    volume: dict[str, str] | None = _agents()  # noqa: RUF009 - it is a field
    drive: dict[str, str] | None = _agents()  # noqa: RUF009 - it is a field  # the same of what plays its drive
    process_gone_wall_ns: int | None = _taken(Stage.ENDED)
    gone_ms: float | None = _own()  # from the signal to the end of the process
    clock_offset_ns: int | None = _own()  # how far the member's clock is ahead of the load generator's
    clock_uncertainty_ns: int | None = _own()
    leader_after: str | None = _own()
    leader_id_after: str | None = _own()
    term_after: int | None = _own()
    heal_requested_wall_ns: int | None = _agents()
    process_started_wall_ns: int | None = _agents()
    healed_wall_ns: int | None = _taken(Stage.HEALED)
    healed_by: str | None = _taken(Stage.HEALED)  # request, dead man's switch, or the action where it comes back
    heal_index_called: int | None = _own()  # index of the operation that asked for the heal
    heal_error: str | None = _own()
    error: str | None = _agents()  # why the last heal failed
    # What the heal did to bring the member back into its group: {act, why, wall_ns} each.
    group_steps: list[dict[str, Any]] = field(
        default_factory=list, metadata={"agent": True, "folder": True, "stages": (Stage.HEALED,)}
    )
    # Of a choreography: the steps that were done, each with the ``wall_ns`` of who did it; the agent has its own ones.
    steps_done: list[dict[str, Any]] = field(default_factory=list, metadata={"agent": True, "folder": True})
    steps_ended: str | None = _own()  # why the others were not
    # By how much the member's wall clock was set between the last ping before the fault and the heal. The stamps here
    # are steady (clock.py); those of the server's log are not.
    clock_stepped_ns: int | None = _taken(Stage.HEALED)

    @classmethod
    def asked_for(cls, spec: FaultSpec, token: str) -> FaultRecord:
        """Return the record of a fault whose operation has not come yet."""
        return cls(
            spec.id,
            token,
            spec.action,
            spec.target,
            spec.heal,
            spec.isolate,
            spec.direction,
            spec.options,
            spec.to,
            steps=spec.steps,
            reason="the workload ended before this operation",
            index_asked=spec.at_index,
        )

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> FaultRecord:
        """Read what an agent answered, or a folder has; one of another version may lack keys, or have more."""
        return cls(**{name: given[name] for name in _NAMES & given.keys()})

    @classmethod
    def of(cls, fault: Mapping[str, Any]) -> FaultRecord | None:
        """Return the record of a fault in experiment.json; None where nothing was recorded of it."""
        record = fault.get("record")
        if not isinstance(record, Mapping):
            return None
        return cls.from_dict({"fault": fault["id"], "action": fault["action"], **record})

    def as_dict(self) -> dict[str, Any]:
        """Return the object that stands in experiment.json."""
        return {name: value for name, value in asdict(self).items() if name in _IN_FOLDER}

    def as_answer(self) -> dict[str, Any]:
        """Return what an agent answers, and keeps on disk."""
        return {name: value for name, value in asdict(self).items() if name in _OF_AGENT}

    @property
    def struck(self) -> str:
        """Return the member that it struck, of a fault that fired."""
        assert self.member is not None
        return self.member

    def take_over(self, done: FaultRecord, stage: Stage) -> None:
        """Note what the agent's record has of a stage."""
        for name in _TAKEN[stage]:
            setattr(self, name, getattr(done, name))

    def note_end(self, done: FaultRecord) -> list[Event]:
        """Note when the agent saw the process gone; return that as events: none where it was known, or did not."""
        if self.process_gone_wall_ns is not None or done.process_gone_wall_ns is None:
            return []
        self.take_over(done, Stage.ENDED)
        self.gone_ms = (done.process_gone_wall_ns - (done.signal_sent_wall_ns or 0)) / 1e6
        data = {"fault": self.fault, "member": done.struck, "pid": done.pid, "gone_ms": self.gone_ms}
        return [Event(done.process_gone_wall_ns, done.struck, "fault.process_gone", data)]

    def take_findings(self, done: FaultRecord) -> None:
        """Note what a heal found out of what was done, also one that did not bring the member back."""
        self.effect = done.effect or self.effect
        self.disk = done.disk or self.disk

    def disk_events(self) -> list[Event]:
        """Return the event that tells what the disk had: none where the heal did not look, or found nothing."""
        if self.disk is None or self.disk["had_wall_ns"] is None:
            return []
        told = {name: self.disk[name] for name in ("told", "had", "missing", "missing_of", "which", "unknown")}
        data = {"fault": self.fault, "member": self.struck, **told}
        return [Event(self.disk["had_wall_ns"], self.struck, "fault.disk_read", data)]

    def heal_events(self, **more: Any) -> list[Event]:
        """Return the events of its heal, as the agent stamped them: none where it is still held.

        :param more: data beside fault, member and by
        """
        if self.healed_wall_ns is None:
            return []
        data = {"fault": self.fault, "member": self.struck, **more, "by": self.healed_by}
        stamps = {"fault.heal_requested": self.heal_requested_wall_ns, "fault.healed": self.healed_wall_ns}
        healed = [Event(wall_ns, self.struck, name, data) for name, wall_ns in stamps.items() if wall_ns is not None]
        return [*self.disk_events(), *healed]


_FIELDS = fields(FaultRecord)
_NAMES = frozenset(entry.name for entry in _FIELDS)
_IN_FOLDER = frozenset(entry.name for entry in _FIELDS if "folder" in entry.metadata)
_OF_AGENT = frozenset(entry.name for entry in _FIELDS if "agent" in entry.metadata)
_TAKEN = {stage: tuple(entry.name for entry in _FIELDS if stage in entry.metadata.get("stages", ())) for stage in Stage}


def group_events(member: str, steps: Iterable[Mapping[str, Any]], fault: str | None) -> list[Event]:
    """Return the event of each step by which the lab brought a member back into its group.

    :param fault: id of the fault whose heal did it; None where the member held none
    """
    return [
        Event(
            step["wall_ns"],
            member,
            "group.step",
            {"member": member, "fault": fault, "act": step["act"], "why": step["why"]},
        )
        for step in steps
    ]
