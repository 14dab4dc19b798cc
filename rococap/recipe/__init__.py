"""The parts that a recipe names, built and typed; on its device, in its precision.

Imports runs and what lies below. Front doors: `recipe.Recipe`, and `parts` for what is large.
"""
