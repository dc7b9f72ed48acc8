# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The failover client of etcd."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .etcd_adapter import DiscoveredMember, EtcdMember, is_refused
from .failover_policy import AttemptFailedError, Emit, FailoverClient, FailoverPolicy, emit_nothing
from .shapes import LabError


class ClientWithFailover(FailoverClient[EtcdMember]):
    """A client of an etcd cluster that learns the members from one of them and survives the loss of the one in use.

    A channel to every member is opened at the start, so that failing over costs no connect. For one thread.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        policy: FailoverPolicy | None = None,
        emit: Emit = emit_nothing,
        seeds: Sequence[str] = (),
        stop: threading.Event | None = None,
        jitter_seed: int = 0,
    ) -> None:
        """Connect to ``host:port`` and discover the members.

        :param seeds: "host:port" of members to ask where that one does not answer

        LabError where none answers.
        """
        policy = policy if policy is not None else FailoverPolicy()
        seed, own_id, discovered = _discover([f"{host}:{port}", *seeds], policy)
        seed.member_id = own_id
        members = [seed]
        for entry in discovered:
            if entry.member_id == own_id:
                seed.name = entry.name
            elif entry.endpoints:
                members.append(EtcdMember(entry.endpoints[0], policy, entry.member_id, entry.name))
        super().__init__(members, policy, emit, stop=stop, jitter_seed=jitter_seed)
        # The members that the client has found to be gone during the failover under way.
        self._gone: set[int] = set()
        self._waits_for_election = False
        connecting = [member.start_connecting() for member in members]
        # Waits for each; one that is down is found out here, and when it is needed.
        down = [member.endpoint for member, future in zip(members, connecting, strict=True) if future.exception()]
        emit(
            "client.members_discovered",
            {
                "members": {member.name or member.endpoint: member.endpoint for member in members},
                "asked": seed.endpoint,
                "down": down,
            },
        )
        emit("client.connected", {"endpoint": seed.endpoint, "member": seed.name})

    def _is_worth_trying(self, member: EtcdMember) -> bool:
        """Pass over a member that would send the request to a leader whose process is gone.

        A follower forwards requests to the leader that it knows, and notices that leader's death only after an election
        timeout. Until then each request to it would be lost, and its outcome unknown. So it is asked whom it follows,
        which it answers at once; and that leader counts as gone only where its port refuses connections. A leader that
        merely does not answer (a partition between it and this client, say) may well work for its followers.
        """
        try:
            leader_id = member.following().leader_id
        except AttemptFailedError as failure:
            if is_refused(failure.reason):
                self._gone.add(member.member_id)
            return False
        self._gone.discard(member.member_id)
        if leader_id == member.member_id or (leader_id != 0 and not self._is_gone(leader_id)):
            return True
        if not self._waits_for_election:
            self._waits_for_election = True
            self._emit("client.waits_for_election", {"endpoint": member.endpoint})
        return False

    def _is_gone(self, leader_id: int) -> bool:
        if leader_id in self._gone:
            return True
        leader = next((member for member in self._members if member.member_id == leader_id), None)
        if leader is None:
            return False
        try:
            leader.following()
        except AttemptFailedError as failure:
            if is_refused(failure.reason):
                self._gone.add(leader_id)
                return True
        return False

    def _note_success(self, member: EtcdMember) -> None:
        self._gone.clear()
        self._waits_for_election = False
        super()._note_success(member)


def _discover(endpoints: Sequence[str], policy: FailoverPolicy) -> tuple[EtcdMember, int, list[DiscoveredMember]]:
    """Return the first member that answers, its id, and all members that it knows."""
    reasons = []
    for endpoint in dict.fromkeys(endpoints):
        member = EtcdMember(endpoint, policy)
        try:
            own_id, discovered = member.member_list()
        except AttemptFailedError as failure:
            member.close()
            reasons.append(f"{endpoint}: {failure.reason}")
            continue
        return member, own_id, discovered
    raise LabError(
        f"No member of etcd answers ({'; '.join(reasons)}). Check the addresses, and systemctl status etcd there; "
        "./scripts/lab up starts the members."
    )
