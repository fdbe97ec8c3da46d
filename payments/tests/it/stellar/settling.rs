//! Two operators, each with books, a payer, a watcher and a clerk of its own, on one network.

use std::time::Duration;

use payments::database::Database as Tables;
use payments::ledger::{AccountId, Ledger, Resolution};
use payments::settlement::{
    Books, Carried, Clerk, ClerkError, Did, Dispute, PairSecret, Partner, PayWhen, PaymentEnd, Proposal, Refused,
    Standing, Window, Windows,
};
use payments::stellar::incoming::{Accepted, Inbox, Landing, Watcher};
use payments::stellar::payer::{Did as Paying, Payer, Policy, Signer};
use payments::stellar::rpc::RpcClient;
use payments::stellar::{Destination, Memo, Rate};
use payments::{Msat, UnixMillis};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::arriving::send;
use super::double::Double;
use super::{START, address, has, key, network, server, usd};
use crate::child;
use crate::migrations::tamper;
use crate::support::{Database, Hands, Kind, account, assert_balanced};

on_both! {
    two_operators_agree_pay_and_owe_one_another_nothing
    calls_on_which_they_differ_are_listed_and_the_others_are_settled
    killed_at_any_step_a_settlement_is_paid_and_booked_once
    little_waits_and_is_paid_together_after_a_day
    what_was_paid_before_we_had_agreed_is_found_in_suspense
    what_was_not_paid_waits_for_people_and_is_tried_again_under_another_name
    too_little_pays_no_window_and_the_rest_does
    what_both_did_not_sign_is_not_paid
    what_is_under_way_stays_held_back_until_its_outcome_is_proved
}

const DAY: u64 = 86_400_000;

/// A third of a stroop is a millisatoshi: nothing comes out even.
fn rate() -> Rate {
    Rate::per_btc(33_333_333_333).unwrap()
}

fn books() -> Books {
    Books {
        revenue: account("revenue"),
        stellar: account("stellar"),
        elsewhere: account("elsewhere"),
        suspense: account("suspense"),
    }
}

fn partner(n: u8, above: u64) -> Partner {
    let when = PayWhen { above: Msat::new(above).unwrap(), after: Duration::from_millis(DAY) };
    Partner { key: address(n), asset: usd(), rate: rate(), when: Some(when), carried: account("trunk") }
}

/// An operator with account `us`, and a partner with account `them`.
struct Operator {
    us: u8,
    them: u8,
    hands: Hands,
    ledger: Ledger,
    clerk: Clerk,
    payer: Payer<RpcClient>,
    watcher: Watcher<RpcClient, Windows>,
}

impl Operator {
    async fn new(tables: &Tables, url: &str, us: u8, them: u8, above: u64) -> Self {
        let hands = Hands::at(START * 1_000);
        let ledger = Ledger::on(tables.clone(), hands.clock());
        let signer = Signer { network: network(), key: key(us) };
        let rpc = || RpcClient::new(url).unwrap();
        let payer = Payer::new(tables.clone(), rpc(), signer, Policy::default(), hands.clock());
        let partners = vec![partner(them, above)];
        let clerk = Clerk::new(key(us), partners, (ledger.clone(), books()), payer.counter()).await.unwrap();
        let landing = Landing { stellar: books().stellar, suspense: books().suspense };
        let accepted = vec![Accepted { asset: usd(), rate: rate() }];
        let inbox = Inbox::new(tables.clone(), address(us));
        let windows = Windows::new(tables.clone());
        let watcher =
            Watcher::new(inbox, (rpc(), network()), (ledger.clone(), landing), accepted, windows).await.unwrap();
        Self { us, them, hands, ledger, clerk, payer, watcher }
    }

    /// One thing of the clerk's and one of the payer's; whether either had anything to do.
    async fn step(&mut self) -> bool {
        let did = self.clerk.step().await.unwrap();
        let paying = self.payer.step().await.unwrap();
        if let Paying::Waits(until) = paying {
            self.hands.set(until.0);
        }
        did != Did::Nothing || paying != Paying::Nothing
    }

