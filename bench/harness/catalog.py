# SPDX-License-Identifier: GPL-3.0-or-later
"""All contenders and all cells. A module of peers registers them; a module of cells has CELLS."""

from . import cells, peers_debian, peers_ats, peers_envoy, peers_sozu  # noqa: F401
from .contenders import REGISTRY  # noqa: F401

CELLS = [*cells.CELLS]
