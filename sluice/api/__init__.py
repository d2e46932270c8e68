"""What the HTTP API says: requests, answers and problems, as schemas and as an OpenAPI document."""