    /// Until nothing is left to do.
    async fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..1_000 {
            let read = self.watcher.step().await.unwrap();
            let busy = self.step().await || !read.all_read || read.arrived > 0;
            quiet = if busy { 0 } else { quiet + 1 };
            if quiet == 2 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    async fn propose(&self, window: Window, cdrs: &[Call]) -> Result<Vec<Proposal>, ClerkError> {
        let secret = PairSecret::new(Zeroizing::new([5; 32]));
        let cdrs = cdrs.iter().map(|call| Carried {
            sip_call_id: call.id,
            ended: UnixMillis(call.ended),
            by_us: call.by == self.us,
            seconds: 60,
            amount: Msat::new(call.amount).unwrap(),
        });
        self.clerk.propose(address(self.them), window, &secret, cdrs).await
    }

    async fn balance(&self, account: AccountId) -> i128 {
        self.ledger.account(account).await.unwrap().unwrap().sums.balance()
    }

    async fn owed_by_them(&self) -> i128 {
        -self.balance(Clerk::account(address(self.them))).await
    }

    async fn standing(&self) -> Standing {
        self.clerk.newest(address(self.them)).await.unwrap().unwrap().settlement.standing().clone()
    }
}

/// A call as both have it.
#[derive(Clone, Copy)]
struct Call {
    id: &'static str,
    by: u8,
    ended: u64,
    amount: u64,
}

const fn call(id: &'static str, by: u8, amount: u64) -> Call {
    Call { id, by, ended: START * 1_000 - 1, amount }
}

/// The day before the tests.
fn window() -> Window {
    Window { from: UnixMillis(START * 1_000 - DAY), until: UnixMillis(START * 1_000) }
}

/// Each sends the other what it has to send, until nothing new comes of it.
async fn talk(one: &Operator, other: &Operator) {
    for _ in 0..2 {
        for (from, to) in [(one, other), (other, one)] {
            for said in from.clerk.proposals(address(from.them)).await.unwrap() {
                // As it goes over a wire.
                to.clerk.receive(&Proposal::read(&said.bytes()).unwrap()).await.unwrap();
            }
        }
    }
}

async fn pair(kind: Kind, double: &Double, above: u64) -> ((Operator, Database), (Operator, Database)) {
    let (one, two) = (Database::new(kind).await, Database::new(kind).await);
    let open = async |database: &Database| Tables::open(&database.url).await.unwrap();
    let first = Operator::new(&open(&one).await, &double.url, 1, 2, above).await;
    let second = Operator::new(&open(&two).await, &double.url, 2, 1, above).await;
    ((first, one), (second, two))
}

/// Account 2 has carried more for 1 than 1 for 2: 1 owes 700 001 msat.
const CALLS: [Call; 3] = [call("a@x", 2, 900_000), call("b@x", 1, 200_000), call("c@x", 2, 1)];

/// What 700 001 msat come to.
const STROOPS: i64 = 233_334;

async fn assert_settled(one: &Operator, two: &Operator, double: &Double) {
    assert_eq!((has(double, 1), has(double, 2)), (5_000_000_000 - STROOPS, 5_000_000_000 + STROOPS));
    assert_eq!(double.chain(|chain| chain.payments().len()), 1);
    assert_eq!(one.owed_by_them().await, 0, "the payer's books are even");
    let over = two.owed_by_them().await;
    assert!((-3..=0).contains(&over), "and the receiver's to a stroop: {over}");
    for operator in [one, two] {
        assert_balanced(&operator.ledger).await;
    }
    assert_eq!(one.balance(account("revenue")).await, 200_000);
    assert_eq!(one.balance(account("trunk")).await, -900_001);
    assert_eq!(one.balance(account("stellar")).await, 700_001);
    assert_eq!(one.ledger.account(account("stellar")).await.unwrap().unwrap().sums.credits_pending, Msat::ZERO);
}

async fn two_operators_agree_pay_and_owe_one_another_nothing(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    two.settle().await;
    one.propose(window(), &CALLS).await.unwrap();
    two.propose(window(), &CALLS).await.unwrap();
    talk(&one, &two).await;
    assert!(matches!(one.standing().await, Standing::Agreed(_)) && matches!(two.standing().await, Standing::Agreed(_)));
    let (owed, link) = two.clerk.owed(address(1), &network()).await.unwrap().unzip();
    assert_eq!((owed, link.is_none()), (None, true), "not in the books yet");
    one.settle().await;
    two.settle().await;
    assert_settled(&one, &two, &double).await;
    let payments = one.clerk.payments(address(2), 10).await.unwrap();
    assert_eq!(
        payments.iter().map(|p| (p.windows.clone(), p.end.clone())).collect::<Vec<_>>(),
        [(1..=1, Some(PaymentEnd::Paid))]
    );
    assert!(two.clerk.owed(address(1), &network()).await.unwrap().is_none(), "they know that it is paid");
    // The next window follows on the last.
    let late = Window { from: UnixMillis(START * 1_000 + 1), until: UnixMillis(START * 1_000 + DAY) };
    let gap = one.propose(late, &[]).await;
    assert!(matches!(gap, Err(ClerkError::NotNext { begins, .. }) if begins == START * 1_000), "{gap:?}");
    let next = Window { from: window().until, until: late.until };
    one.propose(next, &[]).await.unwrap();
    let open = one.propose(Window { from: next.until, until: UnixMillis(u64::MAX) }, &[]).await;
    assert!(matches!(open, Err(ClerkError::StillOpen(_))), "{open:?}");
}

async fn calls_on_which_they_differ_are_listed_and_the_others_are_settled(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    two.settle().await;
    let mut ours = CALLS.to_vec();
    ours.extend([call("dearer@x", 2, 10), call("only-ours@x", 2, 20)]);
    let mut theirs = CALLS.to_vec();
    theirs.extend([call("dearer@x", 2, 99_999_999), call("only-theirs@x", 2, 88_888_888)]);
    let signed = one.propose(window(), &ours).await.unwrap();
    two.propose(window(), &theirs).await.unwrap();
    assert_eq!(one.propose(window(), &CALLS).await.unwrap(), signed, "what is signed stays");
    talk(&one, &two).await;
    let Standing::Agreed(agreed) = one.standing().await else { panic!("not agreed") };
    assert_eq!(agreed.statement.lines().len(), 3);
    let mut kinds: Vec<_> = agreed
        .disputes
        .iter()
        .map(|dispute| match dispute {
            Dispute::OnlyOurs(_) => "only ours",
            Dispute::OnlyTheirs(_) => "only theirs",
            Dispute::Differs { .. } => "differs",
        })
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["differs", "only ours", "only theirs"]);
    let lines: Vec<String> = agreed.disputes.iter().map(ToString::to_string).collect();
    assert!(
        lines.iter().any(|line| line.contains("10 msat; theirs: by") && line.ends_with("99999999 msat")),
        "{lines:?}"
    );
    let Standing::Agreed(same) = two.standing().await else { panic!("not agreed") };
    assert_eq!((&same.statement, same.by_a, same.by_b), (&agreed.statement, agreed.by_a, agreed.by_b));
    one.settle().await;
    two.settle().await;
    assert_settled(&one, &two, &double).await;
}

