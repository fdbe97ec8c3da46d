//! Tells the linker where libtorch is found at run time, as for `roomtone`: the folder that `LIBTORCH` named at build time.
//! Also without the feature here: in one build with `roomtone` the models may have been built with it.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if let Some(libtorch) = std::env::var_os("LIBTORCH").filter(|_| linux) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}/lib", libtorch.to_string_lossy());
    }
}
