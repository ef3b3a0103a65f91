"""Batch engines: one job of Ray Data or Spark over Parquet, by copies that each open the model."""