/// A child process that settles for account 1, so many steps far, and then stands still. `name`: the server's address, the
/// number of steps.
pub(crate) async fn child_settles(tables: &Tables, name: &str) {
    let (url, steps) = name.split_once(' ').unwrap();
    let mut one = Operator::new(tables, url, 1, 2, 0).await;
    for _ in 0..steps.parse::<u32>().unwrap() {
        one.step().await;
    }
    println!("stands still.");
    std::future::pending::<()>().await;
}

async fn killed_at_any_step_a_settlement_is_paid_and_booked_once(kind: Kind) {
    for steps in 0..=14 {
        let double = server().await;
        let ((mut one, database), (mut two, _b)) = pair(kind, &double, 0).await;
        two.settle().await;
        one.settle().await;
        one.propose(window(), &CALLS).await.unwrap();
        two.propose(window(), &CALLS).await.unwrap();
        talk(&one, &two).await;
        drop(one);
        let mut child = child::start(&database.url, &format!("{} {steps}", double.url), "settle");
        assert!(child.says("stands ").is_some(), "the child died by itself");
        child.kill("");
        let tables = Tables::open(&database.url).await.unwrap();
        let mut one = Operator::new(&tables, &double.url, 1, 2, 0).await;
        one.settle().await;
        two.settle().await;
        assert_settled(&one, &two, &double).await;
    }
}

