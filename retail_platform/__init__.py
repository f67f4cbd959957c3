"""RetailCorp's data platform: sources to Bronze, Silver and Gold tables, as one Dagster graph."""
