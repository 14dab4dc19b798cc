"""Architectures: what each is to the rest of the program, and how it is loaded, adapted, examined and exported.

Imports types and config. Front doors: `base.Captioner`, `detector.detector`, and a file for each architecture, such as
`vit_gpt2`.
"""
