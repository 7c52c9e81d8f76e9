"""Acoustic features of selections, and a Random Forest that tells hums from noise by them."""

__version__ = "0.1.0"
