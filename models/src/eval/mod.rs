//! Measuring: word error rate with an honest normaliser, recorded prompts with known text, sound without words, lost packets,
//! calls in words.

pub mod calls;
pub mod nonspeech;
pub mod prompts;
pub mod rouge;
pub mod sound;
pub mod wer;

pub use prompts::{Prompt, installed_prompts, prompts, weights_folder};
#[cfg(test)]
pub(crate) use prompts::{prompt_for_tests, weights_for_tests};
pub use rouge::{Rouge, rouge};
pub use sound::upsample_8k_to_16k;
pub use wer::{WordErrors, normalise, without_accents, word_error_rate, word_errors};
