"""What is wrong with a copy of a dataset: unreadable files, ids without images, images that stand in it twice.

Imports the rest of data. Front door: `examination.examine`.
"""
