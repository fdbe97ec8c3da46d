//! What the call sounds like, from what is measured: the E-model for G.711. ITU-T G.107, G.113 Appendix I.

use std::time::Duration;

/// Mean opinion score, 1 (bad) to 4.4 (as good as the phone network gets).
///
/// `one_way`: mouth to ear, network and buffers; `loss`: share of frames that were concealed, 0 to 1.
#[must_use]
pub fn mos(one_way: Duration, loss: f32) -> f32 {
    let delay = one_way.as_secs_f32() * 1_000.0;
    let slow = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    // G.711 with concealment: Ie = 0, Bpl = 25.1.
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let lossy = 95.0 * percent / (percent + 25.1);
    let r = (93.2 - slow - lossy).clamp(0.0, 100.0);
    (1.0 + 0.035 * r + 7.0e-6 * r * (r - 60.0) * (100.0 - r)).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_call_is_good_and_each_fault_makes_it_worse() {
        let clean = mos(Duration::from_millis(60), 0.0);
        assert!((4.3..=4.45).contains(&clean), "{clean}");
        let slow = mos(Duration::from_millis(400), 0.0);
        let lossy = mos(Duration::from_millis(60), 0.05);
        let awful = mos(Duration::from_secs(2), 0.5);
        assert!(slow < clean - 0.3 && lossy < clean - 0.3, "{slow} {lossy}");
        assert!((1.0..1.5).contains(&awful), "{awful}");
    }
}
