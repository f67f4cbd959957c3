"""What the platform knows about its tables: rows of metadata and data contracts, read from YAML."""
