"""Where a command of hum-slurm works: the workspace, its settings and the site."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.config.workspace import WorkspaceSettings, format_settings, open_workspace, read_settings, with_roots
from hum_shared.errors import InputError
from hum_shared.layout import Benchmark, Workspace
from hum_slurm.plan import Plan
from hum_slurm.programs import ask, is_installed
from hum_slurm.site import Site, read_site
from hum_slurm.slurm_config import max_array_size, parse_config
from hum_slurm.stages import StageName

_USUAL_MAX_ARRAY_SIZE = 1001

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SET_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Context:
    """A workspace, what its `workspace.toml` says and the cluster it is meant for.

    `lacking_roots` are roots of the site that an existing `workspace.toml` lacks: services do not read site files, so
    the next factory adds them there. `given_site` is the site as a flag named it, which `workspace.toml` may not know.
    """

    workspace: Workspace
    settings: WorkspaceSettings
    site: Site
    lacking_roots: tuple[str, ...] = ()
    given_site: str | None = None

    @property
    def place_options(self) -> list[str]:
        """What tells a command that is started here which workspace is meant; nothing where it is this folder."""
        root = self.workspace.root
        return [] if root.resolve() == Path.cwd().resolve() else ["--workspace", str(root)]

    @property
    def site_options(self) -> list[str]:
        """What tells another factory which site is meant."""
        return [] if self.given_site is None else ["--site", self.given_site]

    def value(self, path: Path, plan: Plan) -> str:
        """Return `path` as a cfg or manifest value; one that would not survive a move is warned about.

        Raises
        ------
        InputError
            When it is no text.
        """
        _require_utf8(path)
        text = self.workspace.relative(path)
        if Path(text).is_absolute():
            # The workspace or the path may have been named through a link.
            real = Workspace(self.workspace.root.resolve(), self.workspace.roots).relative(path.resolve())
            text = text if Path(real).is_absolute() else real
        if Path(text).is_absolute():
            plan.warn(
                f"{text} lies outside the workspace and its roots, so the workspace cannot be moved. "
                f"Name its folder under [roots] in {self.workspace.settings_file.name}."
            )
        return text

    def given(self, flag: str | None, setting: str | None) -> Path | None:
        """Return the path a flag gives (relative to the current folder), else a setting (to the workspace)."""
        if flag is not None and not flag.startswith("{"):
            return Path(os.path.normpath(Path.cwd() / flag))
        text = flag or setting
        return None if text is None else self.workspace.resolve(text)

    def max_array_size(self) -> int:
        """Return the site's MaxArraySize: what its file says, else the cluster, else (no cluster here) 1001."""
        if self.site.file.max_array_size is not None:
            return self.site.file.max_array_size
        if not is_installed("scontrol"):
            return _USUAL_MAX_ARRAY_SIZE
        answer = ask("scontrol", "show", "config")
        return max_array_size(parse_config(answer.output)) if answer.exit_code == 0 else _USUAL_MAX_ARRAY_SIZE

    def start_plan(self) -> Plan:
        """Return a plan that first makes the folder a workspace, or adds the roots of its site to it."""
        plan = Plan()
        if not self.workspace.settings_file.exists():
            plan.files[self.workspace.settings_file] = format_settings(self.settings)
        self.add_lacking_roots(plan)
        return plan

    def add_lacking_roots(self, plan: Plan) -> None:
        """Plan to write roots of the site into a `workspace.toml` that lacks them.

        Raises
        ------
        CfgError
            When one is left to be filled in, or `workspace.toml` is written so that nothing can be added.
        """
        if self.lacking_roots:
            file, added = self.workspace.settings_file, ", ".join(self.lacking_roots)
            plan.files[file] = with_roots(file, self.site.filled_roots(self.lacking_roots))
            plan.warn(f"{file.name}: added what site {self.site.name} has under [roots]: {added}")


