use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn both_shapes_of_errors_are_read_and_only_certain_ones_are_certain() {
    let unary = br#"{"code":2,"message":"permission denied","details":[]}"#;
    let stream = br#"{"error":{"code":6,"message":"invoice is already paid","details":[]}}"#;
    let starting = br#"{"code":2,"message":"the RPC server is in the process of starting up, but not yet ready"}"#;
    let denied = understand(500, unary).unwrap_err();
    assert!(NodeError::from(denied).is_certain());
    assert!(one(stream).unwrap_err().says("already paid"));
    assert!(!NodeError::from(understand(500, starting).unwrap_err()).is_certain());
    for (status, body) in [(502, "bad gateway"), (500, "{}"), (504, ""), (200, "<html>"), (404, "null")] {
        let refusal = understand(status, body.as_bytes()).unwrap_err();
        assert!(!refusal.is_not_found(), "{body}");
        assert!(!NodeError::from(refusal).is_certain(), "{body}");
    }
    let unknown = br#"{"error":{"code":5,"message":"payment isn't initiated","details":[]}}"#;
    assert!(understand(404, unknown).unwrap_err().is_not_found());
}

#[test]
fn a_payment_that_is_not_over_or_that_we_do_not_understand_is_under_way() {
    for status in ["IN_FLIGHT", "INITIATED", "UNKNOWN", "OF_TOMORROW"] {
        assert_eq!(outgoing(&json!({ "status": status })), Ok(Outgoing::InFlight), "{status}");
    }
    let preimage = "07".repeat(32);
    let paid = json!({ "status": "SUCCEEDED", "fee_msat": "1002", "payment_preimage": preimage });
    let fee = Msat::new(1_002).unwrap();
    assert_eq!(outgoing(&paid), Ok(Outgoing::Succeeded { fee, preimage: Some([7; 32]) }));
    let failed = json!({ "status": "FAILED", "failure_reason": "FAILURE_REASON_NO_ROUTE" });
    assert_eq!(outgoing(&failed), Ok(Outgoing::Failed("no route".to_owned())));
    assert!(outgoing(&json!({})).is_err());
}

#[test]
fn a_settlement_is_what_was_paid_and_an_accepted_payment_is_none() {
    let hash = base64::Engine::encode(&super::super::BASE64, [5; 32]);
    let invoice = |state: &str| json!({ "state": state, "r_hash": hash, "amt_paid_msat": "7", "settle_index": "3" });
    let settled = Settlement { hash: PaymentHash([5; 32]), amount: Msat::new(7).unwrap(), cursor: Cursor(3) };
    assert_eq!(settlement(&invoice("SETTLED")), Ok(Some(settled)));
    for state in ["OPEN", "ACCEPTED", "CANCELED"] {
        assert_eq!(settlement(&invoice(state)), Ok(None), "{state}");
    }
    assert!(settlement(&invoice("SOLD")).is_err());
    for amount in ["-1", "1e400", "NaN", "18446744073709551616", "2100000000000000001"] {
        let odd = json!({ "state": "SETTLED", "r_hash": hash, "amt_paid_msat": amount, "settle_index": "3" });
        assert!(settlement(&odd).is_err(), "{amount}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_as_any(&data);
    }

    #[test]
    fn any_answer_is_understood_or_refused(
        state in "SETTLED|SUCCEEDED|FAILED|OPEN|\\PC{0,8}",
        number in "-?[0-9]{1,21}|\"[0-9]{1,21}\"|null|1e400|\\PC{0,4}",
        bytes in "[A-Za-z0-9+/]{0,80}={0,2}",
    ) {
        let body = format!(
            r#"{{"state":"{state}","status":"{state}","r_hash":"{bytes}","amt_paid_msat":{number},"settle_index":{number},
            "fee_msat":{number},"payment_preimage":"{bytes}","msat":{number},"total_balance":{number}}}"#
        );
        read_as_any(body.as_bytes());
        read_as_any(format!("{{\"result\":{body}}}").as_bytes());
    }
}
