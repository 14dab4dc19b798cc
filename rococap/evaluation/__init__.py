"""From a run's folder to captions to scores, and what these are held against.

Imports recipe and what lies below. Front doors: `evaluate.evaluate`, and `split_scores.score_predictions` without a
model.
"""
