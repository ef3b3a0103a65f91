"""The models that can be generated: real architectures with random weights, and families."""

import re

from benchmarks.architectures import scaled
from benchmarks.architectures.graph import Model
from benchmarks.architectures.resnet import RESNET_INPUTS, resnet50
from benchmarks.architectures.transformers import BERT_INPUTS, GPT2_INPUTS, bert_base, gpt2

MODELS: dict[str, Model] = {
    "one_node": scaled.chained("one_node", "Relu", 1, 4),
    "chain": scaled.chained("chain", "MatMul", 8, 1024, 1 / 1024),  # 32 MiB of weights
    "resnet50": Model(resnet50, RESNET_INPUTS),
    "bert_base": Model(bert_base, BERT_INPUTS),
    "gpt2": Model(gpt2, GPT2_INPUTS, {"sequence": 1, "past": 127}),
    "bert_base_int8": Model(bert_base, BERT_INPUTS, quantize=True),
}

# Models of any size, named after it, such as weights_64, nodes_1000, inputs_4x1024.
FAMILIES = "weights_MEBIBYTES, nodes_COUNT, strings_COUNT, inputs_COUNT or inputs_COUNTxELEMENTS"
_BUILDERS = (scaled.weights, scaled.nodes, scaled.strings, scaled.inputs)


def generated(name: str) -> Model | None:
    """Return the model that can be generated under this name, or None."""
    if name in MODELS:
        return MODELS[name]
    found = re.fullmatch(r"(weights|nodes|strings|inputs)_([1-9]\d*)(?:x([1-9]\d*))?", name)
    if not found or (found[3] and found[1] != "inputs"):
        return None
    build = next(one for one in _BUILDERS if one.__name__ == found[1])
    return build(*(int(size) for size in found.groups()[1:] if size))
