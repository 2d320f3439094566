"""Exported networks with their manifest and model cards; data only."""
