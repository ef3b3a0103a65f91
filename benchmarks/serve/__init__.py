"""A web server over a model, under load: uvicorn's workers, a FastAPI app, clients."""
