import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hum_evaluator import cutouts
from hum_evaluator.cutout_record import CutoutRecord
from hum_evaluator.cutouts import cut
from hum_shared.errors import InputError, PartialFailure, Stopped
from hum_shared.stopping import StopRequest

RATE = 44_100
CLIP = "387_20201207_cut.wav_900_1800.wav"
HOSTILE = "Ä weide.v2 'x' $HOME \"q\" [1].wav"


def write_index(run, entries, stage="evaluation", meta=None):
    path = run / stage / "index.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"uid": uid, "pred_path": "evaluation/annotations/x.txt", "tape": "x.wav", "dur_s": 0.1, **entry}
        for uid, entry in enumerate(entries, start=1)
    ]
    path.write_text(json.dumps({"meta": meta or {}, "entries": rows}), encoding="utf-8")


def selection(recording, start_s, end_s, **more):
    return {"recording": recording, "start_s": start_s, "end_s": end_s, **more}


def write_recording(path, subtype="PCM_16", channels=1, seconds=2.0, file_format=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, (round(seconds * RATE), channels))
    soundfile.write(path, sound, RATE, subtype=subtype, format=file_format)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("subtype", "dtype"),
    [("PCM_16", "int16"), ("PCM_24", "int32"), ("PCM_32", "int32"), ("FLOAT", "float32"), ("PCM_U8", "int16")],
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_samples_format_and_channels_are_kept_bit_for_bit(tmp_path, subtype, dtype, channels):
    write_recording(tmp_path / "audio" / CLIP, subtype, channels)
    write_index(tmp_path / "run", [selection(CLIP, 0.1234, 0.8)])
    cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    path = tmp_path / "run/evaluation/cutouts/387_20201207_cut.wav_900_1800_123ms_800ms.wav"
    found, rate = soundfile.read(path, dtype=dtype, always_2d=True)
    whole, _ = soundfile.read(tmp_path / "audio" / CLIP, dtype=dtype, always_2d=True)
    np.testing.assert_array_equal(found, whole[round(0.1234 * RATE) : round(0.8 * RATE)])
    assert (rate, soundfile.info(path).subtype, soundfile.info(path).format) == (RATE, subtype, "WAV")


