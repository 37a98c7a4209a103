"""``finite``: a number of a row; what is NaN, infinite or not a number is None."""

from __future__ import annotations

import math
from typing import Any

from verl_hdpo.outcomes.numbers import as_number


def finite(value: Any) -> float | None:
    """``value`` as a finite float, else None. A text is not a number."""
    found = as_number(value)
    return found if found is not None and math.isfinite(found) else None
