use std::time::Duration;

use lightning::bitcoin::hashes::{Hash as _, sha256};
use lightning::bitcoin::secp256k1::{Secp256k1, SecretKey};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use proptest::prelude::*;

use super::super::fuzz::fuzz_invoice;
use super::*;

/// Of BOLT 11's examples: "Please make a donation of any amount", and "1 cup coffee" for 2500 µ₿ within a minute.
const DONATION: &str = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql";
const COFFEE: &str = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh";
const COFFEE_HASH: &str = "0001020304050607080900010203040506070809000102030405060708090102";
/// Of BOLT 12's test vectors: a minimal offer.
const OFFER: &str = "lno1zcss9mk8y3wkklfvevcrszlmu23kfrxh49px20665dqwmn4p72pksese";

fn made(msat: Option<u64>, currency: Currency) -> String {
    let key = SecretKey::from_slice(&[1; 32]).unwrap();
    let builder = InvoiceBuilder::new(currency)
        .description("coffee".to_owned())
        .payment_hash(sha256::Hash::hash(&[2; 32]))
        .payment_secret(PaymentSecret([3; 32]))
        .duration_since_epoch(Duration::from_secs(1_000))
        .expiry_time(Duration::from_secs(60))
        .min_final_cltv_expiry_delta(144);
    let builder = match msat {
        Some(msat) => builder.amount_milli_satoshis(msat),
        None => builder,
    };
    builder.build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &key)).unwrap().to_string()
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

#[test]
fn the_examples_of_the_standard_are_read() {
    let coffee: Bolt11 = COFFEE.parse().unwrap();
    assert_eq!(coffee.amount(), Some(sat(250_000)));
    assert_eq!(coffee.hash().to_string(), COFFEE_HASH);
    assert_eq!(coffee.description(), Some("1 cup coffee"));
    assert_eq!(coffee.expires(), UnixMillis((1_496_314_658 + 60) * 1_000));
    let donation: Bolt11 = DONATION.parse().unwrap();
    assert_eq!((donation.amount(), donation.expires()), (None, UnixMillis((1_496_314_658 + 3_600) * 1_000)));
    let offer: Target = OFFER.parse().unwrap();
    assert!(matches!(&offer, Target::Offer(offer) if offer.amount().is_none()) && offer.hash().is_none());
}

#[test]
fn capitals_a_link_and_spaces_around_it_make_no_difference() {
    let plain: Target = COFFEE.parse().unwrap();
    for text in
        [COFFEE.to_uppercase(), format!("lightning:{COFFEE}"), format!(" LIGHTNING:{}\n", COFFEE.to_uppercase())]
    {
        assert_eq!(text.parse::<Target>(), Ok(plain.clone()), "{text}");
    }
    let mixed = COFFEE.replacen('b', "B", 1);
    assert!(matches!(mixed.parse::<Target>(), Err(InvoiceError::Unreadable(_))));
}

#[test]
fn one_wrong_letter_is_found() {
    for at in [6, 60, COFFEE.len() - 1] {
        let wrong = if COFFEE.as_bytes()[at] == b'q' { "p" } else { "q" };
        let text = format!("{}{wrong}{}", &COFFEE[..at], &COFFEE[at + 1..]);
        assert!(matches!(text.parse::<Target>(), Err(InvoiceError::Unreadable(_))), "{text}");
    }
}

#[test]
fn only_what_the_invoice_asks_for_is_paid_in_time_and_on_its_chain() {
    let of = |msat, currency| made(msat, currency).parse::<Target>().unwrap();
    let coffee = of(Some(5_000), Currency::Regtest);
    let open = of(None, Currency::Regtest);
    let then = UnixMillis(1_059_999);
    let pays = |target: &Target, at, asked| target.payable(Chain::Regtest, at, asked);
    assert_eq!(pays(&coffee, then, None), Ok(sat(5)));
    assert_eq!(pays(&coffee, then, Some(sat(5))), Ok(sat(5)));
    assert_eq!(pays(&coffee, then, Some(sat(4))), Err(InvoiceError::OtherAmount { invoice: sat(5), asked: sat(4) }));
    assert_eq!(pays(&coffee, then, Some(sat(6))), Err(InvoiceError::OtherAmount { invoice: sat(5), asked: sat(6) }));
    assert_eq!(pays(&coffee, UnixMillis(1_060_000), None), Err(InvoiceError::Expired));
    assert_eq!(pays(&open, then, None), Err(InvoiceError::NoAmount));
    assert_eq!(pays(&open, then, Some(Msat::ZERO)), Err(InvoiceError::NoAmount));
    assert_eq!(pays(&open, then, Some(sat(6))), Ok(sat(6)));
    for currency in [Currency::Bitcoin, Currency::BitcoinTestnet, Currency::Signet] {
        let other = of(Some(5_000), currency);
        assert_eq!(pays(&other, then, None), Err(InvoiceError::OtherChain { ours: Chain::Regtest }));
    }
}

#[test]
fn no_amount_overflows_and_nothing_is_no_amount() {
    let most = Msat::new(1_800_000_000_000_000_000).unwrap();
    assert_eq!(made(Some(most.msat()), Currency::Regtest).parse::<Bolt11>().unwrap().amount(), Some(most));
    // rust-lightning 3032: an amount whose pico-bitcoin overflow.
    for digits in ["18446744073709551615", "99999999999999999999", "-1", "NaN", "1e400", "٥"] {
        let text = COFFEE.replacen("2500u", digits, 1);
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}

#[test]
fn a_text_without_end_is_not_read() {
    let long = format!("lnbc{}", "q".repeat(MAX_TEXT));
    assert_eq!(long.parse::<Target>(), Err(InvoiceError::TooLong(MAX_TEXT + 4)));
}

#[test]
fn a_description_is_one_short_line_that_reads_as_it_is_written() {
    let said = |words: &str| Description::new(words).as_str().to_owned();
    assert_eq!(said(" credit\nof\u{0} Ada "), "credit of  Ada");
    assert_eq!(said("pay \u{202e}lla"), "pay lla");
    let long = said(&"ü".repeat(500));
    assert!(long.len() <= MAX_DESCRIPTION && long.chars().all(|c| c == 'ü'), "{long}");
}

proptest! {
    #[test]
    fn any_bytes_are_an_invoice_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_invoice(&data);
    }

    #[test]
    fn words_that_look_like_one_are_an_invoice_or_refused(
        start in "ln(bc|bcrt|tb|tbs|o|r|i)?1?",
        amount in "[0-9]{0,22}[munp]?",
        rest in "[02-9ac-hj-np-z]{0,400}",
    ) {
        fuzz_invoice(format!("{start}{amount}1{rest}").as_bytes());
    }

    #[test]
    fn an_invoice_with_a_slip_is_refused_or_reads_the_same(at in 0..COFFEE.len(), letter in "[a-z0-9A-Z ]") {
        let mut text = COFFEE.to_owned();
        text.replace_range(at..=at, &letter);
        fuzz_invoice(text.as_bytes());
        if let Ok(read) = text.parse::<Bolt11>() {
            prop_assert_eq!(read.hash().to_string(), COFFEE_HASH);
        }
    }
}
