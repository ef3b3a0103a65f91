"""A web service: one session for all requests, awaited on the event loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import ortmmap


@dataclass
class Request:
    features: list[list[float]]


@dataclass
class Response:
    scores: list[list[float]]
    model: str


@dataclass
class Health:
    ready: bool
    providers: Sequence[str]
    mapped_bytes: int
    private_bytes: int


@dataclass
class App:
    path: str
    threads: int = 2
    _session: ortmmap.Session | None = field(default=None, init=False)

    @property
    def session(self) -> ortmmap.Session:
        if self._session is None:
            raise RuntimeError("the service has not started")
        return self._session

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        options = ortmmap.SessionOptions()
        options.intra_op_num_threads = max(options.intra_op_num_threads, self.threads)
        self._session = ortmmap.Session(self.path, options, cache=False)
        try:
            yield
        finally:
            self._session.close()

    async def predict(self, request: Request) -> Response:
        features: npt.NDArray[np.float32] = np.array(request.features, np.float32)
        (name,) = [argument.name for argument in self.session.get_inputs()]
        try:
            results = await self.session.run_awaitable(None, {name: features})
        except ortmmap.errors.InvalidArgument as error:
            raise ValueError(error.message) from error
        return Response(results[0].tolist(), self.session.get_modelmeta().graph_name)

    def health(self) -> Health:
        memory = self.session.memory()
        return Health(
            ready=not self.session.changed(),
            providers=self.session.get_providers(),
            mapped_bytes=memory.mapped,
            private_bytes=memory.private,
        )


async def serve(path: str) -> tuple[Response, Health]:
    app = App(path)
    async with app.lifespan():
        response = await app.predict(Request([[1.0] * 8]))
        try:
            await app.predict(Request([[1.0] * 7]))
        except ValueError:
            return response, app.health()
    raise RuntimeError("a request of a wrong shape was answered")


def main(path: str) -> None:
    response, health = asyncio.run(serve(path))
    assert len(response.scores[0]) == 4
    assert health.ready
    assert "CPUExecutionProvider" in health.providers
