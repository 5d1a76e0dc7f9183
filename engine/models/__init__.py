"""Model families: their weights, their preprocessing, their prompts. No decoding, no screens, no patient data.

Modules, in the order a draft needs them:

    recognition.py    what lies in a model folder, from its configuration and tensor names, and everything wrong with it
    checkpoint.py     load_model and save_model
    towers.py         the vision tower a checkpoint names, found on this machine
    tac.py            the Temporal Alignment Connector
    composite.py      tower + connector + language model
    preprocessing.py  a picture -> the tower's pixels
    conversation.py   a question -> the model's prompt
    tokens.py         a prompt -> token ids with the slot of the image

transformers and torch are heavy: this package imports neither by itself, its modules import torch at their top and
transformers where they use it.
"""
