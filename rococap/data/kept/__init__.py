"""What is computed once and kept in the cache for all runs: decoded images, features, and whose they are.

Imports types and cli. Front doors: `keys`, which says what each kept thing hangs on; `images.open_images` and
`features.open_features`, which make what is missing.
"""
