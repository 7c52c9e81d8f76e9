"""False alarms that become negatives, and tables that a person corrected."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_shared.decoders import Windows
from hum_shared.errors import CfgError, InputError
from hum_shared.intervals import as_intervals
from hum_shared.selections import Selection, write_selections
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.mining import (
    FedBack,
    HardNegatives,
    MiningRound,
    as_negatives,
    as_round,
    false_alarms,
    from_selections,
    mine,
    read_hard_negatives,
    with_added_calls,
    write_hard_negatives,
)

NAME = "it's ü $x.wav_0_30.wav"
RECORDING = LabelledRecording(NAME, Path(NAME), "it's ü $x.wav", 30.0, 8000, "d", as_intervals([(10, 11)]), (2,))


@pytest.mark.parametrize(
    ("found", "is_alarm"),
    [
        ((5, 6), True),
        ((9.5, 9.9), True),  # exactly 0.1 s before the call
        ((9.5, 9.901), False),
        ((11.1, 12), True),
        ((11.099, 12), False),
        ((0, 30), False),  # IoU below 0.1, but it holds the call
        ((10.2, 10.4), False),
    ],
)
def test_a_false_alarm_keeps_a_tenth_of_a_second_from_every_call(found, is_alarm):
    assert false_alarms(as_intervals([found]), RECORDING.calls).tolist() == [is_alarm]


_TIMES = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 300)).map(lambda t: (t[0] / 100, (t[0] + t[1]) / 100)), max_size=8
)


@settings(max_examples=60)
@given(_TIMES, _TIMES)
def test_false_alarms_are_what_the_rule_says_one_by_one(found, calls):
    def far(a, b):
        return max(b[0] - a[1], a[0] - b[1]) >= 0.1 - 1e-9

    expected = [all(far(one, call) for call in calls) for one in found]
    assert false_alarms(as_intervals(found), as_intervals(calls)).tolist() == expected


def _scores(*high, until=30.0):
    time_s = np.arange(0, until, 0.05)
    p = np.full(len(time_s), 0.02)
    for start, end, level in high:
        p[(time_s >= start) & (time_s < end)] = level
    return Windows(time_s, time_s + 0.05, np.column_stack((1 - p, p)))


def test_only_confident_detections_away_from_calls_are_mined_in_time_of_the_recording():
    scores = _scores((1, 2, 0.9), (4, 5, 0.4), (7, 8, 0.8), until=20.0)
    stretch = Stretch(RECORDING, 3.0, 23.0)  # the call lies at 7 to 8 s of it
    found = mine([stretch], lambda part: scores, min_gap_s=0, min_duration_s=0)
    assert [index for index, _, _ in found] == [0]
    assert found[0][1:] == pytest.approx((4.0, 5.0), abs=0.06)


def test_negatives_of_all_rounds_are_cut_to_the_training_stretches():
    rounds = [
        MiningRound(model_sha256="a", negatives=[FedBack(recording=NAME, start_s=1, end_s=3)]),
        MiningRound(
            tables={"t": "d"},
            negatives=[
                FedBack(recording=NAME, start_s=10.5, end_s=12),  # touches a call
                FedBack(recording="other.wav", start_s=1, end_s=3),
                FedBack(recording=NAME, start_s=20, end_s=21),
            ],
        ),
    ]
    assert as_negatives(rounds, [Stretch(RECORDING, 2.0, 15.0)]) == [(0, 2.0, 3.0)]
    back = as_round("m", [(0, 2.0, 3.0)], [Stretch(RECORDING, 2.0, 15.0)])
    assert back.negatives == [FedBack(recording=NAME, start_s=2, end_s=3)]


@pytest.mark.parametrize("corrected", ["all_recordings.txt", f"{NAME[:-4]}.Table.1.selections.txt"])
def test_of_tables_that_say_one_thing_twice_the_corrected_one_counts(tmp_path, corrected):
    for name in ("all_recordings.txt", f"{NAME[:-4]}.Table.1.selections.txt"):
        types = ("noise", "target") if name == corrected else ("target", "target")
        rows = [
            Selection(start, start + 1, sound_type=kind, extra={"Begin File": NAME, "File Offset (s)": str(start)})
            for start, kind in zip((2, 20), types, strict=True)
        ]
        write_selections(tmp_path / name, rows, extra_columns=("Begin File", "File Offset (s)"))
    found, _, _ = from_selections(tmp_path, [RECORDING])
    assert _said(found) == [[(20, 21)], [(2, 3)]]


def test_noise_on_a_labelled_call_is_said_to_teach_nothing(tmp_path):
    write_selections(tmp_path / f"{NAME[:-4]}.txt", [Selection(10.1, 11.2, sound_type="noise")])
    found, _, (remark,) = from_selections(tmp_path, [RECORDING])
    assert found.negatives == []
    assert f"1 rows of noise lie on labelled calls and teach nothing, the first in {NAME} at 10.1 s" in remark


def test_in_corrected_tables_noise_becomes_negatives_and_new_calls_become_calls(tmp_path):
    rows = [
        Selection(2, 3, sound_type="noise"),
        Selection(10.9, 12, sound_type="Noise"),  # touches a call
        Selection(10.1, 11.2, sound_type="target"),  # known
        Selection(20, 21, sound_type="target"),
        Selection(20.5, 22, sound_type="noise"),  # touches what the person calls a call
        Selection(29.5, 40, sound_type="noise"),  # beyond the end
        Selection(31, 32, sound_type="target"),
    ]
    folder = tmp_path / "corrected tables"
    write_selections(folder / f"{NAME[:-4]}_predict_output.log.annotation.result.txt", rows)
    write_selections(folder / "elsewhere.Table.1.selections.txt", rows)
    found, others, remarks = from_selections(folder, [RECORDING])
    assert [(one.start_s, one.end_s) for one in found.negatives] == [(2, 3), (29.5, 30)]
    assert [(one.start_s, one.end_s) for one in found.calls] == [(20, 21)]
    assert (len(found.tables), found.model_sha256) == (1, None)
    assert others == ["elsewhere.Table.1.selections.txt"]
    (remark,) = remarks
    assert remark.endswith("1 rows are left out: behind the recording's end, or of a file that the corpus has not")
    (more,) = with_added_calls([RECORDING], [found, found])
    assert more.calls.tolist() == [[10, 11], [20, 21]]


def _row(begin_s, end_s, sound_type, **extra):
    return Selection(begin_s, end_s, sound_type=sound_type, extra={key: str(value) for key, value in extra.items()})


def _said(round_):
    return [[(one.start_s, one.end_s) for one in part] for part in (round_.calls, round_.negatives)]


def test_a_persons_last_word_counts(tmp_path):
    first, second = tmp_path / "2026-01", tmp_path / "2026-02"
    table = f"{NAME}.Table.1.selections.txt"
    write_selections(first / table, [_row(2, 3, "hum"), _row(4, 5, "hum"), _row(6, 7, "noise")])
    write_selections(first / f"{NAME}.other.txt", [_row(20, 21, "hum"), _row(22, 23, "noise"), _row(24, 25, "noise")])
    write_selections(second / table, [_row(2, 3, "noise"), _row(22.5, 23.5, "hum"), _row(27, 28, "noise")])
    told = HardNegatives().with_round(from_selections(first, [RECORDING])[0])
    earlier, later = told.with_round(from_selections(second, [RECORDING])[0]).rounds
    assert _said(earlier) == [[(4, 5), (20, 21)], [(6, 7), (24, 25)]]
    assert _said(later) == [[(22.5, 23.5)], [(2, 3), (27, 28)]]
    at_once = from_selections(tmp_path, [RECORDING])[0]
    assert _said(at_once) == [[(4, 5), (20, 21), (22.5, 23.5)], [(2, 3), (6, 7), (24, 25), (27, 28)]]


def test_rows_of_a_sequence_of_files_belong_to_the_file_they_name(tmp_path):
    other = LabelledRecording("b.flac", Path("b.flac"), "b.flac", 30.0, 8000, "e", as_intervals([]), ())
    place = {"Begin File": NAME, "File Offset (s)": 5.0}
    rows = [
        _row(35, 36, "hum", **place),
        _row(40, 41, "hum", **{**place, "Begin File": "C:\\x\\b.wav"}),  # converted since
        _row(50, 51, "hum", **{**place, "Begin File": "elsewhere.wav"}),
        _row(60, 61, "noise", **{**place, "File Offset (s)": 99}),
        _row(70, 71, "hum", **{**place, "File Offset (s)": "nan"}),
    ]
    write_selections(tmp_path / "b.Table.1.selections.txt", rows)
    write_selections(tmp_path / "all.txt", rows[:1])
    found, others, remarks = from_selections(tmp_path, [RECORDING, other])
    assert {(one.recording, one.start_s, one.end_s) for one in found.calls} == {(NAME, 5, 6), ("b.flac", 5, 6)}
    assert (found.negatives, others, len(found.tables)) == ([], [], 2)
    assert ["3 rows are left out" in remark for remark in remarks] == [True]


def test_noise_that_stands_in_another_column_is_remarked_on(tmp_path):
    write_selections(tmp_path / f"{NAME}.txt", [_row(2, 3, "", Annotation="Noise"), _row(4, 5, "", Annotation="hum")])
    (remark,) = from_selections(tmp_path, [RECORDING])[2]
    assert "column 'Annotation' says noise, but only 'Sound type' is read: all are calls" in remark


def test_a_folder_without_a_table_of_the_corpus_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        from_selections(tmp_path / "nowhere", [RECORDING])
    write_selections(tmp_path / "other.txt", [])
    with pytest.raises(InputError, match=r"no selection table of a recording of the corpus; found: other.txt"):
        from_selections(tmp_path, [RECORDING])


def test_rounds_are_kept_on_disk_and_a_source_counts_once(tmp_path):
    path = tmp_path / "a b" / "hard_negatives.json"
    assert read_hard_negatives(path) == HardNegatives()
    first = MiningRound(model_sha256="a", negatives=[FedBack(recording=NAME, start_s=1, end_s=2)])
    other = MiningRound(tables={"t.txt": "1"})
    content = HardNegatives().with_round(first).with_round(other).with_round(MiningRound(tables={"t.txt": "2"}))
    assert [one.tables for one in content.rounds] == [{}, {"t.txt": "2"}]
    write_hard_negatives(path, content)
    assert read_hard_negatives(path) == content
    path.write_text('{"rounds": [{"negatives": [{"recording": "x"}]}]}')
    with pytest.raises(CfgError, match="start_s"):
        read_hard_negatives(path)
