"""Pure functions from captions and references to scores, with intervals, blind scores and signatures.

Imports types and data; knows nothing of runs, models or splits. Front doors: `measure.measure` for many metrics,
`base.Metric` for one.
"""
