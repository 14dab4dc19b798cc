"""Datasets, and what becomes of them on the way to a model: examples, subsets, kept images and features, batches.

Imports types, config and cli. Front doors: `datamodule.CaptionData`, and a source for each dataset, such as `rocov2`.
"""
