"""Predictions for the rows of a file: what the model is sent of it, and how its answers come back to the rows."""
