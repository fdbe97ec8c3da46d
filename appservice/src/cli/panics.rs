//! What a panic leaves in the log: where it was, on which thread, its backtrace; not its words.
//!
//! Code that is fed with what people say (tokenizers, recognisers, decoders) panics with pieces of it: Rust's own message for
//! a slice that cuts a character in two quotes the whole text. So only messages that stand in the program as they are, with
//! nothing filled in, are shown.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

/// Instead of a message that was made while running.
const KEPT_BACK: &str = "(kept back: it may hold what was said)";

/// Has panics of all threads reported so, whoever catches them. After the log was started.
pub(super) fn keep_private() {
    panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let current = thread::current();
    let thread = current.name().unwrap_or("unnamed");
    let place = info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let why = literal(info.payload());
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, place, why, %backtrace, "panicked: this is a bug");
    } else {
        tracing::error!(thread, place, why, "panicked: this is a bug; RUST_BACKTRACE=1 shows the way there");
    }
}

/// A message that was there when the program was built: one that was formatted is a `String`.
fn literal(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or(KEPT_BACK)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn refused() -> Result<(), &'static str> {
        Err("canary of an error")
    }

    #[test]
    #[ignore = "a child of `a_panic_tells_where_it_was_and_not_what_was_said`, which runs it"]
    fn child_that_panics() {
        super::super::log::start(true);
        keep_private();
        let said = "canary \u{e9} sings".to_owned();
        let inside = said.find('\u{e9}').unwrap() + 1;
        let slicing = thread::Builder::new().name("reader".to_owned()).spawn(move || said[..inside].len());
        assert!(slicing.unwrap().join().is_err());
        let unwrapping = panic::catch_unwind(|| refused().expect("a number"));
        assert!(unwrapping.is_err());
        assert!(panic::catch_unwind(|| panic!("words of the program")).is_err());
    }

    #[test]
    fn a_panic_tells_where_it_was_and_not_what_was_said() {
        let child = |backtrace: &str| {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "cli::panics::tests::child_that_panics", "--ignored", "--nocapture"])
                .env("RUST_BACKTRACE", backtrace)
                .env_remove("RUST_LIB_BACKTRACE")
                .env_remove("ROOMTONE_LOG")
                .env_remove("ROOMTONE_LOG_FORMAT")
                .output()
                .unwrap();
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(output.status.success(), "{text}");
            assert!(!text.contains("canary"), "{text}");
            text
        };
        let short = child("0");
        assert_eq!(short.matches("panicked: this is a bug").count(), 3, "{short}");
        assert!(short.contains("thread=\"reader\"") && short.contains("words of the program"), "{short}");
        assert_eq!(short.matches(KEPT_BACK).count(), 2, "{short}");
        assert_eq!(short.matches("place=\"").count(), 3, "{short}");
        assert!(short.contains(&format!("place=\"{}:", file!())), "{short}");
        assert!(!short.contains("backtrace="), "{short}");
        let long = child("1");
        assert!(long.contains("child_that_panics") && long.contains("backtrace="), "{long}");
    }
}