async fn little_waits_and_is_paid_together_after_a_day(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 1_000_000).await;
    one.settle().await;
    two.settle().await;
    let mut window = window();
    // Each window's calls go one way more than the other: only what is left over is paid.
    for (n, calls) in
        [CALLS.to_vec(), vec![call("d@x", 1, 100_000)], vec![call("e@x", 2, 100_000)]].iter_mut().enumerate()
    {
        for call in calls.iter_mut() {
            call.ended = window.until.0 - 1;
        }
        one.propose(window, calls).await.unwrap();
        two.propose(window, calls).await.unwrap();
        talk(&one, &two).await;
        one.settle().await;
        two.settle().await;
        assert_eq!(double.chain(|chain| chain.payments().len()), 0, "window {n} comes to little");
        window = Window { from: window.until, until: UnixMillis(window.until.0 + 3_600_000) };
    }
    assert_eq!(one.owed_by_them().await, -700_001);
    let (owed, link) = two.clerk.owed(address(1), &network()).await.unwrap().unwrap();
    assert_eq!((owed.amount.msat(), owed.stroops.get()), (700_001, STROOPS));
    let link = link.to_string();
    assert!(link.starts_with(&format!("web+stellar:pay?destination={}&amount=0.0233334&", address(2))), "{link}");
    for operator in [&one, &two] {
        operator.hands.set(START * 1_000 + DAY);
    }
    double.chain(|chain| chain.close = START + DAY / 1_000);
    one.settle().await;
    two.settle().await;
    assert_eq!(double.chain(|chain| chain.payments().len()), 1);
    assert_eq!(has(&double, 2), 5_000_000_000 + STROOPS);
    assert_eq!(one.owed_by_them().await, 0);
    assert_eq!(one.clerk.payments(address(2), 10).await.unwrap()[0].windows, 1..=3);
    assert!(two.clerk.owed(address(1), &network()).await.unwrap().is_none());
}

async fn what_was_paid_before_we_had_agreed_is_found_in_suspense(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    two.settle().await;
    let late = one.propose(window(), &CALLS).await.unwrap();
    for said in two.propose(window(), &CALLS).await.unwrap() {
        one.clerk.receive(&said).await.unwrap();
    }
    // They pay; their word is still on its way.
    one.settle().await;
    two.settle().await;
    assert_eq!(two.balance(account("suspense")).await, 700_002);
    two.clerk.receive(&late[0]).await.unwrap();
    two.settle().await;
    assert_eq!(two.balance(account("suspense")).await, 0);
    assert_settled(&one, &two, &double).await;
    assert!(two.clerk.owed(address(1), &network()).await.unwrap().is_none());
}

