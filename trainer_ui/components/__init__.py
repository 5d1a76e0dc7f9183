"""Widgets that more than one page has. They call the services and show what these give."""
