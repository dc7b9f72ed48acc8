# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Planting faults into recorded histories, to see that the checks catch and name each: docs/selftest.md."""
