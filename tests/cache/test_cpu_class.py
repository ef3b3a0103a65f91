"""CPUs share entries if ONNX Runtime chooses the same kernels for them.

The flags of each CPU are those that Linux prints for it in /proc/cpuinfo, on bare metal.
"""

import os
import platform
from pathlib import Path

import pytest
from cache_entries import key_of, linux

from ortmmap.cache import key as cache_key
from ortmmap.cache.cpu_class import classify, cpu_class
from ortmmap.runtime.library import get_cpu_features

# Intel's, each with what the one before it has.
NEHALEM = """fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush dts
acpi mmx fxsr sse sse2 ss ht tm pbe syscall nx rdtscp lm constant_tsc arch_perfmon pebs bts
rep_good nopl xtopology nonstop_tsc cpuid aperfmperf pni dtes64 monitor ds_cpl vmx smx est tm2
ssse3 cx16 xtpr pdcm pcid dca sse4_1 sse4_2 x2apic popcnt lahf_lm"""
IVY_BRIDGE = f"{NEHALEM} pclmulqdq tsc_deadline_timer aes xsave avx f16c rdrand fsgsbase smep erms"
HASWELL = f"{IVY_BRIDGE} sdbg fma movbe abm tsc_adjust bmi1 avx2 bmi2 invpcid cqm cqm_llc"
BROADWELL = f"{HASWELL} 3dnowprefetch rdseed adx smap intel_pt rtm hle"
SKYLAKE = f"""{BROADWELL} art mpx avx512f avx512dq clflushopt clwb avx512cd avx512bw avx512vl
xsaveopt xsavec xgetbv1 xsaves pku ospke"""
CASCADE_LAKE = f"{SKYLAKE} avx512_vnni md_clear flush_l1d arch_capabilities"
COOPER_LAKE = f"{CASCADE_LAKE} avx512_bf16"
ICE_LAKE = f"""{CASCADE_LAKE} avx512ifma sha_ni avx512vbmi umip avx512_vbmi2 gfni vaes
vpclmulqdq avx512_bitalg tme avx512_vpopcntdq la57 rdpid fsrm pconfig split_lock_detect wbnoinvd"""
SAPPHIRE_RAPIDS = f"""{ICE_LAKE} avx_vnni avx512_bf16 bus_lock_detect cldemote movdiri movdir64b
enqcmd serialize tsxldtrk arch_lbr ibt amx_bf16 avx512_fp16 amx_tile amx_int8 waitpkg"""
GRANITE_RAPIDS = f"{SAPPHIRE_RAPIDS} amx_fp16 prefetchi"
# Efficient cores only. Linux does not print avx_vnni_int8 and avx_ne_convert, which it has.
SIERRA_FOREST = f"""{BROADWELL} sha_ni gfni vaes vpclmulqdq umip rdpid fsrm avx_vnni avx_ifma
cmpccxadd waitpkg serialize arch_lbr ibt"""

# AMD's.
NAPLES = """fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx
fxsr sse sse2 ht syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl
nonstop_tsc cpuid extd_apicid amd_dcm aperfmperf pni pclmulqdq monitor ssse3 fma cx16 sse4_1
sse4_2 movbe popcnt aes xsave avx f16c rdrand lahf_lm cmp_legacy svm extapic cr8_legacy abm
sse4a misalignsse 3dnowprefetch osvw skinit wdt tce topoext fsgsbase bmi1 avx2 smep bmi2 rdseed
adx smap clflushopt sha_ni xsaveopt xsavec xgetbv1 clzero irperf xsaveerptr arat npt lbrv
svm_lock nrip_save"""
ROME = f"{NAPLES} cdp_l3 cat_l3 clwb cqm rdt_a mba umip rdpid wbnoinvd"
MILAN = f"{ROME} pcid invpcid erms pku ospke vaes vpclmulqdq fsrm ibs"
GENOA = f"""{MILAN} avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl avx512_bf16
avx512vbmi avx512_vbmi2 gfni avx512_vnni avx512_bitalg avx512_vpopcntdq la57 flush_l1d"""
TURIN = f"{GENOA} avx_vnni movdiri movdir64b avx512_vp2intersect"

