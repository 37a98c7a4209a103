"""A reward function as a user of stock verl writes it: no word of HDPO."""

import re


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    answers = re.findall(r"<answer>(.*?)</answer>", solution_str)
    right = bool(answers) and answers[-1].strip() == ground_truth
    return {"score": 0.9 * right + 0.1 * bool(answers), "acc": float(right)}
