"""Schemas and contracts that every package of the pipeline shares."""

__version__ = "0.1.0"
