"""Values: element types, tensors, strings, DLPack, sparse tensors, containers, and `OrtValue`."""
