"""Who else is told of a run: Weights & Biases, TensorBoard.

Imports runs and what lies below. Front doors: a file for each logger, and `finish.finish`, a run's last word to all.
"""
