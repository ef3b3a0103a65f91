"""A web server over a model, under load: uvicorn's workers, a FastAPI app, a client."""

# What workers inherit: what they open, as JSON, and the process that starts them.
SETTINGS_VARIABLE = "ORTMMAP_BENCH_SERVE"
SERVER_VARIABLE = "ORTMMAP_BENCH_SERVER"

PACKAGES = ("fastapi", "httpx", "uvicorn")
