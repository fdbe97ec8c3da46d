//! Which form of a question a server understands: found out by asking, from the most telling form on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Limits, RemoteError};

/// What is known of one server.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The form that is tried first.
    at: AtomicUsize,
    /// One beyond the last form that may be tried.
    end: usize,
    /// The server has answered in this form.
    proven: AtomicBool,
}

impl Dialect {
    /// Forms 0 to `forms` - 1, the most telling first.
    pub(crate) fn any_of(forms: usize) -> Self {
        Self { at: AtomicUsize::new(0), end: forms, proven: AtomicBool::new(false) }
    }

    /// This form, whatever the server says.
    pub(crate) fn only(form: usize) -> Self {
        Self { at: AtomicUsize::new(form), end: form + 1, proven: AtomicBool::new(true) }
    }

    /// Asks in the form that was last understood, and in the next ones while the server does not understand.
    pub(crate) fn ask<T>(
        &self,
        limits: Limits,
        mut ask: impl FnMut(usize, Limits) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut at = self.at.load(Ordering::Relaxed);
        loop {
            // Some servers fail over a question that they do not understand (500): until one form is understood that is no
            // reason to ask in the same form again.
            let finding_out = !self.proven.load(Ordering::Relaxed) && at + 1 < self.end;
            let limits = Limits { again_after_500: limits.again_after_500 && !finding_out, ..limits };
            match ask(at, limits) {
                Ok(answer) => {
                    self.at.store(at, Ordering::Relaxed);
                    self.proven.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    let other_form = match error.status() {
                        Some(400 | 415 | 422 | 501) => true,
                        Some(500) => finding_out,
                        _ => false,
                    };
                    if !other_form || at + 1 >= self.end {
                        return Err(error);
                    }
                    tracing::debug!(form = at, %error, "asked in another form");
                    at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits = Limits {
        each: Duration::from_secs(1),
        all: Duration::from_secs(1),
        tries: 3,
        again_after_500: true,
        answer_bytes: 1,
    };

    /// Asks a server that understands forms from `understood` on and answers others with `status`; tells which were tried.
    fn asked(dialect: &Dialect, understood: usize, status: u16) -> (bool, Vec<usize>) {
        let tried = RefCell::new(Vec::new());
        let result = dialect.ask(LIMITS, |form, _| {
            tried.borrow_mut().push(form);
            let error = RemoteError::Refused { host: String::new(), status, code: None, retry_after: None };
            if form >= understood { Ok(()) } else { Err(error) }
        });
        (result.is_ok(), tried.into_inner())
    }

    #[test]
    fn the_form_that_was_understood_is_remembered() {
        for status in [400, 422, 500] {
            let dialect = Dialect::any_of(4);
            assert_eq!(asked(&dialect, 2, status), (true, vec![0, 1, 2]), "{status}");
            assert_eq!(asked(&dialect, 2, status), (true, vec![2]), "{status}");
        }
    }

    #[test]
    fn what_is_no_matter_of_form_ends_it() {
        for status in [401, 404, 429, 503] {
            assert_eq!(asked(&Dialect::any_of(4), 2, status), (false, vec![0]), "{status}");
        }
        assert_eq!(asked(&Dialect::only(1), 2, 422), (false, vec![1]));
        // Whoever has answered and fails now has another reason.
        let dialect = Dialect::any_of(4);
        asked(&dialect, 0, 500);
        assert_eq!(asked(&dialect, 1, 500), (false, vec![0]));
    }
}
