"""The resource types the local AWS can deploy, by service."""
