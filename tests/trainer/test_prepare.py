import json
import shutil

import numpy as np
import pytest
import soundfile

from hum_shared.audio import probe
from hum_shared.config.variants import DatasetStrategy, NoiseMining
from hum_shared.errors import AudioError, InputError, Stopped
from hum_shared.files import sha256_file
from hum_shared.index import VariantIndex, read_index
from hum_shared.names import parse_dataset_clip
from hum_shared.selections import Selection, read_selections, write_selections
from hum_shared.stopping import StopRequest
from hum_trainer.indexing import index_corpus
from hum_trainer.prepare import prepare
from hum_trainer.strategies import DEFAULT_STRATEGIES
from support.corpora import make_corpus

RANDOM = {"random": DEFAULT_STRATEGIES["random"]}
PARTS = ("train", "val", "test")


def strategy(**changes):
    return DatasetStrategy(**{"split_strategy": "random", "seed": 1, **changes})


def run(root, out, strategies=None, **options):
    """Prepare a corpus; returns the index of `random`."""
    options = {"workers": 1, **options}
    prepare(root, index_corpus(root).index, strategies or RANDOM, out, **options)
    return read_index(out / "dataset_random" / "variant_index.json", VariantIndex)


def contents(folder):
    """All files of a folder; of indexes what may not differ from run to run."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "variant_index.json":
            value = json.loads(path.read_text())
            del value["meta"]["created_at"], value["meta"]["provenance"]
            found[path.relative_to(folder)] = json.dumps(value).encode()
        elif path.is_file():
            found[path.relative_to(folder)] = path.read_bytes()
    return found


def test_targets_are_the_cut_out_hums_sample_by_sample(tmp_path):
    hums = make_corpus(tmp_path / "c", channels=2, subtype="PCM_24", sample_rate=16000)
    index = run(tmp_path / "c", tmp_path / "out")
    targets = [entry for entry in index.entries if entry.class_ == "target"]
    assert len(targets) == len(hums)
    for entry, hum in zip(targets, sorted(hums, key=lambda h: (h.clip, h.start_s)), strict=True):
        original, _ = soundfile.read(tmp_path / "c" / "segmented" / hum.file_name, dtype="int32")
        clip = tmp_path / "out" / "dataset_random" / entry.fn
        np.testing.assert_array_equal(soundfile.read(clip, dtype="int32")[0], original)
        assert (probe(clip).subtype, probe(clip).sample_rate) == ("PCM_24", 16000)


def test_noise_clips_are_the_tape_at_the_time_their_name_says(tmp_path):
    make_corpus(tmp_path / "c")
    index = run(tmp_path / "c", tmp_path / "out")
    noise = [entry for entry in index.entries if entry.class_ == "noise"]
    assert len(noise) == 24
    for entry in noise:
        tape, _ = soundfile.read(tmp_path / "c" / entry.tape_key, dtype="int16")
        clip, _ = soundfile.read(tmp_path / "out" / "dataset_random" / entry.fn, dtype="int16")
        first = round(parse_dataset_clip(entry.fn).start_ms * 8)
        np.testing.assert_array_equal(clip, tape[first : first + len(clip)])
        assert np.abs(clip).max() < 0.08 * 32768  # the corpus's hums are louder, its noise is not


def test_noise_is_taken_from_the_raw_recording_where_the_clip_is_full(tmp_path):
    make_corpus(tmp_path / "c", tapes=["387_20201207_cut.wav"], clips_per_tape=1, clip_s=3, hums_per_clip=3)
    index = run(tmp_path / "c", tmp_path / "out", {"random": strategy(noise_per_hum=2)})
    sources = [entry.source for entry in index.entries]
    assert sources.count("labelled") == 3
    assert sources.count("raw") > 0
    raw, _ = soundfile.read(tmp_path / "c" / "raw_recordings" / "387_20201207_cut.wav", dtype="int16")
    for entry in index.entries:
        if entry.source == "raw":
            clip, _ = soundfile.read(tmp_path / "out" / "dataset_random" / entry.fn, dtype="int16")
            first = entry.start_ms * 8
            np.testing.assert_array_equal(clip, raw[first : first + len(clip)])


def test_the_index_says_which_recordings_each_part_was_cut_from(tmp_path):
    make_corpus(tmp_path / "c", tapes=["387_20201207_cut.wav"], clips_per_tape=1, clip_s=3, hums_per_clip=3)
    index = run(tmp_path / "c", tmp_path / "out", {"random": strategy(noise_per_hum=2)})
    (clip,) = (tmp_path / "c" / "labelled_recordings").iterdir()
    found = index.meta.recordings
    assert {"labelled", "raw"} <= {entry.source for entry in index.entries}
    assert set(found) <= set(PARTS)
    for part, recordings in found.items():
        sources = {entry.source for entry in index.entries if entry.split == part}
        wanted = {clip.name: sha256_file(clip)} if sources & {"labelled", "clip"} else {}
        if "raw" in sources:
            wanted["387_20201207_cut.wav"] = None  # of raw recordings no digest is known
        assert recordings == wanted


def test_without_fallback_noise_is_skipped_and_counted(tmp_path):
    make_corpus(tmp_path / "c", tapes=["387_20201207_cut.wav"], clips_per_tape=1, clip_s=3, hums_per_clip=3)
    reports = {}
    chosen = {"random": strategy(noise_per_hum=5, noise_mining=NoiseMining(fallback_raw=False))}
    index = run(tmp_path / "c", tmp_path / "out", chosen, finished=reports.__setitem__)
    report = reports["random"]
    assert report.noise_from_raw == 0
    assert report.noise_skipped > 0
    assert report.noise_from_clip + report.noise_skipped == 15
    assert index.meta.n_noise == report.noise_from_clip


def test_min_quality_leaves_out_targets_but_no_noise_touches_them(tmp_path):
    hums = make_corpus(tmp_path / "c")
    index = run(tmp_path / "c", tmp_path / "out", {"random": strategy(min_quality=3, noise_per_hum=4)})
    assert index.meta.n_target == sum(hum.quality == 3 for hum in hums)
    for entry in index.entries:
        if entry.class_ == "noise":
            tape = entry.tape_key.removeprefix("raw_recordings/")
            near = [h for h in hums if h.tape == tape]
            assert all(
                entry.end_s <= h.offset_s + h.start_s - 0.1 + 1e-9 or entry.start_s >= h.offset_s + h.end_s + 0.1 - 1e-9
                for h in near
            )


def test_no_hum_good_enough_is_an_error_that_says_what_there_is(tmp_path):
    make_corpus(tmp_path / "c")
    with pytest.raises(InputError, match="8 Q1, 8 Q2, 8 Q3"):
        run(tmp_path / "c", tmp_path / "out", {"random": strategy(min_quality=4)})
    assert not (tmp_path / "out").exists()


def test_parts_index_and_files_agree(tmp_path):
    make_corpus(tmp_path / "c", tapes=["Süd $1 'x'.v2_b.wav", "387_20201207_cut.wav"])
    index = run(tmp_path / "c", tmp_path / "out")
    folder = tmp_path / "out" / "dataset_random"
    listed = {part: (folder / f"{part}.csv").read_text().splitlines() for part in PARTS}
    assert {part: len(names) for part, names in listed.items()} == index.meta.split_counts
    assert all(entry.fn in listed[entry.split] for entry in index.entries)
    assert sorted([*listed["train"], *listed["val"], *listed["test"]]) == sorted(
        path.name for path in folder.glob("*.wav")
    )
    assert index.meta.n_total == index.meta.n_target + index.meta.n_noise == len(index.entries)
    assert [entry.uid for entry in index.entries] == list(range(1, len(index.entries) + 1))
    assert index.entries[0].fn.startswith("target-Q3_000001_2020_387-20201207-cut_")
    assert index.entries[-1].fn.startswith(f"noise-bg_{len(index.entries):06d}_0000_Süd $1 'x'.v2-b_")


def test_selection_tables_hold_every_clip_in_tape_time(tmp_path):
    make_corpus(tmp_path / "c")
    index = run(tmp_path / "c", tmp_path / "out")
    tables = sorted((tmp_path / "out" / "dataset_random" / "selection_tables").iterdir())
    assert len(tables) == 3
    rows = [row for table in tables for row in read_selections(table)]
    assert sorted((row.begin_s, row.sound_type) for row in rows) == sorted((e.start_s, e.class_) for e in index.entries)


def test_a_whole_tape_stays_in_one_part(tmp_path):
    make_corpus(tmp_path / "c")
    reports = {}
    by_tape = {"random": strategy(split_strategy="proportional_by_tape")}
    index = run(tmp_path / "c", tmp_path / "out", by_tape, finished=reports.__setitem__)
    assert len({(entry.tape_key, entry.split) for entry in index.entries}) == 3
    assert reports["random"].shared_tapes == {}


def test_the_leakage_report_names_shared_tapes(tmp_path):
    make_corpus(tmp_path / "c")
    run(tmp_path / "c", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "dataset_random" / "leakage_report.json").read_text())
    assert "387_20201207_cut.wav" in report["shared_tapes"]


def test_all_strategies_give_the_same_bytes_again_alone_and_in_processes(tmp_path):
    make_corpus(tmp_path / "c")
    run(tmp_path / "c", tmp_path / "together", DEFAULT_STRATEGIES, workers=2)
    alone = {"random": DEFAULT_STRATEGIES["random"], "quality_balanced": DEFAULT_STRATEGIES["quality_balanced"]}
    run(tmp_path / "c", tmp_path / "alone", alone)
    for name in alone:
        together = contents(tmp_path / "together" / f"dataset_{name}")
        assert together == contents(tmp_path / "alone" / f"dataset_{name}")
    assert len(list((tmp_path / "together").iterdir())) == 6


def test_an_error_in_a_process_arrives_and_leaves_nothing(tmp_path):
    hums = make_corpus(tmp_path / "c")
    index = index_corpus(tmp_path / "c").index
    (tmp_path / "c" / "segmented" / hums[5].file_name).unlink()
    two = {"a": strategy(), "b": strategy(seed=2)}
    with pytest.raises(AudioError, match="no such file"):
        prepare(tmp_path / "c", index, two, tmp_path / "out", workers=2)
    assert list(tmp_path.glob("out/*")) == []


def test_float_recordings_give_the_same_bytes_again(tmp_path):
    make_corpus(tmp_path / "c", subtype="FLOAT", tapes=["387_20201207_cut.wav"])
    run(tmp_path / "c", tmp_path / "a")
    run(tmp_path / "c", tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_another_seed_gives_other_noise(tmp_path):
    make_corpus(tmp_path / "c")
    first, second = (run(tmp_path / "c", tmp_path / str(n), {"random": strategy(seed=n)}) for n in (1, 2))
    assert [e.start_s for e in first.entries] != [e.start_s for e in second.entries]


def test_a_finished_dataset_is_left_alone_and_an_outdated_one_is_made_anew(tmp_path):
    make_corpus(tmp_path / "c")
    reports = []
    for chosen in (strategy(), strategy(), strategy(seed=9)):
        run(tmp_path / "c", tmp_path / "out", {"random": chosen}, finished=lambda _, report: reports.append(report))
    assert [report is None for report in reports] == [False, True, False]


def test_a_dataset_that_lost_a_clip_is_made_anew(tmp_path):
    make_corpus(tmp_path / "c")
    index = run(tmp_path / "c", tmp_path / "out")
    clip = tmp_path / "out" / "dataset_random" / index.entries[3].fn
    clip.unlink()
    run(tmp_path / "c", tmp_path / "out")
    assert clip.exists()


def test_a_stop_request_keeps_the_old_dataset(tmp_path):
    make_corpus(tmp_path / "c")
    run(tmp_path / "c", tmp_path / "out", {"random": strategy(seed=1)})
    before = contents(tmp_path / "out")
    stop = StopRequest()
    stop.signal_name = "SIGTERM"
    with pytest.raises(Stopped):
        run(tmp_path / "c", tmp_path / "out", {"random": strategy(seed=2)}, stop=stop)
    assert contents(tmp_path / "out") == before


def test_spectrograms_are_written_and_named_in_the_index(tmp_path):
    make_corpus(tmp_path / "c", tapes=["Süd $1$ .wav"], clips_per_tape=1)
    index = run(tmp_path / "c", tmp_path / "out", spectrograms=True)
    for entry in index.entries:
        picture = tmp_path / "out" / "dataset_random" / entry.spectrogram_path
        assert picture.stem == entry.fn.removesuffix(".wav")
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_hums_from_selection_tables_are_cut_from_their_recordings(tmp_path):
    hums = make_corpus(tmp_path / "c", tapes=["387_20201207_cut.wav"])
    for hum in hums:
        table = tmp_path / "c" / f"{hum.clip}.selections.txt"
        write_selections(table, [Selection(h.start_s, h.end_s) for h in hums if h.clip == hum.clip])
    shutil.move(tmp_path / "c" / "segmented", tmp_path / "cut out")
    index = index_corpus(tmp_path / "c", from_selections=True).index
    prepare(tmp_path / "c", index, RANDOM, tmp_path / "out", workers=1)
    entries = read_index(tmp_path / "out" / "dataset_random" / "variant_index.json", VariantIndex).entries
    assert [entry.label for entry in entries[:8]] == ["unrated"] * 8
    for entry, hum in zip(entries, hums, strict=False):
        original, _ = soundfile.read(tmp_path / "cut out" / hum.file_name, dtype="int16")
        clip, _ = soundfile.read(tmp_path / "out" / "dataset_random" / entry.fn, dtype="int16")
        np.testing.assert_array_equal(clip, original)


def test_a_damaged_dataset_is_made_anew(tmp_path):
    make_corpus(tmp_path / "c")
    whole = run(tmp_path / "c", tmp_path / "out")
    index = tmp_path / "out" / "dataset_random" / "variant_index.json"
    index.write_text("{")
    assert run(tmp_path / "c", tmp_path / "out").entries == whole.entries
