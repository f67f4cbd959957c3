"""The demo: RetailCorp in a box, loaded by the platform, looked at in Dagster's UI."""
