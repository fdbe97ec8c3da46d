use std::time::Duration;

use payments::{
    UnixMillis as Ms,
    ledger::AccountId,
    plan::Subscription,
    rates::BitcoinPrice,
    tariff::{Increments, Terms},
};

use super::*;

fn sat(amount: u64) -> Msat {
    Msat::from_sat(amount).unwrap()
}

/// As people read it, with plain spaces.
fn words(content: &Value) -> String {
    content["body"].as_str().unwrap().replace('\u{a0}', " ")
}

/// A bitcoin costs 50 000 EUR.
fn quote() -> Quote {
    let price = BitcoinPrice::read("50000").unwrap();
    Quote { seq: 1, price, currency: "EUR".parse().unwrap(), spread: 0, as_of: Ms(0) }
}

fn zone() -> Zone {
    Zone::named("Europe/Berlin")
}

/// 20 November 2026, 14:08 in Berlin.
const NOW: Ms = Ms(1_795_180_080_000);

fn has() -> Standing {
    let transcription = Transcription { left: Some(Duration::from_secs(1_200)), history: Some(7), users: 1 };
    Standing {
        available: sat(5_000),
        reserved: Msat::ZERO,
        frozen: false,
        plan: Plan::Free,
        subscription: None,
        transcription,
    }
}

fn books() -> Report {
    Report {
        rooms: 3,
        frozen: 1,
        owed: sat(9_000),
        reserved: sat(100),
        earned: 1_500,
        given: -2_000,
        suspense: 0,
        balanced: true,
        payouts_stopped: None,
        partners: Vec::new(),
    }
}

#[test]
fn sums_stand_beside_what_they_are_worth_where_that_is_known() {
    assert_eq!(money(sat(5_000), None).replace('\u{a0}', " "), "5 000 sat");
    assert_eq!(money(sat(5_000), Some(&quote())).replace('\u{a0}', " "), "5 000 sat (2.50 EUR)");
}

