"""Too many rollouts lost, or unknown, end a run; a bad batch among good ones does not."""

import pytest

from verl_hdpo.outcomes.watch import RateWatch, TooManyUnknown
from verl_hdpo.settings.outcomes import OutcomeSettings


def watch(**settings):
    return RateWatch(OutcomeSettings(**settings))


def batches_until_stopped(watch, lost=0, unknown=0, of=100):
    for number in range(1, 50):
        try:
            watch.add(of, {"missing": lost}, {"judge": unknown})
        except TooManyUnknown as error:
            return number, str(error)
    return None, ""


@pytest.mark.parametrize(
    ("lost", "unknown", "batches"),
    [
        (0, 0, None),
        (20, 0, None),  # the limit itself is not passed
        (0, 20, None),
        (21, 0, 5),  # a steady loss shows once the window is full
        (0, 21, 5),
        (100, 0, 2),  # an outage: one batch is a fifth of the window
        (0, 100, 2),
        (11, 10, 5),  # a lost rollout is an unknown one too
    ],
)
def test_the_run_stops_when_the_share_over_the_window_passes_the_limit(lost, unknown, batches):
    assert batches_until_stopped(watch(), lost, unknown)[0] == batches


def test_what_happened_is_forgotten_after_the_window():
    watched = watch(rate_window=3, max_unknown_rate=0.4)
    for _ in range(10):
        watched.add(10, {}, {"judge": 10})
        watched.add(10, {}, {})
        watched.add(10, {}, {})


def test_one_never_stops_and_zero_stops_at_the_first():
    assert batches_until_stopped(watch(max_lost_rate=1, max_unknown_rate=1), lost=100)[0] is None
    assert batches_until_stopped(watch(max_unknown_rate=0), unknown=1)[0] == 1


def test_the_message_names_causes_setting_and_way_out():
    _, message = batches_until_stopped(watch(), lost=15, unknown=80)
    assert "have an unknown outcome, more than algorithm.hdpo.max_unknown_rate=0.2 allows" in message
    assert "judge (160), missing (30)" in message
    assert "resumes from the last checkpoint" in message
