//! Lightning at the counter: invoices and payouts for rooms.

use std::sync::Arc;

use super::ask::{Invoice, NodeAsk, Payout, PayoutStep, Refused, Told};
use crate::Msat;
use crate::charge::Service;
use crate::ledger::{AccountId, Ledger, Refusal};
use crate::lightning::{
    self, Config, Credited, Lightning, PayoutError, PayoutId, PayoutState, StartError, TopUpError, TopUpId,
};

/// What payers' wallets show.
const DESCRIPTION: &str = "Roomtone: calls of a room";

/// The node and its tasks.
pub(super) struct Wallet {
    lightning: Lightning,
}

impl Wallet {
    /// Starts the node. What is credited lets calls go on at once; rooms hear of it by the news, which are read from the ledger.
    pub(super) async fn start(config: &Config, ledger: &Ledger, service: Service) -> Result<Self, StartError> {
        let freed = service.clone();
        let on_credited = Arc::new(move |credited: Credited| -> lightning::Told {
            tracing::info!(amount = %credited.amount, "a top-up was credited");
            service.topped_up();
            Box::pin(async { true })
        });
        let on_ended = Arc::new(move |payout: lightning::Payout| -> lightning::Told {
            // What was held back for it, and was not paid, may let a call go on.
            freed.topped_up();
            tracing::info!(id = %payout.id, amount = %payout.amount, paid = matches!(payout.state, PayoutState::Paid { .. }), "a payout is over");
            Box::pin(async { true })
        });
        Ok(Self { lightning: Lightning::start(config, ledger, on_credited, on_ended).await? })
    }

    pub(super) async fn stop(self) {
        self.lightning.stop().await;
    }

    pub(super) async fn invoice(&self, name: &str, account: AccountId, amount: Msat) -> Result<Invoice, Refused> {
        let id = TopUpId::named(&[name]);
        let made = self.lightning.top_ups.request(id, account, amount, DESCRIPTION).await?;
        Ok(Invoice { bolt11: made.bolt11.as_str().to_owned(), amount: made.amount, expires: made.expires })
    }

    pub(super) async fn refund(
        &self,
        name: &str,
        account: AccountId,
        to: &str,
        amount: Option<Msat>,
    ) -> Result<Payout, Refused> {
        let to = to.trim().parse().map_err(|error: lightning::InvoiceError| Refused::Mistake(error.to_string()))?;
        let order = lightning::Order { id: PayoutId::named(&[name]), account, to, amount, max_fee: None };
        Ok(told(self.lightning.payouts.request(&order).await?))
    }

    pub(super) async fn approve(&self, payout: &str, by: &str) -> Result<Payout, Refused> {
        let none = || Refused::Mistake("there is no payout of this number that waits".into());
        let id: PayoutId = payout.trim().parse().map_err(|_| none())?;
        self.lightning.payouts.approve(id, by).await?;
        let payout = self.lightning.payouts.status(id).await.map_err(PayoutError::from)?;
        payout.map(told).ok_or_else(none)
    }

    /// Looks after the embedded node.
    #[cfg(feature = "ldk")]
    pub(super) async fn node(&self, ask: NodeAsk) -> Result<Told, Refused> {
        let Some(ldk) = self.lightning.ldk() else { return Err(not_embedded()) };
        let node = ldk.ldk();
        // It takes locks, and connects to others.
        let done = tokio::task::spawn_blocking(move || embedded::done(&node, ask)).await;
        done.map_err(|_| Refused::Unavailable("the Lightning node broke off".into()))?
    }

    /// Looks after the embedded node.
    #[cfg(not(feature = "ldk"))]
    pub(super) async fn node(&self, _ask: NodeAsk) -> Result<Told, Refused> {
        Err(not_embedded())
    }

    /// Why payouts are stopped; `None`: they go.
    pub(super) async fn stopped(&self) -> Result<Option<String>, Refused> {
        let stopped = self.lightning.payouts.stopped().await.map_err(PayoutError::from)?;
        Ok(stopped.map(|stopped| stopped.why))
    }
}

