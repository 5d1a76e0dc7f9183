"""Makes vectors.npz: what the tiny checkpoint must compute, by means that share no code with the engine.

    python tests/models/golden/make_vectors.py

The connector is written out here as plain float64 arithmetic with explicit softmax; the tower and the language model
are transformers', and the answers come from its own ``generate`` on input embeddings with its own cache. Float32
elsewhere.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny_checkpoint import TOWER_NAME, build

HERE = Path(__file__).resolve().parent
PROMPT = (
    "The assistant specialized in comparing Chest X-ray images, identifying differences, and noting temporal changes. "
    "USER: <image>\nProvide a detailed description of the findings in the radiology image. ASSISTANT:"
)
NEW = 24
BEAMS = {"beams3": (3, 2.0, 3), "beams4": (4, 1.0, 0)}
"""name -> beams, length penalty, no-repeat n-gram"""


def pictures() -> tuple[Image.Image, Image.Image]:
    """Two small non-square grey pictures; integer arithmetic only."""
    y, x = np.mgrid[0:90, 0:70]
    current = (x * 3 + y * 2 + (x * y) % 17) % 256
    prior = (x * 2 + y * 3 + ((x - 30) ** 2 + (y - 50) ** 2 < 400) * 60) % 256
    return Image.fromarray(current.astype(np.uint8)), Image.fromarray(prior.astype(np.uint8))


def pixels(image: Image.Image) -> torch.Tensor:
    side = max(image.size)
    square = Image.new("RGB", (side, side), (int(0.5307 * 255),) * 3)
    square.paste(image.convert("RGB"), ((side - image.width) // 2, (side - image.height) // 2))
    values = np.asarray(square.resize((56, 56), Image.Resampling.BICUBIC)) / 255.0
    return torch.from_numpy(((values - 0.5307) / 0.2583).transpose(2, 0, 1)).float()[None]


def connector(weights: dict[str, torch.Tensor], current: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
    w = {name.removeprefix("model.mm_projector."): t.double() for name, t in weights.items() if "mm_projector" in name}

    def gelu(x: torch.Tensor) -> torch.Tensor:
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))

    def mix(name: str, x: torch.Tensor) -> torch.Tensor:  # a 1x1 convolution over the layers
        mixed = torch.einsum("oi,i...->o...", w[f"{name}.weight"][:, :, 0, 0], x)
        bias = w.get(f"{name}.bias")
        return mixed if bias is None else mixed + bias.view(-1, *[1] * (mixed.ndim - 1))

    def extract(x: torch.Tensor) -> torch.Tensor:  # [12, N, D]
        for n in (0, 2, 4):
            gate = 1 / (1 + torch.exp(-mix(f"LFE.{n}.fc2", gelu(mix(f"LFE.{n}.fc1", x.mean(dim=(1, 2)))))))
            x = mix(f"LFE.{n + 1}", x * gate[:, None, None])
        return x[0]

    def norm(n: int, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"norm{n}.weight"]
            + w[f"norm{n}.bias"]
        )

    def attend(name: str, query: torch.Tensor, memory: torch.Tensor, heads: int = 4) -> torch.Tensor:
        project = [w[f"{name}.in_proj_weight"].chunk(3), w[f"{name}.in_proj_bias"].chunk(3)]
        q, k, v = (x @ project[0][i].T + project[1][i] for i, x in enumerate((query, memory, memory)))
        k, v = torch.cat((k, w[f"{name}.bias_k"][0])), torch.cat((v, w[f"{name}.bias_v"][0]))
        split = [x.view(len(x), heads, -1).transpose(0, 1) for x in (q, k, v)]
        scores = split[0] @ split[1].transpose(1, 2) / math.sqrt(split[0].shape[-1])
        out = (scores.softmax(-1) @ split[2]).transpose(0, 1).reshape(len(query), -1)
        return out @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    c, p = extract(current), extract(prior)
    cosine = (c * p).sum() / (c.norm() * p.norm())
    p = p + ((cosine + 1) / 2) ** 8 * w["LFE_prior_bias"]
    c1 = norm(1, c + attend("cur_self_attention", c, c))
    p1 = norm(2, p + attend("prior_self_attention", p, p))
    x = norm(3, c1 + attend("cros_attention", c1, p1))
    y = norm(4, c + linear("mlp_attn.3", gelu(linear("mlp_attn.0", x))))
    for n in (0, 2, 4):
        y = gelu(linear(f"mlp_final.{n}", y))
    return linear("mlp_final.6", y)


def main() -> None:
    from transformers import Dinov2Model, LlamaConfig, LlamaForCausalLM, LlamaTokenizer

    torch.set_grad_enabled(False)
    arrays: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = build(Path(scratch))
        weights = load_file(folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text())
        tower = Dinov2Model.from_pretrained(Path(scratch) / TOWER_NAME, dtype=torch.float32).eval()
        keys = ("model_type", "architectures", "torch_dtype", "rope_theta", "rope_scaling")
        fields = {k: v for k, v in config.items() if k not in keys and not k.startswith(("mm_", "image_"))}
        language = LlamaForCausalLM(
            LlamaConfig(**fields, rope_parameters={"rope_theta": 10000.0, "rope_type": "default"})
        )
        plain = {name: tensor.float() for name, tensor in weights.items() if "mm_projector" not in name}
        language.load_state_dict(plain, strict=True)
        language.eval()
        tokenizer = LlamaTokenizer.from_pretrained(folder)
        before, after = (tokenizer(part).input_ids for part in PROMPT.split("<image>"))

    current, prior = (pixels(image) for image in pictures())
    features = {
        name: torch.stack(tower(x, output_hidden_states=True).hidden_states[1:])[:, 0, 1:].double()
        for name, x in (("current", current), ("prior", prior))
    }
    arrays["pixels_current"] = current[0].numpy()
    arrays["features_current"] = features["current"][:, :4].float().numpy()
    arrays["prompt_ids"] = np.array([*before, -200, *after[1:]])
    embedding = language.get_input_embeddings()
    for case, other in (("pair", "prior"), ("single", "current")):
        image_tokens = connector(weights, features["current"], features[other]).float()
        arrays[f"{case}.image_tokens"] = image_tokens.numpy()
        embeds = torch.cat((embedding(torch.tensor(before)), image_tokens, embedding(torch.tensor(after[1:]))))[None]
        arrays[f"{case}.logits"] = language(inputs_embeds=embeds).logits[0, -4:].numpy()
        # generate sees the prompt's ids only through inputs_embeds here, so the ban on repeats spans the answer alone.
        common = {"inputs_embeds": embeds, "max_new_tokens": NEW, "pad_token_id": 0, "do_sample": False}
        arrays[f"{case}.greedy"] = language.generate(**common)[0].numpy()
        for name, (beams, penalty, ngram) in BEAMS.items():
            found = language.generate(
                **common, num_beams=beams, length_penalty=penalty, no_repeat_ngram_size=ngram,
                num_return_sequences=beams, return_dict_in_generate=True, output_scores=True,
            )  # fmt: skip
            arrays[f"{case}.{name}.ids"] = found.sequences.numpy()
            arrays[f"{case}.{name}.scores"] = found.sequences_scores.numpy()
    np.savez_compressed(HERE / "vectors.npz", **arrays)
    for name, array in arrays.items():
        print(name, array.shape, array.dtype)


if __name__ == "__main__":
    main()
