"""Scores recordings with a trained network: recording → score track."""

__version__ = "0.1.0"
