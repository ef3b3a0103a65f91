"""Real architectures with random weights, as exporters write them."""

from benchmarks.architectures.bert import BERT_INPUTS, bert_base
from benchmarks.architectures.chain import CHAIN_INPUTS, chain
from benchmarks.architectures.one_node import ONE_NODE_INPUTS, one_node
from benchmarks.architectures.resnet import RESNET_INPUTS, resnet50

__all__ = [
    "BERT_INPUTS",
    "CHAIN_INPUTS",
    "ONE_NODE_INPUTS",
    "RESNET_INPUTS",
    "bert_base",
    "chain",
    "one_node",
    "resnet50",
]
