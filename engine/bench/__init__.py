"""The bench: what the engine's speed claims are worth on this machine, as ratios against a named peer in one run.

The peer is transformers' own ``generate`` on the same weights, called the way Libra calls it (peer.py says what that
means); the engine is used through its public door. Each case of each side runs in a fresh process, so that none finds
the other's memory, caches or threads. The checkpoint is random and made for the run: speed does not depend on what a
model has learnt. What does (guessing, precision) is measured on the demonstration model.

    task.py         the cases by name
    sizes.py        the checkpoints that can be made
    checkpoint.py   makes one
    material.py     made-up pictures to draft from, phantom reports to guess from
    processes.py    a function in a fresh process
    measure.py      times and memory of one run, and their medians
    ours.py         the engine's side
    peer.py         the peer's
    side_by_side.py sixteen drafts at once by the engine, and one by one
    layers.py       the forms of one linear layer
    demo.py         guessing and precision on the demonstration model
    machine.py      what ran it, how fast it reads memory, what a step must read at least
    cases.py        measures the cases
    suite.py        a whole bench from the model to the result
    report.py       the result as JSON, as a table and as Markdown
    plot.py         the result as a picture

It knows no screen; ``engine.cli.bench`` is its command.
"""
