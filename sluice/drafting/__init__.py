"""`sluice init`: a project drafted from a data file. Neither functions nor images hold it."""
