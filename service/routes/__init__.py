"""The resources, one a file; what the three verbs have in common is in `flow`."""
