#!/bin/sh
# Makes a folder with what Roomtone's feature `bert` needs of libtorch 2.4: include/ and lib/, 530 MB of 815 MB that are
# downloaded.
#   docker/libtorch.sh /opt/libtorch
#   LIBTORCH=/opt/libtorch LIBTORCH_CXX11_ABI=0 cargo build --release --package appservice --features appservice/bert
# The program looks for it in ../lib/roomtone beside its own folder, then where it was at build time.
set -eu
into=${1:?folder to make}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
half=$(mktemp -d)
trap 'rm -rf "$half"' EXIT
python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 --platform manylinux1_x86_64 \
    --require-hashes --requirement "$here/libtorch.txt" --dest "$half"
mkdir -p "$into/lib"
python3 - "$half" "$into" <<'PYTHON'
import pathlib, shutil, sys, zipfile
wheels, into = map(pathlib.Path, sys.argv[1:])
wanted = {"libtorch_cpu.so", "libc10.so", "libcudart.so.12", "libcupti.so.12"}
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            path = pathlib.PurePosixPath(name)
            if name.endswith("/"):
                continue
            if name.startswith("torch/include/"):
                place = into / path.relative_to("torch")
            elif path.parent.name == "lib" and (path.name in wanted or path.name.startswith("libgomp-")):
                place = into / "lib" / path.name
            else:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(name) as source, open(place, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
PYTHON
# The build asks for it by name; without a graphics card there is nothing in it.
"${CC:-cc}" -shared -x c /dev/null -o "$into/lib/libtorch.so"
