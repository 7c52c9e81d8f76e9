from hum_evaluator.pairing import PAIRED_COLUMNS, WITH_BASELINE, WITH_BEST, Scored, paired_rows


def run(model, layer, tp, variant="v"):
    counts = {(f"t{number}", 0): (tp, 20, 20) for number in range(6)}
    return Scored(model, variant, layer, tp / 20, counts)


def test_each_run_meets_the_best_of_its_layer_and_each_filter_its_baseline():
    rows = paired_rows([run("a", "evaluation", 10), run("a", "postrf", 12), run("b", "evaluation", 15)])
    assert [(row["model"], row["layer"], row["other_model"], row["other_layer"], row["compared"]) for row in rows] == [
        ("a", "evaluation", "b", "evaluation", WITH_BEST),
        ("a", "postrf", "a", "evaluation", WITH_BASELINE),
    ]
    assert all(tuple(row) == PAIRED_COLUMNS for row in rows)
    assert rows[0]["verdict"] == "worse on 6 of 6 tapes, ΔF1 -0.25 [-0.25, -0.25]"
    assert rows[1]["verdict"] == "better on 6 of 6 tapes, ΔF1 +0.10 [0.10, 0.10]"


def test_one_run_has_nothing_to_meet():
    assert paired_rows([run("a", "evaluation", 10)]) == []
    assert paired_rows([]) == []
