"""The CDK app: one project's pipeline as one stack."""
