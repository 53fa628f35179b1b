"""A FastAPI application with one route for each thing that servers get wrong."""

import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Form, HTTPException, Query, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

DATA = Path(os.environ["DATA"])

app = FastAPI()


class Item(BaseModel):
    name: str = Field(min_length=2)
    price: float = Field(gt=0)
    tags: list[str] = []


@app.post("/items", status_code=201)
async def create(item: Item) -> dict[str, Any]:
    return {"name": item.name.upper(), "total": item.price * 1.19, "tags": item.tags}


@app.get("/search")
async def search(q: str, limit: Annotated[int, Query(ge=1, le=10)] = 5) -> dict[str, Any]:
    return {"q": q, "limit": limit}


async def resource(mark: str) -> AsyncIterator[str]:
    """Like a database session: opened before the route runs, closed after it."""
    (DATA / f"{mark}.opened").touch()
    try:
        yield f"resource of {mark}"
    finally:
        (DATA / f"{mark}.closed").touch()


@app.get("/dependency/{mark}")
async def dependency(mark: str, held: Annotated[str, Depends(resource)], fail: bool = False) -> dict[str, Any]:
    if fail:
        raise HTTPException(409, "after the resource was opened")
    return {"held": held, "closed": (DATA / f"{mark}.closed").exists()}


_together = threading.Barrier(4)


@app.get("/together")
def together() -> dict[str, Any]:
    """Four of these have to run at once, or none returns."""
    _together.wait(10)
    return {"thread": threading.current_thread() is not threading.main_thread()}


@app.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()]) -> dict[str, Any]:
    digest = hashlib.sha1(usedforsecurity=False)
    while piece := await file.read(65536):
        digest.update(piece)
    return {"name": file.filename, "size": file.size, "sha1": digest.hexdigest(), "note": note}


@app.post("/background/{mark}")
async def background(mark: str, tasks: BackgroundTasks) -> dict[str, Any]:
    tasks.add_task((DATA / f"{mark}.written").touch)
    return {"accepted": mark}


@app.get("/stream")
def stream(n: int) -> StreamingResponse:
    def pieces() -> Iterator[str]:
        for number in range(n):
            yield f"piece {number}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/fail")
async def fail() -> None:
    raise RuntimeError("this route always fails")