fn not_embedded() -> Refused {
    Refused::Mistake("the Lightning node is one of your own: its channels are opened and closed there".into())
}

/// What is done with the embedded node.
#[cfg(feature = "ldk")]
mod embedded {
    use ldk_node::bitcoin::secp256k1::PublicKey;
    use ldk_node::lightning::ln::msgs::SocketAddress;
    use ldk_node::{ChannelDetails, Node, UserChannelId};

    use super::super::ask::{ChannelLine, NodeAsk, NodeStanding, Refused, Told};
    use crate::Msat;

    pub(super) fn done(node: &Node, ask: NodeAsk) -> Result<Told, Refused> {
        let failed = |error: ldk_node::NodeError| Refused::Mistake(format!("the Lightning node says: {error}"));
        match ask {
            NodeAsk::Standing => {}
            NodeAsk::Address => {
                return Ok(Told::Address(node.onchain_payment().new_address().map_err(failed)?.to_string()));
            }
            NodeAsk::Open { peer, amount } => {
                let (id, address) = read(&peer)?;
                node.open_channel(id, address, amount.whole_sat(), None, None).map_err(failed)?;
            }
            NodeAsk::Close { channel } => {
                let known =
                    node.list_channels().into_iter().find(|known| name(known.user_channel_id) == channel.trim());
                let known = known.ok_or_else(|| Refused::Mistake("there is no channel of this name".into()))?;
                node.close_channel(&known.user_channel_id, known.counterparty_node_id).map_err(failed)?;
            }
        }
        Ok(Told::Node(standing(node)))
    }

    fn read(peer: &str) -> Result<(PublicKey, SocketAddress), Refused> {
        let wrong = || Refused::Mistake("the other node is written PUBKEY@HOST:PORT".into());
        let (id, address) = peer.trim().split_once('@').ok_or_else(wrong)?;
        Ok((id.parse().map_err(|_| wrong())?, address.parse().map_err(|_| wrong())?))
    }

    fn name(channel: UserChannelId) -> String {
        format!("{:032x}", channel.0)
    }

    fn standing(node: &Node) -> NodeStanding {
        let msat = |msat| Msat::new(msat).unwrap_or(Msat::MAX);
        let line = |channel: ChannelDetails| ChannelLine {
            id: name(channel.user_channel_id),
            peer: channel.counterparty_node_id.to_string(),
            can_send: msat(channel.outbound_capacity_msat),
            can_receive: msat(channel.inbound_capacity_msat),
            usable: channel.is_usable,
        };
        let on_chain = Msat::from_sat(node.list_balances().spendable_onchain_balance_sats).unwrap_or(Msat::MAX);
        let channels = node.list_channels().into_iter().map(line).collect();
        NodeStanding { id: node.node_id().to_string(), on_chain, channels }
    }
}

fn told(payout: lightning::Payout) -> Payout {
    let step = match payout.state {
        PayoutState::WaitsForApproval => PayoutStep::Waiting,
        PayoutState::Asked | PayoutState::Ready | PayoutState::Sent => PayoutStep::OnItsWay,
        PayoutState::Paid { fee, .. } => PayoutStep::Paid { fee },
        PayoutState::Releasing { why } | PayoutState::NotPaid { why } => PayoutStep::Failed { why },
    };
    Payout { id: payout.id.to_string(), amount: payout.amount, fee_limit: payout.max_fee, step }
}

impl From<TopUpError> for Refused {
    fn from(error: TopUpError) -> Self {
        match error {
            TopUpError::Amount { .. } | TopUpError::TooManyOpen { .. } => Self::Mistake(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PayoutError> for Refused {
    fn from(error: PayoutError) -> Self {
        match error {
            PayoutError::NotEnough { available, .. } => Self::NotEnough { available },
            PayoutError::Refused(Refusal::Frozen { .. }) => Self::Frozen,
            PayoutError::Table(_) | PayoutError::Unsure(_) | PayoutError::Store(_) => {
                Self::Unavailable(error.to_string())
            }
            error => Self::Mistake(error.to_string()),
        }
    }
}
