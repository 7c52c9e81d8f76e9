"""A private one-node Slurm cluster with an ordinary user, for tests: nothing of it outlives the test run.

All of it lives in a mount and process namespace of its own. The first process there reads a pipe that this process
holds: when the tests end, in whatever way, the pipe closes, that process ends, and the kernel takes every process and
every mount of the namespace with it. Only a folder is left, which `stop` removes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
USER = "humtest"
_UID = 30042
# More than there may be (SlurmdParameters): a task that a test holds still takes a place and no time.
CPUS = 4
_PROGRAMS = ("unshare", "nsenter", "runuser", "munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")

_CONFIG = """\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
AuthType=auth/munge
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/slurmd
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
MaxArraySize=11
MinJobAge=3600
KillWait=5
JobCompType=jobcomp/filetxt
JobCompLoc={state}/jobcomp.log
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
ReturnToService=2
GresTypes=gpu
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=16000 Gres=gpu:A100:2 State=UNKNOWN
PartitionName=kisski  Nodes=ALL MaxTime=2-00:00:00 PriorityTier=1 GraceTime=10 State=UP
PartitionName=high    Nodes=ALL MaxTime=1:00:00    PriorityTier=10 State=UP
PartitionName=scc-cpu Nodes=ALL Default=YES MaxTime=2-00:00:00 PriorityTier=1 GraceTime=10 State=UP
"""

# Arguments: the cluster's folder, then folders that the user must be able to reach.
_MAKE_ROOM = """\
set -euo pipefail
folder=$1
shift
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/group" /etc/group
mount --bind "$folder/conf" /etc/slurm
mkdir -p /run/munge
mount -t tmpfs -o mode=0755 hum-munge /run/munge
chown munge:munge /run/munge
# An ancestor that others may not enter (/root, a private temporary folder) is covered by an open one that holds
# nothing but the way to the folder.
for needed in "$@"; do
    above=$needed
    closed=
    while [[ $above != / ]]; do
        above=$(dirname "$above")
        mode=$(stat -c %a "$above")
        if ((!(8#$mode & 1))); then closed=$above; fi
    done
    if [[ -n $closed ]]; then
        kept=$(mktemp -d "$folder/kept.XXXXXX")
        mount --rbind "$needed" "$kept"
        mount -t tmpfs -o mode=0755 hum-open "$closed"
        mkdir -p "$needed"
        mount --rbind "$kept" "$needed"
        umount --lazy "$kept"
        rmdir "$kept"
    fi
done
echo ready
while read -r _; do :; done
"""


class CannotRun(Exception):
    """This machine cannot hold a private cluster; the message says why."""


class PrivateCluster:
    """A running cluster and its user.

    Attributes
    ----------
    home
        The user's folder; workspaces of tests go below it.
    jobcomp
        Where finished jobs are written, one line each.
    """

    def __init__(self) -> None:
        self._check_machine()
        self.folder = Path(tempfile.mkdtemp(prefix="hum-hpc-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self._state = self.folder / "state"
        self.home = self.folder / "home"
        self.jobcomp = self._state / "jobcomp.log"
        self._keeper: subprocess.Popen[str] | None = None
        try:
            self._write_files()
            self._enter_namespace()
            self._start_daemons()
        except BaseException:
            self.stop()
            raise

    def run(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user and return what it printed; it is killed after `timeout` s."""
        return subprocess.run(
            self.user_command(*command, cwd=cwd, env=env),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            cwd="/",
        )

    def user_command(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the command line that runs a command as the user."""
        folders = [str(Path(sys.executable).parent), "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        if apptainer := shutil.which("apptainer"):
            folders.insert(1, str(Path(apptainer).parent))
        values = {
            "HOME": str(self.home),
            "USER": USER,
            "PATH": ":".join(folders),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder / "scratch"),
            **(env or {}),
        }
        assignments = [f"{key}={value}" for key, value in values.items()]
        where = f"--chdir={cwd or self.home}"
        return [*self._inside(), "runuser", "-u", USER, "--", "env", "-i", where, *assignments, *map(str, command)]

    def run_as_root(self, *command: str | Path) -> str:
        """Run a command as root within the cluster's namespace and return what it printed."""
        done = subprocess.run(
            [*self._inside(), *map(str, command)], capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def processes(self, argument: str, folder: Path | None = None) -> list[int]:
        """Return the ids of the user's processes with `argument` in their command line, oldest first.

        Parameters
        ----------
        argument
            A whole argument, or the end of a path.
        folder
            Where they work; None: anywhere.
        """
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                ours = process.stat().st_uid == _UID and (folder is None or (process / "cwd").readlink() == folder)
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # it has just ended
            if ours and any(word == argument or word.endswith(f"/{argument}") for word in words):
                found.append(int(process.name))
        return sorted(found)

    def give(self, path: Path) -> Path:
        """Make the user own a folder or file with all that is below it."""
        for entry in [path, *path.rglob("*")]:
            os.chown(entry, _UID, _UID, follow_symlinks=False)
        return path

    def cancel(self, jobs: Sequence[int]) -> None:
        """Cancel jobs and wait until none of them runs."""
        for options in ((), ("--full", "--signal=KILL")):
            # Those that have ended are errors to scancel.
            self.run_as_root("bash", "-c", 'scancel "$@" || true', "scancel", *options, *map(str, jobs))
        self.wait_for_jobs(jobs, 60)

    def wait_for_jobs(self, jobs: Sequence[int], timeout_s: float) -> None:
        """Wait until none of these jobs is queued or runs."""
        deadline = time.monotonic() + timeout_s
        ours = f"--jobs={','.join(map(str, jobs))}"
        while jobs and self.run_as_root("squeue", "--noheader", ours).strip():
            if time.monotonic() > deadline:
                raise TimeoutError(f"jobs after {timeout_s:.0f} s:\n{self.run_as_root('squeue', '--array', '--long')}")
            time.sleep(0.3)

    def logs(self) -> str:
        """Return the ends of the daemons' logs, for a failure's message."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-20:])
            for path in sorted(self._state.glob("*.log"))
        )

    def stop(self) -> None:
        """End every process and mount of the cluster and remove its folder."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            if keeper.stdin is not None:
                keeper.stdin.close()
            if keeper.stdout is not None:
                keeper.stdout.close()
            try:
                keeper.wait(timeout=20)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
        shutil.rmtree(self.folder)

    @staticmethod
    def _check_machine() -> None:
        if os.geteuid() != 0:
            raise CannotRun("a private Slurm cluster needs root (for its daemons, its user and its namespace)")
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if missing:
            raise CannotRun(f"not installed: {', '.join(missing)}. Run tests/hpc/machine/install-packages.")

    def _write_files(self) -> None:
        for name in ("state/ctld", "state/slurmd", "conf", "home", "scratch"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "scratch").chmod(0o1777)
        os.chown(self.home, _UID, _UID)
        host = socket.gethostname().partition(".")[0]
        config = _CONFIG.format(host=host, state=self._state, ctld_port=free_port(), slurmd_port=free_port(), cpus=CPUS)
        (self.folder / "conf" / "slurm.conf").write_text(config)
        (self.folder / "conf" / "gres.conf").write_text(f"NodeName={host} Name=gpu Type=A100 File=/dev/tty[0-1]\n")
        for name, line in {
            "passwd": f"{USER}:x:{_UID}:{_UID}::{self.home}:/bin/bash\n",
            "group": f"{USER}:x:{_UID}:\n",
        }.items():
            (self.folder / name).write_text(Path("/etc", name).read_text() + line)

    def _enter_namespace(self) -> None:
        needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT.resolve()]
        if "IMAGES" in os.environ:
            needed.append(Path(os.environ["IMAGES"]).resolve())
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
             "bash", "-c", _MAKE_ROOM, "keeper", str(self.folder), *map(str, needed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
        )  # fmt: skip
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "ready\n":
            raise CannotRun("the kernel lets us have no mount and process namespace of our own (see above)")

    def _start_daemons(self) -> None:
        munge = self._state / "munge"
        munge.mkdir()
        shutil.chown(munge, "munge", "munge")
        key = munge / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        shutil.chown(key, "munge", "munge")
        files = [f"--key-file={key}", *(f"--{name}-file={munge}/munged.{name}" for name in ("log", "pid", "seed"))]
        self._state.chmod(0o755)
        self.run_as_root("runuser", "-u", "munge", "--", "munged", "--force", *files)
        self.run_as_root("slurmctld")
        self.run_as_root("slurmd")
        deadline = time.monotonic() + 30
        while "idle" not in self._node_state():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node does not become idle: {self._node_state()}\n{self.logs()}")
            time.sleep(0.2)

    def _node_state(self) -> str:
        asked = subprocess.run(
            [*self._inside(), "sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
        )
        return (asked.stdout + asked.stderr).strip()

    def _inside(self) -> Sequence[str]:
        assert self._keeper is not None, "the cluster was stopped"
        children = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children").read_text().split()
        return ["nsenter", f"--target={children[0]}", "--mount", "--pid", "--"]


def free_port() -> int:
    """Return a port of the loopback address that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
