"""The lake: engine sessions, table names and locations, and the only code that writes tables."""
