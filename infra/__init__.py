"""The CDK app: one project's pipeline in one environment, as two stacks by lifetime."""
