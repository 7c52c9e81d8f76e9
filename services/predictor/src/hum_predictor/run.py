"""One prediction run: find recordings, score those that need it, isolate those that cannot be scored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hum_predictor.latent import LatentWriter, latent_writer, made_from
from hum_predictor.shards import parse_shard, shard_of
from hum_predictor.text_log import has_settings, write_text_log
from hum_predictor.track_meta import described, is_current
from hum_predictor.track_scorers import Rows, TrackScorer, track_scorer
from hum_shared import layout, names
from hum_shared.audio import AudioInfo, mono_blocks, probe
from hum_shared.command import say, warn
from hum_shared.config.cfg import read_cfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import AudioError, HumError, ModelError, NameFormatError, PartialFailure
from hum_shared.files import name_that_fits, remove, sha256_file, write_json
from hum_shared.layout import FAILURES
from hum_shared.model.device import choose_device, describe, exact_float32, supports_bfloat16
from hum_shared.model.model_file import load_model
from hum_shared.model.model_parts import DenseModel, LoadedModel
from hum_shared.progress import Progress, track
from hum_shared.read_ahead import read_ahead
from hum_shared.recordings import find_recordings
from hum_shared.scores import ScoreMeta, read_score_meta, read_score_track, score_writer
from hum_shared.stopping import StopRequest


@dataclass(frozen=True)
class _Job:
    """Everything a run needs to score one recording."""

    cfg: PredictionCfg
    cfg_sha256: str
    model: LoadedModel | DenseModel
    model_path: Path
    scorer: TrackScorer
    output_dir: Path
    log_dir: Path


def run_prediction(
    cfg_path: Path,
    *,
    shard: str | None = None,
    device: str | None = None,
    progress_file: Path | None = None,
    stop: StopRequest | None = None,
) -> None:
    """Score the recordings of a predict.cfg; see `hum-predictor run --help`.

    Parameters
    ----------
    stop
        Asked between windows whether to stop; None listens for signals.

    Raises
    ------
    InputError
        Bad cfg or model, nothing to score.
    MachineError
        No GPU where one was asked for.
    PartialFailure
        Some recordings could not be scored; they stand in ``failures.json`` with the reason.
    Stopped
        On SIGUSR1 or SIGTERM; finished score tracks are kept.
    """
    stop = stop or StopRequest().install()
    cfg = read_cfg(cfg_path, PredictionCfg)
    workspace = workspace_of(cfg_path)
    recordings = find_recordings(workspace.resolve(cfg.input_file), recursive=cfg.recursive)
    failures_name = FAILURES
    infos: dict[Path, AudioInfo | HumError] = {path: _probe(path) for path in recordings}
    if shard is not None:
        number, n_shards = parse_shard(shard)
        recordings = shard_of(recordings, {p: _dur_s(infos[p]) for p in recordings}, number, n_shards)
        failures_name = f"failures_{number}of{n_shards}.json"
    job = _prepare(cfg, cfg_path, workspace, device)
    _warn_of_others(job.output_dir, infos)
    failures: dict[str, str] = {}
    scored, passed_s = 0, 0.0
    total_s = sum(_dur_s(infos[path]) for path in recordings)
    with track("predict", cfg_path.parent.name, "s of audio", total_s, progress_file) as progress:
        # While one recording is scored the next is already read for its digest: a GPU does not wait for that.
        with contextlib.closing(read_ahead(_digests(recordings, infos), depth=1)) as digests:
            for path, read in zip(recordings, digests, strict=True):
                stop.check(f"{scored} recordings scored so far are kept")
                passed_s += _dur_s(infos[path])
                try:
                    with name_that_fits(path.name):
                        scored += _score_if_needed(path, infos[path], read, job, progress, stop)
                except (AudioError, NameFormatError) as error:
                    failures[names.shown(path.name)] = str(error)
                    warn(str(error))
                progress.advance(passed_s - progress.done)  # what no window holds, or was not read of a broken file
        split = FAILURES if shard is None else f"failures_*of{n_shards}.json"
        for earlier in job.output_dir.glob("failures*.json"):
            if not earlier.match(split):  # of a run that parted the recordings otherwise; shards may run side by side
                earlier.unlink(missing_ok=True)
        _write_failures(job.output_dir / failures_name, failures)
        if failures:
            raise PartialFailure(
                f"{len(failures)} of {len(recordings)} recordings could not be scored; "
                f"reasons: {job.output_dir / failures_name}"
            )
        kept = f"{len(recordings) - scored} were up to date"
        progress.message = f"{scored} recordings scored, {kept}" if scored else f"nothing to do: {kept}"
        say(f"{progress.message}: {job.output_dir}")


def _warn_of_others(output_dir: Path, recordings: Iterable[Path]) -> None:
    """Warn of score tracks of recordings that are not scored here (any more): they would be evaluated, too."""
    wanted = {layout.score_file(output_dir, path.name) for path in recordings}
    found = output_dir.glob(f"[!.]*{layout.SCORE_SUFFIX}")
    others = sorted(path for path in found if path not in wanted)
    if others:
        warn(
            f"{output_dir}: holds {len(others)} score tracks of recordings that input_file does not name, the first is "
            f"{others[0].name}; they are evaluated with the others. Remove them if their recordings are gone"
        )


def _prepare(cfg: PredictionCfg, cfg_path: Path, workspace: layout.Workspace, device_option: str | None) -> _Job:
    device = choose_device(device_option or cfg.device, no_cuda=cfg.no_cuda)
    precision = cfg.precision
    if precision == "bfloat16" and not supports_bfloat16(device):
        warn(f"precision=bfloat16: this {device.type} has no bfloat16 arithmetic; scoring in float32")
        precision = "float32"
    if cfg.num_workers:
        torch.set_num_threads(cfg.num_workers)
    exact_float32()
    model_path = workspace.resolve(cfg.model_path)
    model = load_model(model_path, jit=cfg.jit_load)
    _check_settings(cfg, model, cfg_path)
    scorer = track_scorer(model, cfg, device, precision, torch.get_num_threads())
    say(f"model {model_path} on {describe(device, precision)}")
    output_dir = workspace.resolve(cfg.output_dir)
    log_dir = workspace.resolve(cfg.log_dir) if cfg.log_dir else output_dir
    return _Job(cfg, cfg.digest(), model, model_path, scorer, output_dir, log_dir)


def _check_settings(cfg: PredictionCfg, model: LoadedModel | DenseModel, cfg_path: Path) -> None:
    opts = model.data_opts
    if opts.min_max_norm is not None and opts.min_max_norm != cfg.min_max_norm:
        raise ModelError(
            f"{cfg_path}: min_max_norm={str(cfg.min_max_norm).lower()}, but the model was trained with "
            f"min_max_norm={str(opts.min_max_norm).lower()}. Use the same."
        )
    if opts.sequence_len_ms is not None and abs(opts.sequence_len_ms - cfg.sequence_len * 1000) > 1e-6:
        warn(
            f"{cfg_path}: sequence_len {cfg.sequence_len:g} s, but the model was trained on windows of "
            f"{opts.sequence_len_ms / 1000:g} s; scores may be worse"
        )


@dataclass(frozen=True)
class _Digest:
    """The SHA-256 of a recording, and of which file under its name that is."""

    sha256: str = ""
    stamp: tuple[int, ...] = ()


def _digests(recordings: Sequence[Path], infos: dict[Path, AudioInfo | HumError]) -> Iterator[_Digest]:
    """Yield the digest of each recording; of one that cannot be read an empty one, and why goes into `infos`."""
    for path in recordings:
        digest = _Digest()
        if not isinstance(infos[path], HumError):
            try:
                stamp = _stamp(path)
                digest = _Digest(sha256_file(path), stamp)
            except OSError as error:
                infos[path] = AudioError(f"{path}: cannot be read ({error.strerror}). Check that it is there.")
        yield digest


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _score_if_needed(
    path: Path, info: AudioInfo | HumError, digest: _Digest, job: _Job, progress: Progress, stop: StopRequest
) -> bool:
    """Bring all outputs of one recording up to date; return whether it was scored."""
    if isinstance(info, HumError):
        raise info
    meta, rows = described(path, info, digest.sha256, job.model, job.scorer, job.cfg_sha256)
    score_path = layout.score_file(job.output_dir, path.name)
    latent_path = score_path.with_name(names.recording_stem(path.name) + "_latent.parquet")
    current = is_current(score_path, meta)
    if job.cfg.latent_extract:
        current = current and made_from(latent_path) == meta.inputs_sha256
    if job.cfg.debug:
        state = "up to date" if current else "to be scored"
        say(f"{path.name}: {info.frames} samples at {info.sample_rate} Hz, {meta.n_rows} {meta.kind}s, {state}")
    if current:
        progress.skip(info.dur_s, path.name)
    else:
        progress.message = path.name
        _score(path, digest, score_path, latent_path, meta, rows, job, progress, stop)
    _write_extras(path, score_path, job)
    return not current


def _score(
    path: Path, digest: _Digest, score_path: Path, latent_path: Path, meta: ScoreMeta, rows: Rows, job: _Job,
    progress: Progress, stop: StopRequest,
) -> None:  # fmt: skip
    if probe(path).frames != meta.frames:
        raise AudioError(f"{path}: has become longer or shorter since the run began. Run again when it is complete.")
    blocks = read_ahead(mono_blocks(path, job.cfg.block_seconds, meta.model_rate))
    with score_writer(score_path, meta) as writer, _latent(latent_path, meta, job.cfg) as latents:
        for part in rows.score(blocks):
            start_s, end_s = rows.times_s(part.first, part.first + len(part.probs))
            finite = np.isfinite(part.probs).all(axis=1)
            if not finite.all():
                at_s = start_s[np.argmin(finite)]
                raise AudioError(
                    f"{path}: scores are NaN at {at_s:.3f} s: samples far beyond full scale. Normalise it."
                )
            writer.append(start_s, end_s, part.probs)
            if latents is not None and part.latent is not None:
                latents.append(start_s, end_s, part.latent)
            progress.advance(len(part.probs) * meta.step / meta.model_rate)
            stop.check(f"{path.name} was left unscored, what was finished before is kept")
        if _stamp(path) != digest.stamp:
            raise AudioError(f"{path}: has been replaced since the run began. Run again when it is complete.")
        if job.cfg.legacy_log:  # it is written anew; killed in between, the next run must not take the old one for it
            layout.log_file(job.log_dir, path.name).unlink(missing_ok=True)


@contextlib.contextmanager
def _latent(path: Path, meta: ScoreMeta, cfg: PredictionCfg) -> Iterator[LatentWriter | None]:
    if not cfg.latent_extract:
        yield None
        return
    with latent_writer(path, meta.inputs_sha256) as writer:
        yield writer


def _write_extras(path: Path, score_path: Path, job: _Job) -> None:
    """Write what is made from the score track, text log and picture, where it is missing or older."""
    cfg = job.cfg
    log_path = layout.log_file(job.log_dir, path.name)
    picture_path = _picture(score_path, path)
    if cfg.legacy_log:
        said: dict[str, Any] = {"recording": path, "model": job.model_path, "data_opts": job.model.raw_data_opts}
        if not (_is_newer(log_path, score_path) and has_settings(log_path, read_score_meta(score_path), cfg, **said)):
            write_text_log(log_path, read_score_track(score_path), cfg, **said)
    if cfg.visualize:
        from hum_predictor.pictures import is_picture_of, write_picture  # matplotlib only where a picture is wanted

        if not is_picture_of(picture_path, read_score_meta(score_path), cfg.threshold):
            scores = read_score_track(score_path)
            write_picture(picture_path, path, scores, block_s=cfg.block_seconds, threshold=cfg.threshold)


def _picture(score_path: Path, recording: Path) -> Path:
    return score_path.with_name(names.recording_stem(recording.name) + "_predict_output.png")


def _is_newer(path: Path, score_path: Path) -> bool:
    return path.exists() and path.stat().st_mtime_ns >= score_path.stat().st_mtime_ns


def _write_failures(path: Path, failures: dict[str, str]) -> None:
    if failures:
        write_json(path, failures)
    else:
        remove(path)


def _probe(path: Path) -> AudioInfo | HumError:
    try:
        names.parse_recording(path.name)
        return probe(path)
    except (AudioError, NameFormatError) as error:
        return error


def _dur_s(info: AudioInfo | HumError) -> float:
    return info.dur_s if isinstance(info, AudioInfo) else 0.0
