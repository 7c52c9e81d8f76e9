"""The pipeline's tasks: factories that write them, executors that run them, on one machine or on a cluster."""

__version__ = "0.1.0"
