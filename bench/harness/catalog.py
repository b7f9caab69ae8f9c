# SPDX-License-Identifier: GPL-3.0-or-later
"""All contenders and all cells. A module of peers registers them; a module of cells has CELLS."""

from . import (cells, kafka_cells, peers_ats, peers_debian, peers_envoy,  # noqa: F401
               peers_grepplabs, peers_java, peers_sozu, pulsar_cells)
from .contenders import REGISTRY  # noqa: F401

CELLS = [*cells.CELLS, *pulsar_cells.CELLS, *kafka_cells.CELLS]
