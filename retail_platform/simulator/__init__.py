"""RetailCorp in a box: the platform's sources as real servers fed from real data.

Here belongs what stands in for a source system: databases, landing files, HTTP servers, and the
oracle that says what a right platform must hold after reading them. Nothing here imports the
lake, Spark, Dagster or the extractors: the simulator is the other side of the wire.

Reading order: :mod:`pack` (files) -> :mod:`shifts` (time) -> :mod:`world` (change log) ->
:mod:`databases`, :mod:`pos`, :mod:`ads_server` (what is served) -> :mod:`simulator` (the whole).
"""

from retail_platform.simulator.simulator import EndOfData, Simulator

__all__ = ["EndOfData", "Simulator"]
