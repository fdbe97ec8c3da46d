//! What goes wrong gets a clear answer or a counted drop, and the rest lives on.

use std::time::Duration;

use anyhow::{bail, ensure};
use scenarios::{
    audio::Recording,
    element::Microphone,
    softphone::{Answer, Pjsua, Softphone},
    stage::{NUMBER, Stage},
};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::call::{PHONE_HZ, ROOM_HZ, holds_tone, nobody_of_ours_in, phone_tone, ring_and_be_answered, room};

async fn refused_with(stage: &Stage, name: &str, codecs: &[&str], uri: &str) -> anyhow::Result<u16> {
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), name, codecs).await?;
    phone.ring_silently(uri).await?;
    match phone.answer(Duration::from_secs(40)).await? {
        Answer::Answered => bail!("{uri} was answered"),
        Answer::Refused(code) => Ok(code),
    }
}

pub(crate) async fn unknown_numbers_and_strange_codecs_are_refused_by_the_right_status(
    stage: &mut Stage,
) -> anyhow::Result<()> {
    let unknown = refused_with(stage, "unknown-phone", &["PCMU"], &stage.roomtone.sip_uri("+15559999")).await?;
    ensure!(unknown == 404, "an unknown number is answered {unknown}");
    let strange = refused_with(stage, "strange-phone", &["GSM"], &stage.roomtone.sip_uri(NUMBER)).await?;
    ensure!(strange == 488, "an offer of GSM only is answered {strange}");
    Ok(())
}

pub(crate) async fn transactions_with_a_wrong_token_are_refused(stage: &mut Stage) -> anyhow::Result<()> {
    let url = format!("{}/_matrix/app/v1/transactions/forged-1", stage.roomtone.url());
    let client = reqwest::Client::new();
    let event = json!({ "events": [{ "type": "m.room.message", "room_id": stage.room, "sender": stage.bob.user_id,
        "event_id": "$forged", "origin_server_ts": 0, "content": { "msgtype": "m.text", "body": "!call link +15550199" } }] });
    let with = client.put(&url).bearer_auth("wrong").json(&event).send().await?.status().as_u16();
    let without = client.put(&url).json(&event).send().await?.status().as_u16();
    ensure!(with == 403, "a wrong token is answered {with}");
    ensure!(without == 401 || without == 403, "no token is answered {without}");
    let linked = refused_with(stage, "forged-phone", &["PCMU"], &stage.roomtone.sip_uri("+15550199")).await?;
    ensure!(linked == 404, "the forged transaction has linked a number: {linked}");
    Ok(())
}

pub(crate) async fn garbage_on_the_sip_and_rtp_ports_disturbs_no_call(stage: &mut Stage) -> anyhow::Result<()> {
    let (room, uri) = room(stage, "+15550170").await?;
    stage.bob.join_call(&room, Microphone::Tone(ROOM_HZ)).await?;
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "garbage-phone", &["PCMA"]).await?;
    ring_and_be_answered(&mut phone, &uri, &phone_tone(stage)?).await?;
    stage.bob.wait_audio(1, Duration::from_secs(20)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.bob.record_start().await?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let ports = stage.roomtone.ports().clone();
    let mut state = 0x2545_F491_4F6C_DD1D_u64; // xorshift: the same garbage each time
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let torture: [&[u8]; 6] = [
        b"INVITE sip:+15550170@127.0.0.1 SIP/2.0\r\n\r\n",
        b"INVITE sip:x SIP/2.0\r\nContent-Length: 18446744073709551615\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK\r\n\r\n",
        b"BYE sip:+15550170@127.0.0.1 SIP/2.0\r\nCall-ID: none\r\nCSeq: 99999999999 BYE\r\n\r\n",
        b"\r\n\r\n",
        b"OPTIONS \xff\xfe SIP/2.0\r\nFrom: \"\r\nTo: <\r\n\r\n",
    ];
    for n in 0..400_usize {
        let length = usize::try_from(random() % 300)?;
        let mut bytes: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
        socket
            .send_to(if n % 2 == 0 { &bytes } else { torture[n / 2 % torture.len()] }, ("127.0.0.1", ports.sip))
            .await?;
        if let Some(first) = bytes.first_mut() {
            *first = 0x80; // looks like RTP
        }
        let rtp = ports.rtp + u16::try_from(random() % 4)?;
        socket.send_to(&bytes, ("127.0.0.1", rtp)).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let by_bob = stage.file("garbage-heard-by-bob.wav");
    stage.bob.record_stop(&by_bob).await?;
    let by_bob = Recording::read(&by_bob)?;
    phone.hang_up().await?;
    stage.bob.leave_call().await?;
    ensure!(stage.roomtone.runs(), "Roomtone has ended");
    holds_tone("Bob amid garbage", &by_bob.part(0.5, by_bob.seconds() - 0.5), PHONE_HZ, ROOM_HZ)?;
    nobody_of_ours_in(stage, &room, Duration::from_secs(10)).await
}

pub(crate) async fn a_dead_media_server_is_told_to_the_caller_and_the_next_call_works(
    stage: &mut Stage,
) -> anyhow::Result<()> {
    let (room, uri) = room(stage, "+15550180").await?;
    stage.livekit.kill().await?;
    let code = refused_with(stage, "dead-sfu-phone", &["PCMU"], &uri).await?;
    println!("    with the media server down the caller hears {code}");
    ensure!(matches!(code, 480 | 500 | 503), "the caller is told {code}");
    ensure!(stage.roomtone.runs(), "Roomtone has ended");
    nobody_of_ours_in(stage, &room, Duration::from_secs(20)).await?;
    stage.livekit.restart().await?;
    stage.bob.join_call(&room, Microphone::Tone(ROOM_HZ)).await?;
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "next-phone", &["PCMU"]).await?;
    ring_and_be_answered(&mut phone, &uri, &phone_tone(stage)?).await?;
    stage.bob.wait_audio(1, Duration::from_secs(20)).await?;
    phone.hang_up().await?;
    stage.bob.leave_call().await
}
