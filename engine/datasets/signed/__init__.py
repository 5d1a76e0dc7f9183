"""A data set from the signed reports of a history: what clinicians corrected, without who the patients are.

    from engine.datasets.signed import Choice, write_set

    made = write_set(records, output, Choice(since=date(2026, 1, 1)), secret=load_secret(paths.home()))

    history.py       which reports: signed, verified, the latest of each comparison
    questions.py     the question as it was put when the report was drafted
    identifiers.py   what is known of a patient that must not be in a text, and how texts are folded to find it
    scrubbing.py     identifiers out of a text, dates shifted
    patterns.py      names, numbers and places that nobody had to know
    dates.py         dates in a text
    residue.py       the last look: a row with a known identifier in it is refused
    pseudonyms.py    who is called what in the set: keyed hashes, a shift of days for each patient
    burned_in.py     text in the pixels
    corrections.py   what was changed between draft and signature
    writing.py       the files

Nothing here makes a text anonymous for certain. It removes what the history knows of a patient and what is written as
names, numbers, dates and places are written, refuses what it finds left over, and says so in the manifest.
"""
