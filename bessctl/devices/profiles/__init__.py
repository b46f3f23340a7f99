"""Shipped device profiles (YAML), their JSON schema, and the blueprint to copy. Data only."""
