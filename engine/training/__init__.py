"""Training of TAC models: recipes, label masks, the objective and the run itself. Knows nothing of screens."""
