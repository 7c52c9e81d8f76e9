"""`hum-evaluator`, also as `python -m hum_evaluator`: imports nothing that takes time before Ctrl-C is minded."""

import sys

from hum_shared.command import run_app


def main() -> None:
    """Run the command line and exit with the pipeline's exit codes."""
    sys.exit(run_app("hum_evaluator.cli"))


if __name__ == "__main__":
    main()
