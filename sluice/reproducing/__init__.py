"""Whether a model that was built again is the one that was built before, and what differs where it is not."""
