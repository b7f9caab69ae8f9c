# SPDX-License-Identifier: GPL-3.0-or-later
"""All contenders and all cells. A module of peers registers them; a module of cells has CELLS."""

from . import (cells, peers_ats, peers_debian, peers_envoy, peers_java, peers_sozu,  # noqa: F401
               pulsar_cells)
from .contenders import REGISTRY  # noqa: F401

CELLS = [*cells.CELLS, *pulsar_cells.CELLS]
