# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the processes of further load generators join the one that leads the run.

Over TCP, in messages of :mod:`.channel`, before any other::

    lead  -> hello {session}                                   drawn for each connection
    joins -> join  {sealed: {session, own, generator, process, processes, digest}}
    lead  -> welcome {sealed: {session, own}}, or refused {reason}

Sealed is what :mod:`..agent.wire` says, with the lab's key: only who has it may join, and only one who has it is
joined. ``digest`` is of all that both have to have the same, see :func:`digest_of`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ..agent.wire import FrameError, seal, unseal
from ..shapes import LabError
from ..systems.endpoints import split_endpoint
from .channel import Channel, ChannelClosedError, Message
from .config import RunnerConfig

# How long one message of these may take, in s; of somebody who is not known yet, all of them.
MESSAGE_TIMEOUT_S = 5.0
# Longest message of somebody who is not known yet, in bytes.
LONGEST_BEFORE = 4096
# Time between two tries to reach the load generator that leads, in s.
RETRY_S = 0.25
# How often who waits for others looks whether the run is to end, in s.
LOOK_S = 0.25
# A host that has gone without a word is noticed after so long: seconds idle, between probes, and how many of these.
KEEPALIVE = (10, 5, 4)
# The same where what was sent is not confirmed, in ms: nothing is probed then, and the kernel tries on for 15 min.
UNANSWERED_MS = 30_000


@dataclass(frozen=True)
class Joining:
    """A process of a load generator."""

    generator: str  # the host's name
    process: int  # from 1
    processes: int  # of that host


def digest_of(config: RunnerConfig, others: Sequence[str], stream: str) -> str:
    """Return a digest of what all load generators of a run have to have the same.

    One that was started for an experiment before, and that nobody led, must not join the next one, though its stream is
    the same.

    :param stream: digest of the stream
    """
    same = [stream, config.experiment, config.key_prefix, config.target.system, asdict(config.settings), list(others)]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def listen(address: str) -> socket.socket:
    """Return a socket on which others may join; LabError where the address cannot be used."""
    host, port = split_endpoint(address)
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise LabError(
            f"The load generator cannot listen on {address} for the others: {(error.strerror or str(error)).lower()}; "
            "stop what does, or choose another port with load_generator_port"
        ) from error


def accept(
    listening: socket.socket,
    awaited: list[str],
    key: bytes,
    digest: str,
    *,
    timeout_s: float,
    ends: Callable[[], bool],
    joined: Callable[[Joining, Channel], None],
) -> None:
    """Wait until every process of every awaited load generator has joined.

    LabError where one has not in time. Who has another key or another digest is refused, and not waited for.

    :param ends: whether to give up at once
    :param joined: is given each process and its channel
    """
    open_: dict[str, set[int] | None] = dict.fromkeys(awaited)  # the processes that are still to come
    end_s = time.monotonic() + timeout_s
    listening.settimeout(LOOK_S)
    while any(rest is None or rest for rest in open_.values()):
        if ends():
            return
        if time.monotonic() > end_s:
            late = [name for name, rest in open_.items() if rest is None or rest]
            raise LabError(
                f"{', '.join(late)} did not join the load generator that leads within {timeout_s:.0f} s; see there "
                f"whether port {listening.getsockname()[1]} of it can be reached"
            )
        with suppress(TimeoutError):
            connection, _ = listening.accept()
            entered = _admit(connection, open_, key, digest)
            if entered is not None:
                joined(*entered)


def _admit(
    connection: socket.socket, open_: dict[str, set[int] | None], key: bytes, digest: str
) -> tuple[Joining, Channel] | None:
    """Let one process in, or send it away."""
    connection.settimeout(MESSAGE_TIMEOUT_S)
    channel = Channel(connection)
    channel.until_s = time.monotonic() + MESSAGE_TIMEOUT_S
    channel.longest, longest = LONGEST_BEFORE, channel.longest
    session = secrets.token_hex(16)
    try:
        channel.send("hello", session=session)
        asked = unseal(str(channel.receive().fields["sealed"]).encode(), key)
        joining = Joining(str(asked["generator"]), int(asked["process"]), int(asked["processes"]))
        if asked["session"] != session:
            raise FrameError("it answers another greeting")
        rest = _still_to_come(joining, open_)
        if asked["digest"] != digest:
            raise FrameError(
                "it was started for another experiment, or it makes another stream of operations; if no other run is "
                "under way, provision all load generators again"
            )
        channel.send("welcome", sealed=seal({"session": session, "own": asked["own"]}, key).decode())
    except (FrameError, KeyError, TypeError, ValueError, ChannelClosedError) as error:
        with suppress(ChannelClosedError):
            channel.send("refused", reason=str(error) or type(error).__name__)
        channel.close()
        return None
    open_[joining.generator] = rest - {joining.process}
    channel.longest = longest
    _keep_alive(channel)
    return joining, channel


def _still_to_come(joining: Joining, open_: dict[str, set[int] | None]) -> set[int]:
    """Return which processes of a load generator have not joined yet; FrameError where this one is none of them."""
    if joining.generator not in open_:
        raise FrameError(f"no load generator of the name {joining.generator} is awaited")
    rest = open_[joining.generator]
    if rest is None:
        rest = set(range(1, joining.processes + 1))
    if joining.process not in rest:
        raise FrameError(
            f"process {joining.process} of {joining.generator} is not awaited, or has joined already; start each once"
        )
    return rest


def join(lead: str, joining: Joining, key: bytes, digest: str, *, timeout_s: float) -> Channel:
    """Join the load generator that leads, which may not be there yet; LabError where that cannot be."""
    end_s = time.monotonic() + timeout_s
    while True:
        try:
            channel, hello = _greeted(lead)
            break
        except (OSError, ChannelClosedError) as error:
            if time.monotonic() > end_s:
                raise LabError(
                    f"{joining.generator} cannot reach the load generator that leads ({lead}): "
                    f"{(getattr(error, 'strerror', None) or str(error)).lower()}; open that port for it, or choose "
                    "another with load_generator_port"
                ) from None
            time.sleep(RETRY_S)
    own = secrets.token_hex(16)
    try:
        session = hello.fields["session"]
        asked: dict[str, Any] = {"session": session, "own": own, "digest": digest, **vars(joining)}
        channel.until_s = time.monotonic() + MESSAGE_TIMEOUT_S
        channel.send("join", sealed=seal(asked, key).decode())
        answer = channel.receive()
        if answer.name != "welcome":
            raise FrameError(str(answer.fields.get("reason", "it does not say why")))
        if unseal(str(answer.fields["sealed"]).encode(), key) != {"session": session, "own": own}:
            raise FrameError("its answer belongs to somebody else")
    except (FrameError, KeyError, TypeError, ChannelClosedError) as error:
        channel.close()
        raise LabError(f"{joining.generator} cannot join the load generator that leads ({lead}): {error}") from None
    _keep_alive(channel)
    return channel


def _greeted(lead: str) -> tuple[Channel, Message]:
    """Connect, and wait for the greeting, which comes late where somebody else is being greeted."""
    channel = Channel(socket.create_connection(split_endpoint(lead), timeout=MESSAGE_TIMEOUT_S))
    channel.until_s = time.monotonic() + MESSAGE_TIMEOUT_S
    try:
        return channel, channel.receive()
    except ChannelClosedError:
        channel.close()
        raise


def _keep_alive(channel: Channel) -> None:
    """Wait for messages without an end, but notice a host that has gone."""
    channel.until_s, connection = None, channel.connection
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle_s, interval_s, probes = KEEPALIVE
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
