"""Matrices of a language model that lie quantised in a file, in the layout of bitsandbytes and transformers.

    nf4     X.weight                                   two values a byte, row by row
            X.weight.absmax                            the scale of each block of 64 values
            X.weight.quant_map                         the 16 values that 4 bits stand for
            X.weight.quant_state.bitsandbytes__nf4     a small JSON text: shape, dtype, sizes of blocks, offset
            X.weight.nested_absmax, .nested_quant_map  where the scales are quantised themselves (8 bits, blocks of 256)
    int8    X.weight                                   one byte a value
            X.SCB                                      the largest value of each row
            X.weight_format                            0: row by row

``gathered`` makes one entry of such a group, ``Packed``, with the matrix's own shape, so that whoever checks names and
shapes sees the model that was quantised. The JSON texts are read for that, a hundred bytes each, and nothing else.
``put`` builds the layers from the file's bytes as they are: nothing is quantised again, no float matrix is made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ModelError
from engine.models import language, weights
from engine.models.layers import replace_linear
from engine.models.quantisation import BLOCK, OUTLIERS, empty, fits, library, weight
from engine.models.weights import Entry, Weights

NF4, INT8 = "nf4", "int8"
NESTED = 256
"""Scales that share a scale of their own."""

MOST_SAID = 4096
"""Bytes of the JSON text of a matrix; they are about 200."""

_STATE = ".quant_state.bitsandbytes__"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BYTES = ("U8", "uint8")


@dataclass(frozen=True)
class Packed(Entry):
    """A matrix that a file holds quantised.

    ``shape`` is the matrix's and ``dtype`` "nf4" or "int8", where those of an Entry are the file's. ``parts`` are the
    tensors beside it by what they are called in QuantState ("absmax", "SCB"); ``said`` is the JSON text's content.
    """

    parts: Mapping[str, Entry]
    said: Mapping[str, Any]


def gathered(found: Weights) -> Weights:
    """The same weights with one entry for each matrix that is stored quantised; contradictions are problems."""
    entries = dict(found.entries)
    problems: list[str] = []
    small = [name for name, one in entries.items() if _STATE in name and math.prod(one.shape) <= MOST_SAID]
    said = _texts(found, small, problems)
    for name in [name for name in entries if _STATE in name]:
        _gather_nf4(entries, name, said.get(name, {}), problems)
    for name in [name for name in entries if name.endswith(".SCB")]:
        _gather_int8(entries, name, problems)
    return replace(found, entries=entries, problems=(*found.problems, *problems))


def method(found: Weights) -> str:
    """ "nf4" or "int8" where the language model's layers are stored so, else "none"."""
    return next((entry.dtype for entry in found.entries.values() if isinstance(entry, Packed)), "none")


def problems(config: Mapping[str, Any], found: Weights) -> Iterator[str]:
    """Why weights that are stored quantised cannot be used as they are."""
    said = config.get("quantization_config")
    packed = {name: entry for name, entry in found.entries.items() if isinstance(entry, Packed)}
    if said and not packed:
        kind = said.get("quant_method") if isinstance(said, Mapping) else None
        yield f"its weights are stored quantised ({kind or 'it does not say how'}), which is not supported"
    if len({entry.dtype for entry in packed.values()}) > 1:
        yield "its weights are stored partly in nf4 and partly in int8"
    elsewhere = next((name for name in packed if not name.startswith(language.LAYER)), None)
    if elsewhere is not None:
        yield f"{elsewhere} is stored quantised; only the language model's layers may be"
    whole = (name for name, entry in found.entries.items() if not isinstance(entry, Packed) and _is_whole(entry))
    number = next(whole, None)
    if number is not None:
        yield f"{number} holds whole numbers without the scales that they need"


