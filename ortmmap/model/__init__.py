"""Model files: mapped, scanned for their weights, and inspected."""
