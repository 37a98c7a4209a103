"""A reward function that raised or ran out of time makes the answer a wrong one.

The reward manager ``rate_limited`` reports ``acc=0`` and a score of 0. A judge that is down for a minute teaches the
model to avoid what it did in that minute.

Package: verl
Place: verl/experimental/reward_loop/reward_manager/limited.py, RateLimitedRewardManager.run_single
Ours: verl_hdpo/outcomes/report.py: reward_manager/limited.py
"""

import inspect

from verl.experimental.reward_loop.reward_manager import limited


def is_there() -> bool:
    failures = inspect.getsource(limited).partition("except asyncio.TimeoutError")[2]
    return failures.count('["acc"] = 0.0') == 2


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
