use proptest::prelude::*;

use super::*;

fn errors(csv: &str) -> Vec<String> {
    match read_csv(csv.as_bytes()).unwrap_err() {
        ImportError::Cells { errors, .. } => errors.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    }
}

/// The one error of a deck with this rate.
fn rate_error(column: &str, rate: &str) -> String {
    let mut errors = errors(&format!("prefix,{column}\n44,{rate}\n"));
    assert_eq!(errors.len(), 1, "{rate}: {errors:?}");
    errors.remove(0)
}

#[test]
fn a_deck_is_read_with_all_its_columns() {
    let csv = "\u{feff}Prefix,destination,rate_sat,connect_sat,increments,grace,minimum,valid_from,valid_until\r\n\
        +44,United Kingdom,4.125,,,,,,\r\n\
        447,\"United Kingdom, mobile\",12,0.5,30/6,2,10,2026-12-01,2027-01-01T12:00:00+01:00\r\n";
    let lines = read_csv(csv.as_bytes()).unwrap();
    let terms: Vec<_> = lines.iter().map(|line| *line.price.terms()).collect();
    assert_eq!(terms[0], Terms::per_minute(Msat::new(4_125).unwrap(), Increments::MINUTES));
    let (connect_fee, per_minute) = (Msat::new(500).unwrap(), Msat::new(12_000).unwrap());
    let increments = Increments::new(30, 6).unwrap();
    assert_eq!(terms[1], Terms { connect_fee, per_minute, increments, grace: 2, minimum: 10 });
    assert_eq!(&*lines[1].destination, "United Kingdom, mobile");
    assert_eq!(lines[0].valid_from, None);
    assert_eq!(lines[1].valid_from, Some(UnixMillis(1_796_083_200_000)));
    assert_eq!(lines[1].valid_until, Some(UnixMillis(1_798_801_200_000)));
}

#[test]
fn semicolons_and_millisatoshi_are_read_too() {
    let lines = read_csv(b"rate_msat;prefix\n4125;44\n0;1\n").unwrap();
    assert_eq!(lines[0].price.terms().per_minute.msat(), 4_125);
    assert!(lines[1].price.terms().per_minute.is_zero());
}

#[test]
fn a_mistake_is_told_by_line_and_column_with_what_is_expected() {
    let csv = "prefix,rate_sat,increments,valid_from\n44,1,60/60,\n4x,abc,60,tomorrow\n,2,1/1,\n";
    assert_eq!(
        errors(csv),
        [
            r#"line 3, column prefix: "4x" is no prefix (character 'x' is no digit); 1 to 15 digits from the country code on are expected"#,
            r#"line 3, column rate_sat: "abc" is no amount (it has other characters than digits and a point); sat with at most three places are expected, as in 4.125"#,
            r#"line 3, column increments: "60" are no increments; the first and the next in seconds (1 to 86400) are expected, as in 60/6"#,
            r#"line 3, column valid_from: "tomorrow" is no time; 2026-12-01T00:00:00Z is expected, or 2026-12-01 for midnight UTC"#,
            r#"line 4, column prefix: "" is empty; 1 to 15 digits from the country code on are expected"#,
        ]
    );
}

#[test]
fn amounts_that_are_none_are_refused_and_never_rounded() {
    for rate in [
        "-1",
        "NaN",
        "inf",
        "1e400",
        "1e3",
        "0x10",
        "٤",
        "４",
        "1 000",
        "1_000",
        "+1",
        "4.125 sat",
        "\u{2212}1",
        "1.2.3",
        ".",
    ] {
        assert!(rate_error("rate_sat", rate).contains("is no amount"), "{rate}");
    }
    for rate in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
    ] {
        assert!(rate_error("rate_sat", rate).contains("more than all bitcoin"), "{rate}");
        assert!(rate_error("rate_msat", rate).contains("more than all bitcoin"), "{rate}");
    }
    assert!(rate_error("rate_sat", "100000000.001").contains("surely a mistake"));
    assert!(rate_error("rate_sat", "4.1251").contains("finer than a millisatoshi"));
    assert!(rate_error("rate_msat", "4.5").contains("finer than a millisatoshi"));
    assert!(rate_error("rate_sat", "").contains("is empty"));
    assert!(
        rate_error("rate_sat", "\"4,125\"").contains("is no amount"),
        "a comma may be a point or a group: not guessed"
    );
}

