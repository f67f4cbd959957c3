"""The control database: what was loaded, which files are known, which schemas were seen.

Operational state only. Data belongs to the lake, settings to the environment, rules to the catalog.
"""
