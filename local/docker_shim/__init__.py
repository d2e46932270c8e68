"""Stands in for `docker` when the CDK CLI publishes image assets: copies files, runs nothing, and says so."""
