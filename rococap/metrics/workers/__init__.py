"""Scripts that a Python of its own runs, which has what rococap's has not: pairs of texts in, scores out.

Imports nothing of rococap, and nothing imports it; `rococap.metrics.outside` starts them. Front door: `answering`.
"""
