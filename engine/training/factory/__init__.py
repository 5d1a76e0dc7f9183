"""Training through LLaMA-Factory: Qwen2-VL and LLaVA by a recipe of ours, in an environment of its own.

What is learnt is decided here and given to LLaMA-Factory as token ids with labels and as pictures, so that a model is
asked in the viewer exactly what it was taught; LLaMA-Factory brings the loop, the adapters, the memory savers and the
several GPUs. Its web pages and its API are never started, and nothing listens on a port; only several processes
(``processes``) find one another by torchrun's ports, which are open to the network as long as they train.

    settings    a recipe as LLaMA-Factory's settings
    material    conversations as ids and labels, pictures as files
    worker      the process in LLaMA-Factory's environment; imports nothing of this program
    link        what the two say to each other
    driver      a run: material in, a run folder like any other out
"""