# ARM's. Linux does not print the lengths of vectors, which prctl(2) returns.
A72 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"  # Graviton 1
NEOVERSE_N1 = f"{A72} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp ssbs"
NEOVERSE_V1 = f"""{NEOVERSE_N1} jscvt fcma sha3 sm3 sm4 sha512 sve asimdfhm dit uscat ilrcpc
flagm paca pacg dcpodp svei8mm svebf16 i8mm bf16 dgh rng sve:256"""
NEOVERSE_N2 = f"""{NEOVERSE_N1} jscvt fcma sha3 sm3 sm4 sha512 sve asimdfhm dit uscat ilrcpc
flagm sb paca pacg dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm
svebf16 i8mm bf16 dgh rng bti sve:128"""
NEOVERSE_V2 = NEOVERSE_N2.replace("sm3 sm4", "")
AMPERE_ONE = f"""{NEOVERSE_N1} jscvt fcma sha3 sm3 sm4 sha512 asimdfhm dit uscat ilrcpc flagm sb
paca pacg dcpodp flagm2 frint i8mm bf16 rng bti ecv"""
A64FX = """fp asimd evtstrm sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm fcma dcpop
sve sve:512"""
M1 = f"""{NEOVERSE_N1} jscvt fcma sha3 sha512 asimdfhm dit uscat ilrcpc flagm sb paca pacg
dcpodp flagm2 frint"""
M2 = f"{M1} i8mm bf16 ecv"
M4 = f"{M2} bti sme sme2 sme:512"

FMA = "x86-64+fma+avx2"
CORE = f"{FMA}+avx512f+avx512bw+avx512dq+avx512vl"
N1 = "aarch64+fp16+asimddp"

CLASSES = {
    "x86-64+sse4_1": {"Xeon X5570 (Nehalem)": NEHALEM},
    "x86-64+avx": {"Xeon E5-2670 v2 (Ivy Bridge)": IVY_BRIDGE},
    FMA: {
        "Xeon E5-2680 v3 (Haswell)": HASWELL,
        "Xeon E5-2686 v4 (Broadwell)": BROADWELL,
        "EPYC 7571 (Naples)": NAPLES,
        "EPYC 7R32 (Rome)": ROME,
        "EPYC 7R13 (Milan)": MILAN,
    },
    CORE: {"Xeon Platinum 8175M (Skylake)": SKYLAKE},
    f"{CORE}+avx512_vnni": {
        "Xeon Platinum 8259CL (Cascade Lake)": CASCADE_LAKE,
        "Xeon Platinum 8380H (Cooper Lake)": COOPER_LAKE,
        "Xeon Platinum 8375C (Ice Lake)": ICE_LAKE,
        "EPYC 9R14 (Genoa)": GENOA,
        "EPYC 9R45 (Turin)": TURIN,
    },
    f"{CORE}+avx512_vnni+amx_int8": {
        "Xeon Platinum 8488C (Sapphire Rapids)": SAPPHIRE_RAPIDS,
        "Xeon 6975P-C (Granite Rapids)": GRANITE_RAPIDS,
    },
    f"{FMA}+avx_vnni": {"Xeon 6780E (Sierra Forest), by its flags": SIERRA_FOREST},
    f"{FMA}+avx_vnni+avx_vnni_int8+avx_ne_convert": {
        "Xeon 6780E (Sierra Forest), by CPUID": f"{SIERRA_FOREST} avx_vnni_int8 avx_ne_convert"
    },
    "aarch64": {"Graviton 1": A72},
    N1: {"Graviton 2": NEOVERSE_N1, "Ampere Altra": NEOVERSE_N1, "Apple M1": M1},
    f"{N1}+i8mm+bf16": {"AmpereOne": AMPERE_ONE, "Apple M2": M2},
    f"{N1}+i8mm+bf16+sve+sve:256": {"Graviton 3": NEOVERSE_V1},
    f"{N1}+i8mm+bf16+sve+sve:128": {
        "Graviton 4": NEOVERSE_V2,
        "Grace": NEOVERSE_V2,
        "Cobalt 100": NEOVERSE_N2,
    },
    "aarch64+fp16+sve+sve:512": {"A64FX": A64FX},
    f"{N1}+i8mm+bf16+sme+sme:512+sme2": {"Apple M4": M4},
}
CPUS = {cpu: (flags, name) for name, cpus in CLASSES.items() for cpu, flags in cpus.items()}


