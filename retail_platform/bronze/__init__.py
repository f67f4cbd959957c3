"""Bronze: every received row, as received, by the hour in which it was read."""
