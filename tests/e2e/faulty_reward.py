"""``user_reward`` where ``call_faults`` has drawn nothing for it."""

import os
import re
import time

from user_reward import compute_score as score


def compute_score(data_source, solution_str, ground_truth, extra_info):
    match extra_info["fault"]:
        case "reward raises":
            raise re.error("no")
        case "reward is NaN":
            return {"score": float("nan"), "acc": 1}
        case "reward is None":
            return None
        case "reward process dies":
            os.kill(os.getpid(), 9)
        case "reward hangs":
            time.sleep(3600)
    return score(data_source, solution_str, ground_truth)["acc"]
