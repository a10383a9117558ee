"""Builds the compiled kernel of the simulator, once per instruction set, if there is a C++ compiler.

Everything else about the package is in pyproject.toml. Without a compiler the installation goes on, and the simulator
runs on torch alone.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNEL = "src/quantum_db/simulation/kernel"
OPTIONS = ["-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno"]
OPENMP = ["-fopenmp"]
X86 = {
    "avx2": ["-mavx2", "-mfma", "-DQS_LINE_BYTES=32"],
    "avx512": [
        "-mavx512f",
        "-mavx512dq",
        "-mavx512vl",
        "-mfma",
        "-mprefer-vector-width=512",
        "-DQS_LINE_BYTES=64",
    ],
}


def kernels():
    """One extension per instruction set of this processor family."""
    sets = {"baseline": []} | (X86 if platform.machine().lower() in ("x86_64", "amd64") else {})
    return [
        Extension(
            f"quantum_db.simulation.kernel._{name}",
            sources=[f"{KERNEL}/statevector.cpp"],
            depends=sorted(map(str, Path(KERNEL).glob("*.hpp"))),
            language="c++",
            extra_compile_args=OPTIONS + flags,
            optional=True,
        )
        for name, flags in sets.items()
    ]


class BuildKernels(build_ext):
    """Builds with OpenMP where the compiler has it, and each kernel in a folder of its own for object files."""

    def build_extension(self, ext):
        """Build one kernel."""
        temporary = self.build_temp
        self.build_temp = f"{temporary}/{ext.name}"
        options = ext.extra_compile_args
        try:
            ext.extra_compile_args, ext.extra_link_args = options + OPENMP, OPENMP
            super().build_extension(ext)
        except (CompileError, LinkError):
            ext.extra_compile_args, ext.extra_link_args = options, []
            super().build_extension(ext)
        finally:
            self.build_temp = temporary


setup(ext_modules=kernels(), cmdclass={"build_ext": BuildKernels})
