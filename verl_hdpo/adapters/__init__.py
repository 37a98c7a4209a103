"""The only modules that import verl; they carry data between it and the algorithm, and do no arithmetic."""
