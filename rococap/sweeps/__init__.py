"""Which jobs a sweep has, in which folders, who runs them, and how they ended.

Imports runs, checks and what lies below. Front door: `plugins.register_sweepers`, through which Hydra finds it.
"""
