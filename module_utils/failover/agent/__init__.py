# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent on each member's host, which injects and heals faults there, and how the load generator talks to it.

It knows actions by their contract only. Who talks to it imports ``wire`` and nothing else of this folder.
"""
