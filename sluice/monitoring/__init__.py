"""Whether the world that a model was trained on is still there."""
