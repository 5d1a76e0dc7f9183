"""The HTTP side of the viewer: FastAPI with image, intake and export routes, Gradio mounted at ``/app``, all guarded.

Routes
    GET  /                        to the page
    GET  /image/{sha}/meta        what the viewport needs to know of an image (JSON; never stored)
    GET  /image/{sha}/pixels      stored values, little-endian uint16, row by row
    GET  /image/{sha}/padding     one byte a pixel, nonzero outside the radiograph
    GET  /image/{sha}/thumbnail   small PNG, as displayed, for the image list
    POST /intake                  a drop; answers {"intake": ticket, "studies": n, "problems": n}
    GET  /export/{ticket}         a PDF or text file that this process has exported
    GET  /favicon.ico, /manifest.json   asked for by browsers at the root

An image is answered only while its hash is known to this process, that is, after somebody opened it here. No address
holds patient data. This module knows no widget: the page is built by ``app.pages``.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import mimetypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from app import errors, security, uploads
from app.services import ModelHost, Workbench
from engine import paths
from engine.errors import NotFound, ResourceError, UsageError
from engine.imaging import display
from engine.imaging.types import Image

log = logging.getLogger(__name__)

MOUNT = "/app"
HERE = Path(__file__).resolve().parent
UPLOADS_AT_ONCE = 2
THUMBNAIL = 160
ICON = (HERE / "web" / "icon.svg").read_bytes()


@contextlib.contextmanager
def workbench(model: Path | None) -> Iterator[Workbench]:
    """The services over the data folder, with a private temp folder for Gradio that is gone afterwards.

    Raises UsageError when the data folder cannot be written.
    """
    home = paths.home()
    try:
        paths.ensure(home)
        paths.ensure(home / "tmp")
        with tempfile.TemporaryFile(dir=home / "tmp"):
            pass
    except OSError as cause:
        raise UsageError(
            f"The data folder {home} cannot be written. Make it writable, or name another one in INTERVAL_HOME."
        ) from cause
    with Workbench.open(home, ModelHost(model)) as bench, _temporary(home) as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_OFFLINE"] = "1"
        yield bench


@contextlib.contextmanager
def _temporary(home: Path) -> Iterator[Path]:
    """A private folder; first, what a killed process has left beside it is deleted (the data folder is ours)."""
    for entry in (home / "tmp").iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
    with paths.scratch("page") as folder:
        yield folder


def create_app(bench: Workbench, port: int, *, host: str = "127.0.0.1") -> ASGIApp:
    """The guarded application, answering to ``host`` and ``localhost`` at ``port``."""
    mimetypes.add_type("text/javascript", ".mjs")  # some Windows registries lack it
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, title="Interval")
    _answer_errors(app)
    _image_routes(app, bench)
    _intake_route(app, bench)
    _export_route(app, bench)
    _root_routes(app)
    app.mount("/static", StaticFiles(directory=HERE / "static", follow_symlink=False))
    app.mount("/web", StaticFiles(directory=HERE / "web", follow_symlink=False))

    from app.pages import mount  # imports gradio, which reads its environment once

    inputs = mount(app, bench, MOUNT)
    hosts = {f"{name}:{port}" for name in (host, "localhost")}
    return security.protect(app, hosts=hosts, mount=MOUNT, inputs=inputs)


def _answer_errors(app: FastAPI) -> None:
    """Every error becomes {"message": sentence} with its status; no trace leaves the process."""

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = "There is nothing here." if error.status_code == 404 else "This request cannot be answered."
        return JSONResponse({"message": words}, status_code=error.status_code)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return JSONResponse({"message": errors.sentence(error)}, status_code=errors.http_status(error))


def _failed(error: Exception) -> Response:
    return JSONResponse({"message": errors.sentence(error)}, status_code=errors.http_status(error))


def meta(image: Image) -> dict[str, Any]:
    """What the viewport draws an image and its corners with; strict JSON values."""
    return {
        "rows": image.rows,
        "columns": image.columns,
        "slope": image.slope,
        "intercept": image.intercept,
        "windows": [
            {"center": window.center, "width": window.width, "name": window.name, "function": window.function}
            for window in image.windows
        ],
        "luts": [{"first": lut.first, "values": lut.values.tolist(), "name": lut.name} for lut in image.luts],
        "inverted": image.inverted,
        "spacing": None
        if image.spacing is None
        else {
            "row_mm": image.spacing.row_mm,
            "column_mm": image.spacing.column_mm,
            "basis": image.spacing.basis,
        },
        "view": image.view.value,
        "modality": image.modality,
        "laterality": image.laterality,
        "orientation": list(image.orientation),
        "patient": {
            "name": image.patient.name or "not identified",
            "id": image.patient.id,
            "issuer": image.patient.issuer,
        },
        "acquired": image.acquired.isoformat(timespec="seconds") if image.acquired else None,
        "date_reliable": image.date_reliable,
        "study_description": image.study_description,
        "notes": list(image.notes),
        "bits": image.bits,
        "has_padding": image.padding is not None,
    }


def thumbnail(image: Image) -> bytes:
    """PNG of at most 160 x 160 pixels, as displayed."""
    picture = display.to_pil(image).convert("L")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _image_routes(app: FastAPI, bench: Workbench) -> None:
    @app.get("/image/{sha}/{what}")
    def image(sha: str, what: str, request: Request) -> Response:
        try:
            found = bench.images.get(sha)
            if what == "meta":
                return Response(json.dumps(meta(found), allow_nan=False), media_type="application/json")
            tag = f'"{sha[:32]}-{what}"'
            headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers)
            if what == "pixels":
                body = found.pixels.astype("<u2", copy=False).tobytes()
                return Response(body, media_type="application/octet-stream", headers=headers)
            if what == "padding" and found.padding is not None:
                body = found.padding.astype(np.uint8).tobytes()
                return Response(body, media_type="application/octet-stream", headers=headers)
            if what == "thumbnail":
                return Response(thumbnail(found), media_type="image/png", headers=headers)
            raise NotFound("This image is not open here.")
        except Exception as error:
            return _failed(error)


def _intake_route(app: FastAPI, bench: Workbench) -> None:
    limits = uploads.UploadLimits()
    gate = asyncio.Semaphore(UPLOADS_AT_ONCE)

    @app.post("/intake")
    async def intake(request: Request) -> Response:
        try:
            if gate.locked():
                raise ResourceError("Another drop is still being read. Try again when it has finished.")
            if int(request.headers.get("content-length") or 0) > limits.bytes_in_all + limits.bytes_of_names:
                raise ResourceError(
                    f"More than {limits.bytes_in_all >> 30} GB were dropped at once. Drop fewer at a time."
                )
            async with gate:
                with paths.scratch("drop") as folder:
                    content_type = request.headers.get("content-type", "")
                    dropped = await uploads.receive(content_type, aiter(request.stream()), folder, limits)
                    ticket = await run_in_threadpool(bench.take_in, dropped)
            return JSONResponse({"intake": ticket.id, "studies": ticket.studies, "problems": ticket.problems})
        except Exception as error:
            return _failed(error)


def _export_route(app: FastAPI, bench: Workbench) -> None:
    @app.get("/export/{ticket}")
    def export(ticket: str) -> Response:
        try:
            path = bench.exported(ticket)
        except Exception as error:
            return _failed(error)
        kind = "application/pdf" if path.suffix == ".pdf" else "text/plain; charset=utf-8"
        return FileResponse(path, media_type=kind, filename=path.name)


def _root_routes(app: FastAPI) -> None:
    @app.get("/")
    def root() -> Response:
        return RedirectResponse(f"{MOUNT}/")

    @app.get("/favicon.ico")
    def favicon() -> Response:
        return Response(ICON, media_type="image/svg+xml")

    @app.get("/manifest.json")
    def manifest() -> Response:
        return JSONResponse(
            {
                "name": "Interval",
                "short_name": "Interval",
                "start_url": f"{MOUNT}/",
                "display": "standalone",
                "background_color": "#101418",
                "theme_color": "#101418",
                "icons": [{"src": "/favicon.ico", "sizes": "any", "type": "image/svg+xml"}],
            },
            media_type="application/manifest+json",
        )
