"""`hum-rf-filter`, also as `python -m hum_rf_filter`: imports nothing that takes time before Ctrl-C is minded."""

import sys

from hum_shared.command import run_app


def main() -> None:
    """Run the command line and exit with the pipeline's exit codes."""
    sys.exit(run_app("hum_rf_filter.cli"))


if __name__ == "__main__":
    main()
