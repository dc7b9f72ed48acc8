# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The core of the lab: typed, plain Python that never imports Ansible.

Modules import it as ``ansible.module_utils.failover``, scripts and tests as
``failover`` (with ``module_utils/`` on the path). Inside, imports are relative.
"""
