"""A request's body as columns of the model's contract: what serves decodes by it, and what reads captured traffic."""
