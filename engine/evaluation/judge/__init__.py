"""A language model as the judge of short answers.

    verdict.py     what it is asked and what it may reply; the reply read, whatever it holds
    endpoint.py    a judge behind an OpenAI-compatible address
    local.py       a judge from a folder of this machine
    kept.py        what was said, line by line, found again by what was asked
    asking.py      every answer of an evaluation put to it
    summary.py     the rates, with both denominators
    human.py       its verdicts against those of people
    results.py     all of it for a score sheet, and evaluation_NAME.json

It sees a question, the reference and one answer, never the image and never who answered. What it says is an opinion
that can be had again, not a measurement: its id, the hash of its instructions and its raw replies are kept.
"""
