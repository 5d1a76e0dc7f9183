"""The pages: each a module with ``show()``, which builds widgets and calls one service for an event."""
