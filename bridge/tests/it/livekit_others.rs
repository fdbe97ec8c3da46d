//! LiveKit's own client (libwebrtc) in the same encrypted room: both ways, with its camera on, single and pair.

use std::process::{Command, Stdio};

use bridge::livekit::{Encryption, SfuEvent};

use crate::livekit_party::{Party, who};
use crate::livekit_server::{Front, Server};

const PHONE: f32 = 500.0;
const BROWSER: f32 = 900.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with PyPI livekit 1.2.0, livekit-api and numpy, named in ROOMTONE_LIVEKIT_PYTHON: `cargo xtask test` runs it"]
async fn livekits_own_client_hears_us_and_we_hear_it_while_it_sends_video() {
    let python = std::env::var("ROOMTONE_LIVEKIT_PYTHON").expect("ROOMTONE_LIVEKIT_PYTHON names a Python");
    let server = Server::start().await;
    for old in [false, true] {
        let room = if old { "others-pair" } else { "others-single" };
        let front = Front::before(&server, old).await;
        let phone = Party::join(&front.url(), room, "phone", PHONE, Encryption::Required).await;
        phone.knows(&["browser"]);
        phone.told(SfuEvent::Up).await;
        let client = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/livekit_client.py"))
            .args([&server.url(), &who("browser").0, room, "10", &BROWSER.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        phone.told(SfuEvent::KeyWorks(who("browser"))).await;
        phone.hears("browser", BROWSER, &[PHONE]).await;
        phone.hears("browser", BROWSER, &[PHONE]).await;
        let said = tokio::task::spawn_blocking(move || client.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("tone 500 Hz"), "{said}");
        phone.told(SfuEvent::ParticipantLeft(who("browser"))).await;
        assert_eq!(phone.participant.stats().interruptions, 0);
        assert_eq!(phone.count(&SfuEvent::KeyMissing(who("browser"))), 0);
    }
}
