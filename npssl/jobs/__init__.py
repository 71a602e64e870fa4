"""Whole runs from Python: data, task, training and evaluation joined."""
