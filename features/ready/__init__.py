"""Ready mappings of what many companies have, combined to one mapping for a folder of exports."""