def test_float_samples_beyond_full_scale_are_kept(tmp_path):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / CLIP, np.linspace(-3, 3, RATE), RATE, subtype="FLOAT")
    write_index(tmp_path / "run", [selection(CLIP, 0.0, 0.5)])
    done = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    (path,) = done.folder.iterdir()
    whole = soundfile.read(tmp_path / "audio" / CLIP, dtype="float32")[0]
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0], whole[: RATE // 2])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_becomes_wav_without_loss(tmp_path, subtype):
    name = "a.b.FLAC"
    write_recording(tmp_path / "audio" / name, subtype, file_format="FLAC")
    write_index(tmp_path / "run", [selection(name, 0.5, 1.0)])
    cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    path = tmp_path / "run/evaluation/cutouts/a.b_500ms_1000ms.wav"
    whole = soundfile.read(tmp_path / "audio" / name, dtype="int32")[0]
    np.testing.assert_array_equal(soundfile.read(path, dtype="int32")[0], whole[RATE // 2 : RATE])
    assert soundfile.info(path).subtype == subtype


@pytest.mark.parametrize(("suffix", "subtype"), [(".mp3", "MPEG_LAYER_III"), (".ogg", "VORBIS")])
def test_lossy_recordings_become_16_bit_wav_at_the_right_place(tmp_path, suffix, subtype):
    name = f"lossy{suffix}"
    (tmp_path / "audio").mkdir()
    time_s = np.arange(10 * RATE) / RATE
    sound = 0.5 * np.sin(2 * np.pi * (200 + 100 * time_s) * time_s)
    soundfile.write(tmp_path / "audio" / name, sound, RATE, subtype=subtype)
    write_index(tmp_path / "run", [selection(name, 6.5, 7.25), selection(name, 1.0, 1.5)])
    done = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    whole = soundfile.read(tmp_path / "audio" / name)[0]
    for path, start_s, end_s in (("lossy_6500ms_7250ms.wav", 6.5, 7.25), ("lossy_1000ms_1500ms.wav", 1.0, 1.5)):
        found = soundfile.read(done.folder / path)[0]
        np.testing.assert_allclose(found, whole[round(start_s * RATE) : round(end_s * RATE)], atol=2e-4)
        assert soundfile.info(done.folder / path).subtype == "PCM_16"


def test_filtered_selections_carry_their_probability(tmp_path):
    write_recording(tmp_path / "audio" / HOSTILE)
    write_index(tmp_path / "run", [selection(HOSTILE, 0.5, 1.25, rf_prob=0.87654)], stage="postrf")
    done = cut(tmp_path / "run", "postrf", tmp_path / "audio", tmp_path / "out")
    assert done.folder == tmp_path / "out"
    assert names_in(tmp_path / "out") == [HOSTILE.removesuffix(".wav") + "_500ms_1250ms_rf0.877.wav"]


def test_recordings_are_found_by_full_name_below_the_folder(tmp_path):
    write_recording(tmp_path / "audio/year 2020/a.wav.wav", seconds=1)
    write_recording(tmp_path / "audio/a.wav", seconds=0.1)
    write_index(tmp_path / "run", [selection("a.wav.wav", 0.5, 0.75)])
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 1


def test_an_old_index_is_cut_by_the_name_of_its_table(tmp_path):
    write_recording(tmp_path / "audio/a.b.flac")
    table = "evaluation/annotations/a.b_predict_output.log.annotation.result.txt"
    write_index(tmp_path / "run", [selection(None, 0.5, 0.75, pred_path=table)])
    done = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    assert names_in(done.folder) == ["a.b_500ms_750ms.wav"]


def test_a_second_run_keeps_what_is_there(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    done = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    (path,) = done.folder.iterdir()
    before = path.stat().st_mtime_ns
    progress_file = tmp_path / "progress.json"
    again = cut(tmp_path / "run", "evaluation", tmp_path / "audio", progress_file=progress_file)
    assert (again.n_new, again.n_kept, path.stat().st_mtime_ns) == (0, 1, before)
    assert json.loads(progress_file.read_text(encoding="utf-8"))["message"].startswith("nothing to do")


def test_a_selection_that_ends_behind_the_recording_is_cut_at_its_end(tmp_path):
    write_recording(tmp_path / "audio" / CLIP, seconds=1.0)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.001)])
    done = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    (path,) = done.folder.iterdir()
    assert soundfile.info(path).frames == RATE - round(0.5 * RATE)


def missing(_folder):
    pass


def not_audio(folder):
    (folder / HOSTILE).write_bytes(b"no sound")


def truncated(folder):
    write_recording(folder / HOSTILE)
    (folder / HOSTILE).write_bytes((folder / HOSTILE).read_bytes()[:5000])


def too_short(folder):
    write_recording(folder / HOSTILE, seconds=0.1)


def twice(folder):
    write_recording(folder / HOSTILE)
    write_recording(folder / "copy" / HOSTILE)


@pytest.mark.parametrize("trouble", [missing, not_audio, truncated, too_short, twice], ids=lambda f: f.__name__)
def test_trouble_with_one_recording_leaves_the_others_alone(tmp_path, trouble):
    audio = tmp_path / "audio"
    write_recording(audio / CLIP)
    trouble(audio)
    write_index(tmp_path / "run", [selection(HOSTILE, 0.5, 1.0), selection(CLIP, 0.5, 1.0)])
    with pytest.raises(PartialFailure, match="1 of 2 recordings failed"):
        cut(tmp_path / "run", "evaluation", audio)
    folder = tmp_path / "run/evaluation/cutouts"
    assert names_in(folder) == ["387_20201207_cut.wav_900_1800_500ms_1000ms.wav", "failures.json"]
    assert list(json.loads((folder / "failures.json").read_text(encoding="utf-8"))) == [HOSTILE]


def test_a_selection_without_sound_does_not_cost_the_others(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, *at_s) for at_s in ((0.1, 0.2), (0.5, 0.5), (9.0, 9.5), (1.0, 1.5))])
    with pytest.raises(PartialFailure):
        cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    folder = tmp_path / "run/evaluation/cutouts"
    assert [name for name in names_in(folder) if name.endswith(".wav")] == [
        f"{CLIP.removesuffix('.wav')}_1000ms_1500ms.wav", f"{CLIP.removesuffix('.wav')}_100ms_200ms.wav"
    ]  # fmt: skip
    (reason,) = json.loads((folder / "failures.json").read_text(encoding="utf-8")).values()
    assert "from 0.5 to 0.5 s (and 1 more) is empty or lies outside the recording" in str(reason)
    cut_at = (folder / f"{CLIP.removesuffix('.wav')}_100ms_200ms.wav").stat().st_mtime_ns
    with pytest.raises(PartialFailure):
        cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    assert (folder / f"{CLIP.removesuffix('.wav')}_100ms_200ms.wav").stat().st_mtime_ns == cut_at


