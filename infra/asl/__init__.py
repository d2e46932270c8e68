"""Amazon States Language as it is written here: loaded, linted. Needs no CDK."""
