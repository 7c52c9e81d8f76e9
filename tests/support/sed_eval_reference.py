"""Collar measures by `sed_eval`, the field's own program."""

import sys
from types import ModuleType


def collar_counts(calls, detections):
    """Return matched pairs of one tape by `sed_eval`: onset 200 ms, offset max(200 ms, 20 %), optimal matching."""
    # dcase_util, below sed_eval, imports a module that today's setuptools no longer has, to find its example files.
    sys.modules.setdefault("pkg_resources", ModuleType("pkg_resources"))
    import dcase_util
    import sed_eval

    metrics = sed_eval.sound_event.EventBasedMetrics(
        event_label_list=["call"],
        t_collar=0.2,
        percentage_of_length=0.2,
        event_matching_type="optimal",
    )
    lists = [
        dcase_util.containers.MetaDataContainer(
            [{"event_label": "call", "onset": start, "offset": end, "filename": "tape.wav"} for start, end in spans]
        )
        for spans in (calls.tolist(), detections.tolist())
    ]
    metrics.evaluate(*lists)
    found = metrics.overall
    return int(found["Ntp"]), int(found["Nsys"]), int(found["Nref"])