def open_context(root: Path, site_name: str | None = None) -> Context:
    """Return the context of a workspace folder, which need not exist yet.

    Parameters
    ----------
    root
        The workspace.
    site_name
        A site's name or file (relative to the current folder); None takes the workspace's.

    Raises
    ------
    CfgError
        When `workspace.toml` or the site file breaks a rule; for a new workspace also when a root of the site
        is left to be filled in. (For an existing one factories say that.)
    InputError
        When the workspace's path is no text.
    """
    root = Path(os.path.normpath(root.absolute()))
    _require_utf8(root)
    workspace, settings = open_workspace(root), read_settings(root)
    site = read_site(settings.site, root) if site_name is None else read_site(site_name, Path.cwd())
    if workspace.settings_file.exists():
        known = {*settings.roots, *(["data"] if os.path.lexists(workspace.data) else [])}
        lacking = tuple(name for name in site.file.roots if name not in known)
        filled = {name: root / site.file.roots[name] for name in lacking if site.is_filled(site.file.roots[name])}
        return Context(Workspace(root, {**filled, **workspace.roots}), settings, site, lacking, site_name)
    if site.name.endswith(".toml"):
        kept_name = workspace.relative(Path(os.path.normpath(Path.cwd() / site.name)))
    else:
        kept_name = site.name
    settings = settings.model_copy(update={"site": kept_name, "roots": site.filled_roots(site.file.roots)})
    roots = {name: root / folder for name, folder in settings.roots.items()}
    return Context(Workspace(root, roots), settings, site, given_site=site_name)


def _require_utf8(path: Path) -> None:
    """Check that a path can stand in cfgs, manifests and scripts."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode(errors="backslashreplace").decode()
        raise InputError(f"{shown}: a name in this path is no UTF-8, so no cfg can hold it. Rename it.") from None
    if _CONTROL.search(str(path)):
        raise InputError(f"{str(path)!r}: a name in this path holds a control character. Rename it.")


def is_set_name(text: str) -> bool:
    """Whether a text can name a set: it is then one folder's name."""
    return _SET_NAME.fullmatch(text) is not None


def benchmark_tree(context: Context, set_name: str | None, benchmark_root: str | None = None) -> Benchmark:
    """Return the benchmark tree that `--benchmark-root` and `--set` name.

    Raises
    ------
    InputError
        When the set's name could not be a folder's, or both options are given.
    """
    if set_name is not None and not is_set_name(set_name):
        raise InputError(f"--set {set_name}: a set's name holds letters, digits, _, - and dots only")
    if benchmark_root is None:
        return context.workspace.benchmark(set_name)
    if set_name is not None:
        raise InputError("--set and --benchmark-root both name a benchmark tree; give one of them")
    return Benchmark(context.workspace.resolve(os.path.normpath(benchmark_root)))


def set_option(context: Context, benchmark: Benchmark) -> list[str] | None:
    """Return the option that names a benchmark tree to other commands.

    Nothing for the benchmark itself; None for a tree that is no set of the workspace, which they cannot name.
    """
    if benchmark == context.workspace.benchmark():
        return []
    return ["--set", benchmark.root.name] if benchmark.root.parent == context.workspace.sets_root else None


def suggest_tasks(plan: Plan, context: Context, name: StageName, option: Sequence[str]) -> None:
    """Suggest the commands that run a stage's tasks: here, and on a cluster.

    Parameters
    ----------
    plan, context, name
        What was planned.
    option
        What names the set; empty for the benchmark itself.
    """
    plan.suggest("hum-slurm", "run", name, "--executor", "local", *option, *context.place_options)
    plan.suggest("hum-slurm", "submit", name, *option, *context.place_options)


def task_prefix(context: Context, benchmark: Benchmark) -> str:
    """Return what the tasks of a set start with, so that their progress is kept apart from the benchmark's."""
    return "" if benchmark == context.workspace.benchmark() else f"set-{benchmark.root.name}__"
