"""The pages of the service: what it is, and the documentation of its API, without any request to another host."""

import asyncio
import re

import httpx
import pytest
from starlette.applications import Starlette

from serving.api.openapi import openapi_document
from serving.app import ENDPOINTS, PREFIX
from serving.web.api_docs import ApiDocsMiddleware, example_value


def get(path: str) -> httpx.Response:
    app = ApiDocsMiddleware(Starlette(), lambda: openapi_document(ENDPOINTS, PREFIX), PREFIX)

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(send())


def test_the_page_describes_every_route():
    page = get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for route in ENDPOINTS:
        assert f"{route.method} {PREFIX}{route.path_format}" in page.text


def test_the_page_asks_no_other_host_and_runs_no_script():
    page = get("/docs")
    links = re.findall(r"(?:href|src)=\"([^\"]+)\"", page.text)
    assert [link for link in links if not link.startswith(("/", "#"))] == []
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert get("/docs.css").headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_the_bare_prefix_leads_to_the_page(path: str):
    response = get(path)
    assert (response.status_code, response.headers["location"]) == (307, "/docs")


def test_other_paths_are_passed_on():
    assert get("/v1/nothing").status_code == 404


def test_every_example_is_made_of_the_examples_of_its_fields():
    schemas = openapi_document(ENDPOINTS, PREFIX)["components"]["schemas"]
    example = example_value({"$ref": "#/components/schemas/ScoreRequest"}, schemas)
    assert example == {"account_ids": ["A0000302"], "drivers": 3}
