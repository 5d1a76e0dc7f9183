"""From a prompt's embeddings to token ids, one step at a time. Ids in, ids out: no text, no images, no files.

    cache.py       the keys and values of a prompt once, and of what each row adds to it
    session.py     a language model with a prompt in its cache: prefill once, then step; what prompts share is reused
    choosing.py    what may come next: n-gram ban, temperature, top-p; when an answer ends
    sampling.py    greedy decoding and sampling
    lookup.py      greedy decoding with guesses from known texts
    beams.py       beam search
    generate.py    the way in

Decoding is a generator: a caller streams by iterating and cancels by ceasing to. All state lives in the generator and
goes with it.
"""
