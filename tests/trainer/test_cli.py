import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from hum_shared.config.training import FROM_DATA
from hum_shared.selections import Selection, write_selections
from hum_trainer.cli import main
from hum_trainer.cli_values import spread_values
from support.corpora import make_corpus


@pytest.fixture
def hum_trainer(monkeypatch, capsys):
    """Run the command line; returns exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hum-trainer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def corpus(tmp_path):
    root = tmp_path / "Korpus 'Süd' $1.v2"
    make_corpus(root)
    return root


@pytest.mark.parametrize(
    "command", ["index-corpus", "prepare", "count", "selection-tables", "run", "suggest-cfg", "mine"]
)
def test_every_command_has_help_with_an_example(hum_trainer, command):
    code, out, _ = hum_trainer(command, "--help")
    assert code == 0
    assert f"Example: hum-trainer {command}" in out


def test_importing_the_command_line_loads_no_heavy_library():
    check = "import sys, hum_trainer.cli; print({'torch', 'matplotlib', 'numpy', 'scipy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_index_corpus_writes_into_the_corpus(hum_trainer, corpus):
    code, out, _ = hum_trainer("index-corpus", corpus)
    assert code == 0
    assert "24 hums in 6 labelled clips, 3 raw recordings, 0 problems" in out
    assert json.loads((corpus / "corpus_index.json").read_text())["meta"]["n_hums"] == 24


def test_index_corpus_writes_elsewhere_on_request(hum_trainer, corpus, tmp_path):
    code, *_ = hum_trainer("index-corpus", corpus, "--out", tmp_path / "neu")
    assert code == 0
    assert (tmp_path / "neu" / "corpus_index.json").exists()
    assert not (corpus / "corpus_index.json").exists()


def test_problems_are_named_and_strict_makes_them_an_error(hum_trainer, corpus):
    bad = next((corpus / "segmented").glob("*Q2.wav"))
    bad.write_bytes(b"")
    code, _, err = hum_trainer("index-corpus", corpus)
    assert code == 0
    assert bad.name in err
    (corpus / "corpus_index.json").unlink()
    code, _, err = hum_trainer("index-corpus", corpus, "--strict")
    assert code == 2
    assert bad.name in err
    assert not (corpus / "corpus_index.json").exists()


def test_other_tape_names_give_one_warning(hum_trainer, tmp_path):
    make_corpus(tmp_path / "c", tapes=["Süd.wav", "Nord 2.wav"])
    _, _, err = hum_trainer("index-corpus", tmp_path / "c")
    assert err.count("0000") == 1
    assert "Nord 2.wav, Süd.wav" in err


def test_names_are_changed_only_on_request(hum_trainer, corpus):
    hum = next((corpus / "segmented").glob("*Q2.wav"))
    variant = hum.rename(hum.with_name(hum.name.replace("Q2", "_h_q2")))
    _, _, err = hum_trainer("index-corpus", corpus)
    assert f"segmented/{variant.name}: read as {hum.name}" in err
    assert variant.exists()
    code, out, err = hum_trainer("index-corpus", corpus, "--rename")
    assert code == 0
    assert f"to {hum.name}" in out
    assert "read as" not in err
    assert hum.exists()


def test_prepare_indexes_first_and_prints_counts_checks_and_leakage(hum_trainer, corpus):
    code, out, _ = hum_trainer("prepare", corpus, "--strategy", "random", "--workers", "1")
    assert code == 0
    assert (corpus / "corpus_index.json").exists()
    assert "raw fallback" in out
    assert "0 overlapping noise clips, 0 exact duplicates, 0 noise clips that touch a hum" in out
    assert "3 tapes in more than one part" in out
    code, out, _ = hum_trainer("prepare", corpus, "--strategy", "random")
    assert code == 0
    assert out.startswith("nothing to do")


def test_prepare_writes_only_into_out(hum_trainer, corpus, tmp_path):
    before = sorted(corpus.rglob("*"))
    code, *_ = hum_trainer("prepare", corpus, "--out", tmp_path / "o", "--strategy", "random", "quality_balanced")
    assert code == 0
    assert sorted(corpus.rglob("*")) == before
    found = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert found == ["corpus_index.json", "dataset_quality_balanced", "dataset_random"]


def test_prepare_reads_a_config_and_the_older_option_spelling(hum_trainer, tmp_path):
    corpus = tmp_path / "c"
    make_corpus(corpus, tapes=["387_20201207_cut.wav"], clips_per_tape=1, hums_per_clip=2)
    config = {"active_strategies": ["x"], "strategies": {"x": {"split_strategy": "random", "seed": 1}}}
    (tmp_path / "a=b.json").write_text(json.dumps(config))
    code, *_ = hum_trainer("prepare", corpus, "--config", tmp_path / "a=b.json", "--generate_spectrograms")
    assert code == 0
    assert len(list((corpus / "dataset_x" / "spectrograms").iterdir())) == 4


def test_an_index_older_than_the_corpus_makes_no_dataset_and_counts_with_a_warning(hum_trainer, corpus):
    hum_trainer("index-corpus", corpus)
    hum = next((corpus / "segmented").glob("*_0_10.wav_*Q2.wav"))
    new = hum.with_name(hum.name.split(".wav_0_10.wav")[0] + ".wav_0_10.wav_9.8_9.9Q2.wav")
    new.write_bytes(hum.read_bytes())
    code, _, err = hum_trainer("prepare", corpus, "--strategy", "random")  # it would cut noise out of that hum
    assert (code, new.name in err) == (2, True)
    assert not list(corpus.glob("dataset_*"))
    code, _, err = hum_trainer("count", corpus)
    assert (code, new.name in err) == (0, True)
    assert shlex.join(["hum-trainer", "index-corpus", str(corpus)]) + "\n" in err
    hum_trainer("index-corpus", corpus)
    assert hum_trainer("prepare", corpus, "--strategy", "random")[0] == 0


def test_of_two_indexes_the_one_that_is_no_older_than_the_corpus_counts(hum_trainer, corpus, tmp_path):
    out = tmp_path / "out"
    assert hum_trainer("prepare", corpus, "--out", out, "--strategy", "random")[0] == 0
    hum = next((corpus / "segmented").iterdir())
    hum.with_name(f"{hum.name.rpartition('_')[0]}_9.95Q2.wav").write_bytes(hum.read_bytes())
    code, _, err = hum_trainer("prepare", corpus, "--out", out, "--strategy", "random")
    command = shlex.join(["hum-trainer", "index-corpus", str(corpus), "--out", str(out)])
    assert (code, f"{command}\n" in err) == (2, True)
    hum_trainer("index-corpus", corpus)
    assert hum_trainer("prepare", corpus, "--out", out, "--strategy", "random")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "nowhere"],
        ["prepare", "nowhere", "--strategy", "unknown"],
        ["index-corpus"],
        ["index-corpus", "nowhere", "--bogus"],
        ["selection-tables", "--index", "nowhere.json", "--out", "x"],
        ["selection-tables", "--index", "nowhere.json", "--out", "x", "--group-by", "year"],
    ],
)
def test_bad_input_ends_with_2(hum_trainer, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert hum_trainer(*arguments)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_count_shows_tapes_clips_qualities_and_datasets(hum_trainer, corpus):
    hum_trainer("prepare", corpus, "--strategy", "proportional_by_tape")
    code, out, _ = hum_trainer("count", corpus)
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert rows["388_20210115_hof_cut.wav"][2:6] == ["8", "3", "2", "3"]
    assert rows["388_20210115_hof_cut.wav_10_20.wav"][2] == "4"
    assert rows["Q2"][1] == "8"
    assert rows["dataset_proportional_by_tape"][3] == "24"


def test_hours_of_all_tapes_and_of_all_clips_are_the_same(hum_trainer, corpus):
    _, out, _ = hum_trainer("count", corpus)
    hours = [line.split()[1] for line in out.splitlines() if line.startswith("all ")]
    assert len(hours) == 2
    assert hours[0] == hours[1]


def test_count_of_a_corpus_without_index_writes_nothing(hum_trainer, corpus):
    before = sorted(corpus.rglob("*"))
    assert hum_trainer("count", corpus)[0] == 0
    assert sorted(corpus.rglob("*")) == before


def test_selection_tables_takes_several_qualities(hum_trainer, corpus, tmp_path):
    hum_trainer("index-corpus", corpus)
    index = corpus / "corpus_index.json"
    options = ("--out", tmp_path / "t", "--group_by", "clip", "--qualities", "2", "3")
    code, out, _ = hum_trainer("selection-tables", "--index", index, *options)
    assert code == 0
    assert "6 selection tables with 16 hums" in out


@pytest.mark.parametrize(
    ("given", "spread"),
    [
        (["--qualities", "1", "2", "3"], ["--qualities", "1", "--qualities", "2", "--qualities", "3"]),
        (["--qualities", "1", "--regex"], ["--qualities", "1", "--regex"]),
        (["--qualities", "1", "--qualities", "2"], ["--qualities", "1", "--qualities", "2"]),
        (["c", "--strategy", "a", "b", "--out", "d"], ["c", "--strategy", "a", "--strategy", "b", "--out", "d"]),
        (["--strategy", "a", "b", "./c"], ["--strategy", "a", "--strategy", "b", "./c"]),
        (["--path-filter", "a", "b"], ["--path-filter", "a", "b"]),
    ],
)
def test_values_after_an_option_are_spread(given, spread):
    assert spread_values(given) == spread


def test_a_folder_named_like_a_strategy_is_no_corpus_where_that_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random").mkdir()
    given = ["prepare", "corpus", "--strategy", "a", "random"]
    assert spread_values(given) == ["prepare", "corpus", "--strategy", "a", "--strategy", "random"]
    last = ["prepare", "--strategy", "a", "random"]
    assert spread_values(last) == last


def test_suggest_cfg_prints_a_table_and_lines_that_a_cfg_takes(hum_trainer, corpus):
    code, out, _ = hum_trainer("suggest-cfg", corpus)
    assert code == 0
    table, _, lines = out.partition("# alpaca_server.cfg\n")
    training, _, decoding = lines.partition("# eval.cfg\n")
    assert {line.partition("=")[0] for line in training.splitlines()} == FROM_DATA
    assert {line.partition("=")[0] for line in decoding.splitlines()} == {"min_duration_s", "min_gap_s"}
    assert re.search(r"^sr +\d+ +Hz +\S", table, re.M)
    assert not (corpus / "corpus_index.json").exists()


@pytest.mark.parametrize("command", ["count", "suggest-cfg"])
def test_an_index_that_lies_elsewhere_can_be_named(hum_trainer, corpus, tmp_path, command):
    shutil.rmtree(corpus / "segmented")
    table = corpus / "labelled_recordings" / "387_20201207_cut.wav_0_10.txt"
    write_selections(table, [Selection(1, 2), Selection(5, 6)])
    assert hum_trainer("index-corpus", corpus, "--from-selections", "--out", tmp_path / "index")[0] == 0
    assert hum_trainer(command, corpus)[0] == 2
    assert hum_trainer(command, corpus, "--index-in", tmp_path / "index")[0] == 0


def test_mine_without_a_model_says_what_to_do(hum_trainer, corpus, tmp_path):
    hum_trainer("index-corpus", corpus)
    cfg = tmp_path / "alpaca_server.cfg"
    cfg.write_text(
        f"recipe=windows\ncorpus_index={corpus}/corpus_index.json\nmodel_dir={tmp_path}/m\ncheckpoint_dir=c\n"
    )
    code, _, err = hum_trainer("mine", cfg)
    assert code == 2
    assert "ANIMAL-SPOT.pk: no model yet. Train it first" in err
    code, _, err = hum_trainer("mine", cfg, "--from_selections", tmp_path / "nowhere")
    assert code == 2
    assert "no such folder; it should hold Raven selection tables" in err
