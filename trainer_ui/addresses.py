"""Where the pages are: the one list of their addresses, in the order of the loop. Knows nothing of what they show."""

HOME, DATA, TRAIN, EVALUATE, EXPORT = "home", "data", "train", "evaluate", "export"

PAGES = {
    HOME: "Home",
    DATA: "Data",
    TRAIN: "Train",
    EVALUATE: "Evaluate",
    EXPORT: "Export",
}
"""Address to name."""
