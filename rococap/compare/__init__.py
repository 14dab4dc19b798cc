"""Several runs side by side, and what may be said of them.

Imports evaluation and what lies below. Front door: `comparison.compare`.
"""
