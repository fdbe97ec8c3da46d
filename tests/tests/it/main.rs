//! Whole calls, with the real Synapse, LiveKit, Element Call in Chromium, pjsua2 and baresip around the real `roomtone`.
//!
//! The scenarios run one after another on one stage (a homeserver, a media server, a Roomtone and a user), each in a room and
//! with a number of its own. After a failed one the stage is built anew, its logs and recordings are kept, and their place is printed.
//! `cargo test -p scenarios --test it [NAME…] [--list]`; other arguments of cargo's own runner are taken and do nothing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test runner talks to people")]

mod call;
mod crash;
mod faults;
mod grants;
mod pay;
mod secrecy;
mod tones;
mod voices;
mod words;

use std::{
    future::Future,
    pin::Pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use scenarios::stage::{Options, Stage};

type Run = for<'a> fn(&'a mut Stage) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |stage| Box::pin($module::$name(stage)))),*]
    };
}

/// In this order: the spine first, what kills Roomtone or the media server last.
const SCENARIOS: &[(&str, Run)] = scenarios![
    tones::pjsua_and_element_call_hear_each_other,
    tones::baresip_and_element_call_hear_each_other,
    words::spoken_words_become_captions_and_notes_that_can_be_found,
    words::notes_are_written_of_a_call_without_a_phone,
    voices::two_people_on_one_phone_are_told_apart_each_in_their_language,
    pay::a_call_is_warned_goes_on_with_new_money_and_is_charged_to_the_millisatoshi,
    grants::of_those_who_have_not_granted_no_word_is_written_anywhere,
    secrecy::only_who_has_the_keys_hears_and_who_left_hears_no_more,
    faults::unknown_numbers_and_strange_codecs_are_refused_by_the_right_status,
    faults::transactions_with_a_wrong_token_are_refused,
    faults::garbage_on_the_sip_and_rtp_ports_disturbs_no_call,
    crash::after_a_kill_in_mid_call_there_is_one_set_of_notes_and_nobody_left_in_the_call,
    faults::a_dead_media_server_is_told_to_the_caller_and_the_next_call_works,
];

/// No scenario takes as long; one that hangs is ended.
const LIMIT: Duration = Duration::from_secs(180);

async fn run(wanted: &[(&str, Run)]) -> Vec<String> {
    let mut failed = Vec::new();
    let mut stage = None;
    for (name, scenario) in wanted {
        println!("scenario {name} …");
        let since = Instant::now();
        let done = async {
            let on = match &mut stage {
                Some(stage) => stage,
                None => stage.insert(Stage::start("scenarios", Options::default()).await?),
            };
            match tokio::time::timeout(LIMIT, scenario(on)).await {
                Ok(done) => done,
                Err(_) => bail!("not over after {LIMIT:?}"),
            }
        }
        .await;
        let seconds = since.elapsed().as_secs_f32();
        match done {
            Ok(()) => println!("scenario {name} … ok ({seconds:.1} s)"),
            Err(error) => {
                println!("scenario {name} … FAILED ({seconds:.1} s)\n{error:#}");
                failed.push((*name).to_owned());
                if let Some(mut old) = stage.take() {
                    old.dir.keep();
                    println!("logs and recordings: {}", old.dir.path().display());
                }
            }
        }
    }
    failed
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted: Vec<_> = SCENARIOS
        .iter()
        .filter(|(n, _)| names.is_empty() || names.iter().any(|w| n.contains(w.as_str())))
        .copied()
        .collect();
    if arguments.iter().any(|a| a == "--list") {
        for (name, _) in &wanted {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let failed = runtime.block_on(run(&wanted));
    println!("\n{} scenarios, {} failed {}", wanted.len(), failed.len(), failed.join(", "));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