def test_failures_are_forgotten_once_all_is_well(tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    with pytest.raises(PartialFailure):
        cut(tmp_path / "run", "evaluation", audio)
    write_recording(audio / CLIP)
    done = cut(tmp_path / "run", "evaluation", audio)
    assert names_in(done.folder) == ["387_20201207_cut.wav_900_1800_500ms_1000ms.wav"]


def test_without_a_folder_of_recordings_the_remedy_is_named(tmp_path):
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    with pytest.raises(InputError, match="--audio-dir"):
        cut(tmp_path / "run", "evaluation")
    with pytest.raises(InputError, match="no such folder"):
        cut(tmp_path / "run", "evaluation", tmp_path / "nowhere")


@pytest.mark.parametrize("recordings", ["data/Ä audio", "data/Ä audio/*.wav", f"data/Ä audio/{CLIP}"])
def test_a_run_of_a_workspace_knows_the_recordings_it_was_predicted_on(tmp_path, monkeypatch, recordings):
    (tmp_path / "workspace.toml").touch()
    write_recording(tmp_path / "data/Ä audio" / CLIP)
    cfg = tmp_path / "BENCHMARK/cfg/model/len400_hop050_th90/predict.cfg"
    cfg.parent.mkdir(parents=True)
    cfg.write_text(f"model_path=m.pk\noutput_dir=o\ninput_file={recordings}\nsequence_len=0.4\nhop=0.05\n", "utf-8")
    write_index(tmp_path / "BENCHMARK/runs/model/len400_hop050_th90", [selection(CLIP, 0.5, 1.0)], stage="postrf")
    monkeypatch.chdir(tmp_path / "BENCHMARK/runs/model")
    assert cut(Path("len400_hop050_th90"), "postrf").n_new == 1


def test_a_run_without_selections_has_a_folder_without_cutouts(tmp_path):
    """`hum-slurm status` looks for it."""
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [])
    made = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    assert (made.n_new, made.n_kept) == (0, 0)
    assert list((tmp_path / "run/evaluation/cutouts").iterdir()) == []


def test_a_stage_that_has_not_run_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        cut(tmp_path / "run", "postrf", tmp_path)


def test_a_stopped_run_goes_on_later(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    stop = StopRequest()
    stop.signal_name = "SIGUSR1"
    with pytest.raises(Stopped):
        cut(tmp_path / "run", "evaluation", tmp_path / "audio", stop=stop)
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 1


def test_a_recording_that_was_replaced_is_cut_again(tmp_path):
    recording = tmp_path / "audio" / CLIP
    write_recording(recording)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    done = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    (path,) = done.folder.iterdir()
    before = path.read_bytes()
    recording.touch()  # copied again, say: the same bytes
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 0
    soundfile.write(recording, np.zeros(2 * RATE), RATE, subtype="PCM_16")
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 1
    assert path.read_bytes() != before
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 0


def test_cutouts_of_selections_that_are_no_more_are_removed_and_nothing_else(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0), selection(CLIP, 1.2, 1.4)])
    folder = cut(tmp_path / "run", "evaluation", tmp_path / "audio").folder
    mine = folder / "387_20201207_cut.wav_900_1800_1ms_2ms.wav"
    mine.write_bytes(b"a person's own")
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    again = cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    assert (again.n_new, again.n_kept, again.n_removed) == (0, 1, 1)
    assert names_in(folder) == sorted([mine.name, "387_20201207_cut.wav_900_1800_500ms_1000ms.wav"])
    write_index(tmp_path / "run", [])
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_removed == 1
    assert names_in(folder) == [mine.name]


