"""What travels, as pydantic models: they make the OpenAPI document, and check all but images and codes."""
