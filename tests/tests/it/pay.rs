//! A room pays for its calls: refused without money, warned before it ends, goes on when money comes in, charged exactly. The
//! payments module is a process of its own.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use scenarios::{
    bitcoin::{Bitcoin, RPC},
    element::{Microphone, RoomEvent},
    heard::{card, card_says},
    lnd::Lnd,
    ports,
    roomtone::bot,
    rundir::RunDir,
    softphone::{Answer, Pjsua, Softphone},
    stage::{Options, Stage},
    toolbox::Toolbox,
};
use serde_json::{Value, json};

use crate::call::{ask, nobody_of_ours_in, room, thread};

/// What a second costs, in sat.
const A_SECOND: u64 = 10;

/// Somebody who pays: a chain, and a Lightning node of another make.
struct Payer {
    bitcoin: Bitcoin,
    lnd: Lnd,
}

/// A Roomtone that charges 10 sat a second, its payments module a process of its own, with a Lightning node.
async fn paid_stage(folder: &Path, lightning: Option<(&Payer, u16)>) -> anyhow::Result<Stage> {
    let (prices, socket) = (folder.join("prices.csv"), folder.join("payments.sock"));
    std::fs::write(&prices, format!("prefix,rate_sat,increments,destination\n1555,{},1/1,test\n", A_SECOND * 60))?;
    let mut config = json!({
        "payments": { "socket": format!("unix:{}", socket.display()), "decks": [{ "name": "retail", "file": prices }] },
        "permissions": { format!("@bob:{}", scenarios::synapse::SERVER_NAME): "admin" },
    });
    if let Some((payer, listen)) = lightning {
        let secret = |name: &str, bytes: &[u8]| -> anyhow::Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, bytes)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(path)
        };
        config["payments"]["lightning"] = json!({
            "chain": "regtest",
            "node": {
                "backend": "ldk", "folder": folder.join("ldk"), "seed_file": secret("seed", &[7; 64])?,
                "listen": [format!("127.0.0.1:{listen}")], "alias": "roomtone",
                "source": { "kind": "bitcoind", "port": payer.bitcoin.rpc, "user": RPC.0,
                            "password_file": secret("password", RPC.1.as_bytes())? },
            },
        });
    }
    let mut stage = Stage::start("pay", Options { config, ..Options::default() }).await?;
    stage.roomtone.start_payments(&socket).await?;
    Ok(stage)
}

pub(crate) async fn a_call_is_warned_goes_on_with_new_money_and_is_charged_to_the_millisatoshi(
    _shared: &mut Stage,
) -> anyhow::Result<()> {
    let folder = RunDir::new("prices")?;
    let toolbox = Toolbox::load()?;
    let payer = if toolbox.bitcoind.is_some() && toolbox.lnd.is_some() {
        let bitcoin = Bitcoin::start(&toolbox, folder.path()).await?;
        let lnd = Lnd::start(&toolbox, folder.path(), &bitcoin).await?;
        Some(Payer { bitcoin, lnd })
    } else {
        println!("    without bitcoind and LND, which are not to be had here, an admin gives the money");
        None
    };
    let listen = ports::free();
    let mut stage = paid_stage(folder.path(), payer.as_ref().map(|payer| (payer, listen))).await?;
    let done = charged(&stage, payer.as_ref(), listen).await;
    if done.is_err() {
        stage.dir.keep();
    }
    done
}

async fn charged(stage: &Stage, payer: Option<&Payer>, listen: u16) -> anyhow::Result<()> {
    let (room, uri) = room(stage, "+15550160").await?;
    let rates = ask(stage, &room, "!pay rates +1 555").await?;
    ensure!(rates.contains("+1555 test: 600 sat a minute"), "{rates}");
    if let Some(payer) = payer {
        ready_to_pay(stage, &room, payer, listen).await?;
    }
    without_money_no_call_is_put_through(stage, &room, &uri).await?;
    let given = ask(stage, &room, "!pay credit 700").await?;
    ensure!(given.contains("700 sat credited"), "{given}");

    stage.bob.join_call(&room, Microphone::Played).await?;
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "paying-phone", &["PCMU"]).await?;
    phone.ring_silently(&uri).await?;
    ensure!(matches!(phone.answer(Duration::from_secs(30)).await?, Answer::Answered), "the call was refused");
    let card = card(stage, &room).await?.id;
    // 700 sat are 70 s: the first warning comes after ten.
    in_thread(stage, &room, "ends in 60 s", Duration::from_secs(30)).await?;
    in_thread(stage, &room, "ends in 30 s", Duration::from_secs(45)).await?;
    match payer {
        Some(payer) => top_up(stage, &room, payer).await?,
        None => {
            let more = ask(stage, &room, "!pay credit 3000").await?;
            ensure!(more.contains("3 000 sat credited"), "{more}");
        }
    }
    in_thread(stage, &room, "There is credit again", Duration::from_secs(15)).await?;
    // Past the end of the first 70 s.
    tokio::time::sleep(Duration::from_secs(35)).await;
    phone.hang_up().await?;
    stage.bob.leave_call().await?;
    nobody_of_ours_in(stage, &room, Duration::from_secs(20)).await?;
    card_says(stage, &card, "what it cost", |text| text.contains("cost ")).await?;

    let cdr = the_record(stage).await?;
    let length = Duration::from_nanos(
        cdr["length"]["secs"].as_u64().unwrap_or_default() * 1_000_000_000
            + cdr["length"]["nanos"].as_u64().unwrap_or_default(),
    );
    let begun_seconds = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    let cost = begun_seconds * A_SECOND * 1000;
    println!("    the call was {:.3} s long and cost {} msat", length.as_secs_f64(), cdr["charged"]);
    ensure!((71..110).contains(&begun_seconds), "the call was {begun_seconds} s long");
    ensure!(cdr["cost"] == cost && cdr["charged"] == cost && cdr["unpaid"] == 0, "{begun_seconds} s cost {cdr}");
    let sat = cost / 1000;
    let shown = thread(stage, &room).await?.card_text.replace('\u{a0}', " ");
    ensure!(shown.contains(&format!("cost {} sat", grouped(sat))), "{shown}");
    let balance = ask(stage, &room, "!pay balance").await?;
    ensure!(balance.starts_with(&format!("{} sat can be spent by this room.", grouped(3_700 - sat))), "{balance}");
    let statement = ask(stage, &room, "!pay statement").await?;
    let line = format!("call \u{2212}{} sat · {} sat left", grouped(sat), grouped(3_700 - sat));
    ensure!(statement.contains(&line), "no {line:?} in {statement}");
    let report = ask(stage, &room, "!pay report").await?;
    ensure!(report.contains("the books balance"), "{report}");
    Ok(())
}

