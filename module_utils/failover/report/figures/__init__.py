# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures, as SVG for a page 170 mm wide. They draw what ``content`` computed and compute nothing themselves.

Every distinction is made twice: by a colour of Okabe and Ito's palette (told apart by colour-blind readers)
and by line style or marker (told apart in a grey print). The same input gives the same bytes.
"""
