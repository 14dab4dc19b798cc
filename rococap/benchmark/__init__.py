"""How fast rococap is, beside what one would use instead.

Imports everything. Front doors: `train`, `generate` and the others that scripts/benchmark.py names.
"""
