"""Stand-ins for Slurm's programs: sbatch hands out job ids and notes its arguments; squeue prints one of two files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from support.slurm_workspace import executable

_SBATCH = """\
#!{python}
import json, pathlib, sys
here = pathlib.Path({folder!r})
refuse = here / ("refuse-test" if "--test-only" in sys.argv else "refuse")
if refuse.exists() and refuse.read_text() in " ".join(sys.argv):
    print("sbatch: error: invalid partition", file=sys.stderr)
    sys.exit(1)
if "--test-only" in sys.argv:
    sys.exit(0)
log = here / "sbatch.jsonl"
job = 100 + (len(log.read_text().splitlines()) if log.exists() else 0)
with log.open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
print(job)
"""
_SACCT = '#!/bin/bash\necho "Slurm accounting storage is disabled" >&2; exit 1\n'
_SQUEUE = """\
#!/bin/bash
if [[ "$*" == *%o* ]]; then cat {folder}/commands.txt; else cat {folder}/squeue.txt; fi 2>/dev/null || true
"""
_SCONTROL = """\
#!/bin/bash
case "$*" in
    "show config") echo "MaxArraySize            = 1001"; echo "JobCompType             = jobcomp/none" ;;
    *partition*) echo "PartitionName=p Default=YES MaxTime=00:30:00 State=UP" ;;
esac
"""


def stand_in_slurm(folder: Path) -> str:
    """Write the programs into a folder without blanks in its name and return a PATH that begins with it."""
    values = {"python": sys.executable, "folder": str(folder)}
    executable(folder / "sbatch", _SBATCH.replace("{python}", sys.executable).replace("{folder!r}", repr(str(folder))))
    executable(folder / "sacct", _SACCT)
    executable(folder / "squeue", _SQUEUE.format(**values))
    executable(folder / "scontrol", _SCONTROL)
    return f"{folder}:{os.environ['PATH']}"
