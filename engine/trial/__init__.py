"""A trial: one candidate probed on the loaded model, which is left as it was."""
