//! Answers every call, sends the caller's own sound back and says what is heard. For trying the SIP side with a real phone:
//!
//! ```text
//! cargo run -p bridge --example answering_machine -- 127.0.0.1:5060
//! ```
//!
//! Numbers by their last digit: 1 is busy, 2 unknown, 3 rings until the caller gives up, 4 hangs up after 3 s.
#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use bridge::rtp::{RtpOutput, RtpSession};
use bridge::sip::{CallOutcome, IncomingCall, PhoneMedia, SipConfig, SipEndpoint, SipEvent};
use bridge::time::Now;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5060".into());
    let config = SipConfig { rtp_ports: 0..=0, ..SipConfig::new(listen.parse()?) };
    let (endpoint, mut events) = SipEndpoint::bind(config).await?;
    println!("listening {}", endpoint.local_addr());
    let mut calls = HashMap::new();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(SipEvent::Incoming(call)) => {
                    calls.insert(call.leg, tokio::spawn(serve(endpoint.clone(), call)));
                }
                Some(SipEvent::Ended { leg, outcome }) => {
                    println!("ended {leg} {outcome:?}");
                    // At once: phones follow whoever still sends to them (symmetric RTP), into their next call.
                    if let Some(task) = calls.remove(&leg) {
                        task.abort();
                    }
                }
                Some(event) => println!("{event:?}"),
                None => return Ok(()),
            },
            _ = tokio::signal::ctrl_c() => {
                endpoint.shut_down(Duration::from_secs(2)).await;
                return Ok(());
            }
        }
    }
}

async fn serve(endpoint: SipEndpoint, call: IncomingCall) {
    let leg = call.leg;
    println!("incoming {leg} called={} from={:?} name={:?}", call.called, call.caller, call.caller_name);
    if let Err(error) = talk(&endpoint, &call).await {
        println!("{leg}: {error}");
    }
}

async fn talk(endpoint: &SipEndpoint, call: &IncomingCall) -> Result<(), Box<dyn Error>> {
    let leg = call.leg;
    let kind = call.called.chars().last();
    match kind {
        Some('1') => return Ok(endpoint.reject(leg, CallOutcome::Busy).await?),
        Some('2') => return Ok(endpoint.reject(leg, CallOutcome::UnknownNumber).await?),
        _ => endpoint.ring(leg).await?,
    }
    if kind == Some('3') {
        return Ok(());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let PhoneMedia { rtp, rtcp, config } = endpoint.answer(leg).await?;
    println!(
        "answered {leg} codec={} events={:?} mux={}",
        config.codec.name(),
        config.telephone_event,
        config.rtcp_mux
    );
    let mut session = RtpSession::new(config);
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let (mut a, mut b) = ([0; 2048], [0; 2048]);
    let start = Now::read();
    let mut said = start.mono;
    loop {
        tokio::select! {
            got = rtp.recv_from(&mut a) => if let Ok((len, from)) = got { session.handle_rtp(Now::read(), from, &a[..len]) },
            got = rtcp.recv_from(&mut b) => if let Ok((len, from)) = got { session.handle_rtcp(Now::read(), from, &b[..len]) },
            _ = clock.tick() => {
                let now = Now::read();
                let frame = session.play_out(now);
                session.send(now, &frame.pcm);
                if now.mono.duration_since(said) > Duration::from_secs(2) {
                    said = now.mono;
                    println!("stats {leg} {:?}", session.stats());
                }
                let silent = now.mono.duration_since(session.last_heard().unwrap_or(start.mono));
                if silent > Duration::from_secs(5) {
                    println!("stats {leg} {:?}", session.stats());
                    let _ = endpoint.reject(leg, CallOutcome::MediaTimeout).await;
                    return Ok(());
                }
                if kind == Some('4') && now.mono.duration_since(start.mono) > Duration::from_secs(3) {
                    return Ok(endpoint.hang_up(leg).await?);
                }
            }
        }
        while let Some(output) = session.poll_output() {
            match output {
                RtpOutput::Rtp { to, bytes } => drop(rtp.send_to(&bytes, to).await),
                RtpOutput::Rtcp { to, bytes } => drop(rtcp.send_to(&bytes, to).await),
                RtpOutput::Digit(digit) => println!("digit {leg} {}", digit.reveal()),
            }
        }
    }
}
