"""Graphs that are written by hand run; bytes that are no model are refused."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.adapters.local.onnx import session
from aywa.adapters.local.onnx_file import Graph, floats_of


def test_a_written_graph_runs() -> None:
    graph = Graph()
    scaled = graph.node("Mul", "data", graph.constant(np.array([2.0, 3.0], dtype=np.float32)))
    graph.node("Concat", scaled, "data", outputs=("both",), axis=-1)
    model = session(graph.model({"data": ("rows", 2)}, {"both": ("rows", 4)}))
    data = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=np.float32)
    (both,) = model.run(None, {"data": data})
    assert both.tolist() == [[2.0, 6.0, 1.0, 2.0], [6.0, 12.0, 3.0, 4.0], [10.0, 18.0, 5.0, 6.0]]


def test_more_than_one_output() -> None:
    graph = Graph()
    graph.node("TopK", "data", graph.constant([1]), outputs=("best", "where"))
    graph.node("Cast", "where", outputs=("place",), to=1)
    model = session(graph.model({"data": (1, 3)}, {"best": (1, 1), "place": (1, 1)}))
    best, place = model.run(None, {"data": np.array([[0.25, 0.75, 0.5]], dtype=np.float32)})
    assert (best.tolist(), place.tolist()) == ([[0.75]], [[1.0]])


@pytest.mark.parametrize("data", [b"\x3a\x05ab", b"\x3a", b"\x0b", b"\xff\xff", b"\x38\x01"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an ONNX model"):
        list(floats_of(data))


def test_a_model_without_constants_has_none() -> None:
    assert list(floats_of(Graph().model({}, {}))) == []