def name_of(machine: str, flags: str) -> str:
    return classify(machine, flags.split()).name


@pytest.mark.parametrize(("flags", "name"), CPUS.values(), ids=CPUS)
def test_a_server_shares_entries_with_those_of_its_class(flags, name):
    machine = name.partition("+")[0]
    assert name_of(machine.replace("-", "_"), flags) == name


def test_a_name_says_all_of_a_class():
    for flags, name in CPUS.values():
        machine, *features = name.split("+")
        assert classify(machine, flags.split()).features == tuple(features)


def test_features_of_no_kernel_make_no_other_class():
    assert name_of("AMD64", f"{HASWELL} sha_ni") == name_of("x86_64", HASWELL)
    assert name_of("arm64", A72) == "aarch64"


def test_a_masked_instruction_set_hides_those_that_need_it():
    """A hypervisor may mask any flag; MLAS then does without the kernels of the later sets."""
    flags = set(SAPPHIRE_RAPIDS.split())
    assert classify("x86_64", flags - {"fma"}).name == "x86-64+avx"
    assert classify("x86_64", flags - {"avx512bw", "amx_tile"}).name == f"{FMA}+avx512f+avx_vnni"
    assert classify("x86_64", flags - {"amx_tile"}).name == name_of("x86_64", ICE_LAKE)


def test_blocks_of_convolutions_are_part_of_a_class():
    """16 channels with avx512f, else 8: the optimized graph holds weights in such blocks."""
    masked = set(SKYLAKE.split()) - {"avx512bw", "avx512dq", "avx512vl"}
    assert classify("x86_64", masked).name != name_of("x86_64", HASWELL)


def test_an_unknown_architecture_is_described_by_all_that_is_known():
    assert name_of("ppc64le", "hwcap2:1 cpu=POWER10") == "ppc64le+cpu=POWER10+hwcap2:1"


def test_a_cpu_that_cannot_be_asked_is_described_by_the_system(monkeypatch):
    monkeypatch.setattr("ortmmap.runtime.library.get_cpu_features", list)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "", "", "riscv64")))
    monkeypatch.setattr("ortmmap.cache.cpu_class._proc_cpuinfo", lambda: ["isa=rv64gcv"])
    assert cpu_class().name == "riscv64+isa=rv64gcv"


@linux
def test_the_cpu_says_of_itself_what_the_kernel_says_of_it():
    """/proc/cpuinfo names all but two of the sets that CPUID has."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = next(line for line in lines if line.startswith(("flags", "Features")))
    printed = set(flags.partition(":")[2].split())
    lengths = {each for each in get_cpu_features() if ":" in each}
    unprinted = {"avx_vnni_int8", "avx_ne_convert"}
    found = set(get_cpu_features()) - unprinted
    machine = platform.machine()
    assert classify(machine, found).name == classify(machine, printed | lengths).name


def test_the_class_is_part_of_the_key(model, monkeypatch):
    before = repr(key_of(model))
    assert cpu_class().name in cache_key.machine()
    monkeypatch.setattr(cache_key, "_machine", None)
    monkeypatch.setattr("ortmmap.cache.key.cpu_class", lambda: classify("x86_64", ["avx"]))
    assert repr(key_of(model)) != before
