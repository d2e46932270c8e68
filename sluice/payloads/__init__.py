"""What states, handlers and containers hand each other, and the documents they leave in S3."""
