from pathlib import Path

import pytest

from hum_trainer.indexing import index_corpus

CORPORA = Path(__file__).parents[3] / "shared" / "corpora" / "zebra_finch"


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the zebra finch corpora are not beside this repository")
@pytest.mark.parametrize(
    ("name", "n_raw", "n_clips", "n_hums"), [("training_corpus_v1", 3, 6, 362), ("benchmark_corpus_v1", 1, 2, 136)]
)
def test_the_zebra_finch_corpora_are_indexed_without_problems(name, n_raw, n_clips, n_hums):
    indexed = index_corpus(CORPORA / name, digests=False)
    meta = indexed.index.meta
    assert (meta.n_raw_recordings, meta.n_labelled_clips, meta.n_hums) == (n_raw, n_clips, n_hums)
    assert not indexed.problems
    assert not indexed.variants
    assert not indexed.other_tapes
