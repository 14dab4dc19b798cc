"""The pages that people look at.

Imports compare and what lies below. Front doors: `run.report`, `compare.compare_page`, `doctor.doctors_page`.
"""
