"""The whole way on a real account, for a person who has one; the local AWS tries the same script."""
