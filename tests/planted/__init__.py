# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole synthetic results folder, valid unless a defect is planted in it.

The operations of the real generator run against a store in memory, with latencies drawn from a seeded
source; E2-etcd loses its leader at 12 % of the stream. :func:`.run.make_run` returns what was planted where,
so that a test can ask whether the checkers name exactly that.
"""
