//! Builds again when a migration is added: `sqlx::migrate!` reads the folder while compiling.
//!
//! Tells the linker where `roomtone` finds libtorch, if the feature `bert` is on: `../lib/roomtone` beside the program's own
//! folder first (there an operator puts it, as the image does), then the folder that `LIBTORCH` named at build time.
//! `LD_LIBRARY_PATH` goes before both.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let wanted = std::env::var_os("CARGO_FEATURE_BERT").is_some();
    if wanted && std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/roomtone");
        if let Some(libtorch) = std::env::var_os("LIBTORCH") {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}/lib", libtorch.to_string_lossy());
        }
    }
}
