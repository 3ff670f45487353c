"""Silero's network as few matrix products over all rows, with the weights of its own file.

The file holds two networks behind a branch; its convolutions run row by row on four columns each, and its shapes are worked
out anew in every run. The same network written for one rate and many rows takes a quarter of the time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.onnx_file import Graph, floats_of

STATE = 128
FRAMES = 4
"""Spectra of one window; consecutive ones overlap by half."""

Floats = npt.NDArray[np.float32]


def batched(file: Path, fft: int) -> bytes:
    """The model for frames of fft samples: 256 at 16 kHz, 128 at 8 kHz.

    Inputs: even [rows, 4, fft/2] and odd [rows, 4, fft/2-1], the sum and the difference of samples 1.. and fft-1.. of a frame
    (even ends with the middle sample alone), hidden and cell [1, rows, 128]. Outputs: probability [rows, 1], hidden_next and
    cell_next. Raises FileNotFoundError, and ValueError for a file that holds something else.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing")
    weights = _weights(file.read_bytes(), fft)
    half = fft // 2
    bins = half + 1
    graph = Graph()
    node, constant = graph.node, graph.constant

    def layer(rows: str, weight: Floats, bias: Floats) -> str:
        return node("Relu", node("Gemm", rows, constant(weight), constant(bias)))

    basis = weights["stft.forward_basis_buffer"][:, 0]
    real = node("MatMul", "even", constant(basis[:bins, 1 : half + 1].T))
    imaginary = node("MatMul", "odd", constant(basis[bins:, 1:half].T))
    power = node("Add", node("Mul", real, real), node("Mul", imaginary, imaginary))
    magnitudes = node("Sqrt", power)

    # Three taps over the four frames, with a frame of zeros (the fifth) beyond either end.
    padded = node("Pad", magnitudes, constant([0, 0, 0, 0, 1, 0]))
    taps = node("Gather", padded, constant([[4, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]), axis=1)
    columns = node("Reshape", taps, constant([-1, 3 * bins]))
    weight, bias = _convolution(weights, 0)
    features = layer(columns, weight.reshape(3 * bins, 128), bias)

    # Every other frame: frame 0 sees (-, 0, 1) and frame 2 sees (1, 2, 3), side by side in one product.
    weight, bias = _convolution(weights, 1)
    both = np.zeros((FRAMES, 128, 2, 64), dtype=np.float32)
    both[:2, :, 0], both[1:, :, 1] = weight[1:], weight
    features = node("Reshape", features, constant([-1, FRAMES * 128]))
    features = layer(features, both.reshape(FRAMES * 128, 2 * 64), np.tile(bias, 2))

    # Of two frames the first, which sees (-, 0, 1); then of one frame itself.
    weight, bias = _convolution(weights, 2)
    features = layer(features, weight[1:].reshape(2 * 64, 64), bias)
    weight, bias = _convolution(weights, 3)
    features = layer(features, weight[1], bias)

    input_gates, state_gates, input_bias, state_bias = (
        _gates(weights[f"decoder.rnn.{name}"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    node(
        "LSTM",
        node("Unsqueeze", features, constant([0])),
        constant(input_gates[None]),
        constant(state_gates[None]),
        constant(np.concatenate((input_bias, state_bias))[None]),
        "",
        "hidden",
        "cell",
        outputs=("", "hidden_next", "cell_next"),
        hidden_size=STATE,
    )
    spoken = node("Relu", node("Squeeze", "hidden_next", constant([0])))
    weight, bias = weights["decoder.decoder.2.weight"][0], weights["decoder.decoder.2.bias"]
    node("Sigmoid", node("Gemm", spoken, constant(weight), constant(bias)), outputs=("probability",))

    state = (1, "rows", STATE)
    return graph.model(
        {"even": ("rows", FRAMES, half), "odd": ("rows", FRAMES, half - 1), "hidden": state, "cell": state},
        {"probability": ("rows", 1), "hidden_next": state, "cell_next": state},
    )


def _weights(model: bytes, fft: int) -> dict[str, Floats]:
    """By their names in Silero's own code. The branch of the rate is the one with a spectrum of this size."""
    bins = fft // 2 + 1
    shapes = {
        "stft.forward_basis_buffer": (2 * bins, 1, fft),
        "encoder.0.reparam_conv.weight": (128, bins, 3),
        "encoder.0.reparam_conv.bias": (128,),
        "encoder.1.reparam_conv.weight": (64, 128, 3),
        "encoder.1.reparam_conv.bias": (64,),
        "encoder.2.reparam_conv.weight": (64, 64, 3),
        "encoder.2.reparam_conv.bias": (64,),
        "encoder.3.reparam_conv.weight": (128, 64, 3),
        "encoder.3.reparam_conv.bias": (128,),
        "decoder.rnn.weight_ih": (4 * STATE, 128),
        "decoder.rnn.weight_hh": (4 * STATE, STATE),
        "decoder.rnn.bias_ih": (4 * STATE,),
        "decoder.rnn.bias_hh": (4 * STATE,),
        "decoder.decoder.2.weight": (1, STATE, 1),
        "decoder.decoder.2.bias": (1,),
    }
    found = dict(floats_of(model))
    first = next(iter(shapes))
    branches = [
        name.removesuffix(first)
        for name, value in found.items()
        if name.endswith(first) and value.shape == shapes[first]
    ]
    if len(branches) != 1:
        raise ValueError(f"not Silero v6: {len(branches)} spectra of {fft} samples")
    weights = {name: found.get(branches[0] + name) for name in shapes}
    checked = {
        name: value for name, value in weights.items() if value is not None and value.shape == shapes[name]
    }
    if wrong := shapes.keys() - checked.keys():
        raise ValueError(f"not Silero v6: {', '.join(sorted(wrong))}")
    _check_symmetry(checked[first][:, 0], fft)
    return checked


def _check_symmetry(basis: Floats, fft: int) -> None:
    """A windowed cosine is even about the middle of its frame and a windowed sine odd, to the last bit: that is why samples
    may be added and subtracted first, which halves the products."""
    half = fft // 2
    real, imaginary = basis[: half + 1], basis[half + 1 :]
    if (
        basis[:, 0].any()
        or imaginary[:, half].any()
        or not np.array_equal(real[:, 1:half], real[:, :half:-1])
        or not np.array_equal(imaginary[:, 1:half], -imaginary[:, :half:-1])
    ):
        raise ValueError("not Silero v6: the basis of its spectrum is not symmetrical")


def _convolution(weights: dict[str, Floats], number: int) -> tuple[Floats, Floats]:
    """[tap, in, out] and [out]."""
    name = f"encoder.{number}.reparam_conv"
    return weights[f"{name}.weight"].transpose(2, 1, 0), weights[f"{name}.bias"]


def _gates(value: Floats) -> Floats:
    """From the order input, forget, cell, output to ONNX's: input, output, forget, cell."""
    i, f, c, o = np.split(value, 4)
    return np.concatenate((i, o, f, c))
