//! The whole chain on one machine: homeserver, media server, Roomtone, a user with Element Call, and an encrypted room that a
//! number rings.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    element::ElementUser,
    livekit::LiveKit,
    roomtone::{self, Ports, Roomtone},
    rundir::RunDir,
    synapse::{Synapse, SynapseConfig},
    toolbox::Toolbox,
};

/// The number that rings the room.
pub const NUMBER: &str = "+15550100";

/// What a stage may have otherwise.
#[derive(Debug, Clone)]
pub struct Options {
    /// Merged into Roomtone's configuration.
    pub config: Value,
    /// Whether Synapse knows delayed events.
    pub delayed_events: bool,
    /// Told what is done, for a person who watches.
    pub tell: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self { config: json!({}), delayed_events: true, tell: |_| {} }
    }
}

/// Everything up.
#[derive(Debug)]
pub struct Stage {
    /// The user "Bob" with Element Call, admin of the room.
    pub bob: ElementUser,
    /// The encrypted room, linked to [`NUMBER`].
    pub room: String,
    /// Roomtone.
    pub roomtone: Roomtone,
    /// The media server.
    pub livekit: LiveKit,
    /// The homeserver.
    pub synapse: Synapse,
    /// Where everything was installed.
    pub toolbox: Toolbox,
    /// Where all logs and recordings go. The last field: it goes after the processes.
    pub dir: RunDir,
}

impl Stage {
    /// Starts it all. The room is linked by `!call link`, as an admin of a room does.
    ///
    /// # Errors
    /// Something did not come up; the message has the end of its log, and everything stays in the run's folder.
    pub async fn start(name: &str, options: Options) -> anyhow::Result<Self> {
        let mut dir = RunDir::new(name)?;
        match Self::start_in(&dir, &options).await {
            Ok((toolbox, synapse, livekit, roomtone, bob, room)) => {
                Ok(Self { bob, room, roomtone, livekit, synapse, toolbox, dir })
            }
            Err(error) => {
                dir.keep();
                Err(error.context(format!("logs: {}", dir.path().display())))
            }
        }
    }

    async fn start_in(
        dir: &RunDir,
        options: &Options,
    ) -> anyhow::Result<(Toolbox, Synapse, LiveKit, Roomtone, ElementUser, String)> {
        let toolbox = Toolbox::load()?;
        let ports = Ports::free();
        (options.tell)("Roomtone writes its registration");
        let mut roomtone = Roomtone::configure(&toolbox, dir.path(), &ports, &[], options.config.clone()).await?;
        (options.tell)("starting Synapse and LiveKit");
        let config = SynapseConfig {
            port: ports.homeserver,
            registrations: vec![roomtone.registration()],
            rtc_service: ports.rtc_service(),
            delayed_events: options.delayed_events,
        };
        let mut synapse = Synapse::launch(&toolbox, dir.path(), &config)?;
        let webhook = format!("http://127.0.0.1:{}/livekit/jwt/sfu_webhook", ports.http);
        let mut livekit = LiveKit::launch(&toolbox, dir.path(), ports.livekit, Some(&webhook))?;
        livekit.ready().await?;
        synapse.ready().await?;
        (options.tell)("starting Roomtone, and a user in an encrypted room");
        let (up, bob) =
            tokio::join!(roomtone.start(), ElementUser::start(&toolbox, dir.path(), &synapse.url, "bob", "Bob"));
        up?;
        let bob = bob?;
        let room = linked_room(&bob, "Release planning", NUMBER).await?;
        Ok((toolbox, synapse, livekit, roomtone, bob, room))
    }

    /// A further user, joined to the room.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn join_user(&self, name: &str, display_name: &str) -> anyhow::Result<ElementUser> {
        let user = ElementUser::start(&self.toolbox, self.dir.path(), &self.synapse.url, name, display_name).await?;
        self.bob.invite(&self.room, &user.user_id).await?;
        user.join(&self.room).await?;
        Ok(user)
    }

    /// A path in the run's folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The SIP address that rings the room.
    #[must_use]
    pub fn uri(&self) -> String {
        self.roomtone.sip_uri(NUMBER)
    }

    /// Whether anybody's membership in the room's call is one of Roomtone's users.
    ///
    /// # Errors
    /// The user's process has ended.
    pub async fn ours_in_call(&self) -> anyhow::Result<Vec<String>> {
        let members = self.bob.call_members(&self.room).await?;
        Ok(members
            .iter()
            .filter_map(|m| m["sender"].as_str())
            .filter(|s| s.starts_with("@_roomtone_"))
            .map(str::to_owned)
            .collect())
    }

    /// Waits until none of Roomtone's users is in the room's call.
    ///
    /// # Errors
    /// They still are after `limit`.
    pub async fn call_is_over(&self, limit: Duration) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let left = self.ours_in_call().await?;
            if left.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() > end {
                anyhow::bail!("still in the call after {limit:?}: {left:?}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Makes an encrypted room, brings the bot into it and links a number to it by command.
///
/// # Errors
/// The bot does not come, or does not answer the command.
pub async fn linked_room(user: &ElementUser, name: &str, number: &str) -> anyhow::Result<String> {
    let bot = roomtone::bot();
    let room = user.create_room(name, true, &[&bot], Some(0)).await?;
    user.event(0, "the bot to join", Duration::from_secs(30), |e| {
        e.room == room
            && e.kind == "m.room.member"
            && e.state_key.as_deref() == Some(&bot)
            && e.content["membership"] == "join"
    })
    .await?;
    let mark = user.peer.mark();
    user.say(&room, &format!("!call link {number}"), None).await?;
    let answer = user
        .event(mark, "the bot's answer to !call link", Duration::from_secs(20), |e| {
            e.room == room && e.sender == bot && e.kind == "m.room.message"
        })
        .await?;
    anyhow::ensure!(!answer.undecryptable, "the bot's answer cannot be decrypted");
    Ok(room)
}
