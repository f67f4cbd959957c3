"""Extraction: one module per kind of source, each turning a window into Arrow record batches."""
