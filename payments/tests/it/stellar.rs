//! Stellar against a network in memory behind real HTTP: paying, being paid and settling, with lost answers and kills.

pub(crate) mod arriving;
pub(crate) mod chain;
pub(crate) mod double;
pub(crate) mod operating;
mod paying;
mod rules;
pub(crate) mod settling;

use payments::UnixMillis;
use payments::database::Database as Tables;
use payments::stellar::payer::{Did, Order, OrderId, Outcome, Payer, Policy, Signer};
use payments::stellar::rpc::RpcClient;
use payments::stellar::{Address, Asset, Destination, Network, Pay, SigningKey};
use zeroize::Zeroizing;

use crate::support::Hands;
use chain::Account;
use double::Double;

/// When the network's ledger 100 was closed, in seconds.
pub(crate) const START: u64 = 1_800_000_000;

pub(crate) fn network() -> Network {
    Network::new("Network of the tests")
}

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([n; 32]))
}

pub(crate) fn address(n: u8) -> Address {
    key(n).address()
}

/// An asset that account 9 issues.
pub(crate) fn usd() -> Asset {
    Asset::Issued { code: "USD".parse().unwrap(), issuer: address(9) }
}

/// The same as the network holds it.
pub(crate) fn usd_xdr() -> stellar_xdr::Asset {
    stellar_xdr::Asset::CreditAlphanum4(stellar_xdr::AlphaNum4 {
        asset_code: stellar_xdr::AssetCode4(*b"USD\0"),
        issuer: stellar_xdr::AccountId(stellar_xdr::PublicKey::PublicKeyTypeEd25519(stellar_xdr::Uint256(
            *address(9).bytes(),
        ))),
    })
}

/// A network with accounts 1, 2 and 9, each with 1000 lumens; 1 and 2 trust 9's USD and have 500.
pub(crate) async fn server() -> Double {
    let double = Double::start(&network(), START).await;
    double.chain(|chain| {
        for n in [1, 2, 9] {
            let mut account = Account { sequence: i64::from(n) << 32, lumens: 10_000_000_000, ..Account::default() };
            if n != 9 {
                account.lines.insert(usd_xdr(), 5_000_000_000);
            }
            chain.accounts.insert(*address(n).bytes(), account);
        }
    });
    double
}

pub(crate) fn order(n: u8) -> Order {
    let pay = Pay { destination: Destination::account(address(2)), asset: usd(), amount: "12.5".parse().unwrap() };
    Order { id: OrderId([n; 16]), pay, memo: Some(u64::MAX - u64::from(n)), via: None }
}

/// A payer of account 1, whose clock stands.
pub(crate) fn payer(tables: &Tables, double: &Double, hands: &Hands, policy: Policy) -> Payer<RpcClient> {
    let signer = Signer { network: network(), key: key(1) };
    Payer::new(tables.clone(), RpcClient::new(&double.url).unwrap(), signer, policy, hands.clock())
}

/// A clock that shows the network's time.
pub(crate) fn hands() -> Hands {
    Hands::at(START * 1_000)
}

/// Steps until an order is over; waiting takes no time.
pub(crate) async fn until_over(payer: &mut Payer<RpcClient>, hands: &Hands) -> (OrderId, Outcome) {
    for _ in 0..2_000 {
        match payer.step().await {
            Ok(Did::Ended(order, outcome)) => return (order, outcome),
            Ok(Did::Waits(until)) => hands.set(until.0),
            Ok(Did::Nothing) => panic!("there is no order"),
            Ok(_) | Err(payments::TableError::Changed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it does not end");
}

/// What account `n` has of USD, in stroops.
pub(crate) fn has(double: &Double, n: u8) -> i64 {
    double.chain(|chain| chain.accounts[address(n).bytes()].lines[&usd_xdr()])
}

/// A child process that pays what is there, `steps` steps far, and then stands still. `name`: the server's address, the number of
/// steps.
pub(crate) async fn child_pays(tables: &Tables, name: &str) {
    let (url, steps) = name.split_once(' ').unwrap();
    let hands = hands();
    let signer = Signer { network: network(), key: key(1) };
    let rpc = RpcClient::new(url).unwrap();
    let mut payer = Payer::new(tables.clone(), rpc, signer, Policy::default(), hands.clock());
    for _ in 0..steps.parse::<u32>().unwrap() {
        match payer.step().await.unwrap() {
            Did::Waits(UnixMillis(until)) => hands.set(until),
            did => println!("did {}.", format!("{did:?}").split(['(', ' ']).next().unwrap()),
        }
    }
    println!("stands still.");
    std::future::pending::<()>().await;
}