#[test]
fn heads_without_what_is_needed_are_refused() {
    assert_eq!(
        errors("prefix,destination\n44,UK\n"),
        [r#"line 1, column rate_sat: "" is missing in the head (or rate_msat)"#]
    );
    assert!(errors("rate_sat\n1\n")[0].contains("column prefix"));
    assert!(errors("prefix,rate_sat,rate_msat\n44,1,1\n")[0].contains("keep one"));
    assert!(errors("prefix,rate_sat,price\n44,1,1\n")[0].contains(r#""price" is no column"#));
    assert!(errors("prefix,prefix,rate_sat\n44,44,1\n")[0].contains("twice"));
    assert_eq!(read_csv(b""), Err(ImportError::Empty));
    assert_eq!(read_csv(b"prefix,rate_sat\n"), Err(ImportError::Empty));
}

#[test]
fn lines_with_too_few_or_too_many_cells_are_told() {
    let csv = "prefix,rate_sat\n44\n1,2,3\n";
    assert_eq!(
        errors(csv),
        [
            r#"line 2, column all: "44" has 1 cells where the head has 2"#,
            r#"line 3, column all: "1" has 3 cells where the head has 2"#
        ]
    );
}

#[test]
fn a_prefix_stands_once_for_each_moment() {
    let csv = "prefix,rate_sat,valid_from\n44,1,\n+44,2,\n44,3,2026-12-01\n";
    assert_eq!(
        errors(csv),
        [r#"line 3, column prefix: "44" stands in line 2 too; leave one, or give the later one its valid_from"#]
    );
}

#[test]
fn times_that_cannot_be_are_refused() {
    for (from, until) in [("1969-12-31", ""), ("2026-13-01", ""), ("2026-12-01 ٠", ""), ("", "99999-01-01")] {
        assert!(
            errors(&format!("prefix,rate_sat,valid_from,valid_until\n44,1,{from},{until}\n"))[0].contains("is no time")
        );
    }
    let backwards = errors("prefix,rate_sat,valid_from,valid_until\n44,1,2026-12-02,2026-12-01\n");
    assert!(backwards[0].contains("is not behind valid_from"), "{backwards:?}");
}

#[test]
fn a_thousand_mistakes_are_counted_and_a_hundred_listed() {
    let csv = format!("prefix,rate_sat\n{}", "44,?\n".repeat(1_000));
    let Err(ImportError::Cells { errors, more }) = read_csv(csv.as_bytes()) else { panic!("taken") };
    assert_eq!((errors.len(), more), (MOST_ERRORS, 900));
    assert!(ImportError::Cells { errors, more }.to_string().ends_with("and 900 more"));
}

#[test]
fn a_long_wrong_value_is_cut_when_shown() {
    let Err(ImportError::Cells { errors, .. }) =
        read_csv(format!("prefix,rate_sat\n44,{}\n", "x".repeat(9_999)).as_bytes())
    else {
        panic!("taken")
    };
    assert_eq!(errors[0].value.len(), 40);
}

/// Files as they come: spreadsheets' leftovers, binary, half of a quote.
const MALFORMED: [&[u8]; 14] = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"prefix,rate_sat\n\"44,1\n",
    b"prefix,rate_sat\n44,\"1\"\"\n",
    b"prefix,rate_sat\n\xff,1\n",
    b"prefix,rate_sat,destination\n44,1,\xc3\x28\n",
    b"prefix;rate_sat,x\n",
    b"\n\n\n",
    b",\n,\n",
    b"PK\x03\x04\x14\0\x06\0",
    b"prefix\trate_sat\n44\t1\n",
    b"{\"prefix\": 44}",
    b"prefix,rate_sat\r44,1\r1",
];

#[test]
fn malformed_files_are_answered() {
    for bytes in MALFORMED {
        crate::tariff::fuzz::fuzz_deck(bytes);
        assert!(read_csv(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_deck_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::tariff::fuzz::fuzz_deck(&bytes);
    }

    #[test]
    fn any_words_are_read_as_they_are_shown(words in "\\PC{0,24}|[+]?[0-9]{1,16}|[0-9]{1,6}/[0-9]{1,6}|[0-9._ ]{1,22} ?(sat|msat|btc)?") {
        crate::tariff::fuzz::fuzz_words(words.as_bytes());
    }

    #[test]
    fn any_cells_give_a_deck_or_an_error(
        rows in prop::collection::vec("(\\+?[0-9]{0,16}|\\PC{0,3}),([0-9.]{0,22}|\\PC{0,5}),([0-9]{0,6}/[0-9]{0,6})?,(20[0-9-]{0,9})?", 0..8),
    ) {
        let csv = format!("prefix,rate_sat,increments,valid_from\n{}", rows.join("\n"));
        crate::tariff::fuzz::fuzz_deck(csv.as_bytes());
    }

    #[test]
    fn a_written_rate_is_read_to_the_millisatoshi(msat in 0..=super::super::price::MOST.msat()) {
        let csv = format!("prefix,rate_sat\n44,{}.{:03}\n", msat / 1000, msat % 1000);
        prop_assert_eq!(read_csv(csv.as_bytes()).unwrap()[0].price.terms().per_minute.msat(), msat);
    }
}
