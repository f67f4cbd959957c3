"""RetailCorp's data platform: sources to Bronze, Silver and Gold Delta tables, as one Dagster graph."""