async fn what_was_not_paid_waits_for_people_and_is_tried_again_under_another_name(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    two.settle().await;
    one.propose(window(), &CALLS).await.unwrap();
    two.propose(window(), &CALLS).await.unwrap();
    talk(&one, &two).await;
    let all = double.chain(|chain| {
        let lines = &mut chain.accounts.get_mut(address(1).bytes()).unwrap().lines;
        std::mem::replace(lines.get_mut(&super::usd_xdr()).unwrap(), 5)
    });
    one.settle().await;
    let failed = one.clerk.payments(address(2), 10).await.unwrap();
    let [payment] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(payment.end, Some(PaymentEnd::NotPaid { why: "TxFailed: Payment Underfunded".into() }));
    assert_eq!(one.owed_by_them().await, -700_001, "it is owed still");
    // Another window is agreed meanwhile: it waits, too.
    let next = Window { from: window().until, until: UnixMillis(window().until.0 + DAY) };
    let more = [Call { ended: next.from.0, ..call("d@x", 2, 30) }];
    one.propose(next, &more).await.unwrap();
    two.propose(next, &more).await.unwrap();
    talk(&one, &two).await;
    let sent = double.sent().len();
    one.settle().await;
    assert_eq!(double.sent().len(), sent, "nothing is tried again by itself");
    double.chain(|chain| {
        let lines = &mut chain.accounts.get_mut(address(1).bytes()).unwrap().lines;
        *lines.get_mut(&super::usd_xdr()).unwrap() = all;
    });
    assert!(one.clerk.retry(address(2)).await.unwrap());
    assert!(!one.clerk.retry(address(2)).await.unwrap(), "once");
    one.settle().await;
    two.settle().await;
    let payments = one.clerk.payments(address(2), 10).await.unwrap();
    assert_eq!(payments.iter().map(|p| p.windows.clone()).collect::<Vec<_>>(), [1..=2, 1..=1]);
    assert_ne!(payments[0].order, payments[1].order);
    assert_eq!(double.chain(|chain| chain.payments().len()), 1);
    let whole = rate().stroops_for(Msat::new(700_031).unwrap()).unwrap();
    assert_eq!(has(&double, 2), 5_000_000_000 + whole.get());
    assert_eq!(one.owed_by_them().await, 0);
    assert!(two.clerk.owed(address(1), &network()).await.unwrap().is_none());
    assert_balanced(&one.ledger).await;
    let held = payments::settlement::held(
        payments[1].order,
        payments[1].amount,
        &payments::settlement::Accounts {
            partner: Clerk::account(address(2)),
            revenue: account("revenue"),
            carried: account("trunk"),
            stellar: account("stellar"),
        },
    );
    let first = one.ledger.reservation(held.id).await.unwrap().unwrap();
    assert_eq!(first.resolved, Some(Resolution::Voided));
}

async fn too_little_pays_no_window_and_the_rest_does(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    two.settle().await;
    // Here account 1 is owed, and account 2 pays by hand, in two parts.
    let calls = [call("a@x", 1, 700_001)];
    for operator in [&one, &two] {
        operator.propose(window(), &calls).await.unwrap();
    }
    talk(&one, &two).await;
    let Standing::Agreed(agreed) = one.standing().await else { panic!("not agreed") };
    let memo = || Memo::Id(agreed.statement.reference());
    let us = Destination::account(address(1));
    send(&double, us, usd(), "0.0200000", memo());
    one.settle().await;
    assert!(one.clerk.owed(address(2), &network()).await.unwrap().is_some());
    assert_eq!(one.owed_by_them().await, 700_001 - 600_000);
    send(&double, us, usd(), "0.0033333", memo());
    one.settle().await;
    assert!(one.clerk.owed(address(2), &network()).await.unwrap().is_some(), "a stroop is missing");
    send(&double, us, usd(), "0.0000001", memo());
    one.settle().await;
    assert!(one.clerk.owed(address(2), &network()).await.unwrap().is_none());
    assert_balanced(&one.ledger).await;
}