/// A channel over which Roomtone's node can receive.
async fn ready_to_pay(stage: &Stage, room: &str, payer: &Payer, listen: u16) -> anyhow::Result<()> {
    let node = ask(stage, room, "!pay node").await?;
    let key = node.split_whitespace().find(|word| word.len() == 66).with_context(|| format!("no key in {node}"))?;
    // A channel may have to be closed by force one day: a node without bitcoin on the chain takes none.
    let told = ask(stage, room, "!pay node address").await?;
    let address = told.split_whitespace().find(|word| word.starts_with("bcrt1")).with_context(|| told.clone())?;
    payer.bitcoin.send_to(address).await?;
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while ask(stage, room, "!pay node").await?.contains(" 0 sat on the chain") {
        ensure!(tokio::time::Instant::now() < end, "the node does not see its bitcoin");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    payer.lnd.open_channel(&payer.bitcoin, key, &format!("127.0.0.1:{listen}"), 1_000_000).await
}

/// Tops the room up by Lightning: the invoice comes into a room where Bob and the bot are alone, as the stage's own is, as text
/// and as an encrypted picture.
async fn top_up(stage: &Stage, room: &str, payer: &Payer) -> anyhow::Result<()> {
    let mark = stage.bob.peer.mark();
    let told = ask(stage, room, "!pay topup 3000").await?;
    ensure!(told.contains("direct conversation"), "{told}");
    let limit = Duration::from_secs(20);
    let ours = |e: &RoomEvent| e.room == stage.room && e.sender == bot() && e.kind == "m.room.message";
    let invoice = stage.bob.event(mark, "the invoice", limit, |e| ours(e) && e.body().contains("lnbcrt")).await?;
    let picture = stage.bob.event(mark, "its picture", limit, |e| ours(e) && e.content["msgtype"] == "m.image").await?;
    ensure!(picture.content["file"]["key"].is_object() && picture.content["url"].is_null(), "the picture is in clear");
    ensure!(picture.wire_type == "m.room.encrypted", "the invoice's picture went in clear");
    let bolt11 = invoice.body().split_whitespace().find(|word| word.starts_with("lnbcrt")).context("no invoice")?;
    let since = std::time::Instant::now();
    payer.lnd.pay(bolt11).await?;
    stage
        .bob
        .event(mark, "the room to be told of the money", limit, |e| {
            e.room == room
                && e.sender == bot()
                && e.body().replace('\u{a0}', " ").starts_with("3 000 sat came in by Lightning")
        })
        .await?;
    println!("    paid over Lightning and told in the room in {:.1} s", since.elapsed().as_secs_f32());
    Ok(())
}

async fn without_money_no_call_is_put_through(stage: &Stage, room: &str, uri: &str) -> anyhow::Result<()> {
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "poor-phone", &["PCMU"]).await?;
    let mark = stage.bob.peer.mark();
    phone.ring_silently(uri).await?;
    match phone.answer(Duration::from_secs(20)).await? {
        Answer::Refused(402) => {}
        Answer::Refused(other) => bail!("a call that nobody pays for was refused with {other}"),
        Answer::Answered => bail!("a call that nobody pays for was answered"),
    }
    stage
        .bob
        .event(mark, "the room to be told why", Duration::from_secs(15), |e| {
            e.room == room && e.sender == bot() && e.body().contains("the credit of this room does not pay for it")
        })
        .await?;
    Ok(())
}

/// Waits until the call's thread says something.
async fn in_thread(stage: &Stage, room: &str, words: &str, limit: Duration) -> anyhow::Result<()> {
    let said = |e: &RoomEvent| e.room == room && e.sender == bot() && e.thread().is_some() && e.body().contains(words);
    stage.bob.event(0, &format!("the thread to say {words:?}"), limit, said).await.map(drop)
}

/// The one call detail record with a length.
async fn the_record(stage: &Stage) -> anyhow::Result<Value> {
    let days = ["--from", "2026-01-01", "--until", "2099-01-01", "--format", "json"];
    let end = tokio::time::Instant::now() + Duration::from_secs(15);
    loop {
        let printed = stage.roomtone.prints(&[&["payments", "cdrs"], &days[..]].concat()).await?;
        // One a line.
        let records = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
        let records: Vec<Value> = records.collect::<Result<_, _>>().context("the records are no JSON")?;
        if let Some(record) = records.into_iter().find(|record| record["answered"].is_u64()) {
            return Ok(record);
        }
        ensure!(tokio::time::Instant::now() < end, "there is no record of the call: {printed}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn grouped(sat: u64) -> String {
    if sat < 1000 { sat.to_string() } else { format!("{} {:03}", sat / 1000, sat % 1000) }
}
