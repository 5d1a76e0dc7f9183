"""Programs behind an address that speak OpenAI's chat completions: vLLM, llama.cpp, Ollama and others.

    address.py      what an address is, and whether it is this machine
    transport.py    one request, with all that it may not do
    events.py       bytes of an answer that comes in pieces -> its events
    background.py   a coroutine on a thread of its own, that can be ended at any moment
    chat.py         a question and its answer, in the protocol's words
    refusals.py     what a server says when it does not answer, as a sentence for the user

Images and texts leave this process here and nowhere else. Nothing here knows what is asked, or of whom.
"""
