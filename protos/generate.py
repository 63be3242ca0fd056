"""Generates what follows from the contract: Python stubs and Envoy's descriptor set; called by `make protos`.

Everything it writes is committed, so that neither a client nor Envoy needs a protobuf compiler, and a test compares
the committed files with freshly generated ones.
"""

import argparse
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
REPOSITORY = PROTOS.parent
THIRD_PARTY = (
    "google/api/annotations.proto",
    "google/api/field_behavior.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
)
DESCRIPTOR_SET = Path("protos/kassa.binpb")
RELEASED = Path("protos/released.binpb")


def main() -> None:
    """Generates into the repository; with `--release`, also declares the contract released.

    Raises:
        RuntimeError: The compiler refused the contract; its words are on standard error.
    """
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--release", action="store_true", help="let `buf breaking` compare with today's contract")
    options = arguments.parse_args()
    generate(REPOSITORY)
    if options.release:
        shutil.copyfile(REPOSITORY / DESCRIPTOR_SET, REPOSITORY / RELEASED)


def generate(target: Path) -> None:
    """Writes Google's protos, the stubs and the descriptor set below `target`, laid out as in the repository."""
    third_party, stubs = target / "protos/third_party", target / "clients/python"
    _copy_third_party(third_party)
    stubs.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("kassa/v1/*.proto"))
    includes = [f"-I{PROTOS}", f"-I{third_party}", f"-I{files('grpc_tools') / '_proto'}"]
    plugins = Path(sys.executable).parent
    _compile(
        *includes,
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--python_out={stubs}",
        f"--grpc_python_out={stubs}",
        f"--mypy_out={stubs}",
        f"--mypy_grpc_out={stubs}",
        *sources,
    )
    # Envoy renders error details as JSON only where their types are in the set, so they are named too.
    _compile(
        *includes,
        "--include_imports",
        f"--descriptor_set_out={target / DESCRIPTOR_SET}",
        *sources,
        *(name for name in THIRD_PARTY if name.startswith("google/rpc/")),
    )


def _copy_third_party(target: Path) -> None:
    for name in THIRD_PARTY:
        package, _, file = name.rpartition("/")
        (target / package).mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((files(package.replace("/", ".")) / file).read_bytes())


def _compile(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        raise RuntimeError("protoc refused the contract")


if __name__ == "__main__":
    main()
