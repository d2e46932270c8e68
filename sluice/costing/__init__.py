"""What a project costs on AWS by its prices: parts of the month, ways to serve, deployment policies; on paper."""