def is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor of the language model would be quantised."""
    inside = name.startswith(language.LAYER) and name.endswith(".weight")
    return inside and len(shape) == 2 and fits(*shape)


def pack(name: str, matrix: Tensor, kind: str) -> dict[str, Tensor]:
    """The tensors a file holds of ``matrix`` in ``kind``, by their names; computed on the CPU."""
    made = weight(matrix.contiguous(), kind).to(torch.device("cpu"))
    if kind == INT8:
        module = name.removesuffix(".weight")
        return {
            name: made.data,
            f"{module}.SCB": made.SCB,
            f"{module}.weight_format": torch.tensor(0, dtype=torch.uint8),
        }
    return {name: made.data} | {
        f"{name}.{part}": value for part, value in made.quant_state.as_dict(packed=True).items()
    }


def configuration(kind: str, dtype: str, skipped: list[str]) -> dict[str, Any]:
    """``quantization_config`` of config.json, as transformers writes it. ``skipped``: modules that stay as they are."""
    return {
        "quant_method": "bitsandbytes",
        "load_in_4bit": kind == NF4,
        "load_in_8bit": kind == INT8,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_compute_dtype": dtype,
        "llm_int8_threshold": OUTLIERS,
        "llm_int8_has_fp16_weight": False,
        "llm_int8_enable_fp32_cpu_offload": False,
        "llm_int8_skip_modules": skipped,
    }


def stand_ins(found: Weights, dtype: torch.dtype) -> dict[str, Tensor]:
    """A tensor of the right shape for each packed matrix, that takes no memory; ``put`` takes its place."""
    packed = (item for item in found.entries.items() if isinstance(item[1], Packed))
    return {name: torch.zeros((), dtype=dtype).expand(entry.shape) for name, entry in packed}


def put(model: nn.Module, found: Weights, device: torch.device) -> None:
    """Put what is stored quantised into the linear layers of ``model``, on ``device``, one after the other.

    Raises ModelError where a file cannot be read.
    """

    def made(name: str, layer: nn.Linear) -> nn.Module | None:
        entry = found.entries.get(f"{name}.weight")
        return _layer(layer, entry, device) if isinstance(entry, Packed) else None

    replace_linear(model, made)


def _texts(found: Weights, names: list[str], problems: list[str]) -> dict[str, Mapping[str, Any]]:
    """What the JSON texts say; {} for one that is none."""
    try:
        read = weights.read(found, names)
    except ModelError as error:
        problems.append(str(error).rstrip("."))
        return {}
    texts: dict[str, Mapping[str, Any]] = {}
    for name, tensor in read.items():
        try:
            content = json.loads(bytes(tensor.to(torch.uint8).flatten().tolist()))
        except (ValueError, RecursionError):
            content = None
        texts[name] = content if isinstance(content, dict) else {}
    return texts


def _gather_nf4(entries: dict[str, Entry], name: str, said: Mapping[str, Any], problems: list[str]) -> None:
    matrix, _, kind = name.partition(_STATE)
    stored = entries.get(matrix)
    del entries[name]
    names = {part: f"{matrix}.{part}" for part in ("absmax", "quant_map", "nested_absmax", "nested_quant_map")}
    parts = {part: entries.pop(place) for part, place in names.items() if place in entries}
    if kind != NF4 or stored is None:
        problems.append(f"{matrix} is stored in {kind}, which is not supported; nf4 and int8 are")
        return
    shape = _shape(said.get("shape"))
    if not shape or not _belongs(said, stored, parts, math.prod(shape)):
        problems.append(f"{matrix}: what is stored of it in nf4 contradicts itself")
        return
    entries[matrix] = Packed(stored.file, stored.name, shape, NF4, parts, said)


def _belongs(said: Mapping[str, Any], stored: Entry, parts: Mapping[str, Entry], count: int) -> bool:
    """Whether the parts are as many and as long as a matrix of ``count`` values has them."""
    blocks = -(-count // BLOCK)
    double = "nested_absmax" in parts
    lengths = {"absmax": blocks, "quant_map": 16}
    if double:
        lengths |= {"nested_absmax": -(-blocks // NESTED), "nested_quant_map": 256}
    return (
        stored.dtype in _BYTES
        and math.prod(stored.shape) == -(-count // 2)
        and {part: math.prod(entry.shape) for part, entry in parts.items()} == lengths
        and (parts["absmax"].dtype in _BYTES) == double
        and said.get("quant_type") == NF4
        and said.get("blocksize") == BLOCK
        and said.get("dtype") in _DTYPES
        and (not double or _is_nested(said))
    )


def _is_nested(said: Mapping[str, Any]) -> bool:
    offset = said.get("nested_offset")
    finite = isinstance(offset, int | float) and math.isfinite(offset)
    return finite and said.get("nested_blocksize") == NESTED and said.get("nested_dtype") == "float32"


def _gather_int8(entries: dict[str, Entry], name: str, problems: list[str]) -> None:
    module = name.removesuffix(".SCB")
    stored, scale = entries.get(f"{module}.weight"), entries.pop(name)
    order = entries.pop(f"{module}.weight_format", None)
    if (
        stored is None
        or len(stored.shape) != 2
        or stored.dtype not in ("I8", "int8")
        or scale.shape != stored.shape[:1]
    ):
        problems.append(f"{module}: what is stored of it in int8 contradicts itself")
        return
    parts = {"SCB": scale} | ({"weight_format": order} if order is not None else {})
    entries[f"{module}.weight"] = Packed(stored.file, stored.name, stored.shape, INT8, parts, {})


def _shape(value: Any) -> tuple[int, ...]:
    """Rows and columns; () for anything else."""
    right = isinstance(value, list) and len(value) == 2 and all(type(n) is int and 0 < n < 2**31 for n in value)
    return tuple(value) if right else ()


def _is_whole(entry: Entry) -> bool:
    return entry.dtype in (*_BYTES, "I8", "int8") and len(entry.shape) > 1


def _layer(layer: nn.Linear, entry: Packed, device: torch.device) -> nn.Module:
    """bitsandbytes' layer with the bytes of the file."""
    beside = {part: one for part, one in entry.parts.items() if part != "weight_format"}
    read = weights.read(Weights(entries={"weight": entry, **beside}), ["weight", *beside])
    # A copy: the file is mapped, and stays so as a whole as long as one of its tensors is used.
    held = {part: tensor.to(device, copy=True) for part, tensor in read.items()}
    made, kind = empty(layer, entry.dtype), library()
    if entry.dtype == INT8:
        if "weight_format" in entry.parts and int(_value(entry.parts["weight_format"])) != 0:
            raise ModelError(f"{entry.name} is stored in an order of its bytes that is not supported.")
        made.weight = kind.nn.Int8Params(
            held["weight"], requires_grad=False, has_fp16_weights=False, CB=held["weight"], SCB=held["SCB"].float()
        )
        return made.eval()  # type: ignore[no-any-return]
    state = kind.functional.QuantState
    nested = None
    if "nested_absmax" in held:
        nested = state(
            absmax=held["nested_absmax"], blocksize=NESTED, code=held["nested_quant_map"], dtype=torch.float32
        )
    made.weight = kind.nn.Params4bit(
        held["weight"], requires_grad=False, quant_type=NF4, compress_statistics=nested is not None, module=made,
        bnb_quantized=True,
        quant_state=state(
            absmax=held["absmax"], shape=torch.Size(entry.shape), code=held["quant_map"], blocksize=BLOCK,
            quant_type=NF4, dtype=layer.weight.dtype, state2=nested,
            offset=torch.tensor(float(entry.said["nested_offset"]), device=device) if nested is not None else None,
        ),
    )  # fmt: skip
    made.quant_state = made.weight.quant_state
    return made.eval()  # type: ignore[no-any-return]


def _value(entry: Entry) -> Tensor:
    return weights.read(Weights(entries={"value": entry}), ["value"])["value"]
