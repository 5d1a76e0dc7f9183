"""A server with the same weights sees the same input: the model behind it is transformers' own, its prompts are made by
the published chat template, and its answers are those of our own engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_multimodal
import transformers
from chat_server import Body, Server, pictures
from tiny_multimodal import Plain

from engine import Asking, Comparison, Decoding, Engine
from engine.drafting import Turn
from engine.drafting.loading import load

SHORT = Decoding(max_new_tokens=16)
BUILDERS: dict[str, Callable[..., Path]] = {"qwen2-vl": tiny_multimodal.qwen2vl, "llava": tiny_multimodal.llava}
PLAIN: dict[str, Callable[..., Plain]] = {"qwen2-vl": Plain.qwen2vl, "llava": Plain.llava}
ASKINGS = (
    Asking(context="History: cough."),
    Asking(prompt="And the heart?", earlier=(Turn("", "Clear lungs."), Turn("Sure?", "Yes."))),
)


@pytest.fixture(scope="module", params=BUILDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILDERS[request.param](tmp_path_factory.mktemp("models") / str(request.param))


@pytest.fixture(scope="module")
def local(folder: Path) -> Engine:
    return Engine.load(folder, dtype="float32", device="cpu")


def chat_template(family: str, project: Path, request: pytest.FixtureRequest) -> str:
    """The template published with Qwen2-VL, or the one that docs/served.md has LLaVA served with."""
    if family == "llava":
        return (project / "docs" / "llava-chat-template.jinja").read_text(encoding="utf-8")
    file = request.getfixturevalue("shared") / "reference" / "qwen2vl" / "tiny-qwen2vl" / "chat_template.json"
    found: str = json.loads(file.read_text())["chat_template"]
    return found


def as_a_server_has_it(body: Body) -> list[dict[str, Any]]:
    """Messages as vLLM hands them to a template: contents in parts, a picture as its place."""
    return [
        {
            "role": said["role"],
            "content": [{"type": "text", "text": said["content"]}]
            if isinstance(said["content"], str)
            else [part if part["type"] == "text" else {"type": "image"} for part in said["content"]],
        }
        for said in body["messages"]
    ]


@pytest.mark.parametrize("asking", ASKINGS, ids=["first", "third"])
@pytest.mark.parametrize("prior", [True, False], ids=["pair", "alone"])
def test_it_answers_as_our_own_engine(
    server: Server, folder: Path, local: Engine, pair: Comparison, asking: Asking, prior: bool, project: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    comparison = pair if prior else Comparison(pair.current)
    template = chat_template(folder.name, project, request)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    prompts = []

    def says(body: Body) -> list[str]:
        rendered = str(
            tokenizer.apply_chat_template(
                as_a_server_has_it(body), chat_template=template, tokenize=False, add_generation_prompt=True
            )
        )
        # A server tokenises what its template says; transformers' processor puts the first token there by itself.
        prompts.append(rendered.removeprefix(tokenizer.bos_token or ""))
        ids = PLAIN[folder.name](folder, prompts[-1], pictures(body)).answer()
        return [tokenizer.decode(ids, skip_special_tokens=True)]

    server.says = says
    server.models = [{"id": folder.name}]
    draft = load(server.url).draft(comparison, asking, decoding=SHORT)
    expected = local.draft(comparison, asking, decoding=SHORT)
    assert prompts == [expected.prompt] == [draft.prompt]
    assert draft.text == expected.text != ""
