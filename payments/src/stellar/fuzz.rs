//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `payments/fuzz`.

use stellar_xdr as xdr;
use stellar_xdr::WriteXdr as _;
use zeroize::Zeroizing;

use super::{
    Asset, Destination, Draft, FeeRate, Memo, Network, PathPay, Pay, PayLink, SigningKey, Stroops, TimeBounds,
    fee_bump, read_envelope, read_result,
};

/// Words as an amount: an amount that is shown as it is read, or an error.
pub fn fuzz_amount(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(amount) = text.parse::<Stroops>() {
        assert_eq!(amount.to_string().parse::<Stroops>(), Ok(amount), "an amount that is shown can be read");
    }
}

/// Words as an address, an asset and a payment link.
pub fn fuzz_words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(destination) = text.parse::<Destination>() {
        assert_eq!(destination.to_string().parse::<Destination>(), Ok(destination));
    }
    if let Ok(asset) = text.parse::<Asset>() {
        assert_eq!(asset.to_string().parse::<Asset>(), Ok(asset));
        assert_eq!(Asset::from_xdr(&asset.to_xdr()), Some(asset));
    }
    if let Ok(link) = text.parse::<PayLink>() {
        assert_eq!(link.to_string().parse::<PayLink>().ok(), Some(link));
    }
}

/// Bytes as an envelope: what is read is written as it was.
pub fn fuzz_envelope(data: &[u8]) {
    let Ok(envelope) = read_envelope(data) else { return };
    assert_eq!(envelope.to_xdr(xdr::Limits::none()).ok().as_deref(), Some(data), "XDR has one spelling");
}

/// Bytes as a result.
pub fn fuzz_result(data: &[u8]) {
    let Ok(result) = read_result(data) else { return };
    assert_eq!(result.to_xdr(xdr::Limits::none()).ok().as_deref(), Some(data), "XDR has one spelling");
}

/// Bytes as a server's answer to each method.
pub fn fuzz_answer(data: &[u8]) {
    super::rpc::read_as_any(data);
}

/// Envelopes to begin with: a payment, a path payment, a fee bump.
#[must_use]
pub fn examples() -> Vec<Vec<u8>> {
    let network = Network::new(Network::TESTNET);
    let key = SigningKey::from_seed(&Zeroizing::new([1; 32]));
    let other = SigningKey::from_seed(&Zeroizing::new([2; 32])).address();
    let draft = || Draft::new(key.address(), 1, FeeRate::LEAST, TimeBounds { min: 0, max: 1_800_000_000 });
    let Some(amount) = Stroops::new(255_000_000) else { return Vec::new() };
    let pay = Pay { destination: Destination::account(other), asset: Asset::Native, amount };
    let through = PathPay { pay: pay.clone(), send_asset: Asset::Native, send_max: amount, path: vec![Asset::Native] };
    let plain = draft().memo(Memo::Id(7)).pay(pay).sign(&network, &key);
    let path = draft().memo(Memo::Text("window 7".into())).path_pay(through).sign(&network, &key);
    let bump = plain.clone().and_then(|inner| {
        let rate = FeeRate::new(1_000).unwrap_or(FeeRate::LEAST);
        fee_bump(&inner, rate, &network, &key)
    });
    [plain, path, bump].into_iter().flatten().map(|signed| signed.envelope).collect()
}
