"""How good drafts are: answers for a question file, scores against references or truth, intervals, baselines."""