def test_a_damaged_record_means_cutting_again(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    (tmp_path / "run" / "evaluation" / "cutouts.json").write_text("{", encoding="utf-8")
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 1


def test_runs_that_share_a_folder_remove_nothing_of_each_other(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    for run in (tmp_path / "m" / "a", tmp_path / "m" / "b"):
        write_index(run, [selection(CLIP, 0.5, 1.0)])
        cut(run, "evaluation", tmp_path / "audio", tmp_path / "out")
    write_index(tmp_path / "m" / "a", [])
    assert cut(tmp_path / "m" / "a", "evaluation", tmp_path / "audio", tmp_path / "out").n_removed == 0
    assert names_in(tmp_path / "out") == ["387_20201207_cut.wav_900_1800_500ms_1000ms.wav"]


def test_a_stop_forgets_nothing_that_was_cut_before(tmp_path):
    for name in ("a.wav", "b.wav"):
        write_recording(tmp_path / "audio" / name)
    write_index(tmp_path / "run", [selection("a.wav", 0.5, 1.0), selection("b.wav", 0.5, 1.0)])
    cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    stop = StopRequest()
    stop.signal_name = "SIGTERM"
    with pytest.raises(Stopped):
        cut(tmp_path / "run", "evaluation", tmp_path / "audio", stop=stop)
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 0


def test_cutouts_that_were_half_replaced_are_cut_again(tmp_path, monkeypatch):
    recording = tmp_path / "audio" / CLIP
    write_recording(recording)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0), selection(CLIP, 1.2, 1.4)])
    folder = cut(tmp_path / "run", "evaluation", tmp_path / "audio").folder
    soundfile.write(recording, np.zeros(2 * RATE), RATE, subtype="PCM_16")
    copy_part, calls = cutouts.copy_part, []

    def full_disk(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        copy_part(*arguments)

    monkeypatch.setattr(cutouts, "copy_part", full_disk)
    with pytest.raises(OSError, match="No space"):
        cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_new == 2
    assert all(not soundfile.read(path)[0].any() for path in folder.iterdir())


def test_what_a_killed_run_cut_is_known_to_the_next(tmp_path, monkeypatch):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    monkeypatch.setattr(CutoutRecord, "close", lambda self, complete: None)
    folder = cut(tmp_path / "run", "evaluation", tmp_path / "audio").folder
    monkeypatch.undo()
    write_index(tmp_path / "run", [selection(CLIP, 0.6, 1.0)])
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio").n_removed == 1
    assert names_in(folder) == ["387_20201207_cut.wav_900_1800_600ms_1000ms.wav"]


def test_a_recording_that_was_put_away_and_a_moved_run_change_nothing(tmp_path):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])
    cut(tmp_path / "run", "evaluation", tmp_path / "audio")
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "audio" / CLIP).rename(tmp_path / CLIP)
    again = cut(tmp_path / "moved", "evaluation", tmp_path / "audio")
    assert (again.n_new, again.n_kept) == (0, 1)
    (tmp_path / CLIP).rename(tmp_path / "audio" / CLIP)
    assert cut(tmp_path / "moved", "evaluation", tmp_path / "audio").n_new == 0


def test_a_run_that_may_only_be_read_is_cut_with_a_warning(tmp_path, monkeypatch, capsys):
    write_recording(tmp_path / "audio" / CLIP)
    write_index(tmp_path / "run", [selection(CLIP, 0.5, 1.0)])

    def read_only(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("hum_evaluator.cutout_record.write_json", read_only)
    assert cut(tmp_path / "run", "evaluation", tmp_path / "audio", tmp_path / "out").n_new == 1
    assert capsys.readouterr().err.count("another run would cut everything again") == 1
