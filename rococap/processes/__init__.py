"""The processes that work on one run: which of them this is, how they are started, how they meet.

Imports types. Front doors: `identity.this_process`, which needs no torch; `group.group`, by which they talk.
"""
