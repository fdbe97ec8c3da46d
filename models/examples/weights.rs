//! Fetches weights by name into a folder and checks them: `cargo run -p models --example weights -- FOLDER NAME…`
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::Path;

use models::weights::{fetch, named};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: weights FOLDER NAME…")?;
    for name in arguments {
        let told = std::sync::Mutex::new(String::new());
        let path = fetch(&named(&name)?, Path::new(&folder), move |progress| {
            let line = format!(
                "{} from {}: {} %",
                progress.file,
                progress.source,
                progress.done * 100 / progress.total.max(1)
            );
            let mut last = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *last != line {
                println!("{line}");
                *last = line;
            }
        })
        .await?;
        println!("{} is there and right", path.display());
    }
    Ok(())
}
