# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be done to one machine, a file a mechanism: its service, its packets, its disk, its network.

Which of it is done to whom, and when, is decided elsewhere. The standard library only: this runs beside every member.
"""
