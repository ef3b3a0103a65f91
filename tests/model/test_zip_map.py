"""The ZipMap nodes of a model are found, and outputs are added to it, by its bytes alone."""

import models
import onnx
import pytest
from models import ML, TensorProto, helper

from ortmmap.model.zip_map import added_outputs, find_zip_maps

INTEGERS = [7, -1, 2**40]
STRINGS = ["null", "één", "二"]


def proto(*, strings: bool = False) -> onnx.ModelProto:
    return onnx.load_from_string(models.zip_map(strings=strings))


def found(model: onnx.ModelProto) -> list[tuple[str, str, list, bool]]:
    zip_maps = find_zip_maps(model.SerializeToString())
    return [(each.tensor, each.output, each.labels, each.added) for each in zip_maps]


def field(number: int, content: bytes) -> bytes:
    """Encode a field of less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def another(model: onnx.ModelProto, output: str) -> onnx.NodeProto:
    """Add a ZipMap of the same input, whose output is one of the model."""
    node = model.graph.node.add()
    node.CopyFrom(model.graph.node[0])
    node.output[:] = [output]
    model.graph.output.add().CopyFrom(model.graph.output[0])
    model.graph.output[-1].name = output
    return node


@pytest.mark.parametrize("strings", [False, True])
def test_a_zip_map_is_found_with_its_labels(strings: bool) -> None:
    model = proto(strings=strings)
    assert found(model) == [("x", "maps", STRINGS if strings else INTEGERS, True)]
    assert repr(*find_zip_maps(model.SerializeToString())) == (
        "<ZipMap of 'x' to 'maps', 3 labels>"
    )


def test_integers_may_be_packed_or_not() -> None:
    model = proto()
    node = model.graph.node.pop()
    del node.attribute[:]
    single = b"\x40\x07\x40" + b"\xff" * 9 + b"\x01"  # 7 and -1
    packed = b"\x42\x02\x05\x06"  # 5 and 6
    labels = field(1, b"classlabels_int64s") + single + packed
    graph = field(1, node.SerializeToString() + field(5, labels))
    (zip_map,) = find_zip_maps(model.SerializeToString() + field(7, graph))
    assert zip_map.labels == [7, -1, 5, 6]


def test_an_input_that_is_an_output_is_not_added() -> None:
    model = proto()
    model.graph.output.append(models.tensor("x", shape=["n", 3]))
    assert found(model) == [("x", "maps", INTEGERS, False)]
    assert added_outputs(find_zip_maps(model.SerializeToString())) == b""


def test_a_model_gets_the_outputs_behind_its_bytes() -> None:
    model = proto()
    another(model, "more")
    content = model.SerializeToString()
    extended = onnx.load_from_string(content + added_outputs(find_zip_maps(content)))
    assert [output.name for output in extended.graph.output] == ["maps", "more", "x"]
    assert extended.graph.output[2].type.tensor_type.elem_type == TensorProto.FLOAT
    del extended.graph.output[2:]
    assert extended == model


def test_a_long_name_is_added_whole() -> None:
    model = proto()
    model.graph.node[0].input[0] = name = "é" * 5000
    content = model.SerializeToString()
    extended = onnx.load_from_string(content + added_outputs(find_zip_maps(content)))
    assert extended.graph.output[1].name == name


def test_a_graph_may_come_in_parts() -> None:
    model = proto()
    second = onnx.ModelProto()
    second.graph.output.extend(model.graph.output)
    del model.graph.output[:]
    content = model.SerializeToString() + second.SerializeToString()
    assert [each.output for each in find_zip_maps(content)] == ["maps"]


def no_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "others"


def other_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "mine"


def other_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "ZipMaps"


def no_attribute(model: onnx.ModelProto) -> None:
    del model.graph.node[0].attribute[:]


def no_labels(model: onnx.ModelProto) -> None:
    del model.graph.node[0].attribute[0].ints[:]


def both_kinds(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("classlabels_strings", ["a"]))


def other_attribute(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute[0].name = "classlabels"


def no_text(model: onnx.ModelProto) -> None:
    del model.graph.node[0].attribute[:]
    labels = helper.make_attribute("classlabels_strings", [b"ab", b"\xff\xfe"])
    model.graph.node[0].attribute.append(labels)


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.node[0].input.append("x")


def no_input(model: onnx.ModelProto) -> None:
    del model.graph.node[0].input[:]


def a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Neg", ["x"], ["y"])
    opset = helper.make_opsetid("", 17)
    model.functions.append(helper.make_function(ML, "ZipMap", ["x"], ["y"], [node], [opset]))


def in_a_subgraph(model: onnx.ModelProto) -> None:
    branch = helper.make_graph(list(model.graph.node), "branch", [], list(model.graph.output))
    node = helper.make_node("If", ["x"], ["maps"], then_branch=branch, else_branch=branch)
    del model.graph.node[:]
    model.graph.node.append(node)


CHANGES = [
    no_output, other_domain, other_operator, no_attribute, no_labels, both_kinds, other_attribute,
    no_text, two_inputs, no_input, a_function, in_a_subgraph,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_other_nodes_are_left_alone(change) -> None:
    model = proto()
    change(model)
    assert found(model) == []


@pytest.mark.parametrize("strings", [False, True])
def test_damaged_bytes_are_harmless(strings: bool) -> None:
    content = models.zip_map(strings=strings)
    for at in range(len(content)):
        assert len(find_zip_maps(content[:at])) <= 1
        for byte in (0x00, 0x7F, 0xFF):
            added_outputs(find_zip_maps(content[:at] + bytes([byte]) + content[at + 1 :]))
