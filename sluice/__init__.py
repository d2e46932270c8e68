"""The domain of Sluice: plain Python that ships in every Lambda function and container image."""
