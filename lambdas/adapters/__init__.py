"""What handlers reach the outside through: S3, their environment, their log."""
