"""Model families: their weights, their preprocessing, their prompts. No decoding, no screens, no patient data.

Modules, in the order a draft needs them:

    recognition.py    what lies in a model folder, from its configuration and tensor names, and everything wrong with it
    record.py         what this program itself keeps of a model (interval.json)
    places.py         where on this machine a model lies that another one names
    weights.py        weight files: headers, tensors, hashes
    adapters.py       LoRA adapters: whether one fits a base, and putting the two together
    checkpoint.py     load_model
    saving.py         save_model
    merging.py        an adapter added to the weights of its base, as files
    identity.py       which weights a model is
    loaded.py         what the drafting engine asks of a model, whatever its family
    families.py       the table of families
    qwen2vl.py        Qwen2-VL and Qwen2.5-VL
    llava.py          LLaVA-1.5
    libra.py          the family of Libra's checkpoints, made of
        towers.py         the vision tower, and which of its features are used
        tac.py            the Temporal Alignment Connector
        projectors.py     connectors that look at one image
        language.py       the language model
        composite.py      the three as one module
    configs.py        transformers' configuration objects from files that are not trusted
    assembly.py       transformers' models from our objects and tensors
    quantisation.py   language models in 8 and 4 bits
    stored.py         the same as they lie in files
    packing.py        linear layers laid out for the processor
    layers.py         layers replaced without a model being in memory twice
    memory.py         what memory there is, what is held, and running out of it
    preprocessing.py  a picture -> the tower's pixels
    conversation.py   a question -> the model's prompt
    tokens.py         a prompt -> token ids with the slot of the image
    splicing.py       what is seen of pictures, put into a prompt at their places

and, around the folder of installed models:

    catalogue.py      what is published, what it needs, under which terms
    contents.py       which files make a model, an adapter, a projector or a tower
    survey.py         a folder as what it is: what is wrong with it, what it lacks on this machine
    footprint.py      the memory its weights take, by precision
    demand.py         the sizes that the rest of its memory follows from
    plan.py           the memory of a draft, before anything is loaded
    installed.py      models/: what lies in it, room for another one, taking one away
    provenance.py     interval.json as it is written when a model is installed
    promotion.py      what lies beside a model that was promoted: its certificate and its evaluation
    adding.py         installing from a folder
    hub.py            what of huggingface.co is used: the one place that goes to a network
    downloading.py    installing from there
    verifying.py      whether weights are still those that were installed

transformers, peft and torch are heavy: this package imports none by itself, its modules import torch at their top and
the others where they use them.
"""
