"""Gold: the dbt project (`dbt/`) and the Dagster assets that build it, hour by hour.

What belongs here: facts, dimensions and marts for readers. Not here: engine sessions and table
registration (`lakehouse`), and any cleaning of data (`silver`).
"""
