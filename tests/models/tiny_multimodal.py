"""Tiny Qwen2-VL, Qwen2.5-VL and LLaVA checkpoints made with transformers' classes, and plain transformers beside them.

The weights are random and large enough that an answer depends on the pictures. ``Plain`` prepares prompts and pixels by
itself, with transformers' processors and LLaMA-Factory's resize written out, without the code under test.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tiny_checkpoint import vocabulary, write_tokenizer

CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
            "<|video_pad|>")  # fmt: skip
VOCABULARY = 320
TEXT = {
    "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
    "bos_token_id": 256, "eos_token_id": 258,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
}  # fmt: skip
VISION = {
    "qwen2_vl": {"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 64, "mlp_ratio": 2},
    "qwen2_5_vl": {"depth": 3, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 64,
                   "window_size": 56, "fullatt_block_indexes": [1]},
}  # fmt: skip
CLASSES = {
    "qwen2_vl": (transformers.Qwen2VLConfig, transformers.Qwen2VLForConditionalGeneration),
    "qwen2_5_vl": (transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration),
}
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def qwen2vl(folder: Path, kind: str = "qwen2_vl", layout: str = "hub", **text: Any) -> Path:
    """Write a checkpoint; ``layout`` "hub" (flat, old names) or "export" (nested, the module's names)."""
    folder.mkdir(parents=True)
    controls = {name: 256 + number for number, name in enumerate(CONTROLS)}
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    ids = {name: 259 + number for number, name in enumerate(names)}
    config, model = CLASSES[kind]
    built = model(config(text_config=TEXT | text, vision_config=VISION[kind], **ids))
    state = _large(built)
    written = {"model_type": kind, "architectures": [model.__name__], "tie_word_embeddings": False, **ids}
    if layout == "hub":
        state = {_hub_name(name): tensor for name, tensor in state.items()}
        flat = dict(TEXT | text)
        rope = flat.pop("rope_parameters")
        flat |= {
            "rope_theta": rope["rope_theta"],
            "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
        }
        written |= flat | {"vision_config": VISION[kind]}
    else:
        written |= {"text_config": TEXT | text, "vision_config": VISION[kind]}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", written)
    numbers = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2, "image_mean": MEAN, "image_std": STD}
    pictures = {"min_pixels": 3136, "max_pixels": 12845056, "image_processor_type": "Qwen2VLImageProcessor", **numbers}
    if layout == "hub":
        write_json(folder / "preprocessor_config.json", pictures)
    else:
        write_json(
            folder / "processor_config.json", {"processor_class": "Qwen2VLProcessor", "image_processor": pictures}
        )
    write_json(folder / "generation_config.json", {"eos_token_id": [258, 256], "pad_token_id": 256})

    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    bpe.add_special_tokens(list(controls))
    assert bpe.token_to_id("<|image_pad|>") == ids["image_token_id"]
    transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>").save_pretrained(folder)
    return folder


def llava(folder: Path, text: str = "llama", layout: str = "hub", **options: Any) -> Path:
    """Write a checkpoint over a llama or mistral; ``layout`` as above."""
    folder.mkdir(parents=True)
    pieces = len(vocabulary()[0])
    sizes = {
        "vocab_size": pieces + 7, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": 0, "model_type": text,
    }  # fmt: skip
    vision = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2,
              "image_size": 56, "patch_size": 14, "model_type": "clip_vision_model"}  # fmt: skip
    config = {"text_config": sizes, "vision_config": vision, "image_token_index": pieces} | options
    built = transformers.LlavaForConditionalGeneration(transformers.LlavaConfig(**config))
    state = _large(built)
    if layout == "hub":
        state = {_old_llava_name(name): tensor for name, tensor in state.items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    architecture = ["LlavaForConditionalGeneration"]
    write_json(folder / "config.json", {"model_type": "llava", "architectures": architecture, **config})
    write_json(folder / "generation_config.json", {"eos_token_id": 2, "pad_token_id": 0})
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 56}, "image_mean": MEAN,
         "image_std": STD, "crop_size": {"height": 56, "width": 56}, "do_center_crop": True},
    )  # fmt: skip
    write_tokenizer(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    return folder


def adapter(base: Path, folder: Path, targets: tuple[str, ...], **options: Any) -> Path:
    """A LoRA adapter over the language model of ``base``, its modules named in full, as LLaMA-Factory writes them."""
    model = plain_model(base)
    names = [
        name
        for name, module in model.named_modules()
        if name.startswith("model.language_model.layers.") and name.endswith(targets) and hasattr(module, "weight")
    ]
    settings = {"r": 4, "lora_alpha": 8, "target_modules": names} | options
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**settings))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_" in name:
                value.copy_(0.5 * torch.randn(value.shape, generator=generator))
    wrapped.save_pretrained(folder)
    described = json.loads((folder / "adapter_config.json").read_text())
    write_json(folder / "adapter_config.json", described | {"base_model_name_or_path": base.name})
    return folder


