"""The commands of `hum-slurm`: each parses, calls and sets the exit code; `hum_slurm.cli` lists them."""
