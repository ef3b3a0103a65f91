"""Batch engines: one Ray Data job over Parquet, by actors that each open the model."""