def plain_model(folder: Path) -> Any:
    """The checkpoint as transformers loads it by itself, float32."""
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    return getattr(transformers, name).from_pretrained(folder, dtype=torch.float32).eval()


@dataclass
class Plain:
    """A checkpoint as plain transformers runs it.

    Attributes:
        inputs: everything ``generate`` takes for the prompt and pictures given.
    """

    model: Any
    inputs: dict[str, torch.Tensor]

    @classmethod
    def qwen2vl(cls, folder: Path, prompt: str, pictures: list[Image.Image], max_pixels: int = 589824) -> Plain:
        """``prompt`` holds ``<|image_pad|>`` once for each of ``pictures``."""
        processor = transformers.Qwen2VLImageProcessorPil.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        made = processor(images=[factory_resize(picture, max_pixels) for picture in pictures], return_tensors="pt")
        parts = prompt.split("<|image_pad|>")
        for number, grid in enumerate(made["image_grid_thw"], 1):
            parts[number] = "<|image_pad|>" * int(grid.prod() // 4) + parts[number]
        ids = tokenizer("".join(parts), return_tensors="pt").input_ids
        types = (ids == 261).int()
        return cls(plain_model(folder), {"input_ids": ids, "mm_token_type_ids": types, **made})

    @classmethod
    def llava(cls, folder: Path, prompt: str, pictures: list[Image.Image]) -> Plain:
        """``prompt`` holds ``<image>`` once for each of ``pictures``."""
        processor = transformers.LlavaProcessor(
            transformers.CLIPImageProcessorPil.from_pretrained(folder),
            transformers.AutoTokenizer.from_pretrained(folder),
            patch_size=14,
            vision_feature_select_strategy=json.loads((folder / "config.json").read_text()).get(
                "vision_feature_select_strategy", "default"
            ),
            num_additional_image_tokens=1,
        )
        made = processor(text=prompt, images=[picture.convert("RGB") for picture in pictures], return_tensors="pt")
        return cls(plain_model(folder), dict(made))

    def logits(self) -> torch.Tensor:
        """``[P, vocabulary]`` over the prompt."""
        with torch.inference_mode():
            found: torch.Tensor = self.model(**self.inputs).logits[0]
            return found

    def answer(self, **options: Any) -> list[int]:
        """The ids after the prompt, 16 at most."""
        inputs = dict(self.inputs)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        made = self.model.generate(**inputs, max_new_tokens=16, do_sample=False, **options)
        answer: list[int] = made[0, inputs["input_ids"].shape[1] :].tolist()
        return answer


def factory_resize(picture: Image.Image, max_pixels: int = 589824, min_pixels: int = 1024) -> Image.Image:
    """What LLaMA-Factory 0.9.5 makes of a picture for Qwen2-VL, in its order of steps."""
    for pixels, wrong in ((max_pixels, lambda n: n > max_pixels), (min_pixels, lambda n: n < min_pixels)):
        if wrong(picture.width * picture.height):
            factor = math.sqrt(pixels / (picture.width * picture.height))
            picture = picture.resize((int(picture.width * factor), int(picture.height * factor)))
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    if min(picture.width, picture.height) < 28:
        picture = picture.resize((max(picture.width, 28), max(picture.height, 28)))
    if picture.width / picture.height > 200:
        picture = picture.resize((picture.height * 180, picture.height))
    if picture.height / picture.width > 200:
        picture = picture.resize((picture.width, picture.width * 180))
    return picture


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2))


def _large(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    state = {}
    for name, tensor in model.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        if "norm" in name or "ln_q" in name:
            drawn = 0.2 * drawn + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            drawn = 0.2 * drawn
        elif "embed_tokens" not in name and drawn.dim() > 1:
            drawn = 1.5 * drawn / math.prod(tensor.shape[1:]) ** 0.5
        state[name] = drawn.to(torch.bfloat16).float()
    return state


def _hub_name(name: str) -> str:
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def _old_llava_name(name: str) -> str:
    name = name.replace("lm_head.", "language_model.lm_head.")
    name = name.replace("model.language_model.", "language_model.model.")
    name = name.replace("model.vision_tower.", "vision_tower.vision_model.")
    return name.replace("model.multi_modal_projector.", "multi_modal_projector.")
