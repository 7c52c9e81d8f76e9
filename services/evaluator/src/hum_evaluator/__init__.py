"""The evaluator: score tracks become selections, selections become metrics and cutouts."""

__version__ = "0.1.0"
