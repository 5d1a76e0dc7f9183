"""The training studio: Streamlit, one screen for whoever makes a model better and shows that it is.

``main`` is the command, ``server`` the HTTP side, ``entry`` holds the script that Streamlit runs for every event.
``pages`` and ``components`` are widgets that call one function of ``services`` for an event; the services take and
return dataclasses and know no Streamlit. What takes longer than a moment is a job (engine.jobs) and needs no studio.

What looks again by itself is a fragment and stands in no other one: of a page that is late Streamlit (1.67) may send
what the inner one shows without what it stands in, and the browser then shows nothing at all.
"""
