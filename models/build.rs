//! Tells the linker where tests and examples find libtorch, if the feature `bert` is on: in the folder that `LIBTORCH`
//! names. Without that variable torch-sys downloads libtorch into the target folder, where cargo finds it by itself.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let wanted = std::env::var_os("CARGO_FEATURE_BERT").is_some();
    if let Some(libtorch) = std::env::var_os("LIBTORCH").filter(|_| wanted)
        && std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
    {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}/lib", libtorch.to_string_lossy());
    }
}
