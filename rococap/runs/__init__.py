"""What a run leaves behind, who may write it, and what has changed since it was begun.

Imports what metrics imports, and metrics. Front doors: `folder.RunFolder` for one run's folder, `claims` for whose it
is.
"""
