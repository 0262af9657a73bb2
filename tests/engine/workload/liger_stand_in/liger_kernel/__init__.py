"""Stands in for liger-kernel, whose own needs Triton and a GPU: it writes into a model wherever the real one does."""
