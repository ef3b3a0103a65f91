"""The instruction sets that ONNX Runtime's kernels are chosen by."""

cdef extern from "process/cpu_features.h" nogil:
    enum: ORTMMAP_CPU_FEATURES_SIZE
    void ortmmap_cpu_features(char *names)
