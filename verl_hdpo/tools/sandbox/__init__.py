"""Model-written Python in processes that the kernel walls in; knows nothing of verl."""
