"""Validation draws bootstrap samples for every key that a reward function reports, prompt by prompt.

A reward function that reports ten numbers pays for ten times the samples. Only the score and its like have a use for
"best of n".

Package: verl
Place: verl/trainer/ppo/metric_utils.py, process_validation_metrics
Ours: verl_hdpo/adapters/validation.py: REPORTED_MEANS
"""

from verl.trainer.ppo import metric_utils


def is_there() -> bool:
    drawn = []
    stock = metric_utils.bootstrap_metric

    def counted(*args, **kwargs):
        drawn.append(1)
        return stock(*args, **kwargs)

    metric_utils.bootstrap_metric = counted
    try:
        columns = {f"reported_{number}": [0.0, 1.0] for number in range(3)}
        metric_utils.process_validation_metrics(["source"] * 2, ["prompt"] * 2, columns)
    finally:
        metric_utils.bootstrap_metric = stock
    return len(drawn) >= len(columns)


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
