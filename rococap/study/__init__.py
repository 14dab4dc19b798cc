"""A blinded study: people rate and place captions without knowing whose they are; its page is in `rococap.report`.

Imports `compare` and what stands above it. Front doors: `key.draw`, `returned.read_answers`, `scores.score`.
"""
