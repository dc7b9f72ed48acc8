# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lands the faults of a plan at their operations: finds the target, has its agent fire, and watches what follows."""
