"""fastsnn: very deep self-normalizing networks on fused kernels, without a framework.

import fastsnn as fs
net = fs.mlp(input_size=784, output_size=10, layers=32, width=256, dropout=0.01)
trainer = fs.Trainer(net, optimizer=fs.SGD(learning_rate=0.01))
history = trainer.fit(x, y, epochs=10, batch_size=128, validation_data=(xv, yv))
net.save("model.safetensors")
"""

from pathlib import Path as _Path

if not (
    _Path(__file__).parent / "kernels"
).is_dir():  # a bare checkout: kernels/, bench/ and cli.py lie beside
    __path__.append(str(_Path(__file__).parents[1]))

from fastsnn.callbacks import EarlyStopping
from fastsnn.checkpoint import load, load_model, save_model
from fastsnn.layers import (
    SELU,
    AlphaDropout,
    BatchNorm,
    Dense,
    Dropout,
    Highway,
    LayerNorm,
    ReLU,
    Residual,
    Tanh,
)
from fastsnn.model import Model
from fastsnn.network import Network, mlp
from fastsnn.optimizers import SGD, Adam, AdamW
from fastsnn.schedules import Constant, Cosine, Plateau, Step
from fastsnn.trainer import Trainer
from fastsnn.version import __version__

__all__ = [
    "SELU", "SGD", "Adam", "AdamW", "AlphaDropout", "BatchNorm", "Constant", "Cosine", "Dense",
    "Dropout", "EarlyStopping", "Highway", "LayerNorm", "Model", "Network", "Plateau", "ReLU",
    "Residual", "Step", "Tanh", "Trainer", "__version__", "load", "load_model", "mlp",
    "save_model",
]  # fmt: skip
