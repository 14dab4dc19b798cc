"""One page that builds a run, and what trains it.

Imports evaluation and what lies below. Front door: `train.train`.
"""