async fn what_is_under_way_stays_held_back_until_its_outcome_is_proved(kind: Kind) {
    let double = server().await;
    let ((mut one, _a), (mut two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    two.settle().await;
    one.propose(window(), &CALLS).await.unwrap();
    two.propose(window(), &CALLS).await.unwrap();
    talk(&one, &two).await;
    loop {
        one.clerk.step().await.unwrap();
        if one.payer.step().await.unwrap() == Paying::Sent {
            break;
        }
    }
    let held = async || one.ledger.account(account("stellar")).await.unwrap().unwrap().sums.credits_pending.msat();
    assert_eq!(held().await, 700_001);
    one.hands.set(START * 1_000 + 365 * DAY);
    assert_eq!(one.ledger.expire_due().await.unwrap(), 0, "no time lets it go");
    assert_eq!(held().await, 700_001);
    one.settle().await;
    two.settle().await;
    assert_settled(&one, &two, &double).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tasks_settle_by_themselves_and_stop_when_told() {
    let double = server().await;
    let ((mut one, database), (mut two, _b)) = pair(Kind::Sqlite, &double, 0).await;
    one.settle().await;
    two.settle().await;
    one.propose(window(), &CALLS).await.unwrap();
    two.propose(window(), &CALLS).await.unwrap();
    talk(&one, &two).await;
    // Account 1's tasks as the program runs them, by a clock that goes and a network whose clock agrees with it.
    double.chain(|chain| chain.close = crate::support::now().0 / 1_000);
    double.closes(Some(0));
    let tables = Tables::open(&database.url).await.unwrap();
    let clock: payments::ledger::Clock = std::sync::Arc::new(crate::support::now);
    let ledger = Ledger::on(tables.clone(), clock.clone());
    let policy = Policy { poll: Duration::from_millis(5), ..Policy::default() };
    let signer = Signer { network: network(), key: key(1) };
    let payer = Payer::new(tables, RpcClient::new(&double.url).unwrap(), signer, policy, clock);
    let clerk = Clerk::new(key(1), vec![partner(2, 0)], (ledger, books()), payer.counter()).await.unwrap();
    let (clerk, stop) = (std::sync::Arc::new(clerk), CancellationToken::new());
    let (paying, settling) = (tokio::spawn(payer.run(stop.clone())), {
        let (clerk, stop) = (clerk.clone(), stop.clone());
        tokio::spawn(async move { clerk.run(stop).await })
    });
    let is_paid = async || clerk.payments(address(2), 1).await.unwrap().iter().any(|p| p.end == Some(PaymentEnd::Paid));
    for _ in 0..2_000 {
        if is_paid().await {
            break;
        }
        // Nothing tells of a row that was written.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reads = double.asked("getTransactions");
    let watching = tokio::spawn(two.watcher.run(stop.clone()));
    reads.await;
    stop.cancel();
    for task in [paying, settling, watching] {
        task.await.unwrap();
    }
    assert!(is_paid().await);
    assert_eq!(has(&double, 2), 5_000_000_000 + STROOPS);
}

async fn what_both_did_not_sign_is_not_paid(kind: Kind) {
    let double = server().await;
    let ((mut one, database), (two, _b)) = pair(kind, &double, 0).await;
    one.settle().await;
    let nobody = PairSecret::new(Zeroizing::new([5; 32]));
    let stranger = one.clerk.propose(address(9), window(), &nobody, []).await;
    assert!(matches!(stranger, Err(ClerkError::Nobody(_))), "{stranger:?}");
    let theirs = two.propose(window(), &CALLS).await.unwrap().remove(0);
    let early = one.clerk.receive(&theirs).await;
    assert!(matches!(early, Err(ClerkError::NotYet(_))), "we have not made ours yet: {early:?}");
    one.propose(window(), &CALLS).await.unwrap();
    let mut forged = theirs.clone();
    forged.signature[0] ^= 1;
    let refused = one.clerk.receive(&forged).await;
    assert!(matches!(refused, Err(ClerkError::Refused(Refused::NotTheirs { .. }))), "{refused:?}");
    let ours = one.clerk.proposals(address(2)).await.unwrap().remove(0);
    assert!(matches!(one.clerk.receive(&ours).await, Err(ClerkError::Nobody(_))), "our own, sent back");
    assert_eq!(one.standing().await, Standing::Proposed);
    one.clerk.receive(&theirs).await.unwrap();
    // Somebody who can write into the table, and sign for nobody.
    for statement in [
        "UPDATE settlement_windows SET agreed = NULL",
        "UPDATE settlement_windows SET ours = agreed, agreed = ours || ours",
        "DELETE FROM settlement_windows",
        "UPDATE settlement_messages SET signature = statement",
        "DELETE FROM settlement_messages",
    ] {
        assert!(tamper(kind, &database.url, statement).await.is_err(), "{statement}");
    }
    tamper(kind, &database.url, "UPDATE settlement_windows SET by_a = by_b").await.unwrap();
    for _ in 0..3 {
        let refused = one.clerk.step().await;
        assert!(matches!(refused, Err(ClerkError::Table(_))), "{refused:?}");
    }
    assert_eq!(double.sent(), Vec::<Vec<u8>>::new());
}
