"""The report: what a benchmark found, as one HTML file that needs nothing else."""
