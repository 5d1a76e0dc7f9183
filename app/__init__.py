"""The viewer: Gradio under FastAPI, one screen for one reader on one machine.

``main`` is the command, ``server`` the HTTP side, ``services`` what the screen can do (without Gradio), ``pages`` the
widgets, ``static`` and ``web`` the browser modules.
"""
