"""Observed instances as arrays: text and its vocabulary, data sets by name; no import fetches."""
