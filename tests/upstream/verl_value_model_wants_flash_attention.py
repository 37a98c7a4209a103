"""The critic asks for flash_attention_2, whatever ``attn_implementation`` the config names.

Package: verl
Place: verl/utils/model.py, load_valuehead_model
Ours: verl_hdpo/cpu/patches.py: _critic_with_sdpa
"""

import inspect

from verl.utils.model import load_valuehead_model


def is_there() -> bool:
    return 'attn_implementation="flash_attention_2"' in inspect.getsource(load_valuehead_model)


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
