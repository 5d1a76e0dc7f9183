"""Data sets: what models are trained and judged on, read and written in the published formats.

Knows files and cases; knows nothing of models, training loops or screens.
"""
