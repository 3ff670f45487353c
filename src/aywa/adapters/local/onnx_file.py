"""The few fields of the ONNX file format that are needed here: constants are read out of a model, small graphs written.

Fields are named by their numbers in onnx.proto; what is not asked for is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = Sequence[int | str]
"""A dimension: its size, or the name of one that differs from run to run."""

_FLOAT, _INT64 = 1, 7
_IR_VERSION, _OPSET = 8, 17

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def floats_of(model: bytes) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The name and the value of every Constant node of floats, those within branches too. Raises ValueError if the bytes
    are not a model."""
    try:
        for number, graph in _fields(memoryview(model)):
            if number == 7:
                yield from _floats_of_graph(graph)
    except (IndexError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not an ONNX model: {error}") from error


def _floats_of_graph(graph: memoryview) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for number, node in _fields(graph):
        if number == 1:
            yield from _floats_of_node(node)


def _floats_of_node(node: memoryview) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    fields = list(_fields(node))
    kind = b"".join(value for number, value in fields if number == 4)
    outputs = [str(value, "utf-8") for number, value in fields if number == 2]
    for number, attribute in fields:
        if number == 5:
            for part, value in _fields(attribute):
                if part == 6:
                    yield from _floats_of_graph(value)
                elif part == 5 and kind == b"Constant" and (tensor := _floats(value)) is not None:
                    yield outputs[0], tensor


def _floats(tensor: memoryview) -> npt.NDArray[np.float32] | None:
    shape: list[int] = []
    kind, raw = 0, None
    for number, value in _fields(tensor):
        if number == 1:
            shape.append(value)
        elif number == 2:
            kind = value
        elif number == 9:
            raw = value
    if kind != _FLOAT or raw is None:
        return None
    return np.frombuffer(raw, dtype="<f4").reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """(number, value) of each: an int, or a view of its bytes."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = _read_varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"not an ONNX model: wire type {wire}")
        if at + size > len(message):
            raise ValueError("not an ONNX model: it ends within a field")
        yield key >> 3, message[at : at + size]
        at += size


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


class Graph:
    """A graph under construction. Every tensor has a name; constants are float32 or int64."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, value: npt.ArrayLike) -> str:
        """Its name."""
        array = np.ascontiguousarray(value)
        kind, data = (_INT64, "<i8") if array.dtype.kind == "i" else (_FLOAT, "<f4")
        name = f"constant{len(self._constants)}"
        self._constants.append(
            b"".join(_number(1, size) for size in np.shape(value))
            + _number(2, kind)
            + _bytes(8, name.encode())
            + _bytes(9, array.astype(data).tobytes())
        )
        return name

    def node(self, op: str, *inputs: str, outputs: Sequence[str] = (), **attributes: int) -> str:
        """Adds an operator of the default domain. An empty name leaves an optional tensor out. Answers its first output's
        name, which it makes up if none is given."""
        names = outputs or (f"tensor{len(self._nodes)}",)
        self._nodes.append(
            b"".join(_bytes(1, name.encode()) for name in inputs)
            + b"".join(_bytes(2, name.encode()) for name in names)
            + _bytes(4, op.encode())
            + b"".join(
                _bytes(5, _bytes(1, name.encode()) + _number(3, value) + _number(20, 2))
                for name, value in attributes.items()
            )
        )
        return names[0]

    def model(self, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bytes:
        """The file. inputs, outputs: float32 tensors by name."""
        graph = (
            b"".join(_bytes(1, node) for node in self._nodes)
            + _bytes(2, b"graph")
            + b"".join(_bytes(5, constant) for constant in self._constants)
            + b"".join(_bytes(11, _tensor(name, shape)) for name, shape in inputs.items())
            + b"".join(_bytes(12, _tensor(name, shape)) for name, shape in outputs.items())
        )
        return _number(1, _IR_VERSION) + _bytes(8, _number(2, _OPSET)) + _bytes(7, graph)


def _tensor(name: str, shape: Shape) -> bytes:
    sizes = (_number(1, size) if isinstance(size, int) else _bytes(2, size.encode()) for size in shape)
    kind = _number(1, _FLOAT) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, kind))


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
