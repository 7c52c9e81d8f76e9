"""From a labelled corpus to a trained network: corpus index, datasets, training."""

__version__ = "0.1.0"
