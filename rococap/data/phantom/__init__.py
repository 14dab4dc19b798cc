"""Radiology-like images that are drawn, with captions whose facts are known.

Imports types. Front doors: `source.Phantom`, and `vocabulary`, the words that say the facts.
"""
