"""Several algorithms on one pipeline: which runs that takes, what they logged, and a report of it."""
