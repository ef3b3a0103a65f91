"""Real architectures with random weights, as exporters write them, and models of any size."""

from benchmarks.architectures.bert import BERT_INPUTS, bert_base
from benchmarks.architectures.chain import CHAIN_INPUTS, chain
from benchmarks.architectures.gpt2 import GPT2_INPUTS, gpt2
from benchmarks.architectures.one_node import ONE_NODE_INPUTS, one_node
from benchmarks.architectures.resnet import RESNET_INPUTS, resnet50
from benchmarks.architectures.scaled import (
    NODES_INPUTS,
    many_inputs,
    many_inputs_inputs,
    nodes,
    strings,
    strings_inputs,
    weights,
    weights_inputs,
)
from benchmarks.architectures.vit import VIT_INPUTS, vit_b16

__all__ = [
    "BERT_INPUTS",
    "CHAIN_INPUTS",
    "GPT2_INPUTS",
    "NODES_INPUTS",
    "ONE_NODE_INPUTS",
    "RESNET_INPUTS",
    "VIT_INPUTS",
    "bert_base",
    "chain",
    "gpt2",
    "many_inputs",
    "many_inputs_inputs",
    "nodes",
    "one_node",
    "resnet50",
    "strings",
    "strings_inputs",
    "vit_b16",
    "weights",
    "weights_inputs",
]
