"""What both faces need to serve a page to this machine alone, and to nobody else: the viewer and the studio use it.

``listening`` finds the port, ``running`` answers on it until Ctrl-C, ``guards`` stand before the page, ``window`` shows
it. Knows neither face, neither Gradio nor Streamlit, and nothing of patients.
"""
