"""From an uploaded file to an immutable dataset version: reading, checking, storing."""
