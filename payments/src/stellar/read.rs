//! Reading what others have written, within limits: no answer of a server makes us recurse or allocate without end.

use stellar_xdr as xdr;
use stellar_xdr::ReadXdr;

/// The largest XDR that is read. Ours have about 300 bytes; among others' are contracts of up to 132 kB, and all are looked at
/// for payments to us.
pub const MAX_XDR_BYTES: usize = 256 * 1024;
/// How deep it may be nested. A fee bump's result is about ten deep.
const MAX_DEPTH: u32 = 64;

/// Why XDR was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// More than [`MAX_XDR_BYTES`].
    #[error("{0} bytes of XDR are more than is read ({MAX_XDR_BYTES})")]
    TooLong(usize),
    /// Not what it should be.
    #[error("this is no {what} in XDR: {error}")]
    Xdr {
        /// What it should be.
        what: &'static str,
        /// What the library says.
        error: xdr::Error,
    },
}

pub(super) const fn limits() -> xdr::Limits {
    xdr::Limits { depth: MAX_DEPTH, len: MAX_XDR_BYTES }
}

/// Reads one value, all of the bytes and no more.
pub(super) fn read<T: ReadXdr>(what: &'static str, bytes: &[u8]) -> Result<T, ReadError> {
    if bytes.len() > MAX_XDR_BYTES {
        return Err(ReadError::TooLong(bytes.len()));
    }
    T::from_xdr(bytes, limits()).map_err(|error| ReadError::Xdr { what, error })
}

/// The same from base64, as JSON carries it.
pub(super) fn read_base64<T: ReadXdr>(what: &'static str, text: &str) -> Result<T, ReadError> {
    // Four letters carry three bytes.
    if text.len() > MAX_XDR_BYTES / 3 * 4 + 4 {
        return Err(ReadError::TooLong(text.len() / 4 * 3));
    }
    T::from_xdr_base64(text, limits()).map_err(|error| ReadError::Xdr { what, error })
}

/// Reads a `TransactionEnvelope`.
///
/// # Errors
/// [`ReadError`], also for a byte too many.
pub fn read_envelope(bytes: &[u8]) -> Result<xdr::TransactionEnvelope, ReadError> {
    read("transaction envelope", bytes)
}

/// Reads a `TransactionResult`.
///
/// # Errors
/// [`ReadError`], also for a byte too many.
pub fn read_result(bytes: &[u8]) -> Result<xdr::TransactionResult, ReadError> {
    read("transaction result", bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fuzz;
    use super::*;

    /// A transaction of each kind that we send, and one that is not ours.
    fn corpus() -> Vec<Vec<u8>> {
        fuzz::examples()
    }

    #[test]
    fn whole_envelopes_are_read_and_cut_ones_are_refused_at_every_length() {
        for bytes in corpus() {
            assert!(read_envelope(&bytes).is_ok());
            for length in 0..bytes.len() {
                assert!(read_envelope(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
            }
            let mut more = bytes.clone();
            more.push(0);
            assert!(read_envelope(&more).is_err(), "a byte too many");
        }
    }

    #[test]
    fn every_single_broken_byte_is_read_or_refused_and_never_panics() {
        for bytes in corpus() {
            for place in 0..bytes.len() {
                for value in [0, 1, 0x7F, 0x80, 0xFF] {
                    let mut broken = bytes.clone();
                    broken[place] = value;
                    fuzz::fuzz_envelope(&broken);
                    fuzz::fuzz_result(&broken);
                }
            }
        }
    }

    #[test]
    fn lengths_that_promise_more_than_there_is_allocate_nothing() {
        // A signature list, an operation list and a string that claim four thousand million entries.
        for bytes in corpus() {
            for place in (0..bytes.len().saturating_sub(4)).step_by(4) {
                let mut broken = bytes.clone();
                broken[place..place + 4].copy_from_slice(&[0xFF; 4]);
                fuzz::fuzz_envelope(&broken);
            }
        }
        assert!(matches!(read_envelope(&vec![0; MAX_XDR_BYTES + 1]), Err(ReadError::TooLong(_))));
        let text = "A".repeat(MAX_XDR_BYTES * 2);
        let read: Result<xdr::TransactionEnvelope, _> = read_base64("envelope", &text);
        assert!(matches!(read, Err(ReadError::TooLong(_))));
    }

    #[test]
    fn deep_nesting_ends_at_the_limit() {
        // ClaimPredicate NOT(NOT(NOT(…))): four bytes a level.
        let mut bytes = Vec::new();
        for _ in 0..40_000 {
            bytes.extend([0, 0, 0, 3, 0, 0, 0, 1]);
        }
        bytes.extend([0, 0, 0, 0]);
        let deep: Result<xdr::ClaimPredicate, _> = read("predicate", &bytes[..MAX_XDR_BYTES]);
        assert!(matches!(deep, Err(ReadError::Xdr { error: xdr::Error::DepthLimitExceeded, .. })), "{deep:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz::fuzz_envelope(&data);
            fuzz::fuzz_result(&data);
        }

        #[test]
        fn broken_envelopes_are_read_or_refused(
            which in 0_usize..3, place in any::<usize>(), cut in any::<usize>(), value in any::<u8>(),
        ) {
            let mut bytes = corpus().swap_remove(which);
            let length = bytes.len();
            bytes[place % length] ^= value;
            bytes.truncate(length - cut % 8);
            fuzz::fuzz_envelope(&bytes);
        }
    }
}
