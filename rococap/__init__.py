"""Experiments in captioning radiology images.

Imports run only downward: types, config, cli <- data, models, checks <- metrics <- runs <- recipe, loggers, sweeps <-
evaluation <- training, compare <- report <- benchmark, train.py, scripts. Each folder says here what lives in it.
"""
