//! What a call costs: prices and their increments, rate decks with their versions and lookups, and the cheapest trunk.

#[doc(hidden)]
pub mod bench;
mod config;
mod deck;
#[doc(hidden)]
pub mod fuzz;
pub mod import;
mod listing;
mod number;
pub mod price;
pub mod routing;
mod store;
mod table;

pub use config::{LoadError, QualityConfig, TariffsConfig, TariffsError, TrunkConfig};
pub use deck::{Deck, DeckId, DeckKind, Decks, NoRate, Rate};
pub use import::{CellError, ImportError, read_csv};
pub use listing::{Listing, listing};
pub use number::{MOST_DIGITS, Number, NumberError, Prefix};
pub use price::{Increments, Price, PriceError, Terms};
pub use store::{DeckError, DeckInfo, DeckStore, Import, Imported};
pub use table::{Line, Table, TwoLines};
