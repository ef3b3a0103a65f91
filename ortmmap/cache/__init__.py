"""The cache on disk: optimized graphs, and prepacked weights as pages that processes share."""
