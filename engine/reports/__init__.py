"""Reports as text: sentences, what they say about the chest, and the documents that leave the house.

Nothing here knows of models, records or screens.
"""