#[test]
fn a_standing_tells_what_can_be_spent_and_what_the_plan_allows() {
    assert_eq!(
        words(&standing(&has(), None, &zone())),
        "5 000 sat can be spent by this room.\n\
         Plan: free; 20 min may still be written down this month; notes are kept 7 days."
    );
    let account = AccountId::named(&["room"]);
    let paid = Subscription { account, plan: Plan::Team, since: NOW, months: 1, until: NOW, renews: true };
    let transcription = Transcription { left: None, history: None, users: 10 };
    let busy =
        Standing { reserved: sat(7), frozen: true, plan: Plan::Team, subscription: Some(paid), transcription, ..has() };
    let told = words(&standing(&busy, Some(&quote()), &zone()));
    for part in [
        "5 000 sat (2.50 EUR) can be spent by this room; 7 sat more are held back for calls and payouts.",
        "The account is frozen",
        "Plan: team, paid until ",
        "14:08, then the next month is paid; as much is written down as is spoken; notes are kept until somebody deletes \
         them; for 10 people.",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let ends = Standing { subscription: busy.subscription.map(|s| Subscription { renews: false, ..s }), ..busy };
    assert!(words(&plan(&ends, None, &zone())).contains("14:08, then it ends"));
}

#[test]
fn a_statement_has_signs_and_what_was_left() {
    assert!(words(&statement(&[], &zone())).starts_with("Nothing was paid into this room's account"));
    let line = |purpose, change, left| StatementLine { at: NOW, purpose, change, left: sat(left) };
    let lines = [line(Purpose::Call, -12_500, 100), line(Purpose::TopUp, 5_000_000, 112)];
    let told = words(&statement(&lines, &zone()));
    assert!(told.contains("14:08 · call \u{2212}12.5 sat · 100 sat left"), "{told}");
    assert!(told.contains("top-up +5 000 sat · 112 sat left"), "{told}");
}

#[test]
fn prices_are_told_by_prefix() {
    assert_eq!(words(&rates("+999", &[], None)), "There is no price for +999: such calls are not put through.");
    let increments: Increments = "60/6".parse().unwrap();
    let terms = Terms { connect_fee: sat(2), ..Terms::per_minute(sat(60), increments) };
    let line = RateLine { prefix: "44".parse().unwrap(), destination: "United Kingdom".into(), terms };
    let told = words(&rates("+44", &[line], Some(&quote())));
    let price = "+44 United Kingdom: 60 sat (0.03 EUR) a minute, 2 sat (< 0.01 EUR) for the answer, in steps of 60/6 s";
    assert!(told.contains(price), "{told}");
}

#[test]
fn a_payout_tells_where_it_stands() {
    let told = |step| words(&payout(&Payout { id: "17".into(), amount: sat(500), fee_limit: sat(9), step }, None));
    let waits = "500 sat are held back until an admin of this Roomtone approves the refund: !pay approve 17.";
    assert_eq!(told(PayoutStep::Waiting), waits);
    assert!(told(PayoutStep::OnItsWay).starts_with("500 sat are on their way, for a fee of at most 9 sat."));
    assert_eq!(told(PayoutStep::Paid { fee: sat(1) }), "500 sat were paid out, for a fee of 1 sat.");
    let failed = told(PayoutStep::Failed { why: "no route".into() });
    assert_eq!(failed, "500 sat could not be paid out: no route. They are back on the room's account.");
}

#[test]
fn a_report_has_a_line_for_each_operator_that_is_settled_with() {
    let told = words(&report(&books(), None));
    assert!(told.contains("3 rooms, 1 of them frozen") && told.contains("the books balance"), "{told}");
    assert!(
        told.contains("earned by calls and plans: +1.5 sat") && told.contains("given away: \u{2212}2 sat"),
        "{told}"
    );
    let line = |name: &str, balance, newest| PartnerLine { name: name.into(), balance, newest, not_paid: None };
    let partners = vec![
        line("ada", 91_000, Some(PartnerWindow::Proposed)),
        PartnerLine { not_paid: Some("no money".into()), ..line("bob", -2_000, Some(PartnerWindow::Disputed(3))) },
        line("eve", 0, Some(PartnerWindow::Agreed(0))),
        line("kim", 1_000, Some(PartnerWindow::Agreed(2))),
        line("lea", 0, None),
    ];
    let told = words(&report(&Report { partners, ..books() }, None));
    for part in [
        "ada owes 91 sat; their statement of the last window is waited for",
        "owed to bob: 2 sat; the last window is not agreed: 3 calls differ; OUR PAYMENT WAS NOT MADE: no money",
        "nothing is owed to eve, or by them; the last window is agreed",
        "kim owes 1 sat; the last window is agreed but for 2 calls",
        "nothing is owed to lea, or by them; their first window has not ended",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn books_that_are_wrong_cry_out() {
    let bad = Report { balanced: false, suspense: 7_000, payouts_stopped: Some("the node is short".into()), ..books() };
    let told = words(&report(&bad, None));
    for part in [
        "THE BOOKS DO NOT BALANCE",
        "payouts are stopped: the node is short",
        "came in and cannot be told whose it is: +7 sat",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn what_was_refused_is_told_without_what_failed_inside() {
    let told = |why: Refused| words(&refused(&why));
    assert_eq!(
        told(Refused::NotEnough { available: sat(3) }),
        "That takes more than this room has: 3 sat. !pay topup adds some."
    );
    assert_eq!(told(Refused::Mistake("no such plan".into())), "That cannot be done: no such plan.");
    assert!(!told(Refused::Unavailable("sqlite: disk full".into())).contains("sqlite"));
    assert!(told(Refused::NotSetUp("Lightning".into())).starts_with("Lightning is not set up on this Roomtone."));
}

#[test]
fn a_call_that_nobody_pays_for_is_told_by_its_reason() {
    let told = |means| words(&declined("+442079460123", means, "the account is frozen"));
    assert!(told(Means::NoMoney).contains("the credit of this room does not pay for it. !pay topup 5000 adds some."));
    assert!(told(Means::NotAllowed).contains("missed: the account is frozen."));
    assert!(told(Means::Failed).contains("it could not be charged"));
    let soon = words(&credit_left(Some(Duration::from_millis(59_990))));
    assert!(soon.starts_with("The credit of this room ends in 60 s;"), "{soon}");
}

#[test]
fn news_tell_what_came_in_and_how_refunds_end() {
    let told = |purpose, kind| {
        let news = News { id: "1".into(), room: "!r:hs".into(), purpose, kind, amount: sat(500), available: sat(900) };
        words(&super::news(&news, None))
    };
    assert_eq!(told(Purpose::TopUp, NewsKind::CameIn), "500 sat came in by Lightning. 900 sat can be spent now.");
    let paid = told(Purpose::Refund, NewsKind::PaidOut);
    assert_eq!(paid, "500 sat were paid out: the refund has arrived. 900 sat can be spent now.");
    let failed = told(Purpose::Refund, NewsKind::NotPaidOut);
    assert!(failed.starts_with("500 sat could not be paid out: the refund has failed, and they are back."), "{failed}");
}
