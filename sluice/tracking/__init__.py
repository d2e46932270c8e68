"""What is told of an execution to whatever keeps runs and registered models."""
